"""Which file each photograph becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoomsr.inference.targets import plan
from zoomsr.runs.files import atomic_write


@pytest.fixture
def trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder ``trip`` in the folder where one stands."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trip").mkdir()
    return Path("trip")


def _made(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def _targets(*patterns: str, out: str | None = None, ending: str = "-x2") -> dict[str, str]:
    """Source to target, both from where one stands."""
    tasks = plan(patterns, out, ending=lambda: ending)
    here = Path.cwd()
    return {str(task.source): str(task.target.absolute().relative_to(here)) for task in tasks}


def test_photographs_of_one_name_from_two_folders(trip: Path) -> None:
    _made("x/a.jpg", "y/a.jpg", "y/b.jpg")
    assert _targets("x/a.jpg", "y/a.jpg", "y/b.jpg", out="out") == {
        "x/a.jpg": "out/x-a-jpg-x2.png",
        "y/a.jpg": "out/y-a-jpg-x2.png",
        "y/b.jpg": "out/b-x2.png",
    }
    assert _targets("x", "y", out="out")["y/a.jpg"] == "out/y-a-jpg-x2.png"


def test_photographs_that_differ_in_their_suffixes_only(trip: Path) -> None:
    _made("trip/a.jpg", "trip/a.png", "trip/a-jpg.jpg")
    found = _targets("trip")
    assert len(set(found.values())) == 3
    assert found["trip/a.png"] == "trip-x2/a-png-x2.png"


def test_names_that_a_file_system_may_not_tell_apart(trip: Path) -> None:
    _made("trip/A.jpg", "trip/a.png", "trip/\u00fc.jpg", "trip/u\u0308.png")
    assert set(_targets("trip").values()) == {
        *("trip-x2/A-jpg-x2.png", "trip-x2/a-png-x2.png"),
        *("trip-x2/\u00fc-jpg-x2.png", "trip-x2/u\u0308-png-x2.png"),
    }


def test_photographs_that_cannot_be_told_apart_are_refused(trip: Path) -> None:
    _made("trip/a-b/c.jpg", "trip-a/b/c.jpg", "trip/A.jpg", "trip/a.jpg")
    if len(list(trip.glob("[Aa].jpg"))) < 2:
        pytest.skip("this file system does not tell A from a")
    with pytest.raises(ValueError, match=r"trip/A\.jpg and trip/a\.jpg would both become .*: give each an -o"):
        plan(["trip"], None, ending=lambda: "-x2")


def test_the_same_photograph_twice_is_one(trip: Path) -> None:
    _made("trip/day/a.jpg")
    assert _targets("trip/day/a.jpg", "./trip/day/a.jpg", out="out") == {"trip/day/a.jpg": "out/a-x2.png"}
    assert _targets("trip", "trip/day", out="out") == {"trip/day/a.jpg": "out/day/a-x2.png"}


def test_a_photograph_is_never_replaced_by_its_result(trip: Path) -> None:
    _made("trip/a.png")
    Path("link.png").symlink_to(Path("trip/a.png"))
    for source in ("trip/a.png", "link.png"):
        with pytest.raises(ValueError, match=r"trip/a\.png is a photograph that is to be enlarged: give another name"):
            plan([source], "trip/a.png", ending=lambda: "-x2")


def test_a_second_run_leaves_its_results_out(trip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    originals = ["trip/a.jpg", "trip/a.png", "trip/b-90x80.png", "trip/b.jpg", "trip/walk-x2.png"]
    _made(*originals)
    for out in ("trip", "trip/large"):
        first = _targets("trip", out=out)
        assert list(first) == originals
        _made(*first.values(), *_targets("trip", out=out, ending="-x4").values(), "trip/b-compared.png")
        _made(*(f"trip/b{ending}.png" for ending in ("-x1.5", "-90w", "-9w-8h", "-8h", "-2.5mp", "-4x3cm-300dpi")))
        capsys.readouterr()
        assert _targets("trip", out=out) == first
        assert "results of earlier runs are left out, the first trip/" in " ".join(capsys.readouterr().out.split())
    assert _targets("trip/b-x2.png") == {"trip/b-x2.png": "trip/b-x2-x2.png"}  # by itself it is a photograph


@pytest.mark.parametrize("out", ["out.cr3", "out.bmp", "x.jp2", "x.DNG", "photo.pgn"])
def test_a_format_that_cannot_be_written_is_refused(trip: Path, out: str) -> None:
    _made("a.jpg")
    with pytest.raises(ValueError, match=rf"-o {out}: no \{Path(out).suffix.lower()} can be written, but \.png \.jpg"):
        plan(["a.jpg"], out, ending=lambda: "-x2")


@pytest.mark.parametrize("out", ["trip.2024", "dr.who/", "out", "v1.2", "there.old", "large.jpg/"])
def test_a_folder_may_have_a_dot(trip: Path, out: str) -> None:
    _made("a.jpg", "there.old/x.txt")
    assert _targets("a.jpg", out=out) == {"a.jpg": f"{out.rstrip('/')}/a-x2.png"}


def test_very_long_names_fit(trip: Path) -> None:
    names = [f"{'日' * 83}{end}.jp" for end in "12"]  # 253 bytes, which differ in the last
    _made(*(f"trip/{name}" for name in names))
    found = [task.target for task in plan([f"trip/{name}" for name in names], "out", ending=lambda: "-x2")]
    assert [target.name[-9:] for target in found] == ["日1-x2.png", "日2-x2.png"]
    Path("out").mkdir()
    for target in found:
        assert len(target.name.encode()) <= 255
        with atomic_write(target) as file:
            file.write(b"x")
    assert len(list(Path("out").iterdir())) == 2
