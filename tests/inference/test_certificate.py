"""Certificates and maps of enlargements, of every kind of file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from _support.zooming import Zoom
from PIL import Image

from zoomsr import load_model, upscale
from zoomsr.imaging import decode
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.pixels import crop_to_multiple, to_float
from zoomsr.imaging.resize import downscale, resize
from zoomsr.inference import batch, certificate
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import METRICS, measure
from zoomsr.models.back_projection import BackProjection
from zoomsr.runs.files import sha256_of


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray((photograph(40, 60) * 0.6 + 50).astype(np.uint8)).save(path)
    return path


def _tensor(path: Path) -> torch.Tensor:
    pixels = Photograph.read(path).pixels
    return torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1) / np.iinfo(pixels.dtype).max


def _error(large: Path, small: Path, *, scale: int = 2) -> float:
    return float((downscale(_tensor(large), scale) - _tensor(small)).abs().max()) * 255


def test_zoom_is_faithful_unless_told_otherwise(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    zoom(photo, "-m", "srcnn")
    zoom(photo, "-m", "srcnn", "--back-projection", 0, "-o", "net.png")
    assert _error(tmp_path / "photo-x2.png", photo) < 1  # the half level of rounding, at most twice
    assert _error(tmp_path / "net.png", photo) > 3


@pytest.mark.usefixtures("unets")
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_api_is_too_at_every_scale_in_8_and_16_bit_and_floats(scale: int) -> None:
    for pixels, limit in (
        ((photograph(20, 30) * 0.3 + 90).astype(np.uint8), 1.0),
        ((photograph(20, 30) * 0.3 + 90).astype(np.uint16) * 257, 0.5),
        (photograph(20, 30).astype(np.float32) / 850 + 0.35, 0.5),
    ):
        white = 1 if pixels.dtype == np.float32 else np.iinfo(pixels.dtype).max
        for image in (pixels, np.dstack([pixels, np.full_like(pixels[..., :1], white)])):
            large = upscale(image, scale=scale)[..., :3].astype(np.float32) / white
            small = downscale(torch.from_numpy(large).permute(2, 0, 1), scale).permute(1, 2, 0).numpy()
            error = np.abs(small - pixels.astype(np.float32) / white).max() * 255
            assert error <= limit
        assert np.abs(upscale(pixels, scale=scale, back_projection=0).astype(float) / white - large).max() > 1 / 255


def test_a_certificate_holds_what_was_measured(zoom: Zoom, photo: Path, weights: Path, tmp_path: Path) -> None:
    said = zoom(photo, "-m", "srcnn", "--certify", "--tile", 16, "--box", "4,2,40,30")
    found = json.loads((tmp_path / "photo-x2.json").read_text())
    Photograph(Photograph.read(photo).pixels[2:32, 4:44]).write(tmp_path / "crop.png")
    difference = (downscale(_tensor(tmp_path / "photo-x2.png"), 2) - _tensor(tmp_path / "crop.png")).abs() * 255
    assert found["error"]["largest"] == pytest.approx(float(difference.max()), abs=1e-4)
    assert found["error"]["mean"] == pytest.approx(float(difference.mean()), abs=1e-4)
    assert f"at most {difference.max():.2f} grey levels" in said
    assert found["input"] == {"file": "photo.png", "sha256": sha256_of(photo), "box": [4, 2, 40, 30]}
    assert found["output"] == {"file": "photo-x2.png", "sha256": sha256_of(tmp_path / "photo-x2.png")}
    assert found["net"] == {"name": "srcnn", "weights_sha256": sha256_of(weights / "srcnn.safetensors")}
    assert (found["settings"]["back_projection"], found["settings"]["tile"]) == (2, 16)
    assert found["versions"]["zoomsr"]


def test_the_losses_of_jpeg_and_of_no_back_projection_count(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    zoom(photo, "-m", "srcnn", "--certify", "-o", "a.jpg", "--quality", 30)
    zoom(photo, "-m", "srcnn", "--certify", "-o", "b.png", "--back-projection", 0)
    for name, suffix in (("a", "jpg"), ("b", "png")):
        found = json.loads((tmp_path / f"{name}.json").read_text())["error"]["largest"]
        assert found == pytest.approx(_error(tmp_path / f"{name}.{suffix}", photo), abs=1e-4)
        assert found > 3


def test_several_passes_are_shrunk_as_often(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    zoom(photo, "-m", "srcnn", "--certify", "--scale", 4)
    found = json.loads((tmp_path / "photo-x4.json").read_text())
    assert found["settings"]["passes"] == 2
    assert found["error"]["largest"] < 1.5


def test_parts_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    lr, sr = photograph(70, 45), photograph(280, 180, seed=1)
    whole = certificate.reshrink_error(lr, sr, scale=2, passes=2)
    monkeypatch.setattr(certificate, "TILE", 16)
    assert certificate.reshrink_error(lr, sr, scale=2, passes=2) == pytest.approx(whole, rel=1e-5)


def test_a_picture_that_is_streamed(zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Photograph((photograph(40, 60) * 0.6 + 50).astype(np.uint8)).write(tmp_path / "a.tif")
    zoom("a.tif", "-m", "srcnn", "-o", "whole.tif", "--certify", "--tile", "16")
    for module in (batch, certificate):
        monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    zoom("a.tif", "-m", "srcnn", "-o", "parts.tif", "--certify", "--tile", "16", "--map", "map.png")
    whole, parts = (json.loads((tmp_path / f"{name}.json").read_text())["error"] for name in ("whole", "parts"))
    assert parts == whole
    assert whole["largest"] < 1
    assert decode.MAX_PIXELS > 1000
    said = zoom("a.tif", "-m", "srcnn", "--box", "0,0,40,40", "-o", "b.png", "--certify", code=1)
    assert "b.png will be too large to be certified, unless it is a TIFF: -o FILE.tif" in said
    assert not (tmp_path / "b.png").exists()


def test_transparent_colours_are_compared_as_they_are_seen() -> None:
    lr = np.dstack([photograph(8, 9), np.zeros((8, 9, 1), np.uint8)])
    sr = np.dstack([photograph(16, 18, seed=1), np.zeros((16, 18, 1), np.uint8)])
    assert certificate.reshrink_error(lr, sr, scale=2, passes=1) == (0, 0)
    lr[..., 3], sr[..., 3] = 255, 255
    opaque = certificate.reshrink_error(lr[..., :3], sr[..., :3], scale=2, passes=1)
    assert certificate.reshrink_error(lr, sr, scale=2, passes=1) == pytest.approx(opaque)


def test_a_map_shows_where_detail_was_added(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    small = _tensor(photo)
    added = np.asarray(resize(small, (80, 120)).permute(1, 2, 0)) * 255
    added[30:50, 60:90] += 16 * 255 / 219  # 16 levels of luma
    Photograph(np.rint(added).clip(0, 255).astype(np.uint8)).write(tmp_path / "more.png")
    certificate.write_map(photo, tmp_path / "more.png", tmp_path / "m.png", box=None, factor=2, overwrite=False)
    pixels = Photograph.read(tmp_path / "m.png").pixels
    assert (pixels.dtype, pixels.shape) == (np.uint8, (80, 120, 3))
    assert np.abs(pixels[38:42, 70:80].astype(int) - (252, 253, 191)).max() <= 3
    assert pixels[:20, :40].max() < 20
    zoom(photo, "-m", "srcnn", "--map", "maps/a.png")
    assert Photograph.read(tmp_path / "maps" / "a.png").pixels.max() > 60
    zoom(photo, "-m", "bicubic", "--map", "bicubic.png", "-o", "b.png")
    assert Photograph.read(tmp_path / "bicubic.png").pixels.max() < 20


@pytest.mark.slow
@pytest.mark.skipif(
    "ZOOMSR_BENCHMARKS" not in os.environ, reason="ZOOMSR_BENCHMARKS names no folder of Set5, Set14, B100"
)
@pytest.mark.parametrize(("name", "least"), [("Set5", 0), ("Set14", 0), ("B100", -0.001)])
def test_published_pictures_shrink_to_their_input_and_lose_nothing_on_average(name: str, least: float) -> None:
    net, gains = load_model("unet", device="cpu"), []
    for path in sorted(Path(os.environ["ZOOMSR_BENCHMARKS"], name, "HR").iterdir()):
        hr = crop_to_multiple(torch.from_numpy(Photograph.read(path).pixels.transpose(2, 0, 1).copy()), 2)
        lr = to_float(downscale(hr.expand(3, -1, -1), 2))
        with torch.no_grad():
            plain = net(lr[None])[0]
            sr = BackProjection(net)(lr[None])[0]
        assert (downscale(sr, 2) - lr).abs().max() * 255 <= 0.5, path
        before, after = (
            float(measure(one, to_float(hr.expand(3, -1, -1)), protocol=MODERN, border=2)[METRICS.index("psnr_y")])
            for one in (plain, sr)
        )
        assert after >= before - 0.05, path  # two of B100 lose 0.02 and 0.03 dB
        gains.append(after - before)
    assert fmean(gains) > least  # the better the net, the less there is to gain: -0.0005 dB on B100


def test_bad_input_is_one_line(zoom: Zoom, photo: Path, tmp_path: Path) -> None:
    Image.fromarray(photograph(9, 9)).save(tmp_path / "other.png")
    (tmp_path / "photo-x2.json").write_text("mine")
    for arguments, line in (
        (("--certify",), "photo-x2.json is there already: --overwrite replaces it"),
        (("--map", "m.jpg"), "--map m.jpg is no PNG: give FILE.png"),
        (("--map", "m.png", "other.png"), "--map m.png is one file, for 2 photographs: give one photograph"),
        (("--map", "photo.png", "--overwrite"), "--map photo.png is the photograph itself or its enlargement"),
        (("--map", "photo-x2.png"), "--map photo-x2.png is the photograph itself or its enlargement"),
        (("--map", "other.png"), "other.png is there already: --overwrite replaces it"),
        (("--map", "other.png/m.png"), "other.png/m.png cannot be written: other.png is no folder, name another with"),
        (("--certify", "--scale", "1.5", "--overwrite"), "--certify and --map go with a net's whole scale"),
        (("--certify", "--compare"), "--certify and --map go with an enlargement, not with --compare or --inspect"),
    ):
        assert line in zoom(photo, "-m", "srcnn", *arguments, code=1)
    assert (tmp_path / "photo-x2.json").read_text() == "mine"
    assert not (tmp_path / "photo-x2.png").exists()
    with pytest.raises(ValueError, match="10x16 is not 2 times 9x8"):
        certificate.reshrink_error(photograph(8, 9), photograph(16, 10), scale=2, passes=1)
