"""Pictures of a training: what the net makes of fixed held-out areas, epoch by epoch; at the end, a comparison."""

from __future__ import annotations

import re
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.evaluation.crops import comparison_row, hardest_crop, magnified, panel
from zoomsr.figures import Enlargement, comparison, epochs
from zoomsr.runs.crops import Crop, Image, is_milestone, keep_epoch, keep_tested
from zoomsr.runs.files import atomic_write
from zoomsr.runs.layout import COMPARISON_PNG, PICTURES
from zoomsr.training.callbacks.curves import tensorboard


class Pictures(Callback):
    """Strips in TensorBoard after every epoch, ``pictures/`` in the run's directory, and ``comparison.png`` at the end.

    The areas are the hardest of the first held-out photographs: where bicubic errs most. What comes out after the
    epochs 1, 2, 3, 5, 10, 20 ... and the last is kept (see ``zoomsr.runs.crops``).

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
        self._watched: dict[Path, Crop] = {}

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
        with atomic_write(self._run_dir / COMPARISON_PNG) as file:
            comparison(rows).savefig(file, dpi=110, format="png")

    def _choose(self, trainer: Trainer) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it at run time
        if self._watched or not isinstance(data, PairsDataModule) or not trainer.is_global_zero:
            return
        for number in range(min(self._count, len(data.names))):
            whole = data.held_out(number)
            area = hardest_crop(whole["name"][0], lr=whole["lr"], hr=whole["hr"], side=self._side)
            folder = self._run_dir / PICTURES / f"{number + 1}_{re.sub(r'[^A-Za-z0-9.-]+', '_', area.name)}"
            area.save(folder)
            self._watched[folder] = area


def _enlarged(module: LightningModule, area: Crop) -> Image:
    training = module.training
    image = magnified(module.eval(), area, device=module.device)
    module.train(training)
    return image
