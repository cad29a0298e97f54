"""Sweeps: what any Hydra sweeper is told, and the table at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from _support.tiny import TINY, TINY_NET
from hydra.core.plugins import Plugins

from zoomsr.cli.overrides import completed
from zoomsr.jobs.launchers.local import Local
from zoomsr.jobs.sweep import ranking
from zoomsr.metrics.quality import METRICS
from zoomsr.runs.files import write_rows
from zoomsr.runs.job import Job
from zoomsr.runs.run import Run, labels


@pytest.fixture
def sweep(
    command: Callable[..., Path], photos: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[float | ValueError]]:
    """Runs a sweep by the greedy sweeper over learning rates, and returns what that was told.

    Instead of a training: val/psnr_y is 30 dB at 1e-3 in the second of three epochs and less elsewhere; 1e-2 fails.
    """

    def train(launcher: Local, jobs: Sequence[Job]) -> list[int]:
        for job in jobs:
            rate = float(job.settings()["optimizer"]["lr"])
            psnr = 30 - abs(rate - 1e-3) * 1e4
            if rate < 9.9e-3:
                means = {"modern": {"mean": dict.fromkeys(METRICS, 0.5) | {"psnr_y": psnr}}}
                results = {"sets": {"held-out": {"bicubic": means, "srcnn": means}}, "protocols": {"modern": {}}}
                values = (psnr - 1, psnr, psnr - 2)
                rows = [{"epoch": n, "val/psnr_y": v, "val/mae": v / 100} for n, v in enumerate(values, start=1)]
                write_rows(job.path / "metrics.csv", rows)
                (job.path / "metrics.json").write_text(json.dumps(results))
            job.record(0 if rate < 9.9e-3 else 1)
        return [0] * len(jobs)

    monkeypatch.setattr(Local, "run", train)

    def run(values: str, *overrides: str) -> list[float | ValueError]:
        greedy = ["hydra/sweeper=greedy", "hydra.sweeper.key=optimizer.lr", f"hydra.sweeper.values={values}"]
        command("-m", *TINY, *TINY_NET, f"data.root={photos}", "hydra.sweep.dir=out", *greedy, *overrides)
        (sweeper,) = (cls for cls in Plugins.instance().discover() if cls.__name__ == "GreedySweeper")
        told: list[float | ValueError] = sweeper.told  # type: ignore[attr-defined]  # the test's own
        return told

    return run


def test_a_sweeper_is_told_the_best_epoch_of_each_job_and_chooses_by_it(
    sweep: Callable[..., list[float | ValueError]],
) -> None:
    assert sweep("[2e-3,1e-3,3e-3]") == pytest.approx([20, 30, 10, 30])
    frozen = [Job(Path("out") / f"{number}_srcnn").settings() for number in range(4)]
    assert [settings["optimizer"]["lr"] for settings in frozen] == [2e-3, 1e-3, 3e-3, 1e-3]


def test_the_metric_is_that_of_the_settings(sweep: Callable[..., list[float | ValueError]]) -> None:
    assert sweep("[2e-3]", "monitor=val/mae", "monitor_mode=min") == pytest.approx([0.18, 0.18])


def test_a_sweeper_is_told_of_a_failure_and_goes_on(
    sweep: Callable[..., list[float | ValueError]], capsys: pytest.CaptureFixture[str]
) -> None:
    failed, good, again = sweep("[1e-2,2e-3]")
    assert isinstance(failed, ValueError)
    assert str(failed).startswith("0_srcnn failed")
    assert (good, again) == pytest.approx((20, 20))
    assert "sweep_resume" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="hydra/sweeper=greedy chooses by results"):
        completed(["sweep_resume=out"])


def test_where_jobs_run_has_two_names() -> None:
    assert completed(["-m", "hydra/launcher=zoomsr_slurm", "seed=1,2"]) == ["-m", "launcher=slurm", "seed=1,2"]


def _run(*overrides: str, bicubic: float, net: float) -> Run:
    rows = {"bicubic": bicubic, "srcnn": net}
    sets = {"held-out": {name: {"modern": {"mean": {"psnr_y": psnr}}} for name, psnr in rows.items()}}
    return Run(Path("run"), list(overrides), [], {"sets": sets, "protocols": {"modern": {}}})


def test_bicubic_is_first_and_once_and_jobs_fall_by_psnr() -> None:
    runs = [
        _run("model=srcnn", "loss=mse", "seed=1", bicubic=30, net=31),
        _run("model=srcnn", "loss=mae", "seed=1", bicubic=30, net=32),
    ]
    assert {name: row["psnr_y"] for name, row in ranking(runs).items()} == {
        "bicubic": 30,
        "loss=mae": 32,
        "loss=mse": 31,
    }
    assert list(ranking(runs)) == ["bicubic", "loss=mae", "loss=mse"]


def test_each_degradation_has_a_bicubic_row_of_its_own() -> None:
    runs = [
        _run("model=srcnn", "degradation=bicubic", bicubic=30, net=31),
        _run("model=srcnn", "degradation=box", bicubic=33, net=34),
    ]
    rows = {name: row["psnr_y"] for name, row in ranking(runs).items()}
    assert rows == {"bicubic": 30, "bicubic degradation=box": 33, "degradation=box": 34, "degradation=bicubic": 31}


def test_labels_name_the_net_first_and_leave_out_what_all_share() -> None:
    runs = [["loss=mse", "model=unet", "seed=1"], ["loss=mse", "model=vdsr", "ema=null", "seed=2"], []]
    assert labels(runs) == ["unet seed=1", "vdsr ema=null seed=2", ""]
    assert labels([["ema=null", "model=vdsr"], ["model=unet"]], without=["seed"]) == ["vdsr ema=null", "unet"]
    assert labels([["model=unet", "loss=mse"]]) == [""]
