"""Trainings on a GPU: they learn what a CPU learns, wait for nothing, and say what they took."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from _support.device_checks import GPU, Train, learnt, require_same_scores, scores_on
from _support.kills import Settings
from _support.watching import WATCH, Watched

from zoomsr.runs.job import Job
from zoomsr.runs.run import Run
from zoomsr.training.recipe import train as train_settings

MEAN = ("ema=0.9", "trainer.accumulate_grad_batches=2")


_expected: dict[tuple[str, ...], float] = {}
"""What the CPU learns, once for all variants."""


@pytest.mark.parametrize(
    ("overrides", "on_cpu"),
    [
        (["trainer.precision=32-true"], ()),
        (["trainer.precision=bf16-mixed"], ()),
        (["trainer.precision=16-mixed", "trainer.gradient_clip_val=1"], ()),
        (["compile=true"], ()),
        (["compile=reduce-overhead", "trainer.precision=bf16-mixed"], ()),
        ([*MEAN], MEAN),
        ([*MEAN, "trainer.precision=16-mixed", "data.resident=host"], MEAN),
    ],
    ids=["32", "bf16", "16", "compiled", "graphs", "mean", "mean_16_host"],
)
def test_it_learns_what_a_cpu_learns(train: Train, overrides: list[str], on_cpu: tuple[str, ...]) -> None:
    if on_cpu not in _expected:
        _expected[on_cpu] = learnt(train, *on_cpu)
    assert learnt(train, GPU, *overrides) == pytest.approx(_expected[on_cpu], abs=1)


def test_the_same_weights_have_the_same_scores(train: Train) -> None:
    start = train(GPU, "optimizer.lr=2e-3").path / "checkpoints" / "last.ckpt"
    (validated, tested), (on_cpu, tested_on_cpu) = scores_on(train, start, GPU), scores_on(train, start)
    require_same_scores(validated, on_cpu)
    assert tested.keys() == tested_on_cpu.keys()
    for name, scores in tested.items():
        require_same_scores(scores, tested_on_cpu[name])


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("resident", ["host", "device"])
def test_no_step_waits_for_the_device(settings: Settings, precision: str, resident: str) -> None:
    usual = ("ema=0.9", "trainer.gradient_clip_val=0.1", f"trainer.precision={precision}", f"data.resident={resident}")
    with pytest.raises(Watched):
        train_settings(settings("run", "data.patches_per_image=12", *WATCH, GPU, *usual))


def test_the_record_says_what_was_used(train: Train, cuda: torch.device) -> None:
    results = train(GPU).results
    assert results is not None
    device = results["device"]
    assert (device["type"], device["name"]) == ("cuda", torch.cuda.get_device_name(cuda))
    assert 0.05 < device["peak_mb"] < 2000
    if importlib.util.find_spec("pynvml") is not None:
        assert 0 <= device["utilisation"] <= 1


def test_a_batch_that_fits_is_found_and_kept_by_a_resume(train: Train, command: Callable[..., Path]) -> None:
    run = train(GPU, "data.batch_size=auto", "trainer.max_epochs=1")
    data = Job(run.path).settings()["data"]
    assert data["batch_size"] == data["module"]["batch_size"] == 16  # of the 20 patches of an epoch
    command(f"ckpt={run.path}", "trainer.max_epochs=2")
    assert Job(run.path).settings()["data"] == data
    assert [row["epoch"] for row in Run.read(run.path).epochs] == [1, 2]
