"""A run as data, read from its directory without torch."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

import zoomsr
from zoomsr.runs.files import read_rows
from zoomsr.runs.layout import HYDRA, HYDRA_OVERRIDES, METRICS_CSV, METRICS_JSON
from zoomsr.runs.provenance import commit

UNRANKED = "unranked"
"""In ``metrics.json`` of a debug run: why its scores are not compared with others."""

_PACKAGES = ("torch", "lightning", "torchmetrics", "hydra-core", "kornia", "numpy", "pillow")


@dataclass(frozen=True)
class Run:
    """A run's directory.

    Attributes:
        path: the directory.
        overrides: of its command line: ``model=vdsr``.
        epochs: the rows of ``metrics.csv``, one for each epoch, and one for each validation within an epoch, with the
            epoch's number and a ``step`` of its own; empty cells are left out.
        results: ``metrics.json``, or None while the run is unfinished.
    """

    path: Path
    overrides: list[str]
    epochs: list[dict[str, float]]
    results: dict[str, Any] | None

    @staticmethod
    def read(path: Path) -> Run:
        """Read a run, finished or not.

        Raises:
            ValueError: not a run's directory, or a file in it is damaged.
        """
        if not (path / HYDRA).is_dir():
            raise ValueError(f"{path} is not a run: it has no {HYDRA} folder (python -m zoomsr.train makes runs)")
        results = path / METRICS_JSON
        try:
            return Run(
                path=path,
                overrides=yaml.safe_load((path / HYDRA_OVERRIDES).read_text(encoding="utf-8")) or [],
                epochs=read_rows(path / METRICS_CSV),
                results=json.loads(results.read_text(encoding="utf-8")) if results.is_file() else None,
            )
        except (OSError, yaml.YAMLError, json.JSONDecodeError) as error:
            raise ValueError(f"{path} is a damaged run: {error}") from error

    def means(self) -> dict[str, dict[str, float]]:
        """Net to its mean metrics on the validation images, bicubic first; empty where there is nothing to rank."""
        if self.results is None or UNRANKED in self.results:
            return {}
        (sets,) = self.results["sets"].values()
        (protocol,) = self.results["protocols"]
        return {net: scores[protocol]["mean"] for net, scores in sets.items()}


def labels(overrides: Sequence[Sequence[str]], *, without: Sequence[str] = ()) -> list[str]:
    """Names of runs: the overrides that not all of them share, ``vdsr`` or ``vdsr loss=mse``.

    Args:
        overrides: of each run; a run without known overrides has an empty label, and is not compared.
        without: keys that are ignored: ``seed``.
    """
    known = [set(run) for run in overrides if run]
    shared = set.intersection(*known) if known else set()
    told = [[text for text in run if text not in shared and text.split("=")[0] not in without] for run in overrides]
    ordered = [sorted(run, key=lambda text: not text.startswith("model=")) for run in told]  # the net first
    return [" ".join(text.removeprefix("model=") for text in run) for run in ordered]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on; of a git checkout of zoomsr its commit."""
    own = {"python": platform.python_version(), "zoomsr": zoomsr.__version__}  # which need not be installed
    found = commit()
    return own | ({} if found is None else {"commit": found}) | {name: version(name) for name in _PACKAGES}
