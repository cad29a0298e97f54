"""Several processes and GPUs: ranks over NCCL, and the jobs of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from _support.device_checks import GPU, Train, scores_of_ranks, sweep_by_slots


def test_one_rank_trains_as_no_rank_does(train: Train, tmp_path: Path, photos: Path) -> None:
    (alone,) = train(GPU, "trainer.max_epochs=1").epochs
    assert scores_of_ranks(tmp_path, photos, GPU, ranks=1)["val/psnr_y"] == pytest.approx(alone["val/psnr_y"], abs=0.01)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason=f"{torch.cuda.device_count()} GPU(s) here, and this needs 2")
def test_two_ranks_measure_what_one_measures(tmp_path: Path, photos: Path) -> None:
    still = (GPU, "optimizer.lr=0", "data.val_fraction=0.5")
    one, two = (scores_of_ranks(tmp_path, photos, *still, ranks=ranks) for ranks in (1, 2))
    measured = [name for name in one if name.startswith("val/") and name != "val/mae_gap"]
    assert "val/psnr_y" in measured
    assert {name: one[name] for name in measured} == pytest.approx({name: two[name] for name in measured}, abs=1e-5)


def test_four_jobs_of_a_sweep_share_a_gpu_by_slots(tmp_path: Path, photos: Path) -> None:
    runs = sweep_by_slots(tmp_path, photos, (1, 2, 3, 4), GPU, "launcher.gpus=['0']")
    names = [run.results["device"]["name"] for run in runs if run.results is not None]
    assert names == [torch.cuda.get_device_name(0)] * 4
    assert len({run.means()["srcnn"]["psnr_y"] for run in runs}) == 4
