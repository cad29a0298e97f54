"""The net's output on fixed crops of validation images, epoch by epoch, and a comparison figure at the end."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.evaluation.crops import comparison_row, hardest_crop, panel, upscaled
from zoomsr.figures import Enlargement, comparison, epochs
from zoomsr.hardware.devices import full_float32
from zoomsr.runs.crops import Crop, Image, is_milestone, keep_epoch, keep_tested
from zoomsr.runs.files import atomic_write
from zoomsr.runs.layout import COMPARISON_PNG, PICTURES
from zoomsr.training.callbacks.loggers import loggers_of


class Pictures(Callback):
    """Figures for loggers after every epoch, ``pictures/`` in the run's directory, ``comparison.png`` at the end.

    The crops are those of the first validation images where bicubic errs most. The output after the epochs 1, 2, 3, 5,
    10, 20 ... and the last is saved (see ``zoomsr.runs.crops``).

    Args:
        run_dir: the run's directory.
        net_name: the net's title.
        count: of images.
        side: of a crop, in hr pixels.
    """

    def __init__(self, run_dir: str, *, net_name: str, count: int = 3, side: int = 128) -> None:
        self._run_dir = Path(run_dir)
        self._net_name = net_name
        self._count = count
        self._side = side
        self._crops: dict[Path, tuple[Crop, Tensor | None]] = {}  # with the JPEG quality of lr

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose the crops once."""
        self._choose(trainer)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Upscale the crops with the weights that are validated: the moving average where there is one."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        for folder, (crop, quality) in self._crops.items():
            image = _upscaled(pl_module, crop, quality)
            if is_milestone(epoch) or epoch == trainer.max_epochs:
                keep_epoch(folder, epoch, image)
            if (loggers := loggers_of(trainer)) is not None and loggers.takes_figures:
                methods = {"bicubic": panel(crop.bicubic, crop.hr), self._net_name: panel(image, crop.hr)}
                figure = epochs([Enlargement(crop.name, crop.lr, methods, hr=crop.hr)])
                loggers.log_figure(f"held-out/{crop.name}", figure, epoch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the comparison with the tested weights."""
        if not trainer.is_global_zero:
            return
        self._choose(trainer)
        rows = []
        for folder, (crop, quality) in self._crops.items():
            image = _upscaled(pl_module, crop, quality)
            keep_tested(folder, image)
            rows.append(comparison_row(crop, {self._net_name: image}))
        with atomic_write(self._run_dir / COMPARISON_PNG) as file:
            comparison(rows).savefig(file, dpi=110, format="png")

    def _choose(self, trainer: Trainer) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
        if self._crops or not isinstance(data, PairsDataModule) or not trainer.is_global_zero:
            return
        for number in range(min(self._count, len(data.names))):
            whole = data.validation_image(number)
            crop = hardest_crop(whole["name"][0], lr=whole["lr"], hr=whole["hr"], side=self._side)
            folder = self._run_dir / PICTURES / f"{number + 1}_{re.sub(r'[^A-Za-z0-9.-]+', '_', crop.name)}"
            crop.save(folder)
            self._crops[folder] = crop, whole.get("quality")


@full_float32()
def _upscaled(module: LightningModule, crop: Crop, quality: Tensor | None) -> Image:
    training = module.training
    image = upscaled(partial(module.eval(), quality=quality), crop, device=module.device)
    module.train(training)
    return image
