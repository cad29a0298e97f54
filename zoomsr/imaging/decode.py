"""Picture files to pixels: libvips, and Pillow for the formats that libvips has no reader for (BMP, PNM, ...)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoomsr.imaging.libvips import as_vips, libvips, reading
from zoomsr.imaging.metadata import (
    COLOUR_CHUNKS,
    Description,
    exif_in,
    exif_of,
    is_resolution,
    kept_in,
    orientation_in,
    png_chunks,
    png_resolution,
    profile_fits,
)
from zoomsr.imaging.pillow import SAVE, array_in, open_picture
from zoomsr.imaging.pixels import PixelArray

MAX_PIXELS = 178_956_970
"""Of a picture that is decoded as a whole; where Pillow, too, speaks of a bomb."""

_MAX_WIDTH = 2**18  # of a picture that is decoded row by row: some dozens of rows stand in memory
_SEGMENT = 65_000  # of a JPEG: bytes that one nearly fills
_LOADERS = {"jpegload": "JPEG", "pngload": "PNG", "tiffload": "TIFF", "webpload": "WEBP", "gifload": "GIF"}
_WIDTH, _BITS, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 256, 258, 278, 322, 323  # TIFF tags


def opened(path: Path, *, access: str = "sequential") -> Any:
    """A file as an image of libvips, as its pixels are stored: not upright. Decoded when its pixels are asked for.

    Formats that Pillow reads are decoded here.

    Args:
        path: of the file.
        access: ``sequential`` reads it once from top to bottom, ``random`` any part at any time.

    Raises:
        ValueError: no image, or one of too many pixels to decode as a whole; the file is named.
    """
    vips = libvips()
    with reading(path):
        try:
            with path.open("rb") as file:
                source = vips.Source.new_from_descriptor(file.fileno())
                found = vips.Image.new_from_source(source, "", access=access, fail_on="error")
            if format_of(found) is None:
                raise vips.Error(f"{found.get('vips-loader')} is not used")
        except vips.Error as refusal:
            return _by_pillow(path, refusal)
        if access != "random" or not _has_parts(found, path):
            require_decodable(found.width, found.height, path)
        return found


def format_of(found: Any) -> str | None:
    """``TIFF``, as Pillow calls it, or None of what libvips has not read."""
    loader = found.get("vips-loader") if found.get_typeof("vips-loader") else ""
    return _LOADERS.get(loader.removesuffix("_source"))


def colours_of(found: Any, path: Path) -> int:
    """How many channels hold colour: 1 grey, 3 RGB, 4 CMYK; one more is alpha.

    Raises:
        ValueError: pixels of another kind.
    """
    if found.format in ("float", "double"):
        raise ValueError(f"{path} holds floating-point pixels, which have no fixed white: {SAVE}")
    if found.format in ("uint", "int"):
        raise ValueError(f"{path} holds 32-bit integers, which have no fixed white: {SAVE}")
    colours = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb16": 3, "cmyk": 4}.get(found.interpretation, 0)
    if found.format not in ("uchar", "ushort") or found.bands - colours not in (0, 1) or colours == 0:
        kind = f"{found.bands} channels of {found.format} ({found.interpretation})"
        raise ValueError(f"{path} holds {kind}: {SAVE}")
    return colours


def orientation_of(found: Any, path: Path) -> int:
    """EXIF's, 1 to 8."""
    kind = format_of(found)
    if kind == "PNG":  # where libvips does not look for it
        return orientation_in(exif_in(png_chunks(path).get(b"eXIf", b"")))
    if kind in ("JPEG", "WEBP"):  # as ``files`` reads it, also if it is of another type than it should be
        return orientation_in(exif_in(_exif_block(found)))
    value = found.get("orientation") if found.get_typeof("orientation") else 1
    return value if value in range(1, 9) else 1


def describe(found: Any, path: Path) -> Description:
    """What the file says beside its pixels. What cannot be kept is a note."""
    notes, chunks = [], png_chunks(path) if format_of(found) == "PNG" else {}
    frames = int.from_bytes(chunks.get(b"acTL", b"")[:4], "big")  # of a PNG
    if found.get_typeof("n-pages"):
        frames = found.get("n-pages")
    if frames > 1:
        notes.append(f"frame 1 of {frames}")
    profile = bytes(found.get("icc-profile-data")) if found.get_typeof("icc-profile-data") else None
    colours = colours_of(found, path)
    if colours == 4:
        notes.append("CMYK became RGB")
        profile = None
    elif (profile is None and b"iCCP" in chunks) or not (profile is None or profile_fits(profile, colours)):
        notes.append("its colour profile is not for such pixels, and is left out")
        profile = None
    stated = png_resolution(chunks[b"pHYs"]) if b"pHYs" in chunks else None
    if found.get_typeof("resolution-unit"):
        stated = (round(found.xres * 25.4, 4), round(found.yres * 25.4, 4))  # TIFF's are 32-bit floats in libvips
    dpi = stated if stated and is_resolution(stated) else None
    if stated != dpi:
        notes.append("its resolution is none that a picture has, and is left out")
    exif, lost = _exif(found, path, chunks)
    if lost:
        notes.append(f"of its EXIF these are damaged, and left out: {', '.join(lost)}")
    colour = tuple((name, chunks[name]) for name in COLOUR_CHUNKS if name in chunks)
    return Description(profile, dpi, exif, tuple(notes), colour)


def _exif(found: Any, path: Path, chunks: dict[bytes, bytes]) -> tuple[bytes | None, list[str]]:
    kind = format_of(found)
    if kind == "TIFF":
        exif = tiff_exif(path)
        return (None, []) if exif is None else kept_in(exif)
    block = chunks.get(b"eXIf", b"") if kind == "PNG" else _exif_block(found)
    if len(block) > _SEGMENT and kind == "JPEG":
        with open_picture(path) as picture:  # which joins what is spread over several segments
            block = picture.info.get("exif", block)
    exif = exif_in(block)
    return (None, ["all entries"] if block else []) if exif is None else kept_in(exif)


def pixels_of(found: Any, path: Path) -> PixelArray:
    """(H, W, C) uint8 or uint16, upright; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). CMYK becomes RGB.

    Raises:
        ValueError: damaged or truncated, or pixels of another kind.
    """
    colours = colours_of(found, path)
    with reading(path):
        array = found.numpy().reshape(found.height, found.width, found.bands)
    return upright(from_cmyk(array) if colours == 4 else array, orientation_of(found, path))


def _exif_block(found: Any) -> bytes:
    return bytes(found.get("exif-data")) if found.get_typeof("exif-data") else b""


def from_cmyk(array: PixelArray) -> PixelArray:
    """(H, W, 4 or more), inks, to RGB without a profile: each is what its ink and black leave of white."""
    white = int(np.iinfo(array.dtype).max)
    left = white - array[..., :4].astype(np.uint32)
    rgb = ((left[..., :3] * left[..., 3:] + white // 2) // white).astype(array.dtype)
    return np.concatenate([rgb, array[..., 4:]], axis=2)


def upright(array: PixelArray, orientation: int) -> PixelArray:
    """As EXIF's orientation, 1 to 8, says that it is seen."""
    turns: dict[int, Callable[[PixelArray], PixelArray]] = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }
    return turns[orientation](array) if orientation in turns else array


def require_decodable(width: int, height: int, path: Path) -> None:
    """Raises ValueError where decoding as a whole would fill the memory."""
    if width * height > MAX_PIXELS:
        raise ValueError(f"{path} has more than {MAX_PIXELS:,} pixels: save it as a tiled TIFF")


def tiff_exif(path: Path) -> Image.Exif | None:
    """The tags of the first picture in a TIFF file, whatever its pixels; None where they cannot be read."""
    with path.open("rb") as file:
        return exif_in(file)


def _has_parts(found: Any, path: Path) -> bool:
    """Whether no more than a few rows, strips or tiles of it need to stand in memory."""
    kind = format_of(found)
    if kind == "TIFF":
        tags = tiff_exif(path) or Image.Exif()
        sides = (_TILE_WIDTH, _TILE_HEIGHT) if _TILE_WIDTH in tags else (_WIDTH, _ROWS_PER_STRIP)
        width, height = (tags.get(tag) for tag in sides)
        return isinstance(width, int) and isinstance(height, int) and width * height <= MAX_PIXELS // 4
    is_interlaced = found.get_typeof("interlaced") or (kind == "JPEG" and found.get("jpeg-multiscan"))
    return kind in ("PNG", "JPEG") and not is_interlaced and found.width <= _MAX_WIDTH


def _by_pillow(path: Path, refusal: Exception) -> Any:
    """A file that libvips refuses, if it is of a kind that Pillow reads right; otherwise the refusal is raised."""
    try:
        picture = open_picture(path)
    except ValueError:
        if "known format" in str(refusal):
            raise
        raise refusal from None
    with picture:
        if picture.format in _LOADERS.values() and not _is_left_to_pillow(picture):
            raise refusal
        require_decodable(picture.width, picture.height, path)
        found = as_vips(array_in(picture, path))
        found.set_type(libvips().GValue.gint_type, "orientation", orientation_in(exif_of(picture)))
        return found


def _is_left_to_pillow(picture: Image.Image) -> bool:
    return picture.format == "TIFF" and (picture.tag_v2.get(_BITS) == (12,) or picture.mode == "LAB")  # type: ignore[attr-defined]
