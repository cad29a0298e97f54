"""Scores that were measured before: reused where everything is the same, and never otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from _support.tiny import photograph
from omegaconf import OmegaConf
from PIL import Image

from zoomsr.engines.accelerated import Accelerated
from zoomsr.evaluation import evaluator, kept_scores
from zoomsr.evaluation.evaluator import _Measurement
from zoomsr.evaluation.kept_scores import is_ours
from zoomsr.evaluation.recipe import EvaluatedNet
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import cache_folder

Evaluate = Callable[..., dict[str, Any]]
Measured = list[str]

CONFIG = {"_target_": "zoomsr.models.srcnn.SRCNN", "scale": 2, "widths": [4, 4]}


def _save(path: str, *, seed: int = 0) -> None:
    torch.manual_seed(seed)
    Weights(Path(path), SRCNN(widths=[4, 4]).state_dict(), CONFIG).save(Path(path))


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """The names of the images that are measured from now on; of three in ``set``."""
    monkeypatch.chdir(tmp_path)
    Path("set").mkdir()
    for number in range(3):
        Image.fromarray(photograph(16, 20, seed=number)).save(f"set/{number}.png")
    _save("net.safetensors")
    names: Measured = []

    class Counted(_Measurement):
        def __init__(self, net: Any, image: Any, *arguments: Any, **options: Any) -> None:
            names.append(image.name)
            super().__init__(net, image, *arguments, **options)

    monkeypatch.setattr(evaluator, "_Measurement", Counted)
    return names


def test_the_same_evaluation_measures_nothing(
    evaluate: Evaluate, measured: Measured, capsys: pytest.CaptureFixture[str]
) -> None:
    first = evaluate("data_dir=set", "ckpt=net.safetensors")
    assert measured == ["0", "0", "1", "1", "2", "2"]
    assert "reused" not in capsys.readouterr().out
    second = evaluate("data_dir=set", "ckpt=net.safetensors")
    assert len(measured) == 6
    assert "reused   6 of 6 scores were measured before; reuse=false measures all anew" in capsys.readouterr().out
    assert second["sets"] == first["sets"]
    third = evaluate("data_dir=set", "ckpt=net.safetensors", "reuse=false")
    assert len(measured) == 12
    assert third["sets"] == first["sets"]


def test_an_interrupted_evaluation_goes_on(
    evaluate: Evaluate, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = evaluator.Benchmark.read

    def interrupted(self: Any, number: int) -> Any:
        if number == 2:
            raise KeyboardInterrupt
        return read(self, number)

    with monkeypatch.context() as context:
        context.setattr(evaluator.Benchmark, "read", interrupted)
        with pytest.raises(SystemExit):
            evaluate("data_dir=set", "ckpt=net.safetensors")
    measured.clear()
    found = evaluate("data_dir=set", "ckpt=net.safetensors")
    assert measured == ["2", "2"]
    monkeypatch.setenv("ZOOMSR_CACHE", "other")
    assert evaluate("data_dir=set", "ckpt=net.safetensors")["sets"] == found["sets"]


@pytest.mark.parametrize(
    "changed",
    [
        "self_ensemble=true",
        "back_projection=1",
        "degradation=box",
        "degradation=blur_bicubic",
        "model=srcnn model.widths=[4,4] model.scale=2",
    ],
)
def test_another_setting_measures_anew(evaluate: Evaluate, measured: Measured, changed: str) -> None:
    evaluate("data_dir=set", "ckpt=net.safetensors")
    measured.clear()
    evaluate("data_dir=set", "ckpt=net.safetensors", *changed.split())
    is_of_net_alone = changed.startswith("model=")  # bicubic is the same
    assert measured == (["0", "1", "2"] if is_of_net_alone else ["0", "0", "1", "1", "2", "2"])


def test_a_parameter_of_the_degradation_measures_anew(evaluate: Evaluate, measured: Measured) -> None:
    for sigma in (1.0, 2.0):
        evaluate("data_dir=set", "degradation=blur_bicubic", f"degradation.sigma={sigma}")
    assert len(measured) == 6


def test_other_weights_and_other_pictures_are_measured_anew(evaluate: Evaluate, measured: Measured) -> None:
    evaluate("data_dir=set", "ckpt=net.safetensors")
    measured.clear()
    _save("net.safetensors", seed=1)
    evaluate("data_dir=set", "ckpt=net.safetensors")
    assert measured == ["0", "1", "2"]  # of bicubic none
    measured.clear()
    Image.fromarray(photograph(16, 20, seed=9)).save("set/1.png")
    evaluate("data_dir=set", "ckpt=net.safetensors")
    assert measured == ["1", "1"]


def test_published_lr_is_part_of_a_picture(evaluate: Evaluate, measured: Measured) -> None:
    evaluate("data_dir=set")
    Path("set/HR").mkdir()
    Path("set/LRx2").mkdir()
    for number in range(3):
        Path(f"set/{number}.png").rename(f"set/HR/{number}.png")
        Image.fromarray(photograph(8, 10, seed=number)).save(f"set/LRx2/{number}.png")
    measured.clear()
    evaluate("data_dir=set")
    assert measured == ["0", "1", "2"]


def test_neither_another_engine_nor_code_of_others_keeps_or_takes_anything(
    evaluate: Evaluate, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = OmegaConf.create({"degradation": {"_target_": "zoomsr.imaging.degradations.Bicubic"}})
    theirs = OmegaConf.create({"degradation": {"_target_": "mine.Blur"}})
    net = EvaluatedNet(torch.nn.Identity(), CONFIG, None)
    assert net.is_kept(ours)
    assert not net.is_kept(theirs)
    assert not net._replace(engine=cast(Accelerated, object())).is_kept(ours)
    assert not net._replace(config={"_target_": "mynets.Tiny"}).is_kept(ours)
    evaluate("data_dir=set", "ckpt=net.safetensors")
    measured.clear()
    monkeypatch.setattr(EvaluatedNet, "is_kept", lambda self, config: self.weights is None)
    evaluate("data_dir=set", "ckpt=net.safetensors")
    assert measured == ["0", "1", "2"]


def test_other_code_or_another_device_measures_anew(
    evaluate: Evaluate, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate("data_dir=set")
    with monkeypatch.context() as context:
        context.setattr(kept_scores, "code_hash", lambda: "changed")
        evaluate("data_dir=set")
    assert len(measured) == 6
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    evaluate("data_dir=set")
    assert len(measured) == 9


def test_a_changed_number_is_ignored(evaluate: Evaluate, measured: Measured) -> None:
    first = evaluate("data_dir=set")
    (file,) = (cache_folder() / "scores").iterdir()
    lines = file.read_text().splitlines()
    psnr = str(first["sets"]["set"]["bicubic"]["modern"]["images"]["0"]["psnr_y"])
    assert psnr in lines[0]
    file.write_text("\n".join([lines[0].replace(psnr, "99.0"), lines[1][:-20], lines[2]]))
    measured.clear()
    assert evaluate("data_dir=set")["sets"] == first["sets"]
    assert measured == ["0", "1"]


def test_code_of_others_is_known_by_its_target() -> None:
    assert is_ours({**CONFIG, "parts": [{"_target_": "zoomsr.imaging.degradations.Bicubic"}]})
    assert not is_ours({"_target_": "mynets.Tiny"})
    assert not is_ours({"_target_": "zoomsr.imaging.degradations.Chain", "parts": [{"_target_": "mine.Blur"}]})
