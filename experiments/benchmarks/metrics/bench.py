"""PSNR and SSIM on Y of one 2040x1356 pair, on one thread, beside other libraries: ``make bench-metrics``."""

from __future__ import annotations

from pathlib import Path

import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from experiments import tables
from experiments.benchmarks.timing import medians, show
from experiments.report import Value, machine, write_facts, write_rows
from zoomsr.imaging.pixels import luma
from zoomsr.metrics.quality import psnr, ssim
from zoomsr.runs.run import versions

HERE = Path(__file__).parent

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
hr = torch.rand(3, 1356, 2040, generator=generator)
sr = (hr + 0.05 * torch.randn(hr.shape, generator=generator)).clamp(0, 1)
hr_y, sr_y = luma(hr) * 255, luma(sr) * 255
hr_array, sr_array = hr_y[0].double().numpy(), sr_y[0].double().numpy()


def ours() -> float:
    """Y, PSNR and SSIM."""
    return float(psnr(luma(sr) * 255, luma(hr) * 255) + ssim(luma(sr) * 255, luma(hr) * 255))


def scikit_image() -> float:
    """SSIM alone, the same value."""
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _mean, local = structural_similarity(sr_array, hr_array, full=True, **options)
    return float(local[5:-5, 5:-5].mean())


def torchmetrics() -> float:
    """SSIM alone; its border differs."""
    return float(structural_similarity_index_measure(sr_y[None], hr_y[None], data_range=255.0))


if __name__ == "__main__":
    assert abs(scikit_image() - float(ssim(sr_y, hr_y))) < 1e-6
    rivals = {
        "zoomsr: Y, PSNR and SSIM": ours,
        "zoomsr: SSIM": lambda: ssim(sr_y, hr_y),
        "scikit-image: SSIM (the same value)": scikit_image,
        "torchmetrics: SSIM (not the same value)": torchmetrics,
    }
    seconds = medians(rivals, rounds=7)
    show("2040x1356, one thread", seconds)
    own = seconds["zoomsr: SSIM"]
    rows: list[dict[str, Value]] = [
        {"what": what, "ms": 1e3 * value, "times_our_ssim": value / own} for what, value in seconds.items()
    ]
    write_rows(HERE / "results.csv", rows)
    write_facts(HERE / "facts.csv", {"machine": machine(), **versions()})
    tables.write(HERE / "README.md")
