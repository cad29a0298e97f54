"""The csv files that studies and measurements write."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.one_run import facts, rows
from experiments.published_nets import collect
from experiments.report import write_facts, write_rows


def test_a_csv_looks_the_same_whoever_writes_it(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.csv", [{"net": "a, b", "ms": 1 / 3, "n": 7774307}, {"net": "c", "ms": 2e3, "x": None}])
    assert (tmp_path / "a.csv").read_text() == 'net,ms,n,x\n"a, b",0.333333,7774307,\nc,2000,,\n'
    write_facts(tmp_path / "b.csv", {"machine": "AMD, 2 cores", "seconds": 119.4})
    assert (tmp_path / "b.csv").read_text() == 'fact,value\nmachine,"AMD, 2 cores"\nseconds,119.4\n'


def test_a_runs_scores_become_rows_and_facts() -> None:
    score = {"psnr_y": 30.0, "psnr_rgb": 29.0, "ssim_y": 0.9, "ssim_rgb": 0.8, "mae": 0.01, "error_band_1": 1.0}
    nets = {net: {"modern": {"mean": score, "images": {"cat": {**score, "mae": mae}}}} for net, mae in [("a", 0.1)]}
    results = {"protocols": {"modern": {}}, "sets": {"s": nets}, "best_epoch": 5, "epochs": 10, "seconds": 9.5}
    results |= {"net": {"params": 3}, "data": {"n_train": 7, "n_val": 1, "hash": "f"}, "versions": {"torch": "2.13.0"}}
    plain = {"psnr_y": 30.0, "psnr_rgb": 29.0, "ssim_y": 0.9, "ssim_rgb": 0.8}
    assert rows(results) == [
        {"photograph": "mean", "net": "a", **plain, "mae": 0.01},
        {"photograph": "cat", "net": "a", **plain, "mae": 0.1},
    ]
    assert list(facts(results).items())[:5] == [
        ("protocol", "modern"),
        *(("best_epoch", 5), ("epochs", 10), ("seconds", 9.5), ("params", 3)),
    ]


def test_published_nets_stand_beside_their_articles() -> None:
    articles = [
        {"set": "Set5", "net": "SRCNN 9-1-5", "psnr_y": "36.34"},
        {"set": "Set5", "net": "bicubic", "psnr_y": "33.66"},
    ]
    scores = {"classic": {"mean": {"psnr_y": 36.3, "ssim_y": 0.95}}, "modern": {"mean": {"psnr_y": 36.4}}}
    config = {"_target_": "zoomsr.models.srcnn.SRCNN", "kernels": [9, 1, 5]}
    run = {"sets": {"Set5": {"bicubic": scores, "srcnn": scores}}, "nets": {"srcnn": {"config": config}}}
    found = collect.rows([run], articles)
    assert found[0] == {
        **{"set": "Set5", "net": "SRCNN 9-1-5", "psnr_y": 36.3, "ssim_y": 0.95},
        **{"article_psnr_y": 36.34, "modern_psnr_y": 36.4},
    }
    assert [row["net"] for row in found] == ["SRCNN 9-1-5", "bicubic"]
    with pytest.raises(ValueError, match="no run measures VDSR on Set14"):
        collect.rows([run], [{"set": "Set14", "net": "VDSR", "psnr_y": "33.03"}])
