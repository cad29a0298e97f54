"""``python -m zoomsr.evaluate``: nets on benchmark folders, table, JSON and CSV. Configured by conf/evaluate.yaml."""

from __future__ import annotations

import sys

from omegaconf import DictConfig

from zoomsr.cli.config import start
from zoomsr.cli.errors import one_line_errors
from zoomsr.cli.overrides import with_own_nets
from zoomsr.runs.directories import locks_end


def evaluate(config: DictConfig) -> None:
    """One evaluation.

    Raises:
        ValueError: see ``zoomsr.evaluation.request.Request`` and ``zoomsr.evaluation.recipe.run``.
    """
    from zoomsr.evaluation.request import Request  # NumPy and Pillow; --help needs neither

    request = Request.of(config)
    from zoomsr.evaluation.recipe import run  # torch, which is slow: what needs none is answered before

    run(config, request)


def main() -> None:
    """The command."""
    with one_line_errors(), locks_end():
        sys.argv[1:] = with_own_nets(sys.argv[1:])
        start(evaluate, config_name="evaluate")


if __name__ == "__main__":
    main()
