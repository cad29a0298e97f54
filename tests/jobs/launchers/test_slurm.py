"""Jobs on SLURM: a cluster of one node with two cores, started for these tests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.slurm_cluster import Unavailable, cluster
from _support.tiny import TINY, TINY_NET

from zoomsr.jobs.launchers.slurm import Slurm
from zoomsr.runs.files import read_rows
from zoomsr.runs.job import Job

pytestmark = pytest.mark.slow

Start = Callable[..., "subprocess.Popen[str]"]
Settings = Callable[..., dict[str, Any]]

CLOCKS = ("seconds", "data/wait")
SLURM = ["launcher=slurm", "launcher.cpus_per_task=1", "launcher.minutes=10"]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A cluster; the environment that leads to it."""
    pytest.importorskip("submitit", reason="submitit is not installed: pip install zoomsr[slurm]")
    try:
        with cluster(tmp_path_factory.mktemp("slurm") / "cluster") as environment:
            yield environment
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def start(slurm: dict[str, str], tmp_path: Path, photos: Path) -> Iterator[Start]:
    """Starts the training command within the cluster's reach."""
    variables = {**slurm, "ZOOMSR_RUNS": str(tmp_path / "runs"), "COLUMNS": "200"}
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, srun: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        command = [*srun, sys.executable, "-m", "zoomsr.train", *TINY, *TINY_NET, f"data.root={photos}", *arguments]
        process = subprocess.Popen(
            command, env=variables, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()
    subprocess.run(["scancel", "--user", str(os.getuid())], env=slurm, check=True)


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code, and all that it said."""
    said = process.communicate(timeout=200)[0]
    return process.returncode, said


def _ranks(run: Path) -> list[str]:
    ranks: list[str] = json.loads((run / "metrics.json").read_text())["ranks"]
    return ranks


def _sweep(tmp_path: Path) -> Path:
    (sweep,) = (tmp_path / "runs").glob("sweep_*")
    return sweep


def test_a_sweep_is_an_array_whose_ranks_are_tasks(start: Start, slurm: dict[str, str], tmp_path: Path) -> None:
    code, said = _end(start("-m", *SLURM, "trainer=ddp_cpu", "trainer.max_epochs=1", "seed=1,2"))
    assert code == 0, said
    jobs = [_sweep(tmp_path) / name for name in ("0_srcnn", "1_srcnn")]
    assert [Job(job).status() for job in jobs] == [{"state": "finished", "exit_code": 0, "error": ""}] * 2
    assert [len(_ranks(job)) for job in jobs] == [2, 2]
    assert [len(set(_ranks(job))) for job in jobs] == [1, 1]
    assert _ranks(jobs[0]) != _ranks(jobs[1])
    assert [[row["epoch"] for row in read_rows(job / "metrics.csv")] for job in jobs] == [[1], [1]]
    assert re.findall(r"│ (bicubic|seed=\d)", said.split("ranked")[-1])[0] == "bicubic"
    assert sorted(re.findall(r"│ seed=(\d)", said.split("ranked")[-1])) == ["1", "2"]
    (array,) = re.findall(r"2 job\(s\) submitted as (\d+);", said)
    logs = sorted(path.name for path in (tmp_path / "runs" / "submitit").glob("*_log.out"))
    assert logs == [f"{array}_{job}_{task}_log.out" for job in (0, 1) for task in (0, 1)]
    assert said.count("[0_srcnn] epoch 1/1  train") == said.count("[1_srcnn] epoch 1/1  train") == 1
    script = (tmp_path / "runs" / "submitit" / f"{array}_submission.sh").read_text()
    assert "#SBATCH --ntasks-per-node=2\n" in script
    assert "#SBATCH --signal=USR2@90\n" in script
    assert "#SBATCH --requeue\n" in script
    assert "gpu" not in script


def test_a_single_run(start: Start, tmp_path: Path) -> None:
    code, said = _end(start(*SLURM, "trainer.max_epochs=1", f"hydra.run.dir={tmp_path}/run"))
    assert code == 0, said
    assert len(_ranks(tmp_path / "run")) == 1
    assert re.search(r"^epoch 1/1 ", said, re.MULTILINE)


def test_a_job_that_fails_is_recorded_and_the_others_finish(start: Start, tmp_path: Path) -> None:
    code, said = _end(start("-m", *SLURM, "trainer=ddp_cpu", "trainer.max_epochs=1", "optimizer.lr=-1,1e-3"))
    assert code == 1
    failed, finished = (Job(_sweep(tmp_path) / name) for name in ("0_srcnn", "1_srcnn"))
    status = failed.status()
    assert (status["state"], status["exit_code"]) == ("failed", 1)
    assert "Invalid learning rate: -1" in status["error"]
    assert finished.status()["state"] == "finished"
    assert finished.is_finished
    assert re.search(r"failed +0_srcnn +.*Invalid learning rate: -1", said)
    assert f"sweep_resume={_sweep(tmp_path).relative_to(tmp_path)} runs what is missing" in said


def _job_id(process: subprocess.Popen[str], until: str) -> str:
    """The job's number, once it has said what is waited for."""
    assert process.stdout is not None
    number, said = "", []
    for line in process.stdout:
        said.append(line)
        if found := re.search(r"submitted as (\d+);", line):
            number = found.group(1)
        if line.startswith(until):
            return number
    raise AssertionError("".join(said))


def _state(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return state


def test_jobs_that_are_put_back_go_on_by_themselves(start: Start, slurm: dict[str, str], tmp_path: Path) -> None:
    """One is preempted, one is sent the signal that comes before the time limit; the third has its peace."""
    runs = [tmp_path / name for name in ("preempted", "timed", "whole")]
    settings = [*SLURM, "trainer=ddp_cpu", "trainer.max_epochs=30", "callbacks.last.minutes=0"]
    processes = []
    for run, command in zip(runs, (["scontrol", "requeue"], ["scancel", "--signal=USR2"], None), strict=True):
        processes.append(start(*settings, f"hydra.run.dir={run}"))
        if command is not None:
            subprocess.run([*command, _job_id(processes[-1], until="epoch 5/30")], env=slurm, check=True)
    ends = [_end(process) for process in processes]
    assert [code for code, _ in ends] == [0, 0, 0], ends
    assert [len(re.findall(r"stopped +saved in .*last\.ckpt", said)) for _, said in ends] == [1, 1, 0]
    assert [Job(run).status()["state"] for run in runs] == ["finished"] * 3
    rows = [
        [{key: value for key, value in row.items() if key not in CLOCKS} for row in read_rows(run / "metrics.csv")]
        for run in runs
    ]
    assert [row["epoch"] for row in rows[0]] == list(range(1, 31))
    assert rows[0] == rows[1] == rows[2]
    states = [_state(run) for run in runs]
    assert states[0].keys() == states[1].keys() == states[2].keys()
    for name, value in states[2].items():
        assert torch.equal(states[0][name], value), name
        assert torch.equal(states[1][name], value), name


def test_a_job_that_is_cancelled_is_no_endless_wait(start: Start, slurm: dict[str, str], tmp_path: Path) -> None:
    run = start(*SLURM, "trainer.max_epochs=100000", f"hydra.run.dir={tmp_path}/run")
    subprocess.run(["scancel", _job_id(run, until="epoch 2/")], env=slurm, check=True)
    code, said = _end(run)
    assert code == 143, said
    assert Job(tmp_path / "run").status() == {"state": "stopped", "exit_code": 143, "error": ""}
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


def test_ranks_that_a_user_starts_with_srun(start: Start, tmp_path: Path) -> None:
    srun = ("srun", "--ntasks-per-node=2")
    tiny = ["trainer=ddp_cpu", "trainer.max_epochs=1"]
    code, said = _end(start(*tiny, f"hydra.run.dir={tmp_path}/run", srun=srun))
    assert code == 0, said
    assert len(_ranks(tmp_path / "run")) == 2
    assert len(set(_ranks(tmp_path / "run"))) == 1
    assert [row["epoch"] for row in read_rows(tmp_path / "run" / "metrics.csv")] == [1]
    code, said = _end(start(*tiny, srun=srun))
    assert code == 1
    assert said.count("error: all 2 ranks must write into one directory: add hydra.run.dir=runs/NAME") == 2
    assert "Traceback" not in said


def test_what_slurm_refuses_is_one_line(start: Start) -> None:
    code, said = _end(start(*SLURM, "launcher.partition=nowhere"))
    assert code == 1
    assert "error: SLURM takes no such job: " in said
    assert "invalid partition specified: nowhere" in said
    assert "Traceback" not in said


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(devices: int | str = 1) -> Slurm:
        return Slurm(devices=devices, accelerator="cpu", num_nodes=1, folder="logs")

    with pytest.raises(ValueError, match=r"trainer.devices=auto: launcher=slurm needs the number of devices"):
        make("auto")
    with monkeypatch.context() as context:
        context.setitem(sys.modules, "submitit", None)
        with pytest.raises(ValueError, match=r"pip install zoomsr\[slurm\]"):
            make()
    pytest.importorskip("submitit", reason="submitit is not installed: pip install zoomsr[slurm]")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="launcher=slurm finds no sbatch"):
        make()
