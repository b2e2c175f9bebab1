"""The three networks. Input: uint8 (N, H, W, 3) BGR as a frame has it; all arithmetic is inside.

Blocks: K. He et al., "Deep Residual Learning" (2016), with plain 3x3 convolutions: depthwise ones have
fewer multiplications, but took three times as long to train on a CPU for the same picture. ReLU
throughout, which every backend fuses into the convolution before it.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

STRIDES = (8, 16, 32)


def planes_from_bytes(pixels: Tensor) -> Tensor:
    """(N, H, W, 3) bytes to (N, 3, H, W) float32 about 0; cast first, as TensorRT moves no bytes."""
    return pixels.float().permute(0, 3, 1, 2) * (1 / 64) - 2


def conv(inside: int, outside: int, size: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution, normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions whose result is added to what came in."""

    def __init__(self, channels: int) -> None:
        """Of so many channels."""
        super().__init__()
        self.body = nn.Sequential(
            conv(channels, channels),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, planes: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return torch.relu(planes + self.body(planes))


def _wide(channels: int, width: float) -> int:
    return max(8, round(channels * width / 8) * 8)


class FaceNetwork(nn.Module):
    """112x112 crop to 68 landmarks (parts 0..1 of the crop) and yaw, pitch, roll in degrees."""

    mean_shape: Tensor

    def __init__(self, width: float, mean_shape: Tensor) -> None:
        """`mean_shape`: (136,) the mean of the training landmarks, where the network begins."""
        super().__init__()
        a, b, c, d = (_wide(n, width) for n in (16, 32, 64, 96))
        self.register_buffer("mean_shape", mean_shape)
        self.body = nn.Sequential(
            conv(3, a, stride=2),
            conv(a, b, stride=2),
            Residual(b),
            conv(b, c, stride=2),
            Residual(c),
            conv(c, d, stride=2),
            Residual(d),
            conv(d, 48, 1),
            nn.Flatten(),
        )
        self.points = nn.Sequential(nn.Linear(48 * 49, 136))
        self.angles = nn.Sequential(nn.Linear(48 * 49, 48), nn.ReLU(inplace=True), nn.Linear(48, 3))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 112, 112, 3) uint8 to (N, 136) and (N, 3)."""
        seen = self.body(planes_from_bytes(pixels))
        return self.mean_shape + self.points(seen) * 0.05, self.angles(seen) * 4.0


class Evened(nn.Module):
    """Planes of one power: a dark picture and a bright one of the same scene are the same numbers."""

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to (N, 3, S, S)."""
        planes = planes_from_bytes(pixels)
        return _of_one_power(planes - planes.mean(dim=(1, 2, 3), keepdim=True), 0.01)


class Bands(nn.Module):
    """What is finer than 3 pixels, and what is between 3 and 9: dots and rasters, without the face."""

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to (N, 6, S, S), each band of one power."""
        # A plane after the other: pooled in the pixels' own order it took twice as long.
        planes = planes_from_bytes(pixels).contiguous()
        soft = nn.functional.avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
        softer = nn.functional.avg_pool2d(soft, 7, 1, 3, count_include_pad=False)
        bands = _of_one_power(planes - soft, 1e-4), _of_one_power(soft - softer, 1e-4)
        return torch.cat(bands, dim=1).clamp(-4, 4).contiguous(memory_format=torch.channels_last)


def _of_one_power(planes: Tensor, least: float) -> Tensor:
    return planes / (planes.square().mean(dim=(1, 2, 3), keepdim=True) + least).sqrt()


class SilentNetwork(nn.Module):
    """A square view to the logits of two classes: spoof, genuine."""

    def __init__(self, width: float, *, is_fine: bool = False) -> None:
        """Channels grow with `width`; a fine one looks at the bands of every pixel."""
        super().__init__()
        a, b, c, d = (_wide(n, width) for n in (16, 32, 64, 96))
        first = (
            (Bands(), conv(6, a), conv(a, a, stride=2)) if is_fine else (Evened(), conv(3, a, stride=2))
        )
        self.body = nn.Sequential(
            *first,
            conv(a, b, stride=2),
            conv(b, c, stride=2),
            Residual(c),
            conv(c, d, stride=2),
            Residual(d),
        )
        self.drop = nn.Dropout(0.1)
        self.classes = nn.Linear(2 * d, 2)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, S, S, 3) uint8 to (N, 2)."""
        seen = self.body(pixels)
        # The mean tells of what is everywhere, the maximum of what is at one place only: an edge.
        pooled = torch.cat((seen.mean(dim=(2, 3)), seen.amax(dim=(2, 3))), dim=1)
        return cast(Tensor, self.classes(self.drop(pooled)))


class DetectNetwork(nn.Module):
    """A picture to YuNet's grids: per stride class, object, box and landmarks of every cell."""

    def __init__(self, width: float) -> None:
        """Channels grow with `width`."""
        super().__init__()
        a, b, c, d = (_wide(n, width) for n in (16, 24, 40, 48))
        self.eight = nn.Sequential(
            conv(3, a, stride=2), conv(a, b, stride=2), conv(b, c, stride=2), Residual(c)
        )
        self.sixteen = nn.Sequential(conv(c, d, stride=2), conv(d, d))
        self.thirty_two = nn.Sequential(conv(d, d, stride=2), conv(d, d, groups=d), conv(d, d, 1))
        self.necks = nn.ModuleList(conv(n, 40, 1) for n in (c, d, d))
        self.heads = nn.ModuleList(
            nn.Sequential(conv(40, 40, groups=40), conv(40, 40, 1), nn.Conv2d(40, 16, 1))
            for _ in STRIDES
        )
        for head in self.heads:
            last = cast(nn.Conv2d, cast(nn.Sequential, head)[-1])
            nn.init.normal_(last.weight, 0, 0.01)
            nn.init.zeros_(cast(Tensor, last.bias))
            with torch.no_grad():
                cast(Tensor, last.bias)[0] = -4.0

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """(N, H, W, 3) uint8 to the raw (N, H/s * W/s, 16) of each stride: score, 1, box, points."""
        fine = self.eight(planes_from_bytes(pixels))
        middle = self.sixteen(fine)
        coarse = self.thirty_two(middle)
        deep = self.necks[2](coarse)
        between = self.necks[1](middle) + _doubled(deep)
        shallow = self.necks[0](fine) + _doubled(between)
        grids = zip(self.heads, (shallow, between, deep), strict=True)
        return tuple(head(grid).permute(0, 2, 3, 1).flatten(1, 2) for head, grid in grids)


def _doubled(planes: Tensor) -> Tensor:
    return nn.functional.interpolate(planes, scale_factor=2.0, mode="nearest")


def parameters_of(network: nn.Module) -> int:
    """How many numbers are learnt."""
    return sum(parameter.numel() for parameter in network.parameters())
