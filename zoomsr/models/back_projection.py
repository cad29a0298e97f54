"""Back-projection: an enlargement that is the input again when it is shrunk by bicubic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.imaging.resize import UP_TAPS, Upscale, resize
from zoomsr.models import Around

STEPS = 2
"""A second step is for what the first leaves at the picture's border and where pixels are clipped."""

_RADIUS = 3  # of the filter, in lr pixels: with it a step leaves an eighth of any pattern's error at most
_DOWN_TAPS = 2  # radius of the bicubic that shrinks, in lr pixels
_UP_REACH = UP_TAPS + _RADIUS

REACH = _DOWN_TAPS + _UP_REACH
"""How many lr pixels further than the net a step looks: down, filter, up."""

# Side of a block, which is one product of matrices, in lr pixels: little work for a CPU, few kernels for a GPU.
_CPU_BLOCK, _GPU_BLOCK = 8, 64


class BackProjection(Around):
    """A net whose output, shrunk by bicubic, is its input; a net as any other.

    Irani & Peleg, "Improving Resolution by Image Registration", CVGIP 1991, a few times:

        sr <- clip(sr) + up(filter(lr - down(clip(sr)))).

    Differences from the paper:
        The filter is the inverse of down(up(.)), a separable convolution cut off after three pixels: without it a
        step takes away only a quarter of the finest detail's error. Since up is the transpose of down but for a factor,
        a step moves sr to the nearest picture that shrinks to lr. No such picture becomes further away by it, so
        neither does the ground truth. Before each step sr is clipped to [0, 1], as it will be in a file, because what
        is cut off must be made up for elsewhere. The output is not clipped.

    down, and up with the filter, are products with banded matrices, one for each direction, computed block by block:
    a third of the time of convolutions with so few channels.

    Args:
        net: a net with the contract of ``zoomsr.models.Net``.
        steps: of back-projection.

    Raises:
        ValueError: fewer than one step.
    """

    def __init__(self, net: nn.Module, *, steps: int = STEPS) -> None:
        super().__init__(net)
        if steps < 1:
            raise ValueError(f"back_projection {steps}: it takes one step or more, and 0 leaves it out")
        self.steps = steps
        self.halo += steps * REACH

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W); the steps are in float32, also under autocast."""
        sr: Tensor = self.net(lr)
        with torch.autocast(lr.device.type, enabled=False):
            kind = torch.promote_types(sr.dtype, torch.float32)
            lr, sr = lr.to(kind).permute(0, 2, 3, 1), sr.to(kind).permute(0, 2, 3, 1).contiguous()
            for _ in range(self.steps):
                sr = sr.clamp(0, 1)
                _add_enlarged(sr, lr - _shrunk(sr, self.scale), self.scale)
        return sr.permute(0, 3, 1, 2)


class ConvolvedBackProjection(BackProjection):
    """``BackProjection`` by convolutions, for a graph that takes any size; on CPUs torch is faster by matrices."""

    down: Tensor
    inverse: Tensor

    def __init__(self, net: nn.Module, *, steps: int = STEPS) -> None:
        super().__init__(net, steps=steps)
        scale, side = self.scale, 4 * _DOWN_TAPS
        middle = _down(side, scale)[side // 2, scale * (side // 2 - _DOWN_TAPS) : scale * (side // 2 + _DOWN_TAPS + 1)]
        self.register_buffer("down", middle.float(), persistent=False)
        self.register_buffer("inverse", _inverse(scale).float(), persistent=False)
        self.upscale = Upscale(scale)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W), in float32."""
        sr: Tensor = self.net(lr)
        for _ in range(self.steps):
            sr = sr.clamp(0, 1)
            error = lr - _convolved(sr, self.down, stride=self.scale)
            sr = sr + self.upscale(_convolved(error, self.inverse, stride=1))
        return sr


def _convolved(image: Tensor, kernel: Tensor, *, stride: int) -> Tensor:
    """Rows, then columns, each over borders that are repeated: (N, C, H, W) to (N, C, H / stride, W / stride)."""
    n, channels, height, width = image.shape
    margin = (len(kernel) - stride) // 2
    planes = F.pad(image.reshape(n * channels, 1, height, width), [margin] * 4, mode="replicate")
    planes = F.conv2d(planes, kernel[None, None, :, None], stride=(stride, 1))
    planes = F.conv2d(planes, kernel[None, None, None, :], stride=(1, stride))
    return planes.reshape(n, channels, height // stride, width // stride)


class _Block(NamedTuple):
    """Rows or columns start ... stop - 1 of lr, and those that they depend on, low ... high - 1."""

    start: int
    stop: int
    low: int
    high: int

    def matrix(self, make: Callable[[int, int], Tensor], image: Tensor, *, scale: int, channels: int = 1) -> Tensor:
        """Of a resampling, (rows of the output, rows of the input); with ``channels``, of pixels side by side."""
        sides = self.start - self.low, self.stop - self.start, self.high - self.stop
        return _cut(make, scale, *sides, channels, image.device, image.dtype)


def _blocks(length: int, reach: int, device: torch.device) -> Iterator[_Block]:
    side = _CPU_BLOCK if device.type == "cpu" else _GPU_BLOCK
    for start in range(0, length, side):
        stop = min(start + side, length)
        yield _Block(start, stop, max(0, start - reach), min(length, stop + reach))


def _shrunk(sr: Tensor, scale: int) -> Tensor:
    """``downscale``: (N, scale H, scale W, C) to (N, H, W, C)."""
    n, height, width, channels = sr.shape
    rows, height, width = sr.view(n, height, -1), height // scale, width // scale
    parts = []
    for one in _blocks(height, _DOWN_TAPS, sr.device):
        weights = one.matrix(_down, sr, scale=scale).expand(n, -1, -1)
        parts.append(weights @ rows[:, scale * one.low : scale * one.high])
    columns, parts = torch.cat(parts, 1).view(n * height, -1), []
    for one in _blocks(width, _DOWN_TAPS, sr.device):
        weights = one.matrix(_down, sr, scale=scale, channels=channels)
        parts.append(columns[:, scale * channels * one.low : scale * channels * one.high] @ weights.T)
    return torch.cat(parts, 1).view(n, height, width, channels)


def _add_enlarged(sr: Tensor, error: Tensor, scale: int) -> None:
    """Add up(filter(error)), of (N, H, W, C), to sr (N, scale H, scale W, C), in place."""
    n, height, width, channels = error.shape
    columns, parts = error.reshape(n * height, -1), []
    for one in _blocks(width, _UP_REACH, sr.device):
        weights = one.matrix(_up, sr, scale=scale, channels=channels)
        parts.append(columns[:, channels * one.low : channels * one.high] @ weights.T)
    rows, larger = torch.cat(parts, 1).view(n, height, -1), sr.view(n, scale * height, -1)
    for one in _blocks(height, _UP_REACH, sr.device):
        weights = one.matrix(_up, sr, scale=scale).expand(n, -1, -1)
        larger[:, scale * one.start : scale * one.stop].baddbmm_(weights, rows[:, one.low : one.high])


@lru_cache(maxsize=256)
def _cut(
    make: Callable[[int, int], Tensor],
    scale: int,
    before: int,
    inside: int,
    after: int,
    channels: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Cut from the matrix of a picture that ends with the block's input: what ends there is the border, or far away."""
    length = before + inside + after
    with torch.inference_mode(False), torch.no_grad():  # the cache serves other modes too
        matrix = make(length, scale)
        unit = len(matrix) // length  # rows of the output for each of lr
        part = matrix[unit * before : unit * (before + inside)].contiguous()
        return torch.kron(part, torch.eye(channels, dtype=part.dtype)).to(dtype).to(device)


def _down(length: int, scale: int) -> Tensor:
    """Of ``downscale`` to so many pixels: (length, scale length)."""
    return resize(torch.eye(scale * length, dtype=torch.float64), (length, scale * length))


def _up(length: int, scale: int) -> Tensor:
    """Of the filter and ``Upscale``: (scale length, length)."""
    columns = F.pad(torch.eye(length, dtype=torch.float64)[:, None], [_RADIUS] * 2, mode="replicate")
    return resize(F.conv1d(columns, _inverse(scale)[None, None])[:, 0].T, (scale * length, length))


def _inverse(scale: int) -> Tensor:
    """The inverse of down(up(.)) in one direction, away from borders, (7,); constant pictures stay as they are."""
    side = 12 * _RADIUS  # the inverse falls to a third from pixel to pixel
    basis = torch.eye(side, dtype=torch.float64)[None]
    there_and_back = resize(resize(basis, (side, scale * side)), (side, side))[0]
    row: Tensor = torch.linalg.inv(there_and_back)[side // 2, side // 2 - _RADIUS : side // 2 + _RADIUS + 1]
    return row / row.sum()
