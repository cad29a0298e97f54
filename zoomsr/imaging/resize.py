"""Bicubic resampling equal to MATLAB's ``imresize``, which made the field's published low-resolution images.

Keys' cubic kernel with a = -0.5; when shrinking, the kernel is stretched by the factor (antialiasing) and its weights
are normalised; sample centres at (i + 0.5) / scale - 0.5; one 1-D pass for each direction; borders replicated.
R. G. Keys, "Cubic convolution interpolation for digital image processing", IEEE TASSP 29(6), 1981.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.hardware.devices import has_float64
from zoomsr.imaging.pixels import require_multiple, rounded

UP_TAPS = 2
"""Radius of the bicubic enlargement kernel in input pixels."""


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize to ``size`` = (height, width) as MATLAB's ``imresize(image, size)``.

    uint8 is rounded and saturated after each of the two passes, as MATLAB does: the published LR images of Set5 and
    Set14 come out bit for bit. Floats are never rounded or clipped, and are differentiable.

    Args:
        image: (..., H, W), uint8 or float, on any device. Half types are computed in float32.
        size: output height and width, each at least 1.

    Returns:
        (..., height, width) of the same dtype and device.

    Raises:
        ValueError: a side below 1, of the image or of the result.
    """
    if min(size) < 1 or min(image.shape[-2:]) < 1:
        raise ValueError(f"cannot resize {tuple(image.shape)} to {size}: sides must be at least 1")
    working = torch.promote_types(image.dtype, torch.float32)
    if is_integer := image.dtype == torch.uint8:
        # Halves and quarters have weights that are multiples of 2**-12: sums of bytes are exact in float32.
        is_exact = {image.shape[dim] / size[dim] for dim in (-2, -1)} <= {1, 2, 4}
        working = torch.float32 if is_exact else torch.float64
    if working == torch.float64 and not has_float64(image.device):
        return resize(image.cpu(), size).to(image.device)
    result = image.to(working)
    # MATLAB starts with the direction that shrinks most; rows first when both shrink alike.
    for dim in sorted((-2, -1), key=lambda dim: size[dim] / image.shape[dim]):
        if (length := image.shape[dim]) != size[dim]:
            is_whole = length % size[dim] == 0
            result = _shrink(result, dim, length // size[dim]) if is_whole else _gather(result, dim, size[dim])
        if is_integer:
            result = rounded(result)
    return result.to(image.dtype)


class Kernel(NamedTuple):
    """A resampling kernel: its weight at a distance in pixels, and the distance from which it is 0."""

    weight: Callable[[Tensor], Tensor]
    radius: int


def _cubic(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x <= 1, near, torch.where(x < 2, far, torch.zeros_like(x)))


def _lanczos(x: Tensor) -> Tensor:
    return torch.where(x.abs() < 3, torch.sinc(x) * torch.sinc(x / 3), torch.zeros_like(x))


CUBIC = Kernel(_cubic, 2)
"""Keys' kernel, see above."""
LANCZOS = Kernel(_lanczos, 3)
"""Lanczos' window of three lobes (Duchon, "Lanczos Filtering in One and Two Dimensions", 1979)."""


def downscale(image: Tensor, scale: int, *, kernel: Kernel = CUBIC) -> Tensor:
    """To 1/scale of both sides, as ``resize``; by another kernel floats only.

    Raises:
        ValueError: a side is no multiple of ``scale``.
    """
    require_multiple(image, scale)
    if kernel is CUBIC:
        return resize(image, (image.shape[-2] // scale, image.shape[-1] // scale))
    for dim in (-2, -1):
        image = _shrink(image, dim, scale, kernel)
    return image


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


def _shrink(image: Tensor, dim: int, factor: int, kernel: Kernel = CUBIC) -> Tensor:
    """A whole factor has the same weights at every output pixel: a strided convolution.

    Written as sums of shifted phases, each contiguous in memory: on a CPU conv2d of one channel is ten times slower.
    """
    weights, n_in = _shrink_weights(factor, kernel), image.shape[dim]
    reach = (len(weights) - factor) // 2
    positions = torch.arange(-reach, n_in + reach, device=image.device).clamp_(0, n_in - 1)
    padded = image.index_select(dim, positions)
    total = torch.zeros((), dtype=image.dtype, device=image.device)
    for phase in range(factor):
        samples = padded[..., phase::factor, :] if dim == -2 else padded[..., phase::factor]
        samples = samples.contiguous()
        for shift, weight in enumerate(weights[phase::factor]):
            total = torch.add(total, samples.narrow(dim, shift, n_in // factor), alpha=weight)
    return total


@lru_cache(maxsize=16)
def _shrink_weights(factor: int, kernel: Kernel) -> list[float]:
    taps = 2 * kernel.radius * factor - factor % 2
    centred = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    weights = kernel.weight(centred / factor)
    return list((weights / weights.sum()).tolist())


def _gather(image: Tensor, dim: int, length: int) -> Tensor:
    """Any other size: each output pixel has weights of its own, so sum the taps one by one."""
    weights, positions = _gather_taps(image.shape[dim], length)
    weights, positions = weights.to(image.dtype).to(image.device), positions.to(image.device)
    shape = (length, 1) if dim == -2 else (length,)
    total = torch.zeros((), dtype=image.dtype, device=image.device)
    for weight, position in zip(weights, positions, strict=True):
        total = total + image.index_select(dim, position) * weight.view(shape)
    return total


def forget_taps() -> None:
    """Empty the cache of ``resize``: what was computed with torch's fake tensors serves no real ones."""
    _gather_taps.cache_clear()


@lru_cache(maxsize=64)
def _gather_taps(n_in: int, n_out: int) -> tuple[Tensor, Tensor]:
    """Weights and input positions, each (taps, n_out)."""
    stretch = max(n_in / n_out, 1.0)
    centres = (torch.arange(n_out, dtype=torch.float64) + 0.5) * n_in / n_out - 0.5
    n_taps = int(4 * stretch) + 2
    first = (centres - 2 * stretch).floor()
    positions = first + torch.arange(n_taps, dtype=torch.float64)[:, None]
    weights = _cubic((centres - positions) / stretch)
    return weights / weights.sum(0), positions.long().clamp_(0, n_in - 1)
