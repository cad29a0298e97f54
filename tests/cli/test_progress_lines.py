"""Signs of life: a bar in a terminal, a line each minute in a log."""

from __future__ import annotations

import time

import pytest

from zoomsr.cli import progress
from zoomsr.cli.progress import download_bar, progress_bar, time_left, track


def test_lines_say_what_is_done_of_how_many_and_the_time_left() -> None:
    now, bar = [100.0], progress_bar()
    bar.get_time = lambda: now[0]
    images, figures = bar.add_task("images", total=600), bar.add_task("figures", total=None)
    assert bar.lines == ["images  0 of 600", "figures  0"]
    now[0] += 90
    bar.advance(images, 150)
    bar.advance(figures)
    assert bar.lines == ["images  150 of 600, about 4 min left", "figures  1"]
    bar.advance(images, 450)
    assert bar.lines == ["figures  1"]


def test_a_download_is_a_share() -> None:
    bar = download_bar()
    bar.get_time = lambda: 0.0
    task = bar.add_task("DIV2K_train_HR.zip", total=4000)
    bar.update(task, completed=1000)
    assert bar.lines[0].startswith("DIV2K_train_HR.zip  25%, about")


def test_nothing_is_known_of_the_time_at_first_and_at_the_end() -> None:
    assert [time_left(done, 10, 60.0) for done in (0, 10)] == ["", ""]
    assert time_left(5, None, 60.0) == ""
    assert time_left(1, 61, 60.0) == ", about 1 h 0 min left"


def test_lines_come_while_it_works_and_none_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert progress.LINE_INTERVAL_S == 60
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.01)
    said = ""
    for number in track(range(3), "rounds"):
        for _ in range(500):
            said += capsys.readouterr().out
            if f"progress rounds  {number} of 3" in said:
                break
            time.sleep(0.01)
        else:
            pytest.fail(said)
    capsys.readouterr()
    assert not any(thread.name.startswith("progress") for thread in progress.threading.enumerate())
    assert capsys.readouterr().out == ""


def test_a_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track("ab", "letters")) == ["a", "b"]
    assert capsys.readouterr().out == ""
