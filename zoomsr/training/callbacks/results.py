"""A run's results: metrics.csv, a row per epoch or validation within one, and metrics.json, the test's scores."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.cli.errors import nearest
from zoomsr.data.datamodule import PairsDataModule
from zoomsr.data.sources.photographs import Attribution, licences_of
from zoomsr.hardware.devices import DeviceUse
from zoomsr.metrics.quality import mean_score
from zoomsr.models.complexity import costs_of
from zoomsr.runs.files import read_rows, write_json, write_rows
from zoomsr.runs.layout import METRICS_CSV, METRICS_JSON
from zoomsr.runs.run import UNRANKED, versions
from zoomsr.training.module import ZoomModule, ends_epoch

_SECONDS = "zoomsr_seconds"

TRAINED_ON = "zoomsr_trained_on"
"""In a checkpoint: the photographs of every training that made its weights, the first one first."""


class Results(Callback):
    """Writes ``metrics.csv`` after every epoch and validation, and ``metrics.json`` after the test.

    A validation within an epoch has a row of its own, with the number of steps taken by then.

    Args:
        run_dir: the run's directory.
        net_name: the net's row in tables.
        net_config: how the net was made; kept as data, never read.
        settings_hash: of all settings, which every rank must share.
        started_from: photographs that the weights at the start have been trained on: ``275 of train291``.
    """

    def __init__(
        self,
        run_dir: str,
        *,
        net_name: str,
        net_config: dict[str, Any],
        settings_hash: str,
        started_from: Sequence[str] = (),
    ) -> None:
        self._run_dir = Path(run_dir)
        self._started_from = list(started_from)
        self._settings_hash = settings_hash
        self._ranks: list[str] = []
        self._net_name = net_name
        self._net_config = net_config
        self._row: dict[str, float] = {}
        self._row_start = 0.0
        self._seconds = 0.0
        self._use: DeviceUse | None = None
        self._device: dict[str, Any] = {}  # where nothing is trained

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Compare the ranks' settings.

        Raises:
            ValueError: they differ.
        """
        self._ranks = [self._settings_hash] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(self._ranks, self._settings_hash)
        if len(set(self._ranks)) > 1:
            raise ValueError(f"the {trainer.world_size} ranks were started with different settings")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, also where a resume begins within an epoch."""
        self._row_start = time.perf_counter()
        self._use = DeviceUse(trainer.strategy.root_device)

    def on_train_batch_end(self, *args: Any) -> None:
        """Sample the device's utilisation."""
        if self._use is not None:
            self._use.sample()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append a row of a validation within the epoch.

        Raises:
            ValueError: before the training, the monitor is no metric of a validation.
        """
        if trainer.sanity_checking:
            _require_monitor(trainer, pl_module)
        elif not ends_epoch(trainer):
            self._append(trainer, validation_metrics(trainer, pl_module))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append the epoch's row."""
        if isinstance(pl_module, ZoomModule):
            pl_module.close_epoch()  # where a callback has ended it after a validation
        self._append(trainer, epoch_metrics(trainer, pl_module))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the peak memory of the training, before the test uses more."""
        if self._use is not None:
            self._device = self._use.as_dict()

    def _append(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        """Write the row in place of those that a resume repeats."""
        epoch, step, now = trainer.current_epoch + 1, trainer.global_step, time.perf_counter()
        seconds, self._row_start = now - self._row_start, now
        self._seconds += seconds
        row = {"epoch": epoch, "step": step, **metrics, "seconds": round(seconds, 3)}
        if (self._row.get("epoch"), self._row.get("step")) == (epoch, step):  # a validation ended the epoch
            row = {**self._row, **row, "seconds": round(self._row["seconds"] + seconds, 3)}
        self._row = row
        if trainer.is_global_zero:
            path = self._run_dir / METRICS_CSV
            # Older versions had no steps.
            before = [old for old in read_rows(path) if (old["epoch"], old.get("step", math.inf)) < (epoch, step)]
            write_rows(path, [*before, row])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the scores of the net and of bicubic on every validation image."""
        if trainer.is_global_zero and isinstance(pl_module, ZoomModule):
            write_json(self._run_dir / METRICS_JSON, self._summary(trainer, pl_module))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the training time so far, to which a resumed run adds, and what the weights have seen."""
        checkpoint[_SECONDS] = self._seconds + time.perf_counter() - self._row_start
        source = trainer.datamodule.source  # type: ignore[attr-defined]  # Lightning sets it at run time
        checkpoint[TRAINED_ON] = [*self._started_from, f"{source.n_train} of {source.name}"]

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Restore them; not before the test, which loads the best epoch's checkpoint."""
        if trainer.training:
            self._seconds = float(checkpoint.get(_SECONDS, 0))
            self._started_from = checkpoint.get(TRAINED_ON, [""])[:-1]

    def _summary(self, trainer: Trainer, module: ZoomModule) -> dict[str, Any]:
        data: PairsDataModule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
        protocol = module.protocol
        names = {"bicubic": "bicubic", "net": self._net_name}
        rows = {
            names[net]: {
                "mean": mean_score(list(scores.values())).as_dict(),
                "images": {data.names[index]: score.as_dict() for index, score in scores.items()},
            }
            for net, scores in module.test_scores.items()
        }
        return {
            "protocols": {protocol.name: asdict(protocol)},
            "data": {
                "name": data.source.name,
                "hash": data.digest,
                "n_train": data.source.n_train,
                "n_val": len(data.names),
                **({"started_from": self._started_from} if self._started_from else {}),
                **_attributed(data.source.attributions),
            },
            "net": {
                "name": self._net_name,
                **asdict(costs_of(module.net, scale=data.degradation.scale, device=module.device)),
                "config": self._net_config,
            },
            "degradation": repr(data.degradation),
            "scale": data.degradation.scale,
            **_tested(trainer),
            "epochs": trained_epochs(trainer),
            **({UNRANKED: why} if (why := _unranked(trainer, module, of=len(data.names))) else {}),
            "ranks": self._ranks,
            "device": self._device,
            "precision": trainer.precision,
            "seconds": round(self._seconds, 1),
            "sets": {f"{data.source.name} held-out": {net: {protocol.name: row} for net, row in rows.items()}},
            "versions": versions(),
        }


def _attributed(attributions: Sequence[Attribution]) -> dict[str, Any]:
    """Count of photographs by licence, and the file, source, licence and split of each, where a set has a manifest."""
    if not attributions:
        return {}
    return {"licences": licences_of(attributions), "photographs": [one._asdict() for one in attributions]}


def _require_monitor(trainer: Trainer, module: LightningModule) -> None:
    """Lightning itself looks for it after the first epoch."""
    monitor = getattr(trainer.checkpoint_callback, "monitor", None) or ""
    known = ["val/mae_gap", *sorted(module.logged)] if isinstance(module, ZoomModule) else [monitor]
    if monitor.startswith("val/") and monitor not in known:
        near = nearest(monitor, known) or known
        raise ValueError(f"monitor={monitor} is not measured; the nearest: {', '.join(near)}")


def _unranked(trainer: Trainer, module: ZoomModule, *, of: int) -> str:
    """Why the scores say nothing about the net; empty for those of a training and a test as they should be."""
    if trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it at run time
        return "trainer.fast_dev_run: trained on a batch or a few"
    if trainer.overfit_batches:  # type: ignore[attr-defined]  # the same
        return "trainer.overfit_batches: trained on the same few patches"
    tested = len(module.test_scores["net"])
    return f"trainer.limit_test_batches: {tested} of {of} images tested" if tested < of else ""


def _tested(trainer: Trainer) -> dict[str, int]:
    """Epoch, counted from 1, and step of the tested weights; 0 where nothing was trained."""
    path = getattr(trainer.checkpoint_callback, "best_model_path", "")
    if not path:  # no epoch was validated: the last weights
        return {"best_epoch": trained_epochs(trainer), "best_step": trainer.global_step}
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    return {"best_epoch": int(checkpoint["epoch"]) + 1, "best_step": int(checkpoint["global_step"])}


def trained_epochs(trainer: Trainer) -> int:
    """Epochs of the whole run; ``current_epoch`` is one less where a resumed run has ended already."""
    progress: Any = trainer.fit_loop.epoch_progress.current  # whose type leaves `processed` out
    return int(progress.processed)


def epoch_metrics(trainer: Trainer, module: LightningModule) -> dict[str, float]:
    """What was logged in this epoch, in a fixed order: train/, val/, optim/, data/."""
    # Lightning's callback_metrics keep the values of earlier epochs.
    fresh = module.logged if isinstance(module, ZoomModule) else set()
    values = {name: float(value) for name, value in trainer.callback_metrics.items() if name in fresh}
    order = ("train", "val", "optim", "data")
    return {name: values[name] for split in order for name in values if name.split("/")[0] == split}


def validation_metrics(trainer: Trainer, module: LightningModule) -> dict[str, float]:
    """The same of a validation within the epoch, whose training means are not complete."""
    return {name: value for name, value in epoch_metrics(trainer, module).items() if name.startswith("val/")}
