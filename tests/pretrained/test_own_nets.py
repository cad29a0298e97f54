"""A net of one's own, from outside zoomsr: opened where the user says so, and never because a file does."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from _support.commands import said_by
from _support.tiny import photograph
from PIL import Image
from torch import nn

from zoomsr.cli.overrides import completed, with_own_nets
from zoomsr.imaging.pixels import crop_to_multiple, to_float
from zoomsr.imaging.resize import downscale
from zoomsr.inference.api import load_model
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import measure
from zoomsr.pretrained.own_nets import accepted
from zoomsr.pretrained.weights import Weights
from zoomsr.report.images import _draw_architecture
from zoomsr.runs.layout import best_checkpoint
from zoomsr.runs.trust import require_own, sign

CODE = """
import torch.nn.functional as F
from pathlib import Path
from torch import nn

Path("{canary}").touch()

class Tiny(nn.Module):
    channels, multiple_of = 3, 1

    def __init__(self, *, scale: int = 2, width: int = 16, act: type = nn.ReLU, inner=None) -> None:
        super().__init__()
        self.scale, self.halo = scale, 2
        self.layers = nn.Sequential(nn.Conv2d(3, width, 5, padding=2), act(), nn.Conv2d(width, 3 * scale**2, 1))

    def forward(self, lr):
        return F.pixel_shuffle(self.layers(lr), self.scale)

class NoNet(nn.Module):
    def __init__(self, **_):
        super().__init__()
        self.scale = 2
"""
MODEL: dict[str, Any] = {"_target_": "mynets.Tiny", "scale": 2, "width": 4}
BOTH = "if you know its code, add --trust, which is kept for its run, or --net mynets:Tiny"


@pytest.fixture(autouse=True)
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that appears when ``mynets`` is imported; ``mynets`` and ``evil`` are importable."""
    code, canary = tmp_path / "code", tmp_path / "imported"
    code.mkdir()
    (code / "mynets.py").write_text(CODE.format(canary=canary))
    (code / "evil.py").write_text(CODE.format(canary=tmp_path / "owned"))
    monkeypatch.syspath_prepend(code)
    monkeypatch.chdir(tmp_path)
    yield canary
    for name in ("mynets", "evil"):
        sys.modules.pop(name, None)
    assert not (tmp_path / "owned").exists()


def _tensors(width: int = 4) -> dict[str, torch.Tensor]:
    layers = nn.Sequential(nn.Conv2d(3, width, 5, padding=2), nn.ReLU(), nn.Conv2d(width, 12, 1))
    return {f"layers.{name}": tensor for name, tensor in layers.state_dict().items()}


def _checkpoint(path: Path, model: Any = MODEL) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {f"net.{name}": tensor for name, tensor in _tensors().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"model": model}}, path)
    return path


def _run(path: Path, model: Any = MODEL) -> Path:
    """A run that nobody has signed."""
    _checkpoint(path / "checkpoints" / "best.ckpt", model)
    (path / ".hydra").mkdir()
    (path / ".hydra" / "overrides.yaml").write_text("[model=tiny]")
    (path / "settings.yaml").write_text(yaml.safe_dump({"model": model, "choices": {"model": "tiny"}}))
    return path


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    return _run(tmp_path / "runs" / "tiny")


@pytest.fixture
def own(stranger: Path) -> Path:
    """The same, signed as ``train`` does."""
    sign(stranger)
    return stranger


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photos" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(photograph(22, 30)).save(path)
    return path


def _direct(run: Path, lr: torch.Tensor) -> torch.Tensor:
    """Of the class and the tensors, without zoomsr."""
    import mynets  # type: ignore[import-not-found]  # made by ``imported``

    net = mynets.Tiny(scale=2, width=4).eval()
    data = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in data.items()})
    with torch.no_grad():
        sr: torch.Tensor = net(lr)
    return sr


def _lr(photo: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(photo)).copy()).permute(2, 0, 1)[None] / 255


@pytest.fixture
def zoom(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    from zoomsr.zoom import app

    def run(*arguments: object, code: int = 0) -> str:
        plain = ("--back-projection", "0", "--engine", "torch", "--overwrite")
        return " ".join(said_by(app, [*arguments, *plain], capsys, code=code).split())

    return run


def test_zoom_gives_the_nets_own_pixels(zoom: Callable[..., str], own: Path, photo: Path, tmp_path: Path) -> None:
    zoom(photo, "-m", own, "-o", "out.png")
    expected = (_direct(own, _lr(photo))[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)
    assert expected.std() > 1


@pytest.mark.parametrize("place", ["elsewhere/copy", "moved"])
def test_a_moved_run_stays_the_users(own: Path, tmp_path: Path, place: str) -> None:
    moved = Path(shutil.copytree(own, tmp_path / place))
    shutil.rmtree(own)
    lr = torch.rand(1, 3, 9, 7)
    assert torch.equal(load_model(moved, device="cpu")(lr), _direct(moved, lr))


def test_a_run_of_someone_else_is_opened_once_it_is_trusted(
    zoom: Callable[..., str], stranger: Path, photo: Path, imported: Path, tmp_path: Path
) -> None:
    said = zoom(photo, "-m", stranger, "-o", "out.png", code=1)
    assert (
        f"best.ckpt holds a mynets.Tiny, which is no net of zoomsr, and no file chooses what is imported; {BOTH}"
        in said
    )
    assert not imported.exists()
    zoom(photo, "-m", stranger, "-o", "out.png", "--trust")
    zoom(photo, "-m", stranger, "-o", "out.png")  # remembered
    assert Image.open(tmp_path / "out.png").size == (60, 44)
    (stranger / "settings.yaml").write_text(yaml.safe_dump({"model": {**MODEL, "width": 5}}))
    assert BOTH in zoom(photo, "-m", stranger, "-o", "out.png", code=1)  # changed since


def test_a_signature_of_someone_else_is_none(
    stranger: Path, imported: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sign(_run(tmp_path / "runs" / "mine", {"_target_": "zoomsr.models.srcnn.SRCNN"}))  # this user has a key too
    with monkeypatch.context() as theirs:
        theirs.setenv("ZOOMSR_STATE", str(tmp_path / "theirs"))
        sign(stranger)
    with pytest.raises(ValueError, match=BOTH):
        load_model(stranger)
    shutil.copy(tmp_path / "runs" / "mine" / ".made_by", stranger)
    with pytest.raises(ValueError, match=BOTH):
        load_model(stranger)
    assert not imported.exists()


@pytest.mark.parametrize(
    "model",
    [
        {**MODEL, "_target_": "evil.Tiny"},
        {**MODEL, "inner": {"_target_": "evil.Tiny"}},
        {**MODEL, "width": 5},
        {"_target_": "os.mkdir", "path": "owned"},
    ],
    ids=str,
)
def test_a_forged_checkpoint_in_an_own_run_is_refused(own: Path, model: dict[str, Any], imported: Path) -> None:
    _checkpoint(own / "checkpoints" / "best.ckpt", model)
    with pytest.raises(ValueError, match=r"best\.ckpt holds .*, and .* was asked for"):
        load_model(own)


def test_a_forged_checkpoint_in_a_run_of_ours_is_refused(tmp_path: Path, imported: Path) -> None:
    run = _run(tmp_path / "runs" / "srcnn", {"_target_": "zoomsr.models.srcnn.SRCNN"})
    sign(run)
    _checkpoint(run / "checkpoints" / "best.ckpt")
    with pytest.raises(ValueError, match=r"best\.ckpt holds Tiny\(.*\), and _target_=zoomsr\.models\.srcnn\.SRCNN"):
        load_model(run)
    assert not imported.exists()


def test_a_file_alone_is_opened_by_the_name_of_its_class(
    zoom: Callable[..., str], own: Path, photo: Path, imported: Path, tmp_path: Path
) -> None:
    for name in ("alone.ckpt", "alone.safetensors"):
        if name.endswith(".ckpt"):
            shutil.copy(own / "checkpoints" / "best.ckpt", name)
        else:
            replace(Weights.read(own / "checkpoints" / "best.ckpt"), path=tmp_path / name).save(tmp_path / name)
        said = zoom(photo, "-m", f"./{name}", "-o", "out.png", code=1)
        assert said.endswith("no file chooses what is imported; if you know its code, add --net mynets:Tiny")
        assert not imported.exists()
        said = zoom(photo, "-m", f"./{name}", "-o", "out.png", "--trust", code=1)
        assert "--trust goes with the folder of a run, and none is named" in said
    zoom(photo, "-m", "./alone.safetensors", "-o", "out.png", "--net", "mynets:Tiny")
    expected = (_direct(own, _lr(photo))[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), expected)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({**MODEL, "_target_": "evil.Tiny"}, "holds a evil.Tiny"),
        ({**MODEL, "inner": {"_target_": "evil.Tiny"}}, "holds a evil.Tiny"),
        ({**MODEL, "_args_": [1]}, r"holds a _args_=\[1\]"),
        ({**MODEL, "scale": 99}, "scale is 1 to 16"),
        ({**MODEL, "width": 100_000}, "larger than any net"),
        ({**MODEL, "width": 900}, "larger than the tensors"),
        ({"_target_": "mynets.NoNet"}, "holds a mynets.NoNet"),
    ],
    ids=str,
)
def test_a_named_class_gets_plain_arguments_and_nothing_else(tmp_path: Path, model: dict[str, Any], words: str) -> None:
    path = _checkpoint(tmp_path / "forged.ckpt", model)
    with pytest.raises(ValueError, match=words):
        Weights.read(path, accepted([], nets=["mynets:Tiny"], trust=False)).build()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("os:remove", "is no class of torch modules"),
        ("mynets:F", "is no class of torch modules"),
        ("mynets:Nothing", "has no attribute 'Nothing'; it must be MODULE:CLASS"),
        ("nowhere:Tiny", "No module named 'nowhere'; it must be MODULE:CLASS"),
        ("my nets", "it must be MODULE:CLASS"),
    ],
)
def test_what_is_no_class_of_a_net_is_one_line(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"--net {name}.*{words}"):
        accepted([], nets=[name], trust=False)


def test_what_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    for number, (model, words) in enumerate(
        [
            ({"_target_": "nowhere.Tiny"}, "nowhere is not installed: install it, or name its folder in PYTHONPATH"),
            ({**MODEL, "wide": 4}, "wide"),
            ({"_target_": "mynets.NoNet"}, "with channels None: channels of a net is 1 to 3"),
        ]
    ):
        run = _run(tmp_path / f"run{number}", model)
        sign(run)
        with pytest.raises(ValueError, match=rf"best\.ckpt.*{words}"):
            load_model(run)


def test_trust_that_cannot_be_kept_says_so(
    stranger: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, imported: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("ZOOMSR_STATE", str(tmp_path / "file" / "state"))
    with pytest.raises(ValueError, match=r"--trust cannot be kept for .*tiny: .*ZOOMSR_STATE moves the key"):
        accepted([str(stranger)], nets=[], trust=True)


def test_a_trusted_run_may_use_all_of_hydra(tmp_path: Path) -> None:
    act = {"_target_": "torch.nn.Softplus", "_partial_": True, "beta": 3}
    run = _run(tmp_path / "runs" / "soft", {**MODEL, "act": act})
    sign(run)
    net = load_model(run, device="cpu")
    lr = torch.rand(1, 3, 8, 9)
    layers = net.layers
    expected = nn.functional.pixel_shuffle(layers[2](nn.functional.softplus(layers[0](lr), beta=3)), 2)
    assert torch.equal(net(lr), expected)


def test_evaluate_measures_it_beside_the_pretrained_nets(
    evaluate: Callable[..., dict[str, Any]],
    stranger: Path,
    photo: Path,
    imported: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    both = (f"data_dir={photo.parent}", "ckpt=[srcnn,runs/tiny]")
    with pytest.raises(SystemExit):
        evaluate(*both)
    assert BOTH in capsys.readouterr().err
    assert not imported.exists()
    by_name = evaluate(*both, "--net", "mynets:Tiny")["sets"]["photos"]
    with pytest.raises(ValueError, match="was not made by you"):
        require_own(stranger)  # naming a class trusts no run
    results = evaluate(*both, "--trust")
    rows = results["sets"]["photos"]
    assert by_name == rows
    require_own(stranger)
    assert list(rows) == ["bicubic", "srcnn", "tiny tiny/best"]
    assert results["nets"]["tiny tiny/best"]["config"] == MODEL
    hr = crop_to_multiple(torch.from_numpy(np.asarray(Image.open(photo)).copy()).permute(2, 0, 1), 2)
    sr = _direct(stranger, to_float(downscale(hr, 2))[None])[0]
    expected = measure(sr, to_float(hr), protocol=MODERN, border=2).tolist()
    assert list(rows["tiny tiny/best"]["modern"]["images"]["photo"].values()) == pytest.approx(expected, abs=1e-4)


def test_the_words_of_evaluate_become_settings() -> None:
    assert with_own_nets(["--trust", "scale=3", "--config-dir", "mine"]) == [
        "--config-dir",
        "mine",
        "trust=true",
        "scale=3",
    ]
    assert with_own_nets(["--net", "a.b:C", "x=1", "--net=d:E"]) == ["x=1", "nets=[a.b:C,d:E]"]
    for wrong in (["--net"], ["--net", "x=1"], ["--net", "a:b]"]):
        with pytest.raises(ValueError, match="MODULE:CLASS"):
            with_own_nets(wrong)


@pytest.mark.slow
def test_export_writes_it(own: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from zoomsr.export import app

    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install zoomsr[export]")
    for suffix in ("onnx", "safetensors"):
        said_by(app, ["-m", own, "-o", f"tiny.{suffix}"], capsys)
    lr = torch.rand(2, 3, 21, 34)
    (found,) = onnxruntime.InferenceSession("tiny.onnx").run(None, {"input": lr.numpy()})
    assert np.abs(found - _direct(own, lr).numpy()).max() < 1e-5
    assert json.loads((tmp_path / "tiny.json").read_text())["net"] == MODEL
    with pytest.raises(ValueError, match=r"add --net mynets:Tiny$"):
        load_model("./tiny.safetensors")
    shared = Weights.read(tmp_path / "tiny.safetensors", frozenset(["mynets.Tiny"])).build()
    with torch.no_grad():
        assert torch.allclose(shared(lr), _direct(own, lr), atol=2e-3)  # 16-bit weights


def test_export_refuses_a_run_of_someone_else(
    stranger: Path, imported: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from zoomsr.export import app

    for suffix in ("onnx", "pt2", "safetensors"):
        assert BOTH in said_by(app, ["-m", stranger, "-o", f"tiny.{suffix}"], capsys, code=1)
    assert not imported.exists()


def test_the_page_offers_it(stranger: Path, photo: Path, imported: Path) -> None:
    from zoomsr.webapp.steps import Nets

    with pytest.raises(ValueError, match=BOTH):
        Nets([str(stranger)], device="cpu", engine="torch")
    assert not imported.exists()
    named = Nets([str(stranger)], device="cpu", engine="torch", own=accepted([], nets=["mynets:Tiny"], trust=False))
    sign(stranger)
    signed = Nets([str(stranger)], device="cpu", engine="torch")
    lr = _lr(photo)
    for nets in (named, signed):
        assert nets.chosen[-1] == "tiny"
        net = nets.open("tiny", 2).net.net  # type: ignore[attr-defined]  # within BackProjection
        assert torch.allclose(net(lr), _direct(stranger, lr), atol=1e-6)


def test_compare_draws_it(stranger: Path, imported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from zoomsr.compare import app

    with pytest.raises(ValueError, match=BOTH):
        _draw_architecture(best_checkpoint(stranger))
    assert not imported.exists()
    assert "no run has metrics yet" in said_by(app, ["runs", "--trust"], capsys, code=1)
    assert not (stranger.parent / ".made_by").exists()
    assert _draw_architecture(best_checkpoint(stranger)).axes


def test_a_config_dir_that_is_gone_is_named(tmp_path: Path, own: Path) -> None:
    sources = [{"path": f"{tmp_path}/mine", "schema": "file", "provider": "command-line"}]
    (own / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": {"runtime": {"config_sources": sources}}}))
    _checkpoint(own / "checkpoints" / "last.ckpt")
    sign(own)
    with pytest.raises(ValueError, match=rf"--config-dir {tmp_path}/mine, which is gone: add --config-dir FOLDER"):
        completed(["ckpt=runs/tiny"])
    shutil.copytree(tmp_path / "code", own.parent / "mine")  # beside the run, where anyone may have put it
    with pytest.raises(ValueError, match="which is gone"):
        completed(["ckpt=runs/tiny"])
    assert completed(["ckpt=runs/tiny", "--config-dir", "runs/mine"])[:2] == ["--config-dir", "runs/mine"]
    (tmp_path / "mine").mkdir()
    moved = shutil.move(own, tmp_path / "moved")
    assert completed([f"ckpt={moved}"])[:2] == ["--config-dir", f"{tmp_path}/mine"]
