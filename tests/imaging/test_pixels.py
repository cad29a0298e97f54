import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from _support.tiny import photograph
from PIL import Image, ImageCms

from zoomsr.imaging import files
from zoomsr.imaging.pixels import crop_to_multiple, luma, quantize, shave, to_8bit

PIXELS = photograph(6, 10)


def _expect(path: Path, expected: np.ndarray, tolerance: int = 0) -> None:
    read = files.read(path).permute(1, 2, 0).numpy().astype(int)
    assert read.shape == expected.shape
    assert np.abs(read - expected).max() <= tolerance
    assert files.size(path) == expected.shape[:2]


def test_rgb_is_read_as_stored(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    _expect(tmp_path / "a.png", PIXELS)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    Image.fromarray(PIXELS[..., 0]).save(tmp_path / "a.png")
    _expect(tmp_path / "a.png", np.repeat(PIXELS[..., :1], 3, -1))


def test_alpha_is_dropped_and_colours_stay(tmp_path: Path) -> None:
    alpha = np.linspace(0, 255, 60).astype(np.uint8).reshape(6, 10, 1)
    Image.fromarray(np.concatenate([PIXELS, alpha], -1)).save(tmp_path / "a.png")
    _expect(tmp_path / "a.png", PIXELS)


@pytest.mark.parametrize("transparency", [None, 0])
def test_palette_becomes_its_colours(tmp_path: Path, transparency: int | None) -> None:
    picture = Image.fromarray(np.arange(60, dtype=np.uint8).reshape(6, 10) % 4, mode="P")
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]], np.uint8)
    picture.putpalette(colours.tobytes())
    picture.save(tmp_path / "a.png", **({} if transparency is None else {"transparency": transparency}))
    _expect(tmp_path / "a.png", colours[np.arange(60).reshape(6, 10) % 4])


def test_16_bit_grey_is_rounded_to_8_bit(tmp_path: Path) -> None:
    wide = np.array([[0, 128, 129, 257, 65535, 32768]], np.uint16)
    Image.fromarray(wide).save(tmp_path / "a.png")
    rounded = np.floor(wide / 257 + 0.5).astype(np.uint8)
    assert rounded.tolist() == [[0, 0, 1, 1, 255, 128]]
    _expect(tmp_path / "a.png", np.repeat(rounded[..., None], 3, -1))


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[:, 4:] = [0, 255, 255, 0]  # magenta and yellow make red
    Image.fromarray(inks, mode="CMYK").save(tmp_path / "a.jpg", quality=95)
    expected = np.full((8, 8, 3), 255)
    expected[:, 4:] = [255, 0, 0]
    _expect(tmp_path / "a.jpg", expected, tolerance=12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif)
    mirrored = PIXELS[:, ::-1]
    upright = {
        1: PIXELS,
        2: mirrored,
        3: np.rot90(PIXELS, 2),
        4: PIXELS[::-1],
        5: np.rot90(mirrored, 1),
        6: np.rot90(PIXELS, -1),
        7: np.rot90(mirrored, -1),
        8: np.rot90(PIXELS, 1),
    }
    _expect(tmp_path / "a.png", upright[orientation])


def test_icc_profile_and_text_do_not_change_pixels(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PIXELS).save(tmp_path / "a.png", icc_profile=profile)
    _expect(tmp_path / "a.png", PIXELS)


def test_float_and_32_bit_pixels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(ValueError, match=r"f\.tif holds floating-point"):
        files.read(tmp_path / "f.tif")
    Image.fromarray(np.full((4, 4), 70000, np.int32)).save(tmp_path / "i.tif")
    with pytest.raises(ValueError, match=r"i\.tif holds 32-bit"):
        files.read(tmp_path / "i.tif")


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


def test_turned_and_deep_files_are_right_for_training(tmp_path: Path) -> None:
    """The size in the header, by which packing plans, is that of the pixels."""
    stored = np.random.default_rng(6).integers(0, 65536, (6, 10, 3), np.uint16)
    turn = [(274, "H", 1, 6, True)]
    tifffile.imwrite(
        tmp_path / "a.tif", stored.transpose(2, 0, 1), photometric="rgb", planarconfig="separate", extratags=turn
    )
    _expect(tmp_path / "a.tif", np.rot90(np.floor(stored / 257 + 0.5).astype(np.uint8), -1))
