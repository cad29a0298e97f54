"""Trainings and photographs to measure, in a process that a benchmark starts: a job after another, until one fails."""

from __future__ import annotations

import gc
import json
import os
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from experiments.benchmarks.harness import Answer, matrix_rate
from experiments.report import Value
from zoomsr.cli.errors import DEBUG_VARIABLE
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.runs.run import versions
from zoomsr.train import main as train

COMMAND = [sys.executable, "-m", "experiments.benchmarks.jobs"]
_NCHW, _BF16 = "channels_last=false", "trainer.precision=bf16-mixed"

WAYS = {
    "fp32": ["tf32=false", _NCHW],
    "fp32, channels_last": ["tf32=false"],
    "TF32": [_NCHW],
    "bf16": [_BF16, _NCHW],
    "bf16, channels_last": [_BF16],
    "bf16, channels_last, compile": [_BF16, "compile=true"],
    "bf16, channels_last, CUDA graphs": [_BF16, "compile=reduce-overhead"],
    "bf16, channels_last, CUDA graphs, cuDNN's search": [_BF16, "compile=reduce-overhead", "trainer.benchmark=true"],
}
"""Ways to train; each begins with its number format."""
TINY = ["model=srcnn", "model.widths=[3,3]", "model.kernels=[1,1,1]"]
"""A net that costs next to nothing, so that the trainer's own time shows."""
PRECISIONS = {"fp32": "32", "bf16": "bf16"}
"""Of ``zoom``; its fp32 is without TF32."""

Job = tuple[str, str, str]
"""What (device, train or zoom), which net, and which way, precision, or number formats with spaces between them."""


@dataclass(frozen=True)
class Sizes:
    """What a measurement is made with.

    Attributes:
        device: ``cuda`` or ``cpu``.
        patch: side of a training patch in hr pixels.
        batch: patches in a step.
        seconds: that each training is timed for.
        height: of the photograph that is upscaled.
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
    os.environ[DEBUG_VARIABLE] = "1"  # the trainer's errors as they are
    asked = json.loads(task)
    for job in asked["jobs"]:
        with redirect_stdout(sys.stderr):
            answer = answered(*job, sizes=Sizes(**asked["sizes"]))
        print(json.dumps(answer), flush=True)
        if "error" in answer:
            sys.exit(1)  # an error of CUDA's may have spoilt this process for what comes after


def answered(what: str, net: str, way: str, *, sizes: Sizes) -> Answer:
    """What was found, or the error."""
    gc.collect()  # of the job before, whose trainer and callbacks know one another
    torch.compiler.reset()  # as in a process of its own
    torch.backends.cudnn.benchmark = False  # Lightning leaves it as the job before has set it
    try:
        if what == "device":
            return device(way, sizes)
        return trained(net, way, sizes) if what == "train" else zoomed(net, way, sizes)
    except (Exception, SystemExit) as error:  # that a way fails is a result too
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}


def device(formats: str, sizes: Sizes) -> Answer:
    """Its name, its best in each number format in TFLOP/s, and the versions."""
    best = {}
    for name in formats.split():
        torch.backends.cuda.matmul.allow_tf32 = name == "TF32"
        kind = torch.bfloat16 if name == "bf16" else torch.float32
        best[name] = matrix_rate(kind, device=sizes.device, side=sizes.side)
    name = torch.cuda.get_device_name() if sizes.device == "cuda" else None
    cuda = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()} if name else {}
    return {"name": name, "best": best, "versions": {**versions(), **cuda}}


def trained(net: str, way: str, sizes: Sizes) -> Answer:
    """What ``Turns`` found in a training by the user's own command, in this process."""
    with tempfile.TemporaryDirectory(prefix="zoomsr-bench-") as folder:
        file = Path(folder) / "found.json"
        model, patch, batch = (TINY, 32, 4) if net == "tiny" else ([f"model={net}"], sizes.patch, sizes.batch)
        sys.argv = [
            *("zoomsr.train", "trainer=auto", f"trainer.accelerator={'gpu' if sizes.device == 'cuda' else 'cpu'}"),
            *("data=sample", f"data.patch={patch}", f"data.batch_size={batch}", f"data.val_patch={patch}"),
            # Figures are drawn once an epoch, and here there is one of seconds.
            *("data.patches_per_image=100000", "callbacks.pictures=null", "callbacks.gallery=null"),
            *("+callbacks.turns._target_=experiments.benchmarks.turns.Turns", f"+callbacks.turns.file={file}"),
            *(f"+callbacks.turns.seconds={sizes.seconds}", "+callbacks.turns.compile=${compile}"),
            *("trainer.max_epochs=1", f"hydra.run.dir={folder}/run", *model, *WAYS[way]),
        ]
        try:
            train()
        except SystemExit as end:
            if end.code:
                raise
        found: Answer = json.loads(file.read_text())
    return found


def zoomed(net: str, precision: str, sizes: Sizes) -> Answer:
    """Seconds of the second time that a photograph is upscaled, and the most memory that the device gave."""
    torch.backends.cudnn.allow_tf32 = True  # torch's default, for what bf16 leaves in float32
    on_cuda = sizes.device == "cuda"
    upscaler = Upscaler.open(net, how=NetOptions(sizes.device, PRECISIONS[precision]))
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


def training_rows(found: Mapping[Job, Answer], best: Mapping[str, float]) -> list[dict[str, Value]]:
    """Every net's ways, beside its fp32; of one that failed only why."""

    def row(net: str, way: str, answer: Answer) -> dict[str, Value]:
        ours, raw = (statistics.median(answer[loop]) for loop in ("trainer", "raw"))
        pairs = list(zip(answer["trainer"], answer["raw"], strict=True))
        gpu = {"no_kernel": answer.get("no kernel"), "kernels_per_step": answer.get("kernels")}
        gpu["peak_gb"] = None if answer["peak"] is None else answer["peak"] / 1e9
        first = found.get(("train", net, "fp32"), {}).get("trainer")
        return {
            "patches_per_s": answer["patches"] / ours,
            "times_fp32": statistics.median(first) / ours if first else None,
            "of_raw_loop": statistics.median(theirs / own for own, theirs in pairs),
            "of_matrix_product": answer["flop"] / ours / best[way.split(",")[0]] / 1e12,
            "waiting": statistics.median(answer["waiting"]),
            "raw_ms": 1e3 * raw,
            "trainer_ms": 1e3 * ours,
            "above_raw_ms": 1e3 * statistics.median(own - theirs for own, theirs in pairs),
            "flop_per_step": answer["flop"],
            **{name: value for name, value in gpu.items() if value is not None},
        }

    return _rows(found, "train", "way", row)


def zoom_rows(found: Mapping[Job, Answer], sizes: Sizes) -> list[dict[str, Value]]:
    """A photograph in each precision, beside fp32; of one that failed only why."""

    def row(net: str, precision: str, answer: Answer) -> dict[str, Value]:
        seconds, first = answer["seconds"], found.get(("zoom", net, "fp32"), {}).get("seconds")
        return {
            "lr": f"{sizes.width}x{sizes.height}",
            "seconds": seconds,
            "times_fp32": first / seconds if first else None,
            "megapixels_per_s": sizes.height * sizes.width / 1e6 / seconds,
            "peak_gb": None if answer["peak"] is None else answer["peak"] / 1e9,
        }

    return _rows(found, "zoom", "precision", row)


def _rows(
    found: Mapping[Job, Answer], what: str, how: str, row: Callable[[str, str, Answer], dict[str, Value]]
) -> list[dict[str, Value]]:
    return [
        {"net": net, how: way, **({"note": answer["error"]} if "error" in answer else row(net, way, answer))}
        for (kind, net, way), answer in found.items()
        if kind == what
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
