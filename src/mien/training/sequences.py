"""Networks of several pictures in order: each maps (n, t, S, S) to (n, features), grey, oldest first."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mien.training.layers import ConvLSTMCell, ResidualBlock, convolution


def _frame_trunk() -> nn.Sequential:
    """Return what looks at one frame of a recurrent network: 0.5 M weights, 128 features."""
    return nn.Sequential(
        *convolution(1, 24, 2),
        ResidualBlock(24, 32, 1),
        ResidualBlock(32, 64, 2),
        ResidualBlock(64, 128, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


class Recurrent(nn.Module):
    """The same convolutions on every frame, then a recurrent unit over their answers.

    Parameters
    ----------
    unit : {"gru", "lstm"}
        Cho et al. 2014 (arXiv 1406.1078), or Hochreiter and Schmidhuber 1997.
    """

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.features = 128
        self.frame = _frame_trunk()
        self.unit = unit
        cell = {"gru": nn.GRUCell, "lstm": nn.LSTMCell}[unit]
        self.cell = cell(128, self.features)  # a cell, not the layer of many steps, which ONNX export refuses

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape[:2]
        each = self.frame(x.flatten(0, 1)[:, None]).reshape(n, t, -1)
        hidden: Tensor = each.new_zeros(n, self.features)
        memory = hidden
        for i in range(t):
            if self.unit == "gru":
                hidden = self.cell(each[:, i], hidden)
            else:
                hidden, memory = self.cell(each[:, i], (hidden, memory))
        return hidden


class ConvLSTM(nn.Module):
    """Two convolutions on every frame, then a long short-term memory of maps (Shi et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = 96
        self.frame = nn.Sequential(*convolution(1, 24, 2), *convolution(24, 48, 2))
        self.cell = ConvLSTMCell(48, 48)
        self.last = nn.Sequential(*convolution(48, self.features, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape[:2]
        maps = self.frame(x.flatten(0, 1)[:, None])
        maps = maps.reshape(n, t, *maps.shape[1:])
        state = (torch.zeros_like(maps[:, 0]), torch.zeros_like(maps[:, 0]))
        for i in range(t):
            state = self.cell(maps[:, i], state)
        return self.last(state[0])  # type: ignore[no-any-return]  # a Tensor


class TimeDelay(nn.Module):
    """3-D convolutions over the past frames; the label is the last frame's.

    After EmoPy's time-delay network, itself after Waibel et al. 1989; here with pooling and
    normalisation. Time is halved as often as there are frames to halve.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = 128
        layers: list[nn.Module] = []
        width = 1
        for outputs, stride in (
            (24, (1, 2, 2)),
            (48, (2, 2, 2)),
            (96, (2, 2, 2)),
            (self.features, (2, 2, 2)),
        ):
            layers += [
                nn.Conv3d(width, outputs, 3, stride, 1, bias=False),
                nn.BatchNorm3d(outputs),
                nn.ReLU(inplace=True),
            ]
            width = outputs
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x[:, None])  # type: ignore[no-any-return]  # a Tensor


SEQUENCES: dict[str, Callable[[], nn.Module]] = {
    "gru": lambda: Recurrent("gru"),
    "lstm": lambda: Recurrent("lstm"),
    "convlstm": ConvLSTM,
    "timedelay": TimeDelay,
}
"""Trunks by the name of their architecture."""
