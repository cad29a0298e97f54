"""A net as an ONNX file in the form that its user asks for, written only where it gives the net's own pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from zoomsr.cli.console import say
from zoomsr.engines import missing
from zoomsr.engines.accelerated import MAX_DIFFERENCE
from zoomsr.engines.graph import contract, example, exported
from zoomsr.engines.onnx import OnnxRuntime
from zoomsr.engines.variants import OLDEST_OPSET, halve_weights, lower_opset, strip_traces
from zoomsr.imaging.pixels import quantize, to_float
from zoomsr.inference.export_options import Form

ODD_SIZES = ((1, 33, 47), (2, 61, 35), (1, 97, 130))
"""Batch, height and width of the pictures on which an exported net must agree."""

_LEVEL = 1 / 255


def limit_of(form: Form) -> float:
    """How far a pixel may be off, on [0, 1]: one level for bytes, where a tie may be rounded the other way."""
    if form.uint8:
        return 1.01 * _LEVEL
    return _LEVEL / 2 if form.half else MAX_DIFFERENCE


class Uint8(nn.Module):
    """A net on bytes: uint8 (N, C, H, W) to (N, C, scale H, scale W), rounded half up and clipped."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, lr: Tensor) -> Tensor:
        """See the class."""
        return quantize(self.net(to_float(lr)))


def onnx_file(net: nn.Module, form: Form, facts: Mapping[str, str]) -> bytes:
    """The content of an ONNX file, with its metadata; the parity with the net is printed.

    Args:
        net: see ``zoomsr.models.Net``; in eval mode, on the CPU.
        form: of the file.
        facts: metadata beside those of ``contract``.

    Raises:
        ValueError: a package is missing, the form cannot be made of this net, or the file gives other pixels.
    """
    if missing(OnnxRuntime):
        raise ValueError("ONNX needs an extra: pip install zoomsr[export]")
    grid = int(net.multiple_of)  # type: ignore[arg-type]  # nn.Module types every attribute as Tensor | Module
    if form.size is not None and any(side < 1 or side % grid for side in form.size):
        height, width = form.size
        raise ValueError(f"--size {width}x{height}: both sides must be multiples of {grid}, the net's grid")
    if form.opset is not None and form.opset < OLDEST_OPSET:
        raise ValueError(f"--opset {form.opset} is older than {OLDEST_OPSET}")
    asked = Uint8(net) if form.uint8 else net
    sizes = ODD_SIZES if form.size is None else ((1, *form.size),)
    lr = example() if form.size is None else torch.rand(1, 3, *form.size)
    lr = quantize(lr) if form.uint8 else lr
    model = exported(asked, lr, is_static=form.size is not None, opset=form.opset).model_proto
    strip_traces(model)
    if form.opset is not None:
        lower_opset(model, form.opset)
    if form.half:
        halve_weights(model, dict(asked.named_parameters()))
    values = {**contract(net), **({"range": "0 to 255"} if form.uint8 else {}), **facts}
    for key, value in values.items():
        model.metadata_props.add(key=key, value=value)
    content: bytes = model.SerializeToString()
    session = OnnxRuntime.open(content, threads=torch.get_num_threads(), bfloat16=False)
    require_parity(asked, session.run, sizes=sizes, limit=limit_of(form), dtype=lr.dtype)
    opset = next(one.version for one in model.opset_import if not one.domain)
    shape = "batch x 3 x height x width, all of them free" if form.size is None else "1 x 3 x {}x{}".format(*form.size)
    kind = f"{'uint8' if form.uint8 else 'float32'}{', weights in float16' if form.half else ''}"
    say({"onnx": f"opset {opset}, {shape}, {kind}"})
    return content


@torch.no_grad()
def require_parity(
    net: nn.Module,
    run: Callable[[Tensor], Tensor],
    *,
    sizes: Sequence[tuple[int, int, int]] = ODD_SIZES,
    limit: float,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Hold what was written against the net, on noise.

    Args:
        net: what was to be written.
        run: what was written.
        sizes: batch, height and width of the pictures.
        limit: largest difference of a pixel, on [0, 1].
        dtype: of the pictures, float32 or uint8.

    Raises:
        ValueError: a pixel differs by more.
    """
    generator = torch.Generator().manual_seed(0)
    white = 1 if dtype.is_floating_point else 255
    for batch, height, width in sizes:
        lr = torch.rand(batch, 3, height, width, generator=generator)
        lr = lr if dtype.is_floating_point else quantize(lr)
        difference = float((run(lr).float() - net(lr).float()).abs().max()) / white
        say({"parity": f"{batch} x {height}x{width}: {difference:.1e}"})
        if not difference <= limit:
            raise ValueError(f"the exported net differs by {difference:.1e} at {height}x{width}: it is not written")
