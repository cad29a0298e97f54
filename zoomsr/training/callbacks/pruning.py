"""A search's trial reports each epoch to Optuna, and ends early where other trials were better by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.runs.layout import STUDY_DB
from zoomsr.training.module import ZoomModule

STUDY = "zoomsr"


def storage(folder: Path) -> str:
    """The URL of the study in a search's folder."""
    return f"sqlite:///{folder.absolute() / STUDY_DB}"


class Pruned(Exception):  # noqa: N818  # not an error: a decision
    """The search has given this trial up."""


class Pruning(Callback):
    """Reports the monitored metric of every epoch to an Optuna study; only the first rank talks to its storage.

    Args:
        folder: of the search, which holds its study.
        trial: this job's number in it.
        monitor: what is reported.
        pruner: of optuna.
    """

    def __init__(self, folder: str, *, trial: int, monitor: str, pruner: Any) -> None:
        self._folder = Path(folder)
        self._number = trial
        self._monitor = monitor
        self._pruner = pruner
        self._trial: Any = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report, ask, and stop on all ranks alike; an epoch without a validation reports nothing.

        Raises:
            Pruned: the pruner stops the trial.
        """
        if isinstance(pl_module, ZoomModule) and self._monitor not in pl_module.logged:
            return
        is_pruned = False
        if trainer.is_global_zero:
            if self._trial is None:
                import optuna  # an extra, which only searches need

                study = optuna.load_study(study_name=STUDY, storage=storage(self._folder), pruner=self._pruner)
                self._trial = optuna.Trial(study, study.trials[self._number]._trial_id)
            self._trial.report(float(trainer.callback_metrics[self._monitor]), trainer.current_epoch)
            is_pruned = self._trial.should_prune()
        if trainer.strategy.broadcast(is_pruned):
            raise Pruned(f"trial {self._number} in epoch {trainer.current_epoch + 1}")
