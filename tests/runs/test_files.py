"""Atomic files: whole or as before, whoever writes, whatever fails."""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from zoomsr.runs.files import atomic_write, drop_partials, full_disk_explained, require_space

PACKAGE = Path(__file__).parents[2] / "zoomsr"


def test_a_file_is_replaced_at_the_end_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("fault", [FULL, ValueError("no"), KeyboardInterrupt()])
def test_a_fault_leaves_the_old_file_and_nothing_else(tmp_path: Path, fault: BaseException) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def write() -> None:
        with atomic_write(path) as file:
            file.write(b"half")
            raise fault

    with pytest.raises(type(fault)) as caught:
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(fault, OSError):
        assert isinstance(caught.value, OSError)
        unchanged = "what was there before is unchanged"
        assert str(caught.value) == f"{path} cannot be written: No space left on device; {unchanged}"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_what_to_do(tmp_path: Path, number: int) -> None:
    def write() -> None:
        with full_disk_explained(tmp_path / "set.zip"), atomic_write(tmp_path / "a"):
            raise OSError(number, "full")

    message = r"the disk is full, \S+set\.zip is not complete: free some space, then run the same command again"
    with pytest.raises(ValueError, match=message):
        write()

    def refuse() -> None:
        with full_disk_explained(tmp_path):
            raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        refuse()


def test_room_is_asked_for_before_a_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=5_000))
    require_space(tmp_path, 5_000, what="a.zip")
    with pytest.raises(ValueError, match=r"has 5\.0 kB free, a\.zip needs 6\.0 kB: free some space"):
        require_space(tmp_path, 6_000, what="a.zip")


def test_two_writers_of_one_path_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write(b"first")
        second.write(b"second, longer")
    assert path.read_text() == "first"  # the outer one ends last
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("of the link")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "a") as file:
        file.write(b"new")
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "target").read_text() == "of the link"


def test_the_mode_is_that_of_an_ordinary_file(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_write(tmp_path / "a"):
        pass
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_name_of_255_bytes_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 126 + ".js")
    with atomic_write(path) as file:
        file.write(b"1")
    assert path.read_bytes() == b"1"


def test_partials_of_killed_writers_are_removed_and_no_other_file(tmp_path: Path) -> None:
    for name in (".last[1].ckpt.0123abcd.part", ".last1.ckpt.0123abcd.part", ".last[1].ckpt.part", "last[1].ckpt"):
        (tmp_path / name).touch()
    drop_partials(tmp_path / "last[1].ckpt")
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == [".last1.ckpt.0123abcd.part", ".last[1].ckpt.part", "last[1].ckpt"]


def test_names_of_a_run_are_written_in_its_layout_alone() -> None:
    """Names with a dot in them: as whole string literals they stand in no other file."""
    layout = (PACKAGE / "runs" / "layout.py").read_text(encoding="utf-8")
    names = set(re.findall(r'"(\.?\w+\.(?:yaml|json|log|ckpt|csv|png|db))"', layout))
    names |= {".hydra", ".lock", ".locked_by", ".made_by", "checkpoints"}
    assert {"metrics.json", "best.ckpt", "area.json"} <= names
    for path in PACKAGE.rglob("*.py"):
        if path.name != "layout.py" or path.parent.name != "runs":
            literals = set(re.findall(r'"([^"\n]+)"', path.read_text(encoding="utf-8")))
            # report/recipe.py owns the files of a report, of which one has the name of an evaluation's.
            assert not names & literals - ({"images.csv"} if path.parent.name == "report" else set()), path
