"""A photograph with all that its file knows: bit depth, transparency, colour profile, resolution, camera."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from zoomsr.imaging.decode import describe, opened, pixels_of, upright
from zoomsr.imaging.encode import as_picture, atomic_file, eight_bit, encoder
from zoomsr.imaging.libvips import reading, writing
from zoomsr.imaging.metadata import Description, exif_of, is_resolution, kept_in, orientation_in, profile_fits
from zoomsr.imaging.pillow import array_of
from zoomsr.imaging.pixels import PixelArray


class CropBox(NamedTuple):
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
        colour: chunks of a PNG that say how its numbers are to be seen, by their names.
    """

    pixels: PixelArray
    alpha: PixelArray | None = None
    icc: bytes | None = None
    dpi: tuple[float, float] | None = None
    exif: bytes | None = None
    notes: tuple[str, ...] = ()
    colour: tuple[tuple[bytes, bytes], ...] = ()

    @staticmethod
    def read(path: Path) -> Photograph:
        """Read any picture, see ``zoomsr.imaging.decode``.

        Palettes become RGB; CMYK becomes RGB and loses its profile; of an animation the first frame is taken.

        Raises:
            ValueError: no image, truncated, too large, or of a pixel type without a fixed white; the file is named.
        """
        found = opened(path)
        with reading(path):
            return Photograph.with_pixels(pixels_of(found, path), describe(found, path))

    @staticmethod
    def of(picture: Image.Image) -> Photograph:
        """A picture that Pillow has opened; of 16-bit colour it keeps the upper byte.

        Raises:
            ValueError: of a pixel type without a fixed white.
        """
        exif, icc, dpi = exif_of(picture), picture.info.get("icc_profile"), picture.info.get("dpi")
        array = upright(array_of(picture, "the picture"), orientation_in(exif))
        notes = ["CMYK became RGB"] if picture.mode == "CMYK" else []
        if icc is not None and not profile_fits(icc, 1 if array.shape[2] < 3 else 3):
            icc = None
        if dpi is not None:
            dpi = (float(dpi[0]), float(dpi[1]))
            dpi = dpi if is_resolution(dpi) else None
        kept = None if exif is None else kept_in(exif)[0]
        return Photograph.with_pixels(array, Description(icc, dpi, kept, tuple(notes)))

    @staticmethod
    def with_pixels(array: PixelArray, description: Description) -> Photograph:
        """Of (H, W, 1 to 4), upright; of 2 or 4 channels the last is alpha."""
        colours = array.shape[2] - 1 if array.shape[2] in (2, 4) else array.shape[2]
        alpha = np.ascontiguousarray(array[..., colours:]) if colours < array.shape[2] else None
        return Photograph(np.ascontiguousarray(array[..., :colours]), alpha, *description)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def cropped(self, box: CropBox) -> Photograph:
        """An area of it.

        Raises:
            ValueError: an empty area, or one that is not all inside.
        """
        box.require_inside(*self.size)
        rows, columns = slice(box.top, box.top + box.height), slice(box.left, box.left + box.width)
        alpha = None if self.alpha is None else self.alpha[rows, columns]
        return replace(self, pixels=self.pixels[rows, columns], alpha=alpha)

    def write(self, path: Path, *, quality: int = 95, overwrite: bool = False) -> tuple[str, ...]:
        """Write it; the format follows the suffix. The file appears whole or not at all.

        Args:
            path: PNG, JPEG, WebP or TIFF.
            quality: of JPEG and WebP, 1 to 100.
            overwrite: replace a file that is there.

        Returns:
            What of ``icc``, ``dpi``, ``exif`` and ``colour`` the format has no place for.

        Raises:
            ValueError: a file is there, a format that cannot hold the picture, or an unknown one.
        """
        description = Description(self.icc, self.dpi, self.exif, (), self.colour)
        save, lost = encoder(path, self.interleaved, description, quality=quality)
        if path.exists() and not overwrite:
            raise ValueError(f"{path} is there already: --overwrite replaces it")
        with atomic_file(path) as file, writing(path):
            save(file)
        return lost

    def picture(self) -> Image.Image:
        """As an image of Pillow's, 8 bit but for 16-bit grey; with its profile."""
        array = self.interleaved
        picture = as_picture(array if array.shape[2] == 1 else eight_bit(array))
        if self.icc is not None:
            picture.info["icc_profile"] = self.icc
        return picture

    @property
    def interleaved(self) -> PixelArray:
        """(H, W, 1 to 4): pixels, with alpha where there is one."""
        return self.pixels if self.alpha is None else np.concatenate([self.pixels, self.alpha], axis=2)
