"""What is known of a device: what its errors mean, and how much of it a training took."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from PIL import Image

from zoomsr.engines.tiling import upscale_tiled
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.evaluator import evaluate
from zoomsr.hardware import devices
from zoomsr.hardware.devices import DeviceUse, is_out_of_memory
from zoomsr.hardware.processor import n_cores, processor
from zoomsr.imaging.degradations import Bicubic as Down
from zoomsr.models.bicubic import Bicubic

# As PyTorch 2.11 to 2.13 word them, on CPUs, NVIDIA and Apple GPUs.
OUT_OF_MEMORY = [
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.2 GiB is free.",
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported at some other API call",
    "CUDA driver error: out of memory",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
    "cuDNN error: CUDNN_STATUS_NOT_INITIALIZED",
    "GET was unable to find an engine to execute this computation",
    "FIND was unable to find an engine to execute this computation",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    "cuFFT error: CUFFT_ALLOC_FAILED",
    "MPS backend out of memory (MPS allocated: 17.65 GB, other allocations: 384.00 KB, max allowed: 18.13 GB)",
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9",
    "[enforce fail at alloc_cpu.cpp:116] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.",
    "std::bad_alloc",
]
OTHERS = [
    "CUDA error: an illegal memory access was encountered",
    "CUDA error: device-side assert triggered",
    "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
    "cuDNN error: CUDNN_STATUS_BAD_PARAM",
    "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`",
    "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu!",
    "The size of tensor a (5) must match the size of tensor b (4) at non-singleton dimension 3",
]


@pytest.mark.parametrize("message", OUT_OF_MEMORY)
def test_full_memory_is_recognised_whoever_says_so(message: str) -> None:
    assert is_out_of_memory(RuntimeError(message))


@pytest.mark.parametrize("message", OTHERS)
def test_other_errors_are_not_taken_for_full_memory(message: str) -> None:
    assert not is_out_of_memory(RuntimeError(message))


def test_errors_that_are_of_memory_by_their_class() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("whatever it says"))
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(ValueError("out of memory"))  # a user's, who is told so already


def test_what_is_shown_and_measured_is_float32_proper(tmp_path: Path) -> None:
    seen: list[bool] = []

    class Net(Bicubic):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            seen.append(torch.backends.cudnn.allow_tf32)
            return super().forward(lr)

    assert torch.backends.cudnn.allow_tf32
    pixels = photograph(24, 24)
    upscale_tiled(Net(), pixels, np.zeros((48, 48, 3), np.uint8), device=torch.device("cpu"))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    benchmark = Benchmark.find(tmp_path, scale=2)
    evaluate({"net": Net()}, benchmark, degradation=Down(2), device=torch.device("cpu"), advance=lambda: None)
    assert set(seen) == {False}
    assert len(seen) == 3  # a tile, and both protocols
    assert torch.backends.cudnn.allow_tf32


def test_the_use_of_a_cpu_is_not_measured() -> None:
    use = DeviceUse(torch.device("cpu"))
    use.sample()
    assert use.as_dict() == {"type": "cpu", "name": processor()}


def test_the_use_of_a_gpu_is_the_mean_of_its_samples_and_the_peak_of_its_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, busy, reset = [0.0], iter([40, 60, 80]), []
    monkeypatch.setattr(devices.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", reset.append)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 1_234_567_890)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: next(busy))
    use = DeviceUse(torch.device("cuda", 0))
    for clock[0] in (0.0, 0.5, 1.0, 1.9, 2.5):  # asked at 0, 1 and 2.5 s
        use.sample()
    assert reset == [torch.device("cuda", 0)]
    assert use.as_dict() == {"type": "cuda", "name": "NVIDIA H100", "peak_mb": 1234.57, "utilisation": 0.6}


def test_a_gpu_that_does_not_say_how_busy_it_is_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(device: torch.device) -> int:
        raise ModuleNotFoundError("nvidia-ml-py does not seem to be installed")

    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H100")
    monkeypatch.setattr(torch.cuda, "utilization", unknown)
    use = DeviceUse(torch.device("cuda"))
    use.sample()
    assert "utilisation" not in use.as_dict()


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 4, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert n_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert n_cores() == 64
