"""Pictures that do not fit into memory: read, upscaled and written by parts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoomsr.imaging.decode import MAX_PIXELS, colours_of, describe, from_cmyk, opened, orientation_of
from zoomsr.imaging.encode import chunks_lost
from zoomsr.imaging.libvips import as_kind, libvips, reading, writing
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.pixels import PixelArray
from zoomsr.imaging.tiff import NO_EXIF, is_big, write_tiff
from zoomsr.inference.upscaler import Upscaler
from zoomsr.runs.files import atomic_write

_TYPES = {"uchar": np.uint8, "ushort": np.uint16}
TIFF_SUFFIXES = (".tif", ".tiff")


def upscale_file(
    source: Path, target: Path, upscaler: Upscaler, *, advance: Callable[[int], None]
) -> tuple[int, int, tuple[str, ...]]:
    """Upscale a picture of any size in constant memory, into a tiled TIFF.

    The output's pixels lie on the disk beside the target, uncompressed, until it is written.

    Returns:
        Height and width of the output, and notes on what of the file's metadata is lost.

    Raises:
        ValueError: a target that is no TIFF, pixels that are neither 8 nor 16 bit, or a format that is decoded as a
            whole.
        OSError: the target cannot be written.
    """
    if target.suffix.lower() not in TIFF_SUFFIXES:
        raise ValueError(f"{source} has more than {MAX_PIXELS:,} pixels: only a TIFF can hold the result, -o FILE.tif")
    picture, scale = PictureFile(source), upscaler.net.scale
    height, width, channels = scale * picture.shape[0], scale * picture.shape[1], picture.shape[2]
    target.parent.mkdir(parents=True, exist_ok=True)
    # Windows lets nobody open a file that is still open, nor remove one that libvips has not released.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".", ignore_cleanup_errors=True) as folder:
        raw = Path(folder, "pixels.raw")
        try:
            with raw.open("wb") as file:
                upscaler.into(picture, _RawFile(file, width, channels * picture.dtype.itemsize), advance=advance)
        except OSError as error:
            raise OSError(f"{target} cannot be written: {error.strerror or error}") from error
        pixels = libvips().Image.rawload(str(raw), width, height, channels, format=picture.format)
        image, description = as_kind(pixels, picture.description.dpi), picture.description
        with atomic_write(target) as file, writing(target):
            write_tiff(file, image, description, tiled=True)
        no_exif = [NO_EXIF] if description.exif is not None and is_big(image) else []
    return height, width, (*description.notes, *chunks_lost(description, ".tif"), *no_exif)


def read_region(source: Path, box: CropBox) -> Photograph:
    """A crop of a picture of any size.

    Raises:
        ValueError: a box that is not inside, pixels that are neither 8 nor 16 bit, or a format that is decoded as a
            whole.
    """
    picture = PictureFile(source)
    box.require_inside(picture.shape[0], picture.shape[1])
    return Photograph.with_pixels(picture[box.slices], picture.description)


class PictureFile:
    """A picture file as a ``TileSource``: only the part that is asked for is decoded. Alpha is last."""

    def __init__(self, path: Path) -> None:
        found = opened(path, access="random")
        with reading(path):
            self.description = describe(found, path)
            self._colours, self._path = colours_of(found, path), path
            found.set_type(libvips().GValue.gint_type, "orientation", orientation_of(found, path))
            self._upright = found.autorot()
        self.shape: tuple[int, ...] = (self._upright.height, self._upright.width, found.bands - (self._colours == 4))
        self.format: str = found.format
        self.dtype: np.dtype[Any] = np.dtype(_TYPES[self.format])

    def __getitem__(self, rows_columns: tuple[slice, slice]) -> PixelArray:
        rows, columns = rows_columns
        with reading(self._path):
            part = self._upright.crop(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
            pixels: PixelArray = part.numpy().reshape(part.height, part.width, -1)
        return from_cmyk(pixels) if self._colours == 4 else pixels


class _RawFile:
    """A file of raw pixels as a ``TileSink``, written row by row; nothing is kept in memory."""

    def __init__(self, file: Any, width: int, bytes_per_pixel: int) -> None:
        self._file, self._width, self._bytes = file, width, bytes_per_pixel

    def __setitem__(self, rows_columns: tuple[slice, slice], pixels: PixelArray) -> None:
        rows, columns = rows_columns
        for number, row in zip(range(rows.start, rows.stop), pixels, strict=True):
            self._file.seek((number * self._width + columns.start) * self._bytes)
            self._file.write(np.ascontiguousarray(row).data)
