"""Image tensors and arrays: rounding to integers, luma, borders.

An image tensor is float32 RGB on [0, 1], (3, H, W). Its 8-bit form is uint8 (3, H, W). Torch is imported where a tensor
is made: what finds, names and writes image files works on arrays, and answers before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PixelArray = NDArray[Any]
"""(H, W, C) uint8, uint16, or float32 on [0, 1], as files store them."""

# ITU-R BT.601 studio swing, as MATLAB's rgb2ycbcr: Y = 16 + 65.481 R + 128.553 G + 24.966 B with R, G, B in [0, 1].
_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_LUMA_OFFSET = 16 / 255
LUMA_RANGE = 219 / 255
"""Luma of white minus luma of black. Adding d / LUMA_RANGE to R, G and B adds d to Y and leaves Cb and Cr alone."""


def rounded(levels: Tensor, white: int = 255) -> Tensor:
    """Float levels to whole ones on [0, white], still float: rounded half up, as MATLAB does, and clipped."""
    return levels.add(0.5).floor_().clamp_(0, white)


def quantize(image: Tensor, white: int = 255) -> Tensor:
    """Float on [0, 1] to uint8, or to int32 where ``white`` is above 255; rounded half up, and clipped."""
    import torch

    return rounded(image.mul(white), white).to(torch.uint8 if white <= 255 else torch.int32)


def to_8bit(pixels: PixelArray) -> PixelArray:
    """uint16 to uint8, rounded; uint8 as it is."""
    return pixels if pixels.dtype == np.uint8 else ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)


def full_range(pixels: PixelArray, white: int) -> PixelArray:
    """Integers on [0, white] to uint16 on its full range, rounded."""
    return ((pixels.astype(np.uint32).clip(max=white) * 65535 + white // 2) // white).astype(np.uint16)


def to_float(pixels: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """uint8 to float in [0, 1], float32 unless another is given, with the same bits on every device."""
    import torch

    dtype = dtype or torch.float32
    # Not by a plain 255: CUDA would multiply by its reciprocal, which gives other last bits.
    return pixels.to(dtype).div_(torch.full((), 255, dtype=dtype, device=pixels.device))


def white_of(dtype: np.dtype[Any]) -> int:
    """The value of white, and of an opaque alpha: 1 for floats, else the largest integer."""
    return int(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1


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


def require_multiple(image: Tensor, multiple: int) -> None:
    """Raise ValueError where a side of (..., H, W) is no multiple of ``multiple``."""
    height, width = image.shape[-2:]
    if height % multiple or width % multiple:
        raise ValueError(f"{height}x{width} is not a multiple of {multiple}: crop it first")
