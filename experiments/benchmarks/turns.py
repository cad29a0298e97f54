"""How fast the trainer trains, within a training of its own: it takes turns with a raw PyTorch loop."""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from zoomsr.data.datamodule import Batch
from zoomsr.hardware.devices import fuse

WARM_UP, TURNS, PROFILED = 5, 3, 10
"""Steps before anything is timed, turns of each of the two, and steps in which kernels are recorded."""


class Raw:
    """A plain PyTorch loop: a copy of the net, its loss and Adam, on one batch that stays on the device.

    Args:
        module: whose net is copied, and compiled where that one is.
        batch: the same in every step.
        trainer: whose precision it has.
        mode: of torch.compile.
    """

    def __init__(self, module: LightningModule, batch: Batch, trainer: Trainer, *, mode: str) -> None:
        net = module.net
        assert isinstance(net, nn.Module)
        self._net, self._loss, self._batch = copy.deepcopy(net), nn.L1Loss(), batch
        with FlopCounterMode(display=False) as counter:
            self._loss(self._net(batch["lr"]), batch["hr"]).backward()
        self.flop: int = counter.get_total_flops()
        if net._compiled_call_impl is not None:  # a copy of a compiled net is not compiled
            self._net.compile(dynamic=False, mode=mode)
        self._optimizer = torch.optim.Adam(self._net.parameters(), lr=1e-5)
        fuse(self._optimizer)
        self._context = trainer.precision_plugin.forward_context

    def seconds(self, steps: int) -> float:
        """Of each of so many steps."""
        start = time.perf_counter()
        for _ in range(steps):
            self._optimizer.zero_grad()
            with self._context():
                loss: Tensor = self._loss(self._net(self._batch["lr"]), self._batch["hr"])
            loss.backward()
            self._optimizer.step()
        wait_for(self._batch["lr"].device)
        return (time.perf_counter() - start) / steps


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
        on_cuda = device.type == "cuda"
        found: dict[str, Any] = {"patches": len(batch["hr"]), "raw": [], "trainer": [], "waiting": [], "peak": None}
        if on_cuda:
            torch.cuda.reset_peak_memory_stats(device)
        yield WARM_UP
        wait_for(device)
        if on_cuda:
            found["peak"] = torch.cuda.max_memory_allocated(device)
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

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave out the test, of which nothing is timed."""
        sys.exit(0)


class FirstStep(Callback):
    """Writes the time of day at which the first step was done, in seconds, and ends the process."""

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def on_train_batch_end(self, *_: Any) -> None:
        """Once."""
        self._file.write_text(str(time.time()))
        sys.exit(0)


class Bare(LightningModule):
    """What Lightning itself costs: a step without data, metrics, callbacks or logs.

    Args:
        net: lr to sr.
        batch: lr and hr, the same in every step.
    """

    def __init__(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.net, self._batch = net, batch

    def training_step(self, number: int, batch_idx: int) -> Tensor:
        """The loss of the batch."""
        lr, hr = self._batch
        return nn.functional.l1_loss(self.net(lr), hr)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As the raw loop's."""
        return torch.optim.Adam(self.net.parameters(), lr=1e-5)


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


def wait_for(device: torch.device) -> None:
    """Until it has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
