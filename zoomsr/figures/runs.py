"""Runs of equal stages, which a drawing shows as one block."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from zoomsr.figures.data import Stage
from zoomsr.figures.style import SMALL, inches, wrapped


@dataclass(frozen=True)
class Run:
    """Stages that follow each other with the same shape and the same name, apart from the number at its end.

    Attributes:
        stage: the first.
        count: how many.
        skip_from: index of the run that a skip connection comes from, or None.
    """

    stage: Stage
    count: int
    skip_from: int | None

    def name_in(self, width: float) -> list[str]:
        """Its name in lines of at most ``width`` inches, broken at dots and underscores first."""
        name = self.stage.name if self.count == 1 else f"{_stem(self.stage)} x{self.count}"
        if inches(name, SMALL) <= width:
            return [name]
        return wrapped(re.sub(r"([._])", r"\1 ", name), width, SMALL).split("\n")

    def facts(self) -> list[str]:
        """Channels and size."""
        return [f"{self.stage.channels} ch", f"{self.stage.width}x{self.stage.height}"]


def merged(stages: Sequence[Stage]) -> list[Run]:
    """The stages in runs; one that a skip connection leaves or reaches stays alone.

    Raises:
        ValueError: no stages, or a skip connection from no earlier stage.
    """
    if not stages:
        raise ValueError("an architecture needs at least one stage")
    skipped = {stage.skip_from for stage in stages}
    runs: list[Run] = []
    place: list[int] = []  # of each stage's run
    for number, stage in enumerate(stages):
        if stage.skip_from is not None and not 0 <= stage.skip_from < number:
            raise ValueError(f"stage {stage.name} skips from {stage.skip_from}, which is no earlier stage")
        alone = number in skipped or stage.skip_from is not None or number - 1 in skipped
        if runs and not alone and runs[-1].skip_from is None and _key(runs[-1].stage) == _key(stage):
            runs[-1] = Run(runs[-1].stage, runs[-1].count + 1, None)
        else:
            runs.append(Run(stage, 1, None if stage.skip_from is None else place[stage.skip_from]))
        place.append(len(runs) - 1)
    return runs


def _stem(stage: Stage) -> str:
    return re.sub(r"\.?\d+$", "", stage.name) or stage.name


def _key(stage: Stage) -> tuple[str, int, int, int]:
    return _stem(stage), stage.channels, stage.height, stage.width
