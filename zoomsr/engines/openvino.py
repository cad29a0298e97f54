"""OpenVINO: the fastest on x86 processors, with or without AVX-512."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar
from xml.etree import ElementTree

import numpy as np
import torch
from torch import Tensor

_WIDE = 16  # feature maps; pixels have fewer channels, also before a pixel shuffle


class OpenVINO:
    """A graph compiled for any size, as fast as for one: each size is prepared when it first comes."""

    package: ClassVar[str] = "openvino"
    label: ClassVar[str] = "OpenVINO"
    has_bfloat16: ClassVar[bool] = True

    def __init__(self, request: Any) -> None:
        self._request = request
        self._lock = Lock()  # a request serves one thread at a time; one request for each thread would cost memory

    @classmethod
    def open(cls, graph: bytes, *, threads: int, bfloat16: bool) -> OpenVINO:
        """See ``zoomsr.engines.Engine``."""
        import openvino

        core = openvino.Core()
        model = core.read_model(graph)
        if bfloat16:
            model = core.read_model(*_with_float32_pixels(model))
        settings = {
            # The default is bfloat16 wherever the processor has it.
            "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several processes would share the same cores
        }
        return cls(core.compile_model(model, "CPU", settings).create_infer_request())

    def run(self, lr: Tensor) -> Tensor:
        """See ``zoomsr.engines.Engine``."""
        with self._lock:
            (sr,) = self._request.infer([lr.contiguous().numpy()], share_inputs=True).values()
        return torch.from_numpy(sr)


def _with_float32_pixels(model: Any) -> tuple[bytes, Any]:
    """A model whose pixels stay in float32 when its layers run in bfloat16, as the nets do under autocast.

    Otherwise every operation is in bfloat16, and a picture off by several grey levels. OpenVINO keeps an operation in
    float32 that is marked ``precise``; only its own file format has that mark. Marked are the operations between the
    input and the first wide convolution on each path, and between the last one and the output, including both.

    Returns:
        XML and weights, as OpenVINO reads them.
    """
    import openvino

    names = _reached(model.get_parameters(), _readers, last=lambda node: _is_wide(node, axis=0))
    names |= _reached(model.get_results(), _inputs, last=lambda node: _is_wide(node, axis=1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.xml"
        openvino.serialize(model, path)
        tree, weights = ElementTree.parse(path), np.fromfile(path.with_suffix(".bin"), np.uint8)
    for layer in tree.iterfind("layers/layer"):
        if layer.get("name") in names:
            if layer.get("type") == "Pad":
                layer.set("version", "opset1")  # newer ones are converted to it, and would lose the mark
            info = layer.find("rt_info")
            if info is None:
                info = ElementTree.Element("rt_info")
                layer.insert(0 if layer.find("data") is None else 1, info)
            ElementTree.SubElement(info, "attribute", name="precise", version="0")
    return ElementTree.tostring(tree.getroot()), openvino.Tensor(weights)


def _reached(starts: Iterable[Any], step: Callable[[Any], list[Any]], *, last: Callable[[Any], bool]) -> set[str]:
    """Names of the nodes on all paths from ``starts``, each up to the first node that is ``last``."""
    names, waiting = set(), list(starts)
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() not in names:
            names.add(node.get_friendly_name())
            waiting += [] if last(node) else step(node)
    return names


def _readers(node: Any) -> list[Any]:
    return [reader.get_node() for output in node.outputs() for reader in output.get_target_inputs()]


def _inputs(node: Any) -> list[Any]:
    return [one.get_source_output().get_node() for one in node.inputs()]


def _is_wide(node: Any, *, axis: int) -> bool:
    """Whether it is a convolution with many feature maps as its output (axis 0 of its kernel) or input (1)."""
    is_convolution = node.get_type_name() == "Convolution"
    return is_convolution and int(node.input(1).get_partial_shape()[axis].get_length()) >= _WIDE
