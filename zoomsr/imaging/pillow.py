"""What Pillow reads: plain pictures for training, formats that libvips does not know, and pictures from memory."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from zoomsr.imaging.libvips import reading
from zoomsr.imaging.metadata import quiet
from zoomsr.imaging.pixels import PixelArray, full_range

_LIMIT = threading.Lock()

logging.getLogger("PIL").setLevel(logging.CRITICAL)  # it logs errors that it also raises


def refused(name: object, kind: str) -> ValueError:
    """The error for pixels of a kind that is not supported."""
    return ValueError(f"{name} holds {kind}: save it as 8 or 16 bit grey or RGB")


def without_white(name: object, *, is_float: bool) -> ValueError:
    """The error for pixels whose type says nothing of the value of white."""
    return refused(name, f"{'floating-point pixels' if is_float else '32-bit integers'}, which have no fixed white")


def open_picture(path: Path) -> Image.Image:
    """Open a file by Pillow and read its header, whatever the number of pixels in it; see
    ``zoomsr.imaging.decode.require_decodable``.

    Raises:
        ValueError: not an image.
    """
    with _LIMIT, reading(path):  # the limit is global to the process
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with quiet():
                picture = Image.open(path)
            if picture.format == "EPS":  # a program, which Pillow would give to Ghostscript
                picture.close()
                raise UnidentifiedImageError
            return picture
        except UnidentifiedImageError as error:
            if path.suffix.lower() == ".avif" and not features.check("avif"):
                raise ValueError(
                    f"{path}: the Pillow that is installed knows no AVIF: pip install -U pillow"
                ) from error
            raise ValueError(f"{path} is not an image that can be read") from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def array_of(picture: Image.Image, name: str) -> PixelArray:
    """(H, W, C) uint8, or uint16 for 16-bit grey, of a Pillow image; of 16-bit colour the upper byte.

    Args:
        picture: of any mode.
        name: what to call it in an error.

    Raises:
        ValueError: of a pixel type without a fixed white.
    """
    mode = picture.mode
    if mode.startswith("I"):
        grey = np.asarray(picture)
        if grey.size and (grey.min() < 0 or grey.max() > 65535):
            raise without_white(name, is_float=False)
        return grey.astype(np.uint16)[..., None]
    if mode == "F":
        raise without_white(name, is_float=True)
    if mode in ("LAB", "HSV"):
        raise refused(name, f"{mode} pixels")
    has_alpha = mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info
    target = ("L" if mode in ("1", "L", "LA", "La") else "RGB") + ("A" if has_alpha else "")
    pixels = np.asarray(picture if mode == target else picture.convert(target))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def array_in(picture: Image.Image, path: Path) -> PixelArray:
    """(H, W, C) uint8 or uint16 of an opened file: all its bits, and alpha."""
    if picture.format == "PPM" and (deep := _deep_pnm(path)) is not None:
        return deep
    alpha = _bmp_alpha(picture, path) if picture.format == "BMP" else None  # before decoding clears picture.tile
    array = array_of(picture, str(path))
    if alpha is not None:
        return np.concatenate([array, alpha], axis=2)
    is_12bit = picture.format == "TIFF" and array.dtype == np.uint16
    return full_range(array, 4095) if is_12bit else array


def _deep_pnm(path: Path) -> PixelArray | None:
    """All bits of a binary PGM or PPM of more than 8 bits, of which Pillow would keep 8; None of any other."""
    data = path.read_bytes()
    head = re.match(rb"P([56])" + rb"(?:\s|#[^\n]*\n)+(\d+)" * 3 + rb"\s", data)
    if head is None or (white := int(head[4])) < 256:
        return None
    channels, width, height = 1 if head[1] == b"5" else 3, int(head[2]), int(head[3])
    stored = np.frombuffer(data, ">u2", width * height * channels, head.end()).reshape(height, width, channels)
    return full_range(stored, white)


def _bmp_alpha(picture: Image.Image, path: Path) -> PixelArray | None:
    """(H, W, 1) of the fourth byte of a BMP's pixels, if any is set: then it is alpha, whatever the header says."""
    _, _, offset, arguments = picture.tile[0]  # type: ignore[attr-defined]
    if arguments[0] != "BGRX":
        return None
    count = picture.width * picture.height
    alpha = np.fromfile(path, np.uint8, 4 * count, offset=offset)[3::4].reshape(picture.height, picture.width, 1)
    return (alpha[::-1] if arguments[2] < 0 else alpha) if alpha.any() else None
