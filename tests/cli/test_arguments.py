"""A value of the wrong type is one line that names key and value; a module that is missing is named with its extra."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from _support.tiny import composed
from omegaconf import OmegaConf

from zoomsr.cli.config import instantiate

OURS = "test_arguments.Taking"


class Taking:
    """Annotated in every way that a setting can be."""

    def __init__(
        self,
        number: float = 0.0,
        whole: int = 0,
        flag: bool = False,
        maybe: int | None = None,
        sloppy: float = None,  # type: ignore[assignment]  # noqa: RUF013  # as others write it
        mixed: int | str = 0,
        tensor: float | torch.Tensor = 0.0,
        several: Sequence[int] = (),
        names: Sequence[str] = (),
        some: int | Sequence[int] = 0,
        pair: tuple[float, float] = (0, 0),
        anything: Any = None,
        unsaid=None,  # type: ignore[no-untyped-def]
    ) -> None:
        self.given = number, whole, flag, maybe, sloppy, mixed, tensor, several, names, some, pair, anything, unsaid


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("number", "abc", "a number"),
        ("number", None, "a number"),
        ("number", [1.5], "a number"),
        ("whole", [3], "a whole number"),
        ("mixed", [3], "a whole number"),
        ("whole", "12a", "a whole number"),
        ("whole", 2.5, "a whole number"),
        ("whole", None, "a whole number"),
        ("flag", "maybe", "true or false"),
        ("maybe", "abc", "a whole number"),
        ("sloppy", "abc", "a number"),
        ("tensor", "abc", "a number"),
        *(("several", value, "a list") for value in ("abc", 8, 0.9, True, None)),
        *(("names", value, "a list") for value in (8, None)),
        ("several", [8, "abc"], "a whole number"),
        *(("some", value, "a whole number") for value in ("abc", [8, "abc"], [8, 1.5], None)),
        ("pair", [0.9, None], "a number"),
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_a_wrong_type_is_one_line_with_key_and_value(key: str, value: object, wanted: str, partial: bool) -> None:
    config = OmegaConf.create({"part": {"inner": {"_target_": OURS, "_partial_": partial, key: value}}})
    said = "null" if value is None else str(value)
    for node in (config.part, config.part.inner):
        with pytest.raises(ValueError, match=rf"^part\.inner\.{key}={re.escape(said)} must be {wanted}$"):
            instantiate(node)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("number", value) for value in (1, 0.5, True)),
        *(("whole", value) for value in (3, True)),
        *(("maybe", value) for value in (3, None)),
        *(("sloppy", value) for value in (None, 1)),
        *(("mixed", value) for value in ("auto", 2)),
        *(("anything", value) for value in ("abc", None, 1.5, [8])),
        *(("unsaid", value) for value in ("abc", None, 1.5)),
        ("several", [8, 4]),
        *(("names", value) for value in (["a", "b"], "ab")),
        *(("some", value) for value in (3, [8, 4])),
        ("pair", [0.9, 1]),
    ],
)
def test_a_right_type_is_taken(key: str, value: object) -> None:
    taken = instantiate(OmegaConf.create({"_target_": OURS, key: value}))
    assert value in taken.given


def test_a_list_or_a_number_may_be_made_by_a_target() -> None:
    parts = {"several": {"_target_": "builtins.list"}, "whole": {"_target_": "builtins.int"}}
    assert instantiate(OmegaConf.create({"_target_": OURS, **parts})).given[1] == 0


def test_the_learning_rate_is_named() -> None:
    for text, wanted in (("optimizer.lr=abc", "a number"), ("trainer.max_epochs=abc", "a whole number")):
        config = composed(text)
        with pytest.raises(ValueError, match=rf"^{re.escape(text)} must be {wanted}$"):
            instantiate(config[text.split(".")[0]])


@pytest.mark.parametrize(
    ("target", "advice"),
    [
        ("optuna.samplers.TPESampler", r"optuna is not installed: pip install zoomsr\[search\]"),
        ("litdata.StreamingDataset", r"litdata is not installed: pip install zoomsr\[streaming\]"),
        ("submitit.AutoExecutor", r"submitit is not installed: pip install zoomsr\[slurm\]"),
        ("onnxruntime.InferenceSession", r"onnxruntime is not installed: pip install zoomsr\[export\]"),
        ("nonets.Tiny", "nonets is not installed: install it, or name its folder in PYTHONPATH"),
        ("zoomsr.models.srcnn.Nope", "module 'zoomsr.models.srcnn' has no attribute 'Nope'"),
    ],
)
def test_a_target_that_is_not_there_says_why(target: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not target.startswith("zoomsr") and importlib.util.find_spec(target.split(".")[0]) is not None:
        monkeypatch.setitem(sys.modules, target.split(".")[0], None)
    with pytest.raises(ValueError, match=rf"^Error locating target '{target}': {advice}") as error:
        instantiate(OmegaConf.create({"_target_": target}))
    assert "HYDRA_FULL_ERROR" not in str(error.value)
