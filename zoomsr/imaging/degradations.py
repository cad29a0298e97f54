"""Degradation models: HR to LR, and LR back to the HR grid.

One object serves in three places: it makes the lr of a training pair, it is the bicubic baseline, and it is the data
term of a plug-and-play prior. All of them take (..., C, H, W) on any device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from zoomsr.imaging.files import jpeg
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.pixels import quantize, require_multiple, rounded, to_float
from zoomsr.imaging.resize import downscale, resize


class Degradation(Protocol):
    """The contract of a degradation.

    ``down`` of a float image stays float, neither rounded nor clipped; ``down`` of a uint8 image is the uint8 image
    that a file would hold. A stochastic one draws from ``generator`` alone. The ``repr`` is the key of packed lr, so it
    names all that lr depends on.
    """

    scale: int
    stochastic: bool

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(..., C, scale H, scale W) to (..., C, H, W)."""
        ...

    def up(self, lr: Tensor) -> Tensor:
        """(..., C, H, W) to (..., C, scale H, scale W)."""
        ...


def jpeg_quality(degradation: Degradation, generator: torch.Generator | None = None) -> float:
    """The JPEG quality of the lr that ``down`` makes with a generator in this state, 1 to ``NEVER_COMPRESSED``.

    A degradation that compresses has a method ``jpeg_quality(generator)``.
    """
    told = getattr(degradation, "jpeg_quality", None)
    return NEVER_COMPRESSED if told is None else float(told(generator))


@dataclass
class Shrinking:
    """Base of the degradations to 1/scale, whose way up is bicubic enlargement."""

    scale: int
    stochastic = False

    def up(self, lr: Tensor) -> Tensor:
        """Bicubic enlargement."""
        return resize(lr, (lr.shape[-2] * self.scale, lr.shape[-1] * self.scale))


class Bicubic(Shrinking):
    """MATLAB's antialiased ``imresize`` to 1/scale: the degradation of the published benchmarks."""

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``. Raises ValueError where a side is no multiple of the scale."""
        return downscale(hr, self.scale)


class Box(Shrinking):
    """The mean of each scale x scale block, as a camera's pixel collects light: the seed study's degradation.

    Block means have the same centres as bicubic samples, so its way up is theirs.
    """

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``. Raises ValueError where a side is no multiple of the scale."""
        require_multiple(hr, self.scale)
        if hr.dtype == torch.uint8:
            return rounded(F.avg_pool2d(hr.float(), self.scale)).to(torch.uint8)
        return F.avg_pool2d(hr, self.scale)


@dataclass
class BlurBicubic(Shrinking):
    """A Gaussian blur, then bicubic to 1/scale; with the blur of IRCNN's second setting (Zhang et al., CVPR 2017).

    The article's own code takes every scale-th pixel of the blurred picture, without a second filter.

    Args:
        scale: super-resolution factor.
        kernel_size: of the Gaussian, odd.
        sigma: of the Gaussian, in hr pixels.
    """

    kernel_size: int = field(default=7, kw_only=True)
    sigma: float = field(default=1.6, kw_only=True)

    def __post_init__(self) -> None:
        if self.kernel_size % 2 == 0 or self.sigma <= 0:
            given = f"{self.kernel_size} and {self.sigma}"
            raise ValueError(f"a blur needs an odd kernel_size and a positive sigma, not {given}")

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``. Raises ValueError where a side is no multiple of the scale."""
        if hr.dtype == torch.uint8:
            return quantize(self.down(to_float(hr)))
        from kornia.filters import gaussian_blur2d  # two seconds to import: only those who blur wait

        planes = hr.reshape(-1, 1, *hr.shape[-2:])
        size, sigma = (self.kernel_size,) * 2, (self.sigma,) * 2
        return downscale(gaussian_blur2d(planes, size, sigma, border_type="replicate").reshape(hr.shape), self.scale)


@dataclass
class GaussianNoise:
    """White Gaussian noise on the same grid, neither clipped nor rounded: what denoisers are trained on.

    Args:
        sigma: standard deviation on [0, 1]; 25/255 = 0.098 is the usual "noise level 25".
    """

    sigma: float
    scale = 1
    stochastic = True

    def __post_init__(self) -> None:
        if self.sigma < 0:
            raise ValueError(f"sigma {self.sigma} is negative")

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``. Raises ValueError without a generator."""
        if generator is None:
            raise ValueError("GaussianNoise draws from a generator, and was given none")
        if hr.dtype == torch.uint8:
            return quantize(self.down(to_float(hr), generator))
        noise = torch.randn(hr.shape, generator=generator, device=generator.device, dtype=hr.dtype)
        return hr + self.sigma * noise.to(hr.device)

    def up(self, lr: Tensor) -> Tensor:
        """The grid is the same."""
        return lr


@dataclass
class Jpeg:
    """JPEG compression at a fixed quality: floats differentiable and on the device, uint8 by libjpeg as in a file.

    The two differ where libjpeg halves the chroma grid in its own way. Shin & Song, "JPEG-resistant Adversarial
    Images", NeurIPS workshop 2017, as implemented in kornia.

    Args:
        quality: 1 (coarse) to 100.
    """

    quality: float
    scale = 1
    stochastic = False

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise ValueError(f"JPEG quality {self.quality} must lie between 1 and 100")

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``; a grey image is compressed as one."""
        images = hr.reshape(-1, *hr.shape[-3:])
        if hr.dtype == torch.uint8:
            return torch.stack([jpeg(one, quality=round(self.quality)) for one in images]).reshape(hr.shape)
        from kornia.enhance import jpeg_codec_differentiable  # two seconds to import

        # On the host, where kornia reads it: from a GPU it would have to wait.
        quality = torch.full((len(images),), float(self.quality), dtype=hr.dtype)
        coded = jpeg_codec_differentiable(images.expand(-1, 3, -1, -1), quality)
        return coded[:, : hr.shape[-3]].reshape(hr.shape)

    def up(self, lr: Tensor) -> Tensor:
        """The grid is the same."""
        return lr

    def jpeg_quality(self, generator: torch.Generator | None = None) -> float:
        """The same for every picture."""
        return self.quality


class Chain:
    """Several degradations in sequence; 8-bit pictures stay 8-bit in between, as files do.

    Args:
        steps: in the order of application, hr first.

    Raises:
        ValueError: no step, or one that draws its JPEG quality behind one that draws something else.
    """

    def __init__(self, steps: Sequence[Degradation]) -> None:
        if not steps:
            raise ValueError("a chain needs at least one degradation")
        drawing = [step for step in _single(steps) if step.stochastic]
        for step in drawing[1:]:
            if hasattr(step, "jpeg_quality"):
                raise ValueError(f"{step!r} draws its JPEG quality first: no step before it may draw anything")
        self.steps = tuple(steps)
        self.scale = math.prod(step.scale for step in steps)
        self.stochastic = any(step.stochastic for step in steps)

    def __repr__(self) -> str:
        return f"Chain({', '.join(map(repr, self.steps))})"

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``."""
        for step in self.steps:
            hr = step.down(hr, generator)
        return hr

    def up(self, lr: Tensor) -> Tensor:
        """Each step's way up, in reverse."""
        for step in reversed(self.steps):
            lr = step.up(lr)
        return lr

    def jpeg_quality(self, generator: torch.Generator | None = None) -> float:
        """Of the coarsest step."""
        return min(jpeg_quality(step, generator) for step in self.steps)


def _single(steps: Sequence[Degradation]) -> list[Degradation]:
    """The steps, of chains in place of the chains."""
    return [one for step in steps for one in (_single(step.steps) if isinstance(step, Chain) else [step])]
