"""A batch that can be left alone: a second run, the disk, the time left, Ctrl-C, the exit code."""

from __future__ import annotations

import os
import resource
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from _support.tiny import photograph
from _support.zooming import Zoom
from PIL import Image

from zoomsr.cli import progress
from zoomsr.cli.progress import PixelProgress, duration, pixel_progress
from zoomsr.hardware import devices
from zoomsr.imaging.photo import Photograph
from zoomsr.inference import batch, disk, upscaler

_Usage = namedtuple("_Usage", "total used free")


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    """Photographs a, b and c in a folder ``trip``."""
    folder = tmp_path / "trip"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        Image.fromarray(photograph(8, 10, seed=seed)).save(folder / f"{name}.png")
    return folder


def test_a_second_run_does_what_is_missing(zoom: Zoom, trip: Path, tmp_path: Path) -> None:
    zoom("trip", "-m", "bicubic")
    results = {path: path.read_bytes() for path in sorted((tmp_path / "trip-x2").iterdir())}
    missing, *others = results
    missing.unlink()
    times = [path.stat().st_mtime_ns for path in others]
    assert zoom("trip", "-m", "bicubic", "--skip-existing").endswith("done 1 of 3 photographs, 2 skipped")
    assert {path: path.read_bytes() for path in results} == results
    assert [path.stat().st_mtime_ns for path in others] == times
    assert "done 0 of 3 photographs, 3 skipped" in zoom("trip", "-m", "bicubic", "--skip-existing")
    refused = zoom("trip", "-m", "bicubic", code=3)
    assert "done 0 of 3 photographs, 3 failed" in refused
    assert refused.count("is there already: --overwrite replaces it, --skip-existing leaves it") == 3


def test_one_photograph_that_is_there_is_skipped_too(zoom: Zoom, trip: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("of before")
    assert "0 of 1 photographs, 1 skipped" in zoom("trip/a.png", "-m", "bicubic", "-o", "a.png", "--skip-existing")
    assert (tmp_path / "a.png").read_text() == "of before"


def test_what_contradicts_skipping_is_refused(zoom: Zoom, trip: Path) -> None:
    skipping = ("trip/a.png", "-m", "bicubic", "--skip-existing")
    contradiction = "error: --skip-existing and --overwrite contradict each other: give one of them"
    assert contradiction in zoom(*skipping, "--overwrite", code=1)
    assert "error: --skip-existing does not go with --compare" in zoom(*skipping, "--compare", code=1)


def test_the_exit_code_counts_the_failures(zoom: Zoom, trip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ac":
        (trip / f"{name}.png").write_bytes(b"no picture")
    assert "done 1 of 3 photographs, 2 failed" in zoom("trip", "-m", "bicubic", code=2)
    assert batch.MAX_EXIT_CODE == 100
    monkeypatch.setattr(batch, "MAX_EXIT_CODE", 2)
    (trip / "b.png").write_bytes(b"no picture")
    assert "done 0 of 3 photographs, 3 failed" in zoom("trip", "-m", "bicubic", code=2)


def test_ctrl_c_leaves_what_is_done_and_says_so(
    zoom: Zoom, trip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Photograph.write

    def interrupted(self: Photograph, path: Path, **options: object) -> tuple[str, ...]:
        if path.name.startswith("c"):
            raise KeyboardInterrupt
        return sound(self, path, **options)  # type: ignore[arg-type]

    (trip / "a.png").write_bytes(b"no picture")
    monkeypatch.setattr(Photograph, "write", interrupted)
    said = zoom("trip", "-m", "bicubic", code=130)
    assert "done 1 of 3 photographs, 1 failed, 1 not finished error: trip/a.png is not an image" in said
    assert [path.name for path in (tmp_path / "trip-x2").iterdir()] == ["b-x2.png"]
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    Image.fromarray(photograph(8, 10)).save(trip / "a.png")
    assert zoom("trip", "-m", "bicubic", "--skip-existing").endswith("done 2 of 3 photographs, 1 skipped")


@pytest.mark.parametrize(
    ("free", "code", "words"),
    [
        # 3 results of 16x20, with 1.8 bytes a pixel: 1,728 bytes.
        (10**9, 0, "disk about 1.7 kB needed, 1.0 GB free in "),
        (1500, 0, "note about 1.7 kB needed, 1.5 kB free in "),
        (863, 1, "error: the results do not fit on the disk, about 1.7 kB needed, 863 bytes free in "),
    ],
)
def test_the_disk_is_asked_before(
    zoom: Zoom, trip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, code: int, words: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: _Usage(10**9, 10**9 - free, free))
    assert f"{words}{tmp_path}" in zoom("trip", "-m", "bicubic", code=code)
    assert (tmp_path / "trip-x2").exists() == (code == 0)


@pytest.mark.parametrize(
    ("free", "code", "words"),
    [
        # 32x40 of RGB, which become 64x80: 15,360 bytes beside them.
        (15_360, 0, "bicubic trip/"),
        (8_000, 0, "note about 15.4 kB of memory needed for 80x64, 8.0 kB free: it may become slow"),
        (7_600, 1, "error: trip/d.png: about 15.4 kB of memory needed for 80x64, 7.6 kB free: a smaller --scale"),
    ],
)
def test_the_memory_is_asked_before(
    zoom: Zoom, trip: Path, monkeypatch: pytest.MonkeyPatch, free: int, code: int, words: str
) -> None:
    Image.fromarray(photograph(32, 40)).save(trip / "d.png")
    for module in (devices, upscaler):
        monkeypatch.setattr(module, "free_memory", lambda device: free)
    assert words in zoom("trip/d.png", "-m", "bicubic", code=code)
    assert (trip / "d-x2.png").exists() == (code == 0)


def test_a_disk_that_becomes_full_costs_no_more_time(
    zoom: Zoom, trip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def usage(folder: Path) -> _Usage:  # each needs 576 bytes
        is_full = (tmp_path / "trip-x2" / "b-x2.png").exists()
        return _Usage(10**9, 0, 200 if is_full else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    Image.fromarray(photograph(8, 10)).save(trip / "d.png")
    read: list[str] = []
    sound = Photograph.read
    monkeypatch.setattr(Photograph, "read", lambda path: read.append(path.name) or sound(path))
    said = zoom("trip", "-m", "bicubic", code=2)
    assert "error: trip/c.png: the results do not fit on the disk, about 576 bytes needed, 200 bytes free" in said
    assert "done 2 of 4 photographs, 2 failed" in said
    assert read == ["a.png", "b.png"]


def test_a_write_that_fails_leaves_nothing_and_stops_no_other(zoom: Zoom, trip: Path, tmp_path: Path) -> None:
    Image.fromarray(photograph(40, 40)).save(trip / "b.png")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # bytes of a file, as if the disk were full
    try:
        said = zoom("trip", "-m", "bicubic", code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "trip-x2/b-x2.png cannot be written: File too large" in said
    assert "done 2 of 3 photographs, 1 failed" in said
    assert sorted(path.name for path in (tmp_path / "trip-x2").iterdir()) == ["a-x2.png", "c-x2.png"]


def test_a_folder_that_cannot_be_written_to_is_known_before(
    zoom: Zoom, trip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Photograph, "read", lambda path: pytest.fail("was read"))
    Path("notes").write_text("a file")
    said = zoom("trip", "-m", "bicubic", "-o", "notes/x/", code=3)
    assert "error: notes/x/a-x2.png cannot be written: notes is no folder, name another with -o" in said
    Path("ro").mkdir()
    sound = os.access  # root may write everywhere
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "ro" and sound(path, mode))
    said = zoom("trip", "-m", "bicubic", "-o", "ro/large/", code=3)
    assert said.count("cannot be written: ro is read-only, name another with -o") == 3
    assert "done 0 of 3 photographs, 3 failed" in said
    assert list(Path("ro").iterdir()) == []


def test_an_empty_folder_is_one_line(zoom: Zoom) -> None:
    Path("empty").mkdir()
    assert zoom("empty", "-m", "bicubic", code=1) == "error: there is no photograph in empty"


def test_what_is_replaced_or_skipped_needs_no_room(zoom: Zoom, trip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoom("trip", "-m", "bicubic")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: _Usage(10**9, 10**9, 0))
    zoom("trip", "-m", "bicubic", "--skip-existing")
    for path in Path("trip-x2").iterdir():
        path.write_bytes(bytes(1000))
    zoom("trip", "-m", "bicubic", "--overwrite")
    assert "do not fit" in zoom("trip", "-m", "bicubic", "-o", "other", code=1)


@pytest.mark.parametrize(("name", "factor"), [("a.png", 1.8), ("a.TIF", 1.9), ("a.webp", 0.45), ("a.jpeg", 0.7)])
def test_a_photograph_needs_about_as_many_bytes(name: str, factor: float) -> None:
    assert disk.about_bytes(Path(name), 1000) == 1000 * factor


def test_a_log_gets_lines_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.01)
    with pixel_progress(1000) as shown:
        shown.describe("3 of 40  a.jpg")
        shown.advance(200)
        shown.advance(50)
        said = ""
        while said.count("progress") < 2:
            said += capsys.readouterr().out
    assert "progress 3 of 40  a.jpg  25%, about " in said


def test_the_time_left_is_in_proportion() -> None:
    now, bar = [100.0], progress.pixel_bar()
    bar.get_time = lambda: now[0]
    shown = PixelProgress(bar, 1000)
    shown.describe("a.jpg")
    assert bar.lines == ["a.jpg  0%"]
    now[0] += 60
    shown.advance(200)
    assert bar.lines == ["a.jpg  20%, about 4 min left"]
    shown.reach(500)  # a picture that failed is behind, too
    assert bar.lines == ["a.jpg  50%, about 1 min left"]


def test_a_duration_is_short() -> None:
    spans = {0: "1 s", 59: "59 s", 59.6: "1 min", 100: "2 min", 3599: "1 h 0 min", 12_000: "3 h 20 min"}
    assert {seconds: duration(seconds) for seconds in spans} == spans


def test_no_line_comes_after_the_end(monkeypatch: pytest.MonkeyPatch, zoom: Zoom, trip: Path) -> None:
    assert "progress" not in zoom("trip", "-m", "bicubic")
    assert np.array_equal(Photograph.read(Path("trip-x2/a-x2.png")).size, (16, 20))
