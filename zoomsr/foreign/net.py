"""A net of another project with the contract of ``zoomsr.models.Net``, however it is run."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from zoomsr.engines import AUTO, TORCH
from zoomsr.foreign.reach import Reach, measured_reach
from zoomsr.hardware.devices import is_out_of_memory
from zoomsr.imaging.pixels import LUMA_RANGE, luma
from zoomsr.models.bicubic import Bicubic
from zoomsr.runs.files import cache_folder, sha256_of, write_json

_SIDE = 96  # of the smooth picture on which its brightness is looked at
_MAX_BRIGHTER = 0.1  # on [0, 1]: a net that enlarges changes no mean by so much


@dataclass(frozen=True)
class NetFacts:
    """What a file says of its net, or what was found by running it.

    Attributes:
        path: the file.
        kind: of net, for people: ``ONNX``, ``SwinIR (spandrel)``.
        engine: that runs it, ``torch`` or ``onnx``.
        scale: enlargement factor.
        channels: 3 for RGB, 1 for luma.
        size_multiple: sides must be multiples of it; the net is given more, mirrored, where they are not.
        n_parameters: numbers that were learned.
        trained_on: as the file says; empty where it does not.
        reach: as the file says; None where it is measured when it is first needed.
    """

    path: Path
    kind: str
    engine: str
    scale: int
    channels: int
    size_multiple: int
    n_parameters: int
    trained_on: str = ""
    reach: Reach | None = None


class ForeignNet(nn.Module):
    """A net of another project: any size of picture, RGB or grey, one after the other.

    A net on luma gives Y, and chroma is bicubic, as of our own.

    Args:
        facts: of the net.
        run: (1, channels, H, W) on [0, 1] to (1, channels, scale H, scale W), sides multiples of ``size_multiple``.
        module: whose parameters ``run`` uses, where torch runs it.
    """

    def __init__(self, facts: NetFacts, run: Callable[[Tensor], Tensor], module: nn.Module | None = None) -> None:
        super().__init__()
        self.facts, self.run, self.module = facts, run, module
        self.scale, self.channels = facts.scale, facts.channels
        self.graph_parameters = 0 if module is not None else facts.n_parameters  # a module's own are counted
        self.bicubic = Bicubic(facts.scale) if facts.channels == 1 else None

    @property
    def multiple_of(self) -> int:
        """See ``Reach``."""
        return self.reach.multiple_of

    @property
    def halo(self) -> int:
        """See ``Reach``; bicubic chroma beside a net on luma has one of its own."""
        return max(self.reach.halo, 0 if self.bicubic is None else self.bicubic.halo)

    @cached_property
    def reach(self) -> Reach:
        """Measured once for each file, and kept in the user's cache."""
        if self.facts.reach is not None:
            return self.facts.reach
        kept = _KeptReach(self.facts)
        if (found := kept.read()) is None:
            found = measured_reach(
                self._on_cpu, scale=self.scale, channels=self.channels, size_multiple=self.facts.size_multiple
            )
            kept.write(found)
        return found

    def forward(self, lr: Tensor) -> Tensor:
        """(N, C, H, W), C ``channels``, or 3 for a net on luma, to (N, C, scale H, scale W), float32.

        Raises:
            ValueError: the net cannot be run on this picture.
        """
        if self.bicubic is not None and lr.shape[1] == 3:
            upscaled: Tensor = self.bicubic(lr)
            return upscaled + (self.forward(luma(lr)) - luma(upscaled)) / LUMA_RANGE
        height, width = lr.shape[-2:]
        padded = lr[..., _mirrored(height, self.facts.size_multiple, lr.device), :]
        padded = padded[..., _mirrored(width, self.facts.size_multiple, lr.device)]
        try:
            sr = torch.cat([self.run(one[None]).to(lr.device, torch.float32) for one in padded])
        except Exception as error:  # engines and the code of others raise errors of any type
            if is_out_of_memory(error):
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise ValueError(f"{self.facts.path} cannot be run on {width}x{height} pixels: {reason}") from error
        return sr[..., : self.scale * height, : self.scale * width]

    def require_engine(self, engine: str) -> None:
        """Raises ValueError where an engine is named that does not run it; torch is the default of ``evaluate``."""
        if engine not in (AUTO, TORCH, self.facts.engine):
            raise ValueError(f"engine {engine}: {self.facts.path} is run by {self.facts.engine} alone")

    def about(self, *, tiles: bool) -> list[str]:
        """Lines for people: what it is, and what to be careful with.

        Args:
            tiles: whether it is run in tiles, of which its reach must be known.
        """
        facts, reach = self.facts, self.reach if tiles else None
        trained = (
            f"trained on {facts.trained_on}" if facts.trained_on else "the file does not say what it was trained on"
        )
        size = f"x{facts.scale}, {'luma' if facts.channels == 1 else 'RGB'}, {facts.n_parameters:,} parameters"
        lines = [f"{facts.path.name}: {facts.kind}, {size}, {trained}"]
        if reach is not None and not reach.is_exact:
            lines.append(
                f"{facts.path.name} looks farther than {reach.halo} px: its tiles differ by up to {reach.seam:.1f} of "
                "255 levels, on a made picture; a larger --tile makes them fewer"
            )
        if (found := self._brightness()) is not None:
            lines.append(
                f"{facts.path.name} makes {found[1]:.2f} of a picture with the mean {found[0]:.2f}: it is no net for "
                "pixels on 0 to 1, or an odd one"
            )
        return lines

    def _on_cpu(self, lr: Tensor) -> Tensor:
        """As ``forward``, wherever the net is."""
        device = next(self.parameters(), lr).device
        return self.forward(lr.to(device)).cpu()

    @torch.inference_mode()
    def _brightness(self) -> tuple[float, float] | None:
        """The mean before and after, of smooth shades, where it changes much."""
        ramp = torch.linspace(0.2, 0.6, _SIDE)
        lr = (ramp[:, None] + 0.3 * ramp[None]).expand(1, self.channels, -1, -1)
        before, after = float(lr.mean()), float(self._on_cpu(lr).mean())
        return None if abs(after - before) <= _MAX_BRIGHTER else (before, after)


class _KeptReach:
    """The reach of a file's net in the user's cache; a damaged file of it is ignored."""

    def __init__(self, facts: NetFacts) -> None:
        self._facts = facts

    def read(self) -> Reach | None:
        with suppress(OSError, ValueError, TypeError, KeyError):
            values = json.loads(self._path().read_text(encoding="utf-8"))
            reach = Reach(int(values["multiple_of"]), int(values["halo"]), float(values["seam"]))
            if 1 <= reach.multiple_of <= 1024 and 0 <= reach.halo <= 2**10 and reach.seam >= 0:
                return reach
        return None

    def write(self, reach: Reach) -> None:
        with suppress(OSError, ValueError):  # a full disk, no home
            path = self._path()
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, asdict(reach))

    def _path(self) -> Path:
        return cache_folder() / "reach" / f"{sha256_of(self._facts.path)}.json"


def _mirrored(side: int, multiple: int, device: torch.device) -> Tensor:
    """Indices of a side and of its mirror image after its end, the last pixel twice, up to a multiple."""
    index = torch.arange(-(-side // multiple) * multiple, device=device) % (2 * side)
    return torch.minimum(index, 2 * side - 1 - index)
