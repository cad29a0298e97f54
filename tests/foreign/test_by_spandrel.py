"""Nets that spandrel finds in a file of tensors."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.tiny import TINY, photograph
from PIL import Image
from torch import nn

from zoomsr.foreign.opening import open_net
from zoomsr.imaging import files
from zoomsr.imaging.pixels import to_float
from zoomsr.imaging.resize import downscale
from zoomsr.inference.upscaler import Upscaler
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import measure

Evaluate = Callable[..., dict[str, Any]]
Tensors = dict[str, torch.Tensor]


def _works() -> bool:
    try:
        import spandrel
    except Exception:  # a torchvision that does not fit torch raises errors of any type
        return False
    return bool(spandrel)


needs_spandrel = pytest.mark.skipif(not _works(), reason="pip install zoomsr[spandrel], and a torchvision that fits")


class Compact(nn.Sequential):
    """SRVGGNetCompact of Real-ESRGAN (Wang et al., ICCVW 2021), which spandrel finds by its keys ``body.N``."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(8)]
        for _ in range(2):
            layers += [nn.Conv2d(8, 8, 3, padding=1), nn.PReLU(8)]
        self.body = nn.Sequential(*layers, nn.Conv2d(8, 12, 3, padding=1))

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        larger = nn.functional.interpolate(lr, scale_factor=2, mode="nearest")
        return nn.functional.pixel_shuffle(self.body(lr), 2) + larger


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """As BasicSR writes it."""
    path = tmp_path / "compact.pth"
    torch.save({"params": dict(Compact().state_dict())}, path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "One"
    root.mkdir()
    Image.fromarray(photograph(40, 44)).save(root / "a.png")
    return root


def _missing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "spandrel" else found(name))


def test_without_spandrel_one_line_says_what_to_install(
    evaluate: Evaluate, saved: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _missing(monkeypatch)
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}", "model=spandrel", f"ckpt={saved}")
    assert "error: model=spandrel needs an extra: pip install zoomsr[spandrel]" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"compact\.pth does not say which net it holds: .*zoomsr\[spandrel\]"):
        open_net(saved)


def test_training_it_is_refused(command: Callable[..., Path], capsys: pytest.CaptureFixture[str], photos: Path) -> None:
    with pytest.raises(SystemExit):
        command(*TINY, "model=spandrel", f"data.root={photos}")
    assert "model=spandrel is for evaluate" in " ".join(capsys.readouterr().err.split())


@needs_spandrel
def test_a_net_of_basicsr_is_measured_as_it_is(evaluate: Evaluate, saved: Path, folder: Path) -> None:
    results = evaluate(f"data_dir={folder}", "model=spandrel", f"ckpt={saved}")
    hr = files.read(folder / "a.png")
    with torch.no_grad():
        sr = Compact()(to_float(downscale(hr, 2))[None])[0]
    expected = measure(sr, to_float(hr), protocol=MODERN, border=2).tolist()
    row = results["sets"]["One"]["compact"]["modern"]["images"]["a"]
    assert list(row.values()) == pytest.approx(expected, abs=1e-3)
    assert results["nets"]["compact"]["kind"] == "RealESRGAN Compact by spandrel"
    assert results["nets"]["compact"]["params"] == sum(one.numel() for one in Compact().parameters())


@needs_spandrel
def test_zoom_opens_it_and_finds_its_reach(saved: Path) -> None:
    net = Upscaler.open(str(saved)).net
    assert net.scale == 2
    opened = open_net(saved).net
    assert (opened.halo, opened.multiple_of) == (4, 1)


@needs_spandrel
@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"params": {"a.weight": torch.ones(3)}}, "which spandrel does not know"),
        ({"params": {"a.weight": torch.full((3,), torch.nan)}}, "holds NaN or Inf"),
        ({"params": {**Compact().state_dict(), "body.2.weight": torch.ones(8, 9, 3, 3)}}, "make: .* size mismatch for"),
    ],
)
def test_files_of_no_net_are_one_line(data: dict[str, Tensors], words: str, tmp_path: Path) -> None:
    torch.save(data, tmp_path / "odd.pth")
    with pytest.raises(ValueError, match=words) as error:
        open_net(tmp_path / "odd.pth")
    assert "\n" not in str(error.value)
