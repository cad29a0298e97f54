"""A NaN or Inf in a loss or gradient stops the run at that step; a jump of the validation error is reported."""

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
"""Validation MAE over the lowest so far that is reported."""

_MIN_SCALE = 2.0**-10
"""Of the loss in float16, which begins with 2**16."""


class _Step(NamedTuple):
    """An optimizer step: its batches, their losses, epoch, number, share of the training, and the weights before it.

    The weights are None where the step has not been taken when it is judged.
    """

    batches: list[Batch]
    losses: list[Tensor]
    epoch: int
    number: int
    progress: float
    weights: list[Tensor] | None = None


class Guard(Callback):
    """Checks every loss and the gradients of the biases before the optimizer's step.

    Gradients are the same on all ranks, so all ranks stop, or skip, at the same step. On a GPU the result is read one
    step later, which waits for nothing; the net has then taken the bad step, so the weights before it are kept.
    ``skip`` has to wait for the device.

    Args:
        run_dir: where the batch and the weights are saved.
        on_nonfinite: ``skip`` omits the step and counts it in ``train/skipped``.
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
        self._pending: tuple[_Finite, _Step] | None = None
        self._weights: list[Tensor] = []  # before the pending step, in memory that is reused

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Keep the batch until its step is judged."""
        self._batches.append(batch)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Keep its loss."""
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Judge the step.

        Raises:
            ValueError: what is NaN or Inf and where, in one line.
        """
        progress = pl_module.progress() if isinstance(pl_module, ZoomModule) else 0.0
        step = _Step(self._batches, self._losses, trainer.current_epoch, trainer.global_step + 1, progress)
        self._batches, self._losses = [], []
        is_finite = _Finite(_sum(step.losses, optimizer, scaled=_scaler(trainer) is not None))
        if self._skips:
            if not is_finite.read():
                optimizer.zero_grad(set_to_none=True)  # a parameter without a gradient is not updated
                self._skipped += 1
        elif is_finite.is_here:
            self._judge(is_finite, step, trainer, pl_module)
        else:
            self._judge_pending(trainer, pl_module)
            self._pending = is_finite, step._replace(weights=self._copied(list(pl_module.parameters())))

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        """Judge the epoch's last step, and log the number of skipped ones.

        Raises:
            ValueError: a NaN or Inf, or float16's scaler has skipped every step of late.
        """
        if ends_epoch(trainer):
            self._judge_pending(trainer, pl_module)
            scaler = _scaler(trainer)  # which halves its scale and skips the step where gradients are not finite
            if scaler is not None and scaler.get_scale() < _MIN_SCALE:
                raise ValueError(
                    f"float16 gradients are not finite at any scale in epoch {trainer.current_epoch + 1}: "
                    "take trainer.precision=bf16-mixed, or lower optimizer.lr"
                )
            if self._skips:
                pl_module.log("train/skipped", float(self._skipped), logger=False, sync_dist=False)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare the validation error with the lowest so far."""
        mae = trainer.callback_metrics.get("val/mae")
        if mae is None or trainer.sanity_checking:
            return
        now, lowest = float(mae), self._lowest
        self._lowest = min(lowest, now)
        if now > JUMP * lowest and trainer.is_global_zero:
            advice = "lower optimizer.lr or set trainer.gradient_clip_val=0.1, from ckpt=RUN ckpt_mode=weights"
            say({"worse": f"val/mae {now:.4f} after epoch {trainer.current_epoch + 1}, once {lowest:.4f}: {advice}"})

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Judge the last step, so that no weights after a bad one are saved."""
        self._judge_pending(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        """The count of skipped steps and the lowest error."""
        return {"skipped": self._skipped, "lowest": self._lowest}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See ``state_dict``."""
        self._skipped = state_dict["skipped"]
        self._lowest = state_dict.get("lowest", math.inf)  # not in the checkpoints of older versions

    def _judge_pending(self, trainer: Trainer, module: LightningModule) -> None:
        if self._pending is not None:
            (is_finite, step), self._pending = self._pending, None
            self._judge(is_finite, step, trainer, module)

    def _judge(self, is_finite: _Finite, step: _Step, trainer: Trainer, module: LightningModule) -> None:
        if is_finite.read() or not isinstance(module, ZoomModule):
            return
        if step.weights is not None:
            with torch.no_grad():
                torch._foreach_copy_(list(module.parameters()), step.weights)
        number = next((n for n, loss in enumerate(step.losses) if not torch.isfinite(loss)), len(step.losses) - 1)
        batch, loss = step.batches[number], step.losses[number]
        quality = batch.get("quality")
        with trainer.precision_plugin.forward_context():
            lr, hr = module.target(batch, step.progress)
            found = diagnose(module.net, module.loss, lr=lr, hr=hr, quality=quality)
        file = self._run_dir / NONFINITE.format(step=step.number)
        if trainer.is_global_zero:
            weights = {f"net.{key}": value for key, value in module.net.state_dict().items()}
            kept = {"lr": lr, "hr": hr, "index": batch["index"], **({} if quality is None else {"quality": quality})}
            write_tensors(file, {**kept, **weights}, header={})
        place = first_wrong(found)
        cause = f"the first NaN or Inf comes out of {place}" if place else "it arises in the gradients"
        raise ValueError(
            f"{type(module.loss).__name__} is {float(loss):g} at step {step.number}, epoch {step.epoch + 1}: {cause}; "
            f"patches: {_patches(trainer, batch, step.epoch)}; lr, hr and the weights are kept in {short(file)}; "
            "lower optimizer.lr, set trainer.gradient_clip_val=0.5, "
            "or skip such batches with callbacks.guard.on_nonfinite=skip"
        )

    @torch.no_grad()
    def _copied(self, weights: list[Tensor]) -> list[Tensor]:
        """Copies on the device, which take some microseconds for a U-Net."""
        if not self._weights:
            self._weights = [torch.empty_like(weight) for weight in weights]
        torch._foreach_copy_(self._weights, weights)
        return self._weights


class _Finite:
    """Whether a scalar on the device is finite, fetched without waiting for it.

    Attributes:
        is_here: whether ``read`` need not wait.
    """

    def __init__(self, scalar: Tensor) -> None:
        self.is_here = scalar.device.type == "cpu"
        self._scalar = scalar
        if scalar.device.type == "cuda":
            self._scalar = torch.empty_like(scalar, device="cpu", pin_memory=True).copy_(scalar, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]  # torch does not type it
            self._copied.record()

    def read(self) -> bool:
        """Wait for the copy where it is still on its way."""
        if not self.is_here and self._scalar.device.type == "cpu":
            self._copied.synchronize()
        return math.isfinite(self._scalar)


def _sum(losses: list[Tensor], optimizer: Optimizer, *, scaled: bool) -> Tensor:
    """The sum of losses and bias gradients: finite only if they are. float16's scaler checks gradients itself."""
    values = list(losses)
    if not scaled:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        # A NaN in the backward pass reaches the biases of all earlier layers. Weights are a thousand times as many:
        # checking them would cost a U-Net on a CPU a twentieth of its step.
        biases = [gradient for gradient in gradients if gradient.ndim == 1]
        values += biases or gradients
    return torch.cat([value.flatten() for value in values]).sum(dtype=torch.float32)


def _scaler(trainer: Trainer) -> torch.amp.GradScaler | None:
    return getattr(trainer.precision_plugin, "scaler", None)


def _patches(trainer: Trainer, batch: Batch, epoch: int, *, shown: int = 4) -> str:
    """``lena.png at (48, 96) augmentation 3`` for the first of them."""
    data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
    if not isinstance(data, PairsDataModule):
        return ", ".join(batch["name"][:shown])
    specs = [data.spec(epoch, number) for number in batch["index"].tolist()]
    named = [f"{spec.name} at ({spec.left}, {spec.top}) augmentation {spec.augmentation}" for spec in specs[:shown]]
    return ", ".join(named) + (f" and {len(specs) - shown} more" if len(specs) > shown else "")
