"""Times and memory of a short training, for the forecast of a long one (``zoomsr.training.plan``)."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.hardware.devices import peak_memory
from zoomsr.runs.files import write_json
from zoomsr.training.module import ZoomModule

STOPWATCH = "stopwatch.json"
FIRST, MEASURED, PLAIN = "first", "measured", "plain"
"""Kinds of steps: the first of an epoch, others in which training metrics are measured, and those without."""
_IMAGES = 6  # that are validated and tested


class Stopwatch(Callback):
    """Writes what the parts of a short training took into ``stopwatch.json``: seconds of its epochs and of its test.

    The first epoch is a warm-up. Of many validation images six are measured, the largest among them. Training metrics
    are measured in as large a share of the steps as in a whole epoch.

    Args:
        run_dir: of the short training.
        batches: of a whole epoch.
    """

    def __init__(self, run_dir: str, *, batches: int) -> None:
        self._run_dir = Path(run_dir)
        self._batches = batches
        self._every = 1  # steps from one with training metrics to the next
        self._steps: list[tuple[float, str]] = []  # seconds and kind
        self._found: dict[str, Any] = {}
        self._begin = self._last = self._validation = self._test = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose the validation images."""
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
        if isinstance(data, PairsDataModule) and data.validated is None:
            data.validated = _spread(data.val_sizes)
            pixels = [height * width for height, width in data.val_sizes]
            measured = sum(pixels[number] for number in data.validated)
            self._found |= {"image_share": len(data.validated) / len(pixels), "pixel_share": measured / sum(pixels)}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Space the steps in which training metrics are measured."""
        self._found["patches"] = len(trainer.train_dataloader.sampler)  # type: ignore[union-attr]  # a PatchLoader
        if isinstance(pl_module, ZoomModule):
            self._found["metrics_batches"] = pl_module.train_metrics_batches
            self._space(pl_module, int(trainer.num_training_batches))

    def _space(self, module: ZoomModule, batches: int) -> None:
        """Let the module measure as large a share of so many batches as it would of a whole epoch's."""
        count = module.train_metrics_batches
        every = max(1, self._batches // count)
        module.train_metrics_batches = max(1, batches // every)
        self._every = max(1, batches // module.train_metrics_batches)

    def _kind(self, batch_idx: int) -> str:
        return PLAIN if batch_idx % self._every else MEASURED if batch_idx else FIRST

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start over after the warm-up."""
        self._last = _now(trainer)
        if trainer.current_epoch < 2:
            self._steps, self._validation, self._begin = [], 0.0, self._last

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Time a step, from the end of the one before; with the wait for its batch."""
        now = _now(trainer)
        self._steps.append((now - self._last, self._kind(batch_idx)))
        self._last = now
        self._found.setdefault("first_step", time.monotonic())

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the validation's clock, after the figures, which do not follow from the number of images."""
        self._validation -= 0 if trainer.sanity_checking else _now(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it."""
        self._validation += 0 if trainer.sanity_checking else _now(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What is left of the epochs: checkpoints, curves, figures; and the files."""
        epochs = max(1, trainer.current_epoch - 1)
        rest = _now(trainer) - self._begin - self._validation - sum(seconds for seconds, _ in self._steps)
        self._found |= {"steps": self._steps, "validation": self._validation / epochs, "rest": rest / epochs}
        self._found |= {"epochs": trainer.current_epoch, "files": sizes_of(self._run_dir)}
        self._found["train_end"] = time.monotonic()

    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the test's clock."""
        self._test = _now(trainer)

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop it, before the figures."""
        self._found["test"] = _now(trainer) - self._test

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write what was found."""
        self._found["peak"] = peak_memory(trainer.strategy.root_device)
        write_json(self._run_dir / STOPWATCH, self._found)


def sizes_of(folder: Path) -> dict[str, int]:
    """Bytes of each file below a folder, by its path from there."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def read_stopwatch(run_dir: Path) -> dict[str, Any]:
    """What a ``Stopwatch`` has written."""
    found: dict[str, Any] = json.loads((run_dir / STOPWATCH).read_text(encoding="utf-8"))
    return found


def _now(trainer: Trainer) -> float:
    """The time at which the device has done its work."""
    if trainer.strategy.root_device.type == "cuda":
        torch.cuda.synchronize(trainer.strategy.root_device)
    return time.monotonic()


def _spread(sizes: Sequence[tuple[int, int]]) -> list[int]:
    """Numbers of at most six images: the largest, and others at equal distances in the list."""
    if len(sizes) <= _IMAGES:
        return list(range(len(sizes)))
    largest = max(range(len(sizes)), key=lambda number: sizes[number][0] * sizes[number][1])
    others = [number * len(sizes) // (_IMAGES - 1) for number in range(_IMAGES - 1)]
    return sorted({largest, *others})
