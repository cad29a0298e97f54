"""What a logger is told of a run, any logger of Lightning, and what TensorBoard shows beyond it."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.loggers.logger import Logger
from PIL import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams, scalar

from zoomsr.figures import Figure
from zoomsr.metrics.quality import METRICS
from zoomsr.metrics.spectrum import N_BANDS
from zoomsr.runs.layout import EVENTS, SPLIT_EVENTS

_CHARTS = {
    "MAE": "mae",
    "PSNR on Y (dB)": "psnr_y",
    "PSNR on RGB (dB)": "psnr_rgb",
    "SSIM on Y": "ssim_y",
    "SSIM on RGB": "ssim_rgb",
}
LEADING = ("model", "loss", "optimizer.lr", "data.batch_size", "data.patch")
"""The settings by which experiments differ most."""
BY_STEP = ("train/loss", "optim/learning_rate")
"""Logged at optimizer steps, the others by epoch."""
_SPLITS = {"train": "training patches", "val": "validation images"}
_MEANINGS = {
    "mae": "Mean absolute error on [0, 1]; less is better.",
    "psnr_y": "Peak signal-to-noise ratio on Y in dB, mean over images; more is better.",
    "psnr_rgb": "Peak signal-to-noise ratio on 8-bit RGB in dB, mean over images; more is better.",
    "ssim_y": "Structural similarity on Y, at most 1; more is better.",
    "ssim_rgb": "Structural similarity on RGB, at most 1; more is better.",
    "mae_gap": "Validation MAE minus training MAE: a gap that grows is overfitting.",
    "loss": "The loss.",
    "wait": "Share of the epoch in which the device waited for data.",
}


class LoggerAdapter:
    """Any logger. Nothing is taken back from it, so it must get every point once.

    Args:
        logger: the logger.
    """

    rewinds = False
    """Whether a resume takes back what was logged after its checkpoint."""

    def __init__(self, logger: Logger) -> None:
        self._logger = logger

    @property
    def takes_figures(self) -> bool:
        """Whether it has Lightning's ``log_image``, as W&B's logger has."""
        return hasattr(self._logger, "log_image")

    def start(self, settings: Mapping[str, Any]) -> None:
        """Log the settings of a run that begins or resumes."""
        self._logger.log_hyperparams(dict(settings))

    def log_points(self, metrics: Mapping[str, float], step: int) -> None:
        """Log a point of each metric."""
        self._logger.log_metrics(dict(metrics), step)

    def log_figure(self, name: str, figure: Figure, step: int) -> None:
        """Log a figure as a picture, where the logger takes any."""
        if self.takes_figures:
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png", dpi=figure.dpi)
            self._logger.log_image(name, [Image.open(buffer)], step)  # type: ignore[attr-defined]  # takes_figures

    def finish(self, settings: Mapping[str, Any], metrics: Mapping[str, float], step: int) -> None:
        """Log the test's means, and settings that are known only now."""
        self._logger.log_hyperparams(dict(settings))
        if metrics:
            self.log_points(metrics, step)
        self._logger.finalize("success")  # again: the trainer has finalized it before
        self.close(failed=False)

    def close(self, *, failed: bool) -> None:
        """End a run that would stay open until the process ends, as those of W&B."""
        if (close := getattr(self._logger, "close", None)) is not None:
            close(failed=failed)


class TensorBoardAdapter(LoggerAdapter):
    """TensorBoard: charts of several curves, descriptions, figures, and the hyperparameters tab.

    ``val/psnr_y`` is the tag ``epoch/psnr_y`` in a folder ``val``, which TensorBoard takes for a run of its own: in
    every chart training and validation have one colour each, which its list of runs shows. Of several tags of one
    run neither colour nor marker would be the same in all charts.
    """

    rewinds = True
    takes_figures = True
    _logger: TensorBoardLogger

    def __init__(self, logger: TensorBoardLogger) -> None:
        super().__init__(logger)
        self._of_splits: dict[str, SummaryWriter] = {}

    def start(self, settings: Mapping[str, Any]) -> None:
        """Nothing: a row of the hyperparameters tab is written with its scores."""

    def lay_out(self) -> None:
        """Lay out the charts: training beside validation, of all runs, and the error's spectrum."""
        curves = {title: ["Multiline", [f"^epoch/{name}$"]] for title, name in _CHARTS.items()}
        bands = [f"^epoch/{name}$" for name in METRICS if name.startswith("error_band_")]
        self._logger.experiment.add_custom_scalars(
            {
                "Training and validation, by epoch": curves,
                "By frequency, by epoch": {"Error over ground truth (dB), by band": ["Multiline", bands]},
            }
        )

    def log_points(self, metrics: Mapping[str, float], step: int) -> None:
        """As ``add_scalar``, which takes no description."""
        for name, value in metrics.items():
            split, _, metric = name.partition("/")
            is_by_epoch = split in _SPLITS and name not in BY_STEP
            writer, tag = (self._of(split), f"epoch/{metric}") if is_by_epoch else (self._logger.experiment, name)
            summary = scalar(tag, value)  # type: ignore[no-untyped-call]  # torch's own is not typed
            summary.value[0].metadata.summary_description = describe(name)
            writer._get_file_writer().add_summary(summary, step)

    def log_figure(self, name: str, figure: Figure, step: int) -> None:
        """Log a figure."""
        self._logger.experiment.add_figure(name, figure, step)

    def finish(self, settings: Mapping[str, Any], metrics: Mapping[str, float], step: int) -> None:
        """Write the row of the hyperparameters tab."""
        if metrics:
            self.log_points(metrics, step)
            for summary in hparams(dict(settings), dict(metrics)):  # type: ignore[no-untyped-call]  # torch's own
                _lead(summary)
                self._logger.experiment._get_file_writer().add_summary(summary)
        self._logger.finalize("success")
        self.close(failed=False)

    def close(self, *, failed: bool) -> None:
        """Write what is left for the folders of the splits."""
        for writer in self._of_splits.values():
            writer.close()
        self._of_splits.clear()

    def file_sizes(self) -> dict[str, int]:
        """The lengths of the event files by name, once they are flushed."""
        for writer in (self._logger.experiment, *self._of_splits.values()):
            writer.flush()
        return {name: path.stat().st_size for name, path in self._files().items()}

    def cut_back(self, sizes: Mapping[str, int]) -> None:
        """Truncate the event files to these lengths and remove others, before anything is appended."""
        for name, path in self._files().items():
            if name not in sizes:
                path.unlink()
            elif path.stat().st_size > sizes[name]:
                os.truncate(path, sizes[name])

    def _of(self, split: str) -> SummaryWriter:
        if split not in self._of_splits:
            self._of_splits[split] = SummaryWriter(Path(self._logger.log_dir, split))
        return self._of_splits[split]

    def _files(self) -> dict[str, Path]:
        root = Path(self._logger.log_dir)
        found = (path for pattern in (EVENTS, *SPLIT_EVENTS) for path in root.glob(pattern))
        return {path.relative_to(root).as_posix(): path for path in found}


def _lead(summary: Summary) -> None:
    """Mark columns of the hyperparameters tab as those in which runs differ, which TensorBoard shows first."""
    plugin = summary.value[0].metadata.plugin_data
    table = HParamsPluginData.FromString(plugin.content)
    for column in table.experiment.hparam_infos:
        column.differs = column.name in LEADING
    plugin.content = table.SerializeToString()


def adapt(logger: Logger) -> LoggerAdapter:
    """The adapter of a logger."""
    return TensorBoardAdapter(logger) if isinstance(logger, TensorBoardLogger) else LoggerAdapter(logger)


def describe(tag: str) -> str:
    """The meaning of ``val/psnr_y`` and its like, as TensorBoard shows it."""
    split, _, name = tag.partition("/")
    meaning = _MEANINGS.get(name, "")
    if name.startswith("error_band_"):
        number = int(name.removeprefix("error_band_")) - 1
        low, high = number / (2 * N_BANDS), (number + 1) / (2 * N_BANDS)
        meaning = f"Error over ground truth on Y in dB at {low:g} to {high:g} cycles per pixel; less is better."
    return (
        f"{meaning} On {_SPLITS[split]}, by {'step' if tag in BY_STEP else 'epoch'}." if split in _SPLITS else meaning
    )
