"""Pixels to picture files: which format holds what, and files that are whole or not there."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from zoomsr.imaging.libvips import as_vips
from zoomsr.imaging.metadata import Description
from zoomsr.imaging.pixels import PixelArray
from zoomsr.imaging.png import write_png
from zoomsr.imaging.tiff import NO_EXIF, is_big, write_tiff

OUTPUT_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")

_JPEG_SIDE, _WEBP_SIDE = 65_500, 16_383
_JPEG_EXIF = 65_533  # bytes of a segment


class Encoder(NamedTuple):
    """What writes the pixels into a file, and what of their description the format has no place for."""

    save: Callable[[BinaryIO], None]
    lost: tuple[str, ...]


def encoder(path: Path, pixels: PixelArray, description: Description, *, quality: int) -> Encoder:
    """What writes the pixels into a file, as the path's suffix says; nothing is written yet.

    Args:
        path: its name decides the format.
        pixels: (H, W, C) uint8 or uint16; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). JPEG and WebP get 8.
        description: what to write beside them.
        quality: of JPEG and WebP, 1 to 100.

    Raises:
        ValueError: an unknown suffix, or a format that cannot hold such a picture.
    """
    kind = path.suffix.lower()
    if kind not in OUTPUT_SUFFIXES:
        raise ValueError(f"{path} has no suffix that can be written: {' '.join(OUTPUT_SUFFIXES)}")
    icc, dpi, exif, _, colour = description
    if kind == ".png":
        return Encoder(lambda file: write_png(file, pixels, description), ())
    lost = [f"{kind[1:]} has no place for the {name.decode()} of a PNG" for name, _ in colour]
    if kind in (".tif", ".tiff"):
        image = as_vips(pixels, dpi)
        lost += [NO_EXIF] if exif is not None and is_big(image) else []
        return Encoder(lambda file: write_tiff(file, image, description), tuple(lost))
    height, width, channels = pixels.shape
    if kind in (".jpg", ".jpeg") and channels in (2, 4):
        raise ValueError(f"{path}: JPEG has no transparency; -o {path.with_suffix('.png').name} keeps it")
    most = _WEBP_SIDE if kind == ".webp" else _JPEG_SIDE
    if max(height, width) > most:
        raise ValueError(f"{path}: {width}x{height} is more than the {most} pixels of a side that {kind[1:]} can hold")
    options: dict[str, Any] = {"format": "JPEG", "quality": quality, "subsampling": 0}
    if kind == ".webp":
        options = {"format": "WEBP", "quality": quality}
        lost += ["webp has no place for the resolution"] if dpi else []
    elif exif is not None and len(exif) > _JPEG_EXIF:
        lost.append(f"{kind[1:]} has no place for {len(exif):,} bytes of EXIF")
        exif = None
    options |= {"icc_profile": icc, "dpi": dpi, "exif": exif}
    return Encoder(lambda file: _save_by_pillow(file, pixels, options), tuple(lost))


def as_picture(pixels: PixelArray) -> Image.Image:
    """Pixels (H, W, C) as an image of Pillow's."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def eight_bit(pixels: PixelArray) -> PixelArray:
    """uint16 to uint8, rounded; uint8 as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    rounded: PixelArray = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return rounded


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file under another name, which takes its own when all is written.

    Raises:
        ValueError: it cannot be written; what was there before is untouched.
    """
    end = os.fsencode(path.name)[-200:].decode(errors="ignore")  # a name has 255 bytes at most
    partial = path.with_name(f".{end}.{os.getpid()}.part")
    try:
        with partial.open("x+b") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _save_by_pillow(file: BinaryIO, pixels: PixelArray, options: dict[str, Any]) -> None:
    encoded = io.BytesIO()  # on a full disk Pillow itself would leave half a file, and not say so
    as_picture(eight_bit(pixels)).save(encoded, **{key: value for key, value in options.items() if value is not None})
    file.write(encoded.getbuffer())
