"""``python -m zoomsr.evaluate``: nets on benchmark folders, table, JSON and CSV. Configured by conf/evaluate.yaml."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from zoomsr.cli.config import start
from zoomsr.runs.directories import locks_end


def evaluate(config: DictConfig) -> None:
    """One evaluation.

    Raises:
        ValueError: no folder is given; see ``zoomsr.evaluation.recipe.run``.
    """
    if OmegaConf.is_missing(config, "data_dir"):
        advice = "and model=NAME for a pretrained net, or ckpt=FILE"
        raise ValueError(f"data_dir is not given: data_dir=FOLDER (HR/ with or without LRx2/, or images), {advice}")
    # As in train: heavy imports wait until Hydra has read the command line.
    from zoomsr.evaluation.recipe import run

    run(config)


def main() -> None:
    """The command."""
    with locks_end():
        start(evaluate, config_name="evaluate")


if __name__ == "__main__":
    main()
