"""The rows of metrics.csv and the points of the loggers: whatever ends an epoch, what was measured and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.logged import of_tensorboard
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer

from zoomsr.cli.console import epoch_table
from zoomsr.metrics.quality import METRICS
from zoomsr.runs.files import read_rows, write_rows
from zoomsr.runs.run import Run
from zoomsr.training import module
from zoomsr.training.callbacks.last_checkpoint import LastCheckpoint

Train = Callable[..., Run]
SHORT = ("trainer.max_steps=8", "trainer.max_epochs=9")  # an epoch has 5 steps


class StopAt(Callback):
    """Ends the training within an epoch, as any callback may; logs something in the first epoch alone."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        trainer.should_stop = trainer.global_step == self._step
        if trainer.current_epoch == 0:
            pl_module.log("train/rare", 1.0, logger=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._step < 0 and trainer.global_step == -self._step:
            trainer.should_stop = True


def _places(run: Run) -> list[tuple[float, float]]:
    return [(row["epoch"], row["step"]) for row in run.epochs]


def _require_whole(row: dict[str, float], before: dict[str, float], *others: str) -> None:
    """Every metric is there, and none is that of the row before."""
    names = [f"{split}/{name}" for split in ("train", "val") for name in METRICS]
    for name in (*names, "train/loss", "val/loss", "val/mae_gap", *others):
        assert row[name] != before[name], name
    assert row["val/mae_gap"] == pytest.approx(row["val/mae"] - row["train/mae"])


def test_max_steps_closes_validates_and_records_the_epoch_that_it_cuts_short(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []
    monkeypatch.setattr(module, "measure", lambda sr, hr, **options: measured.append(sr) or _measure(sr, hr, **options))
    run = train(*SHORT)
    assert _places(run) == [(1, 5), (2, 8)]
    assert len(measured) == 8  # all batches of epochs as short as these
    _require_whole(run.epochs[1], run.epochs[0], "data/wait")
    assert run.results is not None
    assert (run.results["best_epoch"], run.results["best_step"], run.results["epochs"]) == (2, 8, 2)
    assert run.epochs[1]["val/psnr_y"] == pytest.approx(run.means()["srcnn"]["psnr_y"], rel=1e-5)
    checkpoint = torch.load(run.path / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 8
    assert checkpoint["lr_schedulers"][0]["last_epoch"] == 8


_measure = module.measure


def test_so_does_max_time(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(timer: Timer, trainer: Trainer) -> None:
        trainer.should_stop = trainer.global_step == 8

    monkeypatch.setattr(Timer, "_check_time_remaining", check)
    run = train("trainer.max_time=00:00:30:00", "trainer.max_epochs=9", "trainer.check_val_every_n_epoch=2")
    assert _places(run) == [(1, 5), (2, 8)]
    assert not any(name.startswith("val/") for name in run.epochs[0])
    assert {"train/mae", "val/mae", "val/mae_gap", "data/wait"} <= run.epochs[1].keys()


def test_an_epoch_that_is_not_due_is_validated_where_it_is_the_last_of_a_stopped_training(train: Train) -> None:
    run = train("trainer.max_steps=3", "trainer.check_val_every_n_epoch=2")
    assert _places(run) == [(1, 3)]
    assert "val/psnr_y" in run.epochs[0]
    assert run.results is not None
    assert run.results["best_epoch"] == 1


def test_any_callback_may_end_an_epoch_and_no_cell_is_of_an_earlier_one(train: Train) -> None:
    run = train("+callbacks.stop._target_=test_record.StopAt", "+callbacks.stop.step=8")
    assert _places(run) == [(1, 5), (2, 8)]
    _require_whole(run.epochs[1], run.epochs[0])
    assert run.epochs[0]["train/rare"] == 1
    assert "train/rare" not in run.epochs[1]


def test_an_epoch_that_ends_with_a_validation_within_has_one_row(train: Train) -> None:
    stop = ("+callbacks.stop._target_=test_record.StopAt", "+callbacks.stop.step=-2")
    run = train(*stop, "trainer.val_check_interval=0.5", "trainer.max_epochs=3")
    assert _places(run) == [(1, 2)]
    assert {"train/mae", "train/loss", "val/mae"} <= run.epochs[0].keys()


@pytest.mark.slow
def test_every_validation_has_a_row_and_a_point_of_its_own(train: Train) -> None:
    run = train("trainer.val_check_interval=0.4")
    assert _places(run) == [(1, 2), (1, 4), (1, 5), (2, 7), (2, 9), (2, 10)]
    assert ["train/mae" in row for row in run.epochs] == [False, False, True] * 2
    assert ["val/mae" in row for row in run.epochs] == [True, True, False, True, True, True]
    assert ["val/mae_gap" in row for row in run.epochs] == [False] * 5 + [True]
    values = [row["val/psnr_y"] for row in run.epochs if "val/psnr_y" in row]
    assert len(set(values)) == 5
    points = of_tensorboard(run)
    assert [step for step, _ in points["val/psnr_y"]] == [1, 1, 2, 2, 2]
    assert [value for _, value in points["val/psnr_y"]] == pytest.approx(values)
    assert len(points["train/psnr_y"]) == 2


@pytest.mark.slow
def test_a_training_by_steps_resumes_with_the_same_bits(
    train: Train, command: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(*SHORT)
    save = LastCheckpoint._save

    def save_and_fail(callback: LastCheckpoint, trainer: Trainer) -> None:
        save(callback, trainer)
        raise ValueError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(LastCheckpoint, "_save", save_and_fail)
        with pytest.raises(SystemExit):
            train(*SHORT)
    cut = whole.path.parent / "run1"
    for _ in range(2):  # the second time, all is done already
        command(f"ckpt={cut}")
        run = Run.read(cut)
        clocks = ("seconds", "data/wait")
        rows = [[{key: row[key] for key in row if key not in clocks} for row in one.epochs] for one in (run, whole)]
        assert rows[0] == rows[1]
        assert run.results is not None
        assert whole.results is not None
        assert run.results["sets"] == whole.results["sets"]
        assert run.results["epochs"] == 2


@pytest.mark.slow
def test_rows_of_older_versions_are_kept_and_those_that_are_repeated_are_not(
    train: Train, command: Callable[..., Path]
) -> None:
    run = train("trainer.max_epochs=2")
    old = [{key: value for key, value in row.items() if key != "step"} for row in run.epochs]
    write_rows(run.path / "metrics.csv", [*old, {**old[-1], "epoch": 3}])
    command(f"ckpt={run.path}", "trainer.max_epochs=3")
    rows = read_rows(run.path / "metrics.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[:2] == old
    assert rows[2]["step"] == 15


def test_the_table_at_the_end_shows_the_best_validation_not_the_end_of_its_epoch() -> None:
    rows = [
        {"epoch": 1, "step": 2, "val/psnr_y": 31.0},
        {"epoch": 1, "step": 5, "val/psnr_y": 29.0},
        {"epoch": 2, "step": 10, "val/psnr_y": 30.0},
    ]
    for best, best_step, shown in ((1, 2, "31.00"), (1, 5, "29.00"), (1, None, "29.00"), (2, 10, "30.00")):
        table = epoch_table(rows, best=best, best_step=best_step)
        assert list(table.columns[1].cells) == [str(best), "2"]
        assert list(table.columns[5].cells) == [shown, "30.00"]
