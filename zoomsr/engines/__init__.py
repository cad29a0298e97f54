"""What runs a net: tiles, and engines beside torch, a file each, that run its ONNX graph on the CPU."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import ClassVar, Protocol

from torch import Tensor

from zoomsr.engines.onnx import OnnxRuntime
from zoomsr.engines.openvino import OpenVINO

AUTO, TORCH = "auto", "torch"

_EXPORTER = ("onnx", "onnxscript")  # what torch.onnx needs to make a graph


class Engine(Protocol):
    """A compiled graph, for pictures of any size.

    Attributes:
        package: imported when a graph is opened, not before.
        label: for people.
        has_bfloat16: whether it can run the wide layers in bfloat16 on a processor that has it.
    """

    package: ClassVar[str]
    label: ClassVar[str]
    has_bfloat16: ClassVar[bool]

    @classmethod
    def open(cls, graph: bytes, *, threads: int, bfloat16: bool) -> Engine:
        """Read an ONNX graph with an input (N, C, H, W), all sizes but C free, and compile it."""
        ...

    def run(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W), float32.

        Raises:
            RuntimeError: out of memory, in a message that ``is_out_of_memory`` recognises.
        """
        ...


ENGINES: Mapping[str, type[Engine]] = {"openvino": OpenVINO, "onnx": OnnxRuntime}
"""The fastest first: see experiments/benchmarks/inference_speed."""

CHOICES = (AUTO, TORCH, *ENGINES)


def installed() -> list[str]:
    """The engines whose packages are installed, the fastest first; nothing is imported."""
    return [name for name, engine in ENGINES.items() if not missing(engine)]


def missing(engine: type[Engine]) -> list[str]:
    """The packages of an engine that are not installed."""
    return [name for name in (engine.package, *_EXPORTER) if importlib.util.find_spec(name) is None]
