"""Image tensors: rounding to 8 bit, luma, borders.

An image tensor is float32 RGB in [0, 1], (3, H, W). Its 8-bit form is uint8 (3, H, W).
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

PixelArray = NDArray[Any]
"""(H, W, C) uint8, uint16, or float32 on [0, 1], as files store them."""

# ITU-R BT.601 studio swing, as MATLAB's rgb2ycbcr: Y = 16 + 65.481 R + 128.553 G + 24.966 B with R, G, B in [0, 1].
_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_LUMA_OFFSET = 16 / 255
LUMA_RANGE = 219 / 255
"""Luma of white minus luma of black. Adding d / LUMA_RANGE to R, G and B adds d to Y and leaves Cb and Cr alone."""


def quantize(image: Tensor) -> Tensor:
    """[0, 1] float to uint8: clipped, then floor(255 x + 0.5), which is how MATLAB rounds."""
    return image.clamp(0, 1).mul(255).add(0.5).floor().to(torch.uint8)


def to_float(pixels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 to float in [0, 1], with the same bits on every device."""
    # Not by a plain 255: CUDA would multiply by its reciprocal, which gives other last bits.
    return pixels.to(dtype).div_(torch.full((), 255, dtype=dtype, device=pixels.device))


def luma(rgb: Tensor) -> Tensor:
    """Y of Y'CbCr, (..., 3, H, W) to (..., 1, H, W), on [0, 1] (so 16/255 to 235/255); a grey image is its own Y."""
    if rgb.shape[-3] == 1:
        return rgb
    red, green, blue = rgb.unbind(-3)
    y = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2] + _LUMA_OFFSET
    return y.unsqueeze(-3)


def shave(image: Tensor, border: int) -> Tensor:
    """Drop ``border`` pixels from every side; 0 drops nothing."""
    height, width = image.shape[-2:]
    return image[..., border : height - border, border : width - border]


def crop_to_multiple(image: Tensor, multiple: int) -> Tensor:
    """Drop rows at the bottom and columns at the right until both sides are multiples of ``multiple``."""
    height, width = image.shape[-2:]
    return image[..., : height - height % multiple, : width - width % multiple]
