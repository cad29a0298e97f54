"""Exported nets give the net's own pixels, or are not written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.commands import said_by
from _support.tiny import photograph
from PIL import Image

from zoomsr.engines.tiling import upscale_tiled
from zoomsr.inference import onnx_file, release
from zoomsr.inference.release import HALOS, STRAY, Origin, smallest_halo, survives_bfloat16
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.models.back_projection import REACH
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.unet import UNet
from zoomsr.models.vdsr import VDSR
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.run import Run

Export = Callable[..., str]
NETS = {
    "srcnn": (SRCNN, {"widths": [6, 5]}),
    "vdsr": (VDSR, {"width": 4, "depth": 3, "channels": 1}),
    "unet_plain": (UNet, {"width": 4, "depth": 3}),
    "unet": (ResidualUNet, {"widths": [4, 5, 6, 7], "blocks": [2, 1, 1, 1]}),
}


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Export:
    """Runs the command; returns what it printed, as one line."""
    from zoomsr.export import app

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, code: int = 0) -> str:
        text = " ".join(said_by(app, arguments, capsys, code=code).split())
        assert not list(tmp_path.glob(".*"))
        return text

    return run


def _weights(tmp_path: Path, name: str) -> tuple[Path, torch.nn.Module]:
    kind, arguments = NETS[name]
    net = kind(**arguments).eval()
    for parameter in net.parameters():
        parameter.data += 0.03 * torch.randn_like(parameter)
    path = tmp_path / f"{name}.safetensors"
    Weights(path, net.state_dict(), {"_target_": f"{kind.__module__}.{kind.__name__}", **arguments}).save(path)
    return path, net


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_any_batch_height_and_width_gives_the_nets_own_pixels(
    export: Export, tmp_path: Path, name: str, suffix: str
) -> None:
    pytest.importorskip("onnxruntime", reason="pip install zoomsr[export]")
    path, net = _weights(tmp_path, name)
    out = tmp_path / f"net{suffix}"
    said = export("-m", path, "-o", out)
    assert len(re.findall(r"parity \d x \d+x\d+: \d\.\de[-+]\d\d", said)) == 3
    lr = torch.rand(3, 3, 41, 66)
    contract = {"scale": "2", "multiple_of": str(net.multiple_of), "halo": str(net.halo), "channel_order": "RGB"}
    if suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(out)
        found, facts = session.run(None, {"input": lr.numpy()})[0], session.get_modelmeta().custom_metadata_map
        assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    else:
        extra = {"zoomsr.json": ""}
        found = torch.export.load(out, extra_files=extra).module()(lr).numpy()
        facts = json.loads(extra["zoomsr.json"])
    with torch.no_grad():
        assert np.abs(found - net(lr).numpy()).max() < 1e-5
    assert contract.items() <= facts.items()


def test_a_net_that_comes_out_otherwise_is_not_written(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = _weights(tmp_path, "srcnn")
    monkeypatch.setattr(onnx_file, "MAX_DIFFERENCE", -1.0)
    assert "the exported net differs by" in export("-m", path, "-o", "net.pt2", code=1)
    assert not (tmp_path / "net.pt2").exists()


def test_mistakes_are_one_line(export: Export, tmp_path: Path) -> None:
    path, _ = _weights(tmp_path, "srcnn")
    (tmp_path / "other.json").write_text("not a card")
    for arguments, words in {
        ("-m", path, "-o", "net.xyz"): "-o net.xyz must end in .onnx, .dtmodel, .pt2, .html or .safetensors",
        ("-m", path, "-o", path): "is there already: --overwrite replaces it",
        ("-m", path, "-o", "other.safetensors"): "other.json is there already: --overwrite replaces it",
        ("-m", path, "-o", "other.json/net.pt2"): "net.pt2 cannot be written: other.json is no folder, name another",
        ("-m", "vdsrr", "-o", "net.pt2"): "no net is called vdsrr; the nearest: vdsr",
        ("-m", "bicubic", "-o", "net.safetensors"): "bicubic has no weights",
    }.items():
        assert words in export(*arguments, code=1)


@pytest.mark.slow
def test_a_run_becomes_weights_with_a_card(export: Export, train: Callable[..., Run], tmp_path: Path) -> None:
    run = train()
    export("-m", run.path, "-o", tmp_path / "own.safetensors", "--licence", "CC0-1.0")
    card = Card.beside(tmp_path / "own.safetensors")
    assert card is not None
    own, sidecar = (tmp_path / f"own{suffix}" for suffix in (".safetensors", ".json"))
    assert own.stat().st_mode == sidecar.stat().st_mode  # who may read the one may read the other
    assert (card.scale, card.channels, card.licence) == (2, 3, "CC0-1.0")
    assert card.net["_target_"] == "zoomsr.models.srcnn.SRCNN"
    assert card.command.startswith("python -m zoomsr.train data=folder")
    assert card.data == run.results["data"]
    (sets,) = card.sets.values()
    assert sets["srcnn"]["modern"]["psnr_y"] == run.means()["srcnn"]["psnr_y"]
    opened = (
        Upscaler.open(str(tmp_path / "own.safetensors"), how=NetOptions(back_projection=steps)) for steps in (0, 2)
    )
    assert [upscaler.halo for upscaler in opened] == [card.halo, card.halo + 2 * REACH]
    assert Upscaler.open(str(tmp_path / "own.safetensors"), how=NetOptions(exact=True)).halo is None
    with (tmp_path / "own.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match=r"own\.json is the card of other weights"):
        Card.beside(tmp_path / "own.safetensors")


def test_weights_are_16_bit_where_that_costs_nothing(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, net = _weights(tmp_path, "vdsr")
    for most_lost, stored in ((0.1, torch.float16), (0.0, torch.float32)):  # a net of noise loses more than most
        monkeypatch.setattr(release, "MAX_LOST", most_lost)
        said = export("-m", path, "-o", "out.safetensors", "--overwrite")
        assert 0 < float(re.search(r"changes PSNR by at most (\S+) dB", said)[1]) < 0.1
        card = Card.beside(tmp_path / "out.safetensors")
        assert f"torch.{card.stored}" == str(stored)
        for name, tensor in Weights.read(tmp_path / "out.safetensors").tensors.items():
            assert tensor.equal(net.state_dict()[name].to(stored)), name


@pytest.mark.slow
def test_a_card_has_the_scores_of_the_benchmarks(export: Export, tmp_path: Path) -> None:
    path, _ = _weights(tmp_path, "srcnn")
    (tmp_path / "Two").mkdir()
    for name in ("a", "b"):
        Image.fromarray(photograph(40, 44)).save(tmp_path / "Two" / f"{name}.png")
    export("-m", path, "-o", "out.safetensors", "--test", "Two")
    card = Card.beside(tmp_path / "out.safetensors")
    assert (list(card.sets["Two"]), list(card.protocols)) == (["bicubic", "out"], ["modern", "classic"])
    assert card.sets["Two"]["out"]["classic"]["psnr_y"] != card.sets["Two"]["bicubic"]["classic"]["psnr_y"]
    # What a card says is copied into the next one.
    export("-m", "out.safetensors", "-o", "again.safetensors")
    assert Card.beside(tmp_path / "again.safetensors").sets == card.sets
    assert "there is no folder none" in export("-m", path, "-o", "x.safetensors", "--test", "none", code=1)


def test_the_halo_is_the_least_that_leaves_no_seam() -> None:
    net = VDSR(depth=8).eval()
    torch.nn.init.normal_(net.residual.weight, std=0.02)
    pixels = photograph(130, 150)

    def upscaled(tile: int, halo: int | None = None) -> np.ndarray:
        out = np.empty((260, 300, 3), np.uint8)
        upscale_tiled(net, pixels, out, device=torch.device("cpu"), tile=tile, halo=halo)
        return out

    halo, whole = smallest_halo(net, [pixels]), upscaled(1000)
    assert 0 < halo <= net.halo
    assert np.array_equal(upscaled(96, halo), whole)
    smaller = max(one for one in (*HALOS, net.halo) if one < halo)
    assert not np.array_equal(upscaled(96, smaller), whole)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["model=vdsr", "data.root=/photos", "hydra.run.dir=/a", "ckpt=/a/last.ckpt"], "model=vdsr data.root=FOLDER"),
        (["ckpt=runs/first", "ckpt_mode=weights"], "ckpt=FOLDER ckpt_mode=weights"),
        (["target=eco", "target.teacher=runs/first"], "target=eco target.teacher=FOLDER"),
        (["target=eco", "target.teacher=unet"], "target=eco target.teacher=unet"),
        (["scale=3", "ckpt=unet", "ckpt_mode=weights"], "scale=3 ckpt=unet ckpt_mode=weights"),
    ],
)
def test_a_card_says_the_command_without_the_paths_of_one_machine(overrides: list[str], said: str) -> None:
    origin = Origin.of_run(Run(Path("runs/mine"), overrides, [], None))
    assert origin.command == f"python -m zoomsr.train {said}"


@pytest.mark.parametrize("place", ["checkpoints/net.pth", "downloads/net.pth"])
def test_weights_that_no_run_has_made_have_no_origin(tmp_path: Path, place: str) -> None:
    (tmp_path / ("" if place.startswith("downloads") else "other") / ".hydra").mkdir(parents=True)
    assert Origin.of(tmp_path / place) == Origin()


def test_a_card_of_a_resumed_run_says_what_it_first_started_from(tmp_path: Path) -> None:
    run = Run(tmp_path, ["scale=3", "ckpt=last"], [], None)
    assert Origin.of_run(run).command == "python -m zoomsr.train scale=3"
    for weights, said in (
        ({"ckpt": "unet", "ckpt_mode": "weights", "sha256": "ab"}, "scale=3 ckpt=unet ckpt_mode=weights"),
        ({"ckpt": "/a/b.ckpt", "ckpt_mode": "weights", "sha256": "ab"}, "scale=3 ckpt=FOLDER ckpt_mode=weights"),
        ({}, "scale=3"),
    ):
        (tmp_path / "starts.json").write_text(json.dumps({"starts": [{"weights": weights}, {"weights": {}}]}))
        assert Origin.of_run(run).command == f"python -m zoomsr.train {said}"


@pytest.mark.parametrize(
    ("changes", "survives"),
    [([], True), ([2], True), ([-2], True), ([2, 2], True), ([2, -2, 2], False), ([3], False)],
)
def test_bfloat16_may_change_values_by_a_level_and_one_in_a_million_by_two(
    monkeypatch: pytest.MonkeyPatch, changes: list[int], survives: bool
) -> None:
    plain = np.full(2 * STRAY, 100, np.uint8)
    in_bfloat16 = plain + np.uint8(1)
    in_bfloat16[: len(changes)] = [100 + change for change in changes]
    monkeypatch.setattr(
        release, "_upscaled", lambda net, pixels, *, bfloat16=False: in_bfloat16 if bfloat16 else pixels
    )
    assert survives_bfloat16(Bicubic(2), [plain]) is survives
