"""A net as a graph for other engines, checked against the net itself."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from zoomsr.cli.console import say
from zoomsr.engines import missing
from zoomsr.engines.accelerated import MAX_DIFFERENCE
from zoomsr.engines.graph import contract, example, exported, quiet
from zoomsr.engines.onnx import OnnxRuntime
from zoomsr.models.bicubic import Bicubic
from zoomsr.models.ircnn import IRCNN
from zoomsr.pretrained.weights import Weights

ODD_SIZES = ((1, 33, 47), (2, 61, 35), (1, 97, 130))
"""Batch, height and width of the pictures on which an exported net must agree."""


def graph_of(model: str, source: Path | None, suffix: str) -> bytes:
    """The content of a file with a net's graph.

    Args:
        model: the net's name, for people.
        source: the file of its weights; None for bicubic.
        suffix: ``.onnx`` or ``.pt2``.

    Raises:
        ValueError: a net that cannot be exported, or gives other pixels then.
    """
    net = Bicubic() if source is None else Weights.read(source).build()
    if isinstance(net, IRCNN):
        raise ValueError(f"{model} is a loop around its denoisers, of which no graph is made")
    serializers: dict[str, Callable[[nn.Module], bytes]] = {".onnx": _onnx, ".pt2": _exported_program}
    return serializers[suffix](net.requires_grad_(False).eval())


def _onnx(net: nn.Module) -> bytes:
    if missing(OnnxRuntime):
        raise ValueError("ONNX needs an extra: pip install zoomsr[export]")
    program = exported(net)
    content: bytes = program.model_proto.SerializeToString()
    _require_parity(net, OnnxRuntime.open(content, threads=torch.get_num_threads(), bfloat16=False).run)
    say({"onnx": f"opset {program.model.opset_imports['']}, batch x 3 x height x width, all of them free"})
    return content


def _exported_program(net: nn.Module) -> bytes:
    content = io.BytesIO()
    dims = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with quiet():
        program = torch.export.export(net, (example(),), dynamic_shapes=(dims,))
        torch.export.save(program, content, extra_files={"zoomsr.json": json.dumps(contract(net))})
    content.seek(0)
    _require_parity(net, torch.export.load(content).module())
    return content.getvalue()


@torch.no_grad()
def _require_parity(net: nn.Module, exported: Callable[[Tensor], Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, height, width in ODD_SIZES:
        lr = torch.rand(batch, 3, height, width, generator=generator)
        difference = float((exported(lr) - net(lr)).abs().max())
        say({"parity": f"{batch} x {height}x{width}: {difference:.1e}"})
        if not difference <= MAX_DIFFERENCE:
            raise ValueError(f"the exported net differs by {difference:.1e} at {height}x{width}: it is not written")
