"""Ranks that torchrun starts, on one machine and as if on two."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from _support.tiny import TINY, TINY_NET

from zoomsr.runs.files import read_rows

pytestmark = pytest.mark.slow


def _start(tmp_path: Path, photos: Path, agent: list[str], *arguments: str) -> subprocess.Popen[str]:
    train = ["zoomsr.train", *TINY, *TINY_NET, f"data.root={photos}", "trainer=ddp_cpu", "trainer.max_epochs=1"]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *agent, "-m", *train, *arguments],
        env={**os.environ, "ZOOMSR_RUNS": str(tmp_path / "runs"), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code, and all that it said."""
    said = process.communicate(timeout=120)[0]
    return process.returncode, said


def _require_two_equal_ranks(run: Path) -> None:
    ranks = json.loads((run / "metrics.json").read_text())["ranks"]
    assert len(ranks) == 2
    assert len(set(ranks)) == 1
    assert [row["epoch"] for row in read_rows(run / "metrics.csv")] == [1]


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_two_ranks_of_one_machine(tmp_path: Path, photos: Path) -> None:
    agent = ["--standalone", "--nproc-per-node=2"]
    code, said = _end(_start(tmp_path, photos, agent, f"hydra.run.dir={tmp_path}/run"))
    assert code == 0, said
    _require_two_equal_ranks(tmp_path / "run")
    assert said.count("epoch 1/1  train") == 1


def test_two_machines_of_one_rank(tmp_path: Path, photos: Path) -> None:
    port = _free_port()
    agents = [
        ["--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1", "--master-addr=127.0.0.1", f"--master-port={port}"]
        for rank in (0, 1)
    ]
    nodes = ["trainer.num_nodes=2", "trainer.devices=1", f"hydra.run.dir={tmp_path}/run"]
    ends = [_end(process) for process in [_start(tmp_path, photos, agent, *nodes) for agent in agents]]
    assert [code for code, _ in ends] == [0, 0], ends
    _require_two_equal_ranks(tmp_path / "run")
    assert ["epoch 1/1  train" in said for _, said in ends] == [True, False]


def test_without_a_directory_for_all_ranks_nothing_starts(tmp_path: Path, photos: Path) -> None:
    code, said = _end(_start(tmp_path, photos, ["--standalone", "--nproc-per-node=2"]))
    assert code == 1
    assert "error: all 2 ranks must write into one directory: add hydra.run.dir=runs/NAME\n" in said
    assert not list((tmp_path / "runs").glob("*/settings.yaml"))
