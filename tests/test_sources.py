from pathlib import Path

import pytest

from zoomsr.data.sources import Photo, Photographs, folder, sample
from zoomsr.image import read


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


def test_overlap_is_refused(photos: Path) -> None:
    with pytest.raises(ValueError, match=r"4\.png is both trained on and held out"):
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
    with pytest.raises(ValueError, match="one image, and one must be held out"):
        folder(str(tmp_path / "one"))


def test_an_empty_part_is_refused(photos: Path) -> None:
    with pytest.raises(ValueError, match="mine: no photograph to hold out"):
        Photographs("mine", (Photo("0", photos / "0.png"),), ())
