"""Noise level of a photograph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

_MAD = 0.6745  # median of |x| of a normal distribution with sd 1
_GAIN = 6.0  # of the mask on white noise: the root of the sum of its squares
_BLOCK = 16


def noise_sigma(samples: Sequence[NDArray[np.float32]]) -> float:
    """Standard deviation of white noise in luma, in grey levels of 255.

    The mask of J. Immerkaer, "Fast Noise Variance Estimation", Computer Vision and Image Understanding 64(2), 1996 (the
    second difference along rows of that along columns, to which edges and gradients are nearly zero), with the robust
    scale of D. L. Donoho, I. M. Johnstone, "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81(3), 1994:
    median / 0.6745. Each block of 16x16 has one; the lower quartile is the result, for fine texture counts as noise.

    It is an upper bound where every part is textured (1.5 to 3.3 for six of Set5 and Set14 as they are), too low
    where it is clipped at black or white, and where noise is not white: after a JPEG, an enlargement or a denoiser.

    Args:
        samples: parts of luma, (H, W), on [0, 255].

    Returns:
        0 or more; of a noiseless 8-bit picture up to 0.3, its rounding. NaN where every sample is smaller than 3x3.
    """
    medians = [float(np.median(block)) for sample in samples if min(sample.shape) >= 3 for block in _responses(sample)]
    return float(np.percentile(medians, 25)) / _GAIN / _MAD if medians else float("nan")


def _responses(sample: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
    """Absolute responses of the mask, block by block; a remainder of less than half a block belongs to no block."""
    response = np.diff(np.diff(sample, 2, axis=0), 2, axis=1)
    # Of whole numbers, as 8-bit grey has, the median would be one too: sigma in steps of a quarter.
    spread = np.abs(response + np.random.default_rng(0).uniform(-0.5, 0.5, response.shape))
    for top in range(0, max(response.shape[0] - _BLOCK // 2, 1), _BLOCK):
        for left in range(0, max(response.shape[1] - _BLOCK // 2, 1), _BLOCK):
            yield spread[top : top + _BLOCK, left : left + _BLOCK]
