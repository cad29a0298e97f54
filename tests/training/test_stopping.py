"""What stops a run early: signals, a full disk, fewer epochs than it has. Each is one line, and nothing is lost."""

from __future__ import annotations

import re
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from _support.signals import SENDS, Train, steps_of, stopped
from lightning.pytorch import LightningModule, Trainer

from zoomsr.pretrained.weights import is_intact
from zoomsr.runs.files import read_rows, write_json, write_rows
from zoomsr.runs.job import Job
from zoomsr.training.callbacks.last_checkpoint import LastCheckpoint
from zoomsr.training.callbacks.limits import TimeLimit
from zoomsr.training.checkpoint_io import AtomicCheckpoints

Command = Callable[..., Path]

pytestmark = pytest.mark.usefixtures("own_handlers")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_before_the_run_stops(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    assert stopped(train, number) == 128 + number
    assert steps_of(tmp_path / "run0") == 7
    assert "saved in run0/checkpoints/last.ckpt; python -m zoomsr.train ckpt=run0 resumes it" in capsys.readouterr().out
    job = Job(tmp_path / "run0")
    job.record(128 + number)
    assert job.status()["state"] == "stopped"


def test_a_second_ctrl_c_stops_at_once_and_says_what_there_is(
    train: Train, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert stopped(train, signal.SIGINT, signal.SIGINT) == 130
    shown = capfd.readouterr()
    assert steps_of(tmp_path / "run0") == 5  # of the first epoch's end
    assert "stopped  at once; python -m zoomsr.train ckpt=run0 resumes from its last checkpoint" in shown.out
    assert "Traceback" not in shown.err + shown.out


def test_nohup_is_respected(train: Train) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    run = train(SENDS, f"+callbacks.signals.numbers=[{signal.SIGHUP:d}]")
    assert len(run.epochs) == 2


@contextmanager
def _no_file_larger_than(size: int) -> Iterator[None]:
    """As on a full disk, the system refuses to write more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_that_does_not_fit_is_named_and_the_old_one_stays(tmp_path: Path) -> None:
    last, rows, results = tmp_path / "last.ckpt", tmp_path / "metrics.csv", tmp_path / "metrics.json"
    AtomicCheckpoints().save_checkpoint({"number": 0}, last)
    write_rows(rows, [{"epoch": 1, "step": 5, "val/mae": 0.5}])
    write_json(results, {"number": 0})
    for path, write in (
        (last, lambda: AtomicCheckpoints().save_checkpoint({"number": torch.rand(10_000)}, last)),
        (rows, lambda: write_rows(rows, [{"epoch": n, "val/mae": 0.5} for n in range(10_000)])),
        (results, lambda: write_json(results, {"numbers": list(range(10_000))})),
    ):
        before = path.read_bytes()
        reason = f"{re.escape(str(path))} cannot be written: File too large; what was there before is unchanged"
        with pytest.raises(OSError, match=reason), _no_file_larger_than(4096):
            write()
        assert path.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "metrics.csv", "metrics.json"]


def test_a_run_on_a_full_disk_ends_in_one_line_and_resumes_from_what_it_had(
    train: Train, command: Command, capfd: pytest.CaptureFixture[str]
) -> None:
    run = train("logger=none", "trainer.max_epochs=1").path
    size = (run / "checkpoints" / "last.ckpt").stat().st_size
    with pytest.raises(SystemExit) as stop, _no_file_larger_than(size - 1000):
        command(f"ckpt={run}", "trainer.max_epochs=2")
    assert stop.value.code == 1
    shown = capfd.readouterr()
    assert re.search(r"^error: \S+\.ckpt cannot be written: File too large; .* unchanged$", shown.err, re.MULTILINE)
    assert "Traceback" not in shown.err
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert is_intact(run / "checkpoints" / "last.ckpt")
    assert steps_of(run) == 5
    command(f"ckpt={run}", "trainer.max_epochs=2")
    assert [row["epoch"] for row in read_rows(run / "metrics.csv")] == [1, 2]


@pytest.mark.parametrize("limit", ["trainer.max_time=30", "trainer.max_steps=-5"])
def test_a_limit_that_is_none_is_one_line(train: Train, capsys: pytest.CaptureFixture[str], limit: str) -> None:
    with pytest.raises(SystemExit):
        train(limit)
    assert f"error: {limit} must be " in capsys.readouterr().err


def test_fewer_epochs_than_done_and_an_unknown_monitor_are_one_line(
    train: Train, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train().path
    for overrides, message in (
        ([f"ckpt={run}", "trainer.max_epochs=1"], "trainer.max_epochs=1, but {}/checkpoints/last.ckpt has 2 epochs"),
        (
            [f"ckpt={run}", "trainer.max_epochs=3", "monitor=val/beauty"],
            "monitor=val/beauty is not measured",
        ),
    ):
        with pytest.raises(SystemExit) as stop:
            command(*overrides)
        assert stop.value.code == 1
        (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))
        assert message.format(run) in line
    assert (run / "checkpoints" / "last.ckpt").is_file()


def test_several_ranks_agree_on_the_time_every_tenth_step() -> None:
    limit, asked = TimeLimit("00:00:00:01"), []
    limit._check_time_remaining = lambda trainer: asked.append(trainer.global_step)  # type: ignore[method-assign]
    for step in range(1, 31):
        limit.on_train_batch_end(SimpleNamespace(world_size=2, global_step=step))  # type: ignore[arg-type]
    assert asked == [10, 20, 30]
    limit.on_train_batch_end(SimpleNamespace(world_size=1, global_step=31))  # type: ignore[arg-type]
    assert asked[-1] == 31
    assert limit.state_key == "Timer"


def test_ranks_do_not_ask_the_device_before_every_step_whether_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = (trainer := Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)).fit_loop.epoch_loop
    asked: list[str] = []
    monkeypatch.setattr(torch.distributed, "broadcast", lambda *_, **__: asked.append("broadcast"))
    loop._broadcast_sigterm_tensor()
    assert asked == ["broadcast"]
    LastCheckpoint(str(tmp_path)).on_train_start(trainer, LightningModule())  # which hears the signals itself
    loop._broadcast_sigterm_tensor()
    assert asked == ["broadcast"]
