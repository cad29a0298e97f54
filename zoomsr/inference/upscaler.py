"""A net opened for use: photographs in, larger photographs out."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from zoomsr.engines import AUTO
from zoomsr.engines.accelerated import Accelerated, accelerated
from zoomsr.engines.tiling import TILE, Region, TileSink, TileSource, upscale_tiled
from zoomsr.foreign.net import ForeignNet
from zoomsr.foreign.opening import OpenedNet, open_net
from zoomsr.hardware.devices import device_named, free_memory, has_fast_bfloat16
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.pixels import white_of
from zoomsr.inference.transparency import Transparent
from zoomsr.models import Net, at_quality, takes_quality
from zoomsr.models.back_projection import REACH, STEPS, BackProjection
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.models.strength import Strength
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import weights_file
from zoomsr.runs.layout import run_of

_MIN_TILE = 64
_TILE_PER_HALO = 6  # with less the halo is most of the work: 2.25 times the tile for a U-Net of 121 with 512
_BYTES_PER_PIXEL = 3000  # of a tile with its halo: VDSR in float32 takes most, the U-Net in bfloat16 900
_BYTES_PER_OUTPUT_PIXEL = 36  # RGB in float32, three times: more than the layers' where the scale is large
_MAX_BICUBIC = 16

PRECISIONS = ("auto", "32", "bf16")


@dataclass(frozen=True)
class NetOptions:
    """How a net is run.

    Attributes:
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
        precision: ``auto`` runs in bfloat16 where the device does so fast and the net's card allows it (see
            ``Card.bfloat16``); ``32`` never, ``bf16`` always.
        tile: side in lr pixels; None for ``tile_for`` the device.
        exact: the full halo, also where the card has a smaller one.
        self_ensemble: the mean over the eight flips and rotations, in eight times the time.
        engine: ``torch``, ``openvino``, ``onnx``; ``auto`` is the fastest that is installed, where it pays.
        back_projection: steps after the net, see ``BackProjection``; 0 for none. Bicubic never has any. None for
            ``STEPS``, but for none where the net is told that its pictures were compressed: the traces would come back.
        strength: 0 for bicubic, 1 for the net, or between.
        nets: classes of the user's own that files may hold, see ``zoomsr.pretrained.own_nets``.

    Raises:
        ValueError: no such precision.
    """

    device: str = "auto"
    precision: str = "auto"
    tile: int | None = None
    exact: bool = False
    self_ensemble: bool = False
    engine: str = AUTO
    back_projection: int | None = None
    strength: float = 1.0
    nets: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision {self.precision} is none of {', '.join(PRECISIONS)}")

    def steps(self, quality: float | None) -> int:
        """Of back-projection, for a net that was told the JPEG quality, or None."""
        default = STEPS if quality in (None, NEVER_COMPRESSED) else 0
        return default if self.back_projection is None else self.back_projection

    def around(self, net: nn.Module, *, steps: int) -> nn.Module:
        """The net with all that is wrapped around it."""
        net = SelfEnsemble(net) if self.self_ensemble else net
        net = BackProjection(net, steps=steps) if steps else net
        return net if self.strength == 1 else Strength(net, self.strength)

    def in_bfloat16(self, card: Card | None, device: torch.device) -> bool:
        """Whether a net with that card runs in bfloat16."""
        is_safe = card is not None and card.bfloat16
        return self.precision == "bf16" or (self.precision == "auto" and is_safe and has_fast_bfloat16(device))


@dataclass(frozen=True)
class Upscaler:
    """A net, and how it is run.

    Attributes:
        name: for people.
        net: on its device, in eval mode.
        device: where it runs.
        halo: around tiles in lr pixels; None for the net's receptive radius, which is exact.
        bfloat16: whether its layers run in bfloat16.
        tile: side in lr pixels.
        engine: the net in ``net`` that another engine than torch may run, or None.
        weights: the file of its weights, or None.
        quality: the JPEG quality that the net was told of its pictures; None for a net that is told none.
        restorer: removes the traces of compression first, its result shrunk to the picture's size; or None.
        is_tile_given: whether the user chose ``tile``, which else depends on the free memory.
        about: lines on a net of another project.
    """

    name: str
    net: Net
    device: torch.device
    halo: int | None = None
    bfloat16: bool = False
    tile: int = TILE
    engine: Accelerated | None = None
    weights: Path | None = None
    quality: float | None = None
    restorer: Upscaler | None = None
    is_tile_given: bool = False
    about: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """What the pixels of a tile depend on, beside the net's weights, its device and its engine."""
        net = self.net
        strength, inner = (net.strength, net.net) if isinstance(net, Strength) else (1.0, net)
        steps, inner = (inner.steps, inner.net) if isinstance(inner, BackProjection) else (0, inner)
        return {
            "scale": net.scale,
            "back_projection": steps,
            "strength": strength,
            "self_ensemble": isinstance(inner, SelfEnsemble),
            "jpeg_quality_told": self.quality,
            "restored_by": None if self.restorer is None else self.restorer.name,
            "bfloat16": self.bfloat16,
            "halo": net.halo if self.halo is None else self.halo,
        }

    @staticmethod
    def open(
        model: str,
        scale: int | None = None,
        how: NetOptions = NetOptions(),  # frozen
        *,
        quality: float = NEVER_COMPRESSED,
    ) -> Upscaler:
        """Open a net by name, or from a file.

        Args:
            model: ``bicubic``, the name of a pretrained net, a run's directory, or a file.
            scale: that is wanted, see ``weights_file``; bicubic reaches up to 16 in one pass.
            how: it is run.
            quality: JPEG quality of the pictures, 1 to 100, which is never compressed; for nets that can be told.

        Raises:
            ValueError: no such net, no weights, no such device or engine, negative steps, a quality or strength out of
                range; what to do instead.
        """
        where, path = device_named(how.device), weights_file(model, scale)
        net, weights = OpenedNet(bicubic(scale), None) if path is None else open_net(path, how.nets)
        foreign = net if isinstance(net, ForeignNet) else None
        if foreign is not None:
            foreign.require_engine(how.engine)
        told = quality if takes_quality(net) else None
        if weights is not None and told is not None:
            net = at_quality(net, told)
            weights = replace(weights, tensors=net.state_dict())
        net = accelerated(net, weights, engine=how.engine, device=where)
        runner = net if isinstance(net, Accelerated) else None
        steps = 0 if path is None else how.steps(told)
        net = how.around(net, steps=steps)
        net = net.to(where).to(memory_format=torch.channels_last).requires_grad_(False)  # type: ignore[call-overload]
        card, made = None if weights is None else weights.card, cast(Net, net)
        near = card.halo if card is not None else foreign.tile_halo if foreign is not None else None
        halo = None if how.exact or near is None else near + steps * REACH
        tile = how.tile or tile_for(made.halo if halo is None else halo, where, scale=made.scale)
        about = () if foreign is None else tuple(foreign.about(tiles=True))
        opened = Upscaler(_name(path), made, where, halo, how.in_bfloat16(card, where), tile, runner, path, told)
        return replace(opened, is_tile_given=how.tile is not None, about=about)

    def upscale(
        self, photograph: Photograph, *, scale: int | None = None, advance: Callable[[int], None] = lambda pixels: None
    ) -> Photograph:
        """The photograph ``scale`` times as large in each direction, with its metadata.

        Alpha is upscaled by bicubic, colours as they are seen: see ``zoomsr.inference.transparency``. 16-bit pixels are
        run in float32.

        Args:
            photograph: of any size.
            scale: the net's, or a power of it: then it runs several times. None for the net's.
            advance: called with the number of output pixels that are done.

        Raises:
            ValueError: a scale that the net does not reach.
        """
        if self.restorer is not None:
            photograph = self.restorer.upscale(photograph, advance=advance).resized(photograph.size)
        for _ in range(self.passes(scale)):
            photograph = self._once(photograph, advance)
        return photograph

    def passes(self, scale: int | None) -> int:
        """How often the net runs to upscale by ``scale``. Raises ValueError where that is no power of its own."""
        own = self.net.scale
        count = 1 if scale is None or own < 2 else next((n for n in range(1, 9) if own**n >= scale), 8)
        if scale is not None and own**count != scale:
            raise ValueError(f"{self.name} enlarges by {own}, and so by {own}, {own**2}, ..., not by {scale}")
        return count

    def power_above(self, factor: Fraction) -> int:
        """The smallest power of the net's own scale that is at least ``factor``, which is above 1.

        Raises:
            ValueError: more than eight passes would be needed.
        """
        own: int = self.net.scale
        powers: list[int] = [own**n for n in range(1, 9) if own**n >= factor]
        if not powers:
            raise ValueError(f"{self.name} enlarges by {own**8} at most, not by {float(factor):g}")
        return powers[0]

    def into(
        self,
        source: TileSource,
        out: TileSink,
        *,
        done: Container[Region] = (),
        advance: Callable[[int], None] = lambda pixels: None,
    ) -> None:
        """Upscale from any source into any sink, see ``upscale_tiled``. Of 2 or 4 channels alpha is last."""
        net, halo = self.net, self.halo
        if source.shape[2] in (2, 4):
            net = cast(Net, Transparent(net).to(self.device))
            halo = None if halo is None else halo + Transparent.reach
        if self.engine is not None:
            self.engine.expect(source.shape[0] * source.shape[1])
        half = self.bfloat16 and source.dtype == np.uint8
        upscale_tiled(
            net, source, out, device=self.device, tile=self.tile, halo=halo, bfloat16=half, done=done, advance=advance
        )

    def _once(self, photograph: Photograph, advance: Callable[[int], None]) -> Photograph:
        alpha, is_transparent = photograph.alpha, photograph.is_transparent
        source = photograph.interleaved if is_transparent else photograph.pixels
        height, width, channels = source.shape
        larger = np.empty((height * self.net.scale, width * self.net.scale, channels), source.dtype)
        self.into(source, larger, advance=advance)
        if alpha is None:
            return replace(photograph, pixels=larger)
        if is_transparent:
            return replace(photograph, pixels=larger[..., :-1], alpha=larger[..., -1:])
        return replace(photograph, pixels=larger, alpha=np.full_like(larger[..., :1], white_of(alpha.dtype)))


def bicubic(scale: int | None) -> Bicubic:
    """Of the scale that is wanted where one pass reaches it in little memory, else of scale 2."""
    return Bicubic(scale if scale is not None and 2 <= scale <= _MAX_BICUBIC else 2)


def _name(path: Path | None) -> str:
    """Of a net: its file's, or its run's, for every run has a best.ckpt."""
    if path is None:
        return "bicubic"
    run = run_of(path.resolve())
    return path.stem if run is None else run.name


def layer_bytes(pixels: int, *, scale: int) -> int:
    """Upper bound of the memory in which a net of the package runs that many lr pixels at once."""
    return pixels * max(_BYTES_PER_PIXEL, _BYTES_PER_OUTPUT_PIXEL * scale**2)


def tile_for(halo: int, device: torch.device, *, scale: int) -> int:
    """The side of a tile in lr pixels that suits a net and a device.

    ``TILE``; more for a net with a large halo, which is run again at every cut; less where that would take more than
    half of the free memory.
    """
    free, side = free_memory(device), min(max(TILE, _TILE_PER_HALO * halo), 2 * TILE)
    while free is not None and side > _MIN_TILE and layer_bytes((side + 2 * halo) ** 2, scale=scale) > free / 2:
        side = TILE if side > TILE else side // 2
    return side
