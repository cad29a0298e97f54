"""Pixels as files store them, resized by ``zoomsr.imaging.resize``: rounded once, alpha in mind, in little memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoomsr.imaging.pixels import PixelArray, quantize, white_of
from zoomsr.imaging.resize import resize

_STRIP = 256
_UNSEEN = 0.5 / 255  # alpha that 8 bits round to nothing


def resized(
    pixels: PixelArray, alpha: PixelArray | None, size: tuple[int, int]
) -> tuple[PixelArray, PixelArray | None]:
    """Pixels and alpha in another size, computed in float32.

    Where there is transparency, colours are weighted by it: colour = down(alpha pixel) / down(alpha), so that the
    arbitrary colour of a transparent pixel does not bleed into what is seen. Where nothing is seen it is down(pixel).

    Args:
        pixels: (H, W, C) of uint8 or uint16.
        alpha: (H, W, 1) of the same type, or None.
        size: (height, width).

    Returns:
        Both of the same types, in the new size.
    """
    white = white_of(pixels.dtype)
    if alpha is None or bool((alpha == white).all()):
        planes = [_resized(_floats(pixels[..., n]), size) for n in range(pixels.shape[2])]
        return _stored(planes, pixels), None if alpha is None else np.full((*size, 1), white, alpha.dtype)
    weight = _floats(alpha[..., 0])
    smaller = _resized(weight, size)
    planes = []
    for number in range(pixels.shape[2]):
        plane = _floats(pixels[..., number])
        seen = _resized(plane * weight, size) / smaller.clamp_min(_UNSEEN)
        planes.append(torch.where(smaller > _UNSEEN, seen, _resized(plane, size)))
    return _stored(planes, pixels), _stored([smaller], pixels)


def _floats(plane: PixelArray) -> Tensor:
    """(H, W) on [0, 1]."""
    return torch.from_numpy(plane.astype(np.float32)).div_(white_of(plane.dtype))


def _resized(plane: Tensor, size: tuple[int, int]) -> Tensor:
    """``resize`` strip by strip, which takes a third of its memory; in its order of directions."""
    for dim in sorted((0, 1), key=lambda dim: size[dim] / plane.shape[dim]):
        parts = torch.split(plane, _STRIP, dim=1 - dim)
        sizes = [(size[0], part.shape[1]) if dim == 0 else (part.shape[0], size[1]) for part in parts]
        plane = torch.cat([resize(part, to) for part, to in zip(parts, sizes, strict=True)], dim=1 - dim)
    return plane


def _stored(planes: list[Tensor], like: PixelArray) -> PixelArray:
    """(H, W, C), rounded half up and clipped."""
    white = white_of(like.dtype)
    return np.stack([quantize(plane, white).numpy().astype(like.dtype, copy=False) for plane in planes], axis=2)
