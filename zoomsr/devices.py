"""Which device, and what it can do."""

from __future__ import annotations

from pathlib import Path

import torch


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
    """Whether copies to it from page-locked memory run while the host goes on: on CUDA alone.

    Elsewhere nothing says when such a copy has read its source, which is written to again for a later batch.
    """
    return device.type == "cuda"


def has_float64(device: torch.device) -> bool:
    """Whether it computes in float64, as scores and exact resampling do: all but Apple's GPUs."""
    return device.type != "mps"


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 has instructions of its own there; without them it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Newer than the oldest torch that we support.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def free_memory(device: torch.device) -> int | None:
    """Bytes that could be taken; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = 1024 * int(fields["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    try:  # within a container's limit
        most, taken = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):  # none
        return free
    return min(free, most - taken)
