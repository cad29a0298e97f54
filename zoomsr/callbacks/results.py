"""The record of a run: metrics.csv, a row per epoch, and metrics.json, the final scores with what they rest on."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.metrics import ImageScore, mean_score
from zoomsr.module import ZoomModule
from zoomsr.runs import METRICS_CSV, METRICS_JSON, read_rows, versions, write_json, write_rows


class Results(Callback):
    """Writes ``metrics.csv`` after every epoch and ``metrics.json`` after the test.

    Args:
        run_dir: the run's directory.
        net_name: the net's row in tables.
        net_config: how the net was made; kept as data, never read.
    """

    def __init__(self, run_dir: Path, *, net_name: str, net_config: dict[str, Any]) -> None:
        self._run_dir = run_dir
        self._net_name = net_name
        self._net_config = net_config
        self._epoch_start = 0.0
        self._seconds = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the epoch's clock."""
        self._epoch_start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Append the epoch's row; rows of epochs that a resume repeats are replaced."""
        epoch, metrics = trainer.current_epoch + 1, epoch_metrics(trainer)
        seconds = time.perf_counter() - self._epoch_start
        self._seconds += seconds
        if trainer.is_global_zero:
            path = self._run_dir / METRICS_CSV
            rows = [row for row in read_rows(path) if row["epoch"] < epoch]
            write_rows(path, [*rows, {"epoch": epoch, **metrics, "seconds": round(seconds, 3)}])

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the scores of the net and of bicubic on every held-out photograph."""
        if trainer.is_global_zero and isinstance(pl_module, ZoomModule):
            write_json(self._run_dir / METRICS_JSON, self._summary(trainer, pl_module))

    def state_dict(self) -> dict[str, Any]:
        """Time so far, so that a resumed run counts on."""
        return {"seconds": self._seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See ``state_dict``."""
        self._seconds = float(state_dict["seconds"])

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
                "params": sum(parameter.numel() for parameter in module.net.parameters()),
                "config": self._net_config,
            },
            "degradation": repr(data.degradation),
            "scale": data.degradation.scale,
            "best_epoch": _tested_epoch(trainer),
            "epochs": trainer.current_epoch,
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
