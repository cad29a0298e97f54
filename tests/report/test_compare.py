"""The command: what it writes, what it says, and what it refuses."""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from _support.commands import said_by
from _support.results import evaluation, finished, gained, keep_pictures, metrics, run

from zoomsr.compare import app
from zoomsr.runs.run import Run

FILES = {"results.csv", "images.csv", "results.md", "results.tex", "figures", "index.html"}


@pytest.fixture
def compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command in ``tmp_path``; returns what it printed, in one line."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path, code: int = 0) -> str:
        text = said_by(app, arguments, capsys, code=code)
        if code:
            assert len([line for line in text.splitlines() if line.startswith("error: ")]) == 1, text
        return " ".join(text.split())

    return run


def test_runs_become_a_report(compare: Callable[..., str], tmp_path: Path) -> None:
    for seed in (1, 2):
        keep_pictures(finished(tmp_path / f"u{seed}", gained(3 + seed), net="unet", seed=seed))
    keep_pictures(finished(tmp_path / "v", gained(1), net="vdsr"))
    run(tmp_path / "f", net="ircnn", epochs=1, status={"state": "failed", "error": "out of memory"})
    said = compare("u1", "u2", "v", "f")
    assert {path.name for path in (tmp_path / "report").iterdir()} == FILES
    assert re.search(r"bicubic.*unet.*vdsr", said)
    assert "failed f out of memory" in said
    assert "report report/index.html" in said
    names = {path.name for path in (tmp_path / "report" / "figures").iterdir()}
    wanted = ("comparison", "curves", "dots", "spectrum", "tradeoff", "gallery", "epochs_unet", "epochs_vdsr")
    assert names == {f"{name}.{kind}" for name in wanted for kind in ("png", "svg")}
    index = (tmp_path / "report" / "index.html").read_text()
    assert index.count('class="enlarge"') == len(wanted)
    assert index.count("data:image/webp") == 4 + 4  # pictures in figures, and the crops under the slider
    assert "python -m zoomsr.compare u1 u2 v f -o report" in index
    assert re.findall(r"https?://", index) == []
    assert len(index) < 5_000_000


def test_the_checklist_is_written_where_it_is_asked_for(compare: Callable[..., str], tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1))
    for _ in range(2):  # the second report replaces the first
        compare("a", "--checklist")
        assert {path.name for path in (tmp_path / "report").iterdir()} == FILES | {"checklist.md"}
    text = (tmp_path / "report" / "checklist.md").read_text()
    assert "From `python -m zoomsr.compare a --checklist -o report`." in text


def test_unfinished_runs_alone_have_curves_and_no_scores(compare: Callable[..., str], tmp_path: Path) -> None:
    run(tmp_path / "a", epochs=2)
    said = compare("a", "-o", "out")
    assert "unfinished a" in said
    assert {path.name for path in (tmp_path / "out" / "figures").iterdir()} == {"curves.png", "curves.svg"}
    index = (tmp_path / "out" / "index.html").read_text()
    assert "No run is finished yet" in index
    assert "unfinished" in index
    assert (tmp_path / "out" / "results.csv").read_text() == "set,protocol,net\n"


def test_a_run_without_metrics_among_others_is_listed(compare: Callable[..., str], tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1))
    run(tmp_path / "b", net="vdsr", epochs=0)
    assert "unfinished b" in compare("a", "b")


def test_runs_without_metrics_are_an_error(compare: Callable[..., str], tmp_path: Path) -> None:
    run(tmp_path / "a", epochs=0)
    assert re.search(r"error: no run has metrics yet: \S*/a$", compare("a", code=1))
    assert not (tmp_path / "report").exists()


def test_mixing_is_refused_until_it_is_asked_for(compare: Callable[..., str], tmp_path: Path) -> None:
    finished(tmp_path / "a", gained(1))
    evaluation(tmp_path / "e", {"unet": gained(2)})
    assert re.search(
        r"/a and \S*/e were not measured alike: sets folder held-out and Set5; --mixed", compare("a", "e", code=1)
    )
    compare("a", "e", "--mixed")
    with (tmp_path / "report" / "results.csv").open() as file:
        found = [(row["set"], row["protocol"], row["net"]) for row in csv.DictReader(file)]
    assert found == [
        *(("folder held-out", "modern", "bicubic"), ("folder held-out", "modern", "srcnn")),
        *(("Set5", "modern", "bicubic"), ("Set5", "modern", "unet")),
        *(("Set5", "classic", "bicubic"), ("Set5", "classic", "unet")),
    ]


def test_nets_on_several_degradations_become_a_matrix(compare: Callable[..., str], tmp_path: Path) -> None:
    nets = {net: finished(tmp_path / "runs" / net, gained(5), net=net) for net in ("unet", "vdsr")}
    for name, gain in (("Bicubic(scale=2)", 1.0), ("Box(scale=2)", 2.0)):
        place = evaluation(tmp_path / name[:3], {"unet": gained(gain), "vdsr": gained(2 * gain)})
        data = json.loads((place / "metrics.json").read_text()) | {"degradation": name}
        for net, trained in nets.items():
            data["nets"][net]["weights"] = {"path": str(trained / "checkpoints" / "best.ckpt")}
        (place / "metrics.json").write_text(json.dumps(data))
    assert "not measured alike: degradation" in compare("Bic", "Box", code=1)
    compare("Bic", "Box", "--mixed")
    assert {"matrix_Set5.png", "matrix_Set5.svg"} < {path.name for path in (tmp_path / "report/figures").iterdir()}
    text = html.unescape((tmp_path / "report" / "index.html").read_text())
    assert "On Bicubic, Box, in dB: bicubic 31.33, 31.33; vdsr 33.33, 35.33; unet 32.33, 33.33." in text


def test_a_folder_that_is_no_report_is_refused_before_anything_is_read(
    compare: Callable[..., str], tmp_path: Path
) -> None:
    finished(tmp_path / "a", gained(1))
    assert "is no report of zoomsr.compare" in compare("a", "-o", "a", code=1)
    assert (tmp_path / "a" / "metrics.json").is_file()


def test_no_runs_are_refused(compare: Callable[..., str]) -> None:
    assert compare(code=1).startswith("error: no runs were named: python -m zoomsr.compare runs/A runs/B")
    assert compare("nowhere", code=1) == "error: there is no nowhere"


def test_a_damaged_checkpoint_costs_a_figure_and_no_more(compare: Callable[..., str], tmp_path: Path) -> None:
    about = {"name": "unet", "params": 1, "config": {"_target_": "zoomsr.models.unet.UNet"}}
    place = run(tmp_path / "a", net="unet", results=metrics("unet", gained(1), net=about))
    (place / "checkpoints").mkdir()
    (place / "checkpoints" / "best.ckpt").write_bytes(b"no checkpoint")
    assert re.search(r"figure architecture_unet is missing: \S*best\.ckpt", compare("a"))
    assert "architecture_unet is missing" in (tmp_path / "report" / "index.html").read_text()


@pytest.mark.slow
def test_two_trainings(compare: Callable[..., str], train: Callable[..., Run], tmp_path: Path) -> None:
    one = train()
    two = train(net=["model=unet_plain", "model.width=4", "model.depth=2"])
    said = compare(one.path, two.path)
    with (tmp_path / "report" / "results.csv").open() as file:
        rows = {row["net"]: row for row in csv.DictReader(file)}
    assert one.results is not None
    mean = one.results["sets"]["folder held-out" if "folder held-out" in one.results["sets"] else "photos held-out"]
    srcnn = next(row for net, row in rows.items() if "srcnn" in net)
    assert float(srcnn["psnr_y"]) == pytest.approx(mean["srcnn"]["modern"]["mean"]["psnr_y"], rel=1e-6)
    assert float(rows["bicubic"]["psnr_y"]) == pytest.approx(mean["bicubic"]["modern"]["mean"]["psnr_y"], rel=1e-6)
    assert "protocol modern" in said
    names = {path.stem.split("_")[0] for path in (tmp_path / "report" / "figures").glob("*.png")}
    assert names >= {"comparison", "curves", "spectrum", "tradeoff", "gallery", "epochs", "architecture"}
