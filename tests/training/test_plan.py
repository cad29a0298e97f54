"""``plan=true``: what a training will take, from what a short one took."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoomsr.data.patches import stages
from zoomsr.runs.run import Run
from zoomsr.training.plan import forecast

TRIAL: dict[str, Any] = {
    "steps": [(9.0, "first"), (3.0, "measured"), (1.0, "plain"), (1.0, "plain"), (3.0, "measured"), (1.0, "plain")],
    "metrics_batches": 32,
    "patches": 512,
    "validation": 2.0,
    "rest": 0.5,
    "image_share": 0.5,
    "pixel_share": 0.25,
    "test": 4.0,
    "train_end": 100.0,
    "end": 110.0,
    "first_step": 7.0,
    "peak": 1000,
    "device": "cpu",
    "net": {"params": 10, "macs": 20},
    "epochs": 2,
    "files": {
        "checkpoints/best.ckpt": 700,
        "train/events.out.tfevents.1": 40,
        "pictures/1/epoch_00001.png": 10,
        "stopwatch.json": 9,
    },
    "all": {
        "checkpoints/best.ckpt": 700,
        "train/events.out.tfevents.1": 45,
        "pictures/1/epoch_00001.png": 10,
        "stopwatch.json": 9,
    },
}


def _settings(*, val_patch: int | None = None, batch_size: Any = 4, **trainer: Any) -> dict[str, Any]:
    usual = {"max_epochs": 10, "limit_train_batches": 1.0, "devices": 1, "num_nodes": 1, "accumulate_grad_batches": 2}
    data = {"patch": 32, "batch_size": batch_size, "val_patch": val_patch}
    return {"trainer": {**usual, **trainer}, "data": data, "budget": None}


def test_steps_with_training_metrics_count_as_often_as_an_epoch_has_them() -> None:
    plan = forecast(_settings(), [TRIAL], TRIAL, begun=2.0)
    assert plan.batches == 128
    assert plan.batch_s == (0.25 * 3 + 0.75 * 1,)  # every fourth of 128 is measured
    assert plan.validation_s == 2 / 0.25
    assert plan.epoch_s == pytest.approx(128 * 1.5 + 8 + 0.5)
    assert plan.training_s == pytest.approx(10 * plan.epoch_s)
    assert plan.start_s == 5
    assert plan.end_s == 10 + 4 * 3  # the other three quarters of the pixels
    assert plan.total_s == plan.start_s + plan.training_s + plan.end_s
    assert (plan.peak_bytes, plan.params, plan.macs) == (1000, 10, 20)


def test_epochs_of_few_batches_measure_every_step() -> None:
    plan = forecast(_settings(limit_train_batches=16), [TRIAL], TRIAL, begun=2.0)
    assert (plan.batches, plan.batch_s) == (16, (3.0 * 1 + 1.0 * 0,))


def test_validations_follow_their_interval_and_centres_their_number() -> None:
    plan = forecast(_settings(val_patch=64, check_val_every_n_epoch=5), [TRIAL], TRIAL, begun=2.0)
    assert plan.validation_s == 4
    assert plan.epoch_s == pytest.approx(128 * 1.5 + 0.5 + 4 / 5)
    often = forecast(_settings(val_check_interval=32), [TRIAL], TRIAL, begun=2.0)
    assert often.epoch_s == pytest.approx(128 * 1.5 + 0.5 + 4 * 8)


def test_stages_have_times_of_their_own_and_ranks_share_an_epoch() -> None:
    small = {**TRIAL, "steps": [(0.5, "first"), (0.5, "measured")], "peak": 2000}
    settings = _settings(batch_size=[8, 4], devices=2)
    assert stages(settings["data"]["patch"], settings["data"]["batch_size"]) == [(32, 8), (32, 4)]
    plan = forecast(settings, [small, TRIAL], TRIAL, begun=2.0)
    with pytest.raises(ValueError, match=r"has 2 stages, and data\.batch_size"):
        stages([96, 128], [32, 16, 8])
    assert plan.batches == 512 // 2 // 8
    assert plan.batch_s == (0.5, 3.0)
    assert plan.epoch_s == pytest.approx(32 * 1.75 + 8 + 0.5)
    assert plan.peak_bytes == 2000


def test_the_first_of_the_limits_ends_it() -> None:
    epoch_s = 128 * 1.5 + 8.5
    assert forecast(_settings(max_steps=64), [TRIAL], TRIAL, begun=2.0).epochs == 1  # of two batches each
    timed = forecast(_settings(max_time="00:00:10:00"), [TRIAL], TRIAL, begun=2.0)
    assert timed.training_s == pytest.approx(600)
    assert timed.epochs == pytest.approx(600 / epoch_s)
    assert forecast({**_settings(), "budget": "1h"}, [TRIAL], TRIAL, begun=2.0).training_s == pytest.approx(3600)
    both = {**_settings(max_steps=64), "budget": "1h"}
    assert forecast(both, [TRIAL], TRIAL, begun=2.0).epochs == 1
    both["trainer"] = {**both["trainer"], "max_steps": -1, "max_epochs": 1}
    assert forecast(both, [TRIAL], TRIAL, begun=2.0).training_s == pytest.approx(3600)  # however many epochs that is
    with pytest.raises(ValueError, match="a plan needs an end"):
        forecast(_settings(max_epochs=-1), [TRIAL], TRIAL, begun=2.0)


def test_curves_grow_with_the_epochs_and_pictures_are_kept_of_some() -> None:
    plan = forecast(_settings(), [TRIAL], TRIAL, begun=2.0)
    assert plan.disk_bytes == 755 + 8 * 20 + 3 * 5  # pictures of the epochs 3, 5 and 10 beside 1 and 2
    assert forecast(_settings(max_epochs=2), [TRIAL], TRIAL, begun=2.0).disk_bytes == 755


@pytest.mark.slow
def test_a_plan_measures_the_training_and_leaves_nothing(
    train: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="is not a run"):  # the fixture reads it
        train("plan=true", "trainer.max_epochs=3")
    lines = {line[:8].strip(): line[9:] for line in capsys.readouterr().out.splitlines()}
    assert list(lines) == ["plan", "steps", "net", "memory", "epoch", "time", "disk"]
    assert re.fullmatch(
        r"[\d.,]+ (ms|s): 5 batches of [\d.]+ (ms|s); validation .*, checkpoints and .*", lines["epoch"]
    )
    assert "3 epochs" in lines["time"]
    assert not (tmp_path / "run0").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan=true", "ckpt=last"], "plan=true is of one new training: leave out ckpt"),
        (["-m", "plan=true", "seed=1,2"], "plan=true is of one new training: leave out -m"),
        (["plan=true", "trainer.max_epochs=two"], "error: trainer.max_epochs=two must be a whole number"),
    ],
)
def test_what_cannot_be_planned_is_refused(
    command: Callable[..., Path], arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command(*arguments)
    assert words in capsys.readouterr().err
