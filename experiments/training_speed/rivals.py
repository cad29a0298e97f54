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

from zoomsr.callbacks.loader_wait import LOADER_WAIT
from zoomsr.data.datamodule import Batch


class RawLoop(Callback):
    """Before each epoch of the trainer, the same number of steps of a plain PyTorch loop on one resident batch.

    Args:
        file: gets the seconds per step of both, epoch by epoch, and what else is known.
    """

    def __init__(self, file: str) -> None:
        self._file = Path(file)
        self._found: dict[str, Any] = {"raw": [], "trainer": [], "wait": []}
        self._net: nn.Module | None = None
        self._start = 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Batch, batch_idx: int) -> None:
        """Before the first step of an epoch: the raw loop, then the trainer's clock."""
        if batch_idx:
            return
        if self._net is None:
            self._prepare(pl_module, batch)
            self._epoch(trainer, batch)  # warms up, and compiles
        self._found["raw"].append(self._epoch(trainer, batch))
        self._start = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last step of an epoch, its metrics included."""
        if not trainer.sanity_checking:
            _wait_for(pl_module.device)
            seconds = time.perf_counter() - self._start
            self._found["trainer"].append(seconds / trainer.num_training_batches)
            self._found["wait"].append(float(trainer.callback_metrics[LOADER_WAIT]))

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave the test out, of which nothing is timed."""
        sys.exit(0)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what was found."""
        self._file.write_text(json.dumps(self._found))

    def _prepare(self, module: LightningModule, batch: Batch) -> None:
        net = module.net
        assert isinstance(net, nn.Module)
        self._net, self._loss = copy.deepcopy(net), nn.L1Loss()
        with FlopCounterMode(display=False) as counter:
            self._loss(self._net(batch["lr"]), batch["hr"]).backward()
        self._found["flop"], self._found["patches"] = counter.get_total_flops(), len(batch["hr"])
        if net._compiled_call_impl is not None:  # a copy of a compiled net is not compiled
            self._net.compile()
        self._optimizer = torch.optim.Adam(self._net.parameters(), lr=1e-5)

    def _epoch(self, trainer: Trainer, batch: Batch) -> float:
        """Seconds per step."""
        start = time.perf_counter()
        for _ in range(trainer.num_training_batches):
            self._step(trainer, batch)
        _wait_for(batch["lr"].device)
        return (time.perf_counter() - start) / trainer.num_training_batches

    def _step(self, trainer: Trainer, batch: Batch) -> None:
        assert self._net is not None
        self._optimizer.zero_grad()
        with trainer.precision_plugin.forward_context():
            loss: Tensor = self._loss(self._net(batch["lr"]), batch["hr"])
        loss.backward()
        self._optimizer.step()


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


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
