"""How long a training waits for its data, and what to do about it."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.cli.console import say
from zoomsr.training.module import ends_epoch

LOADER_WAIT = "data/wait"
"""Share of an epoch's training time, 0 to 1, in which no batch was ready."""


class LoaderWait(Callback):
    """Logs ``data/wait`` per epoch; prints once what to change where it is large.

    Args:
        limit: the share above which advice is printed.
    """

    def __init__(self, *, limit: float = 0.05) -> None:
        self._limit = limit
        self._has_advised = False
        self._start = 0.0
        self._waited = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clocks, also where a resume begins within an epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clocks."""
        self._start = time.perf_counter()
        self._waited = getattr(trainer.train_dataloader, "waited", 0.0)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """At the epoch's last batch, before the validation."""
        if not ends_epoch(trainer):
            return
        waited = getattr(trainer.train_dataloader, "waited", 0.0) - self._waited
        share = waited / (time.perf_counter() - self._start)
        pl_module.log(LOADER_WAIT, share, logger=False, sync_dist=True)
        if share > self._limit and not self._has_advised and trainer.is_global_zero:
            self._has_advised = True
            advice = "data.threads=2 (or more), a faster disk for the packed pixels, or data.resident=device"
            say({"slow data": f"{share:.0%} of epoch {trainer.current_epoch + 1} went by without a batch: {advice}"})
