"""How many steps of each job take the base's time: ``python -m experiments.training_recipe.measure data=photos``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch import Callback, Trainer
from omegaconf import DictConfig

from experiments.report import machine, write_rows
from experiments.trials import Study, Trial
from zoomsr.cli.config import CONF_DIR, instantiate
from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.progress import track
from zoomsr.data.patches import per_stage
from zoomsr.training.callbacks.ema import EMA
from zoomsr.training.recipe import build_module

HERE = Path(__file__).parent
BASE, STEPS = "base", 150
_ROUNDS, _WARM_UP, _TIMED = 3, 1, 2


def main(
    data: Annotated[list[str], typer.Argument(help="overrides that choose the training images: data=photos")],
) -> None:
    """Write steps.csv: jobs take turns in one process, and each is divided by the base of its round."""
    with one_line_errors():
        torch.set_num_threads(1)
        trials = [trial for trial in Study.read(HERE.name).trials(HERE, data=data) if trial.seed == 1]
        rounds = [{trial.job: seconds(trial) for trial in track(trials, "trials")} for _ in range(_ROUNDS)]
        rows = []
        for job in rounds[0]:
            ratio = statistics.median(one[job] / one[BASE] for one in rounds)
            least = min(one[job] for one in rounds)
            rows.append({"net": job, "seconds": least, "ratio": ratio, "steps": round(STEPS / ratio)})
        write_rows(HERE / "steps.csv", [{**row, "machine": machine()} for row in rows])


def seconds(trial: Trial) -> float:
    """Of the processor for a step, whatever else the machine does; the mean of the stages, which share the steps."""
    return statistics.fmean(timed(config) for config in stages(trial.overrides))


def stages(overrides: Sequence[str]) -> Iterator[DictConfig]:
    """The settings of each stage of a training whose patches or batches grow."""
    given = composed(overrides).data
    sides, sizes = per_stage(given.patch), per_stage(given.batch_size)
    for number in range(max(len(sides), len(sizes))):
        side, size = sides[number % len(sides)], sizes[number % len(sizes)]
        yield composed([*overrides, f"data.patch={side}", f"data.batch_size={size}"])


def composed(overrides: Sequence[str]) -> DictConfig:
    """conf/train.yaml with overrides."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", [*overrides, "run_dir=unused"], return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    return config


def timed(config: DictConfig) -> float:
    """Seconds of the processor for a step of the trainer, with loader, training metrics, optimizer and average."""
    clock = Clock()
    trainer: Trainer = instantiate(config.trainer)(
        accelerator="cpu",
        callbacks=[*([] if config.ema is None else [EMA(config.ema)]), clock],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        limit_train_batches=_WARM_UP + _TIMED,
        limit_val_batches=0,
        max_epochs=1,
        max_steps=-1,
    )
    trainer.fit(build_module(config), instantiate(config.data.module))
    return statistics.fmean(end - start for start, end in pairwise(clock.times[_WARM_UP - 1 :]))


class Clock(Callback):
    """The seconds that the process has used the processor, at the end of each step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """After the optimizer."""
        self.times.append(time.process_time())


if __name__ == "__main__":
    typer.run(main)
