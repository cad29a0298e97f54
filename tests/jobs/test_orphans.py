"""What a killed command, or a killed rank, leaves behind: nothing that trains on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from _support.tiny import TINY, TINY_NET

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").is_file(), reason="processes are counted in /proc"),
]

ENDLESS = [*TINY, *TINY_NET, "trainer.max_epochs=100000", "scheduler=constant"]
SEARCH = ["hparams_search=optuna", "hparams_search.n_trials=2", "hparams_search.space=['seed=range(1,9)']"]
COMMANDS = {
    "sweep": ["-m", "seed=1,2", "launcher.slots=2", "hydra.sweep.dir=out"],
    "search": [*SEARCH, "hydra.run.dir=out"],
    "ranks": ["trainer=ddp_cpu", "hydra.run.dir=out"],
}


def _processes(tmp_path: Path) -> dict[int, list[str]]:
    """Every living process of this test, which shows in its environment; pid to environment."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_text(errors="replace").split("\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:  # it has just ended
            continue
        if f"ZOOMSR_RUNS={tmp_path}" in environment and state != "Z":
            found[int(folder.name)] = environment
    return found


def _wait_until(is_so: Callable[[], bool], *, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.1)
    return is_so()


def _start(tmp_path: Path, photos: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command, once its first epoch is done."""
    process = subprocess.Popen(
        [sys.executable, "-m", "zoomsr.train", *ENDLESS, f"data.root={photos}", *arguments],
        env={**os.environ, "ZOOMSR_RUNS": str(tmp_path), "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if re.search(r"epoch 1/\d+  train", line):
            return process
    pytest.fail("the command ended by itself")


@pytest.mark.parametrize("kind", COMMANDS)
def test_children_end_with_the_command_that_was_killed(tmp_path: Path, photos: Path, kind: str) -> None:
    process = _start(tmp_path, photos, *COMMANDS[kind])
    try:
        assert len(_processes(tmp_path)) > 1
        process.kill()
        process.wait()
        assert _wait_until(lambda: not _processes(tmp_path), seconds=25)
    finally:
        for pid in _processes(tmp_path):
            os.kill(pid, signal.SIGKILL)
    (log,) = (
        (tmp_path / "out").rglob("output.log") if kind != "sweep" else [tmp_path / "out" / "0_srcnn" / "output.log"]
    )
    assert log.read_text().count("error: the command that started this job has ended\n") == 1
    assert list((tmp_path / "out").rglob("last.ckpt"))  # the jobs saved where they were


@pytest.mark.parametrize(("rank", "said"), [(1, "a rank of {run} has ended by SIGKILL"), (0, "{run} was killed by")])
def test_one_dead_rank_ends_the_others_with_one_line(tmp_path: Path, photos: Path, rank: int, said: str) -> None:
    process = _start(tmp_path, photos, *COMMANDS["ranks"])
    try:
        is_second = {pid: "LOCAL_RANK=1" in environment for pid, environment in _processes(tmp_path).items()}
        del is_second[process.pid]
        (victim,) = (pid for pid, second in is_second.items() if second == (rank == 1))
        os.kill(victim, signal.SIGKILL)
        rest = process.communicate(timeout=25)[0]
        assert not _processes(tmp_path)
    finally:
        for pid in _processes(tmp_path):
            os.kill(pid, signal.SIGKILL)
    (line,) = [line for line in rest.splitlines() if line.startswith("error: ")]
    assert said.format(run=tmp_path / "out") in line
    assert "Traceback" not in rest
    assert process.returncode == 1
