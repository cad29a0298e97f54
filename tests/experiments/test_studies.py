"""Every study composes, and its runs become the rows that its README shows."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import conftest
import pytest

from experiments.collecting import epochs
from experiments.study import collect, degradation_named, draw, groups_of, hardest, tables_of
from experiments.trials import EXPERIMENTS, STUDIES, Study, Trial
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.runs.files import sha256_of
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


def test_steps_of_training_recipe_are_those_that_take_the_measured_time() -> None:
    study = Study.read("training_recipe")
    with (EXPERIMENTS / study.name / "steps.csv").open() as file:
        measured = {row["net"]: row["steps"] for row in csv.DictReader(file)}
    steps = {
        trial.job: text.removeprefix("trainer.max_steps=")
        for trial in study.trials(Path("runs"), data=[])
        for text in trial.overrides
        if text.startswith("trainer.max_steps=")
    }
    assert steps == measured


def test_a_study_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="no study is called 'nothing'; there are: data_size"):
        Study.read("nothing")


def test_a_net_that_was_trained_anew_is_evaluated_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluated: list[str] = []
    monkeypatch.setattr("experiments.trials._run", lambda module, *arguments: evaluated.append(module))
    trial = Trial("a", 1, (), tmp_path / "a_seed1")
    best = trial.weights()
    best.parent.mkdir(parents=True)
    best.write_bytes(b"first")
    place = trial.evaluate([Path("Set5")], "bicubic")
    place.mkdir(parents=True)
    known = {"sets": {"Set5": {}}, "net": {"weights": {"sha256": sha256_of(best)}}}
    (place / "metrics.json").write_text(json.dumps(known))
    trial.evaluate([Path("Set5")], "bicubic")
    assert evaluated == ["zoomsr.evaluate"]
    best.write_bytes(b"second")
    trial.evaluate([Path("Set5")], "bicubic")
    assert evaluated == ["zoomsr.evaluate"] * 2


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
    degradations = {name: degradation_named(name) for name in ("bicubic", "box")}
    groups = groups_of(trials, [photos], list(degradations))
    tables = tables_of(groups, [photos], degradations)
    collect(tmp_path, trials, tables, degradations)
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["set"], row["shrunk_by"], row["protocol"], row["net"], row["seeds"]) for row in rows] == [
        ("photos", *key, *net)
        for key in itertools.product(("bicubic", "box"), ("modern", "classic"))
        for net in (("bicubic", ""), ("tiny", "2"))
    ]
    assert list(rows[0]) == (Path(__file__).parents[2] / "experiments/unet_ablation/results.csv").read_text().split(
        "\n"
    )[0].split(",")
    places = [tmp_path / "evaluations" / f"{run.path.name}_box" / "metrics.json" for run in runs]
    first, second = (json.loads(place.read_text())["sets"]["photos"]["srcnn"]["modern"]["mean"] for place in places)
    assert float(rows[5]["psnr_y"]) == pytest.approx((first["psnr_y"] + second["psnr_y"]) / 2, abs=1e-3)
    assert float(rows[5]["psnr_y_sd"]) == pytest.approx(abs(first["psnr_y"] - second["psnr_y"]) / 2**0.5, rel=1e-3)
    assert float(rows[5]["minutes"]) == pytest.approx(
        sum((run.results or {})["seconds"] for run in runs) / 120, rel=1e-3
    )
    assert rows[5]["params"] == str((runs[0].results or {})["net"]["params"])
    before = [place.stat().st_mtime_ns for place in places]
    for trial in trials:
        trial.evaluate([photos], "box")
    assert [place.stat().st_mtime_ns for place in places] == before  # what is evaluated once is kept
    (tmp_path / "README.md").write_text("![](figures/matrix.png) ![](figures/curves.png) ![](figures/hardest.webp)")
    shown = hardest(trials, Benchmark.find(photos, scale=2), degradations["box"])
    assert list(shown[0].methods) == ["bicubic", "tiny"]
    draw(tmp_path, groups, tables, shown)
    drawn = {path.name for path in (tmp_path / "figures").iterdir()}
    assert drawn == {"matrix.png", "curves.png", "hardest.webp"}


@pytest.mark.slow
def test_without_test_sets_the_runs_own_validation_images_count(train: Callable[..., Run], tmp_path: Path) -> None:
    run = train()
    trials = [Trial("tiny", 1, (), run.path)]
    (table,) = tables_of(groups_of(trials, [], ["bicubic"]), [], {})
    assert table.nets[0].mean == pytest.approx(run.means()["srcnn"])
    assert table.nets[0].label == "tiny"


@pytest.mark.slow
def test_the_denoisers_of_a_sweep_are_one_net(command: Callable[..., Path], photos: Path, tmp_path: Path) -> None:
    bank = ["experiment=ircnn_bank", "model.channels=1", "model.width=4", "ema=null"]
    levels = "degradation.sigma=0.0078431,0.0156863"
    overrides = ("-m", *conftest.TINY, *bank, f"data.root={photos}", "trainer.max_epochs=1", levels)
    trial = Trial("ircnn", 1, overrides, tmp_path / "study" / "ircnn_seed1")
    assert trial.train() == 0
    assert trial.is_finished
    (group,) = groups_of([trial], [photos], ["bicubic"])
    table = tables_of([group], [photos], {"bicubic": degradation_named("bicubic")})[0]
    assert table.nets[0].label == "ircnn"
    assert table.nets[0].costs["seconds"] == pytest.approx(sum((run.results or {})["seconds"] for run in trial.runs))
    assert "best_epoch" not in table.nets[0].costs


@pytest.mark.slow
def test_epochs_are_means_over_the_seeds_that_reached_them(train: Callable[..., Run]) -> None:
    runs = [train(), train("seed=2", "trainer.max_epochs=1")]
    first, second = epochs("tiny", runs)
    assert (first["epoch"], first["seeds"], second["epoch"], second["seeds"]) == (1, 2, 2, 1)
    mean = (runs[0].epochs[0]["val/psnr_y"] + runs[1].epochs[0]["val/psnr_y"]) / 2
    assert first["val_psnr_y"] == pytest.approx(mean)
    assert second["val_psnr_y"] == runs[0].epochs[1]["val/psnr_y"]


@pytest.mark.slow
def test_an_epoch_that_was_cut_short_is_no_epoch_of_a_study(train: Callable[..., Run]) -> None:
    limits = ("trainer.max_steps=13", "trainer.max_epochs=9", "trainer.val_check_interval=0.4")  # 5 steps an epoch
    run = train(*limits)
    rows = list(epochs("tiny", [run]))
    assert [row["epoch"] for row in rows] == [1, 2]
    ends = [row for row in run.epochs if row["step"] in (5, 10)]
    assert [row["train_psnr_y"] for row in rows] == [row["train/psnr_y"] for row in ends]
    assert [row["val_psnr_y"] for row in rows] == [None, None]  # 0.4 of an epoch leaves its end out
    passed = sum(row["seconds"] for row in run.epochs if row["step"] <= 10)
    assert rows[1]["minutes"] == pytest.approx(passed / 60)
