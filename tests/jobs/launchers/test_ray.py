"""Jobs on Ray: a cluster of this machine, which the command itself starts and stops."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from _support.tiny import TINY, TINY_NET

from zoomsr.jobs.launchers.ray import Ray
from zoomsr.runs.files import read_rows
from zoomsr.runs.job import Job

RAY = ["launcher=ray", "launcher.cpus=1"]


def _start(tmp_path: Path, photos: Path, *arguments: str) -> subprocess.Popen[str]:
    pytest.importorskip("ray", reason="ray is not installed: pip install zoomsr[ray]")
    return subprocess.Popen(
        [sys.executable, "-m", "zoomsr.train", *TINY, *TINY_NET, f"data.root={photos}", *RAY, *arguments],
        env={**os.environ, "ZOOMSR_RUNS": str(tmp_path / "runs"), "COLUMNS": "200"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code, and all that it said."""
    said = process.communicate(timeout=200)[0]
    return process.returncode, said


def _wait_for(process: subprocess.Popen[str], start: str) -> None:
    """Until it says a line that starts so."""
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith(start):
            return
    raise AssertionError("".join(said))


def _ranks(run: Path) -> list[str]:
    ranks: list[str] = json.loads((run / "metrics.json").read_text())["ranks"]
    return ranks


@pytest.mark.slow
def test_a_sweep_of_one_rank_and_of_two(tmp_path: Path, photos: Path) -> None:
    pictures = os.path.relpath(photos, tmp_path)  # relative, as a user would name it
    sweep = ["-m", "trainer=cpu,ddp_cpu", "trainer.max_epochs=1", f"data.root={pictures}"]
    code, said = _end(_start(tmp_path, photos, *sweep))
    assert code == 0, said
    (folder,) = (tmp_path / "runs").glob("sweep_*")
    jobs = [folder / name for name in ("0_srcnn", "1_srcnn")]
    assert [Job(job).status() for job in jobs] == [{"state": "finished", "exit_code": 0, "error": ""}] * 2
    assert [len(_ranks(job)) for job in jobs] == [1, 2]
    assert len(set(_ranks(jobs[1]))) == 1
    assert [[row["epoch"] for row in read_rows(job / "metrics.csv")] for job in jobs] == [[1], [1]]
    assert said.count("[0_srcnn] epoch 1/1  train") == said.count("[1_srcnn] epoch 1/1  train") == 1
    assert sorted(re.findall(r"│ trainer=(\w+)", said.split("ranked")[-1])) == ["cpu", "ddp_cpu"]


@pytest.mark.slow
def test_a_job_that_fails_is_recorded_and_the_other_finishes(tmp_path: Path, photos: Path) -> None:
    code, said = _end(_start(tmp_path, photos, "-m", "trainer.max_epochs=1", "optimizer.lr=-1,1e-3"))
    assert code == 1
    (folder,) = (tmp_path / "runs").glob("sweep_*")
    status = Job(folder / "0_srcnn").status()
    assert (status["state"], status["exit_code"]) == ("failed", 1)
    assert "Invalid learning rate: -1" in status["error"]
    assert Job(folder / "1_srcnn").status()["state"] == "finished"
    assert re.search(r"failed +0_srcnn +.*Invalid learning rate: -1", said)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_jobs_which_save(tmp_path: Path, photos: Path, number: signal.Signals) -> None:
    process = _start(tmp_path, photos, "-m", "trainer.max_epochs=100000", "seed=1,2", "launcher.cpus=2")
    _wait_for(process, "[0_srcnn] epoch 3/")
    process.send_signal(number)
    code, said = _end(process)
    assert code == 130, said
    assert "Traceback" not in said
    (folder,) = (tmp_path / "runs").glob("sweep_*")
    assert re.search(r"stopped +saved in \S+0_srcnn/checkpoints/last\.ckpt", said)
    assert Job(folder / "0_srcnn").status()["state"] == "stopped"
    if (os.cpu_count() or 1) < 4:  # there was no room for it yet
        assert Job(folder / "1_srcnn").status() == {"state": "unfinished"}


@pytest.mark.slow
def test_a_job_whose_worker_is_lost_goes_on(tmp_path: Path, photos: Path) -> None:
    run = tmp_path / "run"
    process = _start(tmp_path, photos, "trainer.max_epochs=60", f"hydra.run.dir={run}")
    _wait_for(process, "epoch 5/")
    os.kill(_parent_of(f"zoomsr.jobs\0{run}"), signal.SIGKILL)
    code, said = _end(process)
    assert code == 0, said
    assert [row["epoch"] for row in read_rows(run / "metrics.csv")] == list(range(1, 61))
    shown = [int(number) for number in re.findall(r"^epoch (\d+)/60", said, re.MULTILINE)]
    assert shown[-1] == 60
    assert 1 not in shown  # it did not start anew
    assert Job(run).settings()["ckpt"] == "last"


def _parent_of(command: str) -> int:
    """The process that has started the one whose command line holds this text."""
    for folder in Path("/proc").glob("[0-9]*"):
        if command in (folder / "cmdline").read_text(errors="replace"):
            return int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
    raise AssertionError(f"no process runs {command!r}")


@pytest.mark.slow
def test_more_than_the_machine_has_is_refused(tmp_path: Path, photos: Path) -> None:
    code, said = _end(_start(tmp_path, photos, "launcher.cpus=100000"))
    assert code == 1
    assert re.search(r"error: launcher.cpus=100000, but Ray finds \d+ CPU\(s\) on this machine", said)
    assert "Traceback" not in said


def test_what_cannot_be_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"trainer.devices=auto: launcher=ray needs the number of devices"):
        Ray(devices="auto", accelerator="gpu")
    with pytest.raises(ValueError, match=r"trainer.num_nodes=2: launcher=ray gives a job one node"):
        Ray(devices=1, accelerator="gpu", num_nodes=2)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install zoomsr\[ray\]"):
        Ray(devices=1, accelerator="cpu")
