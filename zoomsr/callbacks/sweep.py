"""The table at the end of a sweep. Hydra makes this callback at start-up: nothing heavy may be imported here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from zoomsr.runs import Run
from zoomsr.screen import CONSOLE, score_table


class SweepTable(Callback):
    """Prints all jobs of a sweep, bicubic first, then by PSNR on Y."""

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Read every job's run directory below the sweep's."""
        sweep_dir = Path(config.hydra.sweep.dir)
        runs = [Run.read(path.parent) for path in sorted(sweep_dir.glob("*/.hydra"))]
        rows = ranking(runs)
        if rows:
            CONSOLE.print(score_table(f"{sweep_dir}: held-out photographs, ranked", rows))


def ranking(runs: list[Run]) -> dict[str, dict[str, float]]:
    """Job to mean metrics: bicubic, which every run measures, then the jobs by falling PSNR on Y.

    A job is called by the overrides in which it differs from the others: ``vdsr``, or ``vdsr loss=mse``.
    """
    shared = set.intersection(*(set(run.overrides) for run in runs)) if len(runs) > 1 else set()
    bicubic: dict[str, dict[str, float]] = {}
    jobs: dict[str, dict[str, float]] = {}
    for run in runs:
        label = " ".join(text.removeprefix("model=") for text in run.overrides if text not in shared)
        for net, row in run.means().items():
            if net != "bicubic":
                jobs[label or net] = row
            elif row not in bicubic.values():  # another one where jobs differ in data or degradation
                bicubic[f"bicubic {label}" if bicubic else net] = row
    return bicubic | dict(sorted(jobs.items(), key=lambda item: -item[1]["psnr_y"]))
