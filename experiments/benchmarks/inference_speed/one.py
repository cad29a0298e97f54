"""One net, one way, in a process of its own: seconds and peak memory, as JSON."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from zoomsr.cli.native import share_cores_and_memory

if "".join(sys.argv[2:3]).startswith("zoomsr"):
    share_cores_and_memory()  # as the command does

import numpy as np
import torch
from torch import nn

from experiments.benchmarks.harness import timed
from zoomsr.engines.accelerated import accelerated
from zoomsr.engines.tiling import upscale_tiled
from zoomsr.hardware.devices import has_fast_bfloat16
from zoomsr.imaging.pixels import PixelArray, quantize
from zoomsr.models.residual_unet import ResidualUNet
from zoomsr.models.srcnn import SRCNN
from zoomsr.models.vdsr import VDSR
from zoomsr.pretrained.weights import Weights

CPU = torch.device("cpu")
WHOLE = 100_000
"""A tile that is larger than any picture."""
NETS: dict[str, Callable[[], nn.Module]] = {"unet": ResidualUNet, "srcnn": SRCNN, "vdsr": VDSR}
HEIGHT, WIDTH = 339, 510  # VDSR, which takes six times as long as the U-Net, upscales half as much of each side
FAST_BFLOAT16 = has_fast_bfloat16(CPU)

Run = Callable[[PixelArray], PixelArray]


def eager(net: nn.Module, folder: Path) -> Run:
    """What everybody does first."""

    @torch.inference_mode()
    def run(pixels: PixelArray) -> PixelArray:
        lr = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
        return quantize(net(lr.contiguous())[0]).permute(1, 2, 0).contiguous().numpy()

    return run


def compiled(net: nn.Module, folder: Path) -> Run:
    """torch.compile in bfloat16, channels last, the picture as a whole."""
    net.compile(dynamic=False)
    return tiled(net, bfloat16=True)


def by(engine: str, *, bfloat16: bool = False) -> Callable[[nn.Module, Path], Run]:
    """Another engine than torch, as the product opens it; the picture as a whole."""

    def opened(net: nn.Module, folder: Path) -> Run:
        weights = Weights(folder, net.state_dict(), {"net": type(net).__name__})
        return tiled(accelerated(net, weights, engine=engine, device=CPU), bfloat16=bfloat16)

    return opened


def tiled(net: nn.Module, *, tile: int = WHOLE, bfloat16: bool) -> Run:
    """The product's own engine."""
    net.to(memory_format=torch.channels_last)

    def run(pixels: PixelArray) -> PixelArray:
        out = np.empty((2 * pixels.shape[0], 2 * pixels.shape[1], 3), np.uint8)
        upscale_tiled(net, pixels, out, device=CPU, tile=tile, bfloat16=bfloat16)
        return out

    return run


WAYS: dict[str, Callable[[nn.Module, Path], Run]] = {
    "torch, eager fp32": eager,
    "torch, channels_last": lambda net, _: tiled(net, bfloat16=False),
    "ONNX Runtime": by("onnx"),
    "OpenVINO": by("openvino"),
    "zoomsr, tiles of 512": lambda net, _: tiled(net, tile=512, bfloat16=FAST_BFLOAT16),
}
if FAST_BFLOAT16:
    WAYS |= {
        "torch, channels_last, bf16": lambda net, _: tiled(net, bfloat16=True),
        "torch, channels_last, bf16, compile": compiled,
        "OpenVINO, bf16": by("openvino", bfloat16=True),
    }


def main(net_name: str, way: str, folder: str) -> None:
    """Measure, and print; the first run warms up, and makes graphs."""
    torch.manual_seed(0)
    net = NETS[net_name]().eval().requires_grad_(False)
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    if net_name == "vdsr":
        pixels = np.ascontiguousarray(pixels[: HEIGHT // 2, : WIDTH // 2])
    run = WAYS[way](net, Path(folder))
    _, *seconds = (timed(lambda: run(pixels)) for _ in range(3))
    fields = dict(line.split(":") for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines())
    peak = 1024 * int(fields["VmHWM"].split()[0])  # not getrusage's, which begins with what the parent had
    print(json.dumps({"seconds": statistics.median(seconds), "peak": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
