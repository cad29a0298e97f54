"""Pixels to picture files: which format holds what, and files that are whole or not there."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoomsr.png import write_png

Pixels = NDArray[Any]

OUTPUT_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")

_JPEG_SIDE, _WEBP_SIDE = 65_500, 16_383


def encoder(
    path: Path,
    pixels: Pixels,
    *,
    icc: bytes | None,
    dpi: tuple[float, float] | None,
    exif: bytes | None,
    quality: int,
) -> Callable[[BinaryIO], None]:
    """What writes the pixels into a file, as the path's suffix says; nothing is written yet.

    Args:
        path: its name decides the format.
        pixels: (H, W, C) uint8 or uint16; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). JPEG and WebP get 8.
        icc: colour profile.
        dpi: horizontal and vertical.
        exif: with its ``Exif`` header.
        quality: of JPEG and WebP, 1 to 100.

    Raises:
        ValueError: an unknown suffix, or a format that cannot hold such a picture.
    """
    kind = path.suffix.lower()
    if kind not in OUTPUT_SUFFIXES:
        raise ValueError(f"{path} has no suffix that can be written: {' '.join(OUTPUT_SUFFIXES)}")
    if kind == ".png":
        block = None if exif is None else exif.removeprefix(b"Exif\0\0")
        return lambda file: write_png(file, pixels, icc=icc, dpi=dpi, exif=block)
    if kind in (".tif", ".tiff") and pixels.dtype == np.uint16:
        return lambda file: _save_deep_tiff(file, pixels, icc=icc, dpi=dpi)
    height, width, channels = pixels.shape
    if kind in (".jpg", ".jpeg") and channels in (2, 4):
        raise ValueError(f"{path}: JPEG has no transparency; -o {path.with_suffix('.png').name} keeps it")
    most = {".jpg": _JPEG_SIDE, ".jpeg": _JPEG_SIDE, ".webp": _WEBP_SIDE}.get(kind, max(height, width))
    if max(height, width) > most:
        raise ValueError(f"{path}: {width}x{height} is more than the {most} pixels of a side that {kind[1:]} can hold")
    options: dict[str, Any] = {"format": "JPEG", "quality": quality, "subsampling": 0}
    if kind == ".webp":
        options = {"format": "WEBP", "quality": quality}
    elif kind in (".tif", ".tiff"):
        options = {"format": "TIFF", "compression": "tiff_adobe_deflate"}
    return lambda file: _save_by_pillow(file, pixels, options | {"icc_profile": icc, "dpi": dpi, "exif": exif})


def as_picture(pixels: Pixels) -> Image.Image:
    """Pixels (H, W, C) as an image of Pillow's."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def eight_bit(pixels: Pixels) -> Pixels:
    """uint16 to uint8, rounded; uint8 as it is."""
    if pixels.dtype == np.uint8:
        return pixels
    rounded: Pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return rounded


@contextlib.contextmanager
def whole_or_not_at_all(path: Path) -> Iterator[BinaryIO]:
    """A file under another name, which takes its own when all is written.

    Raises:
        ValueError: it cannot be written; what was there before is untouched.
    """
    end = os.fsencode(path.name)[-200:].decode(errors="ignore")  # a name has 255 bytes at most
    partial = path.with_name(f".{end}.{os.getpid()}.part")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _save_by_pillow(file: BinaryIO, pixels: Pixels, options: dict[str, Any]) -> None:
    encoded = io.BytesIO()  # on a full disk Pillow itself would leave half a file, and not say so
    as_picture(eight_bit(pixels)).save(encoded, **{key: value for key, value in options.items() if value is not None})
    file.write(encoded.getbuffer())


def _save_deep_tiff(file: BinaryIO, pixels: Pixels, *, icc: bytes | None, dpi: tuple[float, float] | None) -> None:
    import tifffile  # late: only 16-bit TIFF needs it, of which Pillow writes none in colour

    channels = pixels.shape[2]
    tifffile.imwrite(
        file,
        pixels[..., 0] if channels == 1 else pixels,
        photometric="rgb" if channels > 2 else "minisblack",
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        planarconfig="contig" if channels > 1 else None,
        compression="zlib",
        iccprofile=icc,
        resolution=dpi,
        resolutionunit=None if dpi is None else "inch",
        metadata=None,
    )
