"""The recipe of ``zoomsr.export``: what stands in the way, before torch is imported; then the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zoomsr.cli.console import say
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.pretrained.names import existing_weights, scale_on_card
from zoomsr.runs.files import atomic_write, short


def write(model: str, out: Path, *, licence: str, tests: Sequence[Path], overwrite: bool) -> None:
    """Write the net as the suffix says.

    Raises:
        ValueError: an unknown suffix, a file that is there, a net that cannot be exported, or gives other pixels then.
    """
    if out.suffix not in (".onnx", ".pt2", ".safetensors"):
        raise ValueError(f"-o {out} must end in .onnx, .pt2 or .safetensors")
    if out.exists() and not overwrite:
        raise ValueError(f"{out} is there already: --overwrite replaces it")
    source = existing_weights(model)
    if out.suffix == ".safetensors" and source is None:
        raise ValueError("bicubic has no weights: there is nothing to write")
    for folder in tests:
        Benchmark.find(folder, scale=scale_on_card(model) or 2, published_lr=False)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".safetensors" and source is not None:
        _ship(source, out, licence=licence, tests=tests)
        return
    from zoomsr.inference.graphs import graph_of  # torch, which is slow: mistakes are answered before

    content = graph_of(model, source, out.suffix)
    with atomic_write(out) as file:
        file.write(content)
    say({"exported": f"{short(out)}  {out.stat().st_size / 1e6:.1f} MB"})


def _ship(source: Path, out: Path, *, licence: str, tests: Sequence[Path]) -> None:
    from zoomsr.inference.release import Origin, ship  # torch, as above
    from zoomsr.pretrained.weights import Weights

    ship(Weights.read(source), out, origin=Origin.of(source), licence=licence, tests=tests)
