"""The pair that a training step learns from: lr and hr of the batch, or for a while a teacher's estimate of them."""

from __future__ import annotations

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor

from zoomsr.data.datamodule import Batch
from zoomsr.imaging.degradations import Degradation
from zoomsr.models import Net, told
from zoomsr.models.self_ensemble import turn, turn_back
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


class _Teacher:
    """A trained net to learn from. It is no part of the LightningModule: neither trained, nor saved, nor averaged.

    Args:
        name: a pretrained net, of the scale where there is one, a run's directory or a file of weights.
        scale: that of the net which learns.

    Raises:
        ValueError: no such weights, or of another scale.
    """

    def __init__(self, name: str, *, scale: int) -> None:
        file = weights_file(name, scale)
        if file is None:
            raise ValueError(f"target.teacher={name} is not trained: name a pretrained net, a run or a file")
        net = Weights.read(file).build().requires_grad_(requires_grad=False)
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch does not type it
        known = cast(Net, net)
        if known.scale != scale:
            raise ValueError(f"target.teacher={name} enlarges by {known.scale}, but degradation shrinks by {scale}")
        self._name, self._net, self._channels = name, net, known.channels

    @torch.no_grad()
    def __call__(self, lr: Tensor, quality: Tensor | None) -> Tensor:
        """(N, C, H, W) to (N, C, scale H, scale W), clipped to [0, 1]. Raises ValueError for other channels.

        ``quality`` is the batch's, for teachers that take it.
        """
        if lr.shape[1] != self._channels:
            channels = f"has {self._channels} channel(s), but the patches have {lr.shape[1]}"
            raise ValueError(f"target.teacher={self._name} {channels}")
        sr: Tensor = self._net.to(lr.device)(lr, *told(self._net, quality, lr=lr))
        return sr.to(lr.dtype).clamp(0, 1)


class Distillation:
    """The ground truth mixed with a trained net's self-ensemble, throughout.

    Radosavovic et al., "Data Distillation: Towards Omni-Supervised Learning", CVPR 2018, arXiv:1712.04440: a net learns
    from the mean of what a trained one, here often its own earlier self, makes of transformed inputs::

        hr = (1 - weight) sr + weight hr        sr = teacher(lr), clipped to [0, 1]

    Differences from the paper:
        The ground truth is known, and mixed in. The transforms are the eight flips and rotations of
        ``zoomsr.models.self_ensemble``, and the teacher upscales each patch in one of them, the next patch in the next:
        the gradient of a squared error is on average that of the mean over all, for an eighth of the time. Patches are
        square, and of fewer than eight in a batch none is turned in the last ways.

    Args:
        teacher: a pretrained net, a run's directory or a file of weights.
        scale: that of the net which learns.
        weight: of the ground truth, on [0, 1].

    Raises:
        ValueError: no such weights, of another scale, or a weight that is none.
    """

    def __init__(self, *, teacher: str, scale: int, weight: float = 0.25) -> None:
        if not 0 <= weight <= 1:
            raise ValueError(f"target.weight={weight} must be on [0, 1]")
        self._teacher = _Teacher(teacher, scale=scale)
        self._weight = weight

    def __call__(self, batch: Batch, progress: float) -> Pair:
        """See ``Target``. Raises ValueError where the teacher has other channels than the batch."""
        lr, hr = batch["lr"], batch["hr"]
        turned = torch.stack([turn(patch, index % 8) for index, patch in enumerate(lr)])
        sr = self._teacher(turned.contiguous(memory_format=torch.channels_last), batch.get("quality"))
        sr = torch.stack([turn_back(patch, index % 8) for index, patch in enumerate(sr)])
        return Pair(lr, sr.lerp(hr, self._weight))


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
        self._teacher = _Teacher(teacher, scale=degradation.scale)
        self._degradation = degradation
        self._start, self._end = start, end

    @torch.no_grad()
    def __call__(self, batch: Batch, progress: float) -> Pair:
        """See ``Target``. Raises ValueError where the teacher has other channels than the batch."""
        lr, hr = batch["lr"], batch["hr"]
        weight = (progress - self._start) / (self._end - self._start)
        if weight >= 1:
            return Pair(lr, hr)
        sr = self._teacher(lr, batch.get("quality"))
        with torch.autocast(lr.device.type, enabled=False):  # bf16 pixels would be off by two grey levels
            degraded = self._degradation.down(sr)
        weight = max(0.0, weight)
        return Pair(degraded.lerp(lr, weight), sr.lerp(hr, weight))
