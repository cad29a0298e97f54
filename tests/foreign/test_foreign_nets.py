"""Nets of other projects in the commands, beside ours."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _support.commands import said_by
from _support.graphs import Deconvolution
from _support.tiny import photograph
from _support.zooming import PIXELS, Zoom
from PIL import Image

from zoomsr import load_model, upscale
from zoomsr.evaluation import evaluator
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.foreign.graph_file import onnx_net
from zoomsr.foreign.net import ForeignNet
from zoomsr.foreign.reach import Reach
from zoomsr.imaging import files
from zoomsr.imaging.degradations import Bicubic
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.pixels import crop_to_multiple, luma, quantize, to_float
from zoomsr.imaging.resize import downscale
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.metrics.protocol import CLASSIC, MODERN
from zoomsr.metrics.quality import METRICS, measure
from zoomsr.runs.files import sha256_of
from zoomsr.webapp.steps import Nets, upscaled

pytest.importorskip("onnx", reason="pip install zoomsr[export]")
pytest.importorskip("onnxruntime", reason="pip install zoomsr[export]")

Evaluate = Callable[..., dict[str, Any]]
NET = Deconvolution()
SIZES = {"odd": (41, 52), "even": (40, 44)}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return NET.save(tmp_path / "other.onnx", trained_on="DF2K")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A benchmark of two pictures."""
    root = tmp_path / "Two"
    root.mkdir()
    for name, size in SIZES.items():
        Image.fromarray(photograph(*size)).save(root / f"{name}.png")
    return root


def test_a_net_of_others_gets_its_row_in_evaluate_and_in_compare(
    evaluate: Evaluate, folder: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = evaluate(f"data_dir={folder}", f"ckpt=[srcnn,{other}]")
    said = " ".join(capsys.readouterr().out.split())
    assert f"other.onnx: ONNX, x2, RGB, {results['nets']['other']['params']:,} parameters, trained on DF2K" in said
    assert list(results["sets"]["Two"]) == ["bicubic", "srcnn", "other"]
    about = results["nets"]["other"]
    assert (about["kind"], about["engine"], about["trained_on"]) == ("ONNX", "onnx", "DF2K")
    assert about["weights"] == {"path": str(other), "sha256": sha256_of(other)}
    for name in SIZES:
        hr = crop_to_multiple(files.read(folder / f"{name}.png"), 2)
        sr = NET(to_float(downscale(hr, 2))[None])[0]
        expected = measure(sr, to_float(hr), protocol=MODERN, border=2).tolist()
        row = results["sets"]["Two"]["other"]["modern"]["images"][name]
        assert list(row.values()) == pytest.approx(expected, abs=1e-3), METRICS

    from zoomsr.compare import app

    said_by(app, [tmp_path / "out", "-o", tmp_path / "report"], capsys)
    with (tmp_path / "report" / "results.csv").open() as file:
        rows = {row["net"]: row for row in csv.DictReader(file) if row["protocol"] == "modern"}
    assert rows.keys() == {"bicubic", "srcnn", "other"}
    mean = results["sets"]["Two"]["other"]["modern"]["mean"]["psnr_y"]
    assert float(rows["other"]["psnr_y"]) == pytest.approx(mean, abs=1e-4)
    assert int(float(rows["other"]["params"])) == about["params"]
    assert "ONNX; trained on: DF2K" in (tmp_path / "report" / "index.html").read_text()


def test_a_large_picture_is_measured_in_tiles_where_they_are_exact(
    folder: Path, other: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, sizes = onnx_net(other), defaultdict(list)
    exact, far = (ForeignNet(replace(opened.facts, reach=Reach(1, 3, seam)), opened.run) for seam in (0.0, 3.2))
    images = Benchmark.find(folder, scale=2, published_lr=False)

    def measured() -> evaluator.Scores:
        return evaluator.evaluate(
            {"exact": exact, "far": far}, images, degradation=Bicubic(2), device=torch.device("cpu"), advance=list
        )

    whole, forward = measured(), ForeignNet.forward
    monkeypatch.setattr(evaluator, "_LARGEST_WHOLE", 0)
    monkeypatch.setattr(evaluator, "TILE", 6)
    monkeypatch.setattr(ForeignNet, "forward", lambda net, lr: sizes[net].append(lr[0, 0].numel()) or forward(net, lr))
    for name, protocols in measured().items():
        for protocol, scores in protocols.items():
            for image, score in scores.items():
                assert score.as_dict() == pytest.approx(whole[name][protocol][image].as_dict(), abs=1e-4)
    assert max(sizes[exact]) <= (6 + 2 * 3) ** 2
    assert set(sizes[far]) == {20 * 26, 20 * 22}


def test_a_graph_of_fixed_size_is_measured_as_the_free_one(
    evaluate: Evaluate, folder: Path, other: Path, tmp_path: Path
) -> None:
    fixed = Deconvolution(size=(20, 18)).save(tmp_path / "fixed.onnx")
    results = evaluate(f"data_dir={folder}", f"ckpt=[{other},{fixed}]")
    free, found = (results["sets"]["Two"][name]["modern"]["mean"] for name in ("other", "fixed"))
    assert found == pytest.approx(free, abs=1e-4)
    assert results["nets"]["fixed"]["kind"] == "ONNX of 18x20 pixels"


def test_a_net_on_luma_is_measured_as_ours_on_luma(evaluate: Evaluate, folder: Path, tmp_path: Path) -> None:
    """Protocol classic gives it Y that was never rounded."""
    net = Deconvolution(channels=1)
    results = evaluate(f"data_dir={folder}", f"ckpt={net.save(tmp_path / 'y.onnx')}")
    hr = crop_to_multiple(files.read(folder / "odd.png"), 2)
    y = to_float(quantize(luma(to_float(hr))))
    classic = measure(net(downscale(y, 2)[None])[0], y, protocol=CLASSIC, border=2)
    found = results["sets"]["Two"]["y"]["classic"]["images"]["odd"]["psnr_y"]
    assert found == pytest.approx(float(classic[METRICS.index("psnr_y")]), abs=1e-3)


def test_mistakes_are_one_line(
    evaluate: Evaluate, folder: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = {
        "scale=3": f"{other} upscales by 2, not by scale=3",
        "engine=openvino": f"engine openvino: {other} is run by onnx alone",
    }
    for override, words in cases.items():
        with pytest.raises(SystemExit):
            evaluate(f"data_dir={folder}", f"ckpt={other}", override)
        said = " ".join(capsys.readouterr().err.split())
        assert f"error: {words}" in said
        assert "Traceback" not in said


def test_zoom_tiles_it_without_seams(zoom: Zoom, other: Path, tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    said = zoom("a.png", "-m", other, "--tile", 8, "--back-projection", 0)
    assert "other.onnx: ONNX, x2, RGB, " in said
    assert "looks farther" not in said
    expected = quantize(NET(to_float(files.read(tmp_path / "a.png"))[None]))[0]
    assert (files.read(tmp_path / "a-x2.png").int() - expected.int()).abs().max() <= 1
    assert len(list((tmp_path / "cache" / "reach").iterdir())) == 1


def test_zoom_and_the_page_run_a_graph_of_fixed_size(zoom: Zoom, other: Path, tmp_path: Path) -> None:
    fixed = Deconvolution(size=(16, 18)).save(tmp_path / "fixed.onnx")
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    zoom("a.png", "-m", fixed, "--tile", 30, "--back-projection", 0)
    expected = quantize(NET(to_float(files.read(tmp_path / "a.png"))[None]))[0]
    assert (files.read(tmp_path / "a-x2.png").int() - expected.int()).abs().max() <= 1
    free, found = (
        upscaled(
            Photograph.with_pixels(PIXELS), Nets([str(path)], device="cpu").open(path.stem, 2), 2
        ).photograph.pixels
        for path in (other, fixed)
    )
    assert np.abs(free.astype(int) - found).max() <= 1


def test_seams_that_remain_are_told(zoom: Zoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = NET.save(tmp_path / "far.onnx")
    monkeypatch.setattr("zoomsr.foreign.net.measured_reach", lambda run, **facts: Reach(64, 144, 3.21))
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert "far.onnx looks farther than 144 px: its tiles differ by up to 3.2 of 255 levels" in zoom("a.png", "-m", far)
    by_exact = {
        exact: Upscaler.open(str(far), how=NetOptions(exact=exact, back_projection=0)) for exact in (False, True)
    }
    assert by_exact[False].halo == 144
    assert by_exact[True].halo is None
    assert by_exact[True].net.halo > 10**6


def test_seams_of_a_fixed_size_are_told_by_evaluate_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fixed = onnx_net(Deconvolution(size=(64, 32)).save(tmp_path / "fixed.onnx"))
    assert len(fixed.about(tiles=False)) == 1
    monkeypatch.setattr("zoomsr.foreign.net.measured_reach_of_size", lambda run, **facts: Reach(4, 8, 3.21))
    far = onnx_net(Deconvolution(size=(64, 32), width=2).save(tmp_path / "far.onnx"))
    said = far.about(tiles=False)[1]
    assert said.startswith(
        "far.onnx looks farther than 8 px, and its fixed size has no room for more: its tiles differ"
    )


def test_its_reach_is_measured_once(other: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = onnx_net(other).reach
    monkeypatch.setattr("zoomsr.foreign.net.measured_reach", lambda run, **facts: pytest.fail("measured again"))
    assert onnx_net(other).reach == first == Reach(1, 3, first.seam)


def test_a_net_for_other_pixels_is_told(other: Path) -> None:
    opened = onnx_net(other)
    assert len(opened.about(tiles=True)) == 1
    levels = ForeignNet(replace(opened.facts), lambda lr: opened.run(lr) * 0 + 0.02)
    assert "makes 0.02 of a picture with the mean 0.52" in levels.about(tiles=False)[-1]


def test_it_is_a_net_for_python_too(other: Path) -> None:
    lr = torch.rand(1, 3, 9, 7)
    net = load_model(other)
    assert (net.scale, net.channels, net.multiple_of, net.halo) == (2, 3, 1, 3)
    torch.testing.assert_close(net(lr), NET(lr), atol=1e-5, rtol=0)
    larger = upscale(quantize(lr), other, back_projection=0)
    assert (larger.int() - quantize(NET(quantize(lr).float() / 255)).int()).abs().max() <= 1
    steps = Upscaler.open(str(other), how=NetOptions(strength=0.5)).net
    assert steps.halo > 3
    with pytest.raises(ValueError, match="engine openvino"):
        Upscaler.open(str(other), how=NetOptions(engine="openvino"))


def test_the_page_offers_it(other: Path) -> None:
    nets = Nets([str(other)], device="cpu")
    assert "other" in nets.chosen
    shown = upscaled(Photograph.with_pixels(PIXELS), nets.open("other", 4), 4)
    assert shown.photograph.size == (4 * PIXELS.shape[0], 4 * PIXELS.shape[1])
    assert shown.params == sum(one.numel() for one in NET.weights.values()) + 4


def test_what_it_cannot_do_is_one_line(other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from zoomsr.export import app

    said = said_by(app, ["-m", other, "-o", tmp_path / "again.onnx"], capsys, code=1)
    assert "is a graph without a class" in " ".join(said.split())
