"""What a training prints and logs before it starts and after it."""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from omegaconf import DictConfig, OmegaConf

from zoomsr.cli.config import plain
from zoomsr.cli.console import CONSOLE, epoch_table, loss_table, say, score_table
from zoomsr.cli.overrides import LAST
from zoomsr.data.datamodule import PairsDataModule
from zoomsr.data.patches import per_stage
from zoomsr.data.sources.photographs import licences_of
from zoomsr.hardware.processor import processor
from zoomsr.imaging.degradations import Degradation
from zoomsr.models import n_parameters, scale_of
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import weights_file
from zoomsr.runs.files import sha256_of, short
from zoomsr.runs.job import Job
from zoomsr.runs.layout import CHECKPOINTS, COMPARISON_PNG, EVENTS, METRICS_JSON, PROFILE, TENSORBOARD
from zoomsr.runs.provenance import code_now, read_starts, record
from zoomsr.runs.rerun import comparison, what_differs
from zoomsr.runs.run import UNRANKED, Run, versions
from zoomsr.training.logger_adapters import LEADING
from zoomsr.training.module import ZoomModule
from zoomsr.training.precision import slow_precision
from zoomsr.training.warm_start import Start

_GROUPS = ("model", "data", "degradation", "loss", "optimizer", "scheduler")


def say_start(
    config: DictConfig, *, data: PairsDataModule, module: ZoomModule, trainer: Trainer, start: str | None, reason: str
) -> None:
    """Print data, net, device, batch and the run's directory; ``reason`` is why the precision was chosen."""
    hint = "  (DIV2K instead: data=div2k)" if data.source.name == "sample" else ""
    licences = licences_of(data.source.attributions)
    size = f"{n_parameters(module.net):,} parameters, x{scale_of(module.net)}"
    precision = f"{trainer.precision} (auto: {reason})" if reason else trainer.precision
    root = trainer.strategy.root_device
    is_gpu = root.type == "cuda"
    device = torch.cuda.get_device_name(root) if is_gpu else f"{root.type} ({torch.get_num_threads()} threads)"
    lines = {
        "data": f"{data.source.name}: {data.source.describe()}{hint}",
        **({"licences": ", ".join(f"{count} {one}" for one, count in licences.items())} if licences else {}),
        "net": f"{config.choices.model}: {size}, lr made by {config.choices.degradation}",
        "device": f"{trainer.world_size} x {device}, precision {precision}, seed {config.seed}",
    }
    if any(parameter.requires_grad for parameter in module.net.parameters()):
        lines["batch"] = _batch(config, trainer)
        if (stages := max(len(per_stage(config.data[key])) for key in ("patch", "batch_size"))) > 1:
            sides = f"patches of {_then(per_stage(config.data.patch))} pixels"
            lines["stages"] = f"{stages} equal shares of the training, each from the start of an epoch: {sides}"
    if (teacher := OmegaConf.select(config, "target.teacher")) is not None:
        lines["teacher"] = _teacher(teacher, data.degradation)
    if (budget := config.get("budget")) is not None:
        lines["budget"] = f"{budget}, annealed by then ({config.choices.scheduler}), however many epochs that is"
    if (advice := slow_precision(trainer.precision, root)) is not None:
        lines["slow bf16"] = advice
    if start is not None:
        lines["from"] = short(Path(start))
    say({**lines, "run": short(Path(config.run_dir))})


def record_start(config: DictConfig, *, data: PairsDataModule, trainer: Trainer, start: Start) -> None:
    """Keep in the run what its results follow from; where it repeats another run, print what differs now."""
    run, root = Path(config.run_dir), trainer.strategy.root_device
    is_gpu, before = root.type == "cuda", read_starts(run)
    code, changes = code_now(plain(config))
    first = start.resume or start.weights
    weights = {"ckpt": config.ckpt, "ckpt_mode": config.ckpt_mode, "sha256": sha256_of(Path(first))} if first else {}
    if config.ckpt == LAST:  # it resumes
        weights = before[0]["weights"] if before else {}
    now = {
        "code": code,
        "versions": {name: version for name, version in versions().items() if name != "commit"},
        "data": {"name": data.source.name, "hash": data.digest},
        "weights": weights,
        "device": {
            "type": root.type,
            "name": torch.cuda.get_device_name(root) if is_gpu else processor(),
            "instructions": torch.backends.cpu.get_cpu_capability(),  # the sums of a CPU follow from its vectors
            "threads": torch.get_num_threads(),
            "ranks": trainer.world_size,
            "precision": trainer.precision,
        },
    }
    record(run, now, changes=changes)
    if (other := config.get("rerun")) is not None:
        found = dict(what_differs(Path(other), now))
        same = ", ".join(part for part in now if part not in found)
        say({"rerun": f"of {short(Path(other))}; the same as then: {same or 'nothing'}"})
        for part, text in found.items():
            say({"differs": f"{part}: {text}"})


def _batch(config: DictConfig, trainer: Trainer) -> str:
    """The batch of an optimizer step; the learning rate is not scaled by it."""
    sizes, ranks, accumulated = per_stage(config.data.batch_size), trainer.world_size, trainer.accumulate_grad_batches
    factor, rate = ranks * accumulated, config.optimizer.lr
    effective = _then([size * factor for size in sizes])
    text = f"{effective} patches a step: {_then(sizes)} per rank x {ranks} rank(s) x {accumulated} accumulated"
    if factor == 1:
        return f"{text}; learning rate {rate:g}"
    # Goyal et al., "Accurate, Large Minibatch SGD", 2017, arXiv:1706.02677; for Adam the square root is usual.
    return (
        f"{text}; learning rate {rate:g} as set, not scaled "
        f"(linear rule: optimizer.lr={rate * factor:g}, square root: optimizer.lr={rate * factor**0.5:g})"
    )


def _teacher(name: str, degradation: Degradation) -> str:
    """Its name; and, as its images keep what it has never seen, that its own lr was made by another degradation."""
    file = weights_file(name, degradation.scale)
    if file is not None and (card := Card.beside(file)) is not None:
        known = card.degradation
    else:
        known = (Run.read(Path(name)).results or {}).get("degradation", "") if Path(name).is_dir() else ""
    if known in ("", repr(degradation)):
        return name
    return f"{name}, which was trained on lr made by {known}, not by {degradation!r}"


def _then(values: Sequence[int]) -> str:
    return ", then ".join(str(value) for value, _ in groupby(values))


def hyper_parameters(config: DictConfig) -> dict[str, int | float | str]:
    """The settings that loggers get; those by which experiments differ most come first."""
    settings: dict[str, Any] = {group: config.choices[group] for group in _GROUPS}
    settings |= {f"{group}.{key}": value for group in _GROUPS for key, value in plain(config[group]).items()}
    settings |= {"seed": config.seed, "scale": config.scale}
    settings = {key: settings[key] for key in (*LEADING, *settings) if key in settings}
    return {key: value for key, value in settings.items() if "._" not in key and isinstance(value, (int, float, str))}


@contextmanager
def profile_kept(run_dir: Path) -> Iterator[None]:
    """Show the tables of ``trainer.profiler``, which Lightning logs, and keep them in the run's ``profile.txt``."""
    logger = logging.getLogger("lightning.pytorch.profilers")
    handler = logging.FileHandler(run_dir / PROFILE, encoding="utf-8", delay=True)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def say_result(run_dir: Path, *, repeats: str | None = None) -> None:
    """Print the tables of a finished run, where its files are, and whether it equals the run that it repeats."""
    finished = Run.read(run_dir)
    results = finished.results or {}
    best = results.get("best_epoch", 0)
    trainer = Job(run_dir).settings()["trainer"]  # older versions had neither of the two
    if trainer.get("overfit_batches"):
        CONSOLE.print(loss_table(finished.epochs))
    elif finished.epochs and not trainer.get("fast_dev_run"):
        CONSOLE.print(epoch_table(finished.epochs, best=best, best_step=results.get("best_step")))
    if means := finished.means():  # limit_test_batches=0 leaves none
        CONSOLE.print(score_table(f"Validation images, protocol modern, weights of epoch {best}", means))
    lines = {"scores": f"not for comparison: {why}"} if (why := results.get(UNRANKED)) else {}
    places = {"picture": COMPARISON_PNG, "results": METRICS_JSON, "profile": PROFILE}  # callbacks may be off
    lines |= {label: short(run_dir / name) for label, name in places.items() if (run_dir / name).exists()}
    folders = (run_dir, run_dir / TENSORBOARD)  # the other one of older runs
    if (folder := next((one for one in folders if any(one.glob(EVENTS))), None)) is not None:
        lines["curves"] = f"tensorboard --logdir {short(folder)}"
    if results.get("scale", 1) > 1 and (run_dir / CHECKPOINTS).is_dir():
        path = short(run_dir)
        net = path if os.sep in path else f"./{path}"  # a bare name is always a pretrained net
        lines["zoom"] = f"python -m zoomsr.zoom PHOTO --compare -m {shlex.quote(net)}"
    say(lines)
    if repeats is not None:
        say({"rerun": comparison(Path(repeats), run_dir)})
