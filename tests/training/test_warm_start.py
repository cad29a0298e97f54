"""A training that starts from trained weights, of its own scale or another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from _support.zooming import UNET_CONFIG
from torch import nn

from zoomsr.imaging.degradations import Bicubic
from zoomsr.models.ircnn import IRCNN
from zoomsr.models.photo_unet import PhotoUNet
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.pretrained.weights import Weights, open_plain
from zoomsr.runs.run import Run
from zoomsr.training.callbacks.results import TRAINED_ON, Results
from zoomsr.training.warm_start import starting_point, trained_on, warm_start, with_teacher

TAIL = {"tail.weight", "tail.bias"}
UNET = ["model=unet", "model.widths=[6,5]", "model.blocks=[1,1]"]


def _config(**changed: Any) -> dict[str, Any]:
    return {**UNET_CONFIG, "scale": 3, **changed}


def _weights(path: Path, **changed: Any) -> Weights:
    """Of a U-Net with random weights, written and read."""
    config = _config(**changed)
    net = ResidualUNet(**{key: value for key, value in config.items() if key != "_target_"})
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    Weights(path, net.state_dict(), config).save(path)
    return Weights.read(path)


def test_what_fits_is_loaded_and_the_rest_is_listed(tmp_path: Path) -> None:
    weights = _weights(tmp_path / "two.safetensors", scale=2)
    net = ResidualUNet(scale=3, widths=[6, 5], blocks=[1, 1])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert warm_start(net, weights, _config()) == "scale=3 instead of 2; tail.weight, tail.bias start anew"
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name] if name.startswith("tail") else weights.tensors[name]), name


def test_of_the_same_scale_all_of_it_is_loaded(tmp_path: Path) -> None:
    weights = _weights(tmp_path / "three.safetensors")
    net = ResidualUNet(scale=3, widths=[6, 5], blocks=[1, 1])
    assert warm_start(net, weights, _config()) is None
    assert all(torch.equal(value, weights.tensors[name]) for name, value in net.state_dict().items())
    # Without a description it cannot be of another scale on purpose.
    other = Weights(weights.path, _weights(tmp_path / "two.safetensors", scale=2).tensors, None)
    with pytest.raises(ValueError, match="which does not fit the"):
        warm_start(net, other, _config())


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"channels": 1}, "channels=3 instead of 1; head.weight, tail.weight, tail.bias start anew"),
        (
            {"scale": 2, "blocks": [2, 1]},
            "blocks=[1, 1] instead of [2, 1], scale=3 instead of 2; tail.weight, tail.bias start anew; "
            "decoder.0.1.first.bias, decoder.0.1.first.weight, decoder.0.1.second.bias, decoder.0.1.second.weight and "
            "4 more of the file not used",
        ),
    ],
)
def test_of_another_head_what_fits_is_loaded(tmp_path: Path, held: dict[str, Any], said: str) -> None:
    net = ResidualUNet(scale=3, widths=[6, 5], blocks=[1, 1])
    before = {name: value.clone() for name, value in net.state_dict().items()}
    weights = _weights(tmp_path / "net.safetensors", **held)
    assert warm_start(net, weights, _config()) == said
    anew = said.partition(" start anew")[0].rpartition("; ")[2].split(", ")
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name] if name in anew else weights.tensors[name]), name


def test_a_net_of_which_less_than_half_fits_is_refused(tmp_path: Path) -> None:
    small = {"widths": [4, 4], "blocks": [0, 0]}
    net = ResidualUNet(scale=3, widths=[4, 4], blocks=[0, 0])  # 248 of 1247 parameters are not the tail's
    before = {name: value.clone() for name, value in net.state_dict().items()}
    for held, share in (({"scale": 2, **small}, "20%"), ({"widths": [8, 5]}, r"\d+%")):
        with pytest.raises(
            ValueError, match=rf"net\.safetensors holds .*, of which {share} fit the net here: less than half"
        ):
            warm_start(net, _weights(tmp_path / "net.safetensors", **held), _config(**small))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def _start(ckpt: str, mode: str = "weights") -> ResidualUNet:
    """The net of a training at scale 3 before its first step."""
    net = ResidualUNet(scale=3, widths=[6, 5], blocks=[1, 1])
    assert starting_point(net, _config(), ckpt=ckpt, mode=mode, run_dir=Path("run")).resume is None
    return net


def test_a_pretrained_name_is_the_net_of_the_training_s_scale_where_there_is_one(
    unets: Mapping[int, nn.Module], weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("unet", "unet_x3"):
        assert _start(name).state_dict().keys() == _equal(_start(name), unets[3])
    assert "start anew" not in capsys.readouterr().out
    assert _equal(_start(str(weights / "unet.safetensors")), unets[2]) == set(unets[2].state_dict()) - TAIL
    (weights / "unet_x3.safetensors").unlink()
    capsys.readouterr()
    assert _equal(_start("unet"), unets[2]) == set(unets[2].state_dict()) - TAIL
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("unet.safetensors: scale=3 instead of 2; tail.weight, tail.bias start anew")
    with pytest.raises(ValueError, match="ckpt=unet is a pretrained net and no checkpoint of a run: add ckpt_mode=w"):
        _start("unet", "resume")


def _equal(net: nn.Module, other: nn.Module) -> set[str]:
    """Names of the tensors that are the same in both."""
    own = net.state_dict()
    return {name for name, value in other.state_dict().items() if torch.equal(own[name], value)}


def test_a_run_says_what_its_first_weights_had_been_trained_on(train: Callable[..., Run], tmp_path: Path) -> None:
    small = ("data.patches_per_image=2", "data.patch=36")
    first = train(*small, "trainer.max_epochs=1", net=UNET)
    started = [*small, "scale=3", f"ckpt={first.path}", "ckpt_mode=weights", f"hydra.run.dir={tmp_path / 'run1'}"]
    second = train(*started, "trainer.max_epochs=1", net=UNET)
    assert first.results is not None
    assert second.results is not None
    data = first.results["data"]
    seen = [f"{data['n_train']} of {data['name']}"]
    assert "started_from" not in data
    assert second.results["data"]["started_from"] == seen
    last = Weights.read(second.path / "checkpoints" / "last.ckpt")
    assert trained_on(last) == seen * 2
    results = Results(str(tmp_path), net_name="unet", net_config={}, settings_hash="")
    results.on_load_checkpoint(SimpleNamespace(training=True), None, open_plain(last.path))  # type: ignore[arg-type]
    saved: dict[str, Any] = {}
    source = SimpleNamespace(n_train=data["n_train"], name=data["name"])
    results.on_save_checkpoint(SimpleNamespace(datamodule=SimpleNamespace(source=source)), None, saved)  # type: ignore[arg-type]
    assert saved[TRAINED_ON] == seen * 2


def test_a_net_has_seen_what_its_teacher_has_too(tmp_path: Path) -> None:
    teacher = str(_weights(tmp_path / "net.safetensors").path)
    assert with_teacher(["4 of a"], None, scale=2) == ["4 of a"]
    assert with_teacher(["4 of a"], teacher, scale=2) == ["4 of a", "unknown (net.safetensors)"]
    assert with_teacher(["unknown (net.safetensors)"], teacher, scale=2) == ["unknown (net.safetensors)"]
    assert with_teacher([], "unet", scale=3)[-1] == "504 of photos"


def test_weights_that_do_not_say_what_they_were_trained_on_are_unknown(tmp_path: Path) -> None:
    assert trained_on(_weights(tmp_path / "net.safetensors")) == ["unknown (net.safetensors)"]


@pytest.mark.slow
def test_a_run_of_three_times_learns_and_resumes_at_its_own_scale_alone(
    train: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    run = train("scale=3", "data.patch=36", "data.patches_per_image=16", "trainer.max_epochs=4", net=UNET)
    rows = run.epochs
    assert rows[-1]["val/psnr_y"] > rows[0]["val/psnr_y"]
    assert run.results is not None
    assert run.results["net"]["config"]["scale"] == 3
    with pytest.raises(SystemExit):
        train("scale=2", f"ckpt={run.path}/checkpoints/best.ckpt", net=UNET)
    assert "and scale=2 was asked for" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train("scale=3", "data.patch=32", net=UNET)
    assert "error: data.patch 32 must be a multiple of the scale 3: data.patch=30" in capsys.readouterr().err


def test_a_net_takes_what_fits_of_the_one_that_it_extends(tmp_path: Path) -> None:
    weights = _weights(tmp_path / "plain.safetensors")
    net = PhotoUNet(scale=3, widths=[6, 5], blocks=[1, 1])
    wanted = {**_config(), "_target_": "zoomsr.models.photo_unet.PhotoUNet"}
    anew = warm_start(net, weights, wanted)
    names = "head.into, head.out, head.shift, encoder.0.0.first.into and 30 more"
    assert anew == f"PhotoUNet instead of ResidualUNet; {names} start anew"
    lr = torch.rand(1, 3, 9, 12)
    plain = ResidualUNet(scale=3, widths=[6, 5], blocks=[1, 1])
    plain.load_state_dict(dict(weights.tensors))
    torch.testing.assert_close(net(lr, torch.tensor([40.0])), plain(lr))


def test_a_net_that_keeps_weights_needs_trained_ones(
    train: Callable[..., Run], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        train("degradation=camera", net=["model=unet_photo", "model.widths=[6,5]", "model.blocks=[1,1]"])
    wanted = "error: PhotoUNet trains a part of its weights and needs trained ones for the rest: ckpt=unet "
    assert wanted + "ckpt_mode=weights\n" in capsys.readouterr().err


def test_a_net_that_trains_nothing_has_the_weights_of_its_checkpoint(tmp_path: Path) -> None:
    arguments = {"scale": 2, "width": 4, "n_denoisers": 2, "iterations": 2, "back_projections": 1}
    bicubic = {"_target_": "zoomsr.imaging.degradations.Bicubic", "scale": 2}
    config = {"_target_": "zoomsr.models.ircnn.IRCNN", "degradation": bicubic, **arguments}
    trained, net = (IRCNN(degradation=Bicubic(2), **arguments) for _ in range(2))
    for parameter in trained.parameters():
        nn.init.normal_(parameter)
    path = tmp_path / "denoisers.safetensors"
    Weights(path, trained.state_dict(), config).save(path)
    for ckpt in (None, "last"):  # its run leaves no checkpoint
        with pytest.raises(ValueError, match="IRCNN trains nothing and needs trained weights: ckpt=FILE"):
            starting_point(net, config, ckpt=ckpt, mode="resume", run_dir=tmp_path)
    start = starting_point(net, config, ckpt=str(path), mode="resume", run_dir=tmp_path)
    assert (start.resume, start.weights) == (None, path)
    assert all(torch.equal(value, trained.state_dict()[name]) for name, value in net.state_dict().items())
