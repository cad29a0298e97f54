"""PNG files that every reader understands."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from conftest import photograph
from PIL import Image

from zoomsr import png
from zoomsr.png import write_png


def _written(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    write_png(file, pixels, **options)  # type: ignore[arg-type]
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


@pytest.mark.parametrize("band", [1, 200, 5000])
def test_bands_make_one_stream_with_the_right_check_sum(band: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "_BAND_BYTES", band)
    pixels = photograph(23, 31)
    data, stream = _written(pixels), b""
    at = 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + content)
        stream += content if kind == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(stream)) == 23 * (1 + 31 * 3)  # which checks the sum
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)


def test_paeth_is_the_nearest_of_three() -> None:
    left, above, corner = (
        part.astype(np.uint8) for part in np.meshgrid(*[np.array([0, 1, 2, 3, 100, 101, 127, 128, 254, 255])] * 3)
    )
    found = png._paeth(left, above, corner)
    for a, b, c, result in zip(left.flat, above.flat, corner.flat, found.flat, strict=True):
        estimate = int(a) + int(b) - int(c)
        nearest = min((a, b, c), key=lambda value: abs(estimate - int(value)))  # the first of equals
        assert result == nearest, (a, b, c)


def test_profile_resolution_and_exif_are_kept() -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    with Image.open(io.BytesIO(_written(photograph(4, 5), icc=b"profile", dpi=(300, 150), exif=block))) as picture:
        picture.load()
        assert picture.info["icc_profile"] == b"profile"
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
