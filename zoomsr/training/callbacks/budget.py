"""A time after which a training ends, its learning rate annealed by then, whatever the machine."""

from __future__ import annotations

import re
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.training.callbacks.step_limit import ranks_may_agree


class Budget(Callback):
    """Measures how much of a training's time is used up, and stops the training when all of it is.

    The time is that from the first step on, validations included, testing excluded, over all resumes. What was done
    since the last checkpoint before a kill is done again, and its time is not counted twice.

    Args:
        text: such as ``2h``, ``90m`` or ``1h30m``.

    Raises:
        ValueError: no such time.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.share = 0.0
        """Of the time that is used up, the same on all ranks; 1 at the end."""
        self._seconds = _seconds(text)
        self._used = 0.0  # before this process
        self._started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The clock runs from here."""
        self._started = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Before the callbacks that ask whether the epoch ends here."""
        if not ranks_may_agree(trainer):
            return
        share = min(1.0, self._now() / self._seconds)
        # One clock for all: ranks with learning rates of their own would end with weights of their own.
        self.share = trainer.strategy.broadcast(share) if trainer.world_size > 1 else share
        if self.share >= 1:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"used": self._now(), "seconds": self._seconds}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with the time that was left.

        Raises:
            ValueError: nothing was, and more is wanted: the learning rate has come down already.
        """
        state = checkpoint["callbacks"].get(self.state_key)
        if state is None:  # it had no budget
            return
        self._used = state["used"]
        self.share = min(1.0, self._used / self._seconds)
        if state["used"] >= state["seconds"] and self.share < 1:
            raise ValueError(
                f"budget={self.text}: this training has used up the {state['seconds']:.0f} s that it had, and its "
                "learning rate is annealed: ckpt_mode=weights starts a new one from its weights"
            )
        if self.share >= 1:
            trainer.should_stop = True

    def _now(self) -> float:
        return self._used + (time.monotonic() - self._started if self._started else 0.0)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    if not (total := 3600 * hours + 60 * minutes + seconds):
        raise ValueError(f"budget={text} must be a time such as 2h, 90m, 1h30m or 45s")
    return total
