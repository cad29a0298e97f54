"""Real resolution of a photograph: where its spectrum ends, and so by how much it is larger than its detail needs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MAX_FACTOR = 4.0
LEAST_SOFT = 1.5
"""Smaller factors are not told from a sharp photograph with a soft lens, whose spectrum falls by itself."""

_STEP = 0.1
_LENGTH = 128  # of the Fourier transform; lines are padded
_LEAST_SIDE = 96
_LEAST_SD = 3.0  # of a sample in grey levels: a flat one has no detail to judge by
_TOLERANCE = 10**0.2  # of a power spectrum from some dozens of lines
_BEYOND = 1.05  # a little above the new Nyquist frequency, where the kernel's two sides differ
_FLOOR = 10**-2.0  # of the largest detail energy: what nobody misses
_ROUNDING = 1 / 12  # power of the rounding to whole grey levels


def enlarged_by(samples: Sequence[NDArray[np.float32]]) -> float:
    """The factor by which the photograph can be shrunk before it loses detail; 1.0 where it is sharp.

    It is near F for a photograph enlarged F times by bicubic, bilinear or Lanczos interpolation, and in between for a
    soft one. Bicubic interpolation by F leaves images of the spectrum above 1 / (2 F) cycles per pixel, as strong as
    its kernel lets them through (R. G. Keys, IEEE TASSP 29(6), 1981). The factor is the largest F for which no
    frequency above has more power than that. Power spectra are those along rows and columns under a Hann window, times
    frequency squared, which makes them flat for edges.

    Of Set5 and Set14 (every second picture) it gave 1.0 for the pictures themselves, 2.0 to 2.2 for their bicubic
    enlargements by 2, 3.0 to 3.4 by 3, 2.0 to 2.4 for bilinear ones by 2, 2.2 to 2.8 for Lanczos, which leaves less.
    What is added after an enlargement hides it: noise, and mostly a JPEG too (1.0 at quality 90).

    Args:
        samples: parts of luma, (H, W) of at most 128x128, on [0, 255]. Those that are smaller than 96 in a direction,
            or flat, are not used.

    Returns:
        1.0, or 1.5 to 4.0. NaN where no sample can be used.
    """
    used = [one for one in samples if min(one.shape) >= _LEAST_SIDE and one.std() > _LEAST_SD]
    if not used:
        return float("nan")
    factors = [_factor(_spectrum(sample)) for sample in used]
    return float(np.percentile(factors, 25, method="lower"))  # the sharper parts: others may be out of focus


def _spectrum(sample: NDArray[np.float32]) -> NDArray[np.float64]:
    """Power at (65,) frequencies from 0 to 1/2 cycles per pixel, mean over rows and columns; white noise's variance."""
    total = np.zeros(_LENGTH // 2 + 1)
    for lines in (sample, sample.T):
        window = np.hanning(lines.shape[1] + 2)[1:-1]
        weighted = (lines - lines.mean(1, keepdims=True)) * window
        total += (np.abs(np.fft.rfft(weighted, _LENGTH, axis=1)) ** 2).mean(0) / (window**2).sum() / 2
    total[1:-1] = (total[:-2] + total[1:-1] + total[2:]) / 3
    return total


def _factor(power: NDArray[np.float64]) -> float:
    frequency = np.arange(_LENGTH // 2 + 1) / _LENGTH
    energy = power * frequency**2
    floor = energy[4:].max() * _FLOOR + _ROUNDING * frequency**2
    found = 1.0
    for factor in np.arange(LEAST_SOFT, MAX_FACTOR + _STEP / 2, _STEP):
        share, source = _images(round(float(factor), 1))
        allowed = np.interp(source, frequency[2:], power[2:]) * share * frequency**2 * _TOLERANCE + floor
        is_beyond = frequency > _BEYOND / (2 * factor)
        if (energy <= allowed)[is_beyond].all():
            found = float(factor)
    return round(found, 1)


@lru_cache(maxsize=64)
def _images(factor: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """For each frequency of an enlargement the power over that of its image below Nyquist, and that one's frequency."""
    cycles = np.arange(_LENGTH // 2 + 1) / _LENGTH * factor  # per pixel of the smaller picture
    folded = np.abs(cycles - np.round(cycles))
    share = _kernel_power(cycles) / _kernel_power(folded)
    reach = np.stack([np.roll(share, shift) for shift in (-2, -1, 0, 1, 2)]).max(0)  # the window blurs zeros
    return np.where(cycles > 1 - 0.02 * factor, reach, share), folded / factor


def _kernel_power(cycles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared frequency response of Keys' cubic kernel, a = -0.5, by a sum over a fine grid."""
    x = np.linspace(-2, 2, 801)
    far = np.abs(x)
    kernel = np.where(far <= 1, (1.5 * far - 2.5) * far**2 + 1, ((-0.5 * far + 2.5) * far - 4) * far + 2)
    response = (np.cos(2 * np.pi * np.multiply.outer(cycles, x)) * kernel).sum(1) * (x[1] - x[0])
    power: NDArray[np.float64] = response**2
    return power
