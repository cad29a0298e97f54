"""Curves over epochs, for every logger; in TensorBoard training and validation share a chart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import scalar

from zoomsr.metrics.quality import METRICS
from zoomsr.metrics.spectrum import N_BANDS
from zoomsr.training.callbacks.results import epoch_metrics, validation_metrics
from zoomsr.training.module import ends_epoch

_CHARTS = {
    "MAE": "mae",
    "PSNR on Y (dB)": "psnr_y",
    "PSNR on RGB (dB)": "psnr_rgb",
    "SSIM on Y": "ssim_y",
    "SSIM on RGB": "ssim_rgb",
}
_SPLITS = {"train": "training patches", "val": "validation images"}
_MEANINGS = {
    "mae": "Mean absolute error on [0, 1]; less is better.",
    "psnr_y": "Peak signal-to-noise ratio on Y in dB, mean over images; more is better.",
    "psnr_rgb": "Peak signal-to-noise ratio on 8-bit RGB in dB, mean over images; more is better.",
    "ssim_y": "Structural similarity on Y, at most 1; more is better.",
    "ssim_rgb": "Structural similarity on RGB, at most 1; more is better.",
    "mae_gap": "Validation MAE minus training MAE: a gap that grows is overfitting.",
    "loss": "The training loss.",
    "wait": "Share of the epoch in which the device waited for data.",
}


class Curves(Callback):
    """Writes each epoch's metrics at step = epoch, counted from 1, and lays out TensorBoard's custom-scalar charts.

    Lightning itself would log epoch metrics at the global step, and a step's metrics only after its checkpoint.

    Args:
        every_n_steps: how often a step's loss is written, which waits for the device.
    """

    def __init__(self, *, every_n_steps: int = 50) -> None:
        self._every_n_steps = every_n_steps

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lay out the charts: training beside validation, runs beside each other, the error's spectrum."""
        if (writer := tensorboard(trainer)) is not None:
            both = {title: ["Multiline", [f"train/{name}$", f"val/{name}$"]] for title, name in _CHARTS.items()}
            runs = {title: ["Multiline", [f"val/{name}$"]] for title, name in _CHARTS.items()}
            bands = [f"val/{name}" for name in METRICS if name.startswith("error_band_")]
            writer.add_custom_scalars(
                {
                    "Training and validation, by epoch": both,
                    "Validation of each run, by epoch": runs,
                    "Validation, by frequency": {"Error over ground truth (dB), by band": ["Multiline", bands]},
                }
            )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write the loss and the learning rate of every n-th step, before a checkpoint could be saved without them."""
        step, accumulated = trainer.global_step, trainer.accumulate_grad_batches
        has_stepped = (batch_idx + 1) % accumulated == 0 or trainer.is_last_batch
        if has_stepped and step % self._every_n_steps == 0 and outputs is not None and trainer.is_global_zero:
            loss = float(outputs["loss"]) * accumulated  # the trainer has divided it
            learning_rate = trainer.optimizers[0].param_groups[0]["lr"]
            for logger in trainer.loggers:
                logger.log_metrics({"train/loss": loss, "optim/learning_rate": learning_rate}, step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the points of a validation within the epoch."""
        if not trainer.sanity_checking and not ends_epoch(trainer):
            _log(trainer, validation_metrics(trainer, pl_module))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's points, without what is written by step."""
        metrics = epoch_metrics(trainer, pl_module)
        _log(trainer, {key: metrics[key] for key in metrics if key not in ("train/loss", "optim/learning_rate")})


def _log(trainer: Trainer, metrics: Mapping[str, float]) -> None:
    """Give the same points to every logger, at step = epoch; TensorBoard's come with a description."""
    epoch = trainer.current_epoch + 1
    for logger in trainer.loggers if trainer.is_global_zero and metrics else ():
        if not isinstance(logger, TensorBoardLogger):
            logger.log_metrics(dict(metrics), epoch)
            continue
        for name, value in metrics.items():  # as add_scalar, which takes no description
            summary = scalar(name, value)  # type: ignore[no-untyped-call]  # torch's own is not typed
            summary.value[0].metadata.summary_description = describe(name)
            logger.experiment._get_file_writer().add_summary(summary, epoch)


def describe(tag: str) -> str:
    """The meaning of ``val/psnr_y`` and its like, as TensorBoard shows it."""
    split, _, name = tag.partition("/")
    meaning = _MEANINGS.get(name, "")
    if name.startswith("error_band_"):
        number = int(name.removeprefix("error_band_")) - 1
        low, high = number / (2 * N_BANDS), (number + 1) / (2 * N_BANDS)
        meaning = f"Error over ground truth on Y in dB at {low:g} to {high:g} cycles per pixel; less is better."
    return f"{meaning} On {_SPLITS[split]}, by epoch." if split in _SPLITS else meaning


def tensorboard(trainer: Trainer) -> SummaryWriter | None:
    """The run's TensorBoard writer; None without one and on ranks above 0."""
    loggers = trainer.loggers if trainer.is_global_zero else []
    return next((logger.experiment for logger in loggers if isinstance(logger, TensorBoardLogger)), None)
