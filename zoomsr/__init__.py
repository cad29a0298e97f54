"""zoomsr: a PyTorch Lightning framework for digital-zoom (super-resolution) experiments.

``from zoomsr import upscale`` is all that a photograph needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoomsr.inference.api import upscale as upscale

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """``upscale`` brings torch, so it waits until it is asked for."""
    if name == "upscale":
        from zoomsr.inference.api import upscale

        return upscale
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
