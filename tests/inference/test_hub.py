"""Folders for Hugging Face's hub."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from _support.commands import said_by
from _support.tiny import photograph
from PIL import Image

from zoomsr import upscale
from zoomsr.data.packed.packing import Photo
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import WEIGHTS_DIR
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of

Export = Callable[..., str]
FILES = {"README.md", "config.json", "example.py", "model.json", "model.safetensors"}


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Export:
    """Runs the command; returns what it printed, as one line."""
    from zoomsr.export import app

    monkeypatch.chdir(tmp_path)
    return lambda *arguments, code=0: " ".join(said_by(app, arguments, capsys, code=code).split())


def _readme(folder: Path) -> tuple[dict[str, object], str]:
    """Metadata and text."""
    nothing, head, text = (folder / "README.md").read_text().split("---\n", 2)
    assert nothing == ""
    return yaml.safe_load(head), text


def test_a_pretrained_net_becomes_a_folder_of_its_own(export: Export, tmp_path: Path) -> None:
    export("-m", "srcnn", "--to-hub", "sharp")
    folder, own = tmp_path / "sharp", WEIGHTS_DIR / "srcnn.safetensors"
    assert {path.name for path in folder.iterdir()} == FILES
    assert (folder / "model.safetensors").read_bytes() == own.read_bytes()
    card = Card.beside(folder / "model.safetensors")
    assert card is not None
    assert card == Card.beside(own)
    config = json.loads((folder / "config.json").read_text())
    assert (config["architectures"], config["scale"], config["net"]) == (["SRCNN"], 2, card.net)
    head, text = _readme(folder)
    assert head == {
        **{"license": "mit", "library_name": "zoomsr", "pipeline_tag": "image-to-image"},
        **{"tags": ["super-resolution", "image-upscaling"], "metrics": ["psnr", "ssim"]},
    }
    assert text.startswith("\n# sharp\n")
    assert f"#sha256={sha256_of(own)}'" in text
    psnr = card.sets["Set5"]["srcnn"]["modern"]["psnr_y"]
    assert f"| x2 | Set5 | srcnn | {psnr:.2f} |" in text
    assert f"{card.data['name']}: {card.data['n_train']} photographs" in text


def test_its_example_runs(export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export("-m", "srcnn", "--to-hub", "sharp")
    pixels = photograph(20, 30)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    monkeypatch.setattr("sys.argv", ["example.py", "a.png", "b.png"])
    runpy.run_path("sharp/example.py", run_name="__main__")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "b.png")), upscale(pixels, "srcnn"))


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("My own, free of charge", {"license": "other", "license_name": "my-own-free-of-charge"}),
        ("not stated", {"license": "unknown"}),
    ],
)
def test_the_licence_has_the_hubs_name(export: Export, tmp_path: Path, licence: str, expected: dict[str, str]) -> None:
    export("-m", "srcnn", "--to-hub", "sharp", "--licence", licence)
    head, text = _readme(tmp_path / "sharp")
    assert {key: value for key, value in head.items() if key.startswith("license")} == expected
    assert f"| Model license | {licence} |" in text
    card = Card.beside(WEIGHTS_DIR / "srcnn.safetensors")
    assert card is not None
    assert Card.beside(tmp_path / "sharp" / "model.safetensors") == replace(card, licence=licence)


def test_weights_without_a_card_are_measured(export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(photograph(40, 44)).save(tmp_path / "a.png")
    photographs = SimpleNamespace(val=[Photo("a", tmp_path / "a.png")])
    monkeypatch.setattr("zoomsr.inference.release.sample", lambda: photographs)
    weights = Weights.read(WEIGHTS_DIR / "srcnn.safetensors")
    replace(weights, path=tmp_path / "own.safetensors").save(tmp_path / "own.safetensors")
    export("-m", "own.safetensors", "--to-hub", "sharp")
    card = Card.beside(tmp_path / "sharp" / "model.safetensors")
    assert card is not None
    assert (card.params, card.licence) == (sum(one.numel() for one in weights.tensors.values()), "not stated")
    head, text = _readme(tmp_path / "sharp")
    assert head["license"] == "unknown"
    assert "## Scores" not in text


def test_mistakes_are_one_line(export: Export, tmp_path: Path) -> None:
    export("-m", "srcnn", "--to-hub", "sharp")
    assert "sharp/model.safetensors is there already: --overwrite" in export("-m", "srcnn", "--to-hub", "sharp", code=1)
    export("-m", "srcnn", "--to-hub", "sharp", "--overwrite")
    assert "bicubic has no weights" in export("-m", "bicubic", "--to-hub", "b", code=1)
    assert "give one of --out FILE" in export("-m", "srcnn", "--to-hub", "b", "-o", "n.onnx", code=1)
    (tmp_path / "file").write_text("")
    assert "--to-hub file is no folder" in export("-m", "srcnn", "--to-hub", "file", code=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("mine")
    assert "mine/README.md is there already: --overwrite" in export("-m", "srcnn", "--to-hub", "mine", code=1)
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["mine"]
