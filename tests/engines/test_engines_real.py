"""OpenVINO and ONNX Runtime, where they are installed, give torch's pixels."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from _support.engines import CPU, SRCNN_CONFIG, perturbed
from _support.tiny import photograph

from zoomsr.engines import ENGINES
from zoomsr.engines import accelerated as module
from zoomsr.engines.accelerated import Accelerated, accelerated
from zoomsr.engines.graph import example, exported
from zoomsr.engines.tiling import upscale_tiled
from zoomsr.hardware.devices import has_fast_bfloat16
from zoomsr.imaging.photo import Photograph
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.vdsr import VDSR
from zoomsr.pretrained.weights import Weights

NETS = {
    "srcnn": lambda: SRCNN(widths=[6, 5]),
    "vdsr": lambda: VDSR(width=4, depth=3, channels=1),
    "unet": lambda: ResidualUNet(widths=[4, 5, 6], blocks=[1, 1, 1]),
}
REAL = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(kind.package) is None, reason=f"{kind.package} is not installed: zoomsr[fast]"
        ),
    )
    for name, kind in ENGINES.items()
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("engine", REAL)
def test_tiles_of_every_shape_through_an_engine_equal_the_whole_picture_through_torch(
    tmp_path: Path, name: str, engine: str
) -> None:
    net = perturbed(NETS[name]())
    weights = Weights(tmp_path / "net.safetensors", net.state_dict(), {"_target_": name})
    fast = accelerated(net, weights, engine=engine, device=CPU)
    for channels in (3, 1):
        for turned in (False, True):
            pixels = photograph(61, 83).astype(np.float32)[..., :channels] / 255
            found, expected = (np.zeros((122, 166, channels), np.float32) for _ in range(2))
            ways = (SelfEnsemble(fast), SelfEnsemble(net)) if turned else (fast, net)
            upscale_tiled(ways[0], pixels, found, device=CPU, tile=16)  # type: ignore[arg-type]
            upscale_tiled(ways[1], pixels, expected, device=CPU)  # type: ignore[arg-type]
            assert np.abs(found - expected).max() < 2e-5 * np.abs(expected).max()
    assert fast.engine == ENGINES[engine].label


@pytest.mark.slow
@pytest.mark.skipif(not has_fast_bfloat16(CPU), reason="this processor has no bfloat16")
@pytest.mark.parametrize("has_marks", [True, False])
def test_openvino_keeps_pixels_in_float32_when_layers_run_in_bfloat16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_marks: bool
) -> None:
    pytest.importorskip("openvino", reason="pip install zoomsr[fast]")
    net = ResidualUNet(widths=[16, 16, 16], blocks=[1, 1, 1]).eval()  # untrained, the rest is small beside bicubic
    if not has_marks:
        monkeypatch.setattr("zoomsr.engines.openvino._reached", lambda *_, **__: set())
    weights = Weights(tmp_path / "net.safetensors", net.state_dict(), {"_target_": "unet"})
    fast = cast(Accelerated, accelerated(net, weights, engine="openvino", device=CPU))
    lr = torch.from_numpy(photograph(41, 52)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        found = fast(lr)
    with torch.inference_mode():
        distance = (found - net(lr)).abs().max()
    assert fast.said()[-1] == ("OpenVINO, bfloat16" if has_marks else "OpenVINO, float32")
    assert distance < 5e-4


@pytest.fixture
def exported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests of the same net share its graph, which takes seconds to make."""
    monkeypatch.setattr(module, "exported", lambda net, lr: _graph(lr.shape[1]))


@lru_cache(maxsize=1)
def _graph(channels: int) -> object:
    torch.manual_seed(0)
    return exported(perturbed(SRCNN(widths=[6, 5])), example(channels))


@pytest.mark.usefixtures("exported_once")
@pytest.mark.parametrize("engine", REAL)
def test_a_photograph_through_an_engine_is_at_most_one_level_apart(tmp_path: Path, engine: str) -> None:
    torch.manual_seed(0)
    weights = Weights(tmp_path / "net.safetensors", perturbed(SRCNN(widths=[6, 5])).state_dict(), SRCNN_CONFIG)
    weights.save(weights.path)
    photo = Photograph(photograph(40, 52))
    torch_upscaler, other = (
        Upscaler.open(str(weights.path), how=NetOptions(device="cpu", engine=name)) for name in ("torch", engine)
    )
    found, expected = (upscaler.upscale(photo).pixels.astype(int) for upscaler in (other, torch_upscaler))
    assert other.engine is not None
    assert other.engine.engine == ENGINES[engine].label
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 1e-3
    deep = Photograph(photograph(40, 52).astype(np.uint16) * 257)
    found, expected = (upscaler.upscale(deep).pixels.astype(int) for upscaler in (other, torch_upscaler))
    assert np.abs(found - expected).max() <= 4  # of 65535
