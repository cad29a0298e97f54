"""OpenVINO: the fastest on x86 processors, with or without AVX-512."""

from __future__ import annotations

from threading import Lock
from typing import Any, ClassVar

import torch
from torch import Tensor


class OpenVINO:
    """A graph compiled for any size, which costs no more than for one: each size is prepared when it is first met."""

    package: ClassVar[str] = "openvino"
    label: ClassVar[str] = "OpenVINO"
    has_bfloat16: ClassVar[bool] = False

    def __init__(self, request: Any) -> None:
        self._request = request
        self._lock = Lock()  # a request serves one at a time, and each has memory of its own

    @classmethod
    def open(cls, graph: bytes, *, threads: int, bfloat16: bool) -> OpenVINO:
        """See ``zoomsr.engines.Engine``."""
        import openvino

        core = openvino.Core()
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",  # or it would take bfloat16 wherever the processor has it
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,  # several processes would share the same cores
        }
        compiled = core.compile_model(core.read_model(graph), "CPU", settings)
        return cls(compiled.create_infer_request())

    def run(self, lr: Tensor) -> Tensor:
        """See ``zoomsr.engines.Engine``."""
        with self._lock:
            (sr,) = self._request.infer([lr.contiguous().numpy()], share_inputs=True).values()
        return torch.from_numpy(sr)
