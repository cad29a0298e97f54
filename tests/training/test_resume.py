"""A run that was cut off anywhere ends with the same bits as one that was not."""

from __future__ import annotations

import pytest
import torch
from _support.kills import (
    Settings,
    finish,
    kill_after,
    new_job,
    require_no_trace,
)

from zoomsr.runs.files import read_rows


def test_a_kill_leaves_no_trace(settings: Settings) -> None:
    require_no_trace(settings, trials=1, ranks=1)


@pytest.mark.slow
def test_ten_kills_leave_no_trace(settings: Settings) -> None:
    require_no_trace(settings, trials=10, ranks=1)


@pytest.mark.slow
def test_ten_kills_of_two_ranks_leave_no_trace(settings: Settings) -> None:
    require_no_trace(settings, trials=10, ranks=2)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_another_number_of_ranks_late_in_an_epoch_loses_no_score(settings: Settings, before: int, after: int) -> None:
    trainers = {1: "trainer=cpu", 2: "trainer=ddp_cpu"}
    small = ["data.patches_per_image=24", "callbacks.last.minutes=0"]  # 30 batches in an epoch on one rank
    job = new_job(settings, "run", trainers[before], *small)
    assert kill_after(job, before, saves={1: 25, 2: 1}[before])
    done = torch.load(job.path / "checkpoints" / "last.ckpt", weights_only=True)
    assert done["epoch"] == 0
    finish(new_job(settings, "run", trainers[after], *small), after)
    first, second = read_rows(job.path / "metrics.csv")
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert {"train/mae", "train/loss", "train/psnr_y"} <= first.keys()
    assert {"train/mae", "val/mae", "val/mae_gap"} <= second.keys()
