"""What must be the same on a GPU as on a CPU, each check with the device as an argument.

``tests/gpu`` runs them on CUDA, ``test_device_checks.py`` on the CPU, so that only the device differs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import torch
from PIL import Image

from _support.tiny import TINY, TINY_NET
from zoomsr.data.datamodule import PairsDataModule, Residence
from zoomsr.data.sources.photographs import folder
from zoomsr.engines.tiling import upscale_tiled
from zoomsr.hardware.devices import full_float32
from zoomsr.imaging.degradations import Bicubic
from zoomsr.imaging.pixels import PixelArray
from zoomsr.inference.export import write
from zoomsr.inference.export_options import ExportOptions
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import read_rows
from zoomsr.runs.job import Job
from zoomsr.runs.run import Run

Train = Callable[..., Run]

MAX_DB = 0.002
"""Between the PSNR of the same weights on two devices."""

GPU = "trainer.accelerator=gpu"


def batch_hashes(
    photos: Path, device: torch.device, resident: Residence, *, count: int, occupy: Callable[[], object]
) -> list[str]:
    """sha256 of the first batches as the net is given them.

    Args:
        photos: a folder of photographs of at least 32x32.
        device: where the batches go.
        resident: where the pixels are.
        count: of batches.
        occupy: keeps the device busy, so that copies wait while the loader fills further batches.
    """
    data = PairsDataModule(
        source=folder(str(photos)),
        degradation=Bicubic(2),
        patch=32,
        batch_size=8,
        patches_per_image=-(-8 * count // 5),  # of the six photographs one is held out
        threads=2,
        resident=resident,
    )
    strategy = SimpleNamespace(root_device=device)
    data.trainer = SimpleNamespace(training=True, global_rank=0, world_size=1, overfit_batches=0.0, strategy=strategy)  # type: ignore[assignment]
    batches = []
    for raw in data.train_dataloader():
        occupy()
        batches.append(data.on_after_batch_transfer(data.transfer_batch_to_device(raw, device, 0), 0))
        del raw  # the loader may use its memory again, also where the copy has not begun
    assert len(batches) >= count
    assert all(batch["lr"].device.type == device.type for batch in batches)
    return [_hash(batch) for batch in batches[:count]]


def _hash(batch: Mapping[str, Any]) -> str:
    parts = [batch[key].cpu().numpy().tobytes() for key in ("lr", "hr", "index")]
    return hashlib.sha256(b"".join(parts) + repr(batch["name"]).encode()).hexdigest()


def require_same_scores(one: Mapping[str, float], other: Mapping[str, float]) -> None:
    """Hold the metrics of the same weights on two devices against each other."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        most = MAX_DB if "psnr" in name or "error_band" in name else 1e-4
        assert abs(value - other[name]) <= most, (name, value, other[name])


def scores_on(train: Train, start: Path, *overrides: str) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Held-out scores of a run's weights, which do not change: of the validation, and by photograph of the test."""
    still = ("optimizer.lr=0", "trainer.max_epochs=1", f"ckpt={start}", "ckpt_mode=weights")
    run = train(*still, *overrides)
    (row,) = run.epochs
    assert run.results is not None
    (sets,) = run.results["sets"].values()
    validated = {name: value for name, value in row.items() if name.startswith("val/") and name != "val/mae_gap"}
    return validated, sets["srcnn"]["modern"]["images"]


def astronaut() -> PixelArray:
    """A part of a real photograph, (96, 128, 3) of uint8: cards speak of such."""
    spec = importlib.util.find_spec("skimage")
    assert spec is not None
    assert spec.origin is not None
    pixels: PixelArray = np.asarray(Image.open(Path(spec.origin).parent / "data" / "astronaut.png").convert("RGB"))
    return pixels[60:156, 150:278].copy()


def zoomed(
    model: str, pixels: PixelArray, device: str, *, precision: str = "32", tile: int | None = None, exact: bool = True
) -> PixelArray:
    """A photograph, (H, W, 3) of uint8, enlarged."""
    upscaler = Upscaler.open(model, how=NetOptions(device, precision, tile, exact, engine="torch"))
    assert upscaler.device.type == torch.device(device).type
    out = np.zeros((2 * pixels.shape[0], 2 * pixels.shape[1], 3), np.uint8)
    upscaler.into(pixels, out)
    return out


def most_levels(one: PixelArray, other: PixelArray) -> int:
    """The largest difference of two pictures, in whole levels."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


def tiles_run(
    net: torch.nn.Module, pixels: PixelArray, device: torch.device, *, tile: int
) -> tuple[PixelArray, list[int]]:
    """A photograph enlarged on the device, and how many output pixels each tile gave."""
    out = np.zeros((2 * pixels.shape[0], 2 * pixels.shape[1], 3), np.uint8)
    done: list[int] = []
    upscale_tiled(net.to(device).eval(), pixels, out, device=device, tile=tile, advance=done.append)  # type: ignore[arg-type]
    return out, done


def exported_differs(checkpoint: Path, out: Path, device: torch.device) -> float:
    """Write a run's net for other engines, and run it on the CPU beside the net itself on the device."""
    write(str(checkpoint), out, ExportOptions(), overwrite=False)
    lr = torch.rand(1, 3, 37, 50, generator=torch.Generator().manual_seed(1))
    net = Weights.read(checkpoint).build().to(device)
    with torch.no_grad(), full_float32():
        expected = net(lr.to(device)).cpu()
        if out.suffix == ".onnx":
            session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
            sr = torch.from_numpy(session.run(None, {"input": lr.numpy()})[0])
        else:
            sr = torch.export.load(out).module()(lr)
    return float((sr - expected).abs().max())


def command(tmp_path: Path, photos: Path, *arguments: str) -> None:
    """The training command as a user gives it."""
    small = [*TINY, *TINY_NET, f"data.root={photos}", "trainer.max_epochs=1", *arguments]
    process = subprocess.run(
        [sys.executable, "-m", "zoomsr.train", *small],
        env={**os.environ, "ZOOMSR_RUNS": str(tmp_path / "runs"), "COLUMNS": "200"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert process.returncode == 0, process.stdout


def scores_of_ranks(tmp_path: Path, photos: Path, *overrides: str, ranks: int) -> dict[str, float]:
    """Train with DDP; the last epoch's row. Every rank had the same settings."""
    run = tmp_path / f"ranks{ranks}"
    command(tmp_path, photos, "trainer.strategy=ddp", f"trainer.devices={ranks}", f"hydra.run.dir={run}", *overrides)
    results = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert len(results["ranks"]) == ranks
    assert len(set(results["ranks"])) == 1
    (row,) = read_rows(run / "metrics.csv")
    return row


def sweep_by_slots(tmp_path: Path, photos: Path, seeds: Sequence[int], *overrides: str) -> list[Run]:
    """A sweep of as many jobs at once as there are seeds; the runs, each of which waited for all others to start.

    Child processes must find ``_support``.
    """
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    command(
        *(tmp_path, photos, "-m", f"seed={','.join(map(str, seeds))}", f"launcher.slots={len(seeds)}"),
        f"+callbacks.meeting={{_target_:_support.meeting.Meeting,folder:'{meeting}',jobs:{len(seeds)}}}",
        *overrides,
    )
    assert len(list(meeting.iterdir())) == len(seeds)
    (sweep,) = (tmp_path / "runs").iterdir()
    jobs = sorted(path for path in sweep.iterdir() if path.is_dir())
    assert [Job(path).status()["state"] for path in jobs] == ["finished"] * len(seeds)
    return [Run.read(path) for path in jobs]


@contextmanager
def little_memory(n_bytes: int) -> Iterator[None]:
    """This process may take no more of the GPU than it has now, and so many bytes."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + n_bytes) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()


def learnt(train: Train, *overrides: str) -> float:
    """Train a little from a bad start; PSNR on Y after two epochs."""
    run = train("data.patches_per_image=32", "optimizer.lr=2e-3", "trainer.max_epochs=2", *overrides)
    first, last = run.epochs
    assert last["train/mae"] < first["train/mae"]
    assert last["val/psnr_y"] > first["val/psnr_y"]
    return last["val/psnr_y"]
