"""The recipe of ``zoomsr.export``: write a net, and hold what was written against it."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoomsr.models.bicubic import Bicubic
from zoomsr.models.ircnn import IRCNN
from zoomsr.screen import say, short
from zoomsr.shipping import Origin, ship
from zoomsr.weights import Weights, weights_file

ODD_SIZES = ((1, 33, 47), (2, 61, 35), (1, 97, 130))
"""Batch, height and width of the pictures on which an exported net must agree."""

MOST_DIFFERENCE = 1e-4
"""On [0, 1]: a fortieth of a grey level."""


def write(model: str, out: Path, *, licence: str, tests: Sequence[Path], overwrite: bool) -> None:
    """Write the net as the suffix says.

    Raises:
        ValueError: an unknown suffix, a file that is there, a net that cannot be exported, or gives other pixels then.
    """
    writers: dict[str, Callable[[nn.Module, Path], None]] = {".onnx": _write_onnx, ".pt2": _write_program}
    if out.suffix not in (*writers, ".safetensors"):
        raise ValueError(f"-o {out} must end in .onnx, .pt2 or .safetensors")
    if out.exists() and not overwrite:
        raise ValueError(f"{out} is there already: --overwrite replaces it")
    source = weights_file(model)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".safetensors":
        if source is None:
            raise ValueError("bicubic has no weights: there is nothing to write")
        ship(Weights.read(source), out, origin=Origin.of(source), licence=licence, tests=tests)
        return
    net = Bicubic() if source is None else Weights.read(source).build()
    if isinstance(net, IRCNN):
        raise ValueError(f"{model} is a loop around its denoisers, of which no graph is made")
    partial = out.with_name(f".{out.stem}.part{out.suffix}")
    try:
        writers[out.suffix](net.requires_grad_(False).eval(), partial)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)
    say({"exported": f"{short(out)}  {out.stat().st_size / 1e6:.1f} MB"})


def _contract(net: nn.Module) -> dict[str, str]:
    """What whoever runs the file has to know."""
    numbers = {name: str(getattr(net, name)) for name in ("scale", "multiple_of", "halo")}
    return {"net": type(net).__name__, **numbers, "range": "0 to 1, not clamped", "channel_order": "RGB"}


def _write_onnx(net: nn.Module, path: Path) -> None:
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  # what torch.onnx needs
    except ImportError:
        raise ValueError("ONNX needs an extra: pip install zoomsr[export]") from None
    names = {0: "batch", 2: "height", 3: "width"}
    with _quiet():
        program: Any = torch.onnx.export(
            net,
            (_example(),),
            dynamo=True,
            dynamic_shapes=(names,),
            input_names=["lr"],
            output_names=["sr"],
            verbose=False,
        )
    program.model.metadata_props.update(_contract(net))
    program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    _require_parity(net, lambda lr: torch.from_numpy(session.run(None, {"lr": lr.numpy()})[0]))
    say({"onnx": f"opset {program.model.opset_imports['']}, batch x 3 x height x width, all of them free"})


def _write_program(net: nn.Module, path: Path) -> None:
    dims = {0: torch.export.Dim.AUTO, 2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with _quiet():
        program = torch.export.export(net, (_example(),), dynamic_shapes=(dims,))
        torch.export.save(program, path, extra_files={"zoomsr.json": json.dumps(_contract(net))})
    _require_parity(net, torch.export.load(path).module())


def _example() -> Tensor:
    """RGB, of sizes that are nothing special, or the graph would hold for such alone."""
    return torch.rand(2, 3, 45, 61)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's notes on its own parts, and on the torchvision that is not there."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@torch.no_grad()
def _require_parity(net: nn.Module, exported: Callable[[Tensor], Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    for batch, height, width in ODD_SIZES:
        lr = torch.rand(batch, 3, height, width, generator=generator)
        difference = float((exported(lr) - net(lr)).abs().max())
        say({"parity": f"{batch} x {height}x{width}: {difference:.1e}"})
        if not difference <= MOST_DIFFERENCE:
            raise ValueError(f"the exported net differs by {difference:.1e} at {height}x{width}: it is not written")
