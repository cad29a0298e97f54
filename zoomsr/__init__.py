"""zoomsr: a PyTorch Lightning framework for digital-zoom (super-resolution) experiments."""

__version__ = "0.1.0"
