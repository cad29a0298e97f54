"""Nets on benchmark pictures under both protocols, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor, nn

from zoomsr.evaluation.benchmarks import Benchmark, BenchmarkImage
from zoomsr.hardware.devices import full_float32
from zoomsr.imaging.degradations import Degradation
from zoomsr.imaging.pixels import LUMA_RANGE, luma, quantize, to_float
from zoomsr.metrics.protocol import CLASSIC, PROTOCOLS, MetricProtocol
from zoomsr.metrics.quality import ImageScore, measure

Scores = dict[str, dict[str, dict[str, ImageScore]]]
"""Net -> protocol -> picture -> score."""


@torch.inference_mode()
@full_float32()
def evaluate(
    nets: Mapping[str, nn.Module],
    benchmark: Benchmark,
    *,
    degradation: Degradation,
    device: torch.device,
    advance: Callable[[], object],
) -> Scores:
    """Measure every net on every picture of a benchmark, in float32.

    Args:
        nets: name to net, on ``device`` and in evaluation mode.
        benchmark: the pictures.
        degradation: makes lr where no file holds it; of the benchmark's scale.
        device: where the nets and the metrics run.
        advance: called after each picture and net, for a progress bar.

    Returns:
        The scores, nets in the order given.
    """
    scores: Scores = {name: {protocol.name: {} for protocol in PROTOCOLS} for name in nets}
    for number in range(len(benchmark.files)):
        picture = benchmark.read(number)
        for name, net in nets.items():
            trial = _Trial(net, picture, degradation, seed=number, device=device)
            for protocol in PROTOCOLS:
                row = trial.modern(protocol) if _takes_8bit(net, protocol) else trial.classic()
                scores[name][protocol.name][picture.name] = ImageScore(*row.tolist())
            advance()
    return scores


def _takes_8bit(net: nn.Module, protocol: MetricProtocol) -> bool:
    return protocol.lr_8bit or bool(getattr(net, "lr_8bit", False))


class _Trial:
    """One net on one picture."""

    def __init__(
        self, net: nn.Module, picture: BenchmarkImage, degradation: Degradation, *, seed: int, device: torch.device
    ) -> None:
        self._net = net
        self._hr = picture.hr.to(device)
        self._lr = None if picture.lr is None else picture.lr.to(device)
        self._grey = picture.grey
        self._degradation = degradation
        self._seed = seed
        self._border = int(net.scale)  # type: ignore[arg-type]  # nn.Module types attributes as Tensor | Module

    def modern(self, protocol: MetricProtocol) -> Tensor:
        """From the 8-bit lr; under ``classic`` a grey file is measured as its own Y."""
        hr = to_float(self._hr)
        y = self._grey_pair(self._from_8bit, hr) if protocol.luma_8bit else None
        return measure(self._from_8bit, hr, protocol=protocol, border=self._border, y=y)

    def classic(self) -> Tensor:
        """From the float lr: of Y, rounded to 8 bit before, for a net on luma; of RGB for a net on colour."""
        hr = to_float(self._hr)
        if self._net.channels == 3:
            sr = self._enlarged(self._down(hr))
            return measure(sr, hr, protocol=CLASSIC, border=self._border, y=self._grey_pair(sr, hr))
        hr_y = hr[:1] if self._grey else to_float(quantize(luma(hr)))
        sr_y = self._enlarged(self._down(hr_y))
        if self._grey:
            return measure(sr_y, hr_y, protocol=CLASSIC, border=self._border)
        enlarged = self._degradation.up(self._down(hr))
        sr = enlarged + (sr_y - luma(enlarged)) / LUMA_RANGE
        return measure(sr, hr, protocol=CLASSIC, border=self._border, y=(sr_y, hr_y))

    @cached_property
    def _from_8bit(self) -> Tensor:
        return self._enlarged(to_float(self._down(self._hr) if self._lr is None else self._lr))

    def _grey_pair(self, sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor] | None:
        return (sr.mean(0, keepdim=True), hr[:1]) if self._grey else None

    def _down(self, hr: Tensor) -> Tensor:
        if not self._degradation.stochastic:
            return self._degradation.down(hr)
        # On the host: from the same seed a GPU draws other numbers.
        return self._degradation.down(hr.cpu(), torch.Generator().manual_seed(self._seed)).to(hr.device)

    def _enlarged(self, lr: Tensor) -> Tensor:
        sr: Tensor = self._net(lr[None])[0]
        return sr
