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
from zoomsr.foreign.reach import Reach, measured_reach, measured_reach_of_size
from zoomsr.foreign.windows import upscaled_in_windows
from zoomsr.hardware.devices import is_out_of_memory
from zoomsr.imaging.pixels import LUMA_RANGE, luma
from zoomsr.models.bicubic import Bicubic
from zoomsr.runs.files import cache_folder, sha256_of, write_json

_UNBOUNDED = 2**20  # lr pixels
_SIDE = 96  # of the smooth picture on which its brightness is looked at
_MAX_BRIGHTER = 0.1  # on [0, 1]: a net that enlarges changes no mean by so much


@dataclass(frozen=True)
class NetFacts:
    """What a file says of its net, or what was found by running it.

    Attributes:
        path: the file.
        kind: of net, for people: ``ONNX``, ``SwinIR by spandrel``.
        engine: that runs it, ``torch`` or ``onnx``.
        scale: enlargement factor.
        channels: 3 for RGB, 1 for luma.
        size_multiple: sides must be multiples of it; the net is given more, mirrored, where they are not.
        n_parameters: numbers that were learned.
        size: (height, width) of the only pictures that it takes; None for any.
        trained_on: as the file says; empty where it does not.
        reach: as the file says; None where it says nothing.
    """

    path: Path
    kind: str
    engine: str
    scale: int
    channels: int
    size_multiple: int
    n_parameters: int
    size: tuple[int, int] | None = None
    trained_on: str = ""
    reach: Reach | None = None


class ForeignNet(nn.Module):
    """A net of another project: any size of picture, RGB or grey, one after the other.

    A net on luma gives Y, and chroma is bicubic, as of our own. One that takes a fixed size alone gets larger pictures
    in windows of it.

    Args:
        facts: of the net.
        run: (1, channels, H, W) on [0, 1] to (1, channels, scale H, scale W), sides ``size``, or multiples of
            ``size_multiple``.
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
        """See ``zoomsr.models.Net``; larger than any picture where tiles were not exact with the halo of ``reach``."""
        return self.tile_halo if self.reach.is_exact else _UNBOUNDED

    @property
    def tile_halo(self) -> int:
        """See ``Reach``, with the seam of which ``about`` tells; bicubic chroma of a net on luma has one of its own."""
        return max(self.reach.halo, 0 if self.bicubic is None else self.bicubic.halo)

    @cached_property
    def reach(self) -> Reach:
        """As the file says, else measured once for each file, and kept in the user's cache."""
        stated, size = self.facts.reach, self.facts.size
        if stated is not None and (size is None or stated.fits(size)):
            return stated
        kept = _KeptReach(self.facts)
        if (found := kept.read()) is None:
            found = self._measured_reach()
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
        size = self.facts.size
        if size is None or (lr.shape[-2] <= size[0] and lr.shape[-1] <= size[1]):
            return torch.cat([self._at_once(one[None]) for one in lr])
        pictures = [upscaled_in_windows(self._at_once, one[None], size, self.reach, scale=self.scale) for one in lr]
        return torch.cat(pictures)

    def _at_once(self, lr: Tensor) -> Tensor:
        """One picture (1, channels, H, W), mirrored to sides that the net takes."""
        height, width = lr.shape[-2:]
        multiple = self.facts.size_multiple
        rows, columns = self.facts.size or (-(-side // multiple) * multiple for side in (height, width))
        padded = lr[..., _mirrored(height, rows, lr.device), :][..., _mirrored(width, columns, lr.device)]
        try:
            sr = self.run(padded).to(lr.device, torch.float32)
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
        facts, reach = self.facts, self.reach if tiles or self.facts.size is not None else None
        trained = (
            f"trained on {facts.trained_on}" if facts.trained_on else "the file does not say what it was trained on"
        )
        size = f"x{facts.scale}, {'luma' if facts.channels == 1 else 'RGB'}, {facts.n_parameters:,} parameters"
        lines = [f"{facts.path.name}: {facts.kind}, {size}, {trained}"]
        if reach is not None and not reach.is_exact:
            room = "" if facts.size is None else ", and its fixed size has no room for more"
            advice = "--exact runs a picture whole" if facts.size is None else "export it with height and width free"
            lines.append(
                f"{facts.path.name} looks farther than {reach.halo} px{room}: its tiles differ by up to "
                f"{reach.seam:.1f} of 255 levels, on a made picture; {advice}"
            )
        if (found := self._brightness()) is not None:
            lines.append(
                f"{facts.path.name} makes {found[1]:.2f} of a picture with the mean {found[0]:.2f}: it is no net for "
                "pixels on 0 to 1, or an odd one"
            )
        return lines

    def _measured_reach(self) -> Reach:
        facts = self.facts
        if facts.size is not None:
            return measured_reach_of_size(self._on_cpu, scale=facts.scale, channels=facts.channels, size=facts.size)
        return measured_reach(
            self._on_cpu, scale=facts.scale, channels=facts.channels, size_multiple=facts.size_multiple
        )

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


def _mirrored(side: int, length: int, device: torch.device) -> Tensor:
    """Indices of a side and of its mirror images after its end, the last pixel twice, up to a length."""
    index = torch.arange(length, device=device) % (2 * side)
    return torch.minimum(index, 2 * side - 1 - index)
