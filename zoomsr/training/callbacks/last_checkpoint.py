"""``last.ckpt``: what a run resumes from, written after every epoch, at intervals, and on signals."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from zoomsr.runs.job import stop_signals
from zoomsr.runs.layout import LAST_CKPT
from zoomsr.training.callbacks.limits import ranks_may_agree
from zoomsr.training.module import ends_epoch


class Stopped(Exception):  # noqa: N818  # not an error: it has done what it was told
    """The run has received a signal to stop and has saved its state.

    Attributes:
        signal: the signal's number.
        path: the checkpoint.
    """

    def __init__(self, number: int, path: Path) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number
        self.path = path


class LastCheckpoint(Checkpoint):
    """Writes ``last.ckpt`` after every epoch, every so many minutes, and on ``zoomsr.runs.job.stop_signals``.

    It is written between two optimizer steps, so that no step is lost or repeated. A second signal stops at once.

    Args:
        dirpath: the folder of the run's checkpoints.
        minutes: how much of an epoch a power cut may cost; None to write after epochs only.
    """

    def __init__(self, dirpath: str, *, minutes: float | None = 15) -> None:
        self._path = Path(dirpath) / LAST_CKPT
        self._seconds = None if minutes is None else 60 * minutes
        self._saved_at = 0.0
        self._signal: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals; the trainer restores the handlers when it ends."""
        self._saved_at = time.monotonic()
        # With several ranks Lightning would ask the device before every step whether a rank was told to stop.
        trainer.fit_loop.epoch_loop._broadcast_sigterm_tensor = lambda: None  # type: ignore[method-assign]
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                signal.signal(number, self._note)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save within an epoch where it is due."""
        between_steps = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if ends_epoch(trainer) or not between_steps or not ranks_may_agree(trainer):
            return
        across_epochs = trainer.check_val_every_n_epoch is None
        batches, every = 1 + (trainer.fit_loop.total_batch_idx if across_epochs else batch_idx), trainer.val_check_batch
        if every is not None and every > 1 and batches % every == 0:
            return  # a validation comes first; a resume from here would omit it
        is_due = self._seconds is not None and time.monotonic() - self._saved_at >= self._seconds
        is_stopping = self._any_rank(trainer, self._signal is not None)
        if is_stopping or self._any_rank(trainer, is_due):
            self._save(trainer)
        if is_stopping:
            raise Stopped(self._signal or signal.SIGTERM, self._path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after the epoch's validation, and after all other callbacks."""
        self._save(trainer)
        if self._any_rank(trainer, self._signal is not None):
            raise Stopped(self._signal or signal.SIGTERM, self._path)

    def _save(self, trainer: Trainer) -> None:
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]  # set at run time; it keeps no checkpoint
            trainer.save_checkpoint(self._path)
        self._saved_at = time.monotonic()

    def _any_rank(self, trainer: Trainer, decision: bool) -> bool:
        return trainer.strategy.reduce_boolean_decision(decision, all=False) if trainer.world_size > 1 else decision

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
