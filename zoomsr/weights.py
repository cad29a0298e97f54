"""Trained nets on disk: find them, open them without running anything that is in them, and say what they are."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import pickle
import pkgutil
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

WEIGHTS_DIR = Path(__file__).parent / "weights"
"""The nets in the box: ``NAME.safetensors``, with its card ``NAME.json``."""

_TARGET = "_target_"
_NET = "net."  # the LightningModule's name for the net
_MODEL = "model"  # how the net was made: in a checkpoint's hyper-parameters, in a safetensors file's header


def in_the_box() -> list[str]:
    """Names of the trained nets that come with the package."""
    return sorted(path.stem for path in WEIGHTS_DIR.glob("*.safetensors"))


def weights_file(net: str) -> Path | None:
    """The file of a name, a path, or a run's directory; None for ``bicubic``, which has none.

    Raises:
        ValueError: no weights of that name; the nearest names, or how to make them.
    """
    if net == "bicubic":
        return None
    path = Path(net)
    if path.is_dir():
        return path / "checkpoints" / "best.ckpt"
    if path.suffix:
        return path
    names = in_the_box()
    if net in names:
        return WEIGHTS_DIR / f"{net}.safetensors"
    near = difflib.get_close_matches(net, names, n=3)
    if near:
        raise ValueError(f"no net is called {net}; the nearest: {', '.join(near)}")
    raise ValueError(
        f"there are no weights of {net} (there are: {', '.join(['bicubic', *names])}): "
        f"python -m zoomsr.train model={net} makes a run, whose folder can be named instead"
    )


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
        data = open_plain(path)
        if data and _all_tensors(data):
            return Weights(path, data, None)
        state, hyper_parameters = data.get("state_dict"), data.get("hyper_parameters")
        if not isinstance(state, dict) or not isinstance(hyper_parameters, dict) or not _all_tensors(state):
            raise ValueError(f"{path} is neither a checkpoint of zoomsr.train nor a dictionary of tensors")
        tensors = {key.removeprefix(_NET): value for key, value in state.items() if key.startswith(_NET)}
        return Weights(path, tensors, _vetted(path, hyper_parameters.get(_MODEL)))

    def save(self, path: Path) -> None:
        """Write a safetensors file, whole or not at all; how the net was made stands in its header."""
        partial = path.with_name(f"{path.name}.part")
        header = {} if self.config is None else {_MODEL: json.dumps(self.config)}
        # Not save_file, whose files nobody else may read.
        partial.write_bytes(save({name: tensor.contiguous() for name, tensor in self.tensors.items()}, header))
        partial.replace(path)

    def own_config(self) -> dict[str, Any]:
        """How to make the net, when the file says so.

        Raises:
            ValueError: it does not say, or names anything but a class of ours: a file must not choose what code runs.
        """
        if self.config is None:
            raise ValueError(f"{self.path} does not say which net it holds: add model=NAME")
        for target in _targets(self.config):
            if not _is_ours(target):
                raise ValueError(f"{self.path} holds a {target}, which is no net of zoomsr: add model=NAME")
        return self.config

    def build(self) -> nn.Module:
        """The net that the file holds, with its weights, in eval mode.

        Raises:
            ValueError: the file does not say which net it is, names one that is not ours, or does not fit it.
        """
        try:
            net: nn.Module = _made(self.own_config())
        except TypeError as error:
            raise ValueError(f"{self.path} is damaged: {error}") from None
        self.load_into(net)
        return net.eval()

    def require(self, config: Mapping[str, Any]) -> None:
        """Hold the net that is wanted against the one in the file, where the file says.

        Raises:
            ValueError: they differ; the first difference is named.
        """
        for key, (theirs, ours) in _side_by_side(config if self.config is None else self.config, config).items():
            if not _same(theirs, ours):
                raise ValueError(f"{self.path} holds {self.describe()}, and {key}={ours} was asked for")

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
        arguments = ", ".join(f"{key}={value}" for key, value in self.config.items() if key != _TARGET)
        return f"{str(self.config.get(_TARGET, '?')).rsplit('.', 1)[-1]}({arguments})"


def _read_safetensors(path: Path) -> Weights:
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        return Weights(path, tensors, _vetted(path, json.loads(header[_MODEL])) if _MODEL in header else None)
    except (SafetensorError, json.JSONDecodeError, OSError) as error:
        raise ValueError(f"{path} is damaged: {str(error).splitlines()[0]}") from error


def is_intact(path: Path) -> bool:
    """Whether every record of a torch file has its check sum, which torch itself does not look at."""
    try:
        with zipfile.ZipFile(path) as records:
            return records.testzip() is None
    except (zipfile.BadZipFile, OSError, zlib.error, EOFError, NotImplementedError, RuntimeError):
        return False


def open_plain(path: Path) -> dict[str, Any]:
    """A torch file of tensors and plain data; nothing in it is run.

    Raises:
        ValueError: damaged, asks to run code, or no dictionary.
    """
    if zipfile.is_zipfile(path) and not is_intact(path):
        raise ValueError(f"{path} is damaged: a check sum does not fit")
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} holds more than tensors and plain data, and could run code: not opened") from error
    except Exception as error:  # a damaged file makes torch and pickle raise whatever they stumble over
        raise ValueError(f"{path} is damaged: {(str(error) or type(error).__name__).splitlines()[0]}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} is neither a checkpoint of zoomsr.train nor a dictionary of tensors")
    return data


def _all_tensors(data: Mapping[str, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(value, Tensor) for key, value in data.items())


def _vetted(path: Path, config: Any) -> dict[str, Any]:
    if not isinstance(config, dict) or not isinstance(config.get(_TARGET), str):
        raise ValueError(f"{path} is damaged: it does not say how its net was made")
    return config


def _targets(value: Any) -> Iterator[str]:
    """All that Hydra would call or resolve, however deep."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == _TARGET:
                yield str(child)
            elif str(key).startswith("_"):
                yield f"{key}={child}"  # _args_, _partial_ and their like: no net is made so
            else:
                yield from _targets(child)
    elif isinstance(value, list):
        for child in value:
            yield from _targets(child)
    elif isinstance(value, str) and "${" in value:
        yield value


def _is_ours(target: str) -> bool:
    """A class of a net or a degradation, named by the module that defines it: no way leads from there to others."""
    module, _, name = target.rpartition(".")
    if not re.fullmatch(r"zoomsr\.(models\.\w+|degradations)", module):
        return False
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__ == module


def _side_by_side(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Both values of every argument, by name; its default where one side is of a version that had no such argument."""
    defaults: dict[str, Any] = {}
    if isinstance(wanted.get(_TARGET), str) and held.get(_TARGET) == wanted[_TARGET]:
        # Named by the user, not by the file alone.
        parameters = inspect.signature(pkgutil.resolve_name(wanted[_TARGET])).parameters
        defaults = {key: one.default for key, one in parameters.items() if one.default is not one.empty}
    keys = sorted({*held, *wanted})
    return {key: (held.get(key, defaults.get(key)), wanted.get(key, defaults.get(key))) for key in keys}


def _same(theirs: Any, ours: Any) -> bool:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return all(_same(*pair) for pair in _side_by_side(theirs, ours).values())
    return [*theirs] == [*ours] if {type(theirs), type(ours)} == {list, tuple} else bool(theirs == ours)


def _made(config: Mapping[str, Any]) -> Any:
    """Call what ``_target_`` names, which ``own_config`` has vetted, with the other entries, made in the same way."""
    module, _, name = config[_TARGET].rpartition(".")
    arguments = {
        key: _made(value) if isinstance(value, dict) and _TARGET in value else value
        for key, value in config.items()
        if key != _TARGET
    }
    return getattr(importlib.import_module(module), name)(**arguments)


def _shape_of(tensors: Mapping[str, Tensor]) -> str:
    first = next(iter(tensors.values()), torch.empty(0))
    return f"{len(tensors)} tensors with the first {tuple(first.shape)}"
