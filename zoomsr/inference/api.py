"""``from zoomsr import upscale``: what goes in comes out, larger."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.inference.upscaler import Upscaler
from zoomsr.pretrained.weights import weights_file

ImageLike = TypeVar("ImageLike", Image.Image, NDArray[Any], Tensor)


def upscale(
    image: ImageLike,
    model: str | Path = "unet",
    *,
    box: tuple[float, float, float, float] | None = None,
    scale: int | None = None,
    device: str = "auto",
    engine: str = "auto",
) -> ImageLike:
    """Enlarge a picture, or an area of it.

    Args:
        image: a PIL image of any mode; an array (H, W) or (H, W, C) of uint8, uint16, or float on [0, 1], of which C 2
            and 4 have transparency; a tensor (C, H, W) or (N, C, H, W) of uint8, or float on [0, 1].
        model: ``unet``, ``vdsr``, ``srcnn``, ``ircnn``, ``bicubic``, or the path of a .safetensors or .ckpt file.
        box: left, top, width, height of the area, in whole pixels.
        scale: the net's (2), or a power of it.
        device: ``auto``, ``cpu``, ``cuda``.
        engine: ``torch``, ``openvino``, ``onnx``; ``auto`` is the fastest that is installed, once it pays.

    Returns:
        The same kind of thing, of the same type and on the same device. Floats are neither rounded nor clipped.

    Raises:
        ValueError: no weights of that name, a box that is not of whole pixels inside the picture, no pixels, or of
            another kind.
    """
    path = weights_file(str(model))
    stamp = None if path is None or not path.is_file() else (path.stat().st_mtime_ns, path.stat().st_size)
    upscaler = _opened(str(model), device, engine, stamp)

    def larger(photograph: Photograph) -> Photograph:
        if not photograph.pixels.size:
            raise ValueError(f"a picture of {photograph.size[1]}x{photograph.size[0]} pixels cannot be enlarged")
        area = photograph if box is None else photograph.cropped(_whole(box))
        return upscaler.upscale(area, scale=scale)

    if isinstance(image, Image.Image):
        return larger(Photograph.of(image)).picture()
    if isinstance(image, np.ndarray):
        array = larger(_of_array(image[..., None] if image.ndim == 2 else image)).interleaved
        return (array[..., 0] if image.ndim == 2 else array).astype(image.dtype, copy=False)
    if isinstance(image, Tensor):
        if image.ndim not in (3, 4) or not image.numel():
            raise ValueError(f"a tensor of shape {tuple(image.shape)} is no picture: (C, H, W), or (N, C, H, W)")
        stack = image[None] if image.ndim == 3 else image
        stack = stack.detach().cpu().permute(0, 2, 3, 1)
        stack = stack.float() if stack.is_floating_point() else stack  # NumPy knows no bfloat16
        arrays = [larger(_of_array(one)).interleaved for one in stack.numpy()]
        result = torch.stack([torch.from_numpy(one).permute(2, 0, 1) for one in arrays]).to(image)
        return result[0] if image.ndim == 3 else result
    raise ValueError(f"cannot upscale a {type(image).__name__}: give a PIL image, an array or a tensor")


@lru_cache(maxsize=8)
def _opened(model: str, device: str, engine: str, stamp: tuple[int, int] | None) -> Upscaler:
    """Once for each state of its file: ``stamp`` differs when a net was trained anew."""
    return Upscaler.open(model, device=device, engine=engine)


def _whole(box: Sequence[float]) -> CropBox:
    if len(box) != 4 or any(value % 1 for value in box):
        raise ValueError(f"box {tuple(box)} is not left, top, width, height, four whole numbers of pixels")
    return CropBox(*map(int, box))


def _of_array(array: NDArray[Any]) -> Photograph:
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise ValueError(f"pixels of shape {array.shape} are no picture: (H, W), or (H, W, C) with C from 1 to 4")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # PyTorch takes no other byte order
    if array.dtype not in (np.uint8, np.uint16):
        if not np.issubdtype(array.dtype, np.floating):
            raise ValueError(f"pixels of {array.dtype} have no fixed white: give uint8, uint16, or floats on [0, 1]")
        array = array.astype(np.float32)
    colours = array.shape[2] - 1 if array.shape[2] in (2, 4) else array.shape[2]
    alpha = array[..., colours:] if colours < array.shape[2] else None
    return Photograph(pixels=array[..., :colours], alpha=alpha)
