"""Finds the first layer whose output holds a NaN or Inf."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from zoomsr.models import told


@torch.no_grad()
def diagnose(
    net: nn.Module, loss: nn.Module, *, lr: Tensor, hr: Tensor, quality: Tensor | None = None
) -> dict[str, float]:
    """The largest output magnitude of each layer of the net and each term of the loss.

    Args:
        net: lr to sr.
        loss: (sr, hr) to a scalar; its sub-modules are its terms.
        lr: (N, C, H, W).
        hr: (N, C, scale H, scale W).
        quality: the JPEG quality of each, (N,), for nets that take it.

    Returns:
        ``net.features.0 (Conv2d)`` to magnitude, in the order in which they ran.
    """
    found: dict[str, float] = {}
    if not all(torch.isfinite(parameter).all() for parameter in net.parameters()):
        names = [name for name, parameter in net.named_parameters() if not torch.isfinite(parameter).all()]
        found[f"net.{names[0]} (weights)"] = float("nan")
    # A compiled net would be recompiled for the hooks.
    with torch.compiler.set_stance("force_eager"), _watched(net, "net", found), _watched(loss, "loss", found):
        loss(net(lr, *told(net, quality, lr=lr)), hr)
    return found


def first_wrong(found: dict[str, float]) -> str | None:
    """The first layer whose output is not finite; None where all are."""
    return next((name for name, size in found.items() if not abs(size) < float("inf")), None)


@contextmanager
def _watched(root: nn.Module, name: str, found: dict[str, float]) -> Iterator[None]:
    def hook(label: str) -> Any:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            sizes = [leaf.abs().max().float() for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
            if sizes:
                found[label] = float(torch.stack(sizes).max())

        return note

    handles = [
        module.register_forward_hook(hook(f"{name}.{path}".rstrip(".") + f" ({type(module).__name__})"))
        for path, module in root.named_modules()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
