from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from zoomsr.runs.crops import Crop, is_milestone, keep_epoch, keep_tested, read_crops


def _crop(*, whole: tuple[int, int] = (40, 60)) -> Crop:
    rng = np.random.default_rng(0)
    # Whole grey levels survive the files.
    photograph, lr, hr, bicubic = (
        (rng.integers(0, 256, (*size, 3)) / 255).astype(np.float32) for size in (whole, (8, 8), (16, 16), (16, 16))
    )
    return Crop("more/cat.png", (4, 6, 16, 16), photograph, lr, hr, bicubic)


def test_a_crop_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    area = _crop()
    area.save(tmp_path / "1_cat")
    keep_epoch(tmp_path / "1_cat", 10, area.hr)
    keep_epoch(tmp_path / "1_cat", 2, area.bicubic)
    keep_tested(tmp_path / "1_cat", area.hr)
    (back,) = read_crops(tmp_path)
    assert (back.name, back.box) == (area.name, area.box)
    for name in ("photograph", "lr", "hr", "bicubic"):
        np.testing.assert_array_equal(getattr(back, name), getattr(area, name))
    assert list(back.epochs) == [2, 10]
    np.testing.assert_array_equal(back.epochs[2], area.bicubic)
    assert back.tested is not None
    np.testing.assert_array_equal(back.tested, area.hr)


def test_a_large_photograph_is_kept_smaller_with_its_box(tmp_path: Path) -> None:
    replace(_crop(whole=(512, 1024)), box=(100, 200, 32, 16)).save(tmp_path)
    back = Crop.read(tmp_path)
    assert back.photograph is not None
    assert back.photograph.shape == (256, 512, 3)
    assert back.box == (50, 100, 16, 8)


def test_a_crop_needs_no_photograph(tmp_path: Path) -> None:
    replace(_crop(), photograph=None).save(tmp_path)
    assert Crop.read(tmp_path).photograph is None
    assert Crop.read(tmp_path).box == (4, 6, 16, 16)


def test_crops_of_a_kind(tmp_path: Path) -> None:
    for name in ("gain_02", "gain_01", "error_01"):
        replace(_crop(), name=name).save(tmp_path / name)
    assert [area.name for area in read_crops(tmp_path, "gain")] == ["gain_01", "gain_02"]
    assert read_crops(tmp_path / "missing") == []


@pytest.mark.parametrize("file", ["input.png", "area.json"])
def test_a_damaged_crop_is_named(tmp_path: Path, file: str) -> None:
    _crop().save(tmp_path)
    (tmp_path / file).write_bytes(b"no")
    with pytest.raises(ValueError, match=rf"{tmp_path} is a damaged crop"):
        Crop.read(tmp_path)


def test_milestones_thin_out() -> None:
    assert [epoch for epoch in range(1, 120) if is_milestone(epoch)] == [1, 2, 3, 5, 10, 20, 30, 50, 100]
