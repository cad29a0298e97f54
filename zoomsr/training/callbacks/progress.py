"""Progress: a bar on a terminal, one plain line per epoch in a log file."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar, RichProgressBar

from zoomsr.training.callbacks.results import epoch_metrics


class EpochLines(ProgressBar):
    """Prints ``epoch 3/10  train/mae 0.0123  val/mae 0.0131  val/psnr_y 34.10  12 s`` when an epoch ends."""

    def __init__(self) -> None:
        super().__init__()
        self._start = 0.0

    def disable(self) -> None:
        """Lightning calls this on ranks above 0; there is no bar to disable."""

    def on_train_start(self, trainer: Trainer, *args: Any) -> None:
        """Start the clock, also where a resume begins within an epoch."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the epoch's line."""
        if trainer.is_global_zero:
            metrics = epoch_metrics(trainer, pl_module)
            shown = [
                f"{name} {metrics[name]:{form}}"
                for name, form in (("train/mae", ".4f"), ("val/mae", ".4f"), ("val/psnr_y", ".2f"))
                if name in metrics
            ]
            now = time.perf_counter()
            seconds, self._start = now - self._start, now
            last = f"/{trainer.max_epochs}" if trainer.max_epochs != -1 else ""  # time or steps end it
            epoch = f"epoch {trainer.current_epoch + 1}{last}"
            print("  ".join([epoch, *shown, f"{seconds:.0f} s", *_best(trainer)]), flush=True)


def _best(trainer: Trainer) -> list[str]:
    """``best`` where no epoch before was better; the best checkpoint itself is written after this line."""
    keeper = trainer.checkpoint_callback
    score = trainer.callback_metrics.get(getattr(keeper, "monitor", None) or "")
    if not isinstance(keeper, ModelCheckpoint) or score is None:
        return []
    best = keeper.best_model_score
    return ["best"] if best is None or (score < best if keeper.mode == "min" else score > best) else []


class EpochBar(RichProgressBar):
    """Lightning's bar without ``Epoch 3/-2``, which it shows where steps or a time end the training."""

    def _get_train_description(self, current_epoch: int) -> str:
        return super()._get_train_description(current_epoch).replace("/-2", "")


def progress_bar() -> ProgressBar:
    """A bar on a terminal; lines where the output goes into a file, which cannot redraw."""
    return EpochBar(leave=True) if sys.stdout.isatty() else EpochLines()
