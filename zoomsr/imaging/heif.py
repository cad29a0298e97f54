"""HEIC and HEIF, read and written by pillow-heif (libheif)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from zoomsr.imaging.libvips import reading
from zoomsr.imaging.metadata import Description, with_resolution
from zoomsr.imaging.pixels import PixelArray, full_range, white_of
from zoomsr.imaging.stored import Decoded, Stored, library

SUFFIXES = (".heic", ".heif", ".hif")
MAX_SIDE = 16_384
"""Of what is written; decoders of HEVC up to level 6.2 take 16,888 (ITU-T H.265, A.4.1)."""

WRITTEN_BITS = 10
"""Of 16: those of HEVC's Main 10, which phones decode; of 12 few do."""

_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def is_heif(head: bytes) -> bool:
    """Whether the first bytes of a file are HEIF's; AVIF, which libvips reads, is not."""
    return head[4:8] == b"ftyp" and head[8:12] in _BRANDS and b"avif" not in head and b"avis" not in head


def opened(path: Path) -> Stored:
    """The primary picture; 10 and 12 bit become 16. libheif turns it upright, so that EXIF's orientation means nothing.

    Raises:
        ValueError: damaged, or pillow-heif is not installed.
    """
    pillow_heif = library("pillow_heif", path)
    with reading(path):
        file = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
        picture, count = file[file.primary_index], len(file)
    notes = (f"picture {file.primary_index + 1} of {count}",) if count > 1 else ()
    height, width = picture.size[::-1]

    def decode() -> Decoded:
        array: PixelArray = np.asarray(picture).reshape(height, width, -1)
        if array.dtype == np.uint16:  # libheif shifts the bits up, so that white is not 65535
            array = full_range(array, 65536 - (1 << (16 - picture.info["bit_depth"])))
        return Decoded(_straight(array) if picture.premultiplied_alpha else array, notes)

    is_grey = picture.mode.startswith(("L", "I"))
    return Stored(
        (height, width), is_grey, decode, picture.info.get("icc_profile"), picture.info["exif"], picture.info.get("xmp")
    )


def encoded(pixels: PixelArray, description: Description, *, quality: int, path: Path) -> bytes:
    """A HEIC file, with chroma of half the resolution as every decoder of HEIC takes it; 16 bit become 10.

    Raises:
        ValueError: pillow-heif is not installed, or was built without an encoder.
    """
    require_writable(path)
    mode, height, width = _MODES[pixels.shape[2]], *pixels.shape[:2]
    options: dict[str, Any] = {"quality": quality, "enc_params": {"preset": "medium"}}
    # Half the time of x265's default there, for 1 % more bytes (two photographs of Set14).
    options |= {"exif": with_resolution(description.exif, description.dpi), "xmp": description.xmp}
    if pixels.dtype == np.uint16:
        white = 2**WRITTEN_BITS - 1
        levels = (pixels.astype(np.uint32) * white + 32767) // 65535
        pixels, mode = (levels << (16 - WRITTEN_BITS)).astype(np.uint16), f"{mode};16"
        options["bit_depth"] = WRITTEN_BITS
    cicp = dict(description.colour).get(b"cICP")
    if description.icc is not None:
        options["icc_profile"] = description.icc
    elif cicp is not None:
        names = ("color_primaries", "transfer_characteristics", "matrix_coefficients", "full_range_flag")
        options |= dict(zip(names, (cicp[0], cicp[1], 6, 1), strict=True))  # Y'CbCr by BT.601
    file = io.BytesIO()
    pillow_heif = library("pillow_heif", path)
    pillow_heif.encode(mode, (width, height), np.ascontiguousarray(pixels).tobytes(), file, **options)
    return file.getvalue()


def require_writable(path: Path) -> None:
    """Raise ValueError where no HEIC can be written here."""
    if not library("pillow_heif", path).libheif_info()["HEIF"]:
        raise ValueError(f"{path}: the pillow-heif that is installed has no encoder: pip install -U zoomsr[formats]")


def _straight(array: PixelArray) -> PixelArray:
    """Colours that were multiplied by alpha, without it."""
    white, alpha = white_of(array.dtype), array[..., -1:].astype(np.uint32)
    colours = (array[..., :-1].astype(np.uint32) * white + alpha // 2) // np.maximum(alpha, 1)
    return np.concatenate([colours.clip(max=white).astype(array.dtype), array[..., -1:]], axis=2)
