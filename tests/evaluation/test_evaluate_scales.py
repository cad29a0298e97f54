"""Nets measured at two, three and four times."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.tiny import photograph
from PIL import Image
from torch import nn

from zoomsr.imaging import files
from zoomsr.imaging.pixels import crop_to_multiple, to_float
from zoomsr.imaging.resize import Upscale, downscale
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import measure
from zoomsr.runs.files import sha256_of

Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A picture, and its lr of each scale, which is brighter than what would be made of it."""
    root = tmp_path / "One"
    for part in ("HR", "LRx2", "LRx3", "LRx4"):
        (root / part).mkdir(parents=True)
    Image.fromarray(photograph(53, 61)).save(root / "HR" / "a.png")
    for scale in (2, 3, 4):
        lr = downscale(crop_to_multiple(files.read(root / "HR" / "a.png"), scale), scale)
        pixels = lr.permute(1, 2, 0).numpy()
        Image.fromarray(pixels.clip(0, 245) + 10).save(root / f"LRx{scale}" / f"ax{scale}.png")
    return root


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_net_of_the_scale_is_measured_on_the_lr_of_the_scale(
    evaluate: Evaluate, folder: Path, unets: Mapping[int, nn.Module], weights: Path, scale: int
) -> None:
    name = {2: "unet", 3: "unet_x3", 4: "unet_x4"}[scale]
    found = evaluate(f"data_dir={folder}", f"scale={scale}", "model=unet")
    assert list(found["sets"]["One"]) == ["bicubic", name]
    assert found["data"]["lr_from_files"] == {"One": True}
    assert found["nets"][name]["weights"]["sha256"] == sha256_of(weights / f"{name}.safetensors")
    hr = to_float(crop_to_multiple(files.read(folder / "HR" / "a.png"), scale))
    lr = to_float(files.read(folder / f"LRx{scale}" / f"ax{scale}.png"))
    for label, net in {"bicubic": Upscale(scale), name: unets[scale]}.items():
        with torch.no_grad():
            expected = measure(net(lr[None])[0], hr, protocol=MODERN, border=scale).tolist()
        scores = found["sets"]["One"][label]["modern"]["images"]["a"]
        assert list(scores.values()) == pytest.approx(expected, abs=1e-4)
    several = evaluate(f"data_dir={folder}", f"scale={scale}", "ckpt=[bicubic,unet]")
    assert several["sets"] == found["sets"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scale=3", "ckpt=[unet,unet_x3]"], r"ckpt=unet,unet_x3 holds unet_x3 twice at scale=3"),
        (["scale=2", "ckpt=[unet,unet_x3]"], r"unet_x3\.safetensors upscales by 3, not by scale=2"),
        (["scale=3", "ckpt=srcnn"], r"srcnn\.safetensors upscales by 2, not by scale=3"),
        (["scale=3", "model=srcnn"], r"srcnn\.safetensors upscales by 2, not by scale=3"),
    ],
)
def test_nets_that_are_of_another_scale_or_the_same_are_one_clear_line(
    evaluate: Evaluate,
    folder: Path,
    unets: Mapping[int, nn.Module],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}", *arguments)
    assert re.search(f"^error: .*{message}", capsys.readouterr().err, re.MULTILINE)
