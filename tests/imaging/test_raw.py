"""Camera raw: white balance, colours, depth and orientation of a photograph that the test has taken itself."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from _support.dng import write_dng
from _support.tiny import photograph
from PIL import Image

from zoomsr.imaging import files
from zoomsr.imaging.photo import Photograph

pytest.importorskip("rawpy", reason="rawpy is not installed: pip install zoomsr[formats]")

NEUTRAL = (0.5, 1.0, 0.6)
FLAT = np.full((32, 48, 3), 0.3)


def _srgb(light: float) -> float:
    """IEC 61966-2-1, to 16 bit."""
    return 65535 * (1.055 * light ** (1 / 2.4) - 0.055)


def _corner() -> np.ndarray:
    """Dark, with light in the upper left corner."""
    light = np.full((32, 48, 3), 0.02)
    light[:12, :16] = 0.3
    return light


def test_flat_grey_light_is_the_same_grey(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", FLAT, neutral=NEUTRAL)
    found = Photograph.read(tmp_path / "a.dng")
    assert found.pixels.dtype == np.uint16
    assert found.size == files.size(tmp_path / "a.dng") == (32, 48)
    assert not files.is_grey(tmp_path / "a.dng")
    assert np.abs(found.pixels.astype(float) - _srgb(0.3)).max() <= 2
    assert (found.alpha, found.icc, found.notes) == (None, None, ())


def test_a_monochrome_camera_gives_grey(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", np.full((32, 48, 1), 0.3), neutral=None, orientation=6)
    found = Photograph.read(tmp_path / "a.dng")
    assert found.pixels.shape == (48, 32, 1)
    assert files.is_grey(tmp_path / "a.dng")
    assert np.abs(found.pixels.astype(float) - _srgb(0.3)).max() <= 2
    assert found.notes == ()


def test_a_camera_with_the_primaries_of_srgb_gives_its_colours(tmp_path: Path) -> None:
    light = (0.4, 0.2, 0.1)
    write_dng(tmp_path / "a.dng", np.full((32, 48, 3), light), neutral=NEUTRAL)
    colour = Photograph.read(tmp_path / "a.dng").pixels[8:-8, 8:-8].mean(axis=(0, 1))
    assert colour == pytest.approx([_srgb(value) for value in light], rel=0.005)


@pytest.mark.parametrize(("orientation", "corner"), [(1, (0, 0)), (3, (-1, -1)), (6, (0, -1)), (8, (-1, 0))])
def test_a_turned_camera(tmp_path: Path, orientation: int, corner: tuple[int, int]) -> None:
    write_dng(tmp_path / "a.dng", _corner(), neutral=NEUTRAL, orientation=orientation)
    found = Photograph.read(tmp_path / "a.dng")
    assert found.size == files.size(tmp_path / "a.dng") == ((32, 48) if orientation < 5 else (48, 32))
    light = {place for place in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if found.pixels[place].mean() > 20_000}
    assert light == {corner}
    assert found.exif is not None
    assert b"a camera" in found.exif
    assert b"\x01\x12" not in found.exif


def test_without_a_white_balance_there_is_a_note(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", FLAT, neutral=None)
    assert Photograph.read(tmp_path / "a.dng").notes == (
        "it has no white balance of the camera: that of daylight is taken",
    )


def test_a_dng_is_known_by_its_tags_and_a_jpeg_named_dng_by_its_first_bytes(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.tif", FLAT, neutral=NEUTRAL)
    assert Photograph.read(tmp_path / "a.tif").pixels.shape == (32, 48, 3)
    Image.fromarray(photograph(20, 30)).save(tmp_path / "b.dng", "JPEG")
    assert Photograph.read(tmp_path / "b.dng").size == (20, 30)


@pytest.mark.parametrize("length", [0, 3, 8, 200, 2_000])
def test_a_truncated_one_is_one_line(tmp_path: Path, length: int) -> None:
    write_dng(tmp_path / "whole.dng", FLAT, neutral=NEUTRAL)
    (tmp_path / "a.dng").write_bytes((tmp_path / "whole.dng").read_bytes()[:length])
    for read in (Photograph.read, files.read):
        with pytest.raises(ValueError, match=r"^[^\n]*a\.dng (is damaged or truncated: [IU]|is not an image)[^\n]*$"):
            read(tmp_path / "a.dng")


def test_one_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    write_dng(tmp_path / "a.dng", FLAT, neutral=NEUTRAL)
    data = (tmp_path / "a.dng").read_bytes()
    for tag, length in ((256, 48), (257, 32)):
        before, after = (struct.pack("<HHII", tag, 4, 1, value) for value in (length, 20_000))
        assert before in data
        data = data.replace(before, after)
    (tmp_path / "a.dng").write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.dng has more than 178,956,970 pixels"):
        Photograph.read(tmp_path / "a.dng")


def test_a_tiff_that_is_no_raw_is_not_read_by_its_preview(tmp_path: Path) -> None:
    Image.fromarray(photograph(20, 30)).save(tmp_path / "a.nef", "TIFF")
    with pytest.raises(ValueError, match=r"a\.nef is damaged or truncated: Unsupported file format or not RAW file$"):
        Photograph.read(tmp_path / "a.nef")
