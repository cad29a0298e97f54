"""Run directories: made for one run, used by one process at a time, replaced only when that is asked for."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from _support.tiny import TINY, TINY_NET
from filelock import FileLock

from zoomsr.runs.directories import locked, locks_end, make
from zoomsr.runs.files import read_rows
from zoomsr.runs.job import Job
from zoomsr.runs.run import Run

Command = Callable[..., Path]

_HOLD = """
import pathlib, sys, zoomsr.runs.directories
zoomsr.runs.directories.lock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def _held_by_another(folder: Path) -> Iterator[int]:
    """A process that holds the lock of a directory, until it is killed; its pid."""
    arguments = [sys.executable, "-c", _HOLD, str(folder)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.kill()


@pytest.fixture
def refused(command: Command, photos: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Gives the command for a tiny training, which must fail with one line; that line."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            command(*TINY, *TINY_NET, f"data.root={photos}", *arguments)
        assert stop.value.code == 1
        (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        return line

    return run


def _files(folder: Path) -> dict[str, bytes]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".lock")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    with locks_end():
        assert [make(tmp_path / "runs" / "now").name for _ in range(3)] == ["now", "now_2", "now_3"]


@pytest.mark.slow
def test_two_starts_in_one_second_get_two_directories(tmp_path: Path, photos: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "zoomsr.train", *TINY, *TINY_NET, f"data.root={photos}", f"seed={seed}"],
            env={**os.environ, "ZOOMSR_RUNS": str(tmp_path / "runs")},
            stdout=subprocess.DEVNULL,
        )
        for seed in (1, 2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    runs = sorted((tmp_path / "runs").iterdir())
    assert sorted(Job(run).settings()["seed"] for run in runs) == [1, 2]
    for run in runs:
        assert Job(run).settings()["run_dir"] == str(run)
        assert [row["epoch"] for row in read_rows(run / "metrics.csv")] == [1, 2]
        assert Job(run).is_finished


def test_a_run_is_resumed_or_replaced_and_never_overwritten_unasked(
    command: Command, train: Callable[..., Run], refused: Callable[..., str], photos: Path, tmp_path: Path
) -> None:
    run = train("trainer.max_epochs=1").path
    for own in ("thesis.txt", "train/photograph.png"):  # the second one beside TensorBoard's files
        (run / own).write_text("mine")
    before = _files(run)
    assert refused("hydra.run.dir=run0", "seed=2") == (
        "error: run0 is a run: ckpt=last hydra.run.dir=run0 resumes it, overwrite=true replaces it"
    )
    assert "leave one of them out" in refused("hydra.run.dir=run0", "ckpt=last", "overwrite=true")
    assert refused("hydra.run.dir=run0", "overwrite=no") == "error: overwrite=no must be true or false"
    # A replacement or a resume that cannot start leaves the run as it was.
    assert "Invalid learning rate" in refused("hydra.run.dir=run0", "overwrite=true", "optimizer.lr=-1")
    assert "widths=[8, 8] was asked for" in refused(f"ckpt={run}", "model.widths=[8,8]")
    assert _files(run) == before

    small = [*TINY, *TINY_NET, f"data.root={photos}", "trainer.max_epochs=1", f"hydra.run.dir={run}"]
    command(*small, "seed=2", "overwrite=true")
    replaced = Run.read(run)
    assert Job(run).settings()["seed"] == 2
    assert [row["epoch"] for row in replaced.epochs] == [1]
    assert not any("overwrite" in text for text in replaced.overrides)  # the run may be resumed with them
    assert len(list(run.glob("**/events*"))) == len([name for name in before if "events" in name])
    assert {Path(name).parent.name for name in before if "events" in name} == {"", "train", "val"}
    assert (run / "thesis.txt").read_text() == (run / "train" / "photograph.png").read_text() == "mine"
    assert not (run / ".replaced").exists()


@pytest.mark.slow
def test_a_second_process_is_refused_until_the_first_is_dead(
    train: Callable[..., Run], refused: Callable[..., str], command: Command
) -> None:
    run = train("trainer.max_epochs=1").path
    before = _files(run)
    with _held_by_another(run) as pid:
        expected = rf"error: \S*run0 is in use by {re.escape(socket.gethostname())} pid {pid}: wait for it, or stop it"
        for arguments in ([f"ckpt={run}"], ["hydra.run.dir=run0"], ["hydra.run.dir=run0", "overwrite=true"]):
            assert re.fullmatch(expected, refused("trainer.max_epochs=2", *arguments))
    assert _files(run) == before
    command(f"ckpt={run}", "trainer.max_epochs=2")  # the lock went with its holder, which was killed
    assert [row["epoch"] for row in Run.read(run).epochs] == [1, 2]


def test_a_command_that_fails_leaves_a_neighbour_that_is_starting(refused: Callable[..., str], tmp_path: Path) -> None:
    neighbour = tmp_path / "run"
    (neighbour / ".hydra").mkdir(parents=True)
    with _held_by_another(neighbour):
        (neighbour / ".hydra" / "overrides.yaml").write_text("- seed=1\n")
        (neighbour / "settings.yaml").write_text("seed: 1\n")
        before = _files(neighbour)
        refused("hydra.run.dir=run", "optimizer.lr=-1")
        assert _files(neighbour) == before


def test_a_directory_of_sweeps_is_no_run_and_is_locked_too(refused: Callable[..., str], tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    sweep.mkdir()
    with _held_by_another(sweep) as pid:
        assert f"in use by {socket.gethostname()} pid {pid}" in refused("-m", "seed=1,2", "hydra.sweep.dir=sweep")
    (sweep / "multirun.yaml").touch()
    assert refused("hydra.run.dir=sweep") == "error: sweep is a sweep: choose another hydra.run.dir"
    assert "sweep_resume=sweep resumes it" in refused("-m", "seed=1,2", "hydra.sweep.dir=sweep")
    assert sorted(path.name for path in sweep.iterdir() if path.suffix) == ["multirun.yaml"]


@pytest.mark.parametrize("arguments", [["--cfg", "job"], ["--help"]])
def test_what_only_shows_makes_no_directory(command: Command, tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) if arguments == ["--help"] else locks_end():
        command(*arguments)
    assert not list(tmp_path.glob("*/*_unet*"))


def test_an_evaluation_does_not_replace_a_run(
    train: Callable[..., Run], photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from zoomsr.evaluate import main

    run = train("trainer.max_epochs=1").path
    before = _files(run)
    monkeypatch.setattr(sys, "argv", ["zoomsr.evaluate", f"data_dir={photos}", "hydra.run.dir=run0"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "error: run0 is a run: overwrite=true replaces it\n"
    assert _files(run) == before


def test_a_file_system_without_locks_gives_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    with locked(tmp_path):
        assert "No locks available; nothing keeps a second process out of it" in caplog.text


def test_without_locks_of_unix_the_commands_can_be_imported() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import zoomsr.train, zoomsr.evaluate, zoomsr.jobs"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
