"""What a short training measures in place of a long one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.data.sources.photographs import folder
from zoomsr.imaging.degradations import Bicubic
from zoomsr.training.callbacks.stopwatch import Stopwatch, _spread, read_stopwatch


def test_the_largest_image_is_among_the_measured_ones() -> None:
    assert _spread([(9, 9)] * 6) == [0, 1, 2, 3, 4, 5]
    sizes = [(10, 10)] * 100
    sizes[37] = (20, 10)
    assert _spread(sizes) == [0, 20, 37, 40, 60, 80]


def test_only_the_measured_images_are_loaded(photos: Path, tmp_path: Path) -> None:
    source = folder(root=str(photos), val_fraction=0.5)
    data = PairsDataModule(source=source, degradation=Bicubic(2), patch=16, batch_size=2, patches_per_image=2)
    assert data.val_sizes == [(48, 64)] * 3
    data.validated = [2, 0]
    for loader in (data.val_dataloader(), data.test_dataloader()):
        assert [int(batch["index"]) for batch in loader] == [2, 0]


@pytest.mark.parametrize(("whole", "batches", "measured"), [(16, 8, 8), (64, 8, 4), (1000, 8, 1), (960, 90, 3)])
def test_training_metrics_are_measured_as_often_as_in_a_whole_epoch(
    tmp_path: Path, whole: int, batches: int, measured: int
) -> None:
    module = SimpleNamespace(train_metrics_batches=32)
    stopwatch = Stopwatch(str(tmp_path), batches=whole)
    stopwatch._space(module, batches)  # type: ignore[arg-type]
    kinds = [stopwatch._kind(number) for number in range(batches)]
    assert kinds[0] == "first"
    assert kinds.count("plain") == batches - measured


def test_the_warm_up_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("zoomsr.training.callbacks.stopwatch._now", lambda trainer: now)
    monkeypatch.setattr("zoomsr.training.callbacks.stopwatch.peak_memory", lambda device: 7)
    trainer: Any = SimpleNamespace(sanity_checking=False, strategy=SimpleNamespace(root_device=None), current_epoch=0)
    stopwatch = Stopwatch(str(tmp_path), batches=2)

    def after(seconds: float, hook: str, *arguments: Any) -> None:
        nonlocal now
        now += seconds
        getattr(stopwatch, hook)(trainer, None, *arguments)

    for epoch in range(3):
        trainer.current_epoch = epoch
        slow = 100 if epoch == 0 else 1
        after(0, "on_train_epoch_start")
        after(2 * slow, "on_train_batch_end", None, None, 0)
        after(1 * slow, "on_train_batch_end", None, None, 1)
        after(3 * slow, "on_validation_epoch_start")
        after(4 * slow, "on_validation_epoch_end")
        after(5 * slow, "on_test_epoch_end")  # any other hook: checkpoints and figures
    trainer.current_epoch = 3
    after(0, "on_train_end")
    after(0, "on_test_epoch_start")
    after(6, "on_test_epoch_end")
    after(0, "on_test_end")
    found = read_stopwatch(tmp_path)
    assert found["steps"] == [[2.0, "first"], [1.0, "measured"]] * 2
    assert (found["validation"], found["rest"], found["test"], found["peak"]) == (4, 3 + 5, 6, 7)
