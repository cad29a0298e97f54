"""A trained net as a file to share: its weights, in 16 bit where that costs nothing, and a measured card."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from zoomsr.cli.console import say
from zoomsr.cli.progress import progress_bar
from zoomsr.data.sources.photographs import sample
from zoomsr.engines.tiling import upscale_tiled
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.evaluator import evaluate
from zoomsr.evaluation.recognition import known_sets, recognised
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.pixels import PixelArray, crop_to_multiple, to_float
from zoomsr.metrics.protocol import MODERN, PROTOCOLS
from zoomsr.metrics.quality import mean_score, measure
from zoomsr.models import Net, at_quality, n_parameters, takes_quality
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.ircnn import IRCNN
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import pretrained_nets
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import sha256_of, short
from zoomsr.runs.layout import HYDRA, run_of
from zoomsr.runs.provenance import read_starts
from zoomsr.runs.run import Run, versions

MAX_LOST = 0.005
"""dB of PSNR on Y that 16-bit weights may cost on a photograph."""

STRAY = 1_000_000
"""Of so many 8-bit values one may change by two levels in bfloat16."""

HALOS = (4, 8, 12, 16, 24, 32, 48, 64, 80, 96)
"""In lr pixels, those that are tried below a net's own."""

_TOLD = (20, 60, NEVER_COMPRESSED)  # JPEG qualities at which a net that is told one is measured
_FROM_WEIGHTS = "ckpt_mode=weights"
_TILE = 96  # small, so that a small photograph has many seams
_IRCNN_SIDE = 192  # of a crop in lr pixels, for IRCNN is slow: it runs thirty nets


@dataclass(frozen=True)
class Origin:
    """Where weights come from: the fields of ``Card`` that a training knows."""

    data: Mapping[str, Any] = field(default_factory=dict)
    degradation: str = ""
    protocols: Mapping[str, Any] = field(default_factory=dict)
    sets: Mapping[str, Any] = field(default_factory=dict)
    recognised: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=versions)

    @staticmethod
    def of(weights: Path) -> Origin:
        """What the card says, or the run in whose ``checkpoints`` folder the weights lie; else nothing.

        Raises:
            ValueError: the card or the run is damaged.
        """
        card = Card.beside(weights)
        if card is not None:
            return Origin(**{one.name: getattr(card, one.name) for one in fields(Origin)})
        run = run_of(weights.resolve())
        if run is None or not (run / HYDRA).is_dir():  # others have folders of that name too
            return Origin()
        return Origin.of_run(Run.read(run))

    @staticmethod
    def of_run(run: Run) -> Origin:
        """From a run's results and settings."""
        results = run.results or {}
        known = {key: results[key] for key in ("data", "degradation", "protocols", "versions") if key in results}
        means = {
            name: {net: {protocol: scores["mean"] for protocol, scores in by.items()} for net, by in nets.items()}
            for name, nets in results.get("sets", {}).items()
        }
        kept = [one for one in run.overrides if not one.startswith(("hydra.", "run_dir="))]
        if _FROM_WEIGHTS not in kept:  # a resumed run equals an uninterrupted one
            first = next(iter(read_starts(run.path)), {}).get("weights") or {}
            began = [f"ckpt={first['ckpt']}", _FROM_WEIGHTS] if first.get("ckpt_mode") == "weights" else []
            kept = [one for one in kept if not one.startswith("ckpt=")] + began
        # Without the paths of one machine.
        nets = ("ckpt=", "target.teacher=")
        places = ("data.root=", "data.val_root=", *nets)
        named = {f"{key}{name}" for key in nets for name in pretrained_nets()}
        portable = [
            f"{one.split('=')[0]}=FOLDER" if one.startswith(places) and one not in named else one for one in kept
        ]
        return Origin(sets=means, command=" ".join(["python -m zoomsr.train", *portable]), **known)


def ship(weights: Weights, out: Path, *, origin: Origin, licence: str, tests: Sequence[Path] = ()) -> None:
    """Write ``out``, NAME.safetensors, and its card, NAME.json.

    Args:
        weights: of the net.
        out: the file.
        origin: for the card.
        licence: of the weights.
        tests: benchmark folders on which the net is measured, under both protocols, for the card.

    Raises:
        ValueError: the file does not say which net it is, or a folder holds no pictures.
    """
    net = cast(Net, weights.build().requires_grad_(False))
    benchmarks, known = [Benchmark.find(folder, scale=net.scale) for folder in tests], known_sets()
    whole = [Photograph.read(photo.path) for photo in sample().val]
    crops = [one.cropped(one.middle(_IRCNN_SIDE)) for one in whole] if isinstance(net, IRCNN) else whole
    photographs = [one.pixels for one in crops]
    stored = _rounded(weights, net, photographs)
    say({"card": f"measuring the halo and bfloat16 on {len(photographs)} photographs"})
    told = [cast(Net, at_quality(cast(nn.Module, net), one)) for one in _TOLD] if takes_quality(net) else [net]
    halo, bfloat16 = _halo_and_bfloat16(told, photographs)
    sets = _scores(net, out.stem, benchmarks)
    replace(stored, path=out).save(out)
    Card(
        net=weights.own_config(),
        scale=net.scale,
        channels=net.channels,
        params=n_parameters(cast(nn.Module, net)),
        data=dict(origin.data),
        degradation=origin.degradation,
        protocols={**origin.protocols, **({one.name: asdict(one) for one in PROTOCOLS} if sets else {})},
        sets={**origin.sets, **sets},
        halo=halo,
        bfloat16=bfloat16,
        recognised={**origin.recognised, **{one.name: recognised(one, known) for one in benchmarks}},
        sha256=sha256_of(out),
        licence=licence,
        command=origin.command,
        versions=dict(origin.versions),
        stored=str(next(iter(stored.tensors.values())).dtype).removeprefix("torch."),
    ).write(out)
    say({"exported": f"{short(out)}  {out.stat().st_size / 1e6:.1f} MB", "halo": f"{halo} of {net.halo} px"})
    say({"bfloat16": "safe" if bfloat16 else "changes pixels, so it is not used"})


def _rounded(weights: Weights, net: Net, photographs: Sequence[PixelArray]) -> Weights:
    """In 16 bit where that changes no PSNR by ``MAX_LOST``, else as they are; loads them into ``net``."""
    before = _psnrs(net, photographs)
    half = {name: one.half() if one.is_floating_point() else one for name, one in weights.tensors.items()}
    rounded = replace(weights, tensors=half)
    rounded.load_into(cast(nn.Module, net))
    lost = max(abs(one - other) for one, other in zip(before, _psnrs(net, photographs), strict=True))
    say({"16 bit": f"changes PSNR by at most {lost:.4f} dB"})
    if lost < MAX_LOST:
        return rounded
    weights.load_into(cast(nn.Module, net))
    return weights


@torch.inference_mode()
def _psnrs(net: Net, photographs: Sequence[PixelArray]) -> list[float]:
    """On Y, of photographs that are first shrunk by bicubic."""
    found = []
    for pixels in photographs:
        hr = crop_to_multiple(torch.from_numpy(pixels.copy()).permute(2, 0, 1), net.scale)
        lr = to_float(BicubicDown(net.scale).down(hr))
        scores = measure(net(lr[None])[0], to_float(hr), protocol=MODERN, border=net.scale)
        found.append(float(scores[2]))
    return found


def _scores(net: Net, name: str, benchmarks: Sequence[Benchmark]) -> dict[str, Any]:
    """Means by set, net and protocol, bicubic first."""
    nets = {"bicubic": Bicubic(net.scale), name: cast(nn.Module, net)}
    sets: dict[str, Any] = {}
    with progress_bar() as progress:
        task = progress.add_task("pictures", total=len(nets) * sum(len(one.files) for one in benchmarks))
        for benchmark in benchmarks:
            scores = evaluate(
                nets,
                benchmark,
                degradation=BicubicDown(net.scale),
                device=torch.device("cpu"),
                advance=lambda: progress.advance(task),
            )
            sets[benchmark.name] = {
                label: {protocol: mean_score(list(one.values())).as_dict() for protocol, one in by.items()}
                for label, by in scores.items()
            }
    return sets


def _halo_and_bfloat16(nets: Sequence[Net], photographs: Sequence[PixelArray]) -> tuple[int, bool]:
    """Those with which every net is right; one net at several JPEG qualities is several."""
    with progress_bar() as progress:
        # Of each net and photograph: as a whole, at the halos that a bisection tries, and in bfloat16.
        runs = sum(len(photographs) * (2 + (len(_halos(net)) - 1).bit_length()) for net in nets)
        task = progress.add_task("measuring", total=runs)

        def advance() -> None:
            progress.advance(task, len(photographs))

        halo = max(smallest_halo(net, photographs, advance=advance) for net in nets)
        return halo, all(survives_bfloat16(net, photographs, advance=advance) for net in nets)


def smallest_halo(net: Net, photographs: Sequence[PixelArray], *, advance: Callable[[], object] = lambda: None) -> int:
    """The least halo with which no 8-bit pixel of a tiled photograph differs from that of the whole one.

    Args:
        net: in eval mode, on the CPU.
        photographs: (H, W, C) uint8.
        advance: called whenever the net has run on all of them.
    """
    wholes = [_upscaled(net, one) for one in photographs]
    advance()

    def has_no_seam(halo: int) -> bool:
        tiled = (_upscaled(net, one, tile=_TILE, halo=halo) for one in photographs)
        is_equal = all(np.array_equal(one, whole) for one, whole in zip(tiled, wholes, strict=True))
        advance()
        return is_equal

    halos = _halos(net)
    return halos[bisect_left(halos, True, hi=len(halos) - 1, key=has_no_seam)]  # the last has none in any case


def _halos(net: Net) -> list[int]:
    return [*(one for one in HALOS if one < net.halo), net.halo]


def survives_bfloat16(
    net: Net, photographs: Sequence[PixelArray], *, advance: Callable[[], object] = lambda: None
) -> bool:
    """Whether 8-bit values of the photographs change by one level at most when the layers run in bfloat16.

    One in ``STRAY`` may by two: the largest change of millions is a matter of luck, and no eye sees it.
    """
    changes = np.concatenate(
        [(_upscaled(net, one, bfloat16=True).astype(np.int16) - _upscaled(net, one)).ravel() for one in photographs]
    )
    advance()
    return bool(np.abs(changes).max() <= 2 and np.count_nonzero(np.abs(changes) > 1) * STRAY <= changes.size)


def _upscaled(
    net: Net, pixels: PixelArray, *, tile: int = 10_000, halo: int | None = None, bfloat16: bool = False
) -> PixelArray:
    height, width, channels = pixels.shape
    out = np.empty((net.scale * height, net.scale * width, channels), np.uint8)
    upscale_tiled(net, pixels, out, device=torch.device("cpu"), tile=tile, halo=halo, bfloat16=bfloat16)
    return out
