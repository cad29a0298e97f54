"""Files from strangers run nothing, whatever is in them and whichever way they are opened."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from zoomsr.evaluation.recipe import _opened
from zoomsr.inference.export import write
from zoomsr.inference.export_options import ExportOptions
from zoomsr.inference.upscaler import Upscaler
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import scale_on_card
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of
from zoomsr.training.recipe import _starting_point

OURS = "zoomsr.models.srcnn.SRCNN"
WIDTHS = [8, 4]
CANARY = "owned"


class Reduced:
    """Makes the canary when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (CANARY,)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(Reduced(), "evil.pt")
    Path("evil.yaml").write_text(f"_target_: os.mkdir\npath: {CANARY}\n")


MAKES = f"__import__('os').mkdir('{CANARY}')"
CALLS: dict[str, dict[str, Any]] = {
    "os": {"_target_": "os.mkdir", "path": CANARY},
    "alias": {"_target_": "pathlib.os.mkdir", "path": CANARY},
    "touch": {"_target_": "pathlib.Path.touch", "_args_": [{"_target_": "pathlib.Path", "_args_": [CANARY]}]},
    "sympify": {"_target_": "sympy.sympify", "a": MAKES},
    "load": {"_target_": "torch.load", "f": "evil.pt", "weights_only": False},
    "eval": {"_target_": "builtins.eval", "_args_": [MAKES]},
    "exec": {"_target_": "builtins.exec", "_args_": [MAKES]},
    "method": {"_target_": "hydra.utils.get_method", "path": "os.mkdir"},
    "partial": {"_target_": "functools.partial", "_args_": ["os.mkdir", CANARY], "_partial_": True},
    "through ours": {"_target_": "zoomsr.models.srcnn.torch.hub.os.mkdir", "path": CANARY},
    "numpy": {"_target_": "numpy.load", "file": "evil.pt", "allow_pickle": True},
}

CONFIGS: dict[str, Any] = {
    **{f"{name} in a dict": {"_target_": OURS, "widths": call} for name, call in CALLS.items()},
    **{f"{name} in a list": {"_target_": OURS, "widths": [call, 4]} for name, call in CALLS.items()},
    **{f"{name} in a tuple": {"_target_": OURS, "widths": (call, 4)} for name, call in CALLS.items()},
    **{f"{name} as the net": call for name, call in CALLS.items()},
    "in a tuple in a list": {"_target_": OURS, "widths": [[(CALLS["sympify"],)], 4]},
    "in a dict in a tuple": {"_target_": OURS, "widths": ({"deep": CALLS["load"]}, 4)},
    "an ordered dict": {"_target_": OURS, "widths": OrderedDict(CALLS["sympify"])},
    "all ordered": OrderedDict({"_target_": OURS, "widths": WIDTHS}),
    "a set": {"_target_": OURS, "widths": {8, 4}},
    "bytes": {"_target_": OURS, "widths": bytearray(b"\x08\x04")},
    "a tensor": {"_target_": OURS, "widths": torch.tensor(WIDTHS)},
    "a shape": {"_target_": OURS, "widths": torch.Size(WIDTHS)},
    "a key that is no text": {"_target_": OURS, "widths": {1: 2}},
    "create": {"_target_": OURS, "widths": ["${oc.create:{_target_: os.mkdir, path: owned}}", 4]},
    "decode": {"_target_": OURS, "widths": "${oc.decode:'{_target_: os.mkdir, path: owned}'}"},
    "environment": {"_target_": OURS, "widths": "${oc.env:HOME}"},
    "escaped": {"_target_": OURS, "widths": "\\${oc.env:HOME}"},
    "positional": {"_target_": OURS, "_args_": [CALLS["sympify"]]},
    "converted": {"_target_": OURS, "_convert_": "object", "widths": WIDTHS},
    "not recursive": {"_target_": OURS, "_recursive_": False, "widths": WIDTHS},
    "partial of ours": {"_target_": OURS, "_partial_": True, "widths": WIDTHS},
    "a module of ours": {"_target_": "zoomsr.models.srcnn.torch.nn.Identity"},
    "not a net": {"_target_": "zoomsr.models.srcnn.ReplicatedConv2d", "in_channels": 1},
    "a degradation": {"_target_": "zoomsr.imaging.degradations.Bicubic", "scale": 2},
    "quoted": {"_target_": "'os.mkdir'", "path": CANARY},
    "no text": {"_target_": ["os.mkdir"], "path": CANARY},
    "itself": [],
    "a control character": {"_target_": OURS, "widths": "\x1b]0;owned\x07"},
}
CONFIGS["itself"].append(CONFIGS["itself"])  # type: ignore[union-attr]


def _zoom(path: Path) -> None:
    Upscaler.open(str(path))


def _export(path: Path) -> None:
    write(str(path), Path("out.pt2"), ExportOptions(), overwrite=True)


def _ship(path: Path) -> None:
    write(str(path), Path("out.safetensors"), ExportOptions(), overwrite=True)


def _evaluate(path: Path) -> None:
    _opened(path, None, 2)


def _resume(path: Path) -> None:
    _begin(path, "resume")


def _begin_with_weights(path: Path) -> None:
    _begin(path, "weights")


def _begin(path: Path, mode: str) -> None:
    model = {"_target_": OURS, "widths": WIDTHS}
    config = OmegaConf.create({"ckpt": str(path), "ckpt_mode": mode, "run_dir": "run", "model": model})
    _starting_point(config, SimpleNamespace(net=SRCNN(widths=WIDTHS)))  # type: ignore[arg-type]


DOORS: list[Callable[[Path], None]] = [_evaluate, _zoom, _export, _ship, _resume, _begin_with_weights]
MAKING = DOORS[:4]
"""Those that make the net of the file; the others load its weights into the net that the user asked for."""


def _refused(path: Path, doors: list[Callable[[Path], None]] = DOORS, *, named: Path | None = None) -> None:
    """Each way of opening it is one ValueError of one line that names the file, and nothing has run."""
    for door in doors:
        with pytest.raises(ValueError, match=r"\S") as error:
            door(path)
        assert str(named or path) in str(error.value)
        assert len(str(error.value).splitlines()) == 1
        assert not Path(CANARY).exists(), door.__name__


def _never_runs(path: Path) -> None:
    """As ``_refused``; a training may begin with the tensors of any net, whose class it does not make."""
    _refused(path, DOORS[:-1])
    with suppress(ValueError):
        _begin_with_weights(path)
    assert not Path(CANARY).exists()


def _state() -> dict[str, torch.Tensor]:
    return SRCNN(widths=WIDTHS).state_dict()


def _checkpoint(path: Path, config: Any) -> Path:
    state = {f"net.{name}": tensor for name, tensor in _state().items()}
    torch.save({"state_dict": state, "hyper_parameters": {"model": config}}, path)
    return path


@pytest.mark.parametrize("name", CONFIGS)
def test_a_checkpoint_runs_nothing(name: str) -> None:
    _never_runs(_checkpoint(Path("forged.ckpt"), CONFIGS[name]))


@pytest.mark.parametrize("name", [name for name in CONFIGS if "tuple" not in name and name != "itself"])
def test_a_safetensors_file_runs_nothing(name: str) -> None:
    try:
        header = json.dumps(CONFIGS[name])
    except TypeError:
        header = json.dumps({"_target_": OURS, "widths": repr(CONFIGS[name])})  # what JSON cannot say
    if json.loads(header) == {"_target_": OURS, "widths": WIDTHS}:
        header = f"[{header}]"
    save_file(_state(), "forged.safetensors", {"model": header})
    _never_runs(Path("forged.safetensors"))


@pytest.mark.parametrize(
    "header", ["[" * 100_000, "{", "null", "1" * 5000, '{"_target_": NaN}', "[]", '"${oc.env:HOME}"']
)
def test_a_header_that_is_no_description_is_one_line(header: str) -> None:
    save_file(_state(), "forged.safetensors", {"model": header})
    _refused(Path("forged.safetensors"))


def _pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps(Reduced()))


def _whole(path: Path) -> None:
    torch.save(Reduced(), path)


def _in_the_state(path: Path) -> None:
    torch.save({"state_dict": Reduced(), "hyper_parameters": {}}, path)


def _beside_tensors(path: Path) -> None:
    torch.save({**_state(), "more": Reduced()}, path)


def _old(path: Path) -> None:
    torch.save({**_state(), "more": Reduced()}, path, _use_new_zipfile_serialization=False)


def _polyglot(path: Path) -> None:
    """A pickle with an intact zip after it, which zipfile finds and torch does not look for."""
    torch.save(_state(), path)
    path.write_bytes(pickle.dumps(Reduced()) + path.read_bytes())


def _compressed(path: Path) -> None:
    """Megabytes of zeros in a few kilobytes."""
    torch.save({"a": torch.zeros(10**6)}, "plain.pt")
    with zipfile.ZipFile("plain.pt") as plain, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for record in plain.infolist():
            packed.writestr(record.filename, plain.read(record))


def _expanded(path: Path) -> None:
    """One number that says it is a terabyte."""
    torch.save({"a": torch.zeros(1).expand(10**6, 10**6)}, path)


def _sparse(path: Path) -> None:
    torch.save(
        {"a": torch.sparse_coo_tensor(torch.empty(2, 0), torch.empty(0), (10**6, 10**6), check_invariants=True)}, path
    )


def _meta(path: Path) -> None:
    torch.save({"a": torch.empty(10**6, 10**6, device="meta")}, path)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn, torch.uint16])
def test_numbers_of_a_type_that_no_net_has_are_one_line(dtype: torch.dtype) -> None:
    odd = {name: tensor.to(dtype) for name, tensor in _state().items()}
    save_file(odd, "forged.safetensors", {"model": json.dumps({"_target_": OURS, "widths": WIDTHS}), "sha256": "0"})
    torch.save(odd, "forged.pt")
    for suffix in (".safetensors", ".pt"):
        _refused(Path(f"forged{suffix}"))


@pytest.mark.parametrize("forge", [_pickled, _whole, _in_the_state, _beside_tensors, _old, _polyglot])
@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".safetensors"])
def test_a_pickle_runs_nothing(forge: Callable[[Path], None], suffix: str) -> None:
    forge(Path(f"forged{suffix}"))
    _refused(Path(f"forged{suffix}"))


@pytest.mark.parametrize("forge", [_compressed, _expanded, _sparse, _meta])
def test_a_small_file_takes_no_memory(forge: Callable[[Path], None]) -> None:
    forge(Path("forged.pt"))
    _refused(Path("forged.pt"))


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("srcnn.SRCNN", {"scale": 0}),
        ("srcnn.SRCNN", {"scale": -2}),
        ("srcnn.SRCNN", {"scale": 2.0}),
        ("srcnn.SRCNN", {"scale": True}),
        ("srcnn.SRCNN", {"scale": 9000}),
        ("srcnn.SRCNN", {"channels": "3"}),
        ("srcnn.SRCNN", {"widths": "ab"}),
        ("srcnn.SRCNN", {"widths": [8.0, 4.0]}),
        ("srcnn.SRCNN", {"widths": [], "kernels": []}),
        ("srcnn.SRCNN", {"widths": [4000, 4000]}),
        ("srcnn.SRCNN", {"nonsense": 1}),
        ("vdsr.VDSR", {"width": 10**9}),
        ("vdsr.VDSR", {"depth": 10**9}),
        ("vdsr.VDSR", {"width": 9000}),
        ("unet.UNet", {"depth": 10**7}),
        ("unet.UNet", {"depth": 4000}),
        ("unet.UNet", {"width": -1}),
        ("residual_unet.ResidualUNet", {"widths": [1] * 30, "blocks": [0] * 30}),
        ("residual_unet.ResidualUNet", {"widths": [1, 1], "blocks": [10**8, 1]}),
        ("ircnn.IRCNN", {"scale": 2, "degradation": {"_target_": "zoomsr.imaging.degradations.Bicubic", "scale": 0}}),
        ("ircnn.IRCNN", {"scale": 2, "degradation": "bicubic"}),
        ("ircnn.IRCNN", {"scale": 2, "iterations": 10**9}),
        ("ircnn.IRCNN", {"scale": 2, "step": "long"}),
        ("ircnn.IRCNN", {"scale": 2, "step": float("nan")}),
    ],
    ids=str,
)
def test_a_net_that_cannot_be_is_one_line_and_takes_no_memory(kind: str, arguments: dict[str, Any]) -> None:
    _refused(_checkpoint(Path("forged.ckpt"), {"_target_": f"zoomsr.models.{kind}", **arguments}), MAKING)


@pytest.fixture
def card() -> Card:
    """Of weights in net.safetensors; both are good."""
    path = Path("net.safetensors")
    config = {"_target_": OURS, "scale": 2, "channels": 3, "widths": WIDTHS}
    Weights(path, _state(), config).save(path)
    card = Card(config, 2, 3, 3163, {}, "", {}, {}, 6, False, sha256_of(path), "MIT", "", {"python": "3"})
    card.write(path)
    return card


def test_a_good_card_is_taken(card: Card) -> None:
    for door in DOORS[:2]:
        door(Path("net.safetensors"))
    assert Card.beside(Path("net.safetensors")) == card


@pytest.mark.parametrize(
    "change",
    [
        *({name: [CALLS["os"]]} for name in ("scale", "params", "halo", "bfloat16", "sha256", "licence", "command")),
        *({name: None} for name in ("net", "data", "degradation", "protocols", "sets", "versions", "stored")),
        {"net": CALLS["sympify"] | {"deep": "${oc.env:HOME}"}},
        {"net": {"_target_": OURS, "widths": [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}},
        *({"halo": halo} for halo in (0, -1, 7, 10**9, True, "6", 6.0)),
        *({"scale": scale} for scale in (0, -2, 3, 2.0)),
        {"channels": 1},
        {"bfloat16": "yes"},
        {"versions": {"python": 3}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_card_runs_nothing_and_a_wrong_value_is_one_line(card: Card, change: dict[str, Any]) -> None:
    Path("net.json").write_text(json.dumps({**asdict(card), **change}))
    doors = MAKING if set(change) & {"halo", "scale", "channels"} else DOORS  # these are held against the net
    _refused(Path("net.safetensors"), doors, named=Path("net.json"))


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", "null", "", "\xff", '{"net": NaN}'])
@pytest.mark.usefixtures("card")
def test_a_card_that_is_none_is_one_line(text: str) -> None:
    Path("net.json").write_text(text, encoding="latin-1")
    _refused(Path("net.safetensors"), named=Path("net.json"))
    assert scale_on_card("net.safetensors") is None
