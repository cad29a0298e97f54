"""Nets as ONNX graphs: exported by torch, and cached, so that a net is exported once."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoomsr.runs.files import atomic_write, cache_folder
from zoomsr.runs.trust import seal

_MAX_KEPT = 16
_SEAL_BYTES = 32


def exported(net: nn.Module, lr: Tensor, *, is_static: bool = False, opset: int | None = None) -> Any:
    """A net as torch's ONNX program: input ``input``, output ``output``.

    Args:
        net: in eval mode, on the CPU.
        lr: an example of its input, (N, C, H, W); C is fixed.
        is_static: fix N, H and W of the example too; they are free else.
        opset: version of ONNX's operators, as far as torch can make it; None for torch's own.
    """
    with torch.inference_mode(False), torch.autocast("cpu", enabled=False), quiet():
        return torch.onnx.export(
            net,
            (lr,),
            dynamo=True,
            dynamic_shapes=None if is_static else ({0: "batch", 2: "height", 3: "width"},),
            input_names=["input"],
            output_names=["output"],
            opset_version=opset,
            verbose=False,
        )


def contract(net: nn.Module) -> dict[str, str]:
    """Metadata that the user of an exported file needs."""
    numbers = {name: str(getattr(net, name)) for name in ("scale", "multiple_of", "halo")}
    return {"net": type(net).__name__, **numbers, "range": "0 to 1, not clamped", "channel_order": "RGB"}


def example(channels: int = 3) -> Tensor:
    """An input of odd sizes, so that the exporter does not specialise the graph."""
    return torch.rand(2, channels, 45, 61)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's warnings about torch's own parts and a missing torchvision, and its notes on each node."""
    levels = {logger: logger.level for logger in map(logging.getLogger, ("torch.onnx", "onnxscript", "onnx_ir"))}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


class GraphFile:
    """The graph of a net in the user's cache.

    Engines read it by parsers in C++, so it is signed with the user's key (``zoomsr.runs.trust``): a file that is
    damaged, or written by somebody else, is ignored.

    Args:
        digest: sha256 of the net's weights and settings.
        channels: of the input.
    """

    def __init__(self, digest: str, *, channels: int) -> None:
        made_by = {"torch": torch.__version__, "zoomsr": version("zoomsr")}
        content = json.dumps({"digest": digest, "channels": channels, **made_by}, sort_keys=True)
        self._name = hashlib.sha256(content.encode()).hexdigest()

    def read(self) -> bytes | None:
        """The graph; None where there is none that this user has made."""
        with suppress(OSError, RuntimeError, ValueError):  # no file, no key, or no home
            content = self._path().read_bytes()
            graph = content[_SEAL_BYTES:]
            if hmac.compare_digest(content[:_SEAL_BYTES], self._seal(graph)):
                return graph
        return None

    def write(self, graph: bytes) -> None:
        """Write a graph atomically; the oldest of more than 16 are removed.

        Raises:
            OSError: it cannot be written.
            RuntimeError: the user has no home directory, and so no key.
            ValueError: nor a cache.
        """
        path = self._path()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            file.write(self._seal(graph) + graph)
        graphs = sorted(path.parent.glob("*.onnx"), key=lambda one: one.stat().st_mtime, reverse=True)
        for old in graphs[_MAX_KEPT:]:
            old.unlink(missing_ok=True)

    def exists(self) -> bool:
        """Whether a file is there, valid or not."""
        with suppress(ValueError):  # no home
            return self._path().is_file()
        return False

    def _path(self) -> Path:
        return cache_folder() / "graphs" / f"{self._name}.onnx"

    def _seal(self, graph: bytes) -> bytes:
        return seal(self._name.encode() + graph)
