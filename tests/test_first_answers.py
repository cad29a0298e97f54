"""What needs no torch is answered before torch is imported, which takes seconds."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from _support.tiny import photograph
from PIL import Image

RUN = """
import importlib, json, sys

module, name = sys.argv[1].split(":")
start = getattr(importlib.import_module(module), name)
answers = []
for arguments in json.loads(sys.argv[2]):
    sys.argv = [module, *arguments]
    try:
        start()
    except SystemExit as end:
        answers.append(end.code)
    print("next", file=sys.stderr)
print(json.dumps({"codes": answers, "torch": "torch" in sys.modules}), file=sys.stderr)
"""
"""Runs a command several times in one process; in the end the exit codes, and whether torch was imported."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a photograph ``a.png``, results of it, a folder ``full``, and a report's place that is taken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOOMSR_RUNS", str(tmp_path / "runs"))
    Image.fromarray(photograph(8, 10)).save("a.png")
    for name in ("a-x2.png", "b.png", "net.onnx", "full/notes.txt", "set/HR/a.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(Path("a.png").read_bytes())
    return tmp_path


def _answers(command: str, cases: dict[str, str], *, code: int = 1) -> None:
    """Each command line ends with the exit code and says its words, and none of them imports torch."""
    lines = json.dumps([line.split() for line in cases])
    run = subprocess.run([sys.executable, "-c", RUN, command, lines], capture_output=True, text=True, check=False)
    *said, last = run.stderr.split("next\n")
    assert len(said) == len(cases), run.stderr
    for (line, words), text in zip(cases.items(), said, strict=True):
        assert words in " ".join(text.split()), (line, text)
    found = json.loads(last)
    assert found == {"codes": [code] * len(cases), "torch": False}, run.stderr


def test_zoom(here: Path) -> None:
    taken = "a-x2.png is there already: --overwrite replaces it, --skip-existing leaves it"
    cases = {
        "none.png": "error: there is no photograph none.png",
        "none/*.jpg": "error: there is no photograph none/*.jpg",
        "full": "error: there is no photograph in full",
        "none.png -m runs/own": "error: there is no file runs/own",
        "a.png -m https://h/n.safetensors": "error: https://h/n.safetensors is fetched with a hash alone",
        "a.png -m unett": "error: no net is called unett; the nearest: unet",
        "a.png": taken,
        "a.png --scale 2": taken,
        "a.png --scale 2 -m srcnn --certify": taken,
        "a.png -o b.png": "error: b.png is there already",
        "a.png -o full/notes.txt": "no .txt can be written",
        "a.png --format xyz": "error: --format xyz is none of png, jpg",
        "a.png --skip-existing --overwrite": "contradict each other",
        "a.png --scale 2 --width 9": "both say how large",
        "a.png -m unet -m srcnn": "several nets go with --compare",
        "a.png --truth b.png": "--truth goes with --compare",
        "a.png --inspect --compare": "give one of them",
        "none.png --inspect --json": "error: there is no photograph none.png",
        "none.png --compare": "error: there is no photograph none.png",
        "a.png --compare -o b.png": "error: b.png is there already",
        "a.png --compare --truth none.png": "--truth none.png: there is no such file",
    }
    _answers("zoomsr.zoom:app", cases)
    _answers("zoomsr.zoom:app", {"a.png --no-option": "No such option: --no-option"}, code=2)


def test_nothing_is_left_to_do(here: Path) -> None:
    _answers("zoomsr.zoom:app", {"a.png --skip-existing": ""}, code=0)


def test_evaluate(here: Path) -> None:
    cases = {
        "model=unet": "error: data_dir is not given",
        "data_dir=none": "error: there is no folder none: expected none/HR",
        "data_dir=full": "error: full holds no images",
        "data_dir=set ckpt=none.pt": "error: there is no file none.pt",
        "data_dir=set model=unet_seed": "error: no net is called unet_seed; the nearest: unet",
        "data_dir=set model=vdsr model.width=8": "model.width=8 makes another net than the pretrained vdsr",
        "data_dir=set model=spandrel": "error: model=spandrel n",  # needs an extra, or names no net by itself
        "data_dir=[set,set]": "folders that cannot be told apart",
        "data_dir=set scale=2.5": "scale=2.5 must be a whole number",
        "data_dir=set no_key=1": "no setting is called 'no_key'",
        "data_dir=set model=none": "model/none",
    }
    _answers("zoomsr.evaluate:main", cases)


def test_train(here: Path) -> None:
    cases = {
        "ckpt=none.ckpt": "error: there is no file none.ckpt: a run keeps best.ckpt and last.ckpt",
        "data=folder data.root=none": "error: none is not a folder",
        "data=folder data.root=full data.val_root=none": "error: none is not a folder",
        "ckpt=last": "no run below",
        "data=base": "error: data=base has no photographs",
        "rerun=none": "error: rerun=none is no run of zoomsr.train",
        "model=none": "model/none",
        "no_key=1": "no setting is called 'no_key'",
        "seed=abc": "error: seed=abc must be a whole number, 0 or more",
        "scale=0": "error: scale=0 must be a whole number, 1 or more",
        "plan=no": "error: plan=no must be true or false",
        "hydra.output_subdir=null": "error: hydra.output_subdir=None must be .hydra",
    }
    _answers("zoomsr.train:main", cases)
    assert list(Path("runs").iterdir()) == []


def test_compare(here: Path) -> None:
    cases = {
        "": "error: no runs were named",
        "none": "error: there is no none",
        "full": "error: full is no run and holds none",
        "full -o full": "error: full is no report of zoomsr.compare",
        "full -o a.png": "error: a.png is a file",
    }
    _answers("zoomsr.compare:app", cases)


def test_export(here: Path) -> None:
    cases = {
        "-m unett -o n.onnx": "error: no net is called unett; the nearest: unet",
        "-m none.ckpt -o n.onnx": "error: there is no file none.ckpt",
        "-m unet -o net.onnx": "error: net.onnx is there already",
        "-m unet -o net.xyz": "must end in .onnx, .dtmodel, .pt2, .html or .safetensors",
        "-m unet -o n.safetensors --test none": "error: there is no folder none",
        "-m bicubic -o n.safetensors": "bicubic has no weights",
    }
    _answers("zoomsr.export:app", cases)


def test_prepare(here: Path) -> None:
    cases = {
        "folder none": "error: none is not a folder",
        "folder full": "error: full has no images",
        "folder set --val-root none": "error: none is not a folder",
        "stream none out": "error: none is not a folder",
        "stream set full": "error: full is not empty",
        "div2k --only lr": "error: --only lr: hr is the one choice",
        "div2k --offline none": "error: --offline none is no folder",
        "verify none": "error: none holds no packed photographs",
        "clear none": "error: none holds no packed photographs",
    }
    _answers("zoomsr.prepare:app", cases)


def test_demo(here: Path) -> None:
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("gradio is not installed")
    cases = {
        "-m none.ckpt": "error: there is no file none.ckpt",
        "-m unett": "error: no net is called unett; the nearest: unet",
    }
    _answers("zoomsr.demo:app", cases)
