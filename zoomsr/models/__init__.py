"""The nets, a file each, usable without the rest of the framework."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class Net(Protocol):
    """The contract of a net, on which training, evaluation and tiling rely.

    Optional: ``takes_quality`` and ``at`` (see ``takes_quality`` and ``at_quality`` below), and ``lr_8bit``, True for a
    net that is given lr in whole grey levels by every protocol.
    """

    scale: int
    """Both sides grow by this factor."""

    multiple_of: int
    """The net's own grid, in lr pixels: shifting the input by this much shifts the output. Any input size works."""

    halo: int
    """Receptive radius in lr pixels: output over lr pixel x depends on lr pixels x - halo ... x + halo, no others."""

    channels: int
    """3: RGB. 1: luma, with bicubic chroma for an RGB image; a grey image is its own luma."""

    def __call__(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) on [0, 1] to (N, C, scale H, scale W), float32, not clamped."""
        ...


class Around(nn.Module):
    """Base of a net around another one, whose contract it takes over."""

    scale: int
    channels: int
    multiple_of: int
    halo: int

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        for name in ("scale", "channels", "multiple_of", "halo"):
            setattr(self, name, getattr(net, name))
        self.lr_8bit = getattr(net, "lr_8bit", False)


def scale_of(net: nn.Module | Net) -> int:
    """The net's scale.

    Raises:
        ValueError: the module lacks an attribute of ``Net``.
    """
    needed = ("scale", "channels", "multiple_of", "halo")
    missing = [name for name in needed if not isinstance(getattr(net, name, None), int)]
    if missing:
        raise ValueError(f"{type(net).__name__} is no zoomsr net: it lacks the attribute(s) {', '.join(missing)}")
    return int(net.scale)  # type: ignore[arg-type]  # nn.Module types every attribute as Tensor | Module


def n_parameters(net: nn.Module) -> int:
    """Numbers that were learned, also of a net whose graph is no module of torch (``ForeignNet``)."""
    elsewhere = (getattr(module, "graph_parameters", 0) for module in net.modules())
    return sum(parameter.numel() for parameter in net.parameters()) + sum(elsewhere)


def at_quality(net: nn.Module, quality: float) -> nn.Module:
    """The net for pictures of one JPEG quality, 1 to 100, where it can be told one (``takes_quality``); else itself."""
    if not takes_quality(net):
        return net
    told: nn.Module = net.at(quality)  # type: ignore[operator]  # nn.Module types every attribute as Tensor | Module
    return told


def takes_quality(net: nn.Module | Net) -> bool:
    """Whether ``forward`` takes the JPEG quality of lr, (N,), as a second argument, and ``at`` a fixed one."""
    return bool(getattr(net, "takes_quality", False))


def told(net: nn.Module | Net, quality: Tensor | None, *, lr: Tensor) -> tuple[Tensor, ...]:
    """What ``forward`` takes beside lr: the JPEG quality of each picture, (N,), if it is known and the net takes it."""
    if quality is None or not takes_quality(net):
        return ()
    return (quality.to(lr, non_blocking=lr.is_cuda),)  # so few bytes are copied before the call returns
