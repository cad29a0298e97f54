"""A loss or a gradient that is no number stops the run at that step, with all that is needed to see why.

A training can also fall apart while every number stays finite: an epoch that makes the held-out error jump is said.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from zoomsr.cli.console import say
from zoomsr.data.datamodule import Batch, PairsDataModule
from zoomsr.pretrained.weights import write_tensors
from zoomsr.runs.files import short
from zoomsr.runs.layout import NONFINITE
from zoomsr.training.diagnosis import diagnose, first_wrong
from zoomsr.training.module import ZoomModule, ends_epoch

OnNonfinite = Literal["stop", "skip"]

JUMP = 2.0
"""Held-out MAE over the lowest so far. A good training does not go there; one in trouble may still recover."""


_LEAST_SCALE = 2.0**-10
"""Of float16's gradients, which begin with 2**16."""


class _Step(NamedTuple):
    """What one optimizer step rests on: its batches, losses and weights, and where it was."""

    batches: list[Batch]
    losses: list[Tensor]
    epoch: int
    number: int
    weights: list[Tensor] | None = None
    """Of the net, where the step may have been taken by the time it is judged; None for those that it has now."""


class Guard(Callback):
    """Looks at every loss and at the gradients of the biases before the optimizer takes its step.

    Gradients are the same on all ranks, so all ranks stop, or skip, at the same step. On a GPU the answer is read one
    step late, so that the device is never waited for: the net then has taken the bad step, so the weights before it are
    kept, to find the layer. ``skip`` has to wait.

    Args:
        run_dir: where the batch is kept.
        on_nonfinite: ``skip`` leaves the step out, and counts it in ``train/skipped``.
    """

    def __init__(self, run_dir: str, *, on_nonfinite: OnNonfinite = "stop") -> None:
        if on_nonfinite not in ("stop", "skip"):
            raise ValueError(f"callbacks.guard.on_nonfinite={on_nonfinite} must be stop or skip")
        self._run_dir = Path(run_dir)
        self._skips = on_nonfinite == "skip"
        self._skipped = 0
        self._lowest = math.inf
        self._batches: list[Batch] = []
        self._losses: list[Tensor] = []
        self._earlier: tuple[_Answer, _Step] | None = None
        self._weights: list[Tensor] = []  # before the earlier step, in memory that is used again

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Keep the batch until its step is known to be good."""
        self._batches.append(batch)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep its loss."""
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Judge the step.

        Raises:
            ValueError: what went wrong and where, in one line.
        """
        step = _Step(self._batches, self._losses, trainer.current_epoch, trainer.global_step + 1)
        self._batches, self._losses = [], []
        answer = _Answer(_sum(step.losses, optimizer, scaled=_scaler(trainer) is not None))
        if self._skips:
            if not answer.read():
                optimizer.zero_grad(set_to_none=True)  # a parameter without a gradient is left alone
                self._skipped += 1
        elif answer.is_here:
            self._judge(answer, step, trainer, pl_module)
        else:
            self._judge_earlier(trainer, pl_module)
            self._earlier = answer, step._replace(weights=self._kept(list(pl_module.parameters())))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """After the epoch's last step: judge it, and log what was left out so far."""
        if ends_epoch(trainer):
            self._judge_earlier(trainer, pl_module)
            _require_scale(trainer)
            if self._skips:
                pl_module.log("train/skipped", float(self._skipped), logger=False, sync_dist=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the held-out error with the lowest so far."""
        mae = trainer.callback_metrics.get("val/mae")
        if mae is None or trainer.sanity_checking:
            return
        now, lowest = float(mae), self._lowest
        self._lowest = min(lowest, now)
        if now > JUMP * lowest and trainer.is_global_zero:
            advice = "lower optimizer.lr or set trainer.gradient_clip_val=0.1, from ckpt=RUN ckpt_mode=weights"
            say({"worse": f"val/mae {now:.4f} after epoch {trainer.current_epoch + 1}, once {lowest:.4f}: {advice}"})

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Judge the last step before anything is written: what a bad one has left is not worth keeping."""
        self._judge_earlier(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The count and the lowest error, so that a resumed run goes on from them."""
        return {"skipped": self._skipped, "lowest": self._lowest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See ``state_dict``."""
        self._skipped = state_dict["skipped"]
        self._lowest = state_dict.get("lowest", math.inf)  # not in the checkpoints of older versions

    def _judge_earlier(self, trainer: Trainer, module: LightningModule) -> None:
        if self._earlier is not None:
            answer, step = self._earlier
            self._earlier = None
            self._judge(answer, step, trainer, module)

    def _judge(self, answer: _Answer, step: _Step, trainer: Trainer, module: LightningModule) -> None:
        if answer.read() or not isinstance(module, ZoomModule):
            return
        if step.weights is not None:
            with torch.no_grad():
                torch._foreach_copy_(list(module.parameters()), step.weights)
        number = next((n for n, loss in enumerate(step.losses) if not torch.isfinite(loss)), len(step.losses) - 1)
        batch, loss = step.batches[number], step.losses[number]
        with trainer.precision_plugin.forward_context():
            found = diagnose(module.net, module.loss, lr=batch["lr"], hr=batch["hr"])
        file = self._keep(batch, step, module) if trainer.is_global_zero else self._run_dir
        place = first_wrong(found)
        cause = f"the first value that is no number comes out of {place}" if place else "it arises in the gradients"
        raise ValueError(
            f"{type(module.loss).__name__} is {float(loss):g} at step {step.number}, epoch {step.epoch + 1}: {cause}; "
            f"patches: {_patches(trainer, batch, step.epoch)}; lr, hr and the weights are kept in {short(file)}; "
            "lower optimizer.lr, set trainer.gradient_clip_val=0.5, "
            "or leave such batches out with callbacks.guard.on_nonfinite=skip"
        )

    @torch.no_grad()
    def _kept(self, weights: list[Tensor]) -> list[Tensor]:
        """Copies: of a U-Net's weights they take a GPU some microseconds."""
        if not self._weights:
            self._weights = [torch.empty_like(weight) for weight in weights]
        torch._foreach_copy_(self._weights, weights)
        return self._weights

    def _keep(self, batch: Batch, step: _Step, module: ZoomModule) -> Path:
        """Tensors alone: lr, hr, index, and the weights as ``net.NAME``."""
        path = self._run_dir / NONFINITE.format(step=step.number)
        weights = {f"net.{key}": value for key, value in module.net.state_dict().items()}
        write_tensors(path, {"lr": batch["lr"], "hr": batch["hr"], "index": batch["index"], **weights}, header={})
        return path


class _Answer:
    """Whether a number of the device is finite, fetched without waiting for it."""

    def __init__(self, number: Tensor) -> None:
        self.is_here = number.device.type == "cpu"
        self._number = number
        if number.device.type == "cuda":
            self._number = torch.empty_like(number, device="cpu", pin_memory=True).copy_(number, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch does not type it
            self._copied.record()

    def read(self) -> bool:
        """Wait for it where it is still on its way."""
        if not self.is_here and self._number.device.type == "cpu":
            self._copied.synchronize()
        return math.isfinite(self._number)


def _sum(losses: list[Tensor], optimizer: Optimizer, *, scaled: bool) -> Tensor:
    """Of all that must be finite, which a sum of it then is; gradients that float16's scaler handles are left out."""
    values = list(losses)
    if not scaled:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        # What goes wrong on the way back reaches the biases of all layers before it. Weights are a thousand times as
        # many: to look at these too would cost a U-Net on a CPU a twentieth of its step.
        biases = [gradient for gradient in gradients if gradient.ndim == 1]
        values += biases or gradients
    return torch.cat([value.flatten() for value in values]).sum(dtype=torch.float32)


def _scaler(trainer: Trainer) -> torch.amp.GradScaler | None:
    return getattr(trainer.precision_plugin, "scaler", None)


def _require_scale(trainer: Trainer) -> None:
    """A scaler halves its factor and leaves the step out where float16 gradients are not finite: perhaps always.

    Raises:
        ValueError: so the training stands still.
    """
    scaler = _scaler(trainer)
    if scaler is not None and scaler.get_scale() < _LEAST_SCALE:
        advice = "take trainer.precision=bf16-mixed, or lower optimizer.lr"
        raise ValueError(
            f"float16 gradients are not finite at any scale in epoch {trainer.current_epoch + 1}: {advice}"
        )


def _patches(trainer: Trainer, batch: Batch, epoch: int, *, shown: int = 4) -> str:
    """``lena.png at (48, 96) turned 3`` for the first of them."""
    data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
    if not isinstance(data, PairsDataModule):
        return ", ".join(batch["name"][:shown])
    places = [data.place(epoch, number) for number in batch["index"].tolist()]
    named = [f"{place.name} at ({place.left}, {place.top}) turned {place.turn}" for place in places[:shown]]
    return ", ".join(named) + (f" and {len(places) - shown} more" if len(places) > shown else "")
