"""What ends a training before its last epoch: optimizer steps, Lightning's ``max_time``, a time budget."""

from __future__ import annotations

import re
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer

_RANKS_AGREE_EVERY = 10  # steps


def ranks_may_agree(trainer: Trainer) -> bool:
    """Whether a decision may be shared now: with several ranks it costs a message and a wait for the device."""
    return trainer.world_size == 1 or trainer.global_step % _RANKS_AGREE_EVERY == 0


class StepLimit(Callback):
    """Stops the training as Lightning's ``Timer`` does: the epoch that is cut short is validated and recorded.

    ``Trainer(max_steps=)`` skips that validation, and after a resume from the end of an epoch it counts epochs and
    draws patches differently.

    Args:
        steps: of the optimizer, over all epochs.

    Raises:
        ValueError: a negative number.
    """

    def __init__(self, steps: int) -> None:
        if steps < 0:
            raise ValueError(f"trainer.max_steps={steps} must be at least 0, or -1 for no limit")
        self._steps = steps

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop at once where the limit is 0."""
        self._stop(trainer, 0)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Stop where the resumed run has taken all steps; the trainer restores its own count later."""
        self._stop(trainer, checkpoint["global_step"])

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Before the callbacks that ask whether the epoch ends here."""
        self._stop(trainer, trainer.global_step)

    def _stop(self, trainer: Trainer, taken: int) -> None:
        if taken >= self._steps:
            trainer.should_stop = True


class TimeLimit(Timer):
    """Lightning's ``Timer``, whose ranks agree every tenth step instead of every step."""

    @property
    def state_key(self) -> str:
        """As in the checkpoints of earlier versions."""
        return Timer.__qualname__

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop when the time is over."""
        if ranks_may_agree(trainer):
            super().on_train_batch_end(trainer, *args, **kwargs)


class Budget(Callback):
    """Measures the share of the training's time that is used, and stops the training at 1.

    The time runs from the first step over all resumes, with validations and without the test. Work since the last
    checkpoint that a kill has lost is not counted.

    Args:
        text: such as ``2h``, ``90m`` or ``1h30m``.

    Attributes:
        share: of the time, on [0, 1], the same on all ranks.
        seconds: the whole of it.

    Raises:
        ValueError: not a time.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.share = 0.0
        self.seconds = _seconds(text)
        self._used = 0.0  # before this process
        self._started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Before the callbacks that ask whether the epoch ends here."""
        if ranks_may_agree(trainer):
            # The first rank's clock for all: learning rates that differ would give weights that differ.
            self.share = trainer.strategy.broadcast(min(1.0, self._now() / self.seconds))
            trainer.should_stop |= self.share >= 1

    def state_dict(self) -> dict[str, Any]:
        """The seconds used, and the limit."""
        return {"used": self._now(), "seconds": self.seconds}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Continue with the time that is left.

        Raises:
            ValueError: none is left and more is wanted: the learning rate is annealed already.
        """
        state = checkpoint["callbacks"].get(self.state_key)
        if state is None:  # it had no budget
            return
        self._used = state["used"]
        self.share = min(1.0, self._used / self.seconds)
        if state["used"] >= state["seconds"] and self.share < 1:
            raise ValueError(
                f"budget={self.text}: this training has used up the {state['seconds']:.0f} s that it had, and its "
                "learning rate is annealed: ckpt_mode=weights starts a new one from its weights"
            )
        trainer.should_stop |= self.share >= 1

    def _now(self) -> float:
        return self._used + (time.monotonic() - self._started if self._started else 0.0)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if not (total := 3600 * hours + 60 * minutes + seconds):
        raise ValueError(f"budget={text} must be a time such as 2h, 90m, 1h30m or 45s")
    return total
