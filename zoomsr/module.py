"""The one LightningModule: any net, any loss, any optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zoomsr.data.datamodule import Batch
from zoomsr.metrics import MODERN, ByImage, ImageScore, ImageScores, Protocol, mean_score, measure
from zoomsr.models import Net
from zoomsr.models.bicubic import Bicubic

Split = Literal["train", "val", "test"]


class ZoomModule(LightningModule):
    """Trains a net to map lr to hr, and measures it beside bicubic on the same pictures.

    Logged per epoch: the metrics of ``zoomsr.metrics`` under ``train/``, ``val/`` and ``test/``, the losses, the
    learning rate, and ``val/mae_gap``, the held-out MAE minus the training MAE, which grows when a net overfits.
    After a test, ``test_scores`` holds the per-image scores of ``net`` and ``bicubic``.

    Args:
        net: an ``nn.Module`` with the contract of ``zoomsr.models.Net``.
        loss: (sr, hr) to a scalar.
        optimizer: makes the optimizer from the parameters.
        schedule: makes the scheduler from the optimizer and the total number of steps (see ``zoomsr.schedules``).
        protocol: how val and test are measured; train is measured on its patches the same way.
        train_metrics_batches: training metrics use about so many batches of an epoch, and at most each tenth, because
            SSIM costs as much as a small net's step.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        loss: nn.Module,
        optimizer: Callable[[Iterable[nn.Parameter]], Optimizer],
        schedule: Callable[[Optimizer, int], LRScheduler],
        protocol: Protocol = MODERN,
        train_metrics_batches: int = 32,
    ) -> None:
        super().__init__()
        self.net = net
        self.loss = loss
        self.protocol = protocol
        self.test_scores: dict[str, dict[int, ImageScore]] = {}
        self._train_mae: float | None = None
        self._losses: list[Tensor] = []  # of the epoch, each left on the device
        self._optimizer = optimizer
        self._schedule = schedule
        self._train_metrics_batches = train_metrics_batches
        scale = scale_of(net)
        self._bicubic = Bicubic(scale)
        self._val_loss, self._train_metric = ByImage(), ByImage()
        self._val_metric, self._test_metric, self._bicubic_metric = (
            ImageScores(protocol=protocol, border=scale) for _ in range(3)
        )

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to sr (N, C, scale H, scale W), not clamped."""
        if self.training:
            sr: Tensor = self.net(lr)
            return sr
        # Held-out photographs come in many sizes, each of which would be compiled anew.
        with torch.compiler.set_stance("force_eager"):
            return self.net(lr)  # type: ignore[no-any-return]  # a module may return anything

    def on_fit_start(self) -> None:
        """Ranks may hold out different numbers of photographs, so no forward pass may wait for another rank's."""
        wrapped = self.trainer.strategy.model
        if isinstance(wrapped, DistributedDataParallel):
            wrapped.broadcast_buffers = wrapped.forward_sync_buffers = False

    def on_validation_epoch_start(self) -> None:
        """Measure with the first rank's buffers, which are saved: each rank has running statistics of its own."""
        if self.trainer.world_size > 1:
            for buffer in self.net.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of one batch."""
        sr = self(batch["lr"])
        loss: Tensor = self.loss(sr, batch["hr"])
        self._losses.append(loss.detach())
        if batch_idx % max(10, self.trainer.num_training_batches // self._train_metrics_batches) == 0:
            rows = measure(sr.detach(), batch["hr"], protocol=self.protocol, border=scale_of(self.net))
            self._train_metric.update(batch["index"], rows)
        return loss

    def on_train_batch_end(self, outputs: object, batch: Batch, batch_idx: int) -> None:
        """Close the epoch's training metrics before validation, so that one row holds both."""
        if self.trainer.is_last_batch:
            scores = [ImageScore(*row) for row in self._train_metric.rows().values()]
            # The guard may leave out a batch whose loss is no number; the epoch's means do.
            self._train_mae = self._log_means("train", [one for one in scores if math.isfinite(one.mae)] or scores).mae
            losses = torch.stack(self._losses)
            self.log("train/loss", losses[losses.isfinite()].mean(), logger=False, sync_dist=True)
            self.log("optim/learning_rate", self.trainer.optimizers[0].param_groups[0]["lr"], logger=False)
            self._losses = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure held-out patches."""
        sr = self(batch["lr"])
        losses = [self.loss(one[None], truth[None]) for one, truth in zip(sr, batch["hr"], strict=True)]
        self._val_loss.update(batch["index"], torch.stack(losses)[:, None])
        _update(self._val_metric, sr, batch)

    def on_validation_epoch_end(self) -> None:
        """Log the means over images."""
        losses = [loss for (loss,) in self._val_loss.rows().values()]
        self.log("val/loss", sum(losses) / len(losses), logger=False, sync_dist=False)
        mean = self._log_means("val", list(self._val_metric.collect().values()))
        if self._train_mae is not None and not self.trainer.sanity_checking:
            self.log("val/mae_gap", mean.mae - self._train_mae, logger=False, sync_dist=False)

    def test_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Measure whole held-out photographs, enlarged by the net and by bicubic; sr, for callbacks."""
        sr: Tensor = self(batch["lr"])
        _update(self._test_metric, sr, batch)
        _update(self._bicubic_metric, self._bicubic(batch["lr"]), batch)
        return sr.detach()

    def on_test_epoch_end(self) -> None:
        """Keep the per-image scores and log their means."""
        self.test_scores = {"bicubic": self._bicubic_metric.collect(), "net": self._test_metric.collect()}
        self._log_means("test", list(self.test_scores["net"].values()))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """The optimizer over the net's parameters, its schedule stepped after every optimizer step."""
        optimizer = self._optimizer(self.net.parameters())
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps):
            raise ValueError("a schedule needs an end: set trainer.max_epochs or trainer.max_steps")
        schedule = self._schedule(optimizer, int(steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def epoch_so_far(self) -> dict[str, Any]:
        """This rank's losses and scores of an unfinished epoch, for a checkpoint."""
        losses = torch.stack(self._losses) if self._losses else torch.empty(0)
        return {"losses": losses, "scores": self._train_metric.state()}

    def resume_epoch(self, state: dict[str, Any]) -> None:
        """Put back what ``epoch_so_far`` gave."""
        self._losses = list(state["losses"].to(self.device))
        self._train_metric.resume(state["scores"])

    def _log_means(self, split: Split, scores: list[ImageScore]) -> ImageScore:
        mean = mean_score(scores)
        means = mean.as_dict()
        if not all(map(math.isfinite, means.values())):
            advice = "lower optimizer.lr, or set trainer.gradient_clip_val"
            raise ValueError(f"the training diverged in epoch {self.current_epoch + 1}: {advice}")
        # Not to the logger, which would take the global step: the Curves callback writes them at step = epoch. Not
        # synchronised, because every rank holds the same means already.
        self.log_dict({f"{split}/{name}": value for name, value in means.items()}, logger=False, sync_dist=False)
        return mean


def _update(metric: ImageScores, sr: Tensor, batch: Batch) -> None:
    metric.update(sr.detach(), batch["hr"], batch["index"])


def scale_of(net: nn.Module | Net) -> int:
    """The net's scale, checked: a module that is not a net gets one clear line."""
    needed = ("scale", "channels", "multiple_of", "halo")
    missing = [name for name in needed if not isinstance(getattr(net, name, None), int)]
    if missing:
        raise ValueError(f"{type(net).__name__} is no zoomsr net: it lacks the attribute(s) {', '.join(missing)}")
    return int(net.scale)  # type: ignore[arg-type]  # nn.Module types every attribute as Tensor | Module
