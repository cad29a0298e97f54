import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from _support.zips import ALTERED, ARCHIVE, DATA, MEMBERS, ONE, THREE, TWO, fill_disk, leave, zipped

from zoomsr.downloads.archives import check, unpack


def spread(folder: Path, data: bytes = DATA) -> None:
    """Unpack a zip into ``folder / "out"``, and hold the members against the originals."""
    unpack(leave(folder, data, "set.zip"), ARCHIVE, folder / "out")
    assert files_in(folder / "out") == MEMBERS


def files_in(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_unpacking_goes_on_after_an_interruption(tmp_path: Path) -> None:
    spread(tmp_path)
    out = tmp_path / "out"
    (out / TWO).write_bytes(b"short")
    (out / THREE).unlink()
    leave((out / THREE).parent, b"left by a crash", f".{Path(THREE).name}.0123abcd.part")
    before = (out / ONE).stat().st_mtime_ns
    spread(tmp_path)
    assert (out / ONE).stat().st_mtime_ns == before


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
    spread(tmp_path)


def test_a_disk_that_fills_up_leaves_whole_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        fill_disk(patched, room=5000)
        with pytest.raises(ValueError, match=r"the disk is full, .*set\.zip is not complete: free some"):
            spread(tmp_path)
    assert files_in(tmp_path / "out") == {}
    spread(tmp_path)


def test_check_says_what_differs(tmp_path: Path) -> None:
    path = leave(tmp_path, DATA, "set.zip")
    check(path, ARCHIVE)
    path.write_bytes(ALTERED)
    digest = hashlib.sha256(ALTERED).hexdigest()
    with pytest.raises(ValueError, match=f"has sha256 {digest}, expected {ARCHIVE.sha256}: remove it"):
        check(path, ARCHIVE)
    path.write_bytes(DATA[:7])
    with pytest.raises(ValueError, match=rf"set\.zip has 7 bytes, expected {len(DATA)}: remove it"):
        check(path, ARCHIVE)
    with pytest.raises(ValueError, match=r"other\.zip is missing: put set\.zip there"):
        check(tmp_path / "other.zip", ARCHIVE)
