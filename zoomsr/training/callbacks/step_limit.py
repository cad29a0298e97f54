"""A number of optimizer steps, or a time, after which a training is stopped."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Timer

_RANKS_AGREE_EVERY = 10  # steps


def ranks_may_agree(trainer: Trainer) -> bool:
    """Whether it is time to: with several ranks that costs a message, and a wait for the device."""
    return trainer.world_size == 1 or trainer.global_step % _RANKS_AGREE_EVERY == 0


class StepLimit(Callback):
    """Stops the training as Lightning's ``Timer`` does: the epoch that is cut short is validated and recorded.

    Instead of ``Trainer(max_steps=)``, with which Lightning leaves that validation out, and counts epochs and draws
    patches otherwise once a run is resumed from the end of an epoch.

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
        """None at all, perhaps."""
        self._stop(trainer, 0)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """A resumed run may have taken them already; the trainer itself counts them later than this."""
        self._stop(trainer, checkpoint["global_step"])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Before the callbacks that ask whether the epoch ends here."""
        self._stop(trainer, trainer.global_step)

    def _stop(self, trainer: Trainer, taken: int) -> None:
        if taken >= self._steps:
            trainer.should_stop = True


class TimeLimit(Timer):
    """Lightning's ``Timer``, which lets several ranks agree after every step; here they do so every tenth."""

    @property
    def state_key(self) -> str:
        """As in the checkpoints of earlier versions."""
        return Timer.__qualname__

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        """Stop where the time is over."""
        if ranks_may_agree(trainer):
            super().on_train_batch_end(trainer, *args, **kwargs)
