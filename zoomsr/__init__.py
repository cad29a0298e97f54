"""zoomsr: a PyTorch Lightning framework for digital-zoom (super-resolution) experiments.

``from zoomsr import upscale`` upscales a photograph; ``load_model`` gives the net itself as a torch module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoomsr.inference.api import load_model as load_model
    from zoomsr.inference.api import upscale as upscale

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The public functions import torch, so they are loaded on first use."""
    if name in ("upscale", "load_model"):
        from zoomsr.inference import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
