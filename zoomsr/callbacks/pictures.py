"""Pictures of a training: what the net makes of fixed held-out areas, epoch by epoch; at the end, a comparison."""

from __future__ import annotations

import re
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zoomsr.areas import PICTURES, Area, Image, is_milestone, keep_epoch, keep_tested
from zoomsr.callbacks.curves import tensorboard
from zoomsr.data.datamodule import Batch, PairsDataModule
from zoomsr.drawing import comparison_row, panel
from zoomsr.encoding import whole_or_not_at_all
from zoomsr.figures import Enlargement, comparison, epochs
from zoomsr.image import luma
from zoomsr.models.bicubic import Bicubic

COMPARISON = "comparison.png"


class Pictures(Callback):
    """Strips in TensorBoard after every epoch, ``pictures/`` in the run's directory, and ``comparison.png`` at the end.

    The areas are the hardest of the first held-out photographs: where bicubic errs most. What comes out after the
    epochs 1, 2, 3, 5, 10, 20 ... and the last is kept (see ``zoomsr.areas``).

    Args:
        run_dir: the run's directory.
        net_name: the net's title.
        count: how many photographs.
        side: of an area, in hr pixels.
    """

    def __init__(self, run_dir: str, *, net_name: str, count: int = 3, side: int = 128) -> None:
        self._run_dir = Path(run_dir)
        self._net_name = net_name
        self._count = count
        self._side = side
        self._watched: dict[Path, Area] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the areas once."""
        self._choose(trainer)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Enlarge the areas with the weights that are validated: a running mean, where one is kept."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        for folder, area in self._watched.items():
            image = _enlarged(pl_module, area)
            if is_milestone(epoch) or epoch == trainer.max_epochs:
                keep_epoch(folder, epoch, image)
            if (writer := tensorboard(trainer)) is not None:
                methods = {"bicubic": panel(area.bicubic, area.hr), self._net_name: panel(image, area.hr)}
                strip = epochs([Enlargement(area.name, area.lr, methods, hr=area.hr)])
                writer.add_figure(f"held-out/{area.name}", strip, epoch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the comparison with the tested weights."""
        if not trainer.is_global_zero:
            return
        self._choose(trainer)
        rows = []
        for folder, area in self._watched.items():
            image = _enlarged(pl_module, area)
            keep_tested(folder, image)
            rows.append(comparison_row(area, {self._net_name: image}))
        with whole_or_not_at_all(self._run_dir / COMPARISON) as file:
            comparison(rows).savefig(file, dpi=110, format="png")

    def _choose(self, trainer: Trainer) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
        if self._watched or not isinstance(data, PairsDataModule) or not trainer.is_global_zero:
            return
        for number in range(min(self._count, len(data.names))):
            area = _hardest(data.held_out(number), self._side)
            folder = self._run_dir / PICTURES / f"{number + 1}_{re.sub(r'[^A-Za-z0-9.-]+', '_', area.name)}"
            area.save(folder)
            self._watched[folder] = area


def pixels(picture: Tensor) -> Image:
    """(1, 3, H, W) or (3, H, W) on any device to (H, W, 3) on the CPU, clipped to [0, 1]."""
    image: Image = picture.reshape(picture.shape[-3:]).permute(1, 2, 0).float().clamp(0, 1).cpu().numpy()
    return image


def _hardest(whole: Batch, side: int) -> Area:
    """The square of a photograph in which bicubic errs most on Y."""
    lr, hr = whole["lr"], whole["hr"]
    scale = hr.shape[-1] // lr.shape[-1]
    bicubic = Bicubic(scale)(lr)
    side = min(side, *hr.shape[-2:]) // scale * scale
    pooled = F.avg_pool2d((luma(bicubic) - luma(hr)).square(), side, stride=scale)
    row, column = divmod(int(pooled.argmax()), pooled.shape[-1])
    cut = lr[..., row : row + side // scale, column : column + side // scale]
    box = (column * scale, row * scale, side, side)
    return Area(
        name=whole["name"][0],
        box=box,
        photograph=pixels(hr),
        lr=pixels(cut),
        hr=pixels(hr[..., box[1] : box[1] + side, box[0] : box[0] + side]),
        bicubic=pixels(Bicubic(scale)(cut)),
    )


@torch.no_grad()
def _enlarged(module: LightningModule, area: Area) -> Image:
    training = module.training
    module.eval()
    lr = torch.from_numpy(area.lr).permute(2, 0, 1)[None]
    image = pixels(module(lr.to(module.device)))
    module.train(training)
    return image
