from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from zoomsr.data.datamodule import Batch
from zoomsr.evaluation.crops import crop_rows
from zoomsr.imaging.degradations import Bicubic
from zoomsr.runs.crops import read_crops
from zoomsr.runs.run import Run
from zoomsr.training.callbacks.best_worst import BestWorstCrops


def _batch(name: str) -> Batch:
    hr = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(len(name)))
    hr[..., :16, :16] = 0.5  # nothing to see: bicubic is right there
    return Batch(lr=Bicubic(2).down(hr), hr=hr, name=[name], index=torch.tensor([0]))


def _tested(folder: Path, damage: Callable[[str, torch.Tensor], None], names: list[str]) -> None:
    trainer: Any = SimpleNamespace(
        datamodule=SimpleNamespace(names=names), world_size=1, is_global_zero=True, loggers=[], current_epoch=3
    )
    callback, module = BestWorstCrops(str(folder), net_name="net", count=2, side=16), torch.nn.Identity()
    callback.on_test_start(trainer, module)  # type: ignore[arg-type]
    for number, name in enumerate(names):
        batch = _batch(name)
        sr = batch["hr"].clone()
        damage(name, sr)
        callback.on_test_batch_end(trainer, module, sr, batch, number)  # type: ignore[arg-type]
    callback.on_test_end(trainer, module)  # type: ignore[arg-type]


def _damage(name: str, sr: torch.Tensor) -> None:
    if name == "cat":
        sr[..., 16:, 32:] += 0.4
    else:
        sr[..., :16, 16:32] += 0.2


def test_the_largest_errors_come_first_one_of_each_photograph(tmp_path: Path) -> None:
    _tested(tmp_path, _damage, ["cat", "owl's"])
    errors = read_crops(tmp_path / "gallery", "error")
    assert [(area.name, area.box) for area in errors] == [("cat", (32, 16, 16, 16)), ("owl's", (16, 0, 16, 16))]
    batch = _batch("cat")
    np.testing.assert_allclose(errors[0].hr, batch["hr"][0, :, 16:, 32:].permute(1, 2, 0), atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(errors[0].lr, batch["lr"][0, :, 8:, 16:].permute(1, 2, 0).clamp(0, 1), atol=0.003)


def test_the_largest_gains_are_where_bicubic_was_wrong_and_the_net_is_not(tmp_path: Path) -> None:
    _tested(tmp_path, lambda name, sr: None, ["cat"])
    gains, _errors = crop_rows(tmp_path, net_name="net")
    assert len(gains) == 2
    for row in gains:
        assert row.methods["net"].psnr_y == 100
        assert row.methods["bicubic"].psnr_y is not None
        assert row.methods["bicubic"].psnr_y < 20
    boxes = [area.box[:2] for area in read_crops(tmp_path / "gallery", "gain")]
    assert (0, 0) not in boxes
    assert len(set(boxes)) == 2


def test_difficulties_are_other_crops_than_good_results(tmp_path: Path) -> None:
    def halve(name: str, sr: torch.Tensor) -> None:  # half of bicubic's error is left, most where most was gained
        bicubic = Bicubic(2).up(_batch(name)["lr"])
        sr[:] = (sr + bicubic) / 2
        sr[..., 16:, 32:] = bicubic[..., 16:, 32:]

    _tested(tmp_path, halve, ["cat"])
    gains, errors = ({area.box for area in read_crops(tmp_path / "gallery", kind)} for kind in ("gain", "error"))
    assert len(gains) == len(errors) == 2
    assert not gains & errors
    assert (32, 16, 16, 16) in errors  # nothing was gained there


def test_nothing_is_good_where_nothing_was_gained(tmp_path: Path) -> None:
    def worsen(name: str, sr: torch.Tensor) -> None:
        bicubic = Bicubic(2).up(_batch(name)["lr"])
        sr[:] = bicubic + (bicubic - sr) / 10

    _tested(tmp_path, worsen, ["cat", "owl's"])
    gains, errors = crop_rows(tmp_path, net_name="net")
    assert gains == []
    assert sorted(row.name for row in errors) == ["cat", "owl's"]  # one of each photograph, as elsewhere


def test_a_run_leaves_its_gallery_and_its_pictures(train: Callable[..., Run]) -> None:
    run = train("callbacks.gallery.side=16", "callbacks.gallery.count=3", "trainer.max_epochs=4")
    assert len(read_crops(run.path / "gallery", "error")) == 3
    with Image.open(run.path / "gallery.png") as picture:
        assert picture.height > 300
    (area,) = read_crops(run.path / "pictures")
    assert list(area.epochs) == [1, 2, 3, 4]  # 4 is the last one
    assert area.tested is not None
    assert area.tested.shape == area.hr.shape == (32, 32, 3)
    best = max(run.epochs, key=lambda row: row["val/psnr_y"])["epoch"]
    np.testing.assert_array_equal(area.tested, area.epochs[int(best)])
