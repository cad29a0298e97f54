"""Best and worst crops: where on the validation images the net gains most over bicubic, and where it errs most."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zoomsr.data.datamodule import Batch
from zoomsr.evaluation.crops import ERROR, GAIN, crop_rows, pixels
from zoomsr.figures import best_worst
from zoomsr.hardware.devices import full_float32
from zoomsr.imaging.pixels import luma
from zoomsr.models.bicubic import Bicubic
from zoomsr.runs.crops import Crop
from zoomsr.runs.files import atomic_write
from zoomsr.runs.layout import GALLERY, GALLERY_PNG
from zoomsr.training.callbacks.loggers import loggers_of

_Place = tuple[str, tuple[int, int, int, int]]


class _Scored(NamedTuple):
    """A crop and the value by which it is chosen: a mean squared error on Y, or by how much bicubic's is larger."""

    value: float
    crop: Crop

    @property
    def place(self) -> _Place:
        """The photograph's name, and the box in it."""
        return self.crop.name, self.crop.box


class BestWorstCrops(Callback):
    """``gallery/`` and ``gallery.png`` in the run's directory after the test, and the same for loggers.

    Only a crop with less error than bicubic is a gain, and the largest errors are those of the other crops. Crops do
    not overlap, and are shared out equally among the images.

    Args:
        run_dir: the run's directory.
        net_name: the net's title.
        count: crops of each kind.
        side: of a crop, in hr pixels.
    """

    def __init__(self, run_dir: str, *, net_name: str, count: int = 4, side: int = 96) -> None:
        self._run_dir = Path(run_dir)
        self._net_name = net_name
        self._count = count
        self._side = side
        self._share = count  # of an image
        self._top: dict[str, list[_Scored]] = {}

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget an earlier test."""
        self._top = {GAIN: [], ERROR: []}

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Batch, *args: Any
    ) -> None:
        """Take the image's top crops of each kind; ``outputs`` is sr."""
        images = len(trainer.datamodule.names)  # type: ignore[attr-defined]  # set at run time
        self._share = math.ceil(self._count / images)
        # Twice as many: errors that are gains too are left out, but only once the gains of all images are known.
        for kind, found in _top_crops(batch, outputs, side=self._side, count=2 * self._share).items():
            self._top[kind] = _sorted(self._top[kind] + found)[: 2 * self._count]

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose among all ranks' crops, save them and draw them."""
        ranks: list[Any] = [self._top]
        if trainer.world_size > 1:
            ranks = [None] * trainer.world_size
            torch.distributed.all_gather_object(ranks, self._top)
        if not trainer.is_global_zero:
            return
        used: set[_Place] = set()
        for kind in (GAIN, ERROR):
            # A rank without an image of its own has measured another's again.
            crops = {one.place: one for top in ranks for one in top[kind] if one.place not in used}
            chosen = _shared_out(_sorted(list(crops.values())), self._share)[: self._count]
            used |= {one.place for one in chosen}
            for number, one in enumerate(chosen, start=1):
                one.crop.save(self._run_dir / GALLERY / f"{kind}_{number:02d}")
        gains, errors = crop_rows(self._run_dir, net_name=self._net_name)
        figure = best_worst(gains=gains, errors=errors)
        with atomic_write(self._run_dir / GALLERY_PNG) as file:
            figure.savefig(file, dpi=110, format="png")
        if (loggers := loggers_of(trainer)) is not None:
            loggers.log_figure("gallery/good results and difficulties", figure, trainer.current_epoch)


def _sorted(crops: list[_Scored]) -> list[_Scored]:
    return sorted(crops, key=lambda one: one.value, reverse=True)


def _shared_out(crops: Sequence[_Scored], share: int) -> list[_Scored]:
    """The first ``share`` crops of each image."""
    seen: Counter[str] = Counter()
    kept = []
    for one in crops:
        seen[one.crop.name] += 1
        if seen[one.crop.name] <= share:
            kept.append(one)
    return kept


@full_float32()
def _top_crops(batch: Batch, sr: Tensor, *, side: int, count: int) -> dict[str, list[_Scored]]:
    """The top crops of a grid over one image, gains above zero; the rest at its right and lower border is left out."""
    lr, hr = batch["lr"], batch["hr"]
    scale = hr.shape[-1] // lr.shape[-1]
    side = min(side, *hr.shape[-2:]) // scale * scale
    bicubic = Bicubic(scale).to(lr.device)(lr)
    error, bicubic_error = (
        F.avg_pool2d((luma(image.clamp(0, 1)) - luma(hr)).square(), side)[0, 0] for image in (sr, bicubic)
    )

    def crop(index: int) -> Crop:
        row, column = divmod(index, error.shape[1])
        left, top, small = column * side, row * side, side // scale
        low = lr[..., top // scale :, left // scale :][..., :small, :small]
        high, before, after = (pixels(image[..., top : top + side, left : left + side]) for image in (hr, bicubic, sr))
        return Crop(batch["name"][0], (left, top, side, side), None, pixels(low), high, before, tested=after)

    top: dict[str, list[_Scored]] = {}
    for kind, value in ((GAIN, bicubic_error - error), (ERROR, error)):
        values, indices = value.flatten().sort(descending=True, stable=True)
        pairs = zip(values[:count].tolist(), indices[:count].tolist(), strict=True)
        top[kind] = [_Scored(number, crop(index)) for number, index in pairs if kind == ERROR or number > 0]
    return top
