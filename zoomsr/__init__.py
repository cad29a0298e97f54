"""zoomsr: a PyTorch Lightning framework for digital-zoom (super-resolution) experiments.

``from zoomsr import enlarge`` is all that a photograph needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoomsr.inference.api import enlarge as enlarge

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``enlarge`` brings torch, so it waits until it is asked for."""
    if name == "enlarge":
        from zoomsr.inference.api import enlarge

        return enlarge
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
