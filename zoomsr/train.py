"""``python -m zoomsr.train``: fit a net, test the best weights, leave a run. Configured by conf/train.yaml."""

from __future__ import annotations

from omegaconf import DictConfig

from zoomsr.config import start


def train(config: DictConfig) -> float | None:
    """One run; returns the monitored metric, for sweeps."""
    # Heavy imports wait until Hydra has read the command line, so that --help and a typing error answer at once.
    from zoomsr.training import run

    return run(config)


def main() -> None:
    """The command."""
    start(train, config_name="train")


if __name__ == "__main__":
    main()
