"""A short training with the settings of a long one, to measure what that takes; nothing of it is kept."""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from zoomsr.cli.console import CONSOLE
from zoomsr.runs.files import write_text
from zoomsr.runs.job import Job
from zoomsr.runs.layout import HYDRA, HYDRA_OVERRIDES, METRICS_JSON
from zoomsr.runs.rerun import placed
from zoomsr.training.callbacks.stopwatch import Stopwatch, read_stopwatch, sizes_of
from zoomsr.training.recipe import train

EVERY_N_EPOCHS = "check_val_every_n_epoch"


def ranks(settings: Mapping[str, Any]) -> int:
    """Processes that share an epoch."""
    devices = settings["trainer"]["devices"]
    if isinstance(devices, list):
        devices = len(devices)
    elif devices in ("auto", -1, "-1"):
        devices = max(1, torch.cuda.device_count())
    return int(devices) * int(settings["trainer"]["num_nodes"])


def short_training(
    settings: Mapping[str, Any], *, patch: int, batch_size: int, batches: int, whole: int, epochs: int
) -> dict[str, Any]:
    """Train a few batches on one device, validate and test, in a folder of the run's directory that is removed.

    Args:
        settings: of the long training, as plain data; their ``run_dir`` is there.
        patch: of the stage that is measured.
        batch_size: the same.
        batches: of each epoch.
        whole: batches of an epoch of the long training.
        epochs: the first one is a warm-up.

    Returns:
        What a ``Stopwatch`` has found, and ``net`` and ``device`` as in metrics.json, the time of the ``end``, and
        ``all`` files with their sizes.

    Raises:
        ValueError: what the training itself would raise.
    """
    with tempfile.TemporaryDirectory(dir=settings["run_dir"], prefix="plan_") as folder, _quiet():
        run_dir = Path(folder) / "run"
        (run_dir / HYDRA).mkdir(parents=True)
        write_text(run_dir / HYDRA_OVERRIDES, "[]")  # what makes a folder a run
        short = placed(_shortened(settings, batches, epochs), settings["run_dir"], str(run_dir))
        for place in (short["data"], short["data"]["module"]):
            place |= {"patch": patch, "batch_size": batch_size}
        target = f"{Stopwatch.__module__}.{Stopwatch.__qualname__}"
        short["callbacks"]["stopwatch"] = {"_target_": target, "run_dir": str(run_dir), "batches": whole}
        Job.freeze(short)
        train(short)
        end = time.monotonic()
        gc.collect()
        results = json.loads((run_dir / METRICS_JSON).read_text(encoding="utf-8"))
        found = {"net": results["net"], "device": results["device"]["type"], "end": end, "all": sizes_of(run_dir)}
        return {**read_stopwatch(run_dir), **found}


def _shortened(settings: Mapping[str, Any], batches: int, epochs: int) -> dict[str, Any]:
    """Settings of so many epochs with so many batches on one device, without a progress bar and loggers elsewhere."""
    left_out = ("val_check_interval", "strategy")
    trainer = {key: value for key, value in settings["trainer"].items() if key not in left_out}
    trainer |= {"limit_train_batches": batches, "max_epochs": epochs, "max_steps": -1, "max_time": None}
    trainer |= {"fast_dev_run": False, "overfit_batches": 0, "profiler": None}
    trainer |= {"devices": 1, "num_nodes": 1, EVERY_N_EPOCHS: 1, "enable_progress_bar": False}
    callbacks = {key: value for key, value in settings["callbacks"].items() if key not in ("progress", "pruning")}
    loggers = settings.get("logger") or {}
    here = {name: node for name, node in loggers.items() if node and "TensorBoard" in node["_target_"]}
    other = {"trainer": trainer, "callbacks": callbacks, "logger": here, "budget": None, "rerun": None}
    return {**settings, **other}


@contextmanager
def _quiet() -> Iterator[None]:
    """Print nothing of a short training."""
    CONSOLE.quiet = True
    try:
        yield
    finally:
        CONSOLE.quiet = False
