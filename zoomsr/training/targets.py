"""The pair that a training step learns from: lr and hr of the batch, or for a while a teacher's estimate of them."""

from __future__ import annotations

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor

from zoomsr.data.datamodule import Batch
from zoomsr.imaging.degradations import Degradation
from zoomsr.models import Net
from zoomsr.pretrained.names import weights_file
from zoomsr.pretrained.weights import Weights


class Pair(NamedTuple):
    """lr (N, C, H, W), which the net is given, and hr (N, C, scale H, scale W), with which the loss compares sr."""

    lr: Tensor
    hr: Tensor


class Target(Protocol):
    """The contract of a target: a pure function of the batch and the progress, so that a resume is exact."""

    def __call__(self, batch: Batch, progress: float) -> Pair:
        """The pair to learn from; ``progress`` is the share of the training that is done, on [0, 1]."""
        ...


def ground_truth(batch: Batch, progress: float) -> Pair:
    """The batch's own lr and hr throughout."""
    return Pair(batch["lr"], batch["hr"])


class ECO:
    """Empirical centroid-oriented optimization: pairs made by a trained net first, then mixtures, then the real ones.

    Lee & Heo, "Noise-free Optimization in Early Training Steps for Image Super-Resolution", AAAI 2024,
    arXiv:2312.17526. Of all hr images that fit an lr image the teacher's sr estimates the mean, which is all that a net
    can learn; what hr has beyond it is noise to the first steps. With a weight w that grows from 0 to 1::

        hr = (1 - w) sr + w hr        lr = (1 - w) degraded(sr) + w lr        sr = teacher(lr), clipped to [0, 1]

    Differences from the paper:
        The authors make sr and degraded(sr) of whole images beforehand, in 8 bits; here they are made of each patch, in
        float. Their weight is an S-curve that leaves 0 at a quarter of the training (0.26) and reaches 1 at three
        quarters (0.74); here it is the straight line between, which they report to be no different.

    Args:
        teacher: a pretrained net, a run's directory or a file of weights.
        degradation: makes lr from hr; without randomness.
        start: progress until which the teacher's pairs are used alone.
        end: progress from which the real pairs are used alone, and the teacher costs nothing.

    Raises:
        ValueError: no such weights, of another scale than the degradation, or the range is not in order.
    """

    def __init__(self, *, teacher: str, degradation: Degradation, start: float = 0.26, end: float = 0.74) -> None:
        if not 0 <= start < end <= 1:
            raise ValueError(f"target.start={start} and target.end={end} must be in order, and on [0, 1]")
        if degradation.stochastic:
            raise ValueError(f"target=eco degrades the teacher's images, which {degradation} would do at random")
        file = weights_file(teacher)
        if file is None:
            raise ValueError(f"target.teacher={teacher} is not trained: name a pretrained net, a run or a file")
        net = Weights.read(file).build().requires_grad_(requires_grad=False)
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not type it
        self._teacher = cast(Net, net)
        if self._teacher.scale != degradation.scale:
            scales = f"enlarges by {self._teacher.scale}, but degradation shrinks by {degradation.scale}"
            raise ValueError(f"target.teacher={teacher} {scales}")
        self._name = teacher
        self._net = net  # no part of the LightningModule: neither trained, nor saved, nor averaged
        self._degradation = degradation
        self._start, self._end = start, end

    @torch.no_grad()
    def __call__(self, batch: Batch, progress: float) -> Pair:
        """See ``Target``. Raises ValueError where the teacher has other channels than the batch."""
        lr, hr = batch["lr"], batch["hr"]
        weight = (progress - self._start) / (self._end - self._start)
        if weight >= 1:
            return Pair(lr, hr)
        if hr.shape[1] != self._teacher.channels:
            channels = f"has {self._teacher.channels} channel(s), but the patches have {hr.shape[1]}"
            raise ValueError(f"target.teacher={self._name} {channels}")
        sr = self._net.to(lr.device)(lr).to(hr.dtype).clamp(0, 1)
        with torch.autocast(lr.device.type, enabled=False):  # bf16 pixels would be off by two grey levels
            degraded = self._degradation.down(sr)
        weight = max(0.0, weight)
        return Pair(degraded.lerp(lr, weight), sr.lerp(hr, weight))
