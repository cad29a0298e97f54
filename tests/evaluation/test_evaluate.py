"""The evaluation command, on made pictures and (where they are) on Set5 and Set14."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.tiny import photograph
from PIL import Image
from safetensors.torch import save_file

from zoomsr.imaging import files
from zoomsr.imaging.degradations import Bicubic, Chain, Jpeg
from zoomsr.imaging.pixels import crop_to_multiple, luma, quantize, to_float
from zoomsr.imaging.resize import downscale, resize
from zoomsr.metrics.protocol import CLASSIC, MODERN
from zoomsr.metrics.quality import METRICS, measure
from zoomsr.models.photo_unet import PhotoUNet
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.vdsr import VDSR
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of
from zoomsr.runs.run import Run

Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A benchmark in the published layout: an odd-sized colour picture and a grey one."""
    root = tmp_path / "Two"
    for part in ("HR", "LRx2"):
        (root / part).mkdir(parents=True)
    for name, pixels in (("colour", photograph(41, 52)), ("grey", photograph(40, 44)[..., 0])):
        Image.fromarray(pixels).save(root / "HR" / f"{name}.png")
        hr = crop_to_multiple(files.read(root / "HR" / f"{name}.png"), 2)
        lr = downscale(hr, 2).permute(1, 2, 0).numpy()
        Image.fromarray(lr if pixels.ndim == 3 else lr[..., 0]).save(root / "LRx2" / f"{name}.png")
    return root


def test_bicubic_row_follows_both_protocols(evaluate: Evaluate, folder: Path) -> None:
    sets = evaluate(f"data_dir={folder}")["sets"]["Two"]
    assert list(sets) == ["bicubic"]
    hr = crop_to_multiple(files.read(folder / "HR" / "colour.png"), 2)
    size = tuple(hr.shape[1:])
    lr8 = to_float(files.read(folder / "LRx2" / "colour.png"))
    modern = measure(resize(lr8, size), to_float(hr), protocol=MODERN, border=2).tolist()
    assert list(sets["bicubic"]["modern"]["images"]["colour"].values()) == pytest.approx(modern, abs=1e-4)
    y = to_float(quantize(luma(to_float(hr))))
    classic = measure(resize(downscale(y, 2), size), y, protocol=CLASSIC, border=2)
    assert sets["bicubic"]["classic"]["images"]["colour"]["psnr_y"] == pytest.approx(float(classic[2]), abs=1e-4)


def test_grey_file_is_its_own_luma_in_classic_and_rgb_in_modern(evaluate: Evaluate, folder: Path) -> None:
    images = {name: p["images"]["grey"] for name, p in evaluate(f"data_dir={folder}")["sets"]["Two"]["bicubic"].items()}
    grey = to_float(files.read(folder / "HR" / "grey.png")[:1])
    classic = measure(resize(downscale(grey, 2), (40, 44)), grey, protocol=CLASSIC, border=2)
    assert images["classic"]["psnr_y"] == pytest.approx(float(classic[2]), abs=1e-4)
    assert images["classic"]["psnr_rgb"] == images["classic"]["psnr_y"]
    assert images["modern"]["psnr_y"] - images["modern"]["psnr_rgb"] == pytest.approx(1.32, abs=0.1)  # 255 / 219


def test_mean_csv_and_json_agree(
    evaluate: Evaluate, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = evaluate(f"data_dir={folder}")
    assert re.findall(r"^Two, protocol (\w+)(, error)?", capsys.readouterr().out, re.MULTILINE) == [
        *(("modern", ""), ("modern", ", error"), ("classic", "")),
    ]
    rows = list(csv.DictReader((tmp_path / "out" / "images.csv").open()))
    assert len(rows) == 4
    for protocol, part in results["sets"]["Two"]["bicubic"].items():
        own = [row for row in rows if row["protocol"] == protocol]
        for metric in METRICS:
            mean = sum(float(row[metric]) for row in own) / len(own)
            assert part["mean"][metric] == pytest.approx(mean)
    assert results["data"]["n_val"] == 2
    assert set(results["protocols"]) == {"modern", "classic"}
    assert results["versions"]["torch"]


@pytest.mark.slow
def test_several_folders_and_several_checkpoints(evaluate: Evaluate, folder: Path, train: Callable[..., Run]) -> None:
    first, second = train(), train("model.kernels=[9,1,5]", "trainer.max_epochs=1")
    flat = folder / "HR"
    files = ",".join(f"{run.path}/checkpoints/best.ckpt" for run in (first, second))
    results = evaluate(f"data_dir=[{folder},{flat}]", f"ckpt=[{files}]")
    sets = results["sets"]
    for run in (first, second):
        net = results["nets"][f"srcnn {run.path.name}/best"]
        assert net["config"]["kernels"] == ([9, 5, 5] if run is first else [9, 1, 5])
        assert net["weights"]["sha256"] == sha256_of(run.path / "checkpoints" / "best.ckpt")
    assert results["data"]["lr_from_files"] == {"Two": True, "HR": False}
    assert list(sets) == ["Two", "HR"]
    for by_net in sets.values():
        assert list(by_net) == ["bicubic", f"srcnn {first.path.name}/best", f"srcnn {second.path.name}/best"]
    # LR files and LR made here are the same pictures.
    for net, by_protocol in sets["Two"].items():
        assert by_protocol == sets["HR"][net]


def test_weights_load_from_any_of_the_formats(evaluate: Evaluate, folder: Path, tmp_path: Path) -> None:
    net = SRCNN(channels=1, widths=(8, 4))
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    state = net.state_dict()
    save_file(state, tmp_path / "named.safetensors")
    torch.save({f"layers.{number}": value for number, value in enumerate(state.values())}, tmp_path / "ordered.pt")
    arguments = ["model=srcnn", "model.channels=1", "model.widths=[8,4]", f"data_dir={folder}"]
    named, ordered = (evaluate(*arguments, f"ckpt={tmp_path / file}") for file in ("named.safetensors", "ordered.pt"))
    assert named["sets"] == ordered["sets"]
    assert named["sets"]["Two"]["srcnn"] != named["sets"]["Two"]["bicubic"]


def test_the_nets_in_the_box_need_no_file(evaluate: Evaluate, folder: Path) -> None:
    named = evaluate(f"data_dir={folder}", "model=srcnn")["sets"]["Two"]
    several = evaluate(f"data_dir={folder}", "ckpt=[bicubic,srcnn,unet]")["sets"]["Two"]
    assert (list(named), list(several)) == (["bicubic", "srcnn"], ["bicubic", "srcnn", "unet"])
    assert named["srcnn"] == several["srcnn"]
    assert len({nets["modern"]["mean"]["psnr_y"] for nets in several.values()}) == 3


def test_self_ensemble_is_the_mean_of_eight_turns(evaluate: Evaluate, folder: Path) -> None:
    net = VDSR(width=4, depth=3)
    lr = torch.rand(1, 3, 7, 9)
    turns = [(k, flip) for k in range(4) for flip in (False, True)]
    expected = 0
    for k, flip in turns:
        turned = torch.rot90(lr.flip(-1) if flip else lr, k, (2, 3))
        back = torch.rot90(net(turned), -k, (2, 3))
        expected = expected + (back.flip(-1) if flip else back) / 8
    torch.testing.assert_close(SelfEnsemble(net)(lr), expected)
    plain, turned = (evaluate(f"data_dir={folder}", f"self_ensemble={flag}") for flag in ("false", "true"))
    pairs = zip(plain["sets"]["Two"].values(), turned["sets"]["Two"].values(), strict=True)
    for one, other in pairs:  # bicubic is the same in every turn
        assert one["modern"]["mean"]["psnr_y"] == pytest.approx(other["modern"]["mean"]["psnr_y"], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["onnx", "auto"])
def test_another_engine_gives_the_same_scores_and_is_named(evaluate: Evaluate, tmp_path: Path, engine: str) -> None:
    pytest.importorskip("onnxruntime", reason="pip install zoomsr[fast]")
    (tmp_path / "One").mkdir()  # one large picture: one pixel that rounds the other way moves a small one by 5e-4 dB
    Image.fromarray(photograph(400, 600)).save(tmp_path / "One" / "picture.png")
    arguments = f"data_dir={tmp_path}/One", "ckpt=srcnn"
    plain, other = (evaluate(*arguments, f"engine={name}") for name in ("torch", engine))
    assert {net: row["engine"] for net, row in plain["nets"].items()} == {"bicubic": "torch", "srcnn": "torch"}
    expected = "OpenVINO" if engine == "auto" and find_spec("openvino") else "ONNX Runtime"
    assert {net: row["engine"] for net, row in other["nets"].items()} == {"bicubic": "torch", "srcnn": expected}
    for protocol in ("modern", "classic"):
        one, two = (found["sets"]["One"]["srcnn"][protocol]["mean"] for found in (plain, other))
        assert two == pytest.approx(one, abs=2e-3)
        assert two["psnr_rgb"] == pytest.approx(one["psnr_rgb"], abs=2e-4)
        assert two["mae"] == pytest.approx(one["mae"], rel=1e-4)


def test_another_degradation_makes_the_lr(evaluate: Evaluate, folder: Path) -> None:
    bicubic, box = (evaluate(f"data_dir={folder}/HR", f"degradation={name}") for name in ("bicubic", "box"))
    for protocol in ("modern", "classic"):
        assert bicubic["sets"]["HR"]["bicubic"][protocol] != box["sets"]["HR"]["bicubic"][protocol]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data_dir=nowhere"], r"there is no folder nowhere: expected nowhere/HR/\*\.png with or without"),
        (["data_dir=Two/LRx2/empty"], "there is no folder"),
        (["data_dir=Two", "model=unet_seed"], "no net is called unet_seed; the nearest: unet"),
        (["data_dir=Two", "model=ircnn_denoiser"], r"no weights of ircnn_denoiser \(there are: bicubic, ircnn, srcnn"),
        (["data_dir=Two", "model=vdsr", "model.width=8"], "model.width=8 makes another net than the pretrained vdsr"),
        (
            ["data_dir=Two", "model=srcnn", "model.channels=3"],
            "model.channels=3 makes another net than the pretrained srcnn",
        ),
        (["data_dir=Two", "scale=2.5"], "scale=2.5 must be a whole number from 1"),
        (["data_dir=Two", "device=meta"], "device=meta cannot be used here"),
        (["data_dir=Two", "degradation=gaussian_noise"], "gaussian_noise shrinks by 1, not by 2"),
        (["data_dir=[Two,Two]"], r"data_dir holds folders that cannot be told apart"),
        (["data_dir=Two", "model=vdsr", "ckpt=[bad.safetensors,bad.pt]"], "bad.safetensors is damaged"),
        (["data_dir=Two", "ckpt=none.pt", "model=vdsr"], r"there is no file none\.pt"),
        (["data_dir=Two", "device=tpu9"], "device=tpu9 cannot be used here"),
        (["data_dir=Two", "model=vdsr", "ckpt=bad.pt"], "bad.pt is no file of weights"),
        (["model=vdsr"], r"data_dir is not given: data_dir=FOLDER \(HR/ with or without LRx2/, or images\)"),
        ([], "data_dir is not given: .* and model=NAME for a pretrained net, or ckpt=FILE"),
    ],
)
def test_a_mistake_is_one_clear_line(
    evaluate: Evaluate, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (folder.parent / "bad.pt").write_bytes(b"not a pickle")
    (folder.parent / "bad.safetensors").write_bytes(b"\x10" + bytes(20))
    with pytest.raises(SystemExit) as stop:
        evaluate(*arguments)
    assert stop.value.code == 1
    assert re.search(f"^error: .*({message})", capsys.readouterr().err, re.MULTILINE)
    assert not (folder.parent / "out").exists()


def test_mismatched_folders_are_refused(evaluate: Evaluate, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lr = folder / "LRx2" / "colour.png"
    Image.fromarray(photograph(20, 25)).save(lr)
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}")
    assert "colour.png is 25x20, which is not 1/2 of" in capsys.readouterr().err
    lr.unlink()
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}")
    assert "does not match HR: 2 HR and 1 LR files, colour is in one only" in capsys.readouterr().err


def test_folders_of_one_name_are_told_apart(evaluate: Evaluate, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "more" / "Two")
    sets = evaluate(f"data_dir=[{folder},{tmp_path}/more/Two]")["sets"]
    assert list(sets) == [f"{tmp_path.name}/Two", "more/Two"]


def test_published_lr_is_for_bicubic_alone(evaluate: Evaluate, folder: Path) -> None:
    results = evaluate(f"data_dir={folder}", "degradation=box")
    assert results["data"]["lr_from_files"] == {"Two": False}
    assert results["degradation"] == "Box(scale=2)"
    bicubic = evaluate(f"data_dir={folder}")["sets"]["Two"]["bicubic"]
    for protocol, scores in results["sets"]["Two"]["bicubic"].items():
        assert scores["mean"]["psnr_y"] != bicubic[protocol]["mean"]["psnr_y"]


def test_jpeg_files_can_be_measured_under_both_protocols(evaluate: Evaluate, folder: Path) -> None:
    scores = evaluate(f"data_dir={folder}", "degradation=chain")["sets"]["Two"]["bicubic"]
    clean = evaluate(f"data_dir={folder}")["sets"]["Two"]["bicubic"]
    for protocol in ("modern", "classic"):
        assert 0 < clean[protocol]["mean"]["psnr_y"] - scores[protocol]["mean"]["psnr_y"] < 8


def test_weights_of_another_scale_are_refused(
    evaluate: Evaluate, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, config = tmp_path / "x3.safetensors", {"_target_": "zoomsr.models.srcnn.SRCNN", "scale": 3, "widths": [8, 4]}
    Weights(path, SRCNN(scale=3, widths=(8, 4)).state_dict(), config).save(path)
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}", f"ckpt={path}", "model=srcnn", "model.widths=[8,4]")
    assert "x3.safetensors holds SRCNN(scale=3" in capsys.readouterr().err


def test_a_picture_that_is_too_small_is_named(
    evaluate: Evaluate, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(photograph(13, 20)).save(folder / "HR" / "small.png")
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}", "degradation=box")
    assert "HR/small.png: SSIM needs at least 11x11 pixels, not 8x16" in capsys.readouterr().err


def test_pictures_of_one_name_are_refused(
    evaluate: Evaluate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flat").mkdir()
    for suffix in ("png", "jpg"):
        Image.fromarray(photograph(32, 32)).save(tmp_path / "flat" / f"a.{suffix}")
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={tmp_path}/flat")
    assert "have one name: rename or remove one" in capsys.readouterr().err


@pytest.mark.parametrize(
    "widths",
    [
        {"_target_": "pathlib.Path.touch", "self": "owned"},
        {"_target_": "zoomsr.models.srcnn.torch.hub.os.mkdir", "path": "owned"},
        ["${oc.env:HOME}"],
        {"_args_": [1]},
    ],
)
def test_nothing_inside_a_nets_arguments_runs_either(
    evaluate: Evaluate, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, widths: Any
) -> None:
    config = {"_target_": "zoomsr.models.srcnn.SRCNN", "widths": widths}
    save_file({"a": torch.ones(1)}, tmp_path / "evil.safetensors", {"model": json.dumps(config)})
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}", f"ckpt={tmp_path}/evil.safetensors")
    assert re.search("which is no (net of zoomsr|plain text)", capsys.readouterr().err)
    assert not (tmp_path / "owned").exists()


def test_a_checkpoint_cannot_choose_what_code_runs(
    evaluate: Evaluate, folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model = {"_target_": "os.mkdir", "path": f"{tmp_path}/owned"}
    torch.save({"state_dict": {"net.a": torch.ones(1)}, "hyper_parameters": {"model": model}}, tmp_path / "evil.ckpt")
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}", f"ckpt={tmp_path}/evil.ckpt")
    assert "holds a os.mkdir, which is no net of zoomsr" in capsys.readouterr().err
    assert not (tmp_path / "owned").exists()


def test_a_net_is_told_the_jpeg_quality_also_within_others(
    evaluate: Evaluate, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    net = PhotoUNet(widths=[6, 5], blocks=[1, 1]).eval().requires_grad_(requires_grad=False)
    for parameter in net.parameters():
        parameter += 0.05 * torch.randn_like(parameter)
    config = {"_target_": "zoomsr.models.photo_unet.PhotoUNet", "scale": 2, "widths": [6, 5], "blocks": [1, 1]}
    path = tmp_path / "photo.safetensors"
    Weights(path, net.state_dict(), config).save(path)
    jpeg = ["degradation=chain", "degradation.steps.1.quality=30"]
    hr = crop_to_multiple(files.read(folder / "HR" / "colour.png"), 2)
    lr = to_float(Chain([Bicubic(2), Jpeg(30)]).down(hr))[None]
    for option, wrapped in (("self_ensemble=false", net.at(30)), ("self_ensemble=true", SelfEnsemble(net.at(30)))):
        sets = evaluate(f"data_dir={folder}", f"ckpt={path}", *jpeg, option)["sets"]["Two"]
        expected = float(measure(wrapped(lr)[0], to_float(hr), protocol=MODERN, border=2)[2])
        assert sets["photounet"]["modern"]["images"]["colour"]["psnr_y"] == pytest.approx(expected, abs=1e-3)
    untold = float(measure(SelfEnsemble(net.at(100))(lr)[0], to_float(hr), protocol=MODERN, border=2)[2])
    assert abs(untold - expected) > 0.05
    with pytest.raises(SystemExit):
        evaluate(f"data_dir={folder}", f"ckpt={path}", "degradation=camera", "self_ensemble=true")
    assert "do not go with a net that is told a JPEG quality and Camera" in capsys.readouterr().err
