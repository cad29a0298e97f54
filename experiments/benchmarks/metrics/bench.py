"""PSNR and SSIM on Y of one 2040x1356 pair, on one thread, beside other libraries: ``make bench-metrics``."""

from __future__ import annotations

import statistics
from pathlib import Path

import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from experiments.benchmarks.harness import publish, turns
from zoomsr.imaging.pixels import luma
from zoomsr.metrics.quality import psnr, ssim


def main(height: int = 1356, width: int = 2040, folder: Path = Path(__file__).parent) -> None:
    """Measure; write results.csv and facts.csv, and bring the README up to date."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    hr = torch.rand(3, height, width, generator=generator)
    sr = (hr + 0.05 * torch.randn(hr.shape, generator=generator)).clamp(0, 1)
    hr_y, sr_y = luma(hr) * 255, luma(sr) * 255
    hr_array, sr_array = hr_y[0].double().numpy(), sr_y[0].double().numpy()

    def scikit_image() -> float:
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
        _mean, local = structural_similarity(sr_array, hr_array, full=True, **options)
        return float(local[5:-5, 5:-5].mean())

    assert abs(scikit_image() - float(ssim(sr_y, hr_y))) < 1e-6
    rivals = {
        "zoomsr: Y, PSNR and SSIM": lambda: [metric(luma(sr) * 255, luma(hr) * 255) for metric in (psnr, ssim)],
        "zoomsr: SSIM": lambda: ssim(sr_y, hr_y),
        "scikit-image: SSIM (the same value)": scikit_image,
        "torchmetrics: SSIM (not the same value)": lambda: structural_similarity_index_measure(
            sr_y[None], hr_y[None], data_range=255.0
        ),
    }
    seconds = {what: statistics.median(values) for what, values in turns(rivals, rounds=7).items()}
    own = seconds["zoomsr: SSIM"]
    rows = [{"what": what, "ms": 1e3 * value, "times_our_ssim": value / own} for what, value in seconds.items()]
    publish(folder, {}, results=rows)


if __name__ == "__main__":
    main()
