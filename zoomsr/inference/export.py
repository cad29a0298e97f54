"""The recipe of ``zoomsr.export``: write a net, and check what was written against it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import torch
from torch import nn

from zoomsr.cli.console import say
from zoomsr.engines.graph import contract, example, quiet
from zoomsr.inference.dtmodel import SCALES, dtmodel
from zoomsr.inference.model_card import PackedNet
from zoomsr.inference.onnx_file import Form, onnx_file, require_parity
from zoomsr.inference.release import Origin, ship
from zoomsr.models import Net, at_quality, takes_quality
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.ircnn import IRCNN
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.weights import Weights, weights_file
from zoomsr.runs.files import atomic_write, sha256_of, short

NOT_STATED = "not stated"

_TAKES = {
    ".onnx": {"quality", "size", "opset", "half", "uint8"},
    ".dtmodel": {"quality", "half"},  # darktable has one opset, float32 tensors, and sizes of its own
    ".pt2": {"quality"},
    ".safetensors": {"test"},
}
"""ExportOptions beside ``--licence`` and ``--overwrite``, by the suffix of the file."""


@dataclass(frozen=True)
class ExportOptions:
    """What was asked for beside the net and the file.

    Attributes:
        licence: of the weights; None for what their card says.
        tests: benchmark folders whose scores the card of a ``.safetensors`` gets.
        quality: JPEG quality that a net is told which takes one.
        form: of an ONNX file.
    """

    licence: str | None = None
    tests: Sequence[Path] = ()
    quality: float | None = None
    form: Form = field(default_factory=Form)

    def require_fits(self, out: Path) -> None:
        """Raises ValueError: an unknown suffix, or an option that does nothing for this kind of file."""
        if out.suffix not in _TAKES:
            raise ValueError(f"-o {out} must end in {', '.join([*_TAKES][:-1])} or {[*_TAKES][-1]}")
        given = {
            **{"test": bool(self.tests), "quality": self.quality is not None, "size": self.form.size is not None},
            **{"opset": self.form.opset is not None, "half": self.form.half, "uint8": self.form.uint8},
        }
        for name, is_given in given.items():
            if is_given and name not in _TAKES[out.suffix]:
                kinds = " and ".join(suffix for suffix, names in _TAKES.items() if name in names)
                raise ValueError(f"--{name} goes with {kinds}, and -o is {out}")


def write(model: str, out: Path, options: ExportOptions, *, overwrite: bool) -> None:
    """Write the net as the suffix says.

    Raises:
        ValueError: an unknown suffix, an option that does not go with it, a file that is there, a net that cannot be
            exported, or gives other pixels then.
    """
    options.require_fits(out)
    if out.exists() and not overwrite:
        raise ValueError(f"{out} is there already: --overwrite replaces it")
    source = weights_file(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".safetensors":
        if source is None:
            raise ValueError("bicubic has no weights: there is nothing to write")
        ship(
            Weights.read(source), out, origin=Origin.of(source), licence=_licence(source, options), tests=options.tests
        )
        return
    content = _dtmodel(model, out, options) if out.suffix == ".dtmodel" else _graph(source, model, out, options)
    with atomic_write(out) as file:
        file.write(content)
    say({"exported": f"{short(out)}  {out.stat().st_size / 1e6:.1f} MB"})


def _graph(source: Path | None, model: str, out: Path, options: ExportOptions) -> bytes:
    net = _built(source, model, options.quality)
    facts = _facts(source, options)
    return onnx_file(net, options.form, facts) if out.suffix == ".onnx" else _exported_program(net, facts)


def _built(source: Path | None, model: str, quality: float | None) -> nn.Module:
    """The net to export, told the quality where it takes one."""
    net = Bicubic() if source is None else Weights.read(source).build()
    if isinstance(net, IRCNN):
        raise ValueError(f"{model} is a loop around its denoisers, of which no graph is made")
    if quality is None and takes_quality(net):
        raise ValueError(f"{model} must be told the JPEG quality of its input: --quality 75; 100: never compressed")
    if quality is not None and not takes_quality(net):
        raise ValueError(f"--quality {quality:g}: {model} is not told the JPEG quality of its input")
    return (net if quality is None else at_quality(net, quality)).requires_grad_(False).eval()


def _licence(source: Path | None, options: ExportOptions) -> str:
    card = None if source is None else Card.beside(source)
    return options.licence or (NOT_STATED if card is None else card.licence)


def _facts(source: Path | None, options: ExportOptions) -> dict[str, str]:
    """Metadata beside those of ``contract``."""
    facts = {"licence": _licence(source, options)}
    if options.quality is not None:
        facts["jpeg_quality"] = f"{options.quality:g}"
    return facts if source is None else {**facts, "weights_sha256": sha256_of(source)}


def _dtmodel(model: str, out: Path, options: ExportOptions) -> bytes:
    """Of the net, and of its sister for the other scale where the package has one."""
    nets = []
    for source in dict.fromkeys([weights_file(model), *(weights_file(model, scale) for scale in SCALES)]):
        if source is None:
            raise ValueError("bicubic has no weights: there is nothing to write")
        net = _built(source, model, options.quality)
        nets.append(PackedNet(cast(Net, net), Origin.of(source), _facts(source, options)))
    return dtmodel(out, nets, half=options.form.half)


def _exported_program(net: nn.Module, facts: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    dims = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with quiet():
        program = torch.export.export(net, (example(),), dynamic_shapes=(dims,))
        extra = {"zoomsr.json": json.dumps({**contract(net), **facts})}
        torch.export.save(program, content, extra_files=extra)
    content.seek(0)
    require_parity(net, torch.export.load(content).module(), limit=Form().limit)
    return content.getvalue()
