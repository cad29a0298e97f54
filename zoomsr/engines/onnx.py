"""ONNX Runtime: float32, on every processor."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor


class OnnxRuntime:
    """A session on the CPU."""

    package: ClassVar[str] = "onnxruntime"
    label: ClassVar[str] = "ONNX Runtime"
    has_bfloat16: ClassVar[bool] = False

    def __init__(self, session: Any) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name

    @classmethod
    def open(cls, graph: bytes, *, threads: int, bfloat16: bool) -> OnnxRuntime:
        """See ``zoomsr.engines.Engine``; it has no bfloat16 on CPUs."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # an error is raised too, and is one line then
        return cls(onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]))

    def run(self, lr: Tensor) -> Tensor:
        """See ``zoomsr.engines.Engine``."""
        try:
            (sr,) = self._session.run(None, {self._input: lr.contiguous().numpy()})
        except Exception as error:  # its errors have no common base class but Exception
            raise RuntimeError(f"{self.label}: {error}") from error
        return torch.from_numpy(sr)
