"""A photograph with all that its file knows: bit depth, transparency, colour profile, resolution, camera."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageFile

from zoomsr.encoding import Pixels, as_picture, eight_bit, encoder, whole_or_not_at_all
from zoomsr.image import open_picture, require_decodable

_ORIENTATION = ExifTags.Base.Orientation
# What describes the photograph, and not how its pixels lie in the file.
_KEPT_TAGS = (
    *(ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software),
    *(ExifTags.Base.DateTime, ExifTags.Base.Artist, ExifTags.Base.Copyright),
)
_SIZE_TAGS = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)


class Box(NamedTuple):
    """An area of an upright picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    def require_inside(self, height: int, width: int) -> None:
        """Raises ValueError where the area is empty, or not all inside a picture of that size."""
        text = ",".join(map(str, self))
        if self.width < 1 or self.height < 1:
            raise ValueError(f"box {text} is empty: X,Y,W,H need a width and a height of at least 1")
        if self.left < 0 or self.top < 0 or self.left + self.width > width or self.top + self.height > height:
            raise ValueError(f"box {text} is not inside the picture, which is {width}x{height}")


@dataclass(frozen=True)
class Photograph:
    """What is enlarged, and what must survive it.

    Attributes:
        pixels: (H, W, 1) grey or (H, W, 3) RGB, uint8 or uint16, upright.
        alpha: (H, W, 1) of the same type, or None.
        icc: colour profile.
        dpi: horizontal and vertical.
        exif: without orientation and sizes.
        notes: what of the file is not in here: ``frame 1 of 12``.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    notes: tuple[str, ...] = ()

    @staticmethod
    def read(path: Path) -> Photograph:
        """Read any picture that Pillow opens.

        Palettes become RGB; CMYK becomes RGB and loses its profile; of an animation the first frame is taken.

        Raises:
            ValueError: no image, truncated, too large, or of a pixel type without a fixed white; the file is named.
        """
        try:
            with open_picture(path) as picture:
                require_decodable(picture, path)
                return _photograph(picture, path)
        except (OSError, SyntaxError, EOFError) as error:  # Pillow raises SyntaxError for a broken PNG chunk
            raise ValueError(f"{path} is damaged or truncated: {error}") from error

    @staticmethod
    def of(picture: Image.Image) -> Photograph:
        """A picture that Pillow has opened; of 16-bit colour it keeps the upper byte.

        Raises:
            ValueError: of a pixel type without a fixed white.
        """
        return _photograph(picture, None)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def cropped(self, box: Box) -> Photograph:
        """An area of it.

        Raises:
            ValueError: an empty area, or one that is not all inside.
        """
        box.require_inside(*self.size)
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        alpha = None if self.alpha is None else self.alpha[rows, columns]
        return replace(self, pixels=self.pixels[rows, columns], alpha=alpha)

    def write(self, path: Path, *, quality: int = 95, overwrite: bool = False) -> None:
        """Write it; the format follows the suffix. The file appears whole or not at all.

        Args:
            path: PNG, JPEG, WebP or TIFF.
            quality: of JPEG and WebP, 1 to 100.
            overwrite: replace a file that is there.

        Raises:
            ValueError: a file is there, a format that cannot hold the picture, or an unknown one.
        """
        save = encoder(path, self.interleaved, icc=self.icc, dpi=self.dpi, exif=self.exif, quality=quality)
        if path.exists() and not overwrite:
            raise ValueError(f"{path} is there already: --overwrite replaces it")
        with whole_or_not_at_all(path) as file:
            save(file)

    def picture(self) -> Image.Image:
        """As an image of Pillow's, 8 bit but for 16-bit grey; with its profile."""
        array = self.interleaved
        picture = as_picture(array if array.shape[2] == 1 else eight_bit(array))
        if self.icc is not None:
            picture.info["icc_profile"] = self.icc
        return picture

    @property
    def interleaved(self) -> Pixels:
        """(H, W, 1 to 4): pixels, with alpha where there is one."""
        return self.pixels if self.alpha is None else np.concatenate([self.pixels, self.alpha], axis=2)


def _photograph(picture: Image.Image, path: Path | None) -> Photograph:
    notes, deep_mode = [], _deep_mode(picture)
    if (frames := getattr(picture, "n_frames", 1)) > 1:
        notes.append(f"frame 1 of {frames}")
    exif = picture.getexif()  # which decodes a PNG, in case there is some behind its pixels
    icc, dpi = picture.info.get("icc_profile"), picture.info.get("dpi")
    if picture.mode == "CMYK":
        notes.append("CMYK became RGB")
        icc = None
    array = _array(picture, path) if path is None or deep_mode is None else _deep(picture, path, deep_mode)
    array = _upright(array, exif.get(_ORIENTATION, 1))
    colours = array.shape[2] - 1 if array.shape[2] in (2, 4) else array.shape[2]
    return Photograph(
        pixels=np.ascontiguousarray(array[..., :colours]),
        alpha=np.ascontiguousarray(array[..., colours:]) if colours < array.shape[2] else None,
        icc=icc,
        dpi=None if dpi is None or min(dpi) <= 0 else (float(dpi[0]), float(dpi[1])),
        exif=_kept(exif),
        notes=tuple(notes),
    )


def _array(picture: Image.Image, path: Path | None) -> Pixels:
    """(H, W, C) uint8, or uint16 of a grey picture."""
    mode, name = picture.mode, path or "the picture"
    if mode.startswith("I"):
        grey = np.asarray(picture)
        if grey.min() < 0 or grey.max() > 65535:
            raise ValueError(f"{name} holds 32-bit integers, which have no fixed white: save it as 8 or 16 bit")
        return grey.astype(np.uint16)[..., None]
    if mode == "F":
        raise ValueError(f"{name} holds floating-point pixels, which have no fixed white: save it as 8 or 16 bit")
    grey_modes, has_alpha = ("1", "L", "LA", "La"), mode in ("LA", "La", "PA", "RGBA", "RGBa")
    target = "L" if mode in grey_modes else "RGB"
    if has_alpha or "transparency" in picture.info:
        target = "LA" if target == "L" else "RGBA"
    pixels = np.asarray(picture if mode == target else picture.convert(target))
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _deep_mode(picture: Image.Image) -> str | None:
    """How the bytes of a file lie that has several channels of 16 bits, of which Pillow keeps the upper byte."""
    tiles = picture.tile[:1] if isinstance(picture, ImageFile.ImageFile) else []
    modes = [str(tile.args[0] if isinstance(tile.args, tuple) else tile.args) for tile in tiles]
    return next((mode for mode in modes if ";16" in mode and picture.mode in ("RGB", "RGBA")), None)


def _deep(picture: Image.Image, path: Path, mode: str) -> Pixels:
    """Both bytes of 16-bit colour: the file is decoded once as it says, and once with the bytes the other way round."""
    if mode == "LA;16B":  # four bytes a pixel, as many as RGBA
        parts = _decoded(path, "RGBA").astype(np.uint16)
        return parts[..., 0::2] << 8 | parts[..., 1::2]
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    high, low = np.asarray(picture), _decoded(path, mode[:-1] + other[mode[-1]])
    return high.astype(np.uint16) << 8 | low


def _decoded(path: Path, raw_mode: str) -> Pixels:
    with open_picture(path) as picture:
        picture.tile = [  # type: ignore[attr-defined]  # of an ImageFile
            tile._replace(args=(raw_mode, *tile.args[1:]) if isinstance(tile.args, tuple) else raw_mode)
            for tile in picture.tile  # type: ignore[attr-defined]
        ]
        return np.asarray(picture)


def _upright(array: Pixels, orientation: int) -> Pixels:
    """As EXIF's orientation, 1 to 8, says that it is seen."""
    turns: dict[int, Callable[[Pixels], Pixels]] = {
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }
    return turns[orientation](array) if orientation in turns else array


def _kept(exif: Image.Exif) -> bytes | None:
    kept = Image.Exif()
    for tag in _KEPT_TAGS:
        if tag in exif:
            kept[tag] = exif[tag]
    for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        entries = {tag: value for tag, value in exif.get_ifd(ifd).items() if tag not in _SIZE_TAGS}
        if entries:
            kept[ifd] = entries
    return kept.tobytes() if len(kept) else None
