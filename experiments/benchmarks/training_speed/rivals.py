"""What the trainer is measured against, as callbacks: they take turns with it, epoch by epoch, in one process."""

from __future__ import annotations

import copy
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from zoomsr.data.datamodule import Batch
from zoomsr.hardware.devices import fuse
from zoomsr.training.callbacks.loader_wait import LOADER_WAIT


class Raw:
    """A plain PyTorch loop: a copy of the net, its loss and Adam, on one batch that stays on the device.

    Args:
        module: whose net is copied, and compiled where that one is.
        batch: the same in every step.
        trainer: whose precision it has.
        mode: of torch.compile.
    """

    def __init__(self, module: LightningModule, batch: Batch, trainer: Trainer, *, mode: str = "default") -> None:
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
            self._step()
        wait_for(self._batch["lr"].device)
        return (time.perf_counter() - start) / steps

    def _step(self) -> None:
        self._optimizer.zero_grad()
        with self._context():
            loss: Tensor = self._loss(self._net(self._batch["lr"]), self._batch["hr"])
        loss.backward()
        self._optimizer.step()


class RawLoop(Callback):
    """Before each epoch of the trainer, the same number of steps of a plain PyTorch loop on one resident batch.

    Args:
        file: gets the seconds per step of both, epoch by epoch, and what else is known.
    """

    def __init__(self, file: str) -> None:
        self._file = Path(file)
        self._found: dict[str, Any] = {"raw": [], "trainer": [], "wait": []}
        self._raw: Raw | None = None
        self._start = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Before the first step of an epoch: the raw loop, then the trainer's clock."""
        if batch_idx:
            return
        steps = int(trainer.num_training_batches)
        if self._raw is None:
            self._raw = Raw(pl_module, batch, trainer)
            self._found |= {"flop": self._raw.flop, "patches": len(batch["hr"])}
            self._raw.seconds(steps)  # warms up, and compiles
        self._found["raw"].append(self._raw.seconds(steps))
        self._start = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last step of an epoch, its metrics included."""
        if not trainer.sanity_checking:
            wait_for(pl_module.device)
            seconds = time.perf_counter() - self._start
            self._found["trainer"].append(seconds / trainer.num_training_batches)
            self._found["wait"].append(float(trainer.callback_metrics[LOADER_WAIT]))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the test out, of which nothing is timed."""
        sys.exit(0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what was found."""
        self._file.write_text(json.dumps(self._found))


class Bare(LightningModule):
    """What Lightning itself costs: a step without data, metrics, callbacks or logs.

    Args:
        net: lr to sr.
        batch: the same in every step.
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


class FirstStep(Callback):
    """Writes the time of day at which the first step was done.

    Args:
        file: gets it, in seconds.
    """

    def __init__(self, file: str) -> None:
        self._file = Path(file)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Once, and end."""
        self._file.write_text(str(time.time()))
        sys.exit(0)


def wait_for(device: torch.device) -> None:
    """Until it has done all that it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
