"""Names and paths of nets; damage to a file of weights is noticed when it is opened."""

from __future__ import annotations

import contextlib
import errno
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from zoomsr.evaluation.recipe import _opened
from zoomsr.inference.upscaler import Upscaler
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.names import WEIGHTS_DIR, pretrained_nets, weights_file
from zoomsr.pretrained.weights import Weights, write_tensors
from zoomsr.runs.files import sha256_of

CONFIG = {"_target_": "zoomsr.models.srcnn.SRCNN", "scale": 2, "channels": 1, "widths": [4, 2], "kernels": [3, 1, 3]}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def net() -> SRCNN:
    return SRCNN(channels=1, widths=[4, 2], kernels=[3, 1, 3])


def test_what_is_written_is_read_again(net: SRCNN) -> None:
    tensors = {**net.state_dict(), "half": torch.rand(3).bfloat16(), "count": torch.tensor(7), "none": torch.empty(0)}
    for config in (CONFIG, None):
        Weights(Path("net.safetensors"), tensors, config).save(Path("net.safetensors"))
        found = Weights.read(Path("net.safetensors"))
        assert found.config == config
        assert found.tensors.keys() == tensors.keys()
        assert all(torch.equal(found.tensors[name], tensors[name]) for name in tensors)


def test_the_same_net_is_written_as_the_same_bytes() -> None:
    tensors, header = {"b": torch.arange(3.0), "a": torch.ones(1)}, {name: f"é{name}" for name in "fbdaec"}
    written = set()
    for _ in range(4):
        write_tensors(Path("net.safetensors"), tensors, header=header)
        written.add(Path("net.safetensors").read_bytes())
    assert len(written) == 1
    with safe_open("net.safetensors", framework="pt") as file:
        assert file.metadata() == header
        assert {name: file.get_tensor(name).tolist() for name in tensors} == {"b": [0, 1, 2], "a": [1]}


def test_a_disk_that_fails_leaves_the_file_that_was_there_and_no_other(
    net: SRCNN, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"before")

    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(OSError, match=r"net\.safetensors cannot be written: No space left"):
            Weights(path, net.state_dict(), None).save(path)
    assert [one.name for one in tmp_path.iterdir()] == ["net.safetensors"]
    assert path.read_bytes() == b"before"


def test_a_flipped_byte_anywhere_in_our_own_file_is_noticed(net: SRCNN) -> None:
    path = Path("net.safetensors")
    Weights(path, net.state_dict(), CONFIG).save(path)
    whole = path.read_bytes()
    n_header = 8 + int.from_bytes(whole[:8], "little")
    first = whole.index(b'"sha256"')
    name = range(first, first + 8)  # without it the file is one of others, of which nothing but NaN can be noticed
    places = [place for place in range(n_header) if place not in name] + list(range(n_header, len(whole), 7))
    unnoticed = []
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1
        path.write_bytes(data)
        with contextlib.suppress(ValueError):
            found = Weights.read(path)
            # A space, or the spelling of a number, of the header: what was read is what was written.
            assert found.config == CONFIG
            assert all(torch.equal(found.tensors[key], value) for key, value in net.state_dict().items())
            unnoticed.append(place)
    assert all(place < n_header for place in unnoticed)


@pytest.mark.parametrize("name", pretrained_nets())
def test_a_pretrained_net_without_its_card_notices_damage_too(name: str) -> None:
    shutil.copy(WEIGHTS_DIR / f"{name}.safetensors", "copy.safetensors")
    path = Path("copy.safetensors")
    assert Weights.read(path).card is None
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    for opened in (Weights.read, lambda path: _opened(path, None, 2), lambda path: Upscaler.open(str(path))):
        with pytest.raises(
            ValueError, match=r"copy\.safetensors is damaged: the check sum of its tensors does not fit"
        ):
            opened(path)


def test_a_file_without_a_check_sum_of_its_own_is_held_against_its_card() -> None:
    path, good = Path("copy.safetensors"), Weights.read(WEIGHTS_DIR / "srcnn.safetensors")
    save_file(dict(good.tensors), path, {"model": json.dumps(good.config)})  # as older versions wrote them
    assert good.card is not None
    replace(good.card, sha256=sha256_of(path)).write(path)
    doors = (Weights.read, lambda path: _opened(path, None, 2), lambda path: Upscaler.open(str(path)))
    for opened in doors:
        opened(path)
    data = bytearray(path.read_bytes())
    data[-1000] ^= 1
    path.write_bytes(data)
    for opened in doors:
        with pytest.raises(ValueError, match=r"copy\.json is the card of other weights than copy\.safetensors"):
            opened(path)


def test_torchs_old_format_is_refused_with_what_writes_it_anew(net: SRCNN) -> None:
    torch.save(net.state_dict(), "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"old\.pt is damaged, or in PyTorch's old format") as error:
        Weights.read(Path("old.pt"))
    code = re.search(r'python -c "(.*)" OLD NEW writes', str(error.value)).group(1)  # type: ignore[union-attr]
    subprocess.run([sys.executable, "-c", code, "old.pt", "new.pt"], check=True)
    found = Weights.read(Path("new.pt")).tensors
    assert all(torch.equal(found[name], value) for name, value in net.state_dict().items())


def test_a_picture_is_no_file_of_weights(tmp_path: Path) -> None:
    for content in (b"\x89PNG\r\n", b""):
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.png is no file of weights: \.safetensors, \.pt"):
            Weights.read(tmp_path / "a.png")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("suffix", [".pt", ".ckpt", ".safetensors"])
def test_a_number_that_is_none_is_refused(net: SRCNN, value: float, suffix: str) -> None:
    state = net.state_dict()
    state["reconstruction.weight"][0, 0, 0, 0] = value
    path = Path(f"net{suffix}")
    if suffix == ".ckpt":
        prefixed = {f"net.{name}": tensor for name, tensor in state.items()}
        torch.save({"state_dict": prefixed, "hyper_parameters": {"model": CONFIG}}, path)
    elif suffix == ".pt":
        torch.save(state, path)
    else:
        save_file(state, path, {"model": json.dumps(CONFIG)})
    with pytest.raises(ValueError, match=rf"net\{suffix} holds NaN or Inf in 'reconstruction\.weight'"):
        Weights.read(path)


@pytest.mark.parametrize("name", pretrained_nets())
def test_a_pretrained_name_wins_over_a_folder_here(name: str) -> None:
    Path(name).mkdir()
    assert weights_file(name) == WEIGHTS_DIR / f"{name}.safetensors"
    assert weights_file(f"./{name}") == Path(name) / "checkpoints" / "best.ckpt"
    assert weights_file(f"{name}/") == Path(name) / "checkpoints" / "best.ckpt"


def test_a_path_has_a_separator_or_a_suffix(tmp_path: Path) -> None:
    for folder in ("mine", "runs/x", "v1.5"):
        Path(folder).mkdir(parents=True)
        best = Path(folder) / "checkpoints" / "best.ckpt"
        assert weights_file(f"./{folder}") == weights_file(f"{tmp_path}/{folder}").relative_to(tmp_path) == best  # type: ignore[union-attr]
    assert weights_file("runs/x") == Path("runs/x/checkpoints/best.ckpt")
    assert weights_file("v1.5") == Path("v1.5/checkpoints/best.ckpt")
    assert weights_file(".") == Path("checkpoints/best.ckpt")
    assert weights_file("net.ckpt") == Path("net.ckpt")
    assert weights_file("bicubic") is None
    Path("weights").touch()
    for name, kind in (("mine", "folder"), ("weights", "file")):
        with pytest.raises(ValueError, match=rf"no net is called {name}; the {kind} here is \./{name}$"):
            weights_file(name)
    with pytest.raises(ValueError, match="no net is called unett; the nearest: unet"):
        weights_file("unett")
