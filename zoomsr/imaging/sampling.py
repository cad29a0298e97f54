"""Parts of a photograph by which it is judged: some are enough, however large it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zoomsr.imaging.pixels import PixelArray, white_of

SIDE = 128
_MAX_PER_DIRECTION = 4
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # of JPEG (JFIF 1.02): full range


def luma_samples(pixels: PixelArray) -> list[NDArray[np.float32]]:
    """Parts of luma, spread evenly over a picture, on [0, 255] and not rounded.

    Args:
        pixels: (H, W, 1) grey or (H, W, 3) RGB, uint8 or uint16.

    Returns:
        Up to 16 parts of 128x128; of a picture that is smaller in a direction, all of that direction. Their origins are
        multiples of 8, as the blocks of a JPEG.
    """
    height, width, channels = pixels.shape
    levels = np.float32(255 / white_of(pixels.dtype))
    samples: list[NDArray[np.float32]] = []
    for top in _origins(height):
        for left in _origins(width):
            part = pixels[top : top + SIDE, left : left + SIDE].astype(np.float32) * levels
            samples.append((part @ _LUMA if channels == 3 else part[..., 0]).astype(np.float32, copy=False))
    return samples


def _origins(length: int) -> list[int]:
    count = min(max(length // SIDE, 1), _MAX_PER_DIRECTION)
    spare = max(length - SIDE, 0)
    return [spare * (2 * number + 1) // (2 * count) // 8 * 8 for number in range(count)]
