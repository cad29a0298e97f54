"""Curves over epochs and steps, for every logger."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.training.callbacks.loggers import loggers_of
from zoomsr.training.callbacks.results import epoch_metrics, validation_metrics
from zoomsr.training.logger_adapters import BY_STEP
from zoomsr.training.module import ends_epoch


class Curves(Callback):
    """Writes each epoch's metrics at step = epoch, counted from 1, and the loss of steps at their number.

    Lightning itself would log epoch metrics at the global step, and a step's metrics only after its checkpoint.

    Args:
        every_n_steps: how often a step's loss is written, which waits for the device.
    """

    def __init__(self, *, every_n_steps: int = 50) -> None:
        self._every_n_steps = every_n_steps

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the loss and the learning rate of every n-th step, before a checkpoint could be saved without them."""
        step, accumulated = trainer.global_step, trainer.accumulate_grad_batches
        has_stepped = (batch_idx + 1) % accumulated == 0 or trainer.is_last_batch
        if not has_stepped or step % self._every_n_steps or outputs is None:
            return
        if (loggers := loggers_of(trainer)) is not None:
            loss = float(outputs["loss"]) * accumulated  # the trainer has divided it
            learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
            loggers.log_points({"train/loss": loss, "optim/learning_rate": learning_rate}, step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the points of a validation within the epoch."""
        loggers = loggers_of(trainer)
        if loggers is not None and not trainer.sanity_checking and not ends_epoch(trainer):
            loggers.log_points(validation_metrics(trainer, pl_module), trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's points, without what is written by step."""
        if (loggers := loggers_of(trainer)) is not None:
            metrics = epoch_metrics(trainer, pl_module)
            loggers.log_points({key: metrics[key] for key in metrics if key not in BY_STEP}, trainer.current_epoch + 1)
