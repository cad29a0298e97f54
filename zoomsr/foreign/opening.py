"""Opens any file of a net: of ours, an ONNX graph, or one that spandrel knows."""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path
from typing import NamedTuple

from torch import nn

from zoomsr.foreign.by_spandrel import spandrel_net
from zoomsr.foreign.graph_file import onnx_net
from zoomsr.pretrained.names import ONNX_SUFFIX, SPANDREL_EXTRA, has_spandrel
from zoomsr.pretrained.weights import Weights


class OpenedNet(NamedTuple):
    """A net in eval mode, and its weights where it is one of ours or of the user's own; else it is a ``ForeignNet``."""

    net: nn.Module
    weights: Weights | None


def open_net(path: Path, nets: Container[str] = ()) -> OpenedNet:
    """Open a file of weights or a graph; a file that does not say which net it holds goes to spandrel.

    Args:
        path: that is there.
        nets: classes of the user's own that it may hold, see ``zoomsr.pretrained.own_nets``.

    Raises:
        ValueError: damaged, of no net that is known, or an extra is missing.
    """
    if path.suffix == ONNX_SUFFIX:
        return OpenedNet(onnx_net(path).eval(), None)
    weights = Weights.read(path, nets)
    if weights.config is not None:
        return OpenedNet(weights.build(), weights)
    if not has_spandrel():
        advice = f"for a net of another project, {SPANDREL_EXTRA}"
        raise ValueError(
            f"{path} does not say which net it holds: for one of ours, evaluate takes model=NAME; {advice}"
        )
    return OpenedNet(spandrel_net(weights).eval(), None)
