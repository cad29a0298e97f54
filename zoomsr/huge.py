"""Pictures that do not fit into memory: read, enlarged and written by parts, with libvips (the ``huge`` extra)."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from zoomsr.encoding import Pixels
from zoomsr.image import MOST_PIXELS
from zoomsr.photograph import Box, Photograph
from zoomsr.screen import say
from zoomsr.zoomer import Zoomer

_TYPES = {"uchar": np.uint8, "ushort": np.uint16}
_SUFFIXES = (".tif", ".tiff")


def enlarge_file(
    source: Path, target: Path, zoomer: Zoomer, *, overwrite: bool, advance: Callable[[int], None]
) -> None:
    """Enlarge a picture of any size in constant memory, into a tiled BigTIFF; transparency is left out.

    The output's pixels lie on the disk beside the target, uncompressed, until it is written.

    Raises:
        ValueError: no pyvips, a target that is no TIFF or is there already, pixels that are neither 8 nor 16 bit.
    """
    vips = _pyvips(source)
    if target.suffix.lower() not in _SUFFIXES:
        raise ValueError(f"{source} has more than {MOST_PIXELS:,} pixels: only a TIFF can hold its double, -o FILE.tif")
    if target.exists() and not overwrite:
        raise ValueError(f"{target} is there already: --overwrite replaces it")
    try:
        picture = _opened(vips, source)
        scale = zoomer.net.scale
        shape = (scale * picture.shape[0], scale * picture.shape[1], picture.shape[2])
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=f".{target.stem}", suffix=".raw") as raw:
            zoomer.into(picture, _RawFile(raw, shape, picture.dtype), advance=advance)
            raw.flush()
            _write(vips, Path(raw.name), target, shape, picture)
    except (vips.Error, OSError) as error:
        raise ValueError(f"{source}: {' '.join(str(error).split())}") from None
    say({zoomer.name: f"{target}  {shape[1]}x{shape[0]}"})


def read_area(source: Path, box: Box) -> Photograph:
    """An area of a picture of any size; transparency is left out.

    Raises:
        ValueError: no pyvips, a box that is not inside, pixels that are neither 8 nor 16 bit.
    """
    vips = _pyvips(source)
    try:
        picture = _opened(vips, source)
        box.require_inside(picture.shape[0], picture.shape[1])
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        return Photograph(picture[rows, columns], icc=picture.icc)
    except (vips.Error, OSError) as error:
        raise ValueError(f"{source}: {' '.join(str(error).split())}") from None


def _opened(vips: Any, source: Path) -> _Picture:
    # vips remembers files by name; this one may have changed.
    opened = vips.Image.new_from_file(str(source), access="random", fail_on="truncated", revalidate=True)
    return _Picture(opened.autorot(), source)


class _Picture:
    """A vips image as tiles are cut from it: only what is asked for is decoded."""

    def __init__(self, picture: Any, path: Path) -> None:
        if picture.format not in _TYPES or picture.bands not in (1, 2, 3, 4):
            found = f"{picture.bands} bands of {picture.format}"
            raise ValueError(f"{path} holds {found}: save it as 8 or 16 bit grey or RGB")
        colours = picture.bands - (picture.bands in (2, 4))
        self.vips = picture.extract_band(0, n=colours) if colours < picture.bands else picture
        self.shape: tuple[int, ...] = (picture.height, picture.width, colours)
        self.dtype: np.dtype[Any] = np.dtype(_TYPES[picture.format])

    @property
    def icc(self) -> bytes | None:
        """Colour profile."""
        name = "icc-profile-data"
        return bytes(self.vips.get(name)) if self.vips.get_typeof(name) else None

    def __getitem__(self, area: tuple[slice, slice]) -> Pixels:
        rows, columns = area
        part = self.vips.crop(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        pixels: Pixels = part.numpy().reshape(part.height, part.width, -1)
        return pixels


class _RawFile:
    """Pixels on the disk, row by row; nothing of them is kept in memory."""

    def __init__(self, file: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._file, self._width, self._pixel = file, shape[1], shape[2] * dtype.itemsize

    def __setitem__(self, area: tuple[slice, slice], pixels: Pixels) -> None:
        rows, columns = area
        for number, row in zip(range(rows.start, rows.stop), pixels, strict=True):
            self._file.seek((number * self._width + columns.start) * self._pixel)
            self._file.write(np.ascontiguousarray(row).data)


def _write(vips: Any, raw: Path, target: Path, shape: tuple[int, ...], picture: _Picture) -> None:
    kinds = {1: "b-w", 3: "srgb"} if picture.dtype == np.uint8 else {1: "grey16", 3: "rgb16"}
    names = {np.dtype(kind): name for name, kind in _TYPES.items()}
    pixels = vips.Image.rawload(str(raw), shape[1], shape[0], shape[2], format=names[picture.dtype])
    pixels = pixels.copy(interpretation=kinds[shape[2]], xres=picture.vips.xres, yres=picture.vips.yres)
    if picture.icc is not None:
        pixels.set_type(vips.GValue.blob_type, "icc-profile-data", picture.icc)
    partial = target.with_name(f".{target.name}.part")
    try:
        pixels.tiffsave(str(partial), compression="deflate", predictor="horizontal", tile=True, bigtiff=True)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _pyvips(source: Path) -> Any:
    try:
        import pyvips

        logging.getLogger("pyvips").setLevel(logging.CRITICAL)  # it logs calls, and errors that it also raises
    except ImportError:
        extra = "pip install zoomsr[huge] enlarges it by parts"
        raise ValueError(f"{source} has more than {MOST_PIXELS:,} pixels: {extra}") from None
    return pyvips
