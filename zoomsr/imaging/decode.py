"""Image files to pixels: libvips; Pillow for the formats that libvips has no reader for (BMP, PNM, ...); the libraries
of the extra ``formats`` for HEIC, JPEG XL and camera raw.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoomsr.imaging import heif, jxl, metadata, raw
from zoomsr.imaging.bmff import PrimaryItem
from zoomsr.imaging.iptc import iptc_properties
from zoomsr.imaging.libvips import as_vips, libvips, reading
from zoomsr.imaging.metadata import COLOUR_CHUNKS, Description, exif_in, kept_in, png_chunks, upright
from zoomsr.imaging.pillow import array_in, open_picture, refused, without_white
from zoomsr.imaging.pixels import PixelArray, white_of
from zoomsr.imaging.stored import Stored
from zoomsr.imaging.xmp import kept_xmp

EXTRA_SUFFIXES = (*heif.SUFFIXES, *jxl.SUFFIXES, *raw.SUFFIXES)
"""Of what libraries of the extra ``formats`` read."""

MAX_PIXELS = 178_956_970
"""Most pixels of a picture that is decoded as a whole; Pillow's limit for decompression bombs, too."""

_MAX_WIDTH = 2**18  # of a picture that is decoded row by row: some dozens of rows are held in memory
_SEGMENT = 65_000  # bytes of EXIF that nearly fill a segment of a JPEG
_LOADERS = {"jpegload": "JPEG", "pngload": "PNG", "tiffload": "TIFF", "webpload": "WEBP", "gifload": "GIF"}
_LOADERS |= {"heifload": "AVIF"}  # without a decoder for HEVC
_NOTES = "zoomsr-notes"  # a field of ours
_WIDTH, _BITS, _ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT = 256, 258, 278, 322, 323  # TIFF tags


def size_of(path: Path) -> tuple[int, int]:
    """(height, width) of the upright picture, read from the header, but for formats that only Pillow reads.

    Raises:
        ValueError: no image, or one of too many pixels to decode as a whole; the file is named.
    """
    if (stored := _stored(path)) is not None:
        return stored.size
    found = opened(path, access="random")
    is_turned = orientation_of(found, path) >= 5
    return (found.width, found.height) if is_turned else (found.height, found.width)


def is_grey(path: Path) -> bool:
    """Whether the file has one channel of brightness, see ``size_of``."""
    stored = _stored(path)
    return colours_of(opened(path, access="random"), path) == 1 if stored is None else stored.is_grey


def opened(path: Path, *, access: str = "sequential") -> Any:
    """A file as a libvips image, pixels as they are stored: not upright. Decoded when its pixels are asked for.

    Formats that libvips does not read are decoded here.

    Args:
        path: of the file.
        access: ``sequential`` reads it once from top to bottom, ``random`` any part at any time.

    Raises:
        ValueError: no image, or one of too many pixels to decode as a whole; the file is named.
    """
    vips = libvips()
    with reading(path):
        if (stored := _stored(path)) is not None:
            return _by_library(stored, path)
        try:
            found = _by_libvips(path, access)
            if _format_of(found) is None:
                raise vips.Error(f"{found.get('vips-loader')} is not used")
        except vips.Error as refusal:
            return _by_pillow(path, refusal)
        if access != "random" or not _has_parts(found, path):
            require_decodable(found.width, found.height, path)
        return found


def colours_of(found: Any, path: Path) -> int:
    """How many channels hold colour: 1 grey, 3 RGB, 4 CMYK; one more is alpha.

    Raises:
        ValueError: pixels of another kind.
    """
    if found.format in ("float", "double", "uint", "int"):
        raise without_white(path, is_float=found.format in ("float", "double"))
    colours = {"b-w": 1, "grey16": 1, "srgb": 3, "rgb16": 3, "cmyk": 4}.get(found.interpretation, 0)
    if found.format not in ("uchar", "ushort") or found.bands - colours not in (0, 1) or colours == 0:
        raise refused(path, f"{found.bands} channels of {found.format} ({found.interpretation})")
    return colours


def orientation_of(found: Any, path: Path) -> int:
    """EXIF orientation, 1 to 8."""
    if (kind := _format_of(found)) in ("PNG", "JPEG", "WEBP"):  # whose entries may be of another type than EXIF says
        return metadata.orientation_of(path, kind, _field(found, "exif-data", b""))
    value = _field(found, "orientation", 1)
    return value if value in range(1, 9) else 1


def describe(found: Any, path: Path) -> Description:
    """The metadata of a file. What cannot be kept is a note."""
    notes, chunks = _field(found, _NOTES, "").splitlines(), png_chunks(path) if _format_of(found) == "PNG" else {}
    item = PrimaryItem.read(path)
    notes += item.notes
    frames = _field(found, "n-pages", int.from_bytes(chunks.get(b"acTL", b"")[:4], "big"))
    if frames > 1:
        notes.append(f"frame 1 of {frames}")
    elif _format_of(found) == "JPEG" and (pictures := _pictures_of(path)) > 1:
        notes.append(f"picture 1 of {pictures}; the others, as a gain map or a second view, are left out")
    profile, colours = _field(found, "icc-profile-data", None), colours_of(found, path)
    if colours == 4:
        notes.append("CMYK became RGB")
        profile = None
    elif (profile is None and b"iCCP" in chunks) or not (profile is None or metadata.profile_fits(profile, colours)):
        notes.append("its colour profile is not for such pixels, and is left out")
        profile = None
    stated = metadata.png_resolution(chunks[b"pHYs"]) if b"pHYs" in chunks else None
    if found.get_typeof("resolution-unit"):
        stated = (round(found.xres * 25.4, 4), round(found.yres * 25.4, 4))  # TIFF's are 32-bit floats in libvips
    if _format_of(found) in ("WEBP", "AVIF"):  # where libvips overwrites EXIF's by its default
        stated = metadata.resolution_in(exif_in(_field(found, "exif-data", b"")))
    dpi = metadata.valid_dpi(stated)
    if stated != dpi:
        notes.append("its resolution is none that a picture has, and is left out")
    exif, lost = _exif(found, path, chunks)
    if lost:
        notes.append(f"of its EXIF these are damaged, and left out: {', '.join(lost)}")
    older, is_cut_off = iptc_properties(_field(found, "iptc-data", b""))
    xmp, is_damaged = kept_xmp(_field(found, "xmp-data", b""), older)
    notes += ["its XMP is damaged, and left out"] if is_damaged else []
    notes += ["its IPTC is damaged, and left out from there on"] if is_cut_off else []
    chunks |= {} if item.cicp is None else {b"cICP": item.cicp}
    colour = tuple((name, chunks[name]) for name in COLOUR_CHUNKS if name in chunks)
    return Description(icc=profile, dpi=dpi, exif=exif, xmp=xmp, notes=tuple(notes), colour=colour)


def pixels_of(found: Any, path: Path) -> PixelArray:
    """(H, W, C) uint8 or uint16, upright; C is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA). CMYK becomes RGB.

    Raises:
        ValueError: damaged or truncated, or pixels of another kind.
    """
    colours = colours_of(found, path)
    with reading(path):
        array = found.numpy().reshape(found.height, found.width, found.bands)
    return upright(from_cmyk(array) if colours == 4 else array, orientation_of(found, path))


def from_cmyk(array: PixelArray) -> PixelArray:
    """(H, W, 4 or more), inks, to RGB without a profile: white (1 - ink) (1 - black). Further channels stay."""
    white = white_of(array.dtype)
    left = white - array[..., :4].astype(np.uint32)
    rgb = ((left[..., :3] * left[..., 3:] + white // 2) // white).astype(array.dtype)
    return np.concatenate([rgb, array[..., 4:]], axis=2)


def require_decodable(width: int, height: int, path: Path) -> None:
    """Raise ValueError where decoding as a whole would fill the memory."""
    if width * height > MAX_PIXELS:
        raise ValueError(f"{path} has more than {MAX_PIXELS:,} pixels: save it as a tiled TIFF")


def _format_of(found: Any) -> str | None:
    """``TIFF``, as Pillow calls it; None where libvips has not read the file."""
    return _LOADERS.get(_field(found, "vips-loader", "").removesuffix("_source"))


def _field(found: Any, name: str, default: Any) -> Any:
    """A metadata field of a libvips image, if it has it; binary data as bytes."""
    value = found.get(name) if found.get_typeof(name) else default
    return value if isinstance(value, (int, str)) or value is None else bytes(value)


def _exif(found: Any, path: Path, chunks: dict[bytes, bytes]) -> tuple[bytes | None, list[str]]:
    kind = _format_of(found)
    if kind == "TIFF":
        exif = _tiff_exif(path)
        return (None, []) if exif is None else kept_in(exif)
    block = chunks.get(b"eXIf", b"") if kind == "PNG" else _field(found, "exif-data", b"")
    if len(block) > _SEGMENT and kind == "JPEG":
        with open_picture(path) as picture:  # which joins EXIF that is spread over several segments
            block = picture.info.get("exif", block)
    exif = exif_in(block)
    return (None, ["all entries"] if block else []) if exif is None else kept_in(exif)


def _tiff_exif(path: Path) -> Image.Exif | None:
    """The tags of the first picture in a TIFF file, whatever its pixels; None where they cannot be read."""
    with path.open("rb") as file:
        return exif_in(file)


def _has_parts(found: Any, path: Path) -> bool:
    """Whether no more than a few rows, strips or tiles of it are held in memory."""
    kind = _format_of(found)
    if kind == "TIFF":
        tags = _tiff_exif(path) or Image.Exif()
        sides = (_TILE_WIDTH, _TILE_HEIGHT) if _TILE_WIDTH in tags else (_WIDTH, _ROWS_PER_STRIP)
        width, height = (tags.get(tag) for tag in sides)
        return isinstance(width, int) and isinstance(height, int) and width * height <= MAX_PIXELS // 4
    is_interlaced = found.get_typeof("interlaced") or (kind == "JPEG" and found.get("jpeg-multiscan"))
    return kind in ("PNG", "JPEG") and not is_interlaced and found.width <= _MAX_WIDTH


def _stored(path: Path) -> Stored | None:
    """The header of a file that a library of the extra ``formats`` reads; None of every other."""
    with reading(path), path.open("rb") as file:
        head = file.read(64)
    if heif.is_heif(head):
        return heif.opened(path)
    if jxl.is_jxl(head):
        return jxl.opened(path)
    return raw.opened(path) if raw.is_raw(head, path) else None


def _by_library(stored: Stored, path: Path) -> Any:
    require_decodable(*stored.size, path)
    pixels, notes = stored.decode()
    found, types = as_vips(pixels), libvips().GValue
    found.set_type(types.gstr_type, _NOTES, "\n".join(notes))
    for field, block in {"icc-profile-data": stored.icc, "exif-data": stored.exif, "xmp-data": stored.xmp}.items():
        if block:
            found.set_type(types.blob_type, field, block)
    found.set_type(types.gint_type, "orientation", 1)  # libvips has just read EXIF's
    return found


def _by_libvips(path: Path, access: str) -> Any:
    """Raises ``pyvips.Error`` where libvips does not know the format; decodes later."""
    vips, options = libvips(), {"access": access, "fail_on": "error"}
    with path.open("rb") as file:
        found = vips.Image.new_from_source(vips.Source.new_from_descriptor(file.fileno()), "", **options)
        if found.get("vips-loader").startswith("uhdrload"):  # which decodes as a whole, for the sake of the gain map
            file.seek(0)
            found = vips.Image.jpegload_source(vips.Source.new_from_descriptor(file.fileno()), **options)
    if _format_of(found) == "AVIF" and found.format == "ushort":  # libheif shifts the bits up: white is not 65535
        white = 65536 - (1 << (16 - found.get("bits-per-sample")))
        found = (found * (65535 / white)).rint().cast("ushort")
    return found


def _by_pillow(path: Path, refusal: Exception) -> Any:
    """A file that libvips refuses, if it is of a kind that Pillow reads right; otherwise the refusal is raised."""
    try:
        picture = open_picture(path)
    except ValueError:
        if "known format" in str(refusal) or "is not used" in str(refusal):
            raise
        raise refusal from None
    with picture:
        is_odd = picture.format == "AVIF" and metadata.pictures_in(picture) > 1  # a sequence
        if picture.format == "TIFF":
            is_odd = picture.tag_v2.get(_BITS) == (12,) or picture.mode == "LAB"  # type: ignore[attr-defined]
        if picture.format in _LOADERS.values() and not is_odd:
            raise refusal
        require_decodable(picture.width, picture.height, path)
        found = as_vips(array_in(picture, path))
        types = libvips().GValue
        found.set_type(types.gint_type, "orientation", metadata.orientation_in(metadata.exif_of(picture)))
        found.set_type(types.gint_type, "n-pages", metadata.pictures_in(picture))
        for field, name in {"icc-profile-data": "icc_profile", "exif-data": "exif", "xmp-data": "xmp"}.items():
            if picture.info.get(name):
                found.set_type(types.blob_type, field, picture.info[name])
        return found


def _pictures_of(path: Path) -> int:
    """In a JPEG; 1 where Pillow cannot read it."""
    with contextlib.suppress(ValueError), open_picture(path) as picture:
        return metadata.pictures_in(picture)
    return 1
