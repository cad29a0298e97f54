"""PNG files that every reader understands."""

from __future__ import annotations

import io

import numpy as np
import pytest
from _support.tiny import photograph
from PIL import Image, ImageCms

from zoomsr.imaging.metadata import Description
from zoomsr.imaging.png import write_png


def _written(pixels: np.ndarray, description: Description = Description()) -> bytes:  # noqa: B008
    file = io.BytesIO()
    write_png(file, pixels, description)
    return file.getvalue()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (33, 65)])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_pillow_reads_the_pixels_back(size: tuple[int, int], channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, channels), np.uint8)
    with Image.open(io.BytesIO(_written(pixels))) as picture:
        picture.load()
        assert picture.mode == ["L", "LA", "RGB", "RGBA"][channels - 1]
        assert np.array_equal(np.asarray(picture).reshape(pixels.shape), pixels)


def test_sixteen_bits_keep_both_bytes() -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (11, 13, 1), np.uint16)
    with Image.open(io.BytesIO(_written(pixels))) as picture:
        assert np.array_equal(np.asarray(picture), pixels[..., 0])


def test_profile_resolution_and_exif_are_kept() -> None:
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    block = exif.tobytes()
    with Image.open(
        io.BytesIO(_written(photograph(4, 5), Description(icc=icc, dpi=(300, 150), exif=block)))
    ) as picture:
        picture.load()
        assert picture.info["icc_profile"] == icc
        assert picture.info["dpi"] == pytest.approx((300, 150), abs=0.02)
        assert picture.getexif()[0x010F] == "a camera"


def test_a_photograph_is_as_small_as_pillow_makes_it() -> None:
    pixels, default = photograph(256, 256), io.BytesIO()
    Image.fromarray(pixels).save(default, "PNG")
    assert len(_written(pixels)) < 1.12 * len(default.getvalue())


def test_other_pixels_are_refused() -> None:
    for pixels in (np.zeros((2, 2, 5), np.uint8), np.zeros((2, 2, 3), np.float32)):
        with pytest.raises(ValueError, match="1 to 4 channels of uint8 or uint16"):
            _written(pixels)
