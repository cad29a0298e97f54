"""Curves whose axis is the epoch, for every logger; in TensorBoard training and held-out in one chart."""

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
_SPLITS = {"train": "patches that were trained on", "val": "held-out photographs"}
_MEANINGS = {
    "mae": "Mean absolute error on [0, 1]; less is better.",
    "psnr_y": "Peak signal-to-noise ratio on Y in dB, mean over images; more is better.",
    "psnr_rgb": "Peak signal-to-noise ratio on 8-bit RGB in dB, mean over images; more is better.",
    "ssim_y": "Structural similarity on Y, at most 1; more is better.",
    "ssim_rgb": "Structural similarity on RGB, at most 1; more is better.",
    "mae_gap": "Held-out MAE minus training MAE: a gap that grows is overfitting.",
    "loss": "What was minimised.",
    "wait": "Share of the epoch in which the device waited for data.",
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
        """Lay out the charts: each metric in training and held out; runs against each other; the spectrum."""
        if (writer := tensorboard(trainer)) is not None:
            both = {title: ["Multiline", [f"train/{name}$", f"val/{name}$"]] for title, name in _CHARTS.items()}
            bands = [f"val/{name}" for name in METRICS if name.startswith("error_band_")]
            spectrum = {"Error over truth (dB), bands of rising frequency": ["Multiline", bands]}
            runs = {title: ["Multiline", [f"val/{name}$"]] for title, name in _CHARTS.items()}
            writer.add_custom_scalars(
                {
                    "Training and held-out, by epoch": both,
                    "Runs against each other, held-out, by epoch": runs,
                    "Held-out, by frequency": spectrum,
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
        """Write the points of a validation after which the epoch goes on."""
        if not trainer.sanity_checking and not ends_epoch(trainer):
            log_by_epoch(trainer, validation_metrics(trainer, pl_module), trainer.current_epoch + 1)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch's points."""
        metrics = epoch_metrics(trainer, pl_module)
        by_step = ("train/loss", "optim/learning_rate")
        points = {name: value for name, value in metrics.items() if name not in by_step}
        log_by_epoch(trainer, points, trainer.current_epoch + 1)


def log_by_epoch(trainer: Trainer, metrics: Mapping[str, float], epoch: int) -> None:
    """Give the same points to every logger, at step = epoch; TensorBoard's come with their meaning."""
    for logger in trainer.loggers if trainer.is_global_zero and metrics else ():
        if isinstance(logger, TensorBoardLogger):
            for name, value in metrics.items():
                _add_described(logger.experiment, name, value, epoch)
        else:
            logger.log_metrics(dict(metrics), epoch)


def _add_described(writer: SummaryWriter, tag: str, value: float, epoch: int) -> None:
    """``SummaryWriter.add_scalar`` with the words that TensorBoard shows beside the tag."""
    summary = scalar(tag, value)  # type: ignore[no-untyped-call]  # torch's own is not typed
    summary.value[0].metadata.summary_description = describe(tag)
    writer._get_file_writer().add_summary(summary, epoch)  # type: ignore[no-untyped-call]


def describe(tag: str) -> str:
    """What ``val/psnr_y`` and its like mean."""
    split, _, name = tag.partition("/")
    if name.startswith("error_band_"):
        number = int(name.removeprefix("error_band_")) - 1
        low, high = number / (2 * N_BANDS), (number + 1) / (2 * N_BANDS)
        meaning = f"Error over truth on Y in dB at {low:g} to {high:g} cycles per pixel; less is better."
    else:
        meaning = _MEANINGS.get(name, "")
    return f"{meaning} On {_SPLITS[split]}, by epoch." if split in _SPLITS else meaning


def tensorboard(trainer: Trainer) -> SummaryWriter | None:
    """The run's TensorBoard writer; None without one and on ranks above 0."""
    if not trainer.is_global_zero:
        return None
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            writer: SummaryWriter = logger.experiment
            return writer
    return None
