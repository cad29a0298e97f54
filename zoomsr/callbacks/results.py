"""The record of a run: metrics.csv, a row per epoch, and metrics.json, the final scores with what they rest on."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.costs import costs_of
from zoomsr.data.datamodule import PairsDataModule
from zoomsr.metrics import ImageScore, mean_score
from zoomsr.module import ZoomModule
from zoomsr.runs import METRICS_CSV, METRICS_JSON, read_rows, versions, write_json, write_rows

_SECONDS = "zoomsr_seconds"


class Results(Callback):
    """Writes ``metrics.csv`` after every epoch and ``metrics.json`` after the test.

    Args:
        run_dir: the run's directory.
        net_name: the net's row in tables.
        net_config: how the net was made; kept as data, never read.
        settings_hash: of all settings, which every rank must share.
    """

    def __init__(self, run_dir: Path, *, net_name: str, net_config: dict[str, Any], settings_hash: str) -> None:
        self._run_dir = run_dir
        self._settings_hash = settings_hash
        self._ranks: list[str] = []
        self._net_name = net_name
        self._net_config = net_config
        self._epoch_start = 0.0
        self._seconds = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Hold the ranks' settings against each other.

        Raises:
            ValueError: ranks that were started with different settings.
        """
        self._ranks = [self._settings_hash] * trainer.world_size
        if trainer.world_size > 1:
            torch.distributed.all_gather_object(self._ranks, self._settings_hash)
        if len(set(self._ranks)) > 1:
            raise ValueError(f"the {trainer.world_size} ranks were started with different settings")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock, also where a resume begins within an epoch."""
        self._epoch_start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append the epoch's row; rows of epochs that a resume repeats are replaced."""
        epoch, metrics = trainer.current_epoch + 1, epoch_metrics(trainer)
        now = time.perf_counter()
        seconds, self._epoch_start = now - self._epoch_start, now
        self._seconds += seconds
        if trainer.is_global_zero:
            path = self._run_dir / METRICS_CSV
            rows = [row for row in read_rows(path) if row["epoch"] < epoch]
            write_rows(path, [*rows, {"epoch": epoch, **metrics, "seconds": round(seconds, 3)}])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the scores of the net and of bicubic on every held-out photograph."""
        if trainer.is_global_zero and isinstance(pl_module, ZoomModule):
            write_json(self._run_dir / METRICS_JSON, self._summary(trainer, pl_module))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Time so far, so that a resumed run counts on."""
        checkpoint[_SECONDS] = self._seconds + time.perf_counter() - self._epoch_start

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Not before the test, which loads the checkpoint of the best epoch."""
        if trainer.training:
            self._seconds = float(checkpoint.get(_SECONDS, 0))

    def _summary(self, trainer: Trainer, module: ZoomModule) -> dict[str, Any]:
        data: PairsDataModule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
        protocol = module.protocol
        rows = {"bicubic": module.test_scores["bicubic"], self._net_name: module.test_scores["net"]}
        return {
            "protocols": {protocol.name: asdict(protocol)},
            "data": {
                "name": data.source.name,
                "hash": data.digest,
                "n_train": data.source.n_train,
                "n_val": len(data.names),
            },
            "net": {
                "name": self._net_name,
                **asdict(costs_of(module.net, scale=data.degradation.scale, device=module.device)),
                "config": self._net_config,
            },
            "degradation": repr(data.degradation),
            "scale": data.degradation.scale,
            "best_epoch": _tested_epoch(trainer),
            "epochs": trainer.current_epoch,
            "ranks": self._ranks,
            "seconds": round(self._seconds, 1),
            "sets": {
                f"{data.source.name} held-out": {
                    net: {protocol.name: _with_mean(scores, data.names)} for net, scores in rows.items()
                }
            },
            "versions": versions(),
        }


def _tested_epoch(trainer: Trainer) -> int:
    """Of the weights that were tested, counted from 1; 0 where nothing was trained."""
    path = getattr(trainer.checkpoint_callback, "best_model_path", "")
    return int(torch.load(path, map_location="cpu", weights_only=True)["epoch"]) + 1 if path else 0


def epoch_metrics(trainer: Trainer) -> dict[str, float]:
    """What the module logged in this epoch, in a fixed order: train/, val/, optim/, data/."""
    order = {"train": 0, "val": 1, "optim": 2, "data": 3}
    if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
        del order["val"]  # not measured in this epoch: Lightning still holds the last one's
    values = {name: float(value) for name, value in trainer.callback_metrics.items() if name.split("/")[0] in order}
    return dict(sorted(values.items(), key=lambda item: order[item[0].split("/")[0]]))


def _with_mean(scores: dict[int, ImageScore], names: list[str]) -> dict[str, Any]:
    return {
        "mean": mean_score(list(scores.values())).as_dict(),
        "images": {names[index]: score.as_dict() for index, score in scores.items()},
    }
