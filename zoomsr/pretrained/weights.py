"""Trained nets on disk: find them, open them without running code from them, describe them."""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from zoomsr.models import Net
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import ONNX_SUFFIX, require_file
from zoomsr.pretrained.signed import made, signed_settings
from zoomsr.pretrained.vetting import TARGET, constructed, described, first_difference, require_ours, require_plain
from zoomsr.runs.files import atomic_write
from zoomsr.runs.moved import with_new_names

_NET = "net."  # the LightningModule's name for the net
_MODEL = "model"  # _target_ and arguments: in a checkpoint's hyper-parameters, in a safetensors file's header
_SHA256 = "sha256"  # of the tensors and the net's description, in a safetensors file's header
_WRAPPERS = ("params_ema", "params-ema", "params")  # around the tensors in files of BasicSR; of both the averaged ones
_FOLDER = 0x10  # attribute of a folder's record in a zip file

_DTYPES = {
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool),
}


@dataclass(frozen=True)
class Weights:
    """Tensors of a net with its description.

    Attributes:
        path: the file.
        tensors: name to tensor, on the CPU.
        config: ``_target_`` and arguments of the net, or None where the file does not say.
        card: beside the file, or None.
        nets: classes outside zoomsr that the user has named, see ``zoomsr.pretrained.own_nets.accepted``.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    config: dict[str, Any] | None
    card: Card | None = None
    nets: Container[str] = ()

    @staticmethod
    def read(path: Path, nets: Container[str] = ()) -> Weights:
        """Open a training checkpoint, a safetensors file, or a dictionary of tensors.

        Raises:
            ValueError: no such file, damaged, asks to run code, holds no net, or one with NaN or Inf.
        """
        require_file(path)
        if path.suffix == ONNX_SUFFIX:
            raise ValueError(f"{path} is a graph without a class: evaluate, zoom and the page run it, and nothing else")
        if path.suffix == ".safetensors":
            return replace(_read_safetensors(path), nets=nets)
        data = open_plain(path)
        data = next((data[key] for key in _WRAPPERS if isinstance(data.get(key), dict)), data)
        if data and _all_tensors(data):
            _require_sound(path, data)
            return Weights(path, data, None)
        state, hyper_parameters = data.get("state_dict"), data.get("hyper_parameters")
        if not isinstance(state, dict) or not isinstance(hyper_parameters, dict) or not _all_tensors(state):
            raise ValueError(f"{path} is neither a checkpoint of zoomsr.train nor a dictionary of tensors")
        tensors = {key.removeprefix(_NET): value for key, value in state.items() if key.startswith(_NET)}
        _require_sound(path, tensors)
        return Weights(path, tensors, _vetted(path, hyper_parameters.get(_MODEL)), nets=nets)

    def save(self, path: Path) -> None:
        """Write a safetensors file, atomically, with the net's description in its header."""
        model = None if self.config is None else json.dumps(self.config)
        header = {_SHA256: self.digest, **({} if model is None else {_MODEL: model})}
        write_tensors(path, self.tensors, header=header)

    def own_config(self) -> dict[str, Any]:
        """``_target_`` and arguments of the net, as the file says.

        Raises:
            ValueError: it does not say.
        """
        if self.config is None:
            raise ValueError(f"{self.path} does not say which net it holds: add model=NAME")
        return self.config

    def build(self) -> nn.Module:
        """The net that the file holds, with its weights, in eval mode.

        One of zoomsr's gets no more memory than the tensors of the file take in the largest type. One of the user's own
        is made of the settings of its run, see ``signed_settings``, or as the user has named it.

        Raises:
            ValueError: the file does not say which net it is, names one that it must not choose, does not fit it, or
                its card does not.
        """
        config = self.own_config()
        if (settings := signed_settings(self.path, config, self.nets)) is not None:
            net = made(self.path, settings)
            self.require(settings)
        else:
            require_ours(self.path, config, self.nets)
            net = constructed(self.path, config, n_bytes=8 * sum(one.numel() for one in self.tensors.values()))
        if self.card is not None:
            self.card.require(cast(Net, net), self.path)
        self.load_into(net)
        return net.eval()

    def require(self, config: Mapping[str, Any]) -> None:
        """Compare the net that is wanted with the one in the file, where the file says.

        Raises:
            ValueError: they differ; the first difference is named.
        """
        difference = first_difference(config if self.config is None else self.config, config)
        if difference is not None:
            key, wanted = difference
            raise ValueError(f"{self.path} holds {self.describe()}, and {key}={wanted} was asked for")

    def load_into(self, net: nn.Module) -> None:
        """Copy the tensors into a net: by name, or in layer order where the file has other names.

        Raises:
            ValueError: they do not fit; the file's net and the given one are named.
        """
        own = net.state_dict()
        theirs = dict(self.tensors)
        if theirs.keys() != own.keys() and self.config is None:
            theirs = dict(zip(own, self.tensors.values(), strict=False)) if len(own) == len(theirs) else theirs
        if {key: value.shape for key, value in theirs.items()} != {key: value.shape for key, value in own.items()}:
            raise ValueError(f"{self.path} holds {self.describe()}, which does not fit the {_shape_of(own)} here")
        net.load_state_dict(theirs)

    @property
    def digest(self) -> str:
        """sha256 of the tensors and of the net's description."""
        return _digest(self.tensors, None if self.config is None else json.dumps(self.config))

    def describe(self) -> str:
        """The net as text: ``SRCNN(scale=2, channels=3, ...)``."""
        return f"a net of {_shape_of(self.tensors)}" if self.config is None else described(self.config)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], *, header: Mapping[str, str]) -> None:
    """Write a safetensors file, atomically; the same arguments give the same bytes."""
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    data = save(on_cpu, dict(header))  # save_file makes files that only their owner can read
    end = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:end])
    if header:  # safetensors writes it in random order
        entries["__metadata__"] = dict(sorted(header.items()))
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text = text.ljust(-(-len(text) // 8) * 8)  # the tensors begin at a multiple of 8 bytes
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little") + text + data[end:])


def _read_safetensors(path: Path) -> Weights:
    card = Card.beside(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        config = json.loads(header[_MODEL]) if _MODEL in header else None
    except Exception as error:  # a damaged header makes safetensors and json raise errors of any type
        raise ValueError(f"{path} is damaged: {(str(error) or type(error).__name__).splitlines()[0]}") from error
    _require_sound(path, tensors)
    # With a card the check sum of the whole file was compared.
    if card is None and _SHA256 in header and header[_SHA256] != _digest(tensors, header.get(_MODEL)):
        raise ValueError(f"{path} is damaged: the check sum of its tensors does not fit")
    return Weights(path, tensors, None if _MODEL not in header else _vetted(path, config), card)


def _digest(tensors: Mapping[str, Tensor], model: str | None) -> str:
    """sha256 of the net's description, and of each tensor's name, type, shape and bytes."""
    total = hashlib.sha256(repr(model).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _require_sound(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Require finite values of the usual types, which take no more memory than the file has bytes.

    A torch file can hold views that repeat one number, or a sparse tensor of any size.
    """
    room = path.stat().st_size
    for name, tensor in tensors.items():
        is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu" and not tensor.is_nested
        if not is_plain or tensor.dtype not in _DTYPES:
            raise ValueError(f"{path} holds {name!r} as a {tensor.dtype} of {tensor.layout}, which no net has")
        room -= tensor.nbytes
        if room < 0:
            raise ValueError(f"{path} is damaged: its tensors are larger than the file")
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{path} holds NaN or Inf in {name!r}: the training diverged, or the file is damaged")


def is_intact(path: Path) -> bool:
    """Whether every record of a torch file has the right check sum, which torch itself does not test.

    torch compresses no record, so that no small file unpacks to gigabytes, and writes no folder, of which torch would
    read nothing but zipfile the content.
    """
    try:
        with zipfile.ZipFile(path) as records:
            plain = all(
                record.compress_type == zipfile.ZIP_STORED and not record.external_attr & _FOLDER
                for record in records.infolist()
            )
            return plain and records.testzip() is None
    except Exception:  # a damaged directory makes zipfile raise errors of any type
        return False


def open_plain(path: Path) -> dict[str, Any]:
    """Read a torch file of tensors and plain data; no code in it is run.

    Raises:
        ValueError: no weights, damaged, in torch's old format, asks to run code, or no dictionary.
    """
    with path.open("rb") as file:
        head = file.read(4)
        if head[:1] not in (b"P", b"\x80"):  # of a zip, and of a pickle
            raise ValueError(f"{path} is no file of weights: .safetensors, .pt, .pth, .ckpt or .onnx is one")
        if head != b"PK\3\4":  # as torch itself decides
            code = "import sys, torch; torch.save(torch.load(sys.argv[1], weights_only=True), sys.argv[2])"
            old = f'in PyTorch\'s old format, which has no check sums: python -c "{code}" OLD NEW writes it anew'
            raise ValueError(f"{path} is damaged, or {old}")
    if not is_intact(path):
        raise ValueError(f"{path} is damaged: a check sum does not fit")
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} holds more than tensors and plain data, and could run code: not opened") from error
    except Exception as error:  # a damaged file makes torch and pickle raise errors of any type
        raise ValueError(f"{path} is damaged: {(str(error) or type(error).__name__).splitlines()[0]}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is neither a checkpoint of zoomsr.train nor a dictionary of tensors")
    return data


def _all_tensors(data: Mapping[str, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(value, Tensor) for key, value in data.items())


def _vetted(path: Path, config: Any) -> dict[str, Any]:
    require_plain(path, config)
    if not isinstance(config, dict) or not isinstance(config.get(TARGET), str):
        raise ValueError(f"{path} is damaged: it does not say how its net was made")
    named: dict[str, Any] = with_new_names(config)
    return named


def _shape_of(tensors: Mapping[str, Tensor]) -> str:
    first = next(iter(tensors.values()), torch.empty(0))
    return f"{len(tensors)} tensors with the first {tuple(first.shape)}"
