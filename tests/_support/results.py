"""Directories like those of trainings and evaluations, written by hand: what is in them is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from zoomsr.runs.crops import Crop
from zoomsr.runs.files import write_rows
from zoomsr.runs.layout import PICTURES

BICUBIC = {"a.png": 30.0, "b.png": 32.0, "c.png": 28.0, "d.png": 34.0, "e.png": 31.0, "f.png": 33.0}
MODERN = {"name": "modern", "lr_8bit": True, "luma_8bit": False}
CLASSIC = {"name": "classic", "lr_8bit": False, "luma_8bit": True}


def scores(psnr: Mapping[str, float]) -> dict[str, Any]:
    """Every metric follows PSNR on Y, so that all are known."""
    images = {
        name: {
            **{
                "mae": 1 / value,
                "psnr_rgb": value - 1,
                "psnr_y": value,
                "ssim_rgb": value / 110,
                "ssim_y": value / 100,
            },
            **{f"error_band_{band}": -value / band for band in (1, 2, 3, 4)},
        }
        for name, value in psnr.items()
    }
    first = next(iter(images.values()))
    mean = {metric: sum(row[metric] for row in images.values()) / len(images) for metric in first}
    return {"mean": mean, "images": images}


def gained(*gains: float) -> dict[str, float]:
    """PSNR of a net that gains so much over bicubic, picture by picture, the last gain repeated."""
    rest = [gains[-1]] * (len(BICUBIC) - len(gains))
    return {name: value + gain for (name, value), gain in zip(BICUBIC.items(), [*gains, *rest], strict=True)}


def metrics(net: str, psnr: Mapping[str, float], /, **about: Any) -> dict[str, Any]:
    """metrics.json of a run; ``about`` replaces what is in it."""
    bicubic = {name: BICUBIC.get(name, 30.0) for name in psnr}
    return {
        "protocols": {"modern": MODERN},
        "data": {"name": "folder", "hash": "abc123", "n_train": 8, "n_val": len(psnr)},
        "net": {"name": net, "params": 1000, "latency_ms": 12.5, "macs": 2_000_000_000, "peak_mb": 3.5, "config": {}},
        "degradation": "Bicubic(scale=2)",
        "scale": 2,
        "best_epoch": 2,
        "epochs": 3,
        "seconds": 90.0,
        "sets": {"folder held-out": {"bicubic": {"modern": scores(bicubic)}, net: {"modern": scores(psnr)}}},
        "versions": {"python": "3.11", "torch": "2.13"},
        **about,
    }


def settings(place: Path, net: str, seed: int, **more: Any) -> dict[str, Any]:
    """settings.yaml of a run."""
    return {
        "scale": 2,
        "seed": seed,
        "run_dir": str(place),
        "choices": {"model": net, "launcher": "local", "hydra/output": "default"},
        "data": {"val_patch": None, "module": {"seed": seed}},
        "model": {"_target_": f"zoomsr.models.{net}"},
        "callbacks": {"checkpoint": {"dirpath": f"{place}/checkpoints"}, "pictures": {"count": 3}},
        **more,
    }


def run(
    place: Path,
    *,
    net: str = "srcnn",
    seed: int = 1,
    results: Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    epochs: int = 3,
    status: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
) -> Path:
    """A run's directory; without results it is unfinished."""
    (place / ".hydra").mkdir(parents=True)
    (place / "settings.yaml").write_text(yaml.safe_dump(settings(place, net, seed, **(more or {}))))
    (place / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump([f"model={net}", f"seed={seed}", *overrides]))
    if epochs:
        values = {split: [30 + epoch + 0.1 * seed for epoch in range(epochs)] for split in ("train", "val")}
        rows = [
            {
                "epoch": n + 1.0,
                **{f"{split}/psnr_y": v[n] for split, v in values.items()},
                "train/mae": 0.1,
                "val/mae": 0.1,
            }
            for n in range(epochs)
        ]
        write_rows(place / "metrics.csv", rows)
    if results is not None:
        (place / "metrics.json").write_text(json.dumps(results))
    if status is not None:
        (place / "status.json").write_text(json.dumps(status))
    return place


def finished(place: Path, psnr: Mapping[str, float], *, net: str = "srcnn", seed: int = 1, **more: Any) -> Path:
    """A finished run with these scores."""
    return run(place, net=net, seed=seed, results=metrics(net, psnr), **more)


def evaluation(place: Path, nets: Mapping[str, Mapping[str, float]], sets: Sequence[str] = ("Set5",)) -> Path:
    """The directory of an evaluation under both protocols; ``classic`` is 1 dB above ``modern``."""
    rows = {"bicubic": BICUBIC, **nets}
    by_protocol = {
        net: {
            "modern": scores(psnr),
            "classic": scores({name: value + 1 for name, value in psnr.items()}),
        }
        for net, psnr in rows.items()
    }
    data = metrics("bicubic", BICUBIC)
    data |= {
        "protocols": {"modern": MODERN, "classic": CLASSIC},
        "nets": {net: {"params": 10, "config": {}, "weights": None} for net in rows},
        "sets": dict.fromkeys(sets, by_protocol),
    }
    for key in ("best_epoch", "epochs", "seconds"):
        del data[key]
    place.mkdir(parents=True)
    (place / "metrics.json").write_text(json.dumps(data))
    return place


def keep_pictures(place: Path, *, shade: float = 0.5) -> None:
    """An area as a training keeps it, with two epochs and what the tested weights make of it."""
    rng = np.random.default_rng(0)
    hr = rng.random((32, 32, 3)).astype(np.float32)
    lr = hr[::2, ::2].copy()
    enlarged = np.full_like(hr, shade)
    photograph = np.pad(hr, ((8, 8), (8, 8), (0, 0)))
    area = Crop(
        "a.png", (8, 8, 32, 32), photograph, lr, hr, lr.repeat(2, 0).repeat(2, 1), {1: enlarged, 2: hr}, enlarged
    )
    area.save(place / PICTURES / "1_a")
    area.save(place / "gallery" / "gain_01")
    area.save(place / "gallery" / "error_01")
