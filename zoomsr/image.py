"""Files to tensors and back: the one place that knows about modes, EXIF, 16 bit, rounding, luma and borders.

An image tensor is float32 RGB in [0, 1], (3, H, W). Its 8-bit form, uint8 (3, H, W), lives in this file, in the
pixel store and on the wire to the device, and nowhere else.
"""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})

MOST_PIXELS = 178_956_970
"""Of a picture that is decoded as a whole; where Pillow, too, speaks of a bomb."""

_PILLOW_LIMIT = threading.Lock()

_ORIENTATION = 0x0112  # the EXIF tag

# ITU-R BT.601 studio swing, as MATLAB's rgb2ycbcr: Y = 16 + 65.481 R + 128.553 G + 24.966 B with R, G, B in [0, 1].
_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_LUMA_OFFSET = 16 / 255
LUMA_RANGE = 219 / 255
"""Luma of white minus luma of black. Adding d / LUMA_RANGE to R, G and B adds d to Y and leaves Cb and Cr alone."""


def size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright picture, read from the header: no pixel is decoded.

    Raises:
        ValueError: the file is no image.
    """
    with open_picture(path) as picture:
        width, height = picture.size
        # A PNG without EXIF in its head would be decoded to look for it behind the pixels.
        has_exif = "exif" in picture.info or picture.format == "TIFF"
        turned = has_exif and picture.getexif().get(_ORIENTATION, 1) >= 5  # EXIF orientations 5 to 8 swap the sides
    return (width, height) if turned else (height, width)


def is_grey(path: Path) -> bool:
    """Whether the file has one channel of brightness (a grey picture may also be stored as RGB: that is not grey).

    Raises:
        ValueError: the file is no image.
    """
    with open_picture(path) as picture:
        return picture.mode in ("1", "L", "LA", "La") or picture.mode.startswith("I")


def read(path: Path) -> Tensor:
    """Read any picture as uint8 RGB (3, H, W), upright.

    Grey and palette become RGB, alpha is dropped (colours stay as they are stored), 16 bit becomes 8 bit by
    rounding (colour: Pillow drops the lower byte), CMYK is converted, the EXIF orientation is applied.

    Raises:
        ValueError: not an image, truncated, or of a pixel type without a fixed range; the message names the file.
    """
    try:
        with open_picture(path) as picture:
            require_decodable(picture, path)
            pixels = np.asarray(_to_rgb(_upright(picture), path))
    except (OSError, SyntaxError) as error:  # Pillow raises SyntaxError for a broken PNG chunk
        raise ValueError(f"{path} is damaged or truncated: {error}") from error
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))  # ten times as fast as torch's


def write(path: Path, image: Tensor) -> None:
    """Write a float (3, H, W) or (1, H, W) image in [0, 1] as 8 bit; the format follows the suffix.

    The file appears whole or not at all: it is written under another name and then renamed.
    """
    pixels = quantize(image).permute(1, 2, 0).cpu().numpy()
    picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        picture.save(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def jpeg(pixels: Tensor, *, quality: int) -> Tensor:
    """What a JPEG file keeps of uint8 (3, H, W) or (1, H, W), by libjpeg with its usual halved chroma."""
    stacked = pixels.permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    Image.fromarray(stacked if stacked.shape[2] == 3 else stacked[:, :, 0]).save(file, "JPEG", quality=quality)
    decoded = np.array(Image.open(file)).reshape(stacked.shape)
    return torch.from_numpy(decoded).permute(2, 0, 1).contiguous().to(pixels.device)


def quantize(image: Tensor) -> Tensor:
    """[0, 1] float to uint8: clipped, then floor(255 x + 0.5), which is how MATLAB rounds."""
    return image.clamp(0, 1).mul(255).add(0.5).floor().to(torch.uint8)


def to_float(pixels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 to float in [0, 1]."""
    return pixels.to(dtype).div_(255)


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


def open_picture(path: Path) -> Image.Image:
    """Open a file and read its header, however many pixels it promises; see ``require_decodable``.

    Raises:
        ValueError: not an image.
    """
    with _PILLOW_LIMIT:  # a setting of the whole process
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        except UnidentifiedImageError as error:
            raise ValueError(f"{path} is not an image that Pillow can read") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def require_decodable(picture: Image.Image, path: Path) -> None:
    """Raises ValueError where decoding would fill the memory: a bomb, or a job for the ``huge`` extra."""
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"{path} has more than {MOST_PIXELS:,} pixels")


def _upright(picture: Image.Image) -> Image.Image:
    # Only where it is turned: Pillow copies every other picture too, which is a tenth of the decoding.
    return ImageOps.exif_transpose(picture) if picture.getexif().get(_ORIENTATION, 1) != 1 else picture


def _to_rgb(picture: Image.Image, path: Path) -> Image.Image:
    if picture.mode.startswith("I"):  # "I;16" and its byte orders; Pillow opens a 16-bit grey PNG so
        grey = np.asarray(picture).astype(np.int64)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(f"{path} holds 32-bit integers, which have no fixed white: save it as 8 or 16 bit")
        picture = Image.fromarray(((grey + 128) // 257).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError(f"{path} holds floating-point pixels, which have no fixed white: save it as 8 or 16 bit")
    if picture.mode == "RGB":
        return picture  # convert() would copy it
    # Through RGBA, because a palette with transparency loses its colours when converted directly.
    return picture.convert("RGBA").convert("RGB") if picture.mode == "P" else picture.convert("RGB")
