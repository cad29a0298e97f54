"""Contract tests: every yaml in conf/ composes and instantiates, without being named here."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from _support import tiny
from hydra.core.hydra_config import HydraConfig
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import LRScheduler

from zoomsr.cli.composition import trace
from zoomsr.cli.config import CONF_DIR, instantiate, plain
from zoomsr.cli.trace import Trace
from zoomsr.cli.yaml_lines import read_yaml_lines
from zoomsr.training.callbacks.results import Results

FILES = sorted(path.relative_to(CONF_DIR).with_suffix("") for path in CONF_DIR.glob("*/*.yaml"))


def composed(*overrides: str, run_dir: str = "runs/test") -> DictConfig:
    return tiny.composed(f"run_dir={run_dir}", *overrides)


@pytest.fixture
def div2k(tmp_path: Path) -> Path:
    """DIV2K's layout: 900 empty files, which is all that composing a source looks at."""
    for part, numbers in (("train", range(1, 801)), ("valid", range(801, 901))):
        folder = tmp_path / f"DIV2K_{part}_HR"
        folder.mkdir()
        for number in numbers:
            (folder / f"{number:04d}.png").touch()
    return tmp_path


def _targets(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["_target_"]] if "_target_" in node else []
        return own + [target for child in node.values() for target in _targets(child)]
    return []


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_file_composes_and_its_classes_exist(file: Path) -> None:
    config = composed(f"{file.parent}={file.name}")
    resolved = plain(OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]))
    for target in _targets(resolved):
        instantiate(OmegaConf.create({"_target_": "hydra.utils.get_object", "path": target}))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_file_is_short_and_says_what_it_is_for(file: Path) -> None:
    path = (CONF_DIR / file).with_suffix(".yaml")
    assert len(path.read_text().splitlines()) <= 30
    assert read_yaml_lines(path).header


# Of each group; experiments are walked in tests/cli/test_explain.py.
CHOICES = {
    group: [file.name for file in FILES if file.parts[0] == group]
    for group in sorted({file.parts[0] for file in FILES} - {"experiment"})
}


def _lacking(found: Trace) -> list[str]:
    """The lines of conf/ that set a key without a description."""
    lines = [setting for setting in found.settings if setting.file and setting.file.is_relative_to(CONF_DIR)]
    assert len(lines) > 10
    return [f"{one.file}:{one.line}: {one.written}" for one in lines if not found.description(one.key)]


@pytest.mark.parametrize("number", range(max(map(len, CHOICES.values()))))
def test_every_key_has_a_comment_that_says_what_it_means(number: int) -> None:
    chosen = {group: names[number % len(names)] for group, names in CHOICES.items()}
    found = trace("train", [f"{group}={name}" for group, name in chosen.items()], conf_dir=CONF_DIR)
    assert {group: found.groups[group].option for group in chosen} == chosen
    assert _lacking(found) == []
    assert [group for group in found.groups if "/" not in group and not found.description((group,))] == []


def test_every_key_of_evaluate_has_a_comment_that_says_what_it_means() -> None:
    assert _lacking(trace("evaluate", [], conf_dir=CONF_DIR)) == []


def _is_degradation(degradation: Any) -> bool:
    hr = torch.rand(1, 3, 12, 12)
    lr = degradation.down(hr, torch.Generator().manual_seed(1))
    return bool(lr.shape[-1] * degradation.scale == 12 and degradation.up(lr).shape == hr.shape)


def _is_loss(loss: Any) -> bool:
    """A scalar, larger for a larger error."""
    hr = torch.rand(1, 3, 8, 8)
    none, small, large = (loss(hr + error * torch.rand(1, 3, 8, 8), hr) for error in (0, 0.1, 1))
    return bool(none < small < large and large.ndim == 0)


def _is_optimizer(partial: Any) -> bool:
    return isinstance(partial([nn.Parameter(torch.zeros(1))]), Optimizer)


def _is_schedule(partial: Any) -> bool:
    return isinstance(partial(SGD([nn.Parameter(torch.zeros(1))], 0.1), 10), LRScheduler)


def _is_target(target: Any) -> bool:
    """At the end of the training the batch's own lr; hr, or the mean by weight of hr and an image on [0, 1]."""
    hr = torch.rand(1, 3, 16, 16)
    batch = {"lr": torch.rand(1, 3, 8, 8), "hr": hr}
    (lr, wanted), (_, rest) = target(batch, 1.0), target({**batch, "hr": torch.zeros_like(hr)}, 1.0)
    weight = float((wanted - rest).sum() / hr.sum())
    is_mean = torch.allclose(wanted - rest, weight * hr, atol=1e-6)
    return lr is batch["lr"] and is_mean and weight > 0 and 0 <= rest.min() <= rest.max() <= 1 - weight + 1e-6


WANTED: dict[str, Callable[[Any], bool]] = {
    "degradation": _is_degradation,
    "loss": _is_loss,
    "optimizer": _is_optimizer,
    "scheduler": _is_schedule,
    "target": _is_target,
    "callbacks": lambda callback: isinstance(callback, Callback) or callback.func is Results,
    "logger": lambda logger: isinstance(logger, Logger),
    "trainer": lambda partial: partial.func is Trainer,
}


@pytest.mark.parametrize("group", WANTED)
def test_every_choice_instantiates(group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOOMSR_RUNS", str(tmp_path))  # where MLflow makes its database
    for file in (CONF_DIR / group).glob("*.yaml"):
        if file.stem in ("mlflow", "trackio", "wandb") and importlib.util.find_spec(file.stem) is None:
            continue  # an extra; tests/training/test_loggers.py
        node = composed(f"{group}={file.stem}", run_dir=str(tmp_path))[group]
        for part in [node] if "_target_" in node else node.values():
            assert WANTED[group](instantiate(part)), file


def test_div2k_has_800_to_train_on_and_100_held_out(div2k: Path) -> None:
    config = composed("data=div2k", f"data.root={div2k}")
    source = instantiate(config.data.module.source)
    assert (len(source.train), len(source.val)) == (800, 100)
    assert (source.train[0].name, source.train[-1].name, source.val[-1].name) == ("0001", "0800", "0900")
    assert config.data.module.patch == 512


def test_div2k_says_what_is_missing(div2k: Path) -> None:
    (div2k / "DIV2K_valid_HR" / "0807.png").unlink()
    with pytest.raises(ValueError, match=r"lacks 1 of 100 photographs, the first 0807\.png"):
        instantiate(composed("data=div2k", f"data.root={div2k}").data.module.source)


def test_default_data_set_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOOMSR_DATA", "div2k")
    assert HydraConfig.instance() is not None
    composed()
    assert HydraConfig.get().runtime.choices["data"] == "div2k"


def test_an_experiment_wins_over_the_defaults() -> None:
    config = composed("experiment=seed")
    assert config.model.width == 64
    assert config.optimizer.lr == 1e-4
    assert HydraConfig.get().runtime.choices["degradation"] == "box"


def test_scale_lives_in_one_place() -> None:
    config = composed("scale=3")
    assert (config.model.scale, config.degradation.scale) == (3, 3)
