"""Scores by image, collected over batches and ranks, each image once."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from zoomsr.metrics.protocol import MetricProtocol
from zoomsr.metrics.quality import ImageScore, measure, scoring_device


class ByImage(Metric):
    """Rows of metrics by image index, on the device or, where that has no float64, on the CPU.

    An image that two ranks have measured counts once, and a mean over images has the same bits for any batch size and
    any number of ranks.
    """

    full_state_update = False
    index: list[Tensor]
    values: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("index", default=[], dist_reduce_fx="cat")
        self.add_state("values", default=[], dist_reduce_fx="cat")

    def update(self, index: Tensor, rows: Tensor) -> None:
        """Args: index (N,), the images' numbers in their set; rows (N, k)."""
        device = scoring_device(rows.device)
        self.index.append(index.to(device))
        self.values.append(rows.to(device))

    def compute(self) -> tuple[Tensor, Tensor]:
        """Image numbers (n,) in rising order, each once, and their rows (n, k)."""
        ordered, places = dim_zero_cat(self.index).sort(stable=True)
        is_first = torch.ones_like(ordered, dtype=torch.bool)
        is_first[1:] = ordered[1:] != ordered[:-1]
        return ordered[is_first], dim_zero_cat(self.values)[places[is_first]]

    def rows(self) -> dict[int, list[float]]:
        """Image number to row, over all ranks, since the last call."""
        index, values = self.compute()
        self.reset()
        numbers = index.reshape(-1).tolist()  # torchmetrics squeezes what has one element
        if not numbers:
            return {}
        return dict(zip(numbers, values.reshape(len(numbers), -1).tolist(), strict=True))

    def state(self) -> dict[str, list[Tensor]]:
        """The rows of this rank since the last call of ``rows``, for a checkpoint."""
        return {"index": list(self.index), "values": list(self.values)}

    def resume(self, state: dict[str, list[Tensor]]) -> None:
        """Restore what ``state`` gave."""
        device = scoring_device(self.device)
        self.index = [part.to(device) for part in state["index"]]
        self.values = [part.to(device) for part in state["values"]]
        self._update_count = len(self.index)  # else torchmetrics warns of an empty metric


class ImageScores(ByImage):
    """``measure`` of each image, one at a time: sums over a stack would depend on its size in their last bits.

    Args:
        protocol: what is rounded.
        border: pixels to shave off every side: the scale.
    """

    def __init__(self, *, protocol: MetricProtocol, border: int) -> None:
        super().__init__()
        self.protocol = protocol
        self.border = border

    def update(self, sr: Tensor, hr: Tensor, index: Tensor) -> None:  # type: ignore[override]  # it makes the rows
        """Args: sr, hr (N, C, H, W) on [0, 1]; index (N,), the image's number in its set."""
        pairs = zip(sr, hr, strict=True)
        rows = [measure(one_sr, one_hr, protocol=self.protocol, border=self.border) for one_sr, one_hr in pairs]
        super().update(index, torch.stack(rows))

    def collect(self) -> dict[int, ImageScore]:
        """Image number to score, over all ranks, since the last call."""
        return {number: ImageScore(*row) for number, row in self.rows().items()}
