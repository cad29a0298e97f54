"""MAE, PSNR and SSIM under a named protocol, per image, never pooled.

The same images score from 28 to 38 dB under different choices of colour, rounding and border. Both protocols shave
``scale`` pixels off every side first.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

import torch
from torch import Tensor

from zoomsr.hardware.devices import has_float64
from zoomsr.imaging.pixels import luma, rounded, shave
from zoomsr.metrics.protocol import MetricProtocol
from zoomsr.metrics.spectrum import band_errors

METRICS = (
    *("mae", "psnr_rgb", "psnr_y", "ssim_rgb", "ssim_y"),
    *("error_band_1", "error_band_2", "error_band_3", "error_band_4"),
)
"""MAE on [0, 1]; PSNR in dB; SSIM at most 1; error by frequency band on Y in dB (see ``zoomsr.metrics.spectrum``)."""

SSIM_WINDOW = 11
"""Pixels on a side: no smaller image can be measured."""

PSNR_CEILING = 100.0
"""dB. Identical images would give infinity, and with it an infinite mean; every PSNR is clipped here."""


@dataclass(frozen=True)
class ImageScore:
    """The numbers of one image, or their means over images; units as in ``METRICS``."""

    mae: float
    psnr_rgb: float
    psnr_y: float
    ssim_rgb: float
    ssim_y: float
    error_band_1: float
    error_band_2: float
    error_band_3: float
    error_band_4: float

    def as_dict(self) -> dict[str, float]:
        """Name to value, in the order of ``METRICS``."""
        return asdict(self)


def mae(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error of two images (..., C, H, W) of any range; one value per image, float64."""
    return (sr - hr).abs().mean((-3, -2, -1), dtype=torch.float64)


def psnr(sr: Tensor, hr: Tensor, *, peak: float = 255.0) -> Tensor:
    """10 log10(peak^2 / MSE) in dB, MSE over (C, H, W); one float64 value per image, at most ``PSNR_CEILING``."""
    mse = (sr - hr).square().mean((-3, -2, -1), dtype=torch.float64)
    return (10 * torch.log10(peak**2 / mse)).clamp(max=PSNR_CEILING)


def ssim(sr: Tensor, hr: Tensor, *, peak: float = 255.0) -> Tensor:
    """Structural similarity: mean over channels and over the area where the window fits; one float64 value per image.

    ::

        SSIM = (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)),  C1 = (0.01 L)^2, C2 = (0.03 L)^2

    with local means, population variances and covariance under an 11x11 Gaussian window of sigma 1.5. Equal to
    scikit-image's with gaussian_weights, sigma 1.5, use_sample_covariance=False, after cropping 5 px.
    Wang, Bovik, Sheikh & Simoncelli, "Image quality assessment: from error visibility to structural similarity",
    IEEE TIP 13(4), 2004.

    Args:
        sr: (..., C, H, W) of the range 0..peak, both sides at least 11.
        hr: the same.
        peak: L.

    Raises:
        ValueError: an image smaller than the window.
    """
    if min(sr.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs at least {SSIM_WINDOW}x{SSIM_WINDOW} pixels, not {sr.shape[-2]}x{sr.shape[-1]}")
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    # Variances do not change when both images are shifted; around mid-grey they lose fewer digits in float32.
    x, y = sr - peak / 2, hr - peak / 2
    mx, my = _blur(x), _blur(y)
    covariance = _blur(x * y) - mx * my
    variances = _blur(x * x + y * y) - mx * mx - my * my
    mx, my = mx + peak / 2, my + peak / 2
    local = (2 * mx * my + c1) * (2 * covariance + c2) / ((mx * mx + my * my + c1) * (variances + c2))
    return local.mean((-3, -2, -1), dtype=torch.float64)


def measure(
    sr: Tensor,
    hr: Tensor,
    *,
    protocol: MetricProtocol,
    border: int,
    y: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """All ``METRICS`` of one image, or of each of a stack.

    Args:
        sr: (..., C, H, W) on about [0, 1]; clipped and rounded here. A grey image is its own Y.
        hr: (..., C, H, W) on [0, 1], an 8-bit image divided by 255.
        protocol: what is rounded.
        border: pixels to shave off every side first.
        y: sr and hr as (..., 1, H, W) luma, of a net on luma; otherwise it is computed from sr and hr.

    Returns:
        (..., 9) float64, in the order of ``METRICS``.

    Raises:
        ValueError: sr and hr differ in size, or are too small for SSIM once shaved.
    """
    if sr.shape != hr.shape:
        raise ValueError(f"sr {tuple(sr.shape)} and hr {tuple(hr.shape)} differ")
    if not has_float64(sr.device):
        sr, hr, y = sr.cpu(), hr.cpu(), None if y is None else (y[0].cpu(), y[1].cpu())
    if y is None:
        y = luma(sr.clamp(0, 1)), luma(hr)
    rgb = tuple(rounded(shave(image, border) * 255) for image in (sr, hr))
    grey = [shave(image, border).clamp(0, 1) * 255 for image in y]
    grey = [rounded(image) if protocol.luma_8bit else image for image in grey]
    scores = torch.stack([mae(*rgb) / 255, psnr(*rgb), psnr(*grey), ssim(*rgb), ssim(*grey)], dim=-1)
    return torch.cat([scores, band_errors(*grey)], dim=-1)


def scoring_device(device: torch.device) -> torch.device:
    """Where results of ``device`` are measured: there, or on the CPU where it lacks float64."""
    return device if has_float64(device) else torch.device("cpu")


def mean_score(scores: list[ImageScore]) -> ImageScore:
    """The mean of each metric over images, summed in the order given.

    Raises:
        ValueError: no scores.
    """
    if not scores:
        raise ValueError("no images were measured")
    return ImageScore(*(sum(getattr(score, name) for score in scores) / len(scores) for name in METRICS))


@lru_cache(maxsize=1)
def _gaussian() -> tuple[float, ...]:
    distance = torch.arange(SSIM_WINDOW, dtype=torch.float64) - SSIM_WINDOW // 2
    window = torch.exp(-(distance**2) / (2 * 1.5**2))
    return tuple((window / window.sum()).tolist())


def _blur(image: Tensor) -> Tensor:
    """Separable and by shifted sums: on a CPU five times faster than a grouped convolution."""
    for dim in (-2, -1):
        length = image.shape[dim] - SSIM_WINDOW + 1
        total = image.narrow(dim, 0, length) * _gaussian()[0]
        for shift, weight in enumerate(_gaussian()[1:], start=1):
            total.add_(image.narrow(dim, shift, length), alpha=weight)
        image = total
    return image
