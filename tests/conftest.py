"""Small stand-ins for trained networks, exported as those are."""

import numpy as np
import pytest

from mien.catalog import Head, Metric, ModelCard, TrainingData


@pytest.fixture(scope="session")
def toy_card():
    """A card of an expression model with two heads, as it is before the export."""
    return ModelCard(
        name="toy.seeded",
        task="expression",
        summary="A small network with random weights.",
        licence="Apache-2.0",
        size_px=20,
        colour="grey",
        template="fer2013-mean",
        margin=-1 / 24,
        heads=(Head("ferplus8", "ferplus8", temperature=1.5), Head("ekman7", "ekman7")),
        training_data=(TrainingData("none", "none", "none", 0),),
        metrics=(Metric("accuracy", 0.125, 0.1, 0.15, 800, "chance", "as given", "mien evaluate"),),
        limits="Knows nothing.",
    )


@pytest.fixture(scope="session")
def toy_network():
    """A network of the trained ones' kind, with an auxiliary head that is not to be exported."""
    torch = pytest.importorskip("torch")
    from mien.training.layers import Standardise, convolution

    class Toy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = torch.nn.Sequential(
                Standardise(),
                *convolution(1, 12, 2),
                *convolution(12, 24, 2),
                torch.nn.AdaptiveAvgPool2d(1),
                torch.nn.Flatten(),
            )
            sizes = {"ekman7": 7, "blendshapes": 52, "ferplus8": 8}
            self.heads = torch.nn.ModuleDict({name: torch.nn.Linear(24, k) for name, k in sizes.items()})

        def forward(self, crops):
            x = self.trunk(crops[:, None])
            return {name: 8 * head(x) for name, head in self.heads.items()}

    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Toy()
        network(
            torch.rand(64, 20, 20) * 255
        )  # in training mode, so that the normalisation has seen something
    return network.eval()


@pytest.fixture(scope="session")
def toy_crops():
    return np.random.default_rng(1).integers(0, 256, (5, 20, 20), dtype=np.uint8)


@pytest.fixture(scope="session")
def toy_file(toy_card, toy_network, toy_crops, tmp_path_factory):
    """The ONNX file of an exported toy, its card and golden tensors beside it."""
    from mien.training.export import export_expression

    random = np.random.default_rng(2)
    picture = random.integers(0, 256, (70, 90, 3), dtype=np.uint8)
    landmarks = np.array([[[30, 25], [52, 27], [41, 38], [32, 48], [50, 49]]], np.float32)
    folder = tmp_path_factory.mktemp("toy")
    return export_expression(
        toy_network, toy_card, folder, toy_crops, picture=picture, landmarks_xy=landmarks
    )
