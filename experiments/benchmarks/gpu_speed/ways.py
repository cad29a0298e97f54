"""What ``bench`` measures, in a process that it starts: a job after another, until one fails."""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
import traceback
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.benchmarks.timing import matrix_rate
from zoomsr.inference.upscaler import Upscaler
from zoomsr.runs.run import versions
from zoomsr.train import main as train

_NCHW, _BF16 = "channels_last=false", "trainer.precision=bf16-mixed"

WAYS = {
    "fp32": ["tf32=false", _NCHW],
    "TF32": [_NCHW],
    "bf16": [_BF16, _NCHW],
    "bf16, channels_last": [_BF16],
    "bf16, channels_last, compile": [_BF16, "compile=true"],
    "bf16, channels_last, CUDA graphs": [_BF16, "compile=reduce-overhead"],
    "bf16, channels_last, CUDA graphs, cuDNN's search": [_BF16, "compile=reduce-overhead", "trainer.benchmark=true"],
}
"""Each net's ways to train, the first one what the others are compared with; a way begins with its number format."""

PRECISIONS = {"fp32": "32", "bf16": "bf16"}
"""Of ``zoom``; its fp32 is without TF32."""


@dataclass(frozen=True)
class Sizes:
    """What a measurement is made with.

    Attributes:
        device: ``cuda`` or ``cpu``.
        patch: side of a training patch in hr pixels.
        batch: patches in a step.
        seconds: that each training is timed for.
        height: of the photograph that is enlarged.
        width: of it.
        side: of the matrices whose product is the device's best.
    """

    device: str
    patch: int
    batch: int
    seconds: float
    height: int
    width: int
    side: int


def main(task: str) -> None:
    """A line of JSON for each job that is done."""
    asked = json.loads(task)
    for job in asked["jobs"]:
        with redirect_stdout(sys.stderr):
            answer = answered(*job, sizes=Sizes(**asked["sizes"]))
        print(json.dumps(answer), flush=True)
        if "error" in answer:
            sys.exit(1)  # an error of CUDA's may have spoilt this process for what comes after


def answered(what: str, net: str, way: str, *, sizes: Sizes) -> dict[str, Any]:
    """What was found, or the error."""
    gc.collect()  # of the job before, whose trainer and callbacks know one another
    torch.compiler.reset()  # as in a process of its own
    try:
        if what == "device":
            return device(sizes)
        return trained(net, way, sizes) if what == "train" else zoomed(net, way, sizes)
    except (Exception, SystemExit) as error:  # that a way fails is a result too
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def device(sizes: Sizes) -> dict[str, Any]:
    """Its name, its best in each number format in TFLOP/s, and the versions."""
    on_cuda = sizes.device == "cuda"
    best = {}
    kinds = {"fp32": torch.float32, "TF32": torch.float32, "bf16": torch.bfloat16}
    for name, kind in kinds.items():
        torch.backends.cuda.matmul.allow_tf32 = name == "TF32"
        best[name] = matrix_rate(kind, device=sizes.device, side=sizes.side)
    return {
        "name": torch.cuda.get_device_name() if on_cuda else None,
        "best": best,
        "versions": {**versions(), "cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()},
    }


def trained(net: str, way: str, sizes: Sizes) -> dict[str, Any]:
    """What ``Turns`` found in a training by the user's own command, in this process."""
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as folder:
        file = Path(folder) / "found.json"
        sys.argv = [
            *("zoomsr.train", "trainer=auto", f"trainer.accelerator={'gpu' if sizes.device == 'cuda' else 'cpu'}"),
            *("data=sample", f"data.patch={sizes.patch}", f"data.batch_size={sizes.batch}"),
            *("data.patches_per_image=100000", f"data.val_patch={sizes.patch}", "+trainer.limit_test_batches=1"),
            # Drawn once an epoch, and here there is one of seconds.
            *("callbacks.pictures=null", "callbacks.gallery=null", "trainer.max_epochs=1"),
            *(
                "+callbacks.turns._target_=experiments.benchmarks.gpu_speed.turns.Turns",
                f"+callbacks.turns.file={file}",
            ),
            *(f"+callbacks.turns.seconds={sizes.seconds}", "+callbacks.turns.compile=${compile}"),
            *(f"hydra.run.dir={folder}/run", f"model={net}", *WAYS[way]),
        ]
        train()
        found: dict[str, Any] = json.loads(file.read_text())
    return found


def zoomed(net: str, precision: str, sizes: Sizes) -> dict[str, Any]:
    """Seconds of the second time that a photograph is enlarged, and the most memory that the device gave."""
    torch.backends.cudnn.allow_tf32 = True  # torch's default, for what bf16 leaves in float32
    on_cuda = sizes.device == "cuda"
    upscaler = Upscaler.open(net, device=sizes.device, precision=PRECISIONS[precision])
    pixels = np.random.default_rng(0).integers(0, 256, (sizes.height, sizes.width, 3), np.uint8)
    out = np.empty((upscaler.net.scale * sizes.height, upscaler.net.scale * sizes.width, 3), np.uint8)
    if on_cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    for _ in range(2):
        start = time.perf_counter()
        upscaler.into(pixels, out)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "peak": torch.cuda.max_memory_allocated() if on_cuda else None}


if __name__ == "__main__":
    main(*sys.argv[1:])
