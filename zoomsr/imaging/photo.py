"""A photograph with its metadata: bit depth, transparency, colour profile, resolution, camera."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from zoomsr.imaging.decode import describe, opened, pixels_of
from zoomsr.imaging.encode import as_picture, encoder
from zoomsr.imaging.iptc import IIM, iptc_properties
from zoomsr.imaging.libvips import reading, writing
from zoomsr.imaging.metadata import Description, exif_of, kept_in, orientation_in, profile_fits, upright, valid_dpi
from zoomsr.imaging.pillow import array_of
from zoomsr.imaging.pixels import PixelArray, to_8bit, white_of
from zoomsr.imaging.xmp import kept_xmp
from zoomsr.runs.files import atomic_write


class CropBox(NamedTuple):
    """A crop of an upright picture, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    def require_inside(self, height: int, width: int) -> None:
        """Raise ValueError where the crop is empty, or not all inside a picture of that size."""
        text = ",".join(map(str, self))
        if self.width < 1 or self.height < 1:
            raise ValueError(f"box {text} is empty: X,Y,W,H need a width and a height of at least 1")
        if self.left < 0 or self.top < 0 or self.left + self.width > width or self.top + self.height > height:
            raise ValueError(f"box {text} is not inside the picture, which is {width}x{height}")


@dataclass(frozen=True)
class Photograph(Description):
    """Pixels with the metadata that survives an enlargement.

    Attributes:
        pixels: (H, W, 1) grey or (H, W, 3) RGB, uint8 or uint16, upright.
        alpha: (H, W, 1) of the same type, or None.
    """

    pixels: PixelArray
    alpha: PixelArray | None = None

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
        """A Pillow image; of 16-bit colour it keeps the upper byte.

        Raises:
            ValueError: of a pixel type without a fixed white.
        """
        exif, icc, dpi = exif_of(picture), picture.info.get("icc_profile"), picture.info.get("dpi")
        array = upright(array_of(picture, "the picture"), orientation_in(exif))
        resources = picture.info.get("photoshop")
        iim = resources.get(IIM, b"") if isinstance(resources, dict) else b""  # of a PNG it may be any text
        description = Description(
            icc=icc if icc is not None and profile_fits(icc, 1 if array.shape[2] < 3 else 3) else None,
            dpi=None if dpi is None else valid_dpi((float(dpi[0]), float(dpi[1]))),
            exif=None if exif is None else kept_in(exif)[0],
            xmp=kept_xmp(picture.info.get("xmp", b""), iptc_properties(iim)[0])[0],
            notes=("CMYK became RGB",) if picture.mode == "CMYK" else (),
        )
        return Photograph.with_pixels(array, description)

    @staticmethod
    def with_pixels(array: PixelArray, description: Description = Description()) -> Photograph:  # noqa: B008
        """From (H, W, 1 to 4), upright; of 2 or 4 channels the last is alpha."""
        colours = array.shape[2] - (array.shape[2] in (2, 4))
        alpha = np.ascontiguousarray(array[..., colours:]) if colours < array.shape[2] else None
        metadata = {field.name: getattr(description, field.name) for field in fields(Description)}
        return Photograph(pixels=np.ascontiguousarray(array[..., :colours]), alpha=alpha, **metadata)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def is_transparent(self) -> bool:
        """Whether any pixel is, in part or as a whole."""
        return self.alpha is not None and bool((self.alpha != white_of(self.alpha.dtype)).any())

    def middle(self, side: int) -> CropBox:
        """The square in the middle, at most ``side`` pixels in each direction."""
        height, width = self.size
        box_height, box_width = min(side, height), min(side, width)
        return CropBox((width - box_width) // 2, (height - box_height) // 2, box_width, box_height)

    def cropped(self, box: CropBox) -> Photograph:
        """A crop with the same metadata.

        Raises:
            ValueError: an empty crop, or one that is not all inside.
        """
        box.require_inside(*self.size)
        alpha = None if self.alpha is None else self.alpha[box.slices]
        return replace(self, pixels=self.pixels[box.slices], alpha=alpha)

    def resized(self, size: tuple[int, int]) -> Photograph:
        """In another (height, width), by bicubic as in ``zoomsr.imaging.resample``, with the same metadata."""
        if size == self.size:
            return self
        from zoomsr.imaging.resample import resized  # torch, which opening a photograph does not need

        pixels, alpha = resized(self.pixels, self.alpha, size)
        return replace(self, pixels=pixels, alpha=alpha)

    def write(self, path: Path, *, quality: int = 95, overwrite: bool = False) -> tuple[str, ...]:
        """Write the file atomically; the format follows the suffix.

        Args:
            path: PNG, JPEG, WebP, AVIF, TIFF, HEIC or JPEG XL.
            quality: of JPEG, WebP, AVIF, HEIC and JPEG XL, 1 to 100.
            overwrite: replace an existing file.

        Returns:
            What of ``icc``, ``dpi``, ``exif``, ``xmp`` and ``colour`` the format has no place for.

        Raises:
            ValueError: the file exists, the format is unknown or cannot hold the picture, or encoding fails.
            OSError: the file cannot be created.
        """
        save, lost = encoder(path, self.interleaved, self, quality=quality)
        if path.exists() and not overwrite:
            raise ValueError(f"{path} is there already: --overwrite replaces it")
        with atomic_write(path) as file, writing(path):
            save(file)
        return lost

    def picture(self) -> Image.Image:
        """As a Pillow image, 8 bit except 16-bit grey; with its profile."""
        array = self.interleaved
        picture = as_picture(array if array.shape[2] == 1 else to_8bit(array))
        if self.icc is not None:
            picture.info["icc_profile"] = self.icc
        return picture

    @property
    def interleaved(self) -> PixelArray:
        """(H, W, 1 to 4): pixels, with alpha where there is one."""
        return self.pixels if self.alpha is None else np.concatenate([self.pixels, self.alpha], axis=2)
