"""A net that another engine runs, where one is installed, gives the net's own pixels, and pays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoomsr.engines import AUTO, CHOICES, ENGINES, TORCH, Engine, installed, missing
from zoomsr.engines.graph import GraphFile, example, exported
from zoomsr.models import Around
from zoomsr.pretrained.weights import Weights

MAX_DIFFERENCE = 1e-4
"""On [0, 1], in float32: a fortieth of a grey level."""

_CHECKED = (61, 83)  # height and width of the crops on which an engine must agree
_PRECISION = {True: "bfloat16", False: "float32"}

# In lr pixels. Opening a graph takes about a second, as much as several crops of 256x256 save on two cores; exporting
# it takes some more seconds, once, as much as a photograph saves.
_LEAST_PIXELS = 250_000
_LEAST_PIXELS_TO_EXPORT = 500_000


class _NoGraphError(ValueError):
    """A net that torch cannot export."""


class Accelerated(Around):
    """A net with the same contract, run by an engine of ``zoomsr.engines`` in float32, or in bfloat16 under autocast.

    ``auto`` stays with torch until the pixels it was told of make up for opening an engine, takes the fastest one, and
    stays with torch where none can be used. An engine that is named is opened at once, or an error.

    Args:
        net: in eval mode, on the CPU.
        digest: sha256 of its weights and settings.
        engine: ``auto``, ``openvino``, ``onnx``.
    """

    def __init__(self, net: nn.Module, *, digest: str, engine: str) -> None:
        super().__init__(net)
        self._messages: list[str] = []
        self._digest, self.choice = digest, engine
        self._pixels, self._is_on = 0, engine != AUTO
        self._opened: dict[tuple[int, bool], Engine | None] = {}
        self._graphs: dict[int, bytes] = {}

    @property
    def engine(self) -> str:
        """The engines that ran it so far: ``torch``, ``OpenVINO``."""
        used = [TORCH if one is None else one.label for one in self._opened.values()]
        return ", ".join(dict.fromkeys(used)) or TORCH

    def said(self) -> list[str]:
        """Lines on the engines that were opened since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def start(self) -> None:
        """Use an engine from now on, whether it pays or not."""
        self._is_on = True

    def expect(self, pixels: int) -> None:
        """Announce lr pixels that come next."""
        self._pixels += pixels
        if not self._is_on:
            is_made = GraphFile(self._digest, channels=3).exists()
            self._is_on = self._pixels >= (_LEAST_PIXELS if is_made else _LEAST_PIXELS_TO_EXPORT)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W)."""
        if not self._is_on:
            return cast(Tensor, self.net(lr))
        key = lr.shape[1], torch.is_autocast_enabled("cpu")
        if key not in self._opened:
            self._opened[key] = self._open(*key)
        engine = self._opened[key]
        return cast(Tensor, self.net(lr)) if engine is None else engine.run(lr)

    def _open(self, channels: int, bfloat16: bool) -> Engine | None:
        """The first engine that gives the net's own pixels; None for torch."""
        for name, half in self._candidates(bfloat16):
            label = f"{ENGINES[name].label}, {_PRECISION[half]}"
            try:
                engine = self._checked(ENGINES[name], channels, bfloat16=half)
            except Exception as error:  # torch's exporter and the engines raise errors of any type
                reason = (str(error) or type(error).__name__).splitlines()[0]
                if self.choice != AUTO and not half:
                    raise ValueError(f"engine {name} cannot be used here: {reason}") from error
                self._messages.append(f"{label}, cannot be used here: {reason}")
                if isinstance(error, _NoGraphError):
                    break  # the next engine would need the same graph
            else:
                self._messages.append(label)
                return engine
        return None

    def _candidates(self, bfloat16: bool) -> list[tuple[str, bool]]:
        """Names, and whether in bfloat16: where torch may run in it, it is faster than the others are in float32."""
        if self.choice == AUTO:
            return [(name, bfloat16) for name in installed() if ENGINES[name].has_bfloat16 or not bfloat16]
        halves = (True, False) if bfloat16 and ENGINES[self.choice].has_bfloat16 else (False,)
        return [(self.choice, half) for half in halves]

    def _checked(self, kind: type[Engine], channels: int, *, bfloat16: bool) -> Engine:
        """An engine whose pixels were compared with the net's; a cached graph that fails is exported again."""
        errors: list[Exception] = []
        for graph in self._kept_and_new(channels):
            try:
                engine = kind.open(graph, threads=torch.get_num_threads(), bfloat16=bfloat16)
                _require_parity(self.net, engine, channels=channels, bfloat16=bfloat16)
                return engine
            except Exception as error:
                errors.append(error)
        raise errors[-1]

    def _kept_and_new(self, channels: int) -> Iterator[bytes]:
        """The cached graph, and a new one, which is exported once."""
        file = GraphFile(self._digest, channels=channels)
        if (graph := self._graphs.get(channels) or file.read()) is not None:
            yield graph
        if channels in self._graphs:
            return
        start = time.perf_counter()
        try:
            graph = cast(bytes, exported(self.net, example(channels)).model_proto.SerializeToString())
        except Exception as error:  # torch's exporter raises errors of any type
            raise _NoGraphError(f"torch makes no graph of the net: {error or type(error).__name__}") from error
        self._graphs[channels] = graph
        self._messages.append(f"made the net's graph, once, in {time.perf_counter() - start:.0f} s")
        try:
            file.write(graph)
        except (OSError, RuntimeError, ValueError) as error:
            self._messages.append(f"the graph is not kept for the next time: {error}")
        yield graph


def accelerated(net: nn.Module, weights: Weights | None, *, engine: str, device: torch.device) -> nn.Module:
    """``Accelerated`` where an engine may run the net, else the net itself.

    Args:
        net: in eval mode.
        weights: that it was made of; None where it has none, as bicubic.
        engine: one of ``CHOICES``.
        device: where the net is to run; on a GPU torch is the fastest.

    Raises:
        ValueError: no such engine, or one that was named and cannot be used here.
    """
    if engine not in CHOICES:
        raise ValueError(f"engine {engine} is none of {', '.join(CHOICES)}")
    is_auto, is_cpu = engine == AUTO, device.type == "cpu"
    if engine == TORCH or weights is None or (is_auto and not (is_cpu and installed())):
        return net
    from zoomsr.models.ircnn import IRCNN  # imports all degradations; a start without an engine needs none of it

    if isinstance(net, IRCNN):
        if is_auto:
            return net
        raise ValueError(f"engine {engine}: IRCNN is a loop around its denoisers, of which no graph is made")
    if not is_cpu:
        raise ValueError(f"engine {engine} runs on the CPU, and the device is {device}")
    if not is_auto and (lacking := missing(ENGINES[engine])):
        raise ValueError(f"engine {engine} needs an extra ({', '.join(lacking)}): pip install zoomsr[fast]")
    return Accelerated(net, digest=weights.digest, engine=engine)


@torch.no_grad()
def _require_parity(net: nn.Module, engine: Engine, *, channels: int, bfloat16: bool) -> None:
    """On two small crops, one of noise and one that is smooth, as most of a photograph is.

    Raises:
        ValueError: in float32 a pixel differs by more than ``MAX_DIFFERENCE``; in bfloat16 the mean error against
            float32 is above 1.5 times that of torch in bfloat16, which the net's card allows or not.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(1, channels, *_CHECKED, generator=generator)
    smooth = F.interpolate(torch.rand(1, channels, 6, 8, generator=generator), _CHECKED, mode="bilinear")
    for crop in (noise, smooth):
        with torch.autocast("cpu", enabled=False):
            expected, found = net(crop), engine.run(crop)
        error = (found - expected).abs()
        if not error.max() <= (0.1 if bfloat16 else MAX_DIFFERENCE):
            raise ValueError(f"its pixels differ from torch's by {float(error.max()):.1e}")
        if bfloat16:
            with torch.autocast("cpu", torch.bfloat16):
                usual = (net(crop) - expected).abs().mean()
            if not error.mean() <= 1.5 * usual + 1e-5:
                raise ValueError(f"its pixels differ by {float(error.mean()):.1e} on average, torch's by {usual:.1e}")
