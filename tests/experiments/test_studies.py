"""Every study composes, and its runs become the rows that its README shows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import conftest
import pytest

from experiments.collecting import collect, held_out
from experiments.measuring import Benchmarks, costs, measure
from experiments.trials import STUDIES, Study, Trial
from zoomsr.runs.files import read_rows
from zoomsr.runs.run import Run

FOLDER = ["data=folder", "data.root=photos"]


@pytest.mark.parametrize("name", STUDIES)
def test_every_job_of_every_study_composes(name: str) -> None:
    for trial in Study.read(name).trials(Path("runs"), data=FOLDER):
        overrides = [text for text in trial.overrides if text != "-m"]
        single = [text.split(",")[0] if text.startswith("degradation.sigma=") else text for text in overrides]
        assert conftest.composed(*single).seed == trial.seed


def test_jobs_differ_in_what_is_said_and_share_the_rest() -> None:
    study = Study(
        "tiny", common=("model=unet", "ema=0.9"), jobs={"a b": [], "c": ["ema=null", "data=sample"]}, seeds=(1, 2)
    )
    trials = study.trials(Path("/runs"), data=FOLDER)
    assert [trial.folder for trial in trials] == [
        Path("/runs/tiny") / name for name in ("a_b_seed1", "c_seed1", "a_b_seed2", "c_seed2")
    ]
    assert trials[0].overrides == (*FOLDER, "model=unet", "ema=0.9", "seed=1")
    assert trials[3].overrides == ("model=unet", "ema=null", "data=sample", "seed=2")


def test_a_study_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no study is called 'nothing'; there are: data_size"):
        Study.read("nothing")


@pytest.mark.slow
def test_a_trial_that_was_stopped_is_resumed(command: Callable[..., Path], photos: Path, tmp_path: Path) -> None:
    trials = [
        Trial("tiny", 1, (*conftest.TINY, *conftest.TINY_NET, f"data.root={photos}", epochs), tmp_path / "tiny")
        for epochs in ("trainer.max_epochs=1", "trainer.max_epochs=2")
    ]
    for trial in trials:
        command(*trial._arguments())
    assert [row["epoch"] for row in Run.read(tmp_path / "tiny").epochs] == [1, 2]


@pytest.mark.slow
def test_rows_hold_means_and_spreads_over_seeds(train: Callable[..., Run], photos: Path, tmp_path: Path) -> None:
    runs = [train(f"seed={seed}") for seed in (1, 2)]
    trials = [Trial("tiny", seed, (), run.path) for seed, run in enumerate(runs, start=1)]
    tests = Benchmarks.find([photos], ["bicubic", "box"])
    measured = measure(trials, tests, runs=tmp_path / "study")
    collect(tmp_path, trials, measured, costs(trials))
    lines = (tmp_path / "results.csv").read_text().splitlines()
    head, *rows = (line.split(",") for line in lines)
    assert len(rows) == 2 * 2 * 2  # degradations, protocols, bicubic and the net
    row = dict(zip(head, rows[1], strict=True))
    assert (row["set"], row["shrunk_by"], row["protocol"], row["net"], row["seeds"]) == (
        *("photos", "bicubic", "modern", "tiny"),
        "2",
    )
    first, second = (measured[trial.folder]["photos"]["bicubic"]["modern"]["psnr_y"] for trial in trials)
    assert float(row["psnr_y"]) == pytest.approx((first + second) / 2, abs=1e-3)
    assert float(row["psnr_y_sd"]) == pytest.approx(abs(first - second) / 2**0.5, rel=1e-3)
    again = measure(trials, Benchmarks.find([photos], ["bicubic", "box"]), runs=tmp_path / "study")
    assert again == measured  # from the files
    own = held_out(trials)
    assert own[runs[0].path]["held out"]["as trained"]["modern"] == runs[0].means()["srcnn"]


@pytest.mark.slow
def test_epochs_are_means_over_the_seeds_that_reached_them(train: Callable[..., Run], tmp_path: Path) -> None:
    runs = [train(), train("seed=2", "trainer.max_epochs=1")]
    trials = [Trial("tiny", seed, (), run.path) for seed, run in enumerate(runs, start=1)]
    collect(tmp_path, trials, held_out(trials), costs(trials))
    text = (tmp_path / "epochs.csv").read_text().replace("tiny", "0")  # read_rows takes numbers alone
    (tmp_path / "epochs.csv").write_text(text)
    first, second = read_rows(tmp_path / "epochs.csv")
    assert (first["epoch"], first["seeds"], second["epoch"], second["seeds"]) == (1, 2, 2, 1)
    mean = (runs[0].epochs[0]["val/psnr_y"] + runs[1].epochs[0]["val/psnr_y"]) / 2
    assert first["val_psnr_y"] == pytest.approx(mean, abs=1e-3)
    assert second["val_psnr_y"] == pytest.approx(runs[0].epochs[1]["val/psnr_y"], abs=1e-3)


@pytest.mark.slow
def test_an_epoch_that_was_cut_short_is_no_epoch_of_a_study(train: Callable[..., Run], tmp_path: Path) -> None:
    limits = ("+trainer.max_steps=13", "trainer.max_epochs=9", "+trainer.val_check_interval=0.4")  # 5 steps an epoch
    run = train(*limits)
    trials = [Trial("0", 1, (), run.path)]
    collect(tmp_path, trials, held_out(trials), costs(trials))
    rows = read_rows(tmp_path / "epochs.csv")
    assert [row["epoch"] for row in rows] == [1, 2]
    ends = [row for row in run.epochs if row["step"] in (5, 10)]
    assert [row["train_psnr_y"] for row in rows] == pytest.approx([row["train/psnr_y"] for row in ends], abs=1e-3)
    assert not any("val_psnr_y" in row for row in rows)  # 0.4 of an epoch leaves its end out
    passed = sum(row["seconds"] for row in run.epochs if row["step"] <= 10)
    assert rows[1]["minutes"] == pytest.approx(passed / 60, rel=1e-3)
