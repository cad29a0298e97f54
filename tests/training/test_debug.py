"""``debug=``: short, watched and repeated trainings, and what is said about their scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.jobs.sweep import report
from zoomsr.report.entries import read_entries
from zoomsr.runs.job import Job
from zoomsr.runs.run import Run
from zoomsr.training.losses import Charbonnier

Train = Callable[..., Run]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """hr and lr of every batch that is trained on, each pair as one row of numbers."""
    seen: list[torch.Tensor] = []
    transferred = PairsDataModule.on_after_batch_transfer

    def noted(data: PairsDataModule, batch: dict[str, Any], dataloader_idx: int) -> Any:
        made = transferred(data, batch, dataloader_idx)
        if data.trainer is not None and data.trainer.training:
            seen.append(torch.cat([made["hr"].flatten(), made["lr"].flatten()]))
        return made

    monkeypatch.setattr(PairsDataModule, "on_after_batch_transfer", noted)
    return seen


def test_fast_runs_one_batch_and_ranks_nothing(
    train: Train, batches: list[torch.Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("debug=fast")
    assert len(batches) == 1
    assert [(row["epoch"], row["step"]) for row in run.epochs] == [(1, 1)]
    assert not (run.path / "checkpoints").exists()
    assert run.results is not None
    assert run.results["unranked"] == "trainer.fast_dev_run: trained on a batch or a few"
    assert run.means() == {}
    said = capsys.readouterr().out
    assert "not for comparison: trainer.fast_dev_run" in said
    assert "PSNR Y (dB)" not in said
    report([Job(run.path)], run.path.parent, again=None)  # the end of a sweep
    assert "debug    run0  not ranked  trainer.fast_dev_run" in capsys.readouterr().out
    (entry,) = read_entries([run.path])
    assert (entry.state, entry.results, entry.net) == ("debug", None, "srcnn")
    assert entry.reason == run.results["unranked"]


def test_overfit_repeats_its_patches_and_shows_the_loss_falling(
    train: Train, batches: list[torch.Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("debug=overfit", "trainer.max_epochs=20", "degradation=camera")
    assert len(batches) == 40
    for number, batch in enumerate(batches):
        assert torch.equal(batch, batches[number % 2])
    assert not torch.equal(batches[0], batches[1])
    losses = [row["train/loss"] for row in run.epochs]
    assert losses[-1] < losses[0]
    table = capsys.readouterr().out.partition("The same patches in every epoch")[2]
    rows = [line.strip("│").split("│") for line in table.splitlines() if line.startswith("│")]
    shown = {int(epoch): loss.strip() for epoch, loss, *_ in rows}
    assert shown == {epoch: f"{losses[epoch - 1]:.3g}" for epoch in (1, 5, 10, 15, 20)}
    assert run.means() == {}


def test_without_it_patches_are_new_in_every_epoch(train: Train, batches: list[torch.Tensor]) -> None:
    train("trainer.limit_train_batches=2", "trainer.limit_test_batches=0")
    assert len(batches) == 4
    assert not torch.equal(batches[0], batches[2])


def test_limit_tests_a_part_and_says_so(train: Train) -> None:
    run = train("debug=limit", "data.val_fraction=0.5", "trainer.limit_test_batches=1")
    assert [row["step"] for row in run.epochs] == [3, 6]
    assert run.results is not None
    assert run.results["unranked"] == "trainer.limit_test_batches: 1 of 3 images tested"
    whole = json.loads((run.path / "metrics.json").read_text())
    assert len(whole["sets"]["photos held-out"]["srcnn"]["modern"]["images"]) == 1


def test_a_profile_is_kept_in_its_run_alone(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = train("debug=profile"), train("trainer.max_epochs=1")
    text = (first.path / "profile.txt").read_text()
    assert ("FIT Profiler Report" in text, "TEST Profiler Report" in text, "run_training_batch" in text) == (True,) * 3
    assert not (second.path / "profile.txt").exists()
    assert "profile  run0/profile.txt" in capsys.readouterr().out


def test_anomaly_names_the_operation(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def root(loss: Charbonnier, sr: torch.Tensor, hr: torch.Tensor) -> torch.Tensor:
        return (sr * 0).sqrt().sum() + (sr - hr).abs().mean()

    monkeypatch.setattr(Charbonnier, "forward", root)
    with pytest.raises(SystemExit), pytest.warns(UserWarning, match="Error detected in MulBackward0"):
        train("debug=anomaly", "loss=charbonnier")
    line = "error: Function 'MulBackward0' returned nan values in its 0th output. The warning above names its line"
    assert line in capsys.readouterr().err
