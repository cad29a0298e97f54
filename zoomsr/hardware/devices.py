"""Devices: which one, and its capabilities."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from zoomsr.hardware.processor import processor

_OUT_OF_MEMORY = (
    *("out of memory", "not enough memory", "allocate memory", "bad_alloc", "alloc_failed", "allocation_failed"),
    # Of cuDNN and cuBLAS when nothing is left for their own part, and of cuDNN when no way to convolve had enough.
    *("cudnn_status_not_initialized", "cublas_status_not_initialized", "unable to find an engine"),
)

_CUDA_GRAPHS = ("reduce-overhead", "max-autotune")
_COMPILE_MODES = ("default", "max-autotune-no-cudagraphs", *_CUDA_GRAPHS)

_SECONDS_BETWEEN_SAMPLES = 1.0  # NVML's own answer is a mean over up to a second


class MemoryFullError(ValueError):
    """A device's memory does not hold what was asked of it; the text says what takes less."""


def device_named(name: str) -> torch.device:
    """``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        ValueError: it cannot be used here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.ones(1, device=name).tolist()  # "meta" would hold no pixels
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device={name} cannot be used here: {str(error).splitlines()[0]}") from None


def copies_ahead(device: torch.device) -> bool:
    """Whether copies from page-locked memory are asynchronous: on CUDA alone.

    Elsewhere nothing tells when such a copy has read its source, which a later batch overwrites.
    """
    return device.type == "cuda"


def has_float64(device: torch.device) -> bool:
    """Whether it computes in float64, as scores and exact resampling do: all but Apple's GPUs."""
    return device.type != "mps"


def training_device(accelerator: str) -> torch.device:
    """Where Lightning's accelerator of that name trains; ``auto`` and ``gpu`` take what this machine has."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 has instructions of its own there; without them it is up to five times slower than float32.

    False on Arm, where it was not measured.
    """
    if device.type == "cuda":
        with torch.cuda.device(device):  # else it is asked of the first GPU
            return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Newer than the oldest torch that we support.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    has_instructions = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    # oneDNN, which computes the convolutions, may be kept from using them: ONEDNN_MAX_CPU_ISA=AVX2.
    return has_instructions and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def compile_mode(setting: bool | str, *, accumulated: int) -> str:
    """The mode of torch.compile for a net in training.

    Args:
        setting: True, or the name of a mode.
        accumulated: batches whose gradients are accumulated for a step.

    Raises:
        ValueError: no such mode, or one that overwrites the gradients of the batch before.
    """
    mode = "default" if setting is True else str(setting)
    if mode not in _COMPILE_MODES:
        raise ValueError(f"compile={setting} must be true, false or one of {', '.join(_COMPILE_MODES)}")
    if mode in _CUDA_GRAPHS and accumulated > 1:
        raise ValueError(f"compile={mode} cannot accumulate gradients: compile=true, or a larger data.batch_size")
    return mode


def fuse(optimizer: Optimizer) -> None:
    """Use the optimizer's fused CUDA kernel, where it has one and nothing else was asked for.

    torch itself launches a dozen kernels. Set in its groups, not when it is made: torch would then also take over the
    scaling of float16 gradients, with which Lightning cannot clip them.
    """
    for group in optimizer.param_groups:
        is_free = group.get("fused", True) is None and not group.get("foreach") and not group.get("differentiable")
        if is_free and all(one.is_cuda for one in group["params"]):
            group["fused"] = True


def free_memory(device: torch.device) -> int | None:
    """Bytes of free memory; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines())
        free = 1024 * int(fields["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    try:  # within a container's limit
        files = (Path(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
        most, taken = (int(file.read_text(encoding="utf-8")) for file in files)
    except (OSError, ValueError):  # none
        return free
    return min(free, most - taken)


def peak_memory(device: torch.device) -> int | None:
    """The most bytes that this process has held: of tensors on a GPU, else of main memory; None where nothing tells."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
        return 1024 * int(fields["VmHWM"].split()[0])  # not getrusage's, which begins with the parent's
    except (OSError, KeyError, ValueError):
        return None


@contextmanager
def full_float32() -> Iterator[None]:
    """Turn TF32 off: by default float32 convolutions on CUDA round to its 10 bits of mantissa."""
    # Not by the newer settings of torch: it raises where it finds both kinds in use, and its compilers use this one.
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the error means that memory ran out, in PyTorch or in a library that it calls."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    # CUDA's allocator has a class of its own; the errors of the CPU's, of cuDNN and of cuBLAS are plain.
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _OUT_OF_MEMORY)


class DeviceUse:
    """Memory and utilisation of a GPU from here on, by this process."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._samples: list[int] = []  # per cent
        self._next = time.monotonic()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def sample(self) -> None:
        """Ask the driver how busy the device is, once a second at most; the device is not waited for."""
        if self._device.type != "cuda" or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _SECONDS_BETWEEN_SAMPLES
        try:
            self._samples.append(torch.cuda.utilization(self._device))
        except Exception:  # NVML has errors of its own, and parts of a GPU (MIG) have no utilisation
            self._next = float("inf")

    def as_dict(self) -> dict[str, Any]:
        """``type`` and ``name``; of a GPU also ``peak_mb`` (10^6 bytes) and, where known, ``utilisation``, 0 to 1."""
        if self._device.type != "cuda":
            return {"type": self._device.type, "name": processor()}
        busy = {"utilisation": round(sum(self._samples) / len(self._samples) / 100, 3)} if self._samples else {}
        peak = round(torch.cuda.max_memory_allocated(self._device) / 1e6, 2)
        return {"type": "cuda", "name": torch.cuda.get_device_name(self._device), "peak_mb": peak, **busy}
