"""Packages for darktable, read as its documentation says."""

from __future__ import annotations

import json
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from _support.commands import said_by
from PIL import Image
from torch import nn

from zoomsr import upscale
from zoomsr.data.packed.packing import Photo
from zoomsr.data.sources.photographs import Photographs, sample
from zoomsr.imaging.photo import Photograph
from zoomsr.inference import dtmodel as module
from zoomsr.inference.seams import tiled
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained import names as pretrained
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of

pytest.importorskip("onnx", reason="pip install zoomsr[export]")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install zoomsr[export]")

Export = Callable[..., str]
OVERLAP = 16


class Package(NamedTuple):
    """An installed package: its folder, its config.json, and a session for each scale."""

    folder: Path
    config: dict[str, Any]
    sessions: dict[int, Any]


def installed(file: Path, models: Path) -> Package:
    """As "Installation semantics" in dtmodel-format.md: the id is the folder of the first entry."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        name = names[0].split("/")[0]
        assert name not in ("", ".", "..")
        assert all(one.startswith(f"{name}/") and ".." not in one for one in names)
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        archive.extractall(models)
    config = json.loads((models / name / "config.json").read_text(encoding="utf-8"))
    assert config["id"] == name
    assert {"id", "name", "description", "task", "backend", "version"} <= config.keys()
    files = {scale: models / name / f"model_x{scale}.onnx" for scale in (2, 4)}
    sessions = {scale: onnxruntime.InferenceSession(path) for scale, path in files.items() if path.exists()}
    return Package(models / name, config, sessions)


def _mirror(index: int, side: int) -> int:
    period = 2 * (side - 1)
    index = abs(index) % period
    return period - index if index >= side else index


def by_darktable(session: Any, pixels: np.ndarray, *, scale: int, tile: int) -> np.ndarray:
    """(H, W, 3) float32 on [0, 1] to (scale H, scale W, 3): "Tiling" in AI_Tasks.md, ``dt_restore_process_tiled``."""
    height, width, _ = pixels.shape
    step = tile - 2 * OVERLAP
    out = np.empty((scale * height, scale * width, 3), np.float32)
    for y in range(0, height, step):
        for x in range(0, width, step):
            rows = [_mirror(y - OVERLAP + dy, height) for dy in range(tile)]
            columns = [_mirror(x - OVERLAP + dx, width) for dx in range(tile)]
            cut = pixels[np.ix_(rows, columns)].transpose(2, 0, 1)[None]
            (made,) = session.run(["output"], {"input": np.ascontiguousarray(cut)})
            assert made.shape == (1, 3, scale * tile, scale * tile)
            inside = made[0].transpose(1, 2, 0)[scale * OVERLAP :, scale * OVERLAP :]
            high, wide = scale * min(step, height - y), scale * min(step, width - x)
            out[scale * y : scale * y + high, scale * x : scale * x + wide] = inside[:high, :wide]
    return out


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Export:
    """Runs the command; returns what it printed, as one line."""
    from zoomsr.export import app

    monkeypatch.chdir(tmp_path)
    return lambda *arguments, code=0: " ".join(said_by(app, arguments, capsys, code=code).split())


def _saved(path: Path, *, strength: float, **arguments: Any) -> nn.Module:
    torch.manual_seed(0)
    net = ResidualUNet(**arguments).eval()
    for parameter in net.parameters():
        parameter.data += strength * torch.randn_like(parameter)
    Weights(path, net.state_dict(), {"_target_": "zoomsr.models.residual_unet.ResidualUNet", **arguments}).save(path)
    return net


def _card(weights: Path, net: nn.Module, arguments: dict[str, Any]) -> None:
    """A card as the pretrained nets have one."""
    row = {"file": "a.webp", "source": "github somebody/photos : a.jpg", "licence": "CC0 1.0", "split": "train"}
    data = {"name": "mine", "n_train": 1, "started_from": ["275 of train291", "1 of mine"], "licences": {"CC0 1.0": 1}}
    Card(
        net={"_target_": "zoomsr.models.residual_unet.ResidualUNet", **arguments},
        **{"scale": net.scale, "channels": 3, "params": 1, "data": {**data, "photographs": [row]}},
        **{"degradation": f"Bicubic(scale={net.scale})", "protocols": {}, "halo": net.halo, "bfloat16": False},
        sets={"Set5": {"bicubic": {"modern": {"psnr_y": 33.684}}, "net": {"modern": {"psnr_y": 37.5}}}},
        **{"sha256": sha256_of(weights), "licence": "MIT", "command": "python -m zoomsr.train x=y", "versions": {}},
    ).write(weights)


def _seam(said: str, scale: int) -> tuple[float, float, str]:
    """Printed: at most, at the border, and the advice."""
    most, advice = re.search(rf"x{scale}: seams of at most (\d+\.\d\d) of 255 .*? px: (.*?) seam", said).groups()
    return (
        float(most),
        float(re.search(rf"x{scale}: (\d+\.\d\d) levels at most at the picture's border", said)[1]),
        advice,
    )


def _require_printed_seam(package: Package, scale: int, printed: tuple[float, float, str], *, model: str) -> None:
    """What darktable makes of the sample's photographs differs from ``zoom`` by the seam that was printed."""
    seams, borders = [], []
    for photo in module.sample().val:
        photograph = Photograph.read(photo.path)
        pixels = photograph.cropped(photograph.middle(320)).pixels
        lr = pixels.astype(np.float32) / 255
        made = by_darktable(package.sessions[scale], lr, scale=scale, tile=192).clip(0, 1)
        zoomed = upscale(pixels, model, scale=scale, back_projection=0, engine="torch").astype(int)
        levels = np.abs(np.floor(made * 255 + 0.5) - zoomed)
        edge = scale * 64  # no farther inwards does it matter how the border is padded
        assert min(levels[edge:-edge, edge:-edge].shape[:2]) > 0
        assert levels[edge:-edge, edge:-edge].max() <= max(1, math.ceil(printed[0]))
        assert levels.max() <= math.ceil(printed[0] + printed[1])
        # Mirrored beyond what the net sees, there is neither seam nor padding.
        mirrored = np.pad(lr, ((128, 128), (128, 128), (0, 0)), mode="reflect")
        whole = upscale(mirrored, model, scale=scale, back_projection=0, engine="torch").clip(0, 1)
        whole = whole[128 * scale : -128 * scale, 128 * scale : -128 * scale]
        seams.append(np.abs(made - whole).max() * 255)
        borders.append(
            np.abs(upscale(lr, model, scale=scale, back_projection=0, engine="torch").clip(0, 1) - whole).max()
        )
    assert max(seams) == pytest.approx(printed[0], abs=0.0051)
    assert 255 * max(borders) == pytest.approx(printed[1], abs=0.0051)


@pytest.mark.slow
def test_darktable_makes_of_a_package_what_zoom_does(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrained, "WEIGHTS_DIR", tmp_path)
    for name, scale, strength in (("tiny", 2, 0.02), ("tiny_x4", 4, 0.07)):
        arguments = {"scale": scale, "widths": [4, 5, 6, 7, 8], "blocks": [2, 1, 1, 1, 1]}
        path = tmp_path / f"{name}.safetensors"
        _card(path, _saved(path, strength=strength, **arguments), arguments)
    said = export("-m", "tiny", "-o", "my_Net.dtmodel")
    package = installed(tmp_path / "my_Net.dtmodel", tmp_path / "models")
    assert package.folder.name == "upscale-my-net"
    assert "darktable-ai publishes it as upscale-my-net.dtmodel" in said
    assert (package.config["task"], package.config["backend"]) == ("upscale", "onnx")
    assert package.config["attributes"]["input_sizes"] == [512, 384, 256, 192]
    assert package.sessions.keys() == {2, 4}
    for scale, session in package.sessions.items():
        (given,), (made,) = session.get_inputs(), session.get_outputs()
        assert (given.name, given.type, given.shape) == ("input", "tensor(float)", ["batch", 3, "height", "width"])
        assert (made.name, made.type) == ("output", "tensor(float)")
        most, _, advice = printed = _seam(said, scale)
        if scale == 2:
            assert (most <= 0.5, advice) == (True, "no more than half a level")
        else:
            assert most > 0.5
            assert re.fullmatch(r"an overlap of \d+ px would leave half a level or less", advice)
        _require_printed_seam(package, scale, printed, model="tiny")


@pytest.mark.slow
def test_the_seam_of_the_pretrained_net_is_the_one_that_was_printed(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = []
    for photo in sample().val:  # crops with one seam, for the time's sake
        photos.append(Photo(photo.name, tmp_path / f"{photo.name}.png"))
        pixels = Photograph.read(photo.path).pixels
        top, left = (pixels.shape[0] - 256) // 2, (pixels.shape[1] - 160) // 2
        Image.fromarray(pixels[top : top + 256, left : left + 160]).save(photos[-1].path)
    monkeypatch.setattr(module, "sample", lambda: Photographs("crops", (Photo("x", tmp_path),), tuple(photos)))
    (tmp_path / "unet.safetensors").write_bytes((pretrained.WEIGHTS_DIR / "unet.safetensors").read_bytes())
    said = export("-m", tmp_path / "unet.safetensors", "-o", "unet.dtmodel", "--half", "--licence", "MIT")
    package = installed(tmp_path / "unet.dtmodel", tmp_path / "models")
    assert package.sessions.keys() == {2}
    assert 0 < _seam(said, 2)[0] < 1  # so that no 8-bit pixel differs by more than one level
    _require_printed_seam(package, 2, _seam(said, 2), model=str(tmp_path / "unet.safetensors"))


@pytest.mark.slow
def test_the_card_says_what_admission_asks_for(export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "WEIGHTS_DIR", tmp_path)
    path, arguments = tmp_path / "tiny.safetensors", {"scale": 2, "widths": [4, 5], "blocks": [1, 1]}
    _card(path, _saved(path, strength=0.01, **arguments), arguments)
    _with_small_photographs(tmp_path, monkeypatch)
    export("-m", "tiny", "-o", "upscale-tiny.dtmodel")
    package = installed(tmp_path / "upscale-tiny.dtmodel", tmp_path / "models")
    card = package.config["model_card"]
    assert all(isinstance(value, str) for value in card.values())
    assert (card["license"], card["paper"]) == ("MIT", "https://arxiv.org/abs/1505.04597")
    assert "x2: seams of at most 0.00 of 255 levels" in card["notes"]
    assert (card["training_data"], card["training_data_license"]) == ("mine: 1 photographs", "CC0 1.0: 1")
    assert "275 of train291, whose licences are not listed" in card["notes"]
    rows = dict(re.findall(r"^\| (.*?) \| (.*?) \|", (package.folder / "README.md").read_text("utf-8"), re.MULTILINE))
    asked = (
        *("Model license", "OSAID v1.0", "MOF", "Training data license", "Training data provenance", "Training code"),
        *("Known limitations", "Published research", "Inference", "Scope", "Reproducibility"),
    )
    assert all(rows[name] for name in asked)
    assert rows["OSAID v1.0"].startswith("Open Source AI")
    assert rows["Reproducibility"] == "`python -m zoomsr.train x=y`"
    assert "| x2 | Set5 | net | 37.50 |" in (package.folder / "README.md").read_text("utf-8")
    provenance = json.loads((package.folder / "provenance.json").read_text("utf-8"))["model_x2.onnx"]
    assert provenance["weights_sha256"] == sha256_of(path)
    assert provenance["data"]["photographs"][0]["source"] == "github somebody/photos : a.jpg"
    # Weights without a card: nothing is invented.
    path.with_suffix(".json").unlink()
    export("-m", path, "-o", "bare.dtmodel")
    bare = installed(tmp_path / "bare.dtmodel", tmp_path / "models").config["model_card"]
    assert {bare[key] for key in ("license", "training_data", "training_data_license")} == {"not stated"}


def _with_small_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.full((40, 44, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    grey = Photographs("grey", (Photo("x", tmp_path),), (Photo("grey", tmp_path / "grey.png"),))
    monkeypatch.setattr(module, "sample", lambda: grey)


def test_tiles_of_a_net_that_sees_no_farther_than_the_overlap_leave_no_seam() -> None:
    net = SRCNN(widths=[4, 3]).eval()
    lr = torch.rand(1, 3, 70, 53)
    with torch.inference_mode():
        whole, made = net(lr), tiled(net, lr, scale=2, tile=64, overlap=OVERLAP)
    assert made.shape == whole.shape
    assert (made - whole)[..., 32:-32, 32:-32].abs().max() < 1e-6
    assert (made - whole).abs().max() > 1e-4  # at the border, which is mirrored


def test_mistakes_are_one_line(export: Export, tmp_path: Path) -> None:
    _saved(tmp_path / "deep.safetensors", strength=0, widths=[2] * 6, blocks=[1] * 6)
    _saved(tmp_path / "x3.safetensors", strength=0, scale=3, widths=[2, 2], blocks=[1, 1])
    (tmp_path / "there.dtmodel").touch()
    for model, out, words in (
        ("unet", "there.dtmodel", "there.dtmodel is there already: --overwrite replaces it"),
        ("x3.safetensors", "x.dtmodel", "darktable enlarges by 2 and by 4, and this net by 3"),
        ("deep.safetensors", "x.dtmodel", "darktable's tiles begin every 16 px, which is no multiple of 32"),
        ("ircnn", "x.dtmodel", "ircnn is a loop around its denoisers, of which no graph is made"),
        ("bicubic", "x.dtmodel", "bicubic has no weights"),
        ("x3.safetensors", "a b.dtmodel", "darktable wants a name of letters, digits and single hyphens"),
    ):
        assert words in export("-m", model, "-o", out, code=1)
    assert not (tmp_path / "x.dtmodel").exists()
