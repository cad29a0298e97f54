"""Pictures of a training: each epoch, what the net makes of fixed held-out areas; at the end, a comparison on disk."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zoomsr.callbacks.curves import tensorboard
from zoomsr.data.datamodule import Batch, PairsDataModule
from zoomsr.figures import Enlargement, Image, comparison
from zoomsr.image import luma
from zoomsr.metrics import psnr
from zoomsr.models.bicubic import Bicubic

COMPARISON = "comparison.png"


class Pictures(Callback):
    """Strips in TensorBoard after every epoch and ``comparison.png`` in the run's directory after the test.

    The areas are the hardest of the first held-out photographs: where bicubic errs most.

    Args:
        run_dir: where comparison.png goes.
        net_name: the net's title.
        count: how many photographs.
        side: of an area, in hr pixels.
    """

    def __init__(self, run_dir: str, *, net_name: str, count: int = 3, side: int = 128) -> None:
        self._path = Path(run_dir) / COMPARISON
        self._net_name = net_name
        self._count = count
        self._side = side
        self._areas: list[_Area] = []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the areas once."""
        self._choose(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a strip per area, at step = epoch."""
        if trainer.sanity_checking or (writer := tensorboard(trainer)) is None:
            return
        for area in self._areas:
            strip = comparison([area.enlarged(pl_module, self._net_name)])
            writer.add_figure(f"held-out/{area.name}", strip, trainer.current_epoch + 1)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the comparison with the tested weights."""
        if trainer.is_global_zero:
            self._choose(trainer)
            rows = [area.enlarged(pl_module, self._net_name, marked=True) for area in self._areas]
            partial = self._path.with_name(f".{self._path.name}")
            comparison(rows).savefig(partial, dpi=110, format="png")
            partial.replace(self._path)

    def _choose(self, trainer: Trainer) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
        if not self._areas and isinstance(data, PairsDataModule):
            count = min(self._count, len(data.names))
            self._areas = [_Area(data.held_out(number), self._side) for number in range(count)]


class _Area:
    """The hardest square of a photograph: its pixels, and where it is."""

    def __init__(self, whole: Batch, side: int) -> None:
        self.name = whole["name"][0]
        self._lr, self._hr = whole["lr"], whole["hr"]
        scale = self._hr.shape[-1] // self._lr.shape[-1]
        self._bicubic = Bicubic(scale)
        self._side = min(side, *self._hr.shape[-2:]) // scale * scale
        error = (luma(self._bicubic(self._lr)) - luma(self._hr)).square()
        pooled = F.avg_pool2d(error, self._side, stride=scale)
        row, column = divmod(int(pooled.argmax()), pooled.shape[-1])
        self._top, self._left, self._scale = row * scale, column * scale, scale

    @torch.no_grad()
    def enlarged(self, module: LightningModule, net_name: str, *, marked: bool = False) -> Enlargement:
        """What bicubic and the net make of it; ``marked`` adds the photograph with the area marked."""
        training = module.training
        module.eval()
        lr = self._cut(self._lr, self._scale)
        hr = self._cut(self._hr, 1)
        enlarged = {"bicubic": self._bicubic(lr), net_name: module(lr.to(module.device)).cpu()}
        module.train(training)
        return Enlargement(
            name=self.name,
            lr=_pixels(lr),
            hr=_pixels(hr),
            methods={name: (_pixels(sr), _psnr_y(sr, hr)) for name, sr in enlarged.items()},
            photograph=_pixels(self._hr) if marked else None,
            box=(self._left, self._top, self._side, self._side),
        )

    def _cut(self, picture: Tensor, divisor: int) -> Tensor:
        top, left, side = (value // divisor for value in (self._top, self._left, self._side))
        return picture[..., top : top + side, left : left + side]


def _psnr_y(sr: Tensor, hr: Tensor) -> float:
    return float(psnr(luma(sr.clamp(0, 1))[0] * 255, luma(hr)[0] * 255))


def _pixels(picture: Tensor) -> Image:
    pixels: Image = picture[0].permute(1, 2, 0).float().numpy()
    return pixels
