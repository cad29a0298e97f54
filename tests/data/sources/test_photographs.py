from pathlib import Path

import pytest

from zoomsr.data.sources.photographs import Photo, Photographs, folder, sample
from zoomsr.imaging.files import read
from zoomsr.imaging.resize import resize


def test_sample_is_ten_colour_photographs_that_do_not_overlap() -> None:
    source = sample()
    assert (len(source.train), len(source.val)) == (7, 3)
    assert not {photo.name for photo in source.train} & {photo.name for photo in source.val}
    for photo in (*source.train, *source.val):
        pixels = read(photo.path)
        assert min(pixels.shape[1:]) >= 300, photo.name
        assert not pixels[0].equal(pixels[1]), photo.name


def test_folder_holds_out_a_part_always_the_same(photos: Path) -> None:
    source = folder(str(photos), val_fraction=0.34)
    assert (len(source.train), len(source.val)) == (4, 2)
    assert source == folder(str(photos), val_fraction=0.34)
    names = {photo.name for photo in source.train + source.val}
    assert names == {"0.png", "1.png", "2.png", "3.png", "more/4.png", "more/5.png"}


def test_folder_takes_a_second_folder_to_hold_out(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "a.PNG").write_bytes((photos / "0.png").read_bytes())
    source = folder(str(photos), val_root=str(tmp_path / "held"))
    assert (len(source.train), [photo.name for photo in source.val]) == (6, ["a.PNG"])


def test_fewer_photographs_are_among_more(photos: Path) -> None:
    few, more = (folder(str(photos), val_fraction=0.34, n_train=count) for count in (2, 3))
    assert (len(few.train), len(more.train)) == (2, 3)
    assert set(few.train) < set(more.train) < set(folder(str(photos), val_fraction=0.34).train)
    assert few.val == more.val
    with pytest.raises(ValueError, match=r"data\.n_train=5: .* has 4 photographs to train on"):
        folder(str(photos), val_fraction=0.34, n_train=5)


def test_smaller_copies_are_the_photographs_shrunk(photos: Path) -> None:
    source = folder(str(photos), val_fraction=0.34, scale_augmentation=[0.75, 0.5])
    assert (len(source.train), source.n_train, len(source.val)) == (12, 4, 2)
    assert source.describe() == "4 photographs and 8 smaller copies to train on, 2 for validation"
    whole, copy = (next(one for one in source.train if one.shrink == shrink) for shrink in (1, 0.75))
    assert (copy.name, copy.path) == (f"{whole.name} x0.75", whole.path)
    height, width = whole.size
    assert copy.size == (round(0.75 * height), round(0.75 * width))
    assert copy.read().equal(resize(whole.read(), copy.size))
    with pytest.raises(ValueError, match=r"data\.scale_augmentation has 1\.5: a smaller copy"):
        folder(str(photos), scale_augmentation=[0.9, 1.5])


def test_small_photographs_can_be_left_out(photos: Path) -> None:
    every = folder(str(photos), val_fraction=0.34, scale_augmentation=[0.5])
    shortest = min(min(one.size) for one in every.train if one.shrink == 1)
    source = folder(str(photos), val_fraction=0.34, scale_augmentation=[0.5], min_side=shortest)
    assert set(source.train) == {one for one in every.train if min(one.size) >= shortest}
    assert source.val == every.val
    with pytest.raises(ValueError, match=r"data\.min_side=9999: .* has no photograph as large to train on"):
        folder(str(photos), min_side=9999)


def test_overlap_is_refused(photos: Path) -> None:
    with pytest.raises(ValueError, match=r"4\.png is both trained and validated on"):
        folder(str(photos), val_root=str(photos / "more"))


def test_bad_folders_are_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.root=FOLDER"):
        folder(None)
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        folder(str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty has no images \(\.bmp"):
        folder(str(tmp_path / "empty"))
    with pytest.raises(ValueError, match=r"val_fraction 1\.5"):
        folder(str(photos), val_fraction=1.5)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes((photos / "0.png").read_bytes())
    with pytest.raises(ValueError, match="one image, and one is for validation"):
        folder(str(tmp_path / "one"))


def test_an_empty_part_is_refused(photos: Path) -> None:
    with pytest.raises(ValueError, match="mine: no photograph for validation"):
        Photographs("mine", (Photo("0", photos / "0.png"),), ())
