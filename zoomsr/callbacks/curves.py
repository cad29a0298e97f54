"""Curves in TensorBoard whose axis is the epoch, training and held-out in one chart."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from zoomsr.callbacks.results import epoch_metrics
from zoomsr.metrics import METRICS

_CHARTS = {
    "MAE": "mae",
    "PSNR on Y (dB)": "psnr_y",
    "PSNR on RGB (dB)": "psnr_rgb",
    "SSIM on Y": "ssim_y",
    "SSIM on RGB": "ssim_rgb",
}


class Curves(Callback):
    """Writes each epoch's metrics at step = epoch, counted from 1, and lays out the custom-scalar charts.

    Lightning itself would log epoch metrics at the global step, and a step's metrics only after its checkpoint.

    Args:
        every_n_steps: how often the loss of a step is written; the device is waited for then.
    """

    def __init__(self, *, every_n_steps: int = 50) -> None:
        self._every_n_steps = every_n_steps

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lay out the charts: each metric with its training and its held-out curve."""
        if (writer := tensorboard(trainer)) is not None:
            both = {title: ["Multiline", [f"train/{name}", f"val/{name}"]] for title, name in _CHARTS.items()}
            bands = [f"val/{name}" for name in METRICS if name.startswith("error_band_")]
            spectrum = {"Error over truth (dB), bands of rising frequency": ["Multiline", bands]}
            writer.add_custom_scalars({"Training and held-out, by epoch": both, "Held-out, by frequency": spectrum})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the loss and the learning rate of every n-th step, before a checkpoint could be saved without them."""
        step, accumulated = trainer.global_step, trainer.accumulate_grad_batches
        has_stepped = (batch_idx + 1) % accumulated == 0 or trainer.is_last_batch
        if has_stepped and step % self._every_n_steps == 0 and outputs is not None:
            loss = float(outputs["loss"]) * accumulated  # the trainer has divided it
            learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
            for logger in trainer.loggers:
                logger.log_metrics({"train/loss": loss, "optim/learning_rate": learning_rate}, step)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's points."""
        if (writer := tensorboard(trainer)) is not None:
            for name, value in epoch_metrics(trainer).items():
                if name not in ("train/loss", "optim/learning_rate"):  # these are logged per step
                    writer.add_scalar(name, value, trainer.current_epoch + 1)


def tensorboard(trainer: Trainer) -> SummaryWriter | None:
    """The run's TensorBoard writer; None without one and on ranks above 0."""
    if not trainer.is_global_zero:
        return None
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            writer: SummaryWriter = logger.experiment
            return writer
    return None
