"""How fast the trainer trains, within a training of its own: it takes turns with a raw PyTorch loop."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from experiments.benchmarks.training_speed.rivals import Raw, wait_for
from zoomsr.data.datamodule import Batch
from zoomsr.data.loader import Timed

WARM_UP, TURNS, PROFILED = 5, 3, 10
"""Steps before anything is timed, turns of each of the two, and steps in which kernels are recorded."""


class Turns(Callback):
    """Times the trainer and a raw loop in turns of equal length, then ends the training.

    Args:
        file: gets what was found, as JSON.
        seconds: of all turns together.
        compile: the training's own setting.
    """

    def __init__(self, file: str, *, seconds: float, compile: bool | str) -> None:
        self._file, self._seconds = Path(file), seconds
        self._mode = "default" if isinstance(compile, bool) else compile
        self._course: Iterator[int] | None = None
        self._next = 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Where a turn of the trainer ends, go on to the next."""
        if batch_idx == self._next:
            self._course = self._course or self._take_turns(trainer, pl_module, batch)
            self._next += next(self._course)

    def _take_turns(self, trainer: Trainer, module: LightningModule, batch: Batch) -> Iterator[int]:
        """Gives the number of steps that the trainer takes next."""
        device, loader = module.device, trainer.train_dataloader
        assert isinstance(loader, Timed)
        on_cuda = device.type == "cuda"
        found: dict[str, Any] = {"patches": len(batch["hr"]), "raw": [], "trainer": [], "waiting": []}
        if on_cuda:
            torch.cuda.reset_peak_memory_stats(device)
        yield WARM_UP
        wait_for(device)
        found["peak"] = torch.cuda.max_memory_allocated(device) if on_cuda else None
        raw = Raw(module, batch, trainer, mode=self._mode)
        raw.seconds(WARM_UP)
        length = min(5000, max(2, round(self._seconds / (2 * TURNS) / raw.seconds(WARM_UP))))
        for _ in range(TURNS):
            found["raw"].append(raw.seconds(length))
            start, waited = time.perf_counter(), loader.waited
            yield length
            wait_for(device)
            seconds = time.perf_counter() - start
            found["trainer"].append(seconds / length)
            found["waiting"].append((loader.waited - waited) / seconds)
        if on_cuda:
            with profile(activities=[ProfilerActivity.CUDA]) as profiler:
                yield WARM_UP + PROFILED
                wait_for(device)
            ran = kernels(profiler)
            # Every step has as many. In the first ones Python is not yet ahead of the device.
            found["kernels"] = len(ran) / (WARM_UP + PROFILED)
            found["no kernel"] = share_without(ran[len(ran) * WARM_UP // (WARM_UP + PROFILED) :])
        self._file.write_text(json.dumps({**found, "flop": raw.flop, "steps": length}))
        trainer.should_stop = True
        yield sys.maxsize


def kernels(profiler: profile) -> list[tuple[float, float]]:
    """Start and end of each kernel, the first one first, in microseconds; copies and named stretches are none."""
    on_device = (event for event in profiler.events() or () if event.device_type == DeviceType.CUDA)
    return sorted(
        (event.time_range.start, event.time_range.end)
        for event in on_device
        if not event.is_user_annotation and not event.name.startswith(("Memcpy", "Memset"))
    )


def share_without(intervals: Sequence[tuple[float, float]]) -> float | None:
    """Share of the time from the first start to the last end that no interval covers; None without any.

    Args:
        intervals: start and end, in the order of their starts.
    """
    if not intervals:
        return None
    first = reached = intervals[0][0]
    idle = 0.0
    for start, end in intervals:
        idle += max(0.0, start - reached)
        reached = max(reached, end)
    return idle / (reached - first)
