"""Good results and difficulties: where on the held-out photographs the net gains most over bicubic, and errs most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zoomsr.data.datamodule import Batch
from zoomsr.evaluation.crops import ERROR, GAIN, crop_rows, pixels
from zoomsr.figures import best_worst
from zoomsr.imaging.pixels import luma
from zoomsr.models.bicubic import Bicubic
from zoomsr.runs.crops import Crop, Image
from zoomsr.runs.files import atomic_write
from zoomsr.runs.layout import GALLERY, GALLERY_PNG
from zoomsr.training.callbacks.curves import tensorboard


@dataclass(frozen=True)
class _Patch:
    """A patch and its mean squared error on Y: by how much the net's is below bicubic's, and the net's."""

    gain: float
    error: float
    area: Crop


class BestWorstCrops(Callback):
    """``gallery/`` and ``gallery.png`` in the run's directory after the test, and the same in TensorBoard.

    Patches do not overlap, and no photograph has more than its share of them.

    Args:
        run_dir: the run's directory.
        net_name: the net's title.
        count: patches of each kind.
        side: of a patch, in hr pixels.
    """

    def __init__(self, run_dir: str, *, net_name: str, count: int = 4, side: int = 96) -> None:
        self._run_dir = Path(run_dir)
        self._net_name = net_name
        self._count = count
        self._side = side
        self._best: dict[str, list[_Patch]] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier test."""
        self._best = {GAIN: [], ERROR: []}

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take the photograph's best patches of each kind; ``outputs`` is sr."""
        patches = list(_patches(batch, outputs, self._side))
        photographs = len(trainer.datamodule.names)  # type: ignore[attr-defined]  # Lightning sets it at run time
        share = math.ceil(self._count / photographs)
        for kind, best in self._best.items():
            self._best[kind] = _top(best + _top(patches, kind, share), kind, self._count)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose among all ranks' patches, keep them and draw them."""
        everyone: list[Any] = [self._best]
        if trainer.world_size > 1:
            everyone = [None] * trainer.world_size
            torch.distributed.all_gather_object(everyone, self._best)
        if not trainer.is_global_zero:
            return
        for kind in self._best:
            # A rank without a photograph of its own has measured another's again.
            patches = {(patch.area.name, patch.area.box): patch for best in everyone for patch in best[kind]}
            for number, patch in enumerate(_top(list(patches.values()), kind, self._count), start=1):
                folder = self._run_dir / GALLERY / f"{kind}_{number:02d}"
                patch.area.save(folder)
        self._draw(trainer)

    def _draw(self, trainer: Trainer) -> None:
        gains, errors = crop_rows(self._run_dir, net_name=self._net_name)
        figure = best_worst(gains=gains, errors=errors)
        with atomic_write(self._run_dir / GALLERY_PNG) as file:
            figure.savefig(file, dpi=110, format="png")
        if (writer := tensorboard(trainer)) is not None:
            writer.add_figure("gallery/good results and difficulties", figure, trainer.current_epoch)


def _top(patches: list[_Patch], kind: str, count: int) -> list[_Patch]:
    return sorted(patches, key=lambda patch: patch.gain if kind == GAIN else patch.error, reverse=True)[:count]


def _patches(batch: Batch, sr: Tensor, side: int) -> Iterator[_Patch]:
    """A grid over one photograph; what is left over at its right and lower border is left out."""
    lr, hr = batch["lr"], batch["hr"]
    scale = hr.shape[-1] // lr.shape[-1]
    bicubic = Bicubic(scale).to(lr.device)(lr)
    side = min(side, *hr.shape[-2:]) // scale * scale
    errors, before = (
        F.avg_pool2d((luma(image.clamp(0, 1)) - luma(hr)).square(), side)[0, 0].cpu() for image in (sr, bicubic)
    )
    whole = {"lr": pixels(lr), "hr": pixels(hr), "bicubic": pixels(bicubic), "tested": pixels(sr)}
    for row, column in np.ndindex(*errors.shape):
        area = _cut(whole, batch["name"][0], (column * side, row * side, side, side), scale)
        yield _Patch(float(before[row, column] - errors[row, column]), float(errors[row, column]), area)


def _cut(whole: dict[str, Image], name: str, box: tuple[int, int, int, int], scale: int) -> Crop:
    places = {key: [value // scale if key == "lr" else value for value in box] for key in whole}
    cuts = {}
    for key, (left, top, width, height) in places.items():
        cuts[key] = whole[key][top : top + height, left : left + width].copy()  # the photograph itself is let go
    return Crop(name, box, None, cuts["lr"], cuts["hr"], cuts["bicubic"], tested=cuts["tested"])
