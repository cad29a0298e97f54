"""HEIC: pixels of every depth, orientation, colour space, several pictures, damage. What pillow-heif wrote is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from zoomsr.imaging import files
from zoomsr.imaging.photo import Photograph

pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed: pip install zoomsr[formats]")

ROWS, COLUMNS = np.mgrid[:40, :56]
SMOOTH = np.stack([ROWS * 6, COLUMNS * 4, ROWS + COLUMNS], axis=2).astype(np.uint8)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _exif(orientation: int | None = None) -> bytes:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    if orientation is not None:
        exif[0x0112] = orientation
    return exif.tobytes()


def _write(path: Path, pixels: np.ndarray, **options: object) -> None:
    """By pillow-heif itself, with the best quality and whole chroma."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[pixels.shape[2]] + (";16" if pixels.dtype == np.uint16 else "")
    size = pixels.shape[1], pixels.shape[0]
    pillow_heif.encode(mode, size, pixels.tobytes(), str(path), **{"quality": 100, "chroma": 444, **options})


def _error(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, of 255 grey levels."""
    assert found.shape == expected.shape
    return float(np.abs(found / np.iinfo(found.dtype).max - expected / np.iinfo(expected.dtype).max).max() * 255)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_pixels_of_every_depth_reach_white(tmp_path: Path, bits: int, channels: int) -> None:
    pixels = np.concatenate([SMOOTH, SMOOTH[..., :1]], axis=2)[..., :channels]
    pixels[:8, :8], pixels[-8:, -8:] = 0, 255
    deep = pixels.astype(np.uint16) * 257
    _write(tmp_path / "a.heic", pixels if bits == 8 else deep, bit_depth=bits)
    found = Photograph.read(tmp_path / "a.heic")
    assert found.interleaved.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert _error(found.interleaved, pixels) <= (3 if bits == 8 else 1.5)
    assert found.interleaved[:4, :4].max() <= 2 * np.iinfo(found.pixels.dtype).max // 255
    assert found.interleaved[-4:, -4:].max() == np.iinfo(found.pixels.dtype).max
    assert files.is_grey(tmp_path / "a.heic") == (channels == 1)
    assert files.size(tmp_path / "a.heic") == (40, 56)


def test_colours_that_were_multiplied_by_alpha_are_as_before(tmp_path: Path) -> None:
    colour, alpha = np.full((16, 16, 3), 200, np.uint8), np.full((16, 16, 1), 128, np.uint8)
    premultiplied = np.concatenate([(colour.astype(int) * 128 // 255).astype(np.uint8), alpha], axis=2)
    pillow_heif.encode("RGBa", (16, 16), premultiplied.tobytes(), str(tmp_path / "a.heic"), quality=100, chroma=444)
    assert _error(Photograph.read(tmp_path / "a.heic").pixels, colour) <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_one_is_turned_once(tmp_path: Path, orientation: int) -> None:
    """It has both: HEIF's own (irot, imir), which counts, and EXIF's, which does not."""
    Image.fromarray(SMOOTH).save(tmp_path / "a.png", exif=_exif(orientation))
    _write(tmp_path / "a.heic", SMOOTH, exif=_exif(orientation))
    found, expected = Photograph.read(tmp_path / "a.heic"), Photograph.read(tmp_path / "a.png")
    assert found.size == files.size(tmp_path / "a.heic") == expected.size
    assert _error(found.pixels, expected.pixels) <= 3
    assert found.exif == _exif()
    assert (b"irot" in (tmp_path / "a.heic").read_bytes()) or orientation in (1, 2, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_what_is_written_is_read_back(tmp_path: Path, dtype: type, has_alpha: bool) -> None:
    pixels = SMOOTH.astype(dtype) * (257 if dtype == np.uint16 else 1)
    before = Photograph(pixels, pixels[..., :1] if has_alpha else None, icc=ICC, dpi=(300.0, 150.0), exif=_exif())
    lost = before.write(tmp_path / "a.heic")
    assert lost == (("heic keeps 10 of its 16 bits",) if dtype == np.uint16 else ())
    after = Photograph.read(tmp_path / "a.heic")
    assert _error(after.interleaved, before.interleaved) <= 6
    assert np.unique(after.pixels[..., 1]).size > (56 if dtype == np.uint8 else 60)  # is not 8 bit made 16
    assert (after.icc, after.dpi, after.exif, after.notes) == (ICC, (300.0, 150.0), _exif(), ())


def test_grey_with_its_profile_and_pictures_of_one_pixel(tmp_path: Path) -> None:
    icc = ICC[:16] + b"GRAY" + ICC[20:]
    Photograph(SMOOTH[..., :1], icc=icc).write(tmp_path / "a.heif")
    found = Photograph.read(tmp_path / "a.heif")
    assert found.icc == icc
    assert _error(found.pixels, SMOOTH[..., :1]) <= 4
    Photograph(SMOOTH[3:4, 5:6]).write(tmp_path / "b.hif")
    assert _error(Photograph.read(tmp_path / "b.hif").pixels, SMOOTH[3:4, 5:6]) <= 4


def test_wide_and_hdr_colours_are_kept_by_their_numbers(tmp_path: Path) -> None:
    """BT.2020 and PQ (ITU-T H.273: 9, 16) as HEIC has them, and the same in a PNG's chunk cICP."""
    options = {"color_primaries": 9, "transfer_characteristics": 16, "matrix_coefficients": 9, "full_range_flag": 1}
    _write(tmp_path / "a.heic", SMOOTH.astype(np.uint16) * 257, **options)
    found = Photograph.read(tmp_path / "a.heic")
    assert found.colour == ((b"cICP", b"\x09\x10\x00\x01"),)
    assert _error(found.pixels, SMOOTH) <= 2
    assert found.write(tmp_path / "b.heic") == ("heic keeps 10 of its 16 bits",)
    assert found.write(tmp_path / "b.png") == ()
    for name in ("b.heic", "b.png"):
        assert Photograph.read(tmp_path / name).colour == found.colour
    assert "jpg has no place for its cICP, which says how its colours are to be seen" in found.write(tmp_path / "b.jpg")


def test_of_several_pictures_the_primary_one_is_taken(tmp_path: Path) -> None:
    file = pillow_heif.from_bytes("RGB", (16, 8), bytes(16 * 8 * 3))
    file.add_frombytes("RGB", (56, 40), SMOOTH.tobytes())
    file.save(tmp_path / "a.heic", primary_index=1)
    found = Photograph.read(tmp_path / "a.heic")
    assert found.size == (40, 56)
    assert found.notes == ("picture 2 of 2",)


@pytest.mark.parametrize("length", [12, 30, 200, 500, -200])
def test_a_truncated_one_is_one_line(tmp_path: Path, length: int) -> None:
    _write(tmp_path / "whole.heic", SMOOTH)
    (tmp_path / "a.png").write_bytes((tmp_path / "whole.heic").read_bytes()[:length])  # of a wrong suffix, too
    for read in (Photograph.read, files.read):
        with pytest.raises(ValueError, match=r"^[^\n]*a\.png is damaged or truncated: [^\n]*$"):
            read(tmp_path / "a.png")


def test_one_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    _write(tmp_path / "a.heic", np.zeros((64, 64, 3), np.uint8))
    data = bytearray((tmp_path / "a.heic").read_bytes())
    at = data.find(b"ispe") + 8
    data[at : at + 8] = (30_000).to_bytes(4, "big") * 2
    (tmp_path / "a.heic").write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.heic has more than 178,956,970 pixels"):
        Photograph.read(tmp_path / "a.heic")
    with pytest.raises(ValueError, match="16385x2 is more than the 16384 pixels of a side that heic can hold"):
        Photograph(np.zeros((2, 16385, 1), np.uint8)).write(tmp_path / "b.heic")
    assert [path.name for path in tmp_path.iterdir()] == ["a.heic"]
