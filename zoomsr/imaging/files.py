"""Image files to 8-bit tensors, for training and evaluation: modes, EXIF, 16 bit.

Uint8 (3, H, W) lives here, in the pixel store and on the wire to the device, and nowhere else. As in
``zoomsr.imaging.pixels``, torch is imported where a tensor is made.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from zoomsr.imaging import decode
from zoomsr.imaging.metadata import orientation_of, upright
from zoomsr.imaging.pillow import open_picture
from zoomsr.imaging.pixels import PixelArray, to_8bit

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm"})

_PLAIN_FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "PPM")
_PLAIN_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK")


def size(path: Path) -> tuple[int, int]:
    """(height, width) of the upright picture, read from the header: no pixel is decoded.

    Raises:
        ValueError: the file is no image.
    """
    with _plain(path) as picture:
        if picture is None:
            return decode.size_of(path)
        height, width, orientation = picture.height, picture.width, _orientation(picture, path)
    return (width, height) if orientation >= 5 else (height, width)  # EXIF orientations 5 to 8 swap the sides


def is_grey(path: Path) -> bool:
    """Whether the file has one channel of brightness (a grey picture may also be stored as RGB: that is not grey).

    Raises:
        ValueError: the file is no image.
    """
    with _plain(path) as picture:
        if picture is not None:
            return picture.mode in ("1", "L", "LA")
    return decode.is_grey(path)


def read(path: Path) -> Tensor:
    """Read any picture as uint8 RGB (3, H, W), upright.

    Grey and palette become RGB, alpha is dropped (colours stay as they are stored), 16 bit becomes 8 bit by rounding,
    CMYK is converted, the EXIF orientation is applied. Plain 8-bit files are decoded by Pillow, which works in a forked
    process; all others by ``zoomsr.imaging.decode``.

    Raises:
        ValueError: not an image, truncated, or of a pixel type without a fixed range; the message names the file.
    """
    import torch

    pixels = None
    with _plain(path) as picture:
        if picture is not None:
            decode.require_decodable(picture.width, picture.height, path)
            pixels = _decoded(picture, path)
    if pixels is None:
        pixels = to_8bit(decode.pixels_of(decode.opened(path), path))
        pixels = pixels[..., :3] if pixels.shape[2] > 2 else pixels[..., :1].repeat(3, 2)
    return torch.from_numpy(np.array(pixels.transpose(2, 0, 1), order="C"))  # ten times as fast as torch's


def jpeg(pixels: Tensor, *, quality: int, halves_chroma: bool = True) -> Tensor:
    """uint8 (3, H, W) or (1, H, W) after JPEG compression by libjpeg; by its default chroma is halved (4:2:0)."""
    import torch

    stacked = pixels.permute(1, 2, 0).cpu().numpy()
    file = io.BytesIO()
    picture = Image.fromarray(stacked if stacked.shape[2] == 3 else stacked[:, :, 0])
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0" if halves_chroma else "4:4:4")
    decoded = np.array(Image.open(file)).reshape(stacked.shape)
    return torch.from_numpy(decoded).permute(2, 0, 1).contiguous().to(pixels.device)


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[Image.Image | None]:
    """A file that Pillow decodes as it is stored, and fast: 8 bit, and no TIFF. None for every other."""
    try:
        picture = open_picture(path)
    except ValueError:
        yield None  # odd metadata stops Pillow, but not libvips
        return
    with picture:
        is_deep = any(";16" in str(tile[3]) for tile in picture.tile)  # type: ignore[attr-defined]
        is_known = picture.format in _PLAIN_FORMATS and picture.mode in _PLAIN_MODES
        yield picture if is_known and not is_deep else None


def _decoded(picture: Image.Image, path: Path) -> PixelArray | None:
    """(H, W, 3), upright; None where Pillow fails: libvips, which tolerates more, then decides."""
    with contextlib.suppress(Exception):
        orientation = _orientation(picture, path)
        if picture.mode == "P":  # through RGBA, because one with transparency loses its colours when converted directly
            picture = picture.convert("RGBA")
        return upright(np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB")), orientation)
    return None


def _orientation(picture: Image.Image, path: Path) -> int:
    return orientation_of(path, picture.format, picture.info.get("exif", b""))
