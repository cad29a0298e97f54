"""How long a training waits for its data, and what to do about it."""

from __future__ import annotations

import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.cli.console import say
from zoomsr.data.loader import PatchLoader
from zoomsr.training.module import ends_epoch

LOADER_WAIT = "data/wait"
"""Share of an epoch's training time, 0 to 1, in which no batch was ready."""


class LoaderWait(Callback):
    """Logs ``data/wait`` per epoch; says once what to change where it is large.

    Args:
        limit: the share above which it says so.
    """

    def __init__(self, *, limit: float = 0.05) -> None:
        self._limit = limit
        self._said = False
        self._start = 0.0
        self._waited = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clocks, also where a resume begins within an epoch."""
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clocks."""
        self._start = time.perf_counter()
        self._waited = _waited(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Before validation, which is no part of it."""
        if not ends_epoch(trainer):
            return
        share = (_waited(trainer) - self._waited) / (time.perf_counter() - self._start)
        pl_module.log(LOADER_WAIT, share, logger=False, sync_dist=True)
        if share > self._limit and not self._said and trainer.is_global_zero:
            self._said = True
            advice = "data.threads=2 (or more), a faster disk for the packed pixels, or data.resident=device"
            say({"slow data": f"{share:.0%} of epoch {trainer.current_epoch + 1} went by without a batch: {advice}"})


def _waited(trainer: Trainer) -> float:
    loader = trainer.train_dataloader
    return loader.waited if isinstance(loader, PatchLoader) else 0.0
