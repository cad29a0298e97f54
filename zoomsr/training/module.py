"""The one LightningModule: any net, any loss, any optimizer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zoomsr.data.datamodule import Batch
from zoomsr.hardware.devices import full_float32, fuse
from zoomsr.metrics.collection import ByImage, ImageScores
from zoomsr.metrics.protocol import MODERN, MetricProtocol
from zoomsr.metrics.quality import METRICS, ImageScore, mean_score, measure, scoring_device
from zoomsr.models import scale_of, told
from zoomsr.models.bicubic import Bicubic
from zoomsr.training.targets import Target, ground_truth

Split = Literal["train", "val", "test"]

_TIME_STEPS = 10_000
"""Steps of a schedule that follows the clock."""


class ZoomModule(LightningModule):
    """Trains a net to map lr to hr, and measures it beside bicubic on the same images.

    Logged per epoch: the metrics of ``zoomsr.metrics`` under ``train/``, ``val/`` and ``test/``, the losses, the
    learning rate, and ``val/mae_gap``, validation MAE minus training MAE, which grows when a net overfits.

    Args:
        net: an ``nn.Module`` with the contract of ``zoomsr.models.Net``.
        loss: (sr, hr) to a scalar.
        optimizer: makes the optimizer from the parameters.
        schedule: makes the scheduler from the optimizer and the total number of steps (see ``training.schedules``).
        protocol: how train (on its patches), val and test are measured.
        max_steps: optimizer steps after which the training is stopped; None where the last epoch ends it.
        clock: the share of the training's time that is used, on [0, 1]; None for a schedule that follows the steps.
        target: the pair that a step learns from; metrics always compare with hr.
        train_metrics_batches: how many batches of an epoch, at most about, are measured for the training metrics,
            because SSIM costs as much as a small net's step.

    Attributes:
        logged: names logged in this epoch; Lightning's ``callback_metrics`` keep the values of earlier epochs.
        target: see above.
        test_scores: after a test, the scores of ``net`` and ``bicubic`` by image index.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        loss: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Callable[[Optimizer, int], LRScheduler],
        protocol: MetricProtocol = MODERN,
        max_steps: int | None = None,
        clock: Callable[[], float] | None = None,
        target: Target = ground_truth,
        train_metrics_batches: int = 32,
    ) -> None:
        super().__init__()
        self.net = net
        self.loss = loss
        self.protocol = protocol
        self.test_scores: dict[str, dict[int, ImageScore]] = {}
        self.logged: set[str] = set()
        self._is_closed = False
        self._train_mae: float | None = None
        self._losses: list[Tensor] = []  # of the epoch, each left on the device
        self._optimizer = optimizer
        self._schedule = schedule
        self._max_steps = math.inf if max_steps is None else max_steps
        self._clock = clock
        self.target = target
        self._total_steps = 0
        self.train_metrics_batches = train_metrics_batches
        scale = scale_of(net)
        self._bicubic = Bicubic(scale)
        self._val_loss, self._train_metric = ByImage(), ByImage()
        self._val_metric, self._test_metric, self._bicubic_metric = (
            ImageScores(protocol=protocol, border=scale) for _ in range(3)
        )

    def forward(self, lr: Tensor, quality: Tensor | None = None) -> Tensor:
        """Enlarge lr.

        Args:
            lr: (N, C, H, W).
            quality: the JPEG quality of each, (N,) on the CPU, for nets that take it; None for never compressed.

        Returns:
            (N, C, scale H, scale W), not clamped.
        """
        inputs = (lr, *told(self.net, quality, lr=lr))
        if self.training:
            sr: Tensor = self.net(*inputs)
            return sr
        # Validation images have many sizes: torch.compile would recompile, and cuDNN search anew, for each.
        searches, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, False
        try:
            with torch.compiler.set_stance("force_eager"):
                return self.net(*inputs)  # type: ignore[no-any-return]  # a module may return anything
        finally:
            torch.backends.cudnn.benchmark = searches

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        lr, hr = self.target(batch, self.progress())
        sr = self(lr, batch.get("quality"))
        loss: Tensor = self.loss(sr, hr)
        self._losses.append(loss.detach())
        if batch_idx % max(1, self._epoch_batches(batch_idx) // self.train_metrics_batches) == 0:
            rows = measure(sr.detach(), batch["hr"], protocol=self.protocol, border=scale_of(self.net))
            self._train_metric.update(batch["index"], rows)
        return loss

    # Lightning inspects it in every step; here it is computed once.
    training_step.__signature__ = inspect.signature(training_step)  # type: ignore[attr-defined]

    @full_float32()
    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure validation images in full float32: TF32 would change PSNR by 0.01 dB."""
        sr = self(batch["lr"], batch.get("quality"))
        losses = [self.loss(one[None], hr[None]) for one, hr in zip(sr, batch["hr"], strict=True)]
        self._val_loss.update(batch["index"], torch.stack(losses)[:, None])
        self._val_metric.update(sr, batch["hr"], batch["index"])

    @full_float32()
    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Measure whole validation images, upscaled by the net and by bicubic; returns sr for callbacks."""
        sr: Tensor = self(batch["lr"], batch.get("quality"))
        self._test_metric.update(sr, batch["hr"], batch["index"])
        self._bicubic_metric.update(self._bicubic(batch["lr"]), batch["hr"], batch["index"])
        return sr

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer over the net's parameters, its schedule stepped after every optimizer step."""
        optimizer = self._optimizer(self.net.parameters())
        fuse(optimizer)
        if self._clock is not None:
            steps: float = _TIME_STEPS
        else:
            steps = min(self.trainer.estimated_stepping_batches, self._max_steps)
        if math.isinf(steps):
            raise ValueError("a schedule needs an end: set trainer.max_epochs, trainer.max_steps or budget")
        self._total_steps = int(steps)
        schedule = self._schedule(optimizer, self._total_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def progress(self) -> float:
        """The share of the training that is done, on [0, 1], as its schedule counts it: by steps, or by the clock."""
        if self._clock is not None:
            return self._clock()
        return min(1.0, self.trainer.global_step / max(1, self._total_steps))

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """One step; with a clock, as many as the time that has passed."""
        if self._clock is None:
            scheduler.step()
            return
        while scheduler.last_epoch < int(self._clock() * _TIME_STEPS):
            scheduler.step()

    def on_train_epoch_start(self) -> None:
        """Start the epoch's means."""
        self._is_closed, self._train_mae, self._losses = False, None, []

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Close the epoch's training metrics before validation, so that one row holds both."""
        trainer = self.trainer
        if not ends_epoch(trainer):
            return
        self.close_epoch()
        # Validate the last weights too, which may be the best.
        if trainer.should_stop:
            trainer.check_val_every_n_epoch = 1  # stopped by steps or time, in an epoch without a validation
        elif trainer.current_epoch + 1 == trainer.max_epochs:
            trainer.val_check_batch = 1  # val_check_interval may not divide the epoch

    def close_epoch(self) -> None:
        """Log the training means of the epoch, once; a mean over nothing is omitted."""
        if self._is_closed:
            return
        self._is_closed = True
        scores = self._train_scores()
        # The guard may skip a batch whose loss is NaN or Inf; the means do too.
        if scores := [one for one in scores if math.isfinite(one.mae)] or scores:
            self._train_mae = self._log_means("train", scores).mae
        losses = self._epoch_losses()
        losses = losses[losses.isfinite()]
        # Sums over ranks: after a resume with more ranks, one may have no batch.
        total = torch.stack([losses.sum(), losses.new_tensor(float(len(losses)))])
        loss, count = self.trainer.strategy.reduce(total, reduce_op="sum").tolist()
        if count:
            self.log("train/loss", loss / count, logger=False, sync_dist=False)
        self.log("optim/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], logger=False)
        self._losses = []

    def on_train_epoch_end(self) -> None:
        """After the callbacks, which have recorded the epoch."""
        self.logged.clear()

    def on_validation_epoch_start(self) -> None:
        """Measure with the first rank's buffers, which are saved; running statistics differ between ranks."""
        if self.trainer.world_size > 1:
            for buffer in self.net.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def on_validation_epoch_end(self) -> None:
        """Log the means over images."""
        losses = [loss for (loss,) in self._val_loss.rows().values()]
        self.log("val/loss", sum(losses) / len(losses), logger=False, sync_dist=False)
        mean = self._log_means("val", list(self._val_metric.collect().values()))
        if self._train_mae is not None and not self.trainer.sanity_checking:
            self.log("val/mae_gap", mean.mae - self._train_mae, logger=False, sync_dist=False)

    def on_validation_end(self) -> None:
        """Forget a validation within an epoch, once the callbacks have recorded it; the last one they record later."""
        if self.trainer.sanity_checking or not ends_epoch(self.trainer):
            self.logged = {name for name in self.logged if not name.startswith("val/")}

    def on_test_epoch_end(self) -> None:
        """Keep the per-image scores and log their means."""
        self.test_scores = {"bicubic": self._bicubic_metric.collect(), "net": self._test_metric.collect()}
        self._log_means("test", list(self.test_scores["net"].values()))

    def epoch_so_far(self) -> dict[str, Any]:
        """This rank's losses and scores of an unfinished epoch, for a checkpoint."""
        return {"losses": self._epoch_losses(), "scores": self._train_metric.state()}

    def resume_epoch(self, states: list[dict[str, Any]]) -> None:
        """Restore ``epoch_so_far``, of several ranks where there are fewer ranks now."""
        self._losses = [loss for state in states for loss in state["losses"].to(self.device)]
        parts = [state["scores"] for state in states]
        self._train_metric.resume(
            {key: [value for part in parts for value in part[key]] for key in ("index", "values")}
        )

    def on_fit_start(self) -> None:
        """Let no forward pass wait for another rank's: ranks may have different numbers of validation images."""
        wrapped = self.trainer.strategy.model
        if isinstance(wrapped, DistributedDataParallel):
            wrapped.broadcast_buffers = wrapped.forward_sync_buffers = False

    def log(self, name: str, value: Any, *args: Any, **kwargs: Any) -> None:
        """Lightning's ``log``, which also adds the name to ``logged``."""
        super().log(name, value, *args, **kwargs)
        self.logged.add(name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Skip torch's search for parameters for the attribute that Lightning sets 40 times in a step."""
        if name == "_current_fx_name":
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def _epoch_losses(self) -> Tensor:
        return torch.stack(self._losses) if self._losses else torch.empty(0, device=self.device)

    def _epoch_batches(self, batch_idx: int) -> int:
        """Batches of this epoch, which ``max_steps`` may cut short."""
        accumulated = self.trainer.accumulate_grad_batches
        until_limit = batch_idx - batch_idx % accumulated + (self._max_steps - self.trainer.global_step) * accumulated
        return int(min(self.trainer.num_training_batches, until_limit))

    def _train_scores(self) -> list[ImageScore]:
        """Of the patches that were measured in this epoch, on all ranks."""
        if self.trainer.world_size > 1:  # all ranks gather, also one without a patch
            device = scoring_device(self.device)
            empty = torch.empty(0, len(METRICS), dtype=torch.float64, device=device)
            self._train_metric.update(torch.empty(0, dtype=torch.int64, device=device), empty)
        elif not self._train_metric.index:
            return []
        return [ImageScore(*row) for row in self._train_metric.rows().values()]

    def _log_means(self, split: Split, scores: list[ImageScore]) -> ImageScore:
        mean = mean_score(scores)
        means = mean.as_dict()
        if not all(map(math.isfinite, means.values())):
            advice = "lower optimizer.lr, or set trainer.gradient_clip_val"
            raise ValueError(f"the training diverged in epoch {self.current_epoch + 1}: {advice}")
        # logger=False: the Curves callback writes them at step = epoch. Every rank holds the same means already.
        self.log_dict({f"{split}/{name}": value for name, value in means.items()}, logger=False, sync_dist=False)
        return mean


def ends_epoch(trainer: Trainer) -> bool:
    """Whether this batch is the epoch's last: the data end, or the training is being stopped."""
    met_epochs = trainer.current_epoch >= (trainer.min_epochs or 0)
    is_stopping = trainer.should_stop and met_epochs and trainer.global_step >= (trainer.min_steps or 0)
    return trainer.is_last_batch or is_stopping
