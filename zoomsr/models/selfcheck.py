"""Whether a device computes what the CPU does: Apple's GPUs have had wrong kernels, which give no error."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from zoomsr.imaging.resize import resize

TOLERANCE = 1e-3
"""Largest difference from the CPU with which a device is chosen by itself; another order of sums makes about 1e-5."""

_BATCHES, _SIDE = 10, 24


def largest_difference(net: nn.Module, device: torch.device) -> float:
    """How far a device's results lie from the CPU's: a net's output and gradients on ten small batches, and bicubic.

    Args:
        net: with the contract of ``zoomsr.models.Net``; it is copied, and left as it is.
        device: to be checked.

    Returns:
        The largest difference of any value, as a share of the largest value beside it; infinite where the device
        cannot run the net, or gives NaN or Inf.
    """
    try:
        found = _computed(net, device)
    except (RuntimeError, TypeError):  # torch's errors where a device lacks an operation or a type
        return math.inf
    expected = _computed(net, torch.device("cpu"))
    pairs = zip(found, expected, strict=True)
    shares = [float((one - other).abs().max()) / max(float(other.abs().max()), 1e-9) for one, other in pairs]
    return max(share if math.isfinite(share) else math.inf for share in shares)


def _computed(net: nn.Module, device: torch.device) -> list[Tensor]:
    """For each batch sr, lr and hr by bicubic, and all gradients as one vector; on the CPU."""
    net = copy.deepcopy(net).to(device).train()
    for module in net.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.eval()  # devices draw differently
    channels, scale, multiple = (int(getattr(net, name)) for name in ("channels", "scale", "multiple_of"))
    side = math.ceil(_SIDE / multiple) * multiple
    found: list[Tensor] = []
    for seed in range(_BATCHES):
        generator = torch.Generator().manual_seed(seed)
        lr, hr = (torch.rand(2, channels, size, size, generator=generator).to(device) for size in (side, side * scale))
        net.zero_grad()
        sr = net(lr)
        found += [sr, resize(hr, (side, side)), resize(lr, (2 * side, 2 * side))]
        if sr.requires_grad:
            (sr * hr).mean().backward()  # not an error's, which would multiply small differences
            found.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]))
    return [values.detach().cpu() for values in found]
