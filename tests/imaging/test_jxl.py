"""JPEG XL: pixels of every depth, orientation, profile, animation, damage."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from _support.tiny import photograph
from PIL import Image, ImageCms

from zoomsr.imaging import files
from zoomsr.imaging.photo import Photograph

pyjpegxl = pytest.importorskip("pyjpegxl", reason="pyjpegxl is not installed: pip install zoomsr[formats]")

SMOOTH = np.stack([*np.mgrid[:40, :56] * 4, np.full((40, 56), 90)], axis=2).astype(np.uint8)

# Three frames of 8x8, lossless, the last one black; by imagecodecs 2026.3.6, jpegxl_encode of (3, 8, 8, 3).
ANIMATION = bytes.fromhex(
    "ff0a41044d002026080401003c004b188b15805dd4ff001892ae9a4002080401003c004b188b15801dd4ff0018d0af9a2001"
    "080405001c004b188b15820300"
)


def _wide() -> bytes:
    """A profile with the primaries of Adobe RGB (1998), adapted to D50."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for number in range(struct.unpack(">I", icc[128:132])[0]):
        name, at, _ = struct.unpack(">4sII", icc[132 + 12 * number : 144 + 12 * number])
        primaries = {b"rXYZ": (0.60974, 0.31111, 0.01947), b"gXYZ": (0.20528, 0.62567, 0.06087)}
        primaries |= {b"bXYZ": (0.14919, 0.06322, 0.74457)}
        if name in primaries:
            icc[at + 8 : at + 20] = struct.pack(">3i", *(round(65536 * value) for value in primaries[name]))
    return bytes(icc)


def _exif(orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    if orientation is not None:
        exif[0x0112] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_what_is_written_without_loss_is_read_back_equal(tmp_path: Path, channels: int, dtype: type) -> None:
    pixels = np.random.default_rng(5).integers(0, np.iinfo(dtype).max + 1, (9, 14, channels)).astype(dtype)
    icc, colours = _wide(), channels - (channels in (2, 4))
    alpha = pixels[..., colours:] if colours < channels else None
    icc = icc if colours == 3 else None
    before = Photograph(pixels[..., :colours], alpha, icc=icc, dpi=(300.0, 150.0), exif=_exif())
    assert before.write(tmp_path / "a.jxl", quality=100) == ()
    after = Photograph.read(tmp_path / "a.jxl")
    assert after.pixels.dtype == dtype
    assert np.array_equal(after.interleaved, pixels)
    assert (after.dpi, after.exif, after.notes) == (before.dpi, before.exif, ())
    assert after.icc == icc or (icc is None and after.icc is not None)  # libjxl makes one of grey
    assert files.size(tmp_path / "a.jxl") == (9, 14)
    assert files.is_grey(tmp_path / "a.jxl") == (colours == 1)


@pytest.mark.parametrize(("quality", "most"), [(95, 1.0), (50, 4.0), (10, 20.0)])
def test_with_loss_the_colours_of_a_wide_profile_stay(tmp_path: Path, quality: int, most: float) -> None:
    before = Photograph(SMOOTH, icc=_wide())
    before.write(tmp_path / "a.jxl", quality=quality)
    after = Photograph.read(tmp_path / "a.jxl")
    assert after.icc == before.icc
    assert 0 < np.abs(after.pixels.astype(float) - SMOOTH).mean() < most


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_jpeg_that_became_one_is_upright(tmp_path: Path, orientation: int) -> None:
    """The codestream and EXIF both say how it is turned; the codestream counts."""
    jpeg = io.BytesIO()
    Image.fromarray(SMOOTH).save(jpeg, "JPEG", exif=_exif(orientation), quality=100, subsampling=0)
    (tmp_path / "a.jpg").write_bytes(jpeg.getvalue())
    (tmp_path / "a.jxl").write_bytes(pyjpegxl.jpeg_to_jxl(jpeg.getvalue()))
    found, expected = (Photograph.read(tmp_path / name) for name in ("a.jxl", "a.jpg"))
    assert found.size == files.size(tmp_path / "a.jxl") == expected.size
    assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 2
    assert found.exif == _exif()


def test_of_an_animation_the_last_frame_is_taken_and_a_gain_map_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(ANIMATION)
    found = Photograph.read(tmp_path / "a.jxl")
    assert found.notes == ("it is an animation: its last frame is taken",)
    assert found.pixels.max() == 0
    signature, brand = b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
    parts = ((b"jxlc", pyjpegxl.encode_from_numpy(SMOOTH)), (b"jhgm", b"\0" * 20))
    boxes = b"".join(struct.pack(">I4s", len(content) + 8, kind) + content for kind, content in parts)
    (tmp_path / "b.jxl").write_bytes(signature + brand + boxes)
    assert Photograph.read(tmp_path / "b.jxl").notes == ("a gain map is in the file, and is left out",)


@pytest.mark.parametrize("size", [(8, 8), (16, 32), (9, 14), (300, 200), (1, 600), (40, 30)])
def test_a_picture_of_any_size_is_no_animation(tmp_path: Path, size: tuple[int, int]) -> None:
    """The header of the codestream, whose fields differ by the size, is read to where it says so."""
    Photograph(photograph(*size)).write(tmp_path / "a.jxl", quality=100)
    assert Photograph.read(tmp_path / "a.jxl").notes == ()


def test_floats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jxl").write_bytes(pyjpegxl.encode_from_numpy((SMOOTH / 255).astype(np.float32), lossless=True))
    with pytest.raises(ValueError, match=r"a\.jxl holds floating-point pixels, which have no fixed white"):
        Photograph.read(tmp_path / "a.jxl")


@pytest.mark.parametrize("length", [12, 20, 60, -20])
def test_a_truncated_one_is_one_line(tmp_path: Path, length: int) -> None:
    Photograph(SMOOTH, exif=_exif()).write(tmp_path / "whole.jxl")
    (tmp_path / "a.png").write_bytes((tmp_path / "whole.jxl").read_bytes()[:length])  # of a wrong suffix, too
    for read in (Photograph.read, files.read):
        with pytest.raises(ValueError, match=r"^[^\n]*a\.png is damaged or truncated: [^\n]*$"):
            read(tmp_path / "a.png")


def test_one_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    # Codestream: no small size, height and width of 30 bits, all other fields as by default.
    bits = 0 | 3 << 1 | (2**20 - 1) << 3 | 0 << 33 | 3 << 36 | (2**20 - 1) << 38 | 1 << 68
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bits.to_bytes(16, "little"))
    with pytest.raises(ValueError, match=r"a\.jxl has more than 178,956,970 pixels"):
        Photograph.read(tmp_path / "a.jxl")
