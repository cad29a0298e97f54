import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from _support.zips import ARCHIVE, DATA, MEMBERS, ONE, THREE, TWO, fill_disk, leave, zipped

from zoomsr.data.div2k.archives import DIV2K, unpack


def spread(folder: Path, data: bytes = DATA) -> list[int]:
    """Unpack a zip into ``folder / "out"``, hold the members against the originals, and return the progress."""
    heard: list[int] = []
    unpack(leave(folder, data, "set.zip"), ARCHIVE, folder / "out", progress=heard.append)
    assert files_in(folder / "out") == MEMBERS
    return heard


def files_in(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_unpacking_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    assert spread(tmp_path) == [0, 1, 2, 3]
    before = [(tmp_path / "out" / name).stat().st_mtime_ns for name in MEMBERS]
    assert spread(tmp_path) == [3]
    assert [(tmp_path / "out" / name).stat().st_mtime_ns for name in MEMBERS] == before


def test_unpacking_goes_on_after_an_interruption(tmp_path: Path) -> None:
    def interrupt(done: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(leave(tmp_path, DATA, "set.zip"), ARCHIVE, tmp_path / "out", progress=interrupt)
    assert files_in(tmp_path / "out") == {ONE: MEMBERS[ONE]}
    leave(tmp_path / "out" / "SET" / "X2", b"short", Path(TWO).name)
    leave(tmp_path / "out" / "SET" / "X2", b"left by a crash", f".{Path(THREE).name}.0123abcd.part")
    before = (tmp_path / "out" / ONE).stat().st_mtime_ns
    assert spread(tmp_path) == [1, 2, 3]
    assert (tmp_path / "out" / ONE).stat().st_mtime_ns == before


def test_nothing_but_the_members_is_written(tmp_path: Path) -> None:
    spread(tmp_path, zipped({"../evil.png": b"evil", "SET/X2/0004x2.png": b"more", **MEMBERS}))
    assert files_in(tmp_path).keys() == {"set.zip", *(f"out/{name}" for name in MEMBERS)}


def test_space_is_counted_before_the_first_member(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leave(tmp_path, DATA, "set.zip")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=59_999))
    with pytest.raises(ValueError, match=r"60\.0 kB free, set\.zip needs 60\.0 kB: free some"):
        spread(tmp_path)
    assert files_in(tmp_path / "out") == {}
    leave(tmp_path / "out" / "SET" / "X2", MEMBERS[TWO], Path(TWO).name)
    assert spread(tmp_path) == [1, 2, 3]


def test_a_disk_that_fills_up_leaves_whole_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        fill_disk(patched, room=5000)
        with pytest.raises(ValueError, match=r"the disk is full, .*set\.zip is not complete: free some"):
            spread(tmp_path)
    assert files_in(tmp_path / "out") == {}
    assert spread(tmp_path) == [0, 1, 2, 3]


def test_div2k_is_as_published() -> None:
    sizes = {("train", 1): 3530603713, ("train", 2): 925390592, ("train", 3): 427847282, ("train", 4): 246914039}
    sizes |= {("val", 1): 448993893, ("val", 2): 117763600, ("val", 3): 54513392, ("val", 4): 31505881}
    assert {key: archive.size for key, archive in DIV2K.items()} == sizes
    assert {split: len(DIV2K[split, scale].members) for split, scale in DIV2K} == {"train": 800, "val": 100}
    assert len({archive.sha256 for archive in DIV2K.values()}) == 8
    assert all(len(bytes.fromhex(archive.sha256)) == 32 for archive in DIV2K.values())


@pytest.mark.parametrize(
    ("key", "name", "first", "last"),
    [
        (("train", 1), "DIV2K_train_HR.zip", "DIV2K_train_HR/0001.png", "DIV2K_train_HR/0800.png"),
        (("val", 1), "DIV2K_valid_HR.zip", "DIV2K_valid_HR/0801.png", "DIV2K_valid_HR/0900.png"),
        (
            ("train", 2),
            "DIV2K_train_LR_bicubic_X2.zip",
            "DIV2K_train_LR_bicubic/X2/0001x2.png",
            "DIV2K_train_LR_bicubic/X2/0800x2.png",
        ),
        (
            ("val", 4),
            "DIV2K_valid_LR_bicubic_X4.zip",
            "DIV2K_valid_LR_bicubic/X4/0801x4.png",
            "DIV2K_valid_LR_bicubic/X4/0900x4.png",
        ),
    ],
)
def test_div2k_names(key: tuple[str, int], name: str, first: str, last: str) -> None:
    members = DIV2K[key].members
    assert (DIV2K[key].name, members[0], members[-1]) == (name, first, last)
