"""Values from csv files, and the csv files that studies write."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from _support.cells import RESULTS

from experiments.cells import Sheet, evaluate
from experiments.one_run import facts, rows
from experiments.published_nets import collect
from experiments.report import write_facts, write_rows


@pytest.fixture
def sheet(tmp_path: Path) -> Sheet:
    """Two sets and three nets, beside the README."""
    path = tmp_path / "results.csv"
    path.write_text(RESULTS)
    return Sheet.read(path)


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("{Set5/vdsr|psnr_y}", 37.5316),
        ("{Set5/unet, wide|psnr_y}", 36.2),
        ("{Set5/vdsr/37.5316|ssim_y}", 0.9587),
        ("{Set5/vdsr|psnr_y} - {Set5/bicubic|psnr_y}", 3.8695),
        ("-({Set5/vdsr|share} + 2) * 3 / {Set14/bicubic|share}", -5.988),
        ("+{Set5/unet, wide|share} / 0.5", 1.04),
        ("max({*|psnr_y})", 37.5316),
        ("min({Set5/*|psnr_y}, {Set14/vdsr|psnr_y})", 33.0679),
        ("mean({Set14/*|psnr_y})", 31.6507),
        ("sd({Set14/*|psnr_y})", (33.0679 - 30.2335) / math.sqrt(2)),
        ("abs({Set5/vdsr|share})", 0.004),
    ],
)
def test_a_formula_has_this_value(sheet: Sheet, formula: str, value: float) -> None:
    assert evaluate(formula, sheet) == pytest.approx(value, abs=1e-9)


def test_a_single_cell_may_hold_text(sheet: Sheet) -> None:
    assert evaluate("{Set5/bicubic|note}", sheet) == "baseline"


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("{Set5/srcnn|psnr_y}", "results.csv has no row Set5/srcnn"),
        ("{Set|psnr_y}", "results.csv has no row Set"),
        ("{Set5|psnr_y}", "results.csv has 3 rows Set5: name more of their leading cells"),
        ("{Set5/vdsr|mae}", "results.csv has no column mae: it has set, net, psnr_y"),
        ("{Set5/bicubic|note} + 1", "{Set5/bicubic|note} of results.csv is baseline, not a number"),
        ("{Set5/bicubic|psnr_y_sd} + 1", "is empty, not a number"),
        ("{Set5/*|psnr_y} - 1", "3 values where one is needed: put them into min, max, mean or sd"),
        ("1 / {Set14/vdsr|share}", "cannot be computed: float division by zero"),
        ("sd({Set5/vdsr|psnr_y})", "cannot be computed"),
        ("12.5", "12.5 has no {KEY|COLUMN}: a number comes from its csv"),
        ("", "an empty formula has no {KEY|COLUMN}"),
        ("{Set5/vdsr|psnr_y} +", "is no formula"),
        ("__import__('os') + {Set5/vdsr|psnr_y}", "__import__('os') in a formula: there are cells, numbers"),
        ("{Set5/vdsr|psnr_y}.real", "in a formula: there are cells"),
        ("{Set5/vdsr|psnr_y} ** 9", "in a formula: there are cells"),
        ("round({Set5/vdsr|psnr_y}, ndigits=1)", "in a formula: there are cells"),
        ("True + {Set5/vdsr|psnr_y}", "True in a formula"),
    ],
)
def test_a_wrong_formula_is_one_clear_line(sheet: Sheet, formula: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]*$") as error:
        evaluate(formula, sheet)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no "),
        (b"", "needs a first line with a name for each column"),
        (b"net,net\na,1\n", "all of them different"),
        (b"net,psnr\na,1\nb\n", "row 3 has 1 cells, the header has 2"),
        (b"net\n\xff\xfe\n", "is damaged"),
    ],
)
def test_a_damaged_csv_is_one_clear_line(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Sheet.read(tmp_path / "a.csv")


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


def test_published_nets_stand_beside_their_articles(tmp_path: Path) -> None:
    (tmp_path / "article.csv").write_text("set,net,psnr_y\nSet5,SRCNN 9-1-5,36.34\nSet5,bicubic,33.66\n")
    scores = {"classic": {"mean": {"psnr_y": 36.3, "ssim_y": 0.95}}, "modern": {"mean": {"psnr_y": 36.4}}}
    config = {"_target_": "zoomsr.models.srcnn.SRCNN", "kernels": [9, 1, 5]}
    run = {"sets": {"Set5": {"bicubic": scores, "srcnn": scores}}, "nets": {"srcnn": {"config": config}}}
    found = collect.rows([run], Sheet.read(tmp_path / "article.csv"))
    assert found[0] == {
        **{"set": "Set5", "net": "SRCNN 9-1-5", "psnr_y": 36.3, "ssim_y": 0.95},
        **{"article_psnr_y": 36.34, "modern_psnr_y": 36.4},
    }
    assert [row["net"] for row in found] == ["SRCNN 9-1-5", "bicubic"]
    (tmp_path / "article.csv").write_text("set,net,psnr_y\nSet14,VDSR,33.03\n")
    with pytest.raises(ValueError, match="no run measures VDSR on Set14"):
        collect.rows([run], Sheet.read(tmp_path / "article.csv"))
