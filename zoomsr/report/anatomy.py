"""What a net consists of, found by running it: the stages and the shapes between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zoomsr.figures import Stage


@dataclass(frozen=True)
class _Call:
    """A stage at work."""

    name: str
    taken: Tensor
    given: Tensor


@torch.no_grad()
def stages(net: nn.Module, side: int = 64) -> list[Stage]:
    """The stages of a net in the order in which they run, each where it runs first.

    A stage is a child of the net, or an element of a child that is a list, with at least one kernel; so neither
    bicubic enlargement nor activations and normalisation are. Where a single sequence stands among them, its elements
    are stages; where there is only one child, its children are.

    A stage has a skip connection where its input has more channels than the output before it, and an earlier stage has
    an output of the same size with as many channels as are missing: the last such. Or where its input is the sum of the
    output before it and an earlier one.

    Args:
        net: with the contract of ``zoomsr.models.Net``.
        side: of the square input, in pixels.
    """
    calls: list[_Call] = []
    handles = [module.register_forward_hook(_recorder(name, calls)) for name, module in _children(net)]
    training = net.training
    try:
        parameter = next(net.parameters(), torch.zeros(()))
        noise = torch.rand(1, int(getattr(net, "channels", 3)), side, side, generator=torch.Generator().manual_seed(0))
        net.eval()(noise.to(parameter.device))
    finally:
        net.train(training)
        for handle in handles:
            handle.remove()
    return [_stage(calls, number) for number in range(len(calls))]


def _children(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules that are stages, with their names."""
    found = list(_named(net, ""))
    if len(found) == 1 and _kernels_below(found[0][1]):
        return [(f"{found[0][0]}.{name}", module) for name, module in _children(found[0][1])]
    sequences = [module for _, module in found if isinstance(module, nn.Sequential)]
    if len(sequences) != 1:
        return found
    opened: list[tuple[str, nn.Module]] = []
    for name, module in found:
        opened += _named(module, f"{name}.") if module is sequences[0] else [(name, module)]
    return opened


def _named(module: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    """The children with a kernel; of a list, its elements."""
    for name, child in module.named_children():
        if isinstance(child, nn.ModuleList):
            yield from _named(child, f"{prefix}{name}.")
        elif any(parameter.ndim > 1 for parameter in child.parameters()):
            yield f"{prefix}{name}", child


def _kernels_below(module: nn.Module) -> bool:
    return next(_named(module, ""), None) is not None


def _recorder(name: str, calls: list[_Call]) -> Callable[[nn.Module, tuple[Tensor, ...], object], None]:
    """A hook that notes the first call."""

    def record(module: nn.Module, inputs: tuple[Tensor, ...], output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and all(call.name != name for call in calls):
            calls.append(_Call(name, inputs[0].clone(), output.clone()))  # layers may work in place

    return record


def _stage(calls: list[_Call], number: int) -> Stage:
    call = calls[number]
    _, channels, height, width = call.given.shape
    return Stage(call.name, channels, height, width, _skip_from(calls, number))


def _skip_from(calls: list[_Call], number: int) -> int | None:
    if number < 2:
        return None
    taken, before = calls[number].taken, calls[number - 1].given
    missing = taken.shape[1] - before.shape[1]
    for earlier in reversed(range(number - 1)):
        given = calls[earlier].given
        if missing > 0 and given.shape[1:] == (missing, *taken.shape[2:]):
            return earlier
        if taken.shape == before.shape == given.shape and torch.equal(taken, before + given):
            return earlier
    return None
