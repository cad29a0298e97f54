"""A search asks Optuna, runs trials as jobs, and goes on where it was cut off."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import torch
import yaml
from _support.tiny import TINY, TINY_NET
from torch import nn

from zoomsr.jobs.launchers.local import Local
from zoomsr.jobs.search import _dimensions
from zoomsr.metrics.quality import METRICS
from zoomsr.models.srcnn import SRCNN
from zoomsr.runs.job import PRUNED, Job
from zoomsr.training import schedules
from zoomsr.training.callbacks.pruning import Pruned, Pruning
from zoomsr.training.module import ZoomModule

RATE = 'hparams_search.space=["optimizer.lr=tag(log,interval(1e-4,1e-2))"]'


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Instead of a training: PSNR is best at a learning rate of 1e-3, latency falls with the rate; 1e-2 fails."""
    jobs: list[Job] = []

    def run(launcher: Local, batch: Sequence[Job]) -> list[int]:
        for job in batch:
            rate = float(job.settings()["optimizer"]["lr"])
            row = dict.fromkeys(METRICS, 0.5) | {"psnr_y": 30 - abs(rate - 1e-3) * 1e4}
            scores = {"bicubic": {"modern": {"mean": row}}, "srcnn": {"modern": {"mean": row}}}
            net = {"name": "srcnn", "params": 10, "latency_ms": 1 / rate}
            if rate < 9.9e-3:
                results = {"sets": {"held-out": scores}, "protocols": {"modern": {}}, "net": net}
                (job.path / "metrics.json").write_text(json.dumps(results))
            job.record(0 if rate < 9.9e-3 else 1)
            jobs.append(job)
        return [0] * len(batch)

    monkeypatch.setattr(Local, "run", run)
    return jobs


@pytest.fixture
def search(command: Callable[..., Path], photos: Path, tmp_path: Path) -> Callable[..., None]:
    """Runs the search in ``tmp_path/search`` with further overrides."""

    def run(*overrides: str) -> None:
        small = [*TINY, *TINY_NET, f"data.root={photos}", f"hydra.run.dir={tmp_path}/search"]
        command(*small, "hparams_search=optuna", *overrides)

    return run


@pytest.mark.slow
def test_trials_are_jobs_and_the_study_goes_on(
    search: Callable[..., None], carried_out: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(RATE, "hparams_search.n_trials=3")
    assert [job.path for job in carried_out] == [tmp_path / "search" / f"trial_{number}" for number in range(3)]
    search(RATE, "hparams_search.n_trials=5")
    assert [job.path.name for job in carried_out[3:]] == ["trial_3", "trial_4"]
    assert len({job.settings()["optimizer"]["lr"] for job in carried_out}) == 5
    best = max(carried_out, key=lambda job: -abs(job.settings()["optimizer"]["lr"] - 1e-3))
    assert capsys.readouterr().out.rstrip().endswith(f"best     {best.path.name}")
    pruning = carried_out[0].settings()["callbacks"]["pruning"]
    assert (pruning["trial"], pruning["monitor"]) == (0, "val/psnr_y")
    assert pruning["folder"] == str(tmp_path / "search")


def test_a_failed_trial_is_told_and_marked(
    search: Callable[..., None], carried_out: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        search('hparams_search.space=["optimizer.lr=choice(1e-2)"]', "hparams_search.n_trials=2")
    assert stop.value.code == 1
    study = optuna.load_study(study_name="zoomsr", storage=f"sqlite:///{tmp_path}/search/study.db")
    assert [trial.state.name for trial in study.trials] == ["FAIL", "FAIL"]
    assert capsys.readouterr().out.count("failed ") == 2


def test_a_pruned_trial_is_told_and_is_no_failure(
    search: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Local, "run", lambda launcher, jobs: [job.record(PRUNED) for job in jobs])
    search(RATE, "hparams_search.n_trials=2")
    study = optuna.load_study(study_name="zoomsr", storage=f"sqlite:///{tmp_path}/search/study.db")
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "PRUNED"]
    assert capsys.readouterr().out.count("the search gave it up") == 2


def test_a_trial_that_was_cut_off_is_run_again_first(
    search: Callable[..., None], carried_out: list[Job], tmp_path: Path
) -> None:
    search(RATE, "hparams_search.n_trials=1")
    study = optuna.load_study(study_name="zoomsr", storage=f"sqlite:///{tmp_path}/search/study.db")
    study.ask()  # and then the power went, before its settings were written
    number = study.ask().number  # and after that
    notes = tmp_path / "search" / f"trial_{number}" / ".hydra"
    notes.mkdir(parents=True)
    (notes / "overrides.yaml").write_text("[]")
    Job.freeze(carried_out[0].settings() | {"run_dir": str(notes.parent)})
    search(RATE, "hparams_search.n_trials=3")
    assert [job.path.name for job in carried_out] == ["trial_0", "trial_2", "trial_3"]
    assert [trial.state.name for trial in study.get_trials()] == ["COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]


def test_a_trial_that_someone_else_has_written_is_run_only_with_trust(
    search: Callable[..., None], carried_out: list[Job], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(RATE, "hparams_search.n_trials=1")
    study = optuna.load_study(study_name="zoomsr", storage=f"sqlite:///{tmp_path}/search/study.db")
    forged = tmp_path / "search" / f"trial_{study.ask().number}"
    (forged / ".hydra").mkdir(parents=True)
    (forged / ".hydra" / "overrides.yaml").write_text("[]")
    forged.joinpath("settings.yaml").write_text(yaml.safe_dump(carried_out[0].settings()))
    with pytest.raises(SystemExit):
        search(RATE, "hparams_search.n_trials=2")
    assert "trial_1 was not made by you on this machine" in capsys.readouterr().err
    assert len(carried_out) == 1
    search(RATE, "hparams_search.n_trials=2", "--trust")
    assert [job.path for job in carried_out[1:]] == [forged]


def test_two_objectives_have_a_front_and_no_pruning(
    search: Callable[..., None], carried_out: list[Job], tmp_path: Path
) -> None:
    search(RATE, "hparams_search.n_trials=4", "+hparams_search.objectives.latency_ms=minimize")
    study = optuna.load_study(study_name="zoomsr", storage=f"sqlite:///{tmp_path}/search/study.db")
    assert all(len(trial.values) == 2 for trial in study.trials)
    assert carried_out[0].settings()["callbacks"]["pruning"] is None


def test_mistakes_in_a_search_are_one_line(search: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    for overrides, message in (
        (['hparams_search.space=["optimizer.lr=1"]'], "optimizer.lr=1 leaves nothing to choose"),
        (["hparams_search.objectives={psnr_y:more}"], "more is neither maximize nor minimize"),
        (["hparams_search.space=[]"], "needs a space and an objective"),
    ):
        with pytest.raises(SystemExit):
            search(*overrides)
        assert message in capsys.readouterr().err


def test_hydras_words_become_optunas_questions() -> None:
    words = [
        "a=interval(0.1,1)",
        "b=tag(log,interval(1e-4,1e-2))",
        "c=choice(x,y)",
        "d=range(1,4)",
        "e=int(interval(1,8))",
    ]
    fixed = {"a": 0.5, "b": 1e-3, "c": "y", "d": "2", "e": 3}
    trial = optuna.trial.FixedTrial(fixed)
    assert {part.key: part.suggest(trial) for part in _dimensions(words)} == fixed
    assert trial.distributions["b"].log  # type: ignore[attr-defined]
    assert isinstance(trial.distributions["e"], optuna.distributions.IntDistribution)


def test_a_trial_that_falls_behind_is_pruned(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="zoomsr", storage=storage, direction="maximize")
    good = study.ask()
    for number in range(3):
        good.report(30.0, number)
    study.tell(good, 30.0)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=1)
    callback = Pruning(str(tmp_path), trial=study.ask().number, monitor="val/psnr_y", pruner=pruner)

    def epoch(number: int, psnr: float) -> None:
        strategy = SimpleNamespace(broadcast=lambda value: value)
        metrics = {"val/psnr_y": psnr}
        trainer: Any = SimpleNamespace(
            is_global_zero=True, current_epoch=number - 1, callback_metrics=metrics, strategy=strategy
        )
        callback.on_train_epoch_end(trainer, None)  # type: ignore[arg-type]  # it does not look at the module

    epoch(1, 20.0)  # too early to tell
    with pytest.raises(Pruned, match="epoch 2"):
        epoch(2, 20.0)


def test_an_epoch_that_was_not_validated_is_not_reported(tmp_path: Path) -> None:
    study = optuna.create_study(study_name="zoomsr", storage=f"sqlite:///{tmp_path}/study.db", direction="maximize")
    number, pruner = study.ask().number, optuna.pruners.NopPruner()
    callback = Pruning(str(tmp_path), trial=number, monitor="val/psnr_y", pruner=pruner)
    module = ZoomModule(SRCNN(), loss=nn.L1Loss(), optimizer=torch.optim.Adam, schedule=schedules.cosine)
    strategy = SimpleNamespace(broadcast=lambda value: value)
    for epoch, logged in enumerate([set(), {"val/psnr_y"}, set()]):  # Lightning keeps the value of the second
        module.logged = logged
        metrics = {"val/psnr_y": 30.0} if epoch else {}
        trainer: Any = SimpleNamespace(
            is_global_zero=True, current_epoch=epoch, callback_metrics=metrics, strategy=strategy
        )
        callback.on_train_epoch_end(trainer, module)
    assert study.trials[0].intermediate_values == {1: 30.0}
