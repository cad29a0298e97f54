"""The recipe of ``zoomsr.export``: write a net, and check what was written against it."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import nn

from zoomsr.cli.console import say
from zoomsr.engines.graph import contract, example, quiet
from zoomsr.inference.dtmodel import SCALES, dtmodel
from zoomsr.inference.export_options import ExportOptions, Form
from zoomsr.inference.model_card import NOT_STATED, PackedNet, training_data
from zoomsr.inference.onnx_file import limit_of, onnx_file, require_parity
from zoomsr.inference.release import Origin, ship
from zoomsr.models import Net, at_quality, takes_quality
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.ircnn import IRCNN
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import weights_file
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import atomic_write, sha256_of, short


def write(model: str, out: Path, options: ExportOptions, *, overwrite: bool) -> None:
    """Write the net as the suffix says.

    Raises:
        ValueError: an unknown suffix, an option that does not go with it, a file that is there, a net that cannot be
            exported, or gives other pixels then.
    """
    options.require_ready(model, out, overwrite=overwrite)
    source = weights_file(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".safetensors":
        assert source is not None  # as was just seen
        weights, licence = Weights.read(source, options.nets), _licence(source, options)
        ship(weights, out, origin=Origin.of(source), licence=licence, tests=options.tests)
        return
    content = _dtmodel(model, out, options) if out.suffix == ".dtmodel" else _graph(source, model, out, options)
    with atomic_write(out) as file:
        file.write(content)
    say({"exported": f"{short(out)}  {out.stat().st_size / 1e6:.1f} MB"})


def _graph(source: Path | None, model: str, out: Path, options: ExportOptions) -> bytes:
    net = built(source, model, options)
    facts = facts_of(source, options)
    return onnx_file(net, options.form, facts) if out.suffix == ".onnx" else _exported_program(net, facts)


def built(source: Path | None, model: str, options: ExportOptions) -> nn.Module:
    """The net to export, told the quality where it takes one.

    Raises:
        ValueError: no graph can be made of it, or a quality that it needs or does not take.
    """
    quality = options.quality
    net = Bicubic() if source is None else Weights.read(source, options.nets).build()
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


def facts_of(source: Path | None, options: ExportOptions) -> dict[str, str]:
    """Metadata beside those of ``contract``: licence, quality and sha256 of the weights."""
    facts = {"licence": _licence(source, options)}
    if options.quality is not None:
        facts["jpeg_quality"] = f"{options.quality:g}"
    if source is None:
        return facts
    data = training_data(Origin.of(source))
    return {**facts, "weights_sha256": sha256_of(source), **({} if data == NOT_STATED else {"trained_on": data})}


def _dtmodel(model: str, out: Path, options: ExportOptions) -> bytes:
    """Of the net, and of its sister for the other scale where the package has one."""
    nets = []
    for source in dict.fromkeys([weights_file(model), *(weights_file(model, scale) for scale in SCALES)]):
        assert source is not None  # as write has seen
        net = built(source, model, options)
        nets.append(PackedNet(cast(Net, net), Origin.of(source), facts_of(source, options)))
    return dtmodel(out, nets, half=options.form.half)


def _exported_program(net: nn.Module, facts: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    dims = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with quiet():
        program = torch.export.export(net, (example(),), dynamic_shapes=(dims,))
        extra = {"zoomsr.json": json.dumps({**contract(net), **facts})}
        torch.export.save(program, content, extra_files=extra)
    content.seek(0)
    require_parity(net, torch.export.load(content).module(), limit=limit_of(Form()))
    return content.getvalue()
