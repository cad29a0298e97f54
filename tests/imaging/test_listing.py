"""Which pictures a folder holds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoomsr.data.sources.photographs import images
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.imaging.files import SUFFIXES
from zoomsr.imaging.listing import pictures_below


def _touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def _names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in pictures_below(root, SUFFIXES)]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    root = _touch(tmp_path / ".hidden", "a.jpg", "._a.jpg", ".trash/b.png", "more/c.PNG", "more/.c.PNG", "notes.txt")
    assert _names(root) == ["a.jpg", "more/c.PNG"]
    assert [photo.name for photo in images(root)] == ["a.jpg", "more/c.PNG"]
    assert [hr.name for hr, _ in Benchmark.find(root, scale=2).files] == ["a.jpg"]


def test_every_suffix_of_a_jpeg_is_taken(tmp_path: Path) -> None:
    names = ["a.jfif", "b.JFIF", "c.jpe", "d.jpeg", "e.jpg"]
    assert _names(_touch(tmp_path, *names)) == names


def test_links_to_folders_are_followed_once_and_never_in_circles(tmp_path: Path) -> None:
    root, elsewhere = _touch(tmp_path / "root", "day/a.jpg"), _touch(tmp_path / "elsewhere", "b.jpg", "deep/c.jpg")
    (root / "again").symlink_to(root / "day")  # sorted before it, and no second a.jpg
    (root / "day" / "up").symlink_to(root)
    (root / "other").symlink_to(elsewhere)
    (elsewhere / "deep" / "round").symlink_to(elsewhere)
    (elsewhere / "deep" / "back").symlink_to(tmp_path)
    assert _names(root) == ["day/a.jpg", "other/b.jpg", "other/deep/c.jpg"]


def test_a_broken_link_is_listed_so_that_it_is_named_and_a_pipe_is_not(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert _names(tmp_path) == ["gone.jpg"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, scan = _touch(tmp_path, "a.jpg", "locked/b.jpg"), os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError, match="locked"):
        images(root)
    errors: list[OSError] = []
    assert [path.name for path in pictures_below(root, SUFFIXES, on_error=errors.append)] == ["a.jpg"]
    assert [error.filename for error in errors] == [str(root / "locked")]
