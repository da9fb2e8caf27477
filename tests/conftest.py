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


def write_graph(folder, card, layers, outputs):
    """Write a network of 20 x 20 px crops whose layers are (operator, name of the output, constants)."""
    onnx = pytest.importorskip("onnx")
    tomli_w = pytest.importorskip("tomli_w")
    helper = onnx.helper
    nodes, constants, last = [], [], "crops"
    for operator, name, *values in layers:
        stored = [onnx.numpy_helper.from_array(value, f"{name}.{i}") for i, value in enumerate(values)]
        nodes.append(helper.make_node(operator, [last, *(tensor.name for tensor in stored)], [name]))
        constants += stored
        last = name
    graph = helper.make_graph(
        nodes,
        card.name,
        [helper.make_tensor_value_info("crops", 1, ["n", 20, 20])],
        [helper.make_tensor_value_info(name, 1, ["n", columns]) for name, columns in outputs.items()],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path = folder / f"{card.name}.onnx"
    path.write_bytes(model.SerializeToString())
    path.with_suffix(".toml").write_text(tomli_w.dumps(card.to_dict()), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def write_embedder():
    """Write an expression network with an embedding of 12 numbers, random but for its seed."""

    def write(folder, *, name="embedder.toy", seed=0, outputs=("embedding", "ekman7"), **fields):
        random = np.random.default_rng(seed)
        card = ModelCard(
            name=name,
            task="expression",
            summary="A small network with random weights.",
            licence="Apache-2.0",
            size_px=20,
            colour="grey",
            **{"template": "fer2013-mean", "heads": (Head("ekman7", "ekman7"),), **fields},
        )
        layers = [
            ("Flatten", "pixels"),
            ("MatMul", "sums", (random.normal(0, 1, (400, 12)) / 1000).astype(np.float32)),
            ("Tanh", "embedding"),
            ("MatMul", "ekman7", random.normal(0, 1, (12, 7)).astype(np.float32)),
        ]
        return write_graph(folder, card, layers, {n: {"embedding": 12, "ekman7": 7}[n] for n in outputs})

    return write


@pytest.fixture(scope="session")
def write_landmarker():
    """Write a network of 70 landmarks that leave their places a little, by what the crop shows."""

    def write(folder, *, name="points70.toy", seed=0, outputs=("points",), points=140, **fields):
        random = np.random.default_rng(seed)
        card = ModelCard(
            name=name,
            task="landmarks",
            summary="A small network with random weights.",
            licence="Apache-2.0",
            size_px=20,
            colour="grey",
            **{"template": "fer2013-mean", **fields},
        )
        layers = [
            ("Flatten", "pixels"),
            ("MatMul", "shift", (random.normal(0, 1, (400, points)) / 400 / 255).astype(np.float32)),
            ("Add", outputs[0], random.uniform(0.2, 0.8, points).astype(np.float32)),
        ]
        return write_graph(folder, card, layers, dict.fromkeys(outputs, points))

    return write
