"""``zoomsr.zoom`` with a net of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import zoomsr.cli.console
import zoomsr.pretrained.names
from _support.commands import said_by
from _support.tiny import photograph
from zoomsr.imaging.resize import Upscale
from zoomsr.models.back_projection import BackProjection
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.weights import Weights

Zoom = Callable[..., str]
Nets = Mapping[int, nn.Module]

PIXELS = photograph(35, 46)


SRCNN_CONFIG = {"_target_": "zoomsr.models.srcnn.SRCNN", "scale": 2, "widths": [6, 5]}
UNET_CONFIG = {"_target_": "zoomsr.models.residual_unet.ResidualUNet", "widths": [6, 5], "blocks": [1, 1]}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights with one net, ``srcnn``, that does something to a picture."""
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.manual_seed(0)
    net = SRCNN(widths=[6, 5])
    net.reconstruction.weight.data += 0.05 * torch.randn_like(net.reconstruction.weight)
    Weights(folder / "srcnn.safetensors", net.state_dict(), SRCNN_CONFIG).save(folder / "srcnn.safetensors")
    monkeypatch.setattr(zoomsr.pretrained.names, "WEIGHTS_DIR", folder)
    return folder


@pytest.fixture
def unets(weights: Path) -> dict[int, ResidualUNet]:
    """``unet``, ``unet_x3`` and ``unet_x4`` in the folder of weights, tiny; the nets by scale."""
    nets = {}
    for scale, name in {2: "unet", 3: "unet_x3", 4: "unet_x4"}.items():
        torch.manual_seed(scale)
        nets[scale] = ResidualUNet(scale=scale, widths=[6, 5], blocks=[1, 1]).eval().requires_grad_(False)
        for parameter in nets[scale].parameters():
            parameter += 0.05 * torch.randn_like(parameter)
        path = weights / f"{name}.safetensors"
        Weights(path, nets[scale].state_dict(), {**UNET_CONFIG, "scale": scale}).save(path)
    return nets


@pytest.fixture
def zoom(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Zoom:
    """Runs the command in ``tmp_path``; returns what it printed, as one line."""
    from zoomsr.zoom import app

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, code: int = 0) -> str:
        text = " ".join(said_by(app, arguments, capsys, code=code).split())
        assert code == 0 or text.count("error:") <= 4
        assert "Traceback" not in text
        assert not [path for path in tmp_path.rglob("*") if path.name.endswith((".part", ".raw"))]
        return text

    return run


@torch.no_grad()
def by_net(net: nn.Module, pixels: np.ndarray) -> np.ndarray:
    """The net called directly, back-projected: (H, W, C) uint8 to the same, without the command."""
    if not isinstance(net, Upscale):
        net = BackProjection(deepcopy(net)).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    lr = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
    sr = net(lr.contiguous(memory_format=torch.channels_last))[0]
    return (sr.clamp(0, 1) * 255 + 0.5).floor().to(torch.uint8).permute(1, 2, 0).numpy()
