from pathlib import Path

from zoomsr.jobs.sweep import ranking
from zoomsr.runs.run import Run, labels


def _run(*overrides: str, bicubic: float, net: float) -> Run:
    rows = {"bicubic": bicubic, "srcnn": net}
    sets = {"held-out": {name: {"modern": {"mean": {"psnr_y": psnr}}} for name, psnr in rows.items()}}
    return Run(Path("run"), list(overrides), [], {"sets": sets, "protocols": {"modern": {}}})


def test_bicubic_is_first_and_once_and_jobs_fall_by_psnr() -> None:
    runs = [
        _run("model=srcnn", "loss=mse", "seed=1", bicubic=30, net=31),
        _run("model=srcnn", "loss=mae", "seed=1", bicubic=30, net=32),
    ]
    assert {name: row["psnr_y"] for name, row in ranking(runs).items()} == {
        "bicubic": 30,
        "loss=mae": 32,
        "loss=mse": 31,
    }
    assert list(ranking(runs)) == ["bicubic", "loss=mae", "loss=mse"]


def test_each_degradation_has_a_bicubic_row_of_its_own() -> None:
    runs = [
        _run("model=srcnn", "degradation=bicubic", bicubic=30, net=31),
        _run("model=srcnn", "degradation=box", bicubic=33, net=34),
    ]
    rows = {name: row["psnr_y"] for name, row in ranking(runs).items()}
    assert rows == {"bicubic": 30, "bicubic degradation=box": 33, "degradation=box": 34, "degradation=bicubic": 31}


def test_labels_name_the_net_first_and_leave_out_what_all_share() -> None:
    runs = [["loss=mse", "model=unet", "seed=1"], ["loss=mse", "model=vdsr", "ema=null", "seed=2"], []]
    assert labels(runs) == ["unet seed=1", "vdsr ema=null seed=2", ""]
    assert labels([["ema=null", "model=vdsr"], ["model=unet"]], without=["seed"]) == ["vdsr ema=null", "unet"]
    assert labels([["model=unet", "loss=mse"]]) == [""]
