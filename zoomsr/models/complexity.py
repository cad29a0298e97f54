"""Costs of a net: parameters, multiply-adds, time and memory."""

from __future__ import annotations

import statistics
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from zoomsr.imaging.resize import forget_taps
from zoomsr.models import n_parameters

_HD = (720, 1280)
"""Height and width of the output for which the field counts multiply-adds (as in CARN, Ahn et al., ECCV 2018)."""
_SIDE = 128


@dataclass(frozen=True)
class Costs:
    """Costs of a net.

    Attributes:
        params: number of parameters.
        macs: multiply-adds of its convolutions for an output of 1280x720.
        latency_ms: median time for one image of 128x128 lr pixels.
        peak_mb: peak memory of activations for 128x128 lr pixels in float32, without weights and a library's own
            buffers; in megabytes (10^6 bytes), the same on every machine.
    """

    params: int
    macs: int
    latency_ms: float
    peak_mb: float


def costs_of(net: nn.Module, *, scale: int, device: torch.device, repeats: int = 5) -> Costs:
    """Measure a net, uncompiled.

    Args:
        net: on ``device``; it is run in evaluation mode.
        scale: of the net.
        device: where the latency is measured.
        repeats: the latency is their median, after one that warms up.
    """
    training = net.training
    net.eval()
    height, width = (side // scale for side in _HD)
    try:
        # A net that is compiled for its training patches would be compiled anew.
        with torch.compiler.set_stance("force_eager"), torch.inference_mode():
            latency = _latency_ms(net, device, repeats)
        with torch.compiler.set_stance("force_eager"), torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            with FlopCounterMode(display=False) as counter:
                net(torch.empty(1, 3, height, width, device=device))
            with _LiveMemory() as memory:
                net(torch.empty(1, 3, _SIDE, _SIDE, device=device))
    finally:
        net.train(training)
        forget_taps()
    return Costs(
        params=n_parameters(net),
        macs=int(counter.get_total_flops()) // 2,  # an addition and a multiplication are one multiply-add
        latency_ms=latency,
        peak_mb=memory.peak // 10_000 / 100,
    )


class _LiveMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is not typed
    """Tracks the peak of allocated storage; of fake tensors, which take none."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._live: weakref.WeakKeyDictionary[torch.UntypedStorage, int] = weakref.WeakKeyDictionary()

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """See torch."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()  # views share one
                self._live[storage] = storage.nbytes()
        self.peak = max(self.peak, sum(self._live.values()))
        return result


def _latency_ms(net: nn.Module, device: torch.device, repeats: int) -> float:
    lr = torch.zeros(1, 3, _SIDE, _SIDE, device=device)
    times = []
    for _ in range(repeats + 1):  # the first one warms up
        start = time.perf_counter()
        float(net(lr).mean())  # waits for the device
        times.append(time.perf_counter() - start)
    return round(1000 * statistics.median(times[1:]), 3)
