"""Pictures that do not fit into memory: read, enlarged and written by parts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoomsr.cli.console import say
from zoomsr.imaging.decode import MAX_PIXELS, colours_of, describe, from_cmyk, opened, orientation_of
from zoomsr.imaging.libvips import as_kind, libvips, reading, writing
from zoomsr.imaging.metadata import Description
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.pixels import PixelArray
from zoomsr.imaging.tiff import NO_EXIF, is_big, write_tiff
from zoomsr.inference.upscaler import Upscaler
from zoomsr.runs.files import atomic_write

_TYPES = {"uchar": np.uint8, "ushort": np.uint16}
_SUFFIXES = (".tif", ".tiff")


def upscale_file(
    source: Path, target: Path, upscaler: Upscaler, *, overwrite: bool, advance: Callable[[int], None]
) -> None:
    """Enlarge a picture of any size in constant memory, into a tiled TIFF.

    The output's pixels lie on the disk beside the target, uncompressed, until it is written.

    Raises:
        ValueError: a target that is no TIFF or is there already, pixels that are neither 8 nor 16 bit, or a format that
            is decoded as a whole.
    """
    if target.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"{source} has more than {MAX_PIXELS:,} pixels: only a TIFF can hold its double, -o FILE.tif")
    if target.exists() and not overwrite:
        raise ValueError(f"{target} is there already: --overwrite replaces it")
    picture = _Picture(source)
    scale = upscaler.net.scale
    shape = (scale * picture.shape[0], scale * picture.shape[1], picture.shape[2])
    try:
        # Windows lets nobody open a file that is still open, nor remove one that libvips has not let go.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".", ignore_cleanup_errors=True) as folder:
            raw = Path(folder, "pixels.raw")
            with raw.open("wb") as file:
                upscaler.into(picture, _RawFile(file, shape, picture.dtype), advance=advance)
            notes = _write(raw, target, shape, picture)
    except OSError as error:
        raise ValueError(f"{target} cannot be written: {error.strerror or error}") from error
    for note in notes:
        say({"note": f"{source}: {note}"})
    say({upscaler.name: f"{target}  {shape[1]}x{shape[0]}"})


def read_region(source: Path, box: CropBox) -> Photograph:
    """An area of a picture of any size.

    Raises:
        ValueError: a box that is not inside, pixels that are neither 8 nor 16 bit, or a format that is decoded as a
            whole.
    """
    picture = _Picture(source)
    box.require_inside(picture.shape[0], picture.shape[1])
    rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
    return Photograph.with_pixels(picture[rows, columns], picture.description)


class _Picture:
    """A picture file as tiles are cut from it: only what is asked for is decoded. Alpha is last of 2 or 4 channels."""

    def __init__(self, path: Path) -> None:
        found = opened(path, access="random")
        with reading(path):
            self.description: Description = describe(found, path)
            self._colours, self._path = colours_of(found, path), path
            found.set_type(libvips().GValue.gint_type, "orientation", orientation_of(found, path))
            self._upright = found.autorot()
        channels = found.bands - (self._colours == 4)
        self.shape: tuple[int, ...] = (self._upright.height, self._upright.width, channels)
        self.dtype: np.dtype[Any] = np.dtype(_TYPES[found.format])

    def __getitem__(self, area: tuple[slice, slice]) -> PixelArray:
        rows, columns = area
        with reading(self._path):
            part = self._upright.crop(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
            pixels: PixelArray = part.numpy().reshape(part.height, part.width, -1)
        return from_cmyk(pixels) if self._colours == 4 else pixels


class _RawFile:
    """Pixels on the disk, row by row; nothing of them is kept in memory."""

    def __init__(self, file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file, self._width, self._pixel = file, shape[1], shape[2] * dtype.itemsize

    def __setitem__(self, area: tuple[slice, slice], pixels: PixelArray) -> None:
        rows, columns = area
        for number, row in zip(range(rows.start, rows.stop), pixels, strict=True):
            self._file.seek((number * self._width + columns.start) * self._pixel)
            self._file.write(np.ascontiguousarray(row).data)


def _write(raw: Path, target: Path, shape: tuple[int, ...], picture: _Picture) -> tuple[str, ...]:
    description = picture.description
    is_deep, (height, width, channels) = picture.dtype == np.uint16, shape
    pixels = libvips().Image.rawload(str(raw), width, height, channels, format="ushort" if is_deep else "uchar")
    image = as_kind(pixels, description.dpi)
    with atomic_write(target) as file, writing(target):
        write_tiff(file, image, description, tiled=True)
    lost = [f"tif has no place for the {name.decode()} of a PNG" for name, _ in description.colour]
    return (*description.notes, *lost, *([NO_EXIF] if description.exif is not None and is_big(image) else []))
