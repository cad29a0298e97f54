"""Trainings in processes that are killed, and whether a killed one ends as one that was not."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import keystr, tree_flatten_with_path

from _support.logged import of_tensorboard
from zoomsr.runs.files import read_rows, write_text
from zoomsr.runs.job import Job
from zoomsr.runs.run import Run

Settings = Callable[..., dict[str, Any]]


# Everything that has a state: running means of the weights, momentum, a schedule, a net that draws from chance itself.
EVERYTHING = [
    *("data.patches_per_image=10", "trainer.accumulate_grad_batches=2", "ema=0.9"),
    *("callbacks.last.minutes=0", "model._target_=_support.nets.Noisy"),
    *("callbacks=early_stop", "callbacks.early_stop.patience=99"),  # it counts, and stops nothing
]


CLOCKS = ("seconds", "data/wait")


# Each trial is a fork of a process that has torch and Lightning in it already: seconds instead of ten.
_FORKS = multiprocessing.get_context("forkserver")


_FORKS.set_forkserver_preload(
    ["zoomsr.training.recipe", "zoomsr.training.callbacks.guard", "zoomsr.training.callbacks.pictures"]
)


def _carry_out(path: Path, rank: int, ranks: int, port: int) -> None:
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
    if ranks > 1:  # as torchrun tells it
        names = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
        names |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test"}
        os.environ.update({name: str(value) for name, value in names.items()})
        torch.set_num_threads(1)
    from zoomsr.training.recipe import train

    train(Job(path).settings())


def _start(job: Job, ranks: int) -> list[BaseProcess]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [_FORKS.Process(target=_carry_out, args=(job.path, rank, ranks, port)) for rank in range(ranks)]
    for process in processes:
        process.start()
    return processes


def kill_after(job: Job, ranks: int, *, saves: int) -> bool:
    """Kill all ranks once so many checkpoints more were written; False when the run had ended by then."""
    last, seen = job.path / "checkpoints" / "last.ckpt", 0
    before = last.stat().st_mtime_ns if last.is_file() else 0
    processes = _start(job, ranks)
    while seen < saves and all(process.is_alive() for process in processes):
        now = last.stat().st_mtime_ns if last.is_file() else before
        seen, before = seen + (now != before), now
        time.sleep(0.001)
    was_running = all(process.is_alive() for process in processes)
    if was_running:
        for process in processes:
            os.kill(process.pid or 0, signal.SIGKILL)
    _join(processes)
    return was_running


def _join(processes: list[BaseProcess]) -> None:
    """Wait for all ranks; where one has failed, the others would wait for it without end, and are killed."""
    while any(process.is_alive() for process in processes):
        if any(process.exitcode for process in processes):
            for process in processes:
                process.kill()
        time.sleep(0.01)
    for process in processes:
        process.join()


def finish(job: Job, ranks: int) -> None:
    processes = _start(job, ranks)
    _join(processes)
    assert [process.exitcode for process in processes] == [0] * ranks


def new_job(settings: Settings, name: str, *overrides: str) -> Job:
    job = Job.freeze(settings(name, *overrides) | {"ckpt": "last"})
    (job.path / ".hydra").mkdir(exist_ok=True)
    write_text(job.path / ".hydra" / "overrides.yaml", "[]\n")
    return job


def fingerprint(job: Job) -> dict[str, str]:
    """sha256 of every value in the last checkpoint: weights, their running mean, optimizer, schedule, loops, chance."""
    checkpoint = torch.load(job.path / "checkpoints" / "last.ckpt", weights_only=True)
    found = {}
    for path, value in tree_flatten_with_path(checkpoint)[0]:
        name = keystr(path).replace(str(job.path), "RUN")
        data = value.cpu().numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value).encode()
        found[name] = hashlib.sha256(data.replace(str(job.path).encode(), b"RUN")).hexdigest()
    # ModelCheckpoint's current_score is a note for readers, which Lightning does not load again.
    apart = ("seconds", "events", "current_score")
    return {name: digest for name, digest in found.items() if not any(word in name for word in apart)}


def _logged(job: Job) -> tuple[list[dict[str, float]], dict[str, list[tuple[int, float]]]]:
    """Every number in metrics.csv and in TensorBoard, without clocks."""
    rows = [{key: row[key] for key in row if key not in CLOCKS} for row in read_rows(job.path / "metrics.csv")]
    points = of_tensorboard(Run.read(job.path))
    return rows, {name: points[name] for name in points if name not in CLOCKS}


def require_no_trace(settings: Settings, *more: str, trials: int, ranks: int) -> None:
    """Hold a run that was killed so often against one that was not."""
    epochs = 3 if trials < 10 else 16  # two ranks save less often within an epoch
    overrides = [*(["trainer=ddp_cpu"] if ranks > 1 else []), *EVERYTHING, f"trainer.max_epochs={epochs}", *more]
    whole, cut = new_job(settings, "whole", *overrides), new_job(settings, "cut", *overrides)
    finish(whole, ranks)
    chance, killed = random.Random(trials), 0
    for _ in range(trials):
        killed += kill_after(cut, ranks, saves=chance.randint(1, 3 if ranks == 1 else 1))
    finish(cut, ranks)
    assert killed == trials
    assert fingerprint(cut) == fingerprint(whole)
    (rows, curves), (cut_rows, cut_curves) = _logged(whole), _logged(cut)
    assert cut_rows == rows
    for tag, points in curves.items():
        assert cut_curves[tag] == points, tag
    assert cut_curves.keys() == curves.keys()
    assert len(rows) == epochs
    assert len(curves["train/loss"]) > 10
    scores = [json.loads((job.path / "metrics.json").read_text())["sets"] for job in (whole, cut)]
    assert scores[0] == scores[1]
