"""Jobs as processes of their own: sweeps that are right, with ranks, failures and interruptions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.tiny import TINY, TINY_NET

from zoomsr.hardware.processor import n_cores
from zoomsr.jobs.launchers.local import Local, _gpus
from zoomsr.runs.files import read_rows
from zoomsr.runs.job import Job, differences, known_to, settings_hash
from zoomsr.runs.run import Run
from zoomsr.runs.trust import require_own

Settings = Callable[..., dict[str, Any]]


def _command(tmp_path: Path, photos: Path, *arguments: str) -> tuple[int, str]:
    """The command as a user gives it: exit code, and all that it said."""
    small = [*TINY, *TINY_NET, f"data.root={photos}", "trainer.max_epochs=1", *arguments]
    process = subprocess.run(
        [sys.executable, "-m", "zoomsr.train", *small],
        env={**os.environ, "ZOOMSR_RUNS": str(tmp_path / "runs"), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return process.returncode, process.stdout


def _sweep(tmp_path: Path) -> Path:
    (sweep,) = (tmp_path / "runs").iterdir()
    return sweep


def _ranks(run: Path) -> list[str]:
    ranks: list[str] = json.loads((run / "metrics.json").read_text())["ranks"]
    return ranks


def test_what_is_frozen_is_what_is_read(settings: Settings) -> None:
    frozen = settings("run", "optimizer.lr=3e-5", "data.val_fraction=0.25")
    job = Job.freeze(frozen)
    assert job.settings() == frozen
    assert job.status() == {"state": "unfinished"}
    assert settings_hash(frozen) == settings_hash(settings("elsewhere", "optimizer.lr=3e-5", "data.val_fraction=0.25"))
    assert settings_hash(frozen) != settings_hash(settings("run", "optimizer.lr=4e-5", "data.val_fraction=0.25"))


def test_differences_are_named_by_path(settings: Settings) -> None:
    old, new = settings("a", "trainer.max_epochs=10"), settings("b", "trainer.max_epochs=20", "loss=mse", "ckpt=last")
    assert {line for line in differences(old, new) if old["run_dir"] not in line} == {
        "loss._target_: torch.nn.L1Loss -> torch.nn.MSELoss",
        "trainer.max_epochs: 10 -> 20",
        "choices.loss: mae -> mse",
    }
    assert not list(differences(old, old))


def test_a_key_that_an_old_run_does_not_have_is_no_change(settings: Settings) -> None:
    new = settings("a", "trainer.max_epochs=20")
    old = {key: value for key, value in settings("a").items() if key not in ("budget", "trainer")}
    old["trainer"] = {"max_epochs": 10, "gone": 1}
    assert list(differences(old, known_to(old, new))) == ["trainer.max_epochs: 10 -> 20", "trainer.gone: 1 -> None"]


def test_gpus_are_shared_out_and_cores_where_there_are_none() -> None:
    def shares(**arguments: Any) -> list[str | None]:
        return [share.get("CUDA_VISIBLE_DEVICES") for share in Local(**arguments)._shares]

    four = ["0", "1", "2", "3"]
    assert shares(devices=1, gpus=four) == four
    assert shares(devices=2, gpus=four) == ["0,1", "2,3"]
    assert shares(devices=3, gpus=four) == ["0,1,2"]
    assert shares(devices="auto", gpus=four) == ["0,1,2,3"]
    assert shares(devices=1, gpus=four, slots=2) == ["0", "1"]
    assert shares(devices=1, gpus=["0"], slots=4) == ["0"] * 4
    assert shares(devices=2, gpus=four, slots=3) == ["0,1", "2,3", "0,1"]
    assert shares(devices=2, accelerator="cpu") == [None]
    threads = [share["OMP_NUM_THREADS"] for share in Local(devices=1, accelerator="cpu", slots=2)._shares]
    assert threads == [str(max(1, n_cores() // 2))] * 2
    threads = [share["OMP_NUM_THREADS"] for share in Local(devices=1, gpus=["0"], slots=4)._shares]
    assert threads == [str(max(1, n_cores() // 4))] * 4
    assert Local(devices=1, gpus=["0"])._shares == [{"CUDA_VISIBLE_DEVICES": "0"}]
    with pytest.raises(ValueError, match=r"trainer\.devices=5, but there are 4 GPUs: 0,1,2,3"):
        Local(devices=5, gpus=four)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="slots 0"):
        Local(devices=1, slots=0)


def test_jobs_of_one_name_in_two_folders_are_two_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Local, "_run_one", lambda launcher, job, share, label: int(job.path.parent.name))
    jobs = [Job(tmp_path / number / "srcnn") for number in "12"]
    assert Local(devices=1, accelerator="cpu").run(jobs) == [1, 2]


@pytest.mark.parametrize(("visible", "found"), [("3,1", ["3", "1"]), ("", []), ("-1", []), ("2,-1,0", ["2"])])
def test_only_visible_gpus_are_shared_out(visible: str, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert _gpus() == found


@pytest.mark.slow
def test_a_job_sees_only_its_own_devices_and_no_ranks_of_others(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LOCAL_RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(name, value)
    jobs = [Job.freeze(settings(name) | {"loss": {"_target_": "test_launch.Confess"}}) for name in ("one", "two")]
    for folder in Path(__file__).parents[:2]:  # of this file, and of what it imports
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    assert Local(devices=1, gpus=["6", "7"]).run(jobs) == [1, 1]
    said = sorted(job.status()["error"] for job in jobs)
    assert [line.split()[-1] for line in said] == ["6/None/None", "7/None/None"]


def Confess() -> None:  # noqa: N802  # stands for a class
    """Fails, and says what the job sees."""
    names = ("CUDA_VISIBLE_DEVICES", "LOCAL_RANK", "WORLD_SIZE")
    raise ValueError("/".join(str(os.environ.get(name)) for name in names))


@pytest.mark.slow
def test_a_sweep_where_jobs_crash_finishes_the_others_and_goes_on_later(
    command: Callable[..., Path], photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    overrides = [*TINY, *TINY_NET, f"data.root={photos}", "trainer.max_epochs=1"]
    with pytest.raises(SystemExit) as stop:
        command("-m", "optimizer.lr=1e-3,-1", *overrides)
    assert stop.value.code == 1
    said = capsys.readouterr().out
    sweep = _sweep(Path.cwd())
    assert sorted(path.name for path in sweep.iterdir() if path.is_dir()) == ["0_srcnn", "1_srcnn"]
    assert [Job(sweep / name).status()["state"] for name in ("0_srcnn", "1_srcnn")] == ["finished", "failed"]
    assert re.search(r"failed +1_srcnn +.*Invalid learning rate", said)
    assert f"sweep_resume={sweep.relative_to(Path.cwd())} runs what is missing" in said
    assert re.search(r"│ optimizer\.lr=", said.split("ranked")[-1])

    finished = (sweep / "0_srcnn" / "metrics.json").stat().st_mtime_ns
    settings = (sweep / "1_srcnn" / "settings.yaml").read_text()
    with pytest.raises(SystemExit):
        command(f"sweep_resume={sweep}")
    assert "1 of 2 jobs are finished already" in capsys.readouterr().out
    assert (sweep / "0_srcnn" / "metrics.json").stat().st_mtime_ns == finished
    assert (sweep / "1_srcnn" / "settings.yaml").read_text() == settings
    for folder in (sweep, sweep / "0_srcnn", sweep / "1_srcnn"):
        require_own(folder)  # each may be resumed by itself
    with pytest.raises(SystemExit):
        command("-m", "optimizer.lr=1e-3,-1", *overrides, f"hydra.sweep.dir={sweep}")
    assert "holds a sweep already" in capsys.readouterr().err


@pytest.mark.slow
def test_eight_jobs_of_which_two_crash(tmp_path: Path, photos: Path) -> None:
    code, said = _command(tmp_path, photos, "-m", "seed=1,2", "data.patch=16,24,32,4000", "launcher.slots=2")
    assert code == 1
    states = [Job(path).status()["state"] for path in sorted(_sweep(tmp_path).glob("*_srcnn"))]
    assert sorted(states) == ["failed"] * 2 + ["finished"] * 6
    assert len(re.findall(r"│ data\.patch=\d+ seed=\d ", said.split("ranked")[-1])) == 6
    assert len(re.findall(r"failed +\d+_srcnn +.*smaller than the training patch", said)) == 2


@pytest.mark.slow
def test_sweep_on_two_ranks_gives_both_the_same_settings_and_one_directory_per_job(
    tmp_path: Path, photos: Path
) -> None:
    code, said = _command(tmp_path, photos, "-m", "optimizer.lr=1e-3,2e-3", "trainer=ddp_cpu", "trainer.max_epochs=1")
    assert code == 0, said
    sweep = _sweep(tmp_path)  # and no second one, which the ranks would have started
    jobs = sorted(path for path in sweep.iterdir() if path.is_dir())
    assert [path.name for path in jobs] == ["0_srcnn", "1_srcnn"]
    hashes = [_ranks(job) for job in jobs]
    assert [len(set(ranks)) for ranks in hashes] == [1, 1]
    assert [len(ranks) for ranks in hashes] == [2, 2]
    assert hashes[0] != hashes[1]
    assert [Run.read(job).epochs[0]["epoch"] for job in jobs] == [1, 1]


@pytest.mark.slow
def test_search_on_two_ranks_gives_both_the_same_settings(tmp_path: Path, photos: Path) -> None:
    space = 'hparams_search.space=["optimizer.lr=tag(log,interval(1e-4,1e-2))"]'
    search = ["-m", "hparams_search=optuna", "hparams_search.n_trials=2", space, "trainer=ddp_cpu"]
    code, said = _command(tmp_path, photos, *search, "trainer.max_epochs=1")
    assert code == 0, said
    (folder,) = _sweep(tmp_path).glob("0_*")
    trials = sorted(folder.glob("trial_*"))
    assert [path.name for path in trials] == ["trial_0", "trial_1"]
    assert all(len(_ranks(trial)) == 2 and len(set(_ranks(trial))) == 1 for trial in trials)
    rates = [Job(trial).settings()["optimizer"]["lr"] for trial in trials]
    assert rates[0] != rates[1]
    assert all(1e-4 <= rate <= 1e-2 for rate in rates)


@pytest.mark.slow
def test_one_and_two_ranks_measure_the_same_bits(tmp_path: Path, photos: Path) -> None:
    """A net that does not learn, so that both have the same weights."""
    rows = []
    for trainer in ("cpu", "ddp_cpu"):
        run = tmp_path / trainer
        arguments = ["data.val_fraction=0.5", "optimizer.lr=0", f"hydra.run.dir={run}"]
        code, said = _command(tmp_path, photos, f"trainer={trainer}", "trainer.max_epochs=1", *arguments)
        assert code == 0, said
        (row,) = read_rows(run / "metrics.csv")
        rows.append({key: value for key, value in row.items() if key.startswith("val/") and "gap" not in key})
        rows.append(json.loads((run / "metrics.json").read_text())["sets"])
    assert rows[0] == rows[2]
    assert rows[1] == rows[3]
    assert "val/loss" in rows[0]


@pytest.mark.slow
@pytest.mark.parametrize("trainer", ["cpu", "ddp_cpu"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_saves_and_says_how_to_go_on(
    tmp_path: Path, photos: Path, trainer: str, number: signal.Signals
) -> None:
    run = tmp_path / "run"
    small = [*TINY, *TINY_NET, f"data.root={photos}", f"trainer={trainer}", "trainer.max_epochs=100000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "zoomsr.train", *small, "scheduler=constant", f"hydra.run.dir={run}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 3/"):
            process.send_signal(number)
            break
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number, rest
    assert "Traceback" not in rest
    assert re.search(rf"stopped +saved in \S+last\.ckpt; python -m zoomsr.train ckpt={run} resumes it", rest)
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    epochs = checkpoint["epoch"] + 2
    small_again = ["-m", "zoomsr.train", f"ckpt={run}", f"trainer.max_epochs={epochs}"]
    again = subprocess.run([sys.executable, *small_again], capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert f"trainer.max_epochs: 100000 -> {epochs}" in again.stdout
    assert [int(row["epoch"]) for row in read_rows(run / "metrics.csv")] == list(range(1, epochs + 1))


@pytest.mark.slow
def test_an_interrupted_sweep_saves_its_job_and_goes_on_with_it(tmp_path: Path, photos: Path) -> None:
    small = [*TINY, *TINY_NET, f"data.root={photos}", "trainer.max_epochs=200", "seed=1,2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "zoomsr.train", "-m", *small],
        env={**os.environ, "ZOOMSR_RUNS": str(tmp_path / "runs")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "epoch 3/" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == 130, rest
    sweep = _sweep(tmp_path)
    assert Job(sweep / "0_srcnn").status()["state"] == "stopped"
    assert not (sweep / "1_srcnn" / "checkpoints").exists()  # it was not started any more
    done = torch.load(sweep / "0_srcnn" / "checkpoints" / "last.ckpt", weights_only=True)["epoch"]
    assert done >= 2
