import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from PIL import Image, ImageCms

from zoomsr.imaging import files
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.pixels import crop_to_multiple, luma, quantize, shave, to_8bit

PIXELS = photograph(6, 10)


def _expect(path: Path, expected: np.ndarray, tolerance: int = 0) -> None:
    read = files.read(path).permute(1, 2, 0).numpy().astype(int)
    assert read.shape == expected.shape
    assert np.abs(read - expected).max() <= tolerance
    assert files.size(path) == expected.shape[:2]


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[:, 4:] = [0, 255, 255, 0]  # magenta and yellow make red
    Image.fromarray(inks, mode="CMYK").save(tmp_path / "a.jpg", quality=95)
    expected = np.full((8, 8, 3), 255)
    expected[:, 4:] = [255, 0, 0]
    _expect(tmp_path / "a.jpg", expected, tolerance=12)


def test_icc_profile_and_text_do_not_change_pixels(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=profile)
    _expect(tmp_path / "a.png", PIXELS)


@pytest.mark.parametrize("format_", ["PNG", "JPEG"])
def test_truncated_file_is_named(tmp_path: Path, format_: str) -> None:
    whole = io.BytesIO()
    Image.fromarray(photograph(64, 64)).save(whole, format_)
    path = tmp_path / f"cut.{format_.lower()}"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(ValueError, match=r"cut\..* is damaged or truncated"):
        files.read(path)


def test_text_named_png_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(ValueError, match=r"text\.png is not an image"):
        files.read(tmp_path / "text.png")


@pytest.mark.parametrize("read", [files.read, files.size, Photograph.read])
def test_a_program_for_ghostscript_is_no_picture(tmp_path: Path, read: Callable[[Path], object]) -> None:
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(ValueError, match=r"a\.png is not an image"):
        read(tmp_path / "a.png")


def test_floats_are_clipped_and_rounded_half_up() -> None:
    values = torch.tensor([-1.0, 0.0, 0.4999 / 255, 0.5 / 255, 1.0, 2.0])
    assert quantize(values).tolist() == [0, 0, 0, 1, 255, 255]
    assert quantize(values * 255 / 65535, 65535).tolist() == [0, 0, 0, 1, 255, 510]
    assert (quantize(values).dtype, quantize(values, 65535).dtype) == (torch.uint8, torch.int32)
    deep = np.arange(65536, dtype=np.uint16)
    assert np.array_equal(to_8bit(deep), quantize(torch.from_numpy(deep.astype(np.float64)) / 65535).numpy())


def test_luma_is_matlabs() -> None:
    colours = torch.tensor([[1.0, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]).T.reshape(3, 1, 5)
    expected = torch.tensor([235, 16, 16 + 65.481, 16 + 128.553, 16 + 24.966])
    torch.testing.assert_close(luma(colours).flatten() * 255, expected)


def test_luma_of_grey_is_itself() -> None:
    grey = torch.rand(2, 1, 4, 4)
    assert torch.equal(luma(grey), grey)


def test_shave_zero_keeps_everything() -> None:
    picture = torch.rand(3, 6, 8)
    assert torch.equal(shave(picture, 0), picture)
    assert torch.equal(shave(picture, 2), picture[:, 2:4, 2:6])


def test_crop_to_multiple_drops_bottom_and_right() -> None:
    picture = torch.rand(3, 7, 9)
    assert torch.equal(crop_to_multiple(picture, 4), picture[:, :4, :8])
    assert crop_to_multiple(picture, 1).shape == (3, 7, 9)
