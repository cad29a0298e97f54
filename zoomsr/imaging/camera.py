"""A random degradation as of photographs that people have: shrunk, a little blurred, sharpened, noisy, and a JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from zoomsr.imaging.degradations import Shrinking
from zoomsr.imaging.files import jpeg
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.pixels import quantize, to_float
from zoomsr.imaging.resize import CUBIC, LANCZOS, Kernel, downscale

_BLOCK = 16  # of a JPEG with halved chroma


class Shot(NamedTuple):
    """What is drawn for a picture.

    Attributes:
        kernel: of the shrink; None for the mean of each block of pixels.
        blur: sd of a Gaussian before it, in hr pixels; 0 for none.
        sharpening: the share of fine detail that is added after it.
        noise: sd at middle grey, on [0, 1].
        quality: of the JPEG, 1 to 100; ``NEVER_COMPRESSED`` for none.
        halves_chroma: 4:2:0, else 4:4:4.
        row: where in a block the picture begins.
        column: the same.
    """

    kernel: Kernel | None
    blur: float
    sharpening: float
    noise: float
    quality: int
    halves_chroma: bool
    row: int
    column: int


_CLEAN = Shot(CUBIC, 0.0, 0.0, 0.0, NEVER_COMPRESSED, halves_chroma=False, row=0, column=0)


@dataclass
class Camera(Shrinking):
    """Blur, a shrink, sharpening, noise and one JPEG, each with its own probability and strength.

    A mild form of the random degradations of Wang et al. ("Real-ESRGAN", ICCVW 2021, arXiv:2107.10833), in the order of
    a camera's own processing. All is drawn from the generator.

    ===========  ================================================================================  ===========
    step         drawn                                                                             probability
    ===========  ================================================================================  ===========
    blur         a Gaussian of sd 0.3 to ``blur`` hr pixels                                        0.25
    shrink       bicubic 0.6, mean of blocks 0.2, Lanczos 0.2                                      1
    sharpening   unsharp masking, sd of 1 lr pixel, amount 0 to ``sharpening``                     0.25
    noise        white, in each channel: variance sd**2 (1/2 + value), sd from 0 to ``noise``      0.5
    JPEG         by libjpeg, quality from ``quality``, chroma 4:2:0 (0.7) or 4:4:4; half of them   1
                 are cropped, so that their blocks begin anywhere
    ===========  ================================================================================  ===========

    The rest, 1 - ``compressed`` of all pictures, are shrunk by bicubic alone, and told to be ``NEVER_COMPRESSED``: so
    the net keeps what it can do on clean pictures.

    Args:
        scale: super-resolution factor.
        quality: least and most of the JPEG, 1 to 100.
        compressed: probability of all this.
        blur: most, in hr pixels.
        sharpening: most.
        noise: most, on [0, 1].

    Raises:
        ValueError: a range out of order, a negative strength, or a probability outside [0, 1].
    """

    quality: tuple[int, int] = (20, 99)
    compressed: float = 0.8
    blur: float = 1.0
    sharpening: float = 0.6
    noise: float = 6 / 255
    stochastic = True

    def __post_init__(self) -> None:
        self.quality = (int(self.quality[0]), int(self.quality[1]))
        if not 1 <= self.quality[0] <= self.quality[1] <= 100:
            raise ValueError(f"degradation.quality={list(self.quality)} must be two of 1 to 100, the lower one first")
        if not 0 <= self.compressed <= 1:
            raise ValueError(f"degradation.compressed={self.compressed} is a probability, on [0, 1]")
        if min(self.blur - 0.3, self.sharpening, self.noise) < 0:
            strengths = f"blur={self.blur}, sharpening={self.sharpening}, noise={self.noise}"
            raise ValueError(f"degradation.{strengths}: none is negative, and a blur is 0.3 pixels at least")

    def drawn(self, generator: torch.Generator) -> Shot:
        """What ``down`` draws first from a generator in this state."""
        draws = torch.rand(11, generator=generator, device=generator.device, dtype=torch.float64).tolist()
        if draws[0] >= self.compressed:
            return _CLEAN
        lowest, highest = self.quality
        is_cropped = draws[3] < 0.5
        return Shot(
            quality=lowest + int(draws[1] * (highest - lowest + 1)),
            halves_chroma=draws[2] < 0.7,
            row=int(draws[4] * _BLOCK) if is_cropped else 0,
            column=int(draws[5] * _BLOCK) if is_cropped else 0,
            kernel=CUBIC if draws[6] < 0.6 else LANCZOS if draws[6] < 0.8 else None,
            blur=0.3 + draws[7] * 4 * (self.blur - 0.3) if draws[7] < 0.25 else 0.0,
            sharpening=draws[8] * 4 * self.sharpening if draws[8] < 0.25 else 0.0,
            noise=draws[10] * self.noise if draws[9] < 0.5 else 0.0,
        )

    def jpeg_quality(self, generator: torch.Generator | None = None) -> float:
        """What ``down`` draws. Raises ValueError without a generator."""
        return self.drawn(_given(generator)).quality

    def down(self, hr: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """See ``Degradation.down``; what is given as float has 8 bits too, because a JPEG has no others.

        Raises:
            ValueError: a side is no multiple of the scale, or there is no generator.
        """
        generator = _given(generator)
        shot = self.drawn(generator)
        lr = _shrunk(to_float(hr) if hr.dtype == torch.uint8 else hr, self.scale, shot)
        lr = lr + shot.sharpening * (lr - _blurred(lr, 1.0)) if shot.sharpening else lr
        if shot.noise:
            noise = torch.randn(lr.shape, generator=generator, device=generator.device).to(lr)
            lr = lr + shot.noise * noise * (lr.clamp(0, 1) + 0.5).sqrt()
        pixels = quantize(lr)
        if shot.quality != NEVER_COMPRESSED:
            images = pixels.reshape(-1, *pixels.shape[-3:])
            pixels = torch.stack([_compressed(one, shot) for one in images]).reshape(pixels.shape)
        return pixels if hr.dtype == torch.uint8 else to_float(pixels, hr.dtype)


def _given(generator: torch.Generator | None) -> torch.Generator:
    if generator is None:
        raise ValueError("degradation=camera draws from a generator, and was given none")
    return generator


def _shrunk(hr: Tensor, scale: int, shot: Shot) -> Tensor:
    """(..., C, H, W) to 1/scale, blurred before."""
    hr = _blurred(hr, shot.blur) if shot.blur else hr
    return F.avg_pool2d(hr, scale) if shot.kernel is None else downscale(hr, scale, kernel=shot.kernel)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """A Gaussian over (..., C, H, W), up to three sd, borders replicated."""
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    row = (-(offsets**2) / (2 * sigma**2)).exp()
    row = row / row.sum()
    planes = F.pad(image.reshape(-1, 1, *image.shape[-2:]), [radius] * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, row.view(1, 1, 1, -1)), row.view(1, 1, -1, 1))
    return planes.reshape(image.shape)


def _compressed(pixels: Tensor, shot: Shot) -> Tensor:
    """uint8 (C, H, W) after a JPEG whose blocks began ``row`` and ``column`` pixels before it."""
    height, width = pixels.shape[-2:]
    padding = [shot.column, 0, shot.row, 0]
    padded = F.pad(pixels[None].float(), padding, mode="replicate")[0].to(torch.uint8) if any(padding) else pixels
    return jpeg(padded, quality=shot.quality, halves_chroma=shot.halves_chroma)[..., -height:, -width:]
