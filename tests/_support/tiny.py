"""A tiny training, and photographs from which it can learn something."""

from __future__ import annotations

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from zoomsr.cli.config import CONF_DIR

TINY = [
    *("data=folder", "data.patch=32", "data.batch_size=4", "data.patches_per_image=4"),
    *("trainer=cpu", "trainer.max_epochs=2", "trainer.log_every_n_steps=1", "callbacks.pictures.side=32"),
]


TINY_NET = ["model=srcnn", "model.widths=[8,4]"]


def photograph(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8 with smooth shading, edges and a little noise: something that a net can learn from."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 16
    waves = [np.sin(x * rng.uniform(0.5, 3) + y * rng.uniform(0.5, 3) + rng.uniform(0, 6)) for _ in range(3)]
    picture = np.stack(waves, -1) * 60 + 128 + 40 * ((x + y) % 2 > 1)[..., None]
    return (picture + rng.normal(0, 4, picture.shape)).clip(0, 255).round().astype(np.uint8)


def composed(*overrides: str) -> DictConfig:
    """conf/train.yaml with overrides, as the command composes it."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        config = compose("train", overrides=list(overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(config)
    return config


class Training:
    """As much of a trainer as the data module asks."""

    training, global_rank, world_size, overfit_batches = True, 0, 1, 0.0

    class strategy:  # noqa: N801
        root_device = torch.device("cpu")
