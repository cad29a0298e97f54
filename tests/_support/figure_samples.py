"""Figures of every kind, at their easiest and at their hardest, from numbers that are made up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from zoomsr.figures import (
    Cost,
    Enlargement,
    Panel,
    PublishedNet,
    Stage,
    architecture,
    best_worst,
    comparison,
    curves,
    dots,
    epochs,
    matrix,
    published,
    spectrum,
    tradeoff,
)

NETS = ["bicubic", "srcnn", "vdsr", "ircnn", "unet", "unet without residual", "unet_seed", "width_$64$_a^b"]
TWELVE = [*NETS, "unet pixel shuffle", "charbonnier", "mae + frequency term", "291 photographs and dead leaves"]
PUBLISHED = {
    "srcnn": PublishedNet(32.4, 53, "91"),
    "vdsr": PublishedNet(33.0, 613, "291"),
    "idn": PublishedNet(33.3, 127, "291"),
    "spin": PublishedNet(33.9, 114, "DIV2K"),
    "smfanet": PublishedNet(33.92, 108, "DIV2K"),  # all but on the same spot
    "unet": PublishedNet(33.2, 98, "240 free photographs", ours=True),
}
EIGHT_EPOCHS = [f"epoch {number}" for number in (1, 2, 3, 5, 10, 20, 50, 100)]


def sample_row(
    name: str = "cat",
    methods: list[str] | None = None,
    *,
    marked: bool = True,
    truth: bool = True,
    shape: tuple[int, int] = (16, 16),
) -> Enlargement:
    """The last method is the truth itself; the photograph is twice as wide as high."""
    rng = np.random.default_rng(0)
    lr = rng.random((*shape, 3), np.float32)
    hr = rng.random((2 * shape[0], 2 * shape[1], 3), np.float32)
    labels = methods or ["bicubic", "unet"]
    images = [*(rng.random(hr.shape, np.float32) for _ in labels[1:]), hr]
    panels = {
        label: Panel(image, *((20 + number / 3, 0.5 + number / 100) if truth else ()))
        for number, (label, image) in enumerate(zip(labels, images, strict=True))
    }
    photograph = rng.random((40, 80, 3), np.float32) if marked else None
    return Enlargement(name, lr, panels, hr if truth else None, photograph, (2, 4, 32, 30) if marked else None)


def sample_history(count: int, *, psnr: float = 30.0, first: int = 1, held_out: bool = True) -> list[dict[str, float]]:
    rows = []
    for number in range(first, first + count):
        row = {"epoch": float(number), "train/mae": 0.03 / number, "train/psnr_y": psnr + 1 + number, "seconds": 1.0}
        rows.append({**row, "val/mae": 0.04 / number, "val/psnr_y": psnr + number} if held_out else row)
    return rows


U = [
    Stage("encoder.0", 32, 64, 64),
    Stage("encoder.1", 64, 32, 32),
    Stage("up.0", 32, 64, 64),
    Stage("decoder.0", 32, 64, 64, skip_from=0),
    Stage("extra_up", 32, 128, 128),
    Stage("tail", 3, 128, 128),
]
CHAIN = [*(Stage(f"body.{2 * number}", 64, 128, 128) for number in range(19)), Stage("residual", 3, 128, 128)]
DEEP = [Stage(f"stage_with_a_long_name.{n}", 2 ** (n % 11), 512 >> abs(n - 8), 512 >> abs(n - 8)) for n in range(17)]
COSTS = {name: Cost(33 + number % 5 + number / 9, 3.0**number, 10**number) for number, name in enumerate(NETS)}

FIGURES: dict[str, Callable[[], Figure]] = {
    "comparison of two": lambda: comparison([sample_row("cat"), sample_row("dog")]),
    "comparison of eight": lambda: comparison(
        [sample_row("cat", NETS), sample_row("a very long name of a photograph", NETS)]
    ),
    "comparison without photograph and truth": lambda: comparison(
        [sample_row(NETS[5], NETS, marked=False, truth=False)]
    ),
    "comparison of a flat area": lambda: comparison([sample_row(shape=(3, 40))]),
    "comparison of a tall area": lambda: comparison([sample_row(shape=(40, 3))]),
    "comparison of a pixel": lambda: comparison([sample_row(shape=(1, 1))]),
    "five epochs": lambda: epochs([sample_row("cat", EIGHT_EPOCHS[:5], marked=False)]),
    "eight epochs": lambda: epochs(
        [sample_row(name, EIGHT_EPOCHS) for name in ("cat", "dog", "0801x2_of_a_long_name.png")]
    ),
    "an epoch without truth": lambda: epochs([sample_row("cat", ["epoch 1"], marked=False, truth=False)]),
    "gallery": lambda: best_worst(
        gains=[sample_row(f"cat {n}", ["bicubic", NETS[5]], marked=False) for n in range(4)],
        errors=[sample_row(f"dog {n}", ["bicubic", NETS[5]], marked=False) for n in range(4)],
    ),
    "gallery of one block": lambda: best_worst(gains=[], errors=[sample_row()]),
    "curve of a run": lambda: curves({"unet": [sample_history(10)]}),
    "curve of an epoch": lambda: curves({"unet": [sample_history(1)]}, baseline={"mae": 0.02, "psnr_y": 29.0}),
    "curve of nothing": lambda: curves({"unet": [[]], "srcnn": []}, baseline={"mae": 0.02, "psnr_y": 29.0}),
    "curves of twelve": lambda: curves(
        {name: [sample_history(9 + n, psnr=30 + n), sample_history(7, psnr=31 + n)] for n, name in enumerate(TWELVE)},
        baseline={"mae": 0.02, "psnr_y": 29.0},
    ),
    "spectrum": lambda: spectrum({name: [-30 + n, -20.0, -10.0, -5 + n] for n, name in enumerate(TWELVE)}),
    "trade-off": lambda: tradeoff(COSTS),
    "trade-off of one": lambda: tradeoff({"bicubic": Cost(33.0, 0.5, 0)}),
    "trade-off in a crowd": lambda: tradeoff({n: Cost(37 + i / 50, 50 + i, 10**6) for i, n in enumerate(TWELVE)}),
    "trade-off on one spot": lambda: tradeoff({name: Cost(37.0, 50.0, 10**6) for name in TWELVE}),
    "published nets": lambda: published(PUBLISHED, of="Set14, x2"),
    "dots": lambda: dots(
        {name: [30 + n, 30.5 + n, 31 + n] for n, name in enumerate(TWELVE)}, axis="PSNR on Y (dB)", baseline=42.0
    ),
    "dots of one": lambda: dots({"unet": [0.0123], "none": []}, axis="MAE, on [0, 1]", baseline=0.02),
    "matrix": lambda: matrix(
        np.arange(9.0).reshape(3, 3).tolist(),
        rows=NETS[4:7],
        columns=["box", "bicubic", "blur and then bicubic"],
        axis="PSNR on Y (dB)",
        row_title="trained on",
        column_title="tested on",
    ),
    "matrix of many columns": lambda: matrix(
        [[0.9 + n / 1000 for n in range(12)]],
        rows=["bicubic"],
        columns=TWELVE,
        axis="SSIM on Y",
        row_title="degradation",
        column_title="net",
    ),
    "architecture of a U": lambda: architecture(U),
    "architecture of a chain": lambda: architecture(CHAIN),
    "architecture of a deep net": lambda: architecture(DEEP),
    "architecture of a stage": lambda: architecture(CHAIN[-1:]),
}
