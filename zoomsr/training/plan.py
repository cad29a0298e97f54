"""``plan=true``: what a training will take, measured on a short one with the same settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from zoomsr.cli.console import decimal, say
from zoomsr.data.patches import per_stage, stages
from zoomsr.runs.crops import is_milestone
from zoomsr.runs.layout import CROP_EPOCHS, EVENTS, METRICS_CSV
from zoomsr.training.batch_size import with_fitting_batch
from zoomsr.training.callbacks.limits import Budget, TimeLimit
from zoomsr.training.callbacks.stopwatch import FIRST, MEASURED, PLAIN, STOPWATCH
from zoomsr.training.short import EVERY_N_EPOCHS, ranks, short_training

_MEASURED_S = 6.0  # of steps
_STEPS = (12, 400)  # of an epoch that is measured, at least and at most
_MAX_EPOCHS = 4  # that are measured, where they are short
_FIRST_STEPS = 4  # that tell how many these are


@dataclass(frozen=True)
class Plan:
    """What a training will take.

    Attributes:
        params: of the net.
        macs: multiply-adds for an output of 1280x720.
        device: ``cpu`` or ``cuda``.
        peak_bytes: of the process on a CPU, of tensors on a GPU, with validation and test; None where nothing tells.
        batches: in an epoch.
        batch_s: of each stage, seconds of a batch.
        validation_s: seconds of a validation.
        rest_s: seconds of an epoch's checkpoints, curves and figures.
        epochs: of the training; with a budget or a time limit as many as fit.
        start_s: seconds until the first step.
        training_s: seconds of all epochs.
        end_s: seconds of the test and the last figures.
        disk_bytes: of the run's directory at the end.
    """

    params: int
    macs: int
    device: str
    peak_bytes: int | None
    batches: int
    batch_s: tuple[float, ...]
    validation_s: float
    rest_s: float
    epochs: float
    start_s: float
    training_s: float
    end_s: float
    disk_bytes: int

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch, on average over stages, with its share of the validations."""
        return self.training_s / self.epochs if self.epochs else 0.0

    @property
    def total_s(self) -> float:
        """Seconds of the command."""
        return self.start_s + self.training_s + self.end_s


def say_plan(settings: Mapping[str, Any], *, begun: float) -> None:
    """Measure and print what a training will take; nothing is kept.

    Args:
        settings: conf/train.yaml, resolved, as plain data; their ``run_dir`` is there.
        begun: when the command began, by ``time.monotonic``.

    Raises:
        ValueError: what the training itself would raise.
    """
    say({"plan": "measures some steps, validations and tests; nothing is kept"})
    plan = measured_plan(with_fitting_batch(settings), begun=begun)
    epochs = f"{plan.epochs:.0f}" if plan.epochs >= 10 else f"{plan.epochs:.3g}"
    end = datetime.now().astimezone() + timedelta(seconds=plan.total_s)
    memory = f"of {'this process' if plan.device == 'cpu' else 'tensors on the device'}, at the peak"
    say(
        {
            "net": f"{plan.params:,} parameters, {plan.macs / 1e9:.3g} G multiply-adds for 1280x720",
            "memory": f"{decimal(plan.peak_bytes)} {memory}" if plan.peak_bytes else "this system does not tell",
            "epoch": f"{_time(plan.epoch_s)}: {plan.batches} batches of {', then '.join(map(_time, plan.batch_s))}; "
            f"validation {_time(plan.validation_s)}, checkpoints and figures {_time(plan.rest_s)}",
            "time": f"{_time(plan.total_s)}: start {_time(plan.start_s)}, {epochs} epochs {_time(plan.training_s)}, "
            f"test and figures {_time(plan.end_s)}; started now it would end at {end:%Y-%m-%d %H:%M}",
            "disk": f"{decimal(plan.disk_bytes)} in the run's directory, beside the packed pixels in the cache",
        }
    )
    if (count := ranks(settings)) > 1:
        say({"ranks": f"{count}: measured on one of them, without the exchange of gradients"})


def measured_plan(settings: Mapping[str, Any], *, begun: float) -> Plan:
    """See ``say_plan``: short trainings of each stage, in a folder of the run's directory that is removed."""
    firsts, trials = [], []
    for patch, batch_size in stages(settings["data"]["patch"], settings["data"]["batch_size"]):
        stage = partial(short_training, settings, patch=patch, batch_size=batch_size)
        first = stage(batches=_FIRST_STEPS, whole=_FIRST_STEPS, epochs=2)
        if "steps" not in first:
            raise ValueError("plan=true measures a training, and this net has nothing to train: leave out plan")
        each = _mean([seconds for seconds, kind in first["steps"] if kind != FIRST])
        whole = _batches(settings, first["patches"])
        count = min(max(_STEPS[0], math.ceil(_MEASURED_S / each)), _STEPS[1], whole)
        epochs = min(_MAX_EPOCHS, math.ceil(_MEASURED_S / (each * count)))
        say({"steps": f"of {patch} pixels take about {_time(each)}: {epochs} x {count} of them are measured"})
        firsts.append(first)
        trials.append(stage(batches=count, whole=whole, epochs=1 + epochs))
    return forecast(settings, trials, firsts[0], begun=begun)


def forecast(
    settings: Mapping[str, Any], trials: Sequence[Mapping[str, Any]], first: Mapping[str, Any], *, begun: float
) -> Plan:
    """A plan from what short trainings took.

    Steps in which training metrics are measured, every n-th of an epoch, are slower than the others, so each kind
    counts as often as a whole epoch has it. Times of validation images are in proportion to their pixels.

    Args:
        settings: of the training.
        trials: of each stage, as ``short_training`` gives it.
        first: of the first stage, whose start and end load what a command loads.
        begun: see ``say_plan``.

    Raises:
        ValueError: the training has no end.
    """
    trainer, last = settings["trainer"], trials[-1]
    batches = _batches(settings, last["patches"])
    batch_s = tuple(_batch_seconds(trial, batches) for trial in trials)
    share = last["image_share"] if settings["data"]["val_patch"] else last["pixel_share"]
    validation_s, rest_s = last["validation"] / share, _mean([trial["rest"] for trial in trials])
    every = trainer.get("val_check_interval") or 1.0
    validations = (1 / every if isinstance(every, float) else batches / every) / (trainer.get(EVERY_N_EPOCHS) or 1)
    epochs, training_s = _length(settings, batches, batches * _mean(batch_s) + rest_s + validations * validation_s)
    peaks = [trial["peak"] for trial in trials]
    return Plan(
        params=last["net"]["params"],
        macs=last["net"]["macs"],
        device=last["device"],
        peak_bytes=None if None in peaks else max(peaks),
        batches=batches,
        batch_s=batch_s,
        validation_s=validation_s,
        rest_s=rest_s,
        epochs=epochs,
        start_s=first["first_step"] - begun,
        training_s=training_s,
        end_s=first["end"] - first["train_end"] + last["test"] * (1 / last["pixel_share"] - 1),
        disk_bytes=_disk(last, epochs),
    )


def _batches(settings: Mapping[str, Any], patches: int) -> int:
    """Batches of an epoch, which has as many as the largest batch allows."""
    batches = patches // ranks(settings) // max(per_stage(settings["data"]["batch_size"]))
    limit: float | int | None = settings["trainer"].get("limit_train_batches")  # a share, or a number
    if limit is None:
        return batches
    return max(1, int(batches * limit) if isinstance(limit, float) else min(batches, limit))


def _batch_seconds(trial: Mapping[str, Any], batches: int) -> float:
    """Seconds of a batch, on average over an epoch; the first one, which waits for the loader, counts if it must."""
    steps, kinds = trial["steps"], (FIRST, MEASURED, PLAIN)
    by_kind = {kind: [seconds for seconds, other in steps if other == kind] for kind in kinds}
    measured, plain = by_kind[MEASURED] or by_kind[FIRST], by_kind[PLAIN]
    if not plain:
        return _mean(measured)
    share = math.ceil(batches / max(1, batches // trial["metrics_batches"])) / batches
    return float(share * _mean(measured) + (1 - share) * _mean(plain))


def _length(settings: Mapping[str, Any], batches: int, epoch_s: float) -> tuple[float, float]:
    """Epochs and seconds of the training, up to the first of its limits."""
    trainer = settings["trainer"]
    budget, most = settings["budget"], trainer["max_epochs"]
    epochs = math.inf if budget is not None or most in (None, -1) else float(most)  # a budget replaces them
    if (steps := trainer.get("max_steps", -1)) != -1:
        epochs = min(epochs, steps * trainer["accumulate_grad_batches"] / batches)
    if (limit := trainer.get("max_time")) is not None:
        epochs = min(epochs, (TimeLimit(limit).time_remaining() or 0.0) / epoch_s)
    if budget is not None:
        epochs = min(epochs, Budget(str(budget)).seconds / epoch_s)
    if math.isinf(epochs):
        raise ValueError("a plan needs an end: set trainer.max_epochs, trainer.max_steps or budget")
    return epochs, epochs * epoch_s


def _disk(trial: Mapping[str, Any], epochs: float) -> int:
    """Bytes of a run: those of the short one, and of each further epoch its share of curves and of pictures."""
    held: int = trial["epochs"]
    trained: dict[str, int] = trial["files"]
    pictures = {name: size for name, size in trained.items() if Path(name).match(CROP_EPOCHS)}
    curves = sum(size for name, size in trained.items() if name == METRICS_CSV or Path(name).match(EVENTS))
    kept, milestones = (sum(map(is_milestone, range(1, int(count) + 1))) for count in (held, epochs))
    further = max(0.0, epochs - held) * curves / held + (milestones - kept) * sum(pictures.values()) / max(1, kept)
    return round(further) + sum(int(size) for name, size in trial["all"].items() if name != STOPWATCH)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _time(seconds: float) -> str:
    """``3 h 20 min``, ``4 min 10 s``, ``12.5 s``."""
    if seconds < 100:
        return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
    minutes = round(seconds / 60)
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes >= 100 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    )
