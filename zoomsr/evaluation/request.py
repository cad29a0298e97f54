"""What an evaluation is asked to measure: folders and files of weights, looked for before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.pretrained.names import existing_weights, require_spandrel

SPANDREL = "spandrel"
"""The option of ``model`` for nets of other projects."""


@dataclass(frozen=True)
class Request:
    """The folders, and the nets beside bicubic.

    Attributes:
        folders: by name, those of the same name with their parent's.
        pretrained: the file of the pretrained net that ``model`` names, or None.
        files: of ``ckpt``, each with the name that was given.
    """

    folders: dict[str, Path]
    pretrained: Path | None
    files: tuple[tuple[str, Path], ...]

    @staticmethod
    def of(config: DictConfig) -> Request:
        """From the command's settings.

        Raises:
            ValueError: no folder is given, one is not there or holds no images, or there are no such weights.
        """
        if OmegaConf.is_missing(config, "data_dir"):
            advice = "and model=NAME for a pretrained net, or ckpt=FILE"
            raise ValueError(f"data_dir is not given: data_dir=FOLDER (HR/ with or without LRx2/, or images), {advice}")
        if not isinstance(config.scale, int) or config.scale < 1:
            raise ValueError(f"scale={config.scale} must be a whole number from 1")
        folders = _folders(config)
        for folder in folders.values():
            Benchmark.find(folder, scale=config.scale, published_lr=False)
        given = as_list(config.ckpt)
        if choice("model") == SPANDREL:
            require_spandrel()
            if not given:
                raise ValueError("model=spandrel names no net by itself: add ckpt=FILE.pth")
        paths = ((one, existing_weights(one, config.scale)) for one in given)
        files = tuple((one, path) for one, path in paths if path is not None)  # bicubic is there already
        return Request(folders, None if given else _pretrained(config.scale), files)


def choice(group: str) -> str | None:
    """The file that was chosen of a group of conf/."""
    chosen: str | None = HydraConfig.get().runtime.choices.get(group)
    return chosen


def as_list(value: Any) -> list[str]:
    """One or several: FILE, [FILE,FILE], or nothing."""
    if value is None:
        return []
    return [str(item) for item in value] if OmegaConf.is_list(value) else [str(value)]


def _folders(config: DictConfig) -> dict[str, Path]:
    paths = [Path(folder) for folder in as_list(config.data_dir)]
    labels = [path.name for path in paths]
    if len(set(labels)) < len(labels):
        labels = ["/".join(path.resolve().parts[-2:]) for path in paths]
    if len(set(labels)) < len(labels):
        raise ValueError(f"data_dir holds folders that cannot be told apart: {', '.join(labels)}")
    return dict(zip(labels, paths, strict=True))


def _pretrained(scale: int) -> Path | None:
    name = choice("model")
    if name in (None, "bicubic"):
        return None
    changed = [one for one in HydraConfig.get().overrides.task if one.lstrip("+~").startswith("model.")]
    if changed:
        raise ValueError(f"{changed[0]} makes another net than the pretrained {name}: add ckpt=FILE")
    return existing_weights(str(name), scale)
