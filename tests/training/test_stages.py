"""Patches and batches that grow during a training: which are drawn when, and that a resume keeps to them."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from _support.kills import Settings, fingerprint, require_no_trace
from _support.signals import Train, stopped
from omegaconf import OmegaConf

from zoomsr.cli.config import instantiate
from zoomsr.data.datamodule import PairsDataModule
from zoomsr.runs.job import Job
from zoomsr.training.callbacks import limits

GROWING = ("data.patch=[16,32]", "data.batch_size=[4,2]")  # 20 patches: 5 batches in an epoch


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Number and side of the patches of every batch that is trained on."""
    seen: list[tuple[int, ...]] = []
    transferred = PairsDataModule.on_after_batch_transfer

    def noted(data: PairsDataModule, batch: dict[str, Any], dataloader_idx: int) -> Any:
        made = transferred(data, batch, dataloader_idx)
        if data.trainer is not None and data.trainer.training:
            seen.append((len(made["hr"]), made["hr"].shape[-1], made["lr"].shape[-1]))
        return made

    monkeypatch.setattr(PairsDataModule, "on_after_batch_transfer", noted)
    return seen


@pytest.mark.parametrize(
    ("overrides", "stages"),
    [
        (("trainer.max_epochs=4",), [1, 1, 2, 2]),
        (("trainer.max_epochs=9", "trainer.max_steps=14"), [1, 1, 2]),
        (("trainer.max_epochs=2", "data.patch=32"), [1, 2]),
    ],
    ids=["epochs", "steps", "batches alone"],
)
def test_stages_have_equal_shares(
    train: Train, shapes: list[tuple[int, ...]], overrides: tuple[str, ...], stages: list[int]
) -> None:
    run = train(*GROWING, *overrides)
    small = (4, 32, 16) if "data.patch=32" in overrides else (4, 16, 8)
    expected = [small if stage == 1 else (2, 32, 16) for stage in stages for _ in range(5)]
    assert shapes == expected[: 14 if len(overrides) > 1 and "steps" in overrides[1] else None]
    assert [row["epoch"] for row in run.epochs] == list(range(1, len(stages) + 1))


def test_with_a_budget_they_are_shares_of_the_time(
    train: Train, shapes: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Each batch takes a second: after 10 of 19 the second stage begins, also where the number of epochs is unknown.
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: 1000.0 + len(shapes)))
    train(*GROWING, "budget=19s")
    assert shapes == [(4, 16, 8)] * 10 + [(2, 32, 16)] * len(shapes[10:])
    assert len(shapes) == 19
    shown = " ".join(capsys.readouterr().out.split())
    assert "4, then 2 patches a step: 4, then 2 per rank x 1 rank(s) x 1 accumulated; learning rate 0.001" in shown
    assert "stages 2 equal shares of the training, each from the start of an epoch: patches of 16, then 32" in shown


@pytest.mark.usefixtures("own_handlers")
def test_a_resume_within_the_epoch_before_a_stage_leaves_no_trace(
    train: Train, command: Callable[..., Path], tmp_path: Path, shapes: list[tuple[int, ...]]
) -> None:
    overrides = [*GROWING, "trainer.max_epochs=9", "trainer.max_steps=14"]
    train(*overrides)
    whole = shapes.copy()
    shapes.clear()
    # After step 7, half of all; the second stage begins with the next epoch, after step 10.
    assert stopped(train, signal.SIGTERM, overrides=overrides) == 128 + signal.SIGTERM
    command(f"ckpt={tmp_path / 'run1'}")
    assert shapes == whole
    first, second = (fingerprint(Job(tmp_path / name)) for name in ("run0", "run1"))
    assert second == first


def test_the_largest_patch_chooses_the_photographs(settings: Settings) -> None:
    config = OmegaConf.create(settings("run", "data.patch=[16,48]", "data.min_side=${data.patch}"))
    assert instantiate(config.data.module).source.n_train == 5
    config.data.patch = [16, 50]  # the photographs have 48 rows
    config.data.module.source.min_side = [16, 50]
    with pytest.raises(ValueError, match=r"data\.min_side=50: .* has no photograph as large to train on"):
        instantiate(config.data.module)


@pytest.mark.slow
def test_kills_of_two_ranks_leave_no_trace(settings: Settings) -> None:
    require_no_trace(settings, "data.patch=[16,32,24]", "data.batch_size=[4,2,3]", trials=10, ranks=2)
