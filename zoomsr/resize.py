"""Bicubic resampling equal to MATLAB's ``imresize``, which made the field's published low-resolution images.

Keys' cubic kernel with a = -0.5; when shrinking, the kernel is stretched by the factor (antialiasing) and its weights
are normalised; sample centres at (i + 0.5) / scale - 0.5; one 1-D pass for each direction; borders replicated.
R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

UP_TAPS = 2
"""How far, in input pixels, an enlarged pixel looks to either side of its own."""


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize to ``size`` = (height, width) as MATLAB's ``imresize(image, size)``.

    uint8 is rounded and saturated after each of the two passes, as MATLAB does: the published LR images of Set5,
    Set14, B100 and Urban100 come out bit for bit. Floats are never rounded or clipped, and are differentiable.

    Args:
        image: (..., H, W), uint8 or float, on any device. Half types are computed in float32.
        size: output height and width, each at least 1.

    Returns:
        (..., height, width) of the same dtype and device.
    """
    if min(size) < 1 or min(image.shape[-2:]) < 1:
        raise ValueError(f"cannot resize {tuple(image.shape)} to {size}: sides must be at least 1")
    rounded = image.dtype == torch.uint8
    working = torch.float64 if rounded else torch.promote_types(image.dtype, torch.float32)
    result = image.to(working)
    # MATLAB starts with the direction that shrinks most; rows first when both shrink alike.
    for dim in sorted((-2, -1), key=lambda dim: size[dim] / image.shape[dim]):
        result = _resize_dim(result, dim, size[dim])
        if rounded:
            result = result.add(0.5).floor().clamp(0, 255)
    return result.to(image.dtype)


def downscale(image: Tensor, scale: int) -> Tensor:
    """``resize`` to 1/scale of both sides, which must be multiples of ``scale``."""
    height, width = image.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(f"{height}x{width} is not a multiple of {scale}: crop it first")
    return resize(image, (height // scale, width // scale))


class Upscale(nn.Module):
    """``resize`` to ``scale`` times both sides, as a layer: one convolution with a kernel per output phase.

    Float images of any number of channels, (N, C, H, W) to (N, C, scale H, scale W).
    """

    phases: Tensor

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        taps = 2 * UP_TAPS + 1
        # Phase p of input pixel i lies at i + (p + 0.5) / scale - 0.5; the taps are i - 2 ... i + 2.
        offsets = (torch.arange(scale, dtype=torch.float64) + 0.5) / scale - 0.5
        rows = _cubic(offsets[:, None] - torch.arange(taps, dtype=torch.float64) + UP_TAPS)
        kernels = torch.einsum("py,qx->pqyx", rows, rows).reshape(scale**2, 1, taps, taps)
        self.register_buffer("phases", kernels.float(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Enlarge in the layer's own precision, float32, also under autocast."""
        n, channels, height, width = image.shape
        with torch.autocast(image.device.type, enabled=False):  # bf16 pixels would be off by two grey levels
            planes = image.to(self.phases.dtype).reshape(n * channels, 1, height, width)
            planes = F.pad(planes, [UP_TAPS] * 4, mode="replicate")
            enlarged = F.pixel_shuffle(F.conv2d(planes, self.phases), self.scale)
        return enlarged.reshape(n, channels, height * self.scale, width * self.scale)


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _resize_dim(image: Tensor, dim: int, length: int) -> Tensor:
    if image.shape[dim] == length:
        return image
    if image.shape[dim] % length == 0:
        return _shrink(image, dim, image.shape[dim] // length)
    return _gather(image, dim, length)


def _shrink(image: Tensor, dim: int, factor: int) -> Tensor:
    """A whole factor has the same weights at every output pixel: a strided convolution."""
    taps = 4 * factor - factor % 2
    weights = _shrink_weights(factor).to(image)
    reach = (taps - factor) // 2
    planes = image.reshape(-1, 1, *image.shape[-2:])
    vertical = dim == -2
    padding = (0, 0, reach, reach) if vertical else (reach, reach, 0, 0)
    kernel = weights.view(1, 1, -1, 1) if vertical else weights.view(1, 1, 1, -1)
    with torch.autocast(image.device.type, enabled=False):
        planes = F.pad(planes, padding, mode="replicate")
        planes = F.conv2d(planes, kernel, stride=(factor, 1) if vertical else (1, factor))
    return planes.reshape(*image.shape[:-2], *planes.shape[-2:])


@lru_cache(maxsize=16)
def _shrink_weights(factor: int) -> Tensor:
    taps = 4 * factor - factor % 2
    centred = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    weights = _cubic(centred / factor)
    return weights / weights.sum()


def _gather(image: Tensor, dim: int, length: int) -> Tensor:
    """Any other size: each output pixel has weights of its own, so sum the taps one by one."""
    weights, index = _gather_taps(image.shape[dim], length)
    shape = (length, 1) if dim == -2 else (length,)
    total = torch.zeros((), dtype=image.dtype, device=image.device)
    for weight, position in zip(weights.to(image), index.to(image.device), strict=True):
        total = total + image.index_select(dim, position) * weight.view(shape)
    return total


@lru_cache(maxsize=64)
def _gather_taps(n_in: int, n_out: int) -> tuple[Tensor, Tensor]:
    """Weights and clamped input positions, each (taps, n_out)."""
    stretch = max(n_in / n_out, 1.0)
    centres = (torch.arange(n_out, dtype=torch.float64) + 0.5) * n_in / n_out - 0.5
    n_taps = int(4 * stretch) + 2
    first = (centres - 2 * stretch).floor()
    positions = first + torch.arange(n_taps, dtype=torch.float64)[:, None]
    weights = _cubic((centres - positions) / stretch)
    return weights / weights.sum(0), positions.long().clamp(0, n_in - 1)
