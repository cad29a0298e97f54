"""``data.batch_size=auto``: the largest power of two that fits into a GPU's memory, found by trial."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import torch

from zoomsr.cli.console import decimal, say
from zoomsr.data.patches import per_stage
from zoomsr.hardware.devices import MemoryFullError, training_device
from zoomsr.runs.job import AUTO, with_batch
from zoomsr.training.short import ranks, short_training

_BATCHES = 3  # of a trial: the optimizer has its state after the first


def with_fitting_batch(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, with a number for ``data.batch_size=auto``.

    A batch fits where some steps with it, on the largest patch of all stages, validations and tests, the largest
    image among them, end without a lack of memory. With ``compile`` sizes are tried without it, then the last with it.

    Args:
        settings: of a training, as plain data; their ``run_dir`` is there.

    Raises:
        ValueError: the training runs on a CPU or on several devices, or a batch of one does not fit.
    """
    if settings["data"]["batch_size"] != AUTO:
        return dict(settings)
    device = training_device(settings["trainer"]["accelerator"])
    if device.type != "cuda":
        raise ValueError(
            "data.batch_size=auto fits the batch into the memory of an NVIDIA GPU, and this training runs on "
            f"{'the CPU' if device.type == 'cpu' else device.type}: give a number, data.batch_size=8"
        )
    if ranks(settings) > 1:
        raise ValueError(
            f"data.batch_size=auto measures one device, and this training has {ranks(settings)}: find the number with "
            "trainer.devices=1 plan=true, and give it"
        )
    plain = {**settings, "compile": False}
    patches: int = _trial(with_batch(plain, 1))["patches"]
    size = largest_that_fits(lambda size: _fits(with_batch(plain, size)), limit=patches)
    while settings["compile"] and size > 1 and not _fits(with_batch(settings, size)):
        size //= 2
    memory = decimal(torch.cuda.get_device_properties(device).total_memory)
    more = f"{2 * size} does not" if 2 * size <= patches else f"an epoch has {patches:,} patches"
    say({"batch": f"data.batch_size={size}, the largest power of two that fits into {memory}: {more}"})
    return with_batch(settings, size)


def largest_that_fits(fits: Callable[[int], bool], *, limit: int) -> int:
    """The largest power of two up to ``limit`` before the first that does not fit; 1 is known to."""
    sizes = itertools.takewhile(lambda size: size <= limit, (2**power for power in itertools.count(1)))
    return max(itertools.takewhile(fits, sizes), default=1)


def _fits(settings: Mapping[str, Any]) -> bool:
    try:
        _trial(settings)
    except MemoryFullError:
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()
    return True


def _trial(settings: Mapping[str, Any]) -> dict[str, Any]:
    data = settings["data"]
    size, patch = data["batch_size"], max(per_stage(data["patch"]))
    return short_training(settings, patch=patch, batch_size=size, batches=_BATCHES, whole=_BATCHES, epochs=1)
