"""Trained nets on disk: open them without running anything that is in them, and say what they are."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

_NET = "net."  # the LightningModule's name for the net
_MODEL = "model"  # how the net was made: in a checkpoint's hyper-parameters, in a safetensors file's header


@dataclass(frozen=True)
class Weights:
    """Tensors of a net, and what is known of it.

    Attributes:
        path: the file.
        tensors: name to tensor, on the CPU.
        config: how the net was made (``_target_`` and arguments), or None where the file does not say.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    config: dict[str, Any] | None

    @staticmethod
    def read(path: Path) -> Weights:
        """Open a training checkpoint, a safetensors file, or a dictionary of tensors.

        Raises:
            ValueError: no such file, damaged, asks to run code, or holds no net.
        """
        if not path.is_file():
            raise ValueError(f"there is no file {path}: a run keeps best.ckpt and last.ckpt in its checkpoints folder")
        if path.suffix == ".safetensors":
            return _read_safetensors(path)
        data = _open(path)
        if all(isinstance(value, Tensor) for value in data.values()) and data:
            return Weights(path, data, None)
        state = data.get("state_dict", {})
        tensors = {key.removeprefix(_NET): value for key, value in state.items() if key.startswith(_NET)}
        config = dict(data.get("hyper_parameters", {})).get(_MODEL)
        if not tensors or not isinstance(config, dict):
            raise ValueError(f"{path} is neither a checkpoint of zoomsr.train nor a dictionary of tensors")
        return Weights(path, tensors, config)

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all; how the net was made stands in its header."""
        partial = path.with_name(f"{path.name}.part")
        header = {} if self.config is None else {_MODEL: json.dumps(self.config)}
        save_file({name: tensor.contiguous() for name, tensor in self.tensors.items()}, partial, header)
        partial.replace(path)

    def own_config(self) -> dict[str, Any]:
        """How to make the net, when the file says so and the class is one of ours.

        Raises:
            ValueError: it does not say, or names a class elsewhere: a file must not choose what code runs.
        """
        if self.config is None:
            raise ValueError(f"{self.path} does not say which net it holds: add model=NAME")
        target = str(self.config.get("_target_"))
        if not target.startswith("zoomsr.models."):
            raise ValueError(f"{self.path} holds a {target}, which is not part of zoomsr: add model=NAME")
        return self.config

    def load_into(self, net: nn.Module) -> None:
        """Copy the tensors into a net: by name, or in layer order where the file names its layers otherwise.

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

    def describe(self) -> str:
        """The net in words: ``SRCNN(scale=2, channels=3, ...)``."""
        if self.config is None:
            return f"a net of {_shape_of(self.tensors)}"
        arguments = ", ".join(f"{key}={value}" for key, value in self.config.items() if key != "_target_")
        return f"{str(self.config.get('_target_', '?')).rsplit('.', 1)[-1]}({arguments})"


def _read_safetensors(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        return Weights(path, tensors, json.loads(header[_MODEL]) if _MODEL in header else None)
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}") from error


def _open(path: Path) -> dict[str, Any]:
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} holds more than tensors and plain data, and could run code: not opened") from error
    except (RuntimeError, EOFError) as error:
        raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is neither a checkpoint of zoomsr.train nor a dictionary of tensors")
    return data


def _shape_of(tensors: Mapping[str, Tensor]) -> str:
    first = next(iter(tensors.values()), torch.empty(0))
    return f"{len(tensors)} tensors with the first {tuple(first.shape)}"
