"""Pixels to image files: which format holds what."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, features

from zoomsr.imaging import heif, jxl
from zoomsr.imaging.libvips import as_vips
from zoomsr.imaging.metadata import Description, with_resolution
from zoomsr.imaging.pixels import PixelArray, to_8bit, white_of
from zoomsr.imaging.png import write_png
from zoomsr.imaging.tiff import NO_EXIF, is_big, write_tiff

_JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
OUTPUT_SUFFIXES = (".png", *_JPEG, ".webp", ".avif", ".tif", ".tiff", *heif.SUFFIXES, *jxl.SUFFIXES)

_MAX_SIDES = dict.fromkeys(_JPEG, 65_500)
_MAX_SIDES |= {".webp": 16_383, ".avif": 32_768}  # libavif reads no larger ones unless it is told to
_LIBRARIES = {suffix: module for module in (heif, jxl) for suffix in module.SUFFIXES}
_MAX_SIDES |= {suffix: module.MAX_SIDE for suffix, module in _LIBRARIES.items()}
_JPEG_EXIF, _JPEG_XMP = 65_533, 65_504  # bytes of a segment, without its own name


class Encoder(NamedTuple):
    """Writes the pixels into a file; and what of their description the format has no place for."""

    save: Callable[[BinaryIO], object]
    lost: tuple[str, ...]


def encoder(path: Path, pixels: PixelArray, description: Description, *, quality: int) -> Encoder:
    """An encoder for the format of the path's suffix; nothing is written yet.

    Args:
        path: its name decides the format.
        pixels: (H, W, C) uint8 or uint16; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). JPEG, WebP and AVIF
            get 8 bit, HEIC 10.
        description: what to write beside them.
        quality: of JPEG, WebP, AVIF, HEIC and JPEG XL, 1 to 100.

    Raises:
        ValueError: an unknown suffix, one that nothing installed writes, or a format that cannot hold such a picture.
    """
    kind = path.suffix.lower()
    require_writable(path)
    height, width, channels = pixels.shape
    is_transparent = kind in _JPEG and channels in (2, 4) and bool((pixels[..., -1] != white_of(pixels.dtype)).any())
    require_holds(path, (height, width), is_transparent=is_transparent)
    if kind == ".png":
        return Encoder(lambda file: write_png(file, pixels, description), ())
    lost = chunks_lost(description, kind)
    if kind in (".tif", ".tiff"):
        image = as_vips(pixels, description.dpi)
        lost += [NO_EXIF] if description.exif is not None and is_big(image) else []
        return Encoder(lambda file: write_tiff(file, image, description), tuple(lost))
    writes_rgb = channels == 2 if kind in heif.SUFFIXES else channels < 3 and kind in (".webp", ".avif")
    if writes_rgb and description.icc is not None:
        description = replace(description, icc=None)
        lost.append(f"{kind[1:]} has no place for the profile of a grey picture")
    if pixels.dtype == np.uint16 and kind not in jxl.SUFFIXES:
        lost.append(f"{kind[1:]} keeps {heif.WRITTEN_BITS if kind in heif.SUFFIXES else 8} of its 16 bits")
    if kind in _LIBRARIES:
        encoded = partial(_LIBRARIES[kind].encoded, pixels, description, quality=quality, path=path)
        return Encoder(lambda file: file.write(encoded()), tuple(lost))
    options: dict[str, Any] = {"icc_profile": description.icc, "dpi": description.dpi, "exif": description.exif}
    options["xmp"] = description.xmp
    if kind not in _JPEG:
        options |= {"format": kind[1:].upper(), "exif": with_resolution(description.exif, description.dpi)}
        options |= {"subsampling": "4:4:4"} if kind == ".avif" else {}
    else:
        pixels = pixels[..., : channels - (channels in (2, 4))]
        options |= {"format": "JPEG", "subsampling": 0}
        if len(description.exif or b"") > _JPEG_EXIF:
            lost.append(f"{kind[1:]} has no place for {len(options.pop('exif')):,} bytes of EXIF")
        if len(description.xmp or b"") > _JPEG_XMP:
            lost.append(f"{kind[1:]} has no place for {len(options.pop('xmp')):,} bytes of XMP")
    return Encoder(lambda file: _save_by_pillow(file, pixels, options | {"quality": quality}), tuple(lost))


def require_holds(path: Path, size: tuple[int, int], *, is_transparent: bool) -> None:
    """Raise ValueError where the format of the path's suffix holds no such (height, width), or no transparency."""
    kind = path.suffix.lower()
    if is_transparent and kind in _JPEG:
        raise ValueError(f"{path}: JPEG has no transparency; -o {path.with_suffix('.png').name} keeps it")
    if max(size) > (most := _MAX_SIDES.get(kind, max(size))):
        height, width = size
        raise ValueError(f"{path}: {width}x{height} is more than the {most} pixels of a side that {kind[1:]} can hold")


def require_writable(path: Path) -> None:
    """Raise ValueError where no file with the path's suffix can be written here."""
    if (kind := path.suffix.lower()) not in OUTPUT_SUFFIXES:
        raise ValueError(f"{path} has no suffix that can be written: {' '.join(OUTPUT_SUFFIXES)}")
    if kind in _LIBRARIES:
        _LIBRARIES[kind].require_writable(path)
    if kind == ".avif" and not features.check("avif"):
        raise ValueError(
            f"{path}: the Pillow that is installed knows no AVIF: pip install -U pillow, or another format"
        )


def chunks_lost(description: Description, suffix: str) -> list[str]:
    """A line for each colour chunk of a PNG that the format has no place for; HEIC has one for cICP."""
    names = [name.decode() for name, _ in description.colour]
    if suffix in heif.SUFFIXES and description.icc is None:
        names = [name for name in names if name != "cICP"]
    return [f"{suffix[1:]} has no place for its {name}, which says how its colours are to be seen" for name in names]


def as_picture(pixels: PixelArray) -> Image.Image:
    """Pixels (H, W, C) as a Pillow image."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _save_by_pillow(file: BinaryIO, pixels: PixelArray, options: dict[str, Any]) -> None:
    encoded = io.BytesIO()  # on a full disk Pillow itself would leave half a file without an error
    as_picture(to_8bit(pixels)).save(encoded, **{key: value for key, value in options.items() if value is not None})
    file.write(encoded.getbuffer())
