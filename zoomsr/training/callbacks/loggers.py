"""The loggers of a run together: each gets every point, figure and setting once, also after a resume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.figures import Figure
from zoomsr.training.callbacks.results import trained_epochs
from zoomsr.training.logger_adapters import LoggerAdapter, TensorBoardAdapter, adapt
from zoomsr.training.loggers import read_state, update_state

_LOGGED = "logged"


class Loggers(Callback):
    """Passes points, figures and settings on to all loggers of the trainer; only the first rank has any.

    A run that was killed resumes from its last checkpoint, and repeats the steps after it. TensorBoard's files are
    truncated to the checkpoint; from any other logger nothing can be taken back, so it does not get what was logged
    before: the optimizer step of every name's last point is kept in the run's directory.

    Args:
        run_dir: the run's directory.
        settings: the hyper-parameters to log.
    """

    def __init__(self, run_dir: Path, settings: Mapping[str, Any]) -> None:
        self._run_dir = run_dir
        self._settings = dict(settings)
        self._trainer: Trainer | None = None
        self._adapters: list[LoggerAdapter] = []
        self._logged: dict[str, int] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Log the settings, before anything is trained or tested."""
        if self._trainer is None and trainer.is_global_zero:
            self._trainer = trainer
            self._adapters = [adapt(logger) for logger in trainer.loggers]
            self._logged = read_state(self._run_dir).get(_LOGGED, {})
            for adapter in self._adapters:
                adapter.start(self._settings)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Lay out TensorBoard's charts."""
        for board in self._boards():
            board.lay_out()

    @property
    def takes_figures(self) -> bool:
        """Whether any logger does."""
        return any(adapter.takes_figures for adapter in self._adapters)

    def log_points(self, metrics: Mapping[str, float], step: int) -> None:
        """Log a point of each metric at ``step``: an epoch, or an optimizer step."""
        new = self._new(metrics)
        for adapter in self._adapters:
            if points := {name: metrics[name] for name in (metrics if adapter.rewinds else new)}:
                adapter.log_points(points, step)

    def log_figure(self, name: str, figure: Figure, step: int) -> None:
        """Log a figure wherever pictures are taken."""
        new = self._new([name])
        for adapter in self._adapters:
            if new or adapter.rewinds:
                adapter.log_figure(name, figure, step)

    def finish(self) -> None:
        """After the test: log its means, and end the loggers."""
        if self._trainer is None:
            return
        epochs, scores = trained_epochs(self._trainer), self._trainer.callback_metrics
        metrics = {name: float(value) for name, value in scores.items() if name.startswith("test/")}
        new = self._new(metrics)
        for adapter in self._adapters:
            points = {name: metrics[name] for name in (metrics if adapter.rewinds else new)}
            adapter.finish({**self._settings, "epochs": epochs}, points, epochs)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """End the loggers of a run that is stopped or fails."""
        for adapter in self._adapters:
            adapter.close(failed=True)

    def event_sizes(self) -> dict[str, int]:
        """The lengths of TensorBoard's files, for a checkpoint."""
        return {name: size for board in self._boards() for name, size in board.file_sizes().items()}

    def cut_back(self, sizes: Mapping[str, int]) -> None:
        """Truncate TensorBoard's files to a checkpoint's lengths."""
        for board in self._boards():
            board.cut_back(sizes)

    def _boards(self) -> list[TensorBoardAdapter]:
        return [adapter for adapter in self._adapters if isinstance(adapter, TensorBoardAdapter)]

    def _new(self, names: Iterable[str]) -> list[str]:
        """The names that were not logged at this optimizer step or a later one, by this process or one before it."""
        if self._trainer is None or all(adapter.rewinds for adapter in self._adapters):
            return []
        step = self._trainer.global_step
        new = [name for name in names if self._logged.get(name, -1) < step]
        if new:
            self._logged |= dict.fromkeys(new, step)
            # First: a kill in between costs a point, where it would double it.
            update_state(self._run_dir, **{_LOGGED: self._logged})
        return new


def loggers_of(trainer: Trainer) -> Loggers | None:
    """The run's loggers; None without any and on ranks above 0."""
    if not trainer.is_global_zero or not trainer.loggers:
        return None
    callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]  # Lightning sets it at run time
    return next((one for one in callbacks if isinstance(one, Loggers)), None)
