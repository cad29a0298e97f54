"""The checklist: what it says of runs whose numbers are known, and that it says what is not known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from _support.results import evaluation, finished, gained, metrics, run

from zoomsr.report.checklist import write_checklist
from zoomsr.report.comparability import read_comparable
from zoomsr.report.groups import groups_of
from zoomsr.report.leaderboard import leaderboards


def _checklist(*places: Path, mixed: bool = False) -> dict[str, str]:
    """The sections of a checklist by the number of the question; the versions are in the last."""
    groups = groups_of(read_comparable(places, mixed=mixed))
    path = places[0].parent / "checklist.md"
    write_checklist(path, groups, leaderboards(groups), command="python -m zoomsr.compare a")
    first, *sections = path.read_text(encoding="utf-8").split("\n## ")
    assert "From `python -m zoomsr.compare a`." in first
    return {section.partition(".")[0]: section for section in sections}


def _trained(place: Path, seed: int, **about: Any) -> Path:
    """A finished training of a net, whose metrics.json holds ``about`` too."""
    place = finished(place, gained(seed), net="unet", seed=seed)
    results = {**metrics("unet", gained(seed)), **about}
    (place / "metrics.json").write_text(json.dumps(results))
    return place


@pytest.fixture
def places(tmp_path: Path) -> list[Path]:
    """Two seeds of a net, the second on two devices, and a training that failed after two epochs."""
    versions = {"python": "3.11", "torch": "2.13", "commit": "1a2b3c with changes"}
    data = {"name": "photos", "hash": "0123456789abcdef", "n_train": 8, "n_val": 2}
    data |= {"licences": {"CC0": 7, "CC BY | 4.0": 3}, "started_from": ["275 of train291"]}
    device = {"type": "cuda", "name": "H100", "peak_mb": 1234.4}
    one = _trained(tmp_path / "a", 1, versions=versions, data=data, device=device, ranks=["x"], seconds=90.4)
    two = _trained(tmp_path / "b", 2, versions=versions, data=data, device=device, ranks=["x", "x"], seconds=60.0)
    failed = run(tmp_path / "c", net="vdsr", epochs=0, status={"state": "failed", "error": "out of memory"})
    (failed / "metrics.csv").write_text("epoch,seconds\n1,10.5\n2,9.5\n")
    return [one, two, failed]


def test_compute_counts_every_device_and_what_failed(places: list[Path]) -> None:
    compute = _checklist(*places)["8"]
    assert "| a | unet | finished | 0:01:30 | 1 x H100 | 1,234 MB |\n" in compute
    assert "| b | unet | finished | 0:01:00 | 2 x H100 | 1,234 MB |\n" in compute
    assert "| c | vdsr | failed | 0:00:20 | not known | not known |\n" in compute
    # 90.4 s + 2 x 60 s + 20 s
    assert "Device time of 3 trainings: 0:03:50.\nOf it 0:00:20 in 1 without results (failed," in compute
    assert "Of 1 the number of devices is not known, and counts as one." in compute
    assert "the time is not known" not in compute


def test_a_failed_training_has_what_its_start_kept(places: list[Path]) -> None:
    start = {
        "code": {"commit": "4d5e6f"},
        "data": {"name": "div2k", "hash": "fedcba9876543210"},
        "device": {"type": "cpu", "name": "Xeon", "ranks": 4},
    }
    (places[2] / "starts.json").write_text(json.dumps({"starts": [{}, start]}))
    found = _checklist(*places)
    assert "Commit of the code: 1a2b3c with changes, 4d5e6f." in found["5"]
    assert "| div2k | not known | not known | fedcba987654 |  | not known |\n" in found["6"]
    assert "| c | vdsr | failed | 0:00:20 | 4 x Xeon | not known |\n" in found["8"]
    # 90.4 s + 2 x 60 s + 4 x 20 s
    assert "Device time of 3 trainings: 0:04:50." in found["8"]
    assert "counts as one" not in found["8"]


def test_splits_settings_seeds_and_licences(places: list[Path]) -> None:
    found = _checklist(*places)
    split = "| photos | 8 | 2 | 0123456789ab | 275 of train291 | 7 CC0, 3 CC BY \\| 4.0 |\n"
    assert split in found["6"]
    assert "| setting | unet | vdsr |\n|---|---|---|\n| choices.model | unet | vdsr |\n" in found["6"]
    assert "How the hyper-parameters were chosen: not known." in found["6"]
    assert "- unet: 2 trainings, seeds 1, 2.\n" in found["7"]
    assert "95 % interval" in found["7"]
    assert "vdsr" not in found["7"]
    assert "python -m zoomsr.train model=unet seed=1\npython -m zoomsr.train model=unet seed=2\n" in found["4"]
    assert 'Commit of the code: 1a2b3c with changes. "With changes" says' in found["5"]
    assert "Versions: python 3.11, torch 2.13." in found["12"]
    assert "commit" not in found["12"]


def test_old_runs_have_much_that_is_not_known(tmp_path: Path) -> None:
    place = finished(tmp_path / "a", gained(1))
    results = json.loads((place / "metrics.json").read_text())
    del results["seconds"]
    (place / "metrics.json").write_text(json.dumps(results))
    found = _checklist(place)
    assert "Commit of the code: not known." in found["5"]
    assert "| folder | 8 | 6 | abc123 |  | not known |\n" in found["6"]
    assert "- srcnn: 1 training, seed 1. No spread over seeds.\n" in found["7"]
    assert "| a | srcnn | finished | not known | not known | not known |\n" in found["8"]
    assert "Device time of 1 training: not known.\nOf 1 the time is not known." in found["8"]


def test_an_evaluation_brings_the_training_of_its_checkpoint(places: list[Path], tmp_path: Path) -> None:
    place = evaluation(tmp_path / "e", {"unet a/best": gained(2), "other": gained(1)})
    results = json.loads((place / "metrics.json").read_text())
    weights = {"unet a/best": places[0] / "checkpoints/best.ckpt", "other": tmp_path / "other.safetensors"}
    for net, path in weights.items():
        results["nets"][net]["weights"] = {"path": str(path), "sha256": "fedcba9876543210"}
    (place / "metrics.json").write_text(json.dumps(results))
    found = _checklist(place)
    assert "| a | " in found["8"]
    assert "Device time of 1 training: 0:01:30" in found["8"]
    assert "- Set5 (test set): 6 images, upscaled by 2" in found["6"]
    assert "- Weights of other (sha256 fedcba987654...): not known.\n" in found["12"]
    assert found["12"].count("Weights of") == 1


def test_without_a_training_it_says_so(tmp_path: Path) -> None:
    found = _checklist(evaluation(tmp_path / "e", {"unet": gained(2)}))
    assert "Commands of trainings: not known" in found["4"]
    assert "Splits of the trainings: not known." in found["6"]
    assert "No training is finished." in found["7"]
    assert "Compute of the trainings: not known." in found["8"]


def test_settings_are_those_that_seeds_share(places: list[Path]) -> None:
    settings = yaml.safe_load((places[2] / "settings.yaml").read_text())
    (places[2] / "settings.yaml").write_text(yaml.safe_dump({**settings, "optimizer": {"lr": 0.1, "extra": 5}}))
    rows = _checklist(*places)["6"]
    assert "| optimizer.lr | - | 0.1 |\n" in rows
    assert "run\\_dir" not in rows
