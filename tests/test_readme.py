"""The README's example of a net of one's own, as it is written there, in a folder outside the repository."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _support.tiny import TINY, photograph
from PIL import Image

from zoomsr.imaging import files
from zoomsr.imaging.pixels import quantize, to_float

README = Path(__file__).parents[1] / "README.md"
SMALL = [text for text in TINY if text.startswith("data")] + ["trainer=cpu", "callbacks=checkpoints", "logger=none"]


def _example() -> dict[str, str]:
    """The blocks of the section by language."""
    section = README.read_text(encoding="utf-8").split("\n## Add a net\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)
    assert [language for language, _ in blocks] == ["python", "yaml", "sh"]
    return dict(blocks)


@pytest.fixture
def commands(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands but the last, which serves the page; their files are there, and trainings have small data."""
    example = _example()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOOMSR_RUNS", "runs")
    Path("mynets.py").write_text(example["python"])
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/tiny.yaml").write_text(example["yaml"])
    Path("Set5").mkdir()
    for name in ("Set5/a.png", "Set5/b.png", "photo.jpg"):
        Image.fromarray(photograph(40, 52, seed=len(name))).save(name)
    found = [shlex.split(line, comments=True) for line in example["sh"].splitlines()]
    assert found.pop() == ["python", "-m", "zoomsr.demo", "-m", "runs/tiny"]
    for words in found:
        if "zoomsr.train" in words and "ckpt=runs/tiny" not in words:
            words[3:3] = [*SMALL, f"data.root={photos}"]
    return found


def _said(words: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, *words[1:]], capture_output=True, text=True, timeout=250, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _net(tmp_path: Path) -> torch.nn.Module:
    """The example's class with the weights of the run, made without zoomsr."""
    spec = importlib.util.spec_from_file_location("mynets", tmp_path / "mynets.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    net: torch.nn.Module = module.Tiny(width=32).eval()
    state = torch.load("runs/tiny/checkpoints/best.ckpt", weights_only=True)["state_dict"]
    net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in state.items()})
    return net


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.slow
def test_a_net_of_ones_own_is_trained_resumed_varied_and_compared(commands: list[list[str]]) -> None:
    train, resume, sweep, _, _, _, compare = commands
    _said(train)
    assert "trainer.max_epochs: 5 -> 10" in _said(resume)
    with Path("runs/tiny/metrics.csv").open() as file:
        assert [int(float(row["epoch"])) for row in csv.DictReader(file)] == list(range(1, 11))
    assert _json(Path("runs/tiny/metrics.json"))["net"]["config"] == {
        "_target_": "mynets.Tiny",
        "scale": 2,
        "width": 32,
    }
    _said(sweep)
    widths = sorted(_json(path)["net"]["config"]["width"] for path in Path("runs/widths").glob("*/metrics.json"))
    assert widths == [8, 16]
    assert "is missing" not in _said(compare)
    with Path("report/results.csv").open() as file:
        nets = {row["net"] for row in csv.DictReader(file)}
    assert nets == {"bicubic", "width=32 max_epochs=10", "width=8 max_epochs=5", "width=16 max_epochs=5"}
    assert len(list(Path("report/figures").glob("architecture_width_*.svg"))) == 3


@pytest.mark.slow
def test_a_net_of_ones_own_is_measured_used_and_exported(commands: list[list[str]], tmp_path: Path) -> None:
    train, _, _, evaluate, zoom, export, _ = commands
    _said(train)
    _said(evaluate)
    (found,) = Path("runs").glob("*_evaluate/metrics.json")
    assert list(_json(found)["sets"]["Set5"]) == ["bicubic", "unet", "tiny tiny/best"]
    _said([*zoom, "--back-projection", "0"])
    net = _net(tmp_path)
    with torch.no_grad():
        sr = net(to_float(files.read(Path("photo.jpg")))[None])[0]
    assert (files.read(Path("photo-x2.png")).int() - quantize(sr.clamp(0, 1)).int()).abs().max() <= 1
    _said(export)
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install zoomsr[export]")
    lr = torch.rand(1, 3, 20, 31)
    (exported,) = onnxruntime.InferenceSession("tiny.onnx").run(None, {"input": lr.numpy()})
    with torch.no_grad():
        assert np.abs(exported - net(lr).numpy()).max() < 1e-5
