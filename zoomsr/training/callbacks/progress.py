"""Progress: a bar on a terminal; in a log file a line for each epoch, and within a long one each minute."""

from __future__ import annotations

import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ProgressBar, RichProgressBar

from zoomsr.cli.progress import LINE_INTERVAL_S, time_left
from zoomsr.training.callbacks.results import epoch_metrics


class EpochLines(ProgressBar):
    """Prints ``epoch 3/10  train/mae 0.0123  val/mae 0.0131  val/psnr_y 34.10  12 s`` when an epoch ends.

    Within what takes longer than a minute, ``epoch 3/10  step 120 of 800, about 5 min left``; the time is that of the
    epoch's steps, or of the validation or the test.
    """

    def __init__(self) -> None:
        super().__init__()
        self._start = 0.0
        self._stage = ""
        self._begun = (0.0, 0)  # when its first batch of this process ended, and how many were done then
        self._last_line = 0.0

    def disable(self) -> None:
        """Lightning calls this on ranks above 0; there is no bar to disable."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """A minute from here, also to the first line of a validation or a test before which nothing was trained."""
        super().setup(trainer, pl_module, stage)
        self._last_line = time.perf_counter()

    def on_train_start(self, trainer: Trainer, *args: Any) -> None:
        """Start the clock, also where a resume begins within an epoch."""
        self._start = self._last_line = time.perf_counter()

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
            seconds, self._start, self._last_line = now - self._start, now, now
            print("  ".join([_epoch(trainer), *shown, f"{seconds:.0f} s", *_best(trainer)]), flush=True)

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """A line, when one is due."""
        self._advance(trainer, f"{_epoch(trainer)}  step", args, self.total_train_batches)

    def on_validation_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """A line, when one is due."""
        self.has_dataloader_changed(0)  # Lightning asks for it before it tells the total
        self._advance(trainer, f"{_epoch(trainer)}  validation", args, self.total_val_batches_current_dataloader)

    def on_test_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """A line, when one is due."""
        self.has_dataloader_changed(0)  # as above
        self._advance(trainer, "test", args, self.total_test_batches_current_dataloader)

    def _advance(self, trainer: Trainer, stage: str, args: tuple[Any, ...], total: float) -> None:
        _module, _outputs, _batch, number, *_ = args
        done, now = number + 1, time.perf_counter()
        if stage != self._stage or done <= self._begun[1]:
            self._stage, self._begun = stage, (now, done)
        if now < self._last_line + LINE_INTERVAL_S or not trainer.is_global_zero:
            return
        self._last_line = now
        start, before = self._begun
        left = time_left(done - before, total - before, now - start)
        print(f"{stage} {done} of {total:.0f}{left}", flush=True)


def _epoch(trainer: Trainer) -> str:
    last = f"/{trainer.max_epochs}" if trainer.max_epochs != -1 else ""  # time or steps end it
    return f"epoch {trainer.current_epoch + 1}{last}"


def _best(trainer: Trainer) -> list[str]:
    """``best`` where no epoch before was better; the best checkpoint itself is written after this line."""
    keeper = trainer.checkpoint_callback
    score = trainer.callback_metrics.get(getattr(keeper, "monitor", None) or "")
    if not isinstance(keeper, ModelCheckpoint) or score is None:
        return []
    best = keeper.best_model_score
    return ["best"] if best is None or (score < best if keeper.mode == "min" else score > best) else []


class EpochBar(RichProgressBar):
    """Lightning's bar with epochs from 1, the loss, and the last validation's PSNR on Y.

    Args:
        every_n_steps: how often the loss is read, which waits for the device.
    """

    def __init__(self, *, every_n_steps: int) -> None:
        super().__init__(leave=True)
        self._every_n_steps = every_n_steps
        self._loss: float | None = None

    def _get_train_description(self, current_epoch: int) -> str:
        last = self.trainer.max_epochs
        of = f"/{last}" if last is not None and last > 0 else ""  # steps or a time end it
        # As wide as Lightning's "Validation", so that bars below each other do not move.
        return f"{f'Epoch {current_epoch + 1}{of}':{len(self.validation_description)}}"

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Read the loss of the first and of every n-th step."""
        if isinstance(outputs, dict) and (self._loss is None or trainer.global_step % self._every_n_steps == 0):
            self._loss = float(outputs["loss"]) * trainer.accumulate_grad_batches  # the trainer has divided it
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """The loss, and the last validation's PSNR on Y in dB; no version number."""
        values = {"loss": (self._loss, ".4f"), "val/psnr_y": (trainer.callback_metrics.get("val/psnr_y"), ".2f")}
        return {name: f"{value:{form}}" for name, (value, form) in values.items() if value is not None}


def progress_bar(*, every_n_steps: int = 50) -> ProgressBar:
    """A bar on a terminal; lines where the output goes into a file, which cannot redraw."""
    return EpochBar(every_n_steps=every_n_steps) if sys.stdout.isatty() else EpochLines()
