"""Which device, and what it does fast."""

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


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 has instructions of its own there; without them it is up to five times slower than float32.

    On Arm nobody has measured it: no.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    # Newer than the oldest torch that we support.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    has_instructions = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    # oneDNN, which computes the convolutions, may be kept from using them: ONEDNN_MAX_CPU_ISA=AVX2.
    return has_instructions and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def training_device(accelerator: str) -> torch.device:
    """Where Lightning's accelerator of that name trains; ``auto`` and ``gpu`` take what this machine has."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


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
