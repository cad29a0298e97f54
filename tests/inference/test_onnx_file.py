"""ONNX files in the forms that other programs ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _support.commands import said_by
from torch import nn

from zoomsr.imaging.pixels import quantize, to_float
from zoomsr.inference import onnx_file as module
from zoomsr.models.photo_unet import PhotoUNet
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of

pytest.importorskip("onnx", reason="pip install zoomsr[export]")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install zoomsr[export]")

Export = Callable[..., str]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Export:
    """Runs the command; returns what it printed, as one line."""
    from zoomsr.export import app

    monkeypatch.chdir(tmp_path)
    return lambda *arguments, code=0: " ".join(said_by(app, arguments, capsys, code=code).split())


def _saved(kind: type[nn.Module], path: Path) -> nn.Module:
    torch.manual_seed(0)
    arguments = {"widths": [4, 5], "blocks": [1, 1]}
    net = kind(**arguments).eval()
    for parameter in net.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    Weights(path, net.state_dict(), {"_target_": f"{kind.__module__}.{kind.__name__}", **arguments}).save(path)
    return net


@pytest.fixture
def net(tmp_path: Path) -> nn.Module:
    """A U-Net, saved as net.safetensors."""
    return _saved(ResidualUNet, tmp_path / "net.safetensors")


def _model(path: Path) -> Any:
    import onnx

    return onnx.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [17, 21])
def test_names_metadata_and_opset(export: Export, tmp_path: Path, net: nn.Module, opset: int) -> None:
    said = export("-m", "net.safetensors", "-o", "net.onnx", "--opset", opset, "--licence", "MIT")
    assert f"opset {opset}, batch x 3 x height x width, all of them free, float32" in said
    model = _model(tmp_path / "net.onnx")
    assert model.opset_import[0].version == opset
    assert b".py" not in (tmp_path / "net.onnx").read_bytes()  # torch leaves stack traces
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert [one.name for one in (*session.get_inputs(), *session.get_outputs())] == ["input", "output"]
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert session.get_modelmeta().custom_metadata_map == {
        **{"net": "ResidualUNet", "scale": "2", "multiple_of": "2", "halo": str(net.halo)},
        **{"range": "0 to 1, not clamped", "channel_order": "RGB", "licence": "MIT"},
        "weights_sha256": sha256_of(tmp_path / "net.safetensors"),
    }
    lr = torch.rand(2, 3, 31, 27)
    (sr,) = session.run(None, {"input": lr.numpy()})
    with torch.no_grad():
        assert np.abs(sr - net(lr).numpy()).max() < 1e-5


@pytest.mark.slow
def test_bytes_in_and_out_with_half_weights_and_a_fixed_size(export: Export, tmp_path: Path, net: nn.Module) -> None:
    said = export("-m", "net.safetensors", "-o", "net.onnx", "--uint8", "--half", "--size", "24x16")
    assert "1 x 3 x 16x24, uint8, weights in float16" in said
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert session.get_inputs()[0].shape == [1, 3, 16, 24]
    assert {one.type for one in (*session.get_inputs(), *session.get_outputs())} == {"tensor(uint8)"}
    assert session.get_modelmeta().custom_metadata_map["range"] == "0 to 255"
    lr = quantize(torch.rand(1, 3, 16, 24))
    (sr,) = session.run(None, {"input": lr.numpy()})
    halved = ResidualUNet(widths=[4, 5], blocks=[1, 1]).eval()
    halved.load_state_dict({name: value.half().float() for name, value in net.state_dict().items()})
    with torch.no_grad():
        assert np.abs(sr.astype(int) - quantize(halved(to_float(lr))).numpy()).max() <= 1
    stored = {one.name: one.data_type for one in _model(tmp_path / "net.onnx").graph.initializer}
    assert {stored[name] for name in stored if name.endswith(".float16")} == {10}
    assert sum(name.endswith(".float16") for name in stored) >= sum(one.ndim > 1 for one in net.parameters())
    assert stored["net.upscale.phases"] == 1  # bicubic's kernel is no weight


@pytest.mark.slow
def test_a_net_that_is_told_a_quality(export: Export, tmp_path: Path) -> None:
    net = _saved(PhotoUNet, tmp_path / "photo.safetensors")
    export("-m", "photo.safetensors", "-o", "net.onnx", "--quality", "40")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    assert session.get_modelmeta().custom_metadata_map["jpeg_quality"] == "40"
    lr = torch.rand(1, 3, 21, 32)
    (sr,) = session.run(None, {"input": lr.numpy()})
    with torch.no_grad():
        assert np.abs(sr - net(lr, torch.tensor([40.0])).numpy()).max() < 1e-5
        assert np.abs(sr - net(lr).numpy()).max() > 1e-3


@pytest.mark.parametrize("form", [module.Form(), module.Form(half=True), module.Form(uint8=True)])
def test_other_pixels_are_refused_in_every_form(form: module.Form) -> None:
    net = ResidualUNet(widths=[4, 5], blocks=[1, 1]).eval()
    asked, dtype = (module.Uint8(net), torch.uint8) if form.uint8 else (net, torch.float32)
    white = 255 if form.uint8 else 1.0
    below, above = (1.0, 2.0) if form.uint8 else (0.9 * module.limit_of(form), 1.1 * module.limit_of(form))
    assert above / white > module.limit_of(form) >= below / white

    def off(by: float) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda lr: asked(lr).float() + by

    sizes = ((1, 9, 7),)
    module.require_parity(asked, off(below), sizes=sizes, limit=module.limit_of(form), dtype=dtype)
    with pytest.raises(ValueError, match=r"differs by .* at 9x7: it is not written"):
        module.require_parity(asked, off(above), sizes=sizes, limit=module.limit_of(form), dtype=dtype)


def test_mistakes_are_one_line(export: Export, tmp_path: Path, net: nn.Module) -> None:
    _saved(PhotoUNet, tmp_path / "photo.safetensors")
    for arguments, words in {
        ("net.onnx", "--size", "17x16"): "--size 17x16: both sides must be multiples of 2, the net's grid",
        ("net.onnx", "--size", "16"): "--size 16 must be WIDTHxHEIGHT in pixels, as 512x512",
        ("net.onnx", "--opset", "16"): "--opset 16 is older than 17",
        ("net.onnx", "--quality", "75"): "--quality 75: net.safetensors is not told the JPEG quality of its input",
        ("net.onnx", "--test", "Set5"): "--test goes with .safetensors, and -o is net.onnx",
        ("net.pt2", "--uint8"): "--uint8 goes with .onnx, and -o is net.pt2",
        ("net.pt2", "--half"): "--half goes with .onnx, .dtmodel and .html, and -o is net.pt2",
        ("net.dtmodel", "--size", "16x16"): "--size goes with .onnx, and -o is net.dtmodel",
    }.items():
        assert words in export("-m", "net.safetensors", "-o", *arguments, code=1)
    said = export("-m", "photo.safetensors", "-o", "net.onnx", code=1)
    assert "photo.safetensors must be told the JPEG quality of its input: --quality 75; 100: never compressed" in said
    said = export("-m", "photo.safetensors", "-o", "net.onnx", "--quality", "0", code=1)
    assert "JPEG quality 0 must lie between 1 and 100" in said
    assert "ircnn is a loop around its denoisers" in export("-m", "ircnn", "-o", "net.onnx", code=1)
    assert not list(tmp_path.glob("*.onnx"))
