"""A training that starts from trained weights, also from those of another scale or another net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from zoomsr.pretrained.vetting import TARGET
from zoomsr.pretrained.weights import Weights, open_plain
from zoomsr.training.callbacks.results import TRAINED_ON

_NAMED = 4  # tensors in a line


class Start(NamedTuple):
    """Where a training starts.

    Attributes:
        resume: a checkpoint.
        trained_on: what its first weights have seen before.
        weights: the file of the first weights, where they are not those of ``resume``.
    """

    resume: str | None = None
    trained_on: Sequence[str] = ()
    weights: Path | None = None


def trained_on(weights: Weights) -> list[str]:
    """The photographs of every training that made the weights, the first one first: ``275 of train291``."""
    if weights.card is not None and "name" in weights.card.data:
        data = weights.card.data
        return [*data.get("started_from", ()), f"{data['n_train']} of {data['name']}"]
    if weights.path.suffix == ".ckpt" and (known := open_plain(weights.path).get(TRAINED_ON)):
        return list(known)
    return [f"unknown ({weights.path.name})"]


def warm_start(net: nn.Module, weights: Weights, wanted: Mapping[str, Any]) -> str | None:
    """Copy weights into a net: all of them, or of another scale, or of the class that it extends, those that fit.

    A tensor fits one of the same name and shape. The other tensors of the net keep their initial values.

    Args:
        net: newly made.
        weights: of a net that differs in its scale alone, or whose class the net's own extends, as ``PhotoUNet`` does.
        wanted: ``_target_`` and arguments of ``net``.

    Returns:
        Which tensors start anew, as text; None where all were copied.

    Raises:
        ValueError: another net, one that differs in more than the scale, or less than half of the parameters fit.
    """
    config = weights.config or wanted
    held, scale = config.get("scale"), wanted.get("scale")
    extended = {f"{base.__module__}.{base.__qualname__}" for base in type(net).__mro__[1:]}
    is_extended = config.get(TARGET) in extended  # a name: nothing that the file says is imported
    if not is_extended and held == scale:
        weights.require(wanted)
        weights.load_into(net)
        return None
    if not is_extended:
        weights.require({**wanted, "scale": held})
    own = net.state_dict()
    fitting = {name: value for name, value in weights.tensors.items() if name in own and value.shape == own[name].shape}
    share = sum(own[name].numel() for name in fitting) / max(1, sum(value.numel() for value in own.values()))
    if share < 0.5:
        raise ValueError(
            f"{weights.path} holds {weights.describe()}, of which {share:.0%} fit the net here: less than half"
        )
    net.load_state_dict({**own, **fitting})
    anew = [name for name in own if name not in fitting]
    if not anew:
        return None
    more = f" and {len(anew) - _NAMED} more" if len(anew) > _NAMED else ""
    change = f": x{scale} instead of x{held}" if held != scale else ""
    return f"{', '.join(anew[:_NAMED])}{more} start anew{change}"
