"""Nets on benchmark images under both protocols, in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from zoomsr.engines.tiling import TILE, upscale_tiled
from zoomsr.evaluation.benchmarks import Benchmark, BenchmarkImage
from zoomsr.evaluation.kept_scores import KeptScores
from zoomsr.hardware.devices import full_float32, is_out_of_memory
from zoomsr.imaging.degradations import Degradation, jpeg_quality
from zoomsr.imaging.pixels import LUMA_RANGE, luma, quantize, to_float
from zoomsr.metrics.protocol import CLASSIC, PROTOCOLS
from zoomsr.metrics.quality import ImageScore, measure
from zoomsr.models import Net, at_quality

_LARGEST_WHOLE = 2048**2  # pixels of the result: all of DIV2K's

Scores = dict[str, dict[str, dict[str, ImageScore]]]
"""Net -> protocol -> image -> score."""


@torch.inference_mode()
@full_float32()
def evaluate(
    nets: Mapping[str, nn.Module],
    benchmark: Benchmark,
    *,
    degradation: Degradation,
    device: torch.device,
    advance: Callable[[], object],
    kept: Mapping[str, KeptScores] | None = None,
) -> Scores:
    """Measure every net on every image of a benchmark, in float32.

    Args:
        nets: name to net, on ``device`` and in evaluation mode.
        benchmark: the images.
        degradation: makes lr where no file holds it; of the benchmark's scale.
        device: where the nets and the metrics run.
        advance: called after each image and net that is measured, for a progress bar.
        kept: name to the scores of a net that were measured before, and get the new ones; None for none.

    Returns:
        The scores, nets in the order given.

    Raises:
        ValueError: a damaged file, or a picture that cannot be measured.
    """
    scores: Scores = {name: {protocol.name: {} for protocol in PROTOCOLS} for name in nets}
    kept = kept or {}
    for number, (path, _) in enumerate(benchmark.files):
        digest = benchmark.digest_of(number) if kept else ""
        missing = {name: net for name, net in nets.items() if digest not in kept.get(name, ())}
        found = {name: kept[name][digest] for name in nets if name not in missing}
        images = [benchmark.read(number)] if missing else []
        for image, (name, net) in product(images, missing.items()):
            try:
                rows = _Measurement(net, image, degradation, seed=number, device=device).rows()
            except ValueError as error:  # the picture is too small
                raise ValueError(f"{path}: {error}") from None
            found[name] = {protocol: ImageScore(*row.tolist()) for protocol, row in rows.items()}
            if name in kept:
                kept[name].add(digest, found[name])
            advance()
        for name in nets:
            for protocol, score in found[name].items():
                scores[name][protocol][path.stem] = score
    return scores


class _Measurement:
    """One net on one image.

    Under ``modern`` the net is given the 8-bit lr. Under ``classic`` it is given the float lr: of Y, rounded to 8 bit
    before, where it works on luma; of RGB where it works on colour. A net that takes 8-bit lr only (``lr_8bit``) is
    given that under both. A grey file is its own Y under ``classic``.
    """

    def __init__(
        self, net: nn.Module, image: BenchmarkImage, degradation: Degradation, *, seed: int, device: torch.device
    ) -> None:
        quality = jpeg_quality(degradation, torch.Generator().manual_seed(seed))
        self._net = at_quality(net, quality)
        self._hr = image.hr.to(device)
        self._lr = None if image.lr is None else image.lr.to(device)
        self._grey = image.grey
        self._degradation = degradation
        self._seed = seed
        self._border = int(net.scale)  # type: ignore[arg-type]  # nn.Module types attributes as Tensor | Module

    def rows(self) -> dict[str, Tensor]:
        """Protocol to metrics, (9,)."""
        hr = to_float(self._hr)
        sr = self._upscaled(to_float(self._down(self._hr) if self._lr is None else self._lr))
        rows = {}
        for protocol in PROTOCOLS:
            if protocol.lr_8bit or bool(getattr(self._net, "lr_8bit", False)):
                y = self._grey_pair(sr, hr) if protocol.luma_8bit else None
                rows[protocol.name] = measure(sr, hr, protocol=protocol, border=self._border, y=y)
            else:
                rows[protocol.name] = self._classic(hr)
        return rows

    def _classic(self, hr: Tensor) -> Tensor:
        if self._net.channels == 3:
            sr = self._upscaled(self._down(hr))
            return measure(sr, hr, protocol=CLASSIC, border=self._border, y=self._grey_pair(sr, hr))
        hr_y = hr[:1] if self._grey else to_float(quantize(luma(hr)))
        sr_y = self._upscaled(self._down(hr_y))
        if self._grey:
            return measure(sr_y, hr_y, protocol=CLASSIC, border=self._border)
        colour = self._degradation.up(self._down(hr))
        sr = colour + (sr_y - luma(colour)) / LUMA_RANGE
        return measure(sr, hr, protocol=CLASSIC, border=self._border, y=(sr_y, hr_y))

    def _grey_pair(self, sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor] | None:
        return (sr.mean(0, keepdim=True), hr[:1]) if self._grey else None

    def _down(self, hr: Tensor) -> Tensor:
        if not self._degradation.stochastic:
            return self._degradation.down(hr)
        # On the CPU: from the same seed a GPU draws other numbers.
        return self._degradation.down(hr.cpu(), torch.Generator().manual_seed(self._seed)).to(hr.device)

    def _upscaled(self, lr: Tensor) -> Tensor:
        """(C, H, W) to (C, scale H, scale W): whole where it is small and memory suffices, else in exact tiles."""
        channels, height, width = lr.shape
        net = cast(Net, self._net)
        if height * width * net.scale**2 <= _LARGEST_WHOLE and (sr := self._whole(lr)) is not None:
            return sr
        larger = np.empty((height * net.scale, width * net.scale, channels), np.float32)
        upscale_tiled(net, lr.permute(1, 2, 0).cpu().numpy(), larger, device=lr.device, tile=TILE)
        return torch.from_numpy(larger).permute(2, 0, 1).to(lr.device)

    def _whole(self, lr: Tensor) -> Tensor | None:
        """None where memory does not suffice; the error ends here, because its traceback holds the run's tensors."""
        try:
            sr: Tensor = self._net(lr[None])[0]
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return sr
