"""Nets that spandrel knows by the names and shapes of their tensors (github.com/chaiNNer-org/spandrel, MIT).

The file is read by ``zoomsr.pretrained.weights``, tensors and plain data alone; spandrel gets the tensors. It needs
torchvision, of which this package needs nothing, so that both are an extra.
"""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

import torch

from zoomsr.foreign.net import ForeignNet, NetFacts
from zoomsr.models import n_parameters
from zoomsr.pretrained.names import SPANDREL_EXTRA
from zoomsr.pretrained.weights import Weights

_PURPOSES = ("SR", "Restoration")
_MAX_REASON = 250  # characters


def refuse_training(scale: int) -> NoReturn:
    """What ``model=spandrel`` makes elsewhere than in ``evaluate``.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"model=spandrel is for evaluate scale={scale} ckpt=FILE.pth: it names no net that can be trained")


def spandrel_net(weights: Weights) -> ForeignNet:
    """The net of a file, of whichever architecture spandrel finds in it.

    Args:
        weights: that do not say which net they are of.

    Raises:
        ValueError: spandrel cannot be imported, knows no such net, or one that does not enlarge RGB or grey pictures.
    """
    descriptor = _loaded(weights)
    channels, outputs = descriptor.input_channels, descriptor.output_channels
    label = f"{weights.path} holds a net of {descriptor.architecture.name}"
    if getattr(descriptor, "purpose", "") not in _PURPOSES:
        raise ValueError(f"{label} for {descriptor.purpose}: it enlarges no photographs")
    if channels != outputs or channels not in (1, 3):
        raise ValueError(f"{label} from {channels} to {outputs} channels, not from 1 to 1 or from 3 to 3")
    module: torch.nn.Module = descriptor.model.eval().requires_grad_(False)
    facts = NetFacts(
        path=weights.path,
        kind=f"{descriptor.architecture.name} by spandrel",
        engine="torch",
        scale=int(descriptor.scale),
        channels=int(channels),
        size_multiple=int(descriptor.size_requirements.multiple_of),
        n_parameters=n_parameters(module),
    )
    return ForeignNet(facts, descriptor, module)  # called, it pads to the net's least size too


def _loaded(weights: Weights) -> Any:
    """Spandrel's description of the net, with the net."""
    try:
        import spandrel
    except Exception as error:  # a torchvision that does not fit torch raises errors of any type
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"spandrel cannot be imported: {reason}; {SPANDREL_EXTRA}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constructors of others, on which a user has no influence
            return spandrel.ModelLoader("cpu").load_from_state_dict(dict(weights.tensors))
    except spandrel.UnsupportedModelError:
        raise ValueError(f"{weights.path} holds {weights.describe()}, which spandrel does not know") from None
    except Exception as error:  # tensors of a file make the constructors of others raise errors of any type
        reason = " ".join(str(error).split()) or type(error).__name__  # torch's first line only says that it failed
        raise ValueError(f"{weights.path} holds a net that spandrel cannot make: {reason[:_MAX_REASON]}") from error
