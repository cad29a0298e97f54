"""The public API: ``from zoomsr import upscale, load_model``."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from zoomsr.foreign.opening import open_net
from zoomsr.hardware.devices import device_named
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.pixels import PixelArray
from zoomsr.inference.upscaler import NetOptions, Upscaler, bicubic
from zoomsr.models import scale_of
from zoomsr.pretrained.names import weights_file

ImageLike = TypeVar("ImageLike", Image.Image, NDArray[Any], Tensor)


def load_model(model: str | Path = "unet", *, scale: int | None = None, device: str = "auto") -> nn.Module:
    """A trained net as a torch module.

    Args:
        model: as for ``upscale``.
        scale: the net's; of a pretrained net the one of this scale is loaded. None: as named.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.

    Returns:
        The net in eval mode on the device: lr (N, 3, H, W) on [0, 1] to sr (N, 3, scale H, scale W), not clamped. It
        has the attributes ``scale``, ``channels``, ``multiple_of`` and ``halo``.

    Raises:
        ValueError: no weights of that name or scale, or no such device.
    """
    path = weights_file(str(model), scale)
    net = bicubic(scale) if path is None else open_net(path).net
    if scale not in (None, scale_of(net)):
        raise ValueError(f"{model} enlarges by {scale_of(net)}, not by {scale}")
    return net.eval().to(device_named(device))


def upscale(
    image: ImageLike,
    model: str | Path = "unet",
    *,
    box: tuple[float, float, float, float] | None = None,
    scale: int | None = None,
    device: str = "auto",
    engine: str = "auto",
    back_projection: int | None = None,
    quality: float = NEVER_COMPRESSED,
    strength: float = 1.0,
) -> ImageLike:
    """Upscale a picture, or a crop of it.

    Args:
        image: a PIL image of any mode; an array (H, W) or (H, W, C) of uint8, uint16, or float on [0, 1], of which C 2
            and 4 have transparency; a tensor (C, H, W) or (N, C, H, W) of uint8, or float on [0, 1].
        model: ``unet``, ``unet_photo`` for JPEGs, ``vdsr``, ``srcnn``, ``ircnn``, ``bicubic``, or the path of a run or
            a file of weights.
        box: left, top, width, height of the crop, in whole pixels.
        scale: ``unet`` at 3 is ``unet_x3``; a power of a net's own takes several passes. None: the net's own.
        device: ``auto``, ``cpu``, ``cuda``.
        engine: ``torch``, ``openvino``, ``onnx``; ``auto`` is the fastest that is installed, once it pays.
        back_projection: steps after the net, so that the result shrunk by bicubic is the picture again; 0 for none;
            None for 2, and for none of a picture that was compressed.
        quality: JPEG quality of the picture, 1 to 100, which ``unet_photo`` is told; 100 is never compressed.
        strength: 0 is bicubic, 1 the net.

    Returns:
        The same kind of object, of the same type and on the same device. Floats are neither rounded nor clipped.

    Raises:
        ValueError: no such weights or scale, a box that is not of whole pixels inside, or no pixels.

    Example:
        >>> from zoomsr import upscale
        >>> photo = np.full((20, 30, 3), 128, np.uint8)
        >>> larger = upscale(photo, "bicubic", box=(5, 4, 10, 8))
        >>> larger.shape, larger.dtype.name, int(larger.max())
        ((16, 20, 3), 'uint8', 128)
    """
    path = weights_file(str(model), scale)
    stamp = None if path is None or not path.is_file() else (path.stat().st_mtime_ns, path.stat().st_size)
    how = NetOptions(device=device, engine=engine, back_projection=back_projection, strength=strength)
    upscaler = _opened(str(model), scale, how, quality, stamp)

    def larger(photograph: Photograph) -> Photograph:
        return upscaler.upscale(_cropped(photograph, box), scale=scale)

    return _over(image, larger)


def _over(image: ImageLike, larger: Callable[[Photograph], Photograph]) -> ImageLike:
    """A function of photographs, of a picture of another kind."""
    if isinstance(image, Image.Image):
        return larger(Photograph.of(image)).picture()
    if isinstance(image, np.ndarray):
        array = larger(_of_array(image[..., None] if image.ndim == 2 else image)).interleaved
        return (array[..., 0] if image.ndim == 2 else array).astype(image.dtype, copy=False)
    if isinstance(image, Tensor):
        return _over_tensor(image, lambda array: larger(_of_array(array)).interleaved)
    raise ValueError(f"cannot upscale a {type(image).__name__}: give a PIL image, an array or a tensor")


def _cropped(photograph: Photograph, box: tuple[float, float, float, float] | None) -> Photograph:
    if box is not None and (len(box) != 4 or any(value % 1 for value in box)):
        raise ValueError(f"box {tuple(box)} is not left, top, width, height, four whole numbers of pixels")
    if not photograph.pixels.size:
        raise ValueError(f"a picture of {photograph.size[1]}x{photograph.size[0]} pixels cannot be enlarged")
    return photograph if box is None else photograph.cropped(CropBox(*map(int, box)))


@lru_cache(maxsize=8)
def _opened(model: str, scale: int | None, how: NetOptions, quality: float, stamp: tuple[int, int] | None) -> Upscaler:
    """Cached for each ``stamp`` of the file, its time and size, which differ when a net was trained anew."""
    return Upscaler.open(model, scale, how, quality=quality)


def _of_array(array: PixelArray) -> Photograph:
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4:
        raise ValueError(f"pixels of shape {array.shape} are no picture: (H, W), or (H, W, C) with C from 1 to 4")
    array = array.astype(array.dtype.newbyteorder("="), copy=False)  # PyTorch takes no other byte order
    if array.dtype not in (np.uint8, np.uint16):
        if not np.issubdtype(array.dtype, np.floating):
            raise ValueError(f"pixels of {array.dtype} have no fixed white: give uint8, uint16, or floats on [0, 1]")
        array = array.astype(np.float32)
    return Photograph.with_pixels(array)


def _over_tensor(image: Tensor, function: Callable[[PixelArray], PixelArray]) -> Tensor:
    """Call a function of (H, W, C) arrays for each image of (N, C, H, W), or for (C, H, W)."""
    if image.ndim not in (3, 4) or not image.numel():
        raise ValueError(f"a tensor of shape {tuple(image.shape)} is no picture: (C, H, W), or (N, C, H, W)")
    batch = (image if image.ndim == 4 else image[None]).detach().cpu().permute(0, 2, 3, 1)
    batch = batch.float() if batch.is_floating_point() else batch  # NumPy has no bfloat16
    arrays = [torch.from_numpy(function(one)).permute(2, 0, 1) for one in batch.numpy()]
    return torch.stack(arrays).to(image) if image.ndim == 4 else arrays[0].to(image)
