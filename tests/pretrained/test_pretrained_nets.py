"""The pretrained nets are what their cards say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from _support.tiny import composed

from zoomsr.cli.config import plain
from zoomsr.data.sources.photographs import sample
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.evaluation.evaluator import evaluate
from zoomsr.imaging.degradations import Bicubic as BicubicDown
from zoomsr.imaging.pixels import to_float
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import measure
from zoomsr.models.bicubic import Bicubic
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import WEIGHTS_DIR, pretrained_nets
from zoomsr.pretrained.weights import Weights

GAINS = {"ircnn": 1.5, "srcnn": 1.5, "unet": 2.0, "unet_photo": 1.8, "unet_x3": 1.5, "unet_x4": 1.2, "vdsr": 1.7}
"""dB over bicubic on the astronaut's face, which no net has seen: less than each reaches."""

SCALES = {"unet_x3": 3, "unet_x4": 4}

RECIPES = {
    "ircnn": ["experiment=ircnn_291", "data=photos"],
    "srcnn": ["experiment=unet_photos", "model=srcnn", "model.channels=1", "data.y_only=true"],
    "unet": ["experiment=unet_photos"],
    "unet_photo": ["experiment=unet_photo"],
    "unet_x3": ["experiment=unet_photos", "scale=3"],
    "unet_x4": ["experiment=unet_photos", "scale=4"],
    "vdsr": ["experiment=unet_photos", "model=vdsr", "model.channels=1", "data.y_only=true"],
}
"""Words of the commands that made them."""

FREE = ("CC0", "CC BY", "Unsplash", "Pexels", "LGPL")
"""How the licences begin of the free photographs on which they are trained."""

RESEARCH = ("BSDS500 (UC Berkeley), non-commercial research", "none stated; public SR training set")
"""Those of the others."""

SLOW = {"ircnn": pytest.mark.slow, "vdsr": pytest.mark.slow}
"""Twice over every picture; the first with 30 passes of a denoiser."""


def _path(name: str) -> Path:
    return WEIGHTS_DIR / f"{name}.safetensors"


def _card(name: str) -> Card:
    card = Card.beside(_path(name))  # compares the check sum too
    assert card is not None
    return card


def test_the_nets_of_the_study_are_shipped() -> None:
    assert pretrained_nets() == sorted(GAINS)
    assert sum(path.stat().st_size for path in WEIGHTS_DIR.iterdir()) < 24e6


@pytest.mark.parametrize("name", GAINS)
def test_each_has_a_card_that_says_where_it_comes_from(name: str) -> None:
    card, weights = _card(name), Weights.read(_path(name))
    assert (card.net, card.scale, card.licence) == (weights.own_config(), SCALES.get(name, 2), "MIT")
    assert (card.data["name"], card.data["n_val"]) == ("photos", 20)
    assert set(RECIPES[name]) <= set(card.command.split())
    assert not any("/" in word for word in card.command.split()), "a path of one machine"
    assert {one.dtype for one in weights.tensors.values()} == {getattr(torch, card.stored)}
    assert card.params == sum(one.numel() for one in weights.build().parameters())
    assert {"Set5", "Set14"} <= set(card.sets)


@pytest.mark.parametrize("name", GAINS)
def test_each_names_every_photograph_with_its_source_and_licence(name: str) -> None:
    card = _card(name)
    photographs = card.data["photographs"]
    count = 260 if name == "unet_photo" else 524  # the free ones, and those for research
    assert len(photographs) == card.data["n_train"] + card.data["n_val"] == count
    assert sum(card.data["licences"].values()) == count
    for one in photographs:
        assert one["source"]
        assert one["licence"].startswith(FREE if one["file"].startswith("free/") else RESEARCH)


@pytest.mark.parametrize("name", GAINS)
def test_the_recipe_makes_the_pretrained_net(name: str) -> None:
    bank = ["model=ircnn", "model.n_denoisers=12", "model.last_noise=0.5"]  # its recipe makes the denoisers
    recipe = bank if name == "ircnn" else RECIPES[name]
    assert Weights.read(_path(name)).own_config() == plain(composed(*recipe).model)


@pytest.mark.parametrize(("name", "gain"), GAINS.items())
def test_each_is_better_than_bicubic_on_a_photograph_that_it_has_not_seen(name: str, gain: float) -> None:
    scale = SCALES.get(name, 2)
    hr = next(photo for photo in sample().val if photo.name == "astronaut").read()[:, 20:188, 150:318]
    lr = to_float(BicubicDown(scale).down(hr))[None]
    with torch.inference_mode():
        own, bicubic = (
            float(measure(net(lr)[0], to_float(hr), protocol=MODERN, border=scale)[2])
            for net in (Weights.read(_path(name)).build(), Bicubic(scale))
        )
    assert own > bicubic + gain


@pytest.mark.skipif(
    "ZOOMSR_BENCHMARKS" not in os.environ, reason="set ZOOMSR_BENCHMARKS to a folder with Set5/ as published"
)
@pytest.mark.parametrize("name", [pytest.param(name, marks=SLOW.get(name, ())) for name in GAINS])
def test_each_reaches_the_numbers_of_its_card(name: str) -> None:
    card = _card(name)
    scores = evaluate(
        {name: Weights.read(_path(name)).build()},
        Benchmark.find(Path(os.environ["ZOOMSR_BENCHMARKS"]) / "Set5", scale=card.scale),
        degradation=BicubicDown(card.scale),
        device=torch.device("cpu"),
        advance=lambda: None,
    )
    for protocol, images in scores[name].items():
        found = sum(one.psnr_y for one in images.values()) / len(images)
        assert found == pytest.approx(card.sets["Set5"][name][protocol]["psnr_y"], abs=0.01)
