"""Pictures that do not fit into memory: read, upscaled and written by parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoomsr.engines import installed
from zoomsr.imaging.decode import MAX_PIXELS, colours_of, describe, from_cmyk, opened, orientation_of
from zoomsr.imaging.encode import chunks_lost
from zoomsr.imaging.libvips import as_kind, libvips, reading, writing
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.pixels import PixelArray
from zoomsr.imaging.tiff import NO_EXIF, is_big, write_tiff
from zoomsr.inference.pre_shrink import PreShrink
from zoomsr.inference.route import Route
from zoomsr.inference.unfinished import Layout, resumable
from zoomsr.inference.upscaler import Upscaler
from zoomsr.runs.files import atomic_write, sha256_of
from zoomsr.runs.run import versions

_TYPES = {"uchar": np.uint8, "ushort": np.uint16}
TIFF_SUFFIXES = (".tif", ".tiff")


def streaming(source: Path, target: Path, route: Route, pre_shrink: PreShrink) -> Upscaler:
    """The net of a route that a picture which does not fit into memory can take.

    Raises:
        ValueError: it cannot be upscaled and written by parts; what can be done.
    """
    large = f"{source} has more than {MAX_PIXELS:,} pixels"
    if pre_shrink.factor != 1:
        raise ValueError(f"{large}: --pre-shrink goes with --box")
    if route.upscaler is None or not route.is_one_pass:
        wanted = f"{route.size[1]}x{route.size[0]}"
        raise ValueError(f"{large}: {wanted}, which is not one pass of {route.name}, goes with --box")
    if target.suffix.lower() not in TIFF_SUFFIXES:
        raise ValueError(f"{large}: only a TIFF can hold the result, -o FILE.tif")
    return route.upscaler


def raw_bytes(source: Path, pixels: int) -> int:
    """That so many output pixels take on the disk while they are computed. Raises ValueError as ``upscale_file``."""
    picture = PictureFile(source)
    return pixels * picture.shape[2] * picture.dtype.itemsize


def upscale_file(
    source: Path,
    target: Path,
    upscaler: Upscaler,
    *,
    advance: Callable[[int], None],
    skip: Callable[[int], None] = lambda pixels: None,
) -> tuple[int, int, tuple[str, ...]]:
    """Upscale a picture of any size in constant memory, into a tiled TIFF.

    The output's pixels lie on the disk beside the target, uncompressed, until it is written. Where an earlier call with
    the same input and the same upscaler was interrupted, this one resumes it: see ``zoomsr.inference.unfinished``.

    Args:
        source: the file.
        target: a TIFF.
        upscaler: see ``streaming``.
        advance: called with the number of output pixels that are done.
        skip: called with the number that an earlier call has done.

    Returns:
        Height and width of the output, and notes on what of the file's metadata is lost.

    Raises:
        ValueError: pixels that are neither 8 nor 16 bit, a format that is decoded as a whole, or another process writes
            the same target.
        OSError: the target cannot be written.
    """
    picture, scale = PictureFile(source), upscaler.net.scale
    height, width, channels = scale * picture.shape[0], scale * picture.shape[1], picture.shape[2]
    layout = Layout(height, width, channels * picture.dtype.itemsize, scale)
    with resumable(target, _made_by(source, upscaler), tile=upscaler.tile, layout=layout) as raw:
        skip(round(raw.share * height * width))
        replace(upscaler, tile=raw.tile).into(picture, raw, done=raw.done, advance=advance)
        raw.finish()
        pixels = libvips().Image.rawload(str(raw.path), width, height, channels, format=picture.format)
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


def _made_by(source: Path, upscaler: Upscaler) -> dict[str, Any]:
    """Everything that the pixels depend on but a cut into tiles that the user did not choose."""
    device, weights = upscaler.device, upscaler.weights
    return {
        "input": sha256_of(source),
        "net": upscaler.name if weights is None else sha256_of(weights),
        **upscaler.settings,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "engine": None if upscaler.engine is None else [upscaler.engine.choice, *installed()],
        "tile": upscaler.tile if upscaler.is_tile_given else None,
        "versions": versions(),
    }
