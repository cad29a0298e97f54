"""What is seen of a transparent picture is enlarged as it is seen; what is not seen changes none of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from _support.nets import build, strong
from _support.tiny import photograph
from torch import nn

from zoomsr import upscale
from zoomsr.engines.tiling import upscale_tiled
from zoomsr.imaging.resize import resize
from zoomsr.inference.transparency import Transparent

SIDE = 48
TRAINED = ["bicubic", "srcnn", "unet"]


def _disc(colour: int, hidden: int, *, softness: float, channels: int = 3) -> np.ndarray:
    """One colour inside a disc whose edge is so many pixels wide, another under all that is transparent."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    alpha = np.clip((SIDE / 3 - np.hypot(x, y)) / max(softness, 1e-9), 0, 1)
    pixels = np.where(alpha[..., None] > 0, colour, hidden).repeat(channels, 2)
    return np.dstack([pixels, (alpha * 255).round()]).astype(np.uint8)


@pytest.mark.parametrize("model", TRAINED)
@pytest.mark.parametrize("softness", [0, 1.5, 6])
@pytest.mark.parametrize(("colour", "hidden"), [(255, 0), (200, 0), (0, 255)])
def test_one_colour_stays_one_colour_to_its_edge(model: str, softness: float, colour: int, hidden: int) -> None:
    larger = upscale(_disc(colour, hidden, softness=softness), model)
    seen = larger[larger[..., 3] > 0][:, :3].astype(int)
    assert len(seen) > SIDE * SIDE
    assert np.abs(seen - colour).max() <= 1


def test_a_grey_disc_and_a_deep_one() -> None:
    grey = _disc(255, 0, softness=1.5, channels=1)
    for disc in (grey, grey.astype(np.uint16) * 257):
        larger = upscale(disc, "unet")
        assert larger.dtype == disc.dtype
        white = np.iinfo(disc.dtype).max
        assert (white - larger[larger[..., 1] > 0][:, 0]).max() <= white // 255


@pytest.mark.parametrize("backdrop", [0.0, 0.4, 1.0])
def test_bicubic_is_the_same_before_and_after_it_is_laid_on_a_backdrop(backdrop: float) -> None:
    colour, alpha = torch.rand(3, 17, 24), 0.1 + 0.8 * resize(torch.rand(1, 5, 7), (17, 24)).clamp(0, 1)
    larger = upscale(torch.cat([colour, alpha]), "bicubic")
    laid = larger[:3] * larger[3:] + backdrop * (1 - larger[3:])
    expected = resize(colour * alpha + backdrop * (1 - alpha), (34, 48))
    torch.testing.assert_close(laid, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("model", TRAINED)
def test_an_opaque_picture_is_the_one_without_alpha(model: str) -> None:
    for pixels in (photograph(20, 30), photograph(20, 30).astype(np.uint16) * 257):
        opaque = np.full_like(pixels[..., :1], np.iinfo(pixels.dtype).max)
        expected = np.dstack([upscale(pixels, model), np.full((40, 60, 1), opaque.max())])
        assert np.array_equal(upscale(np.dstack([pixels, opaque]), model), expected)


def test_what_is_hidden_far_from_all_that_is_seen_is_enlarged_as_it_is() -> None:
    pixels = photograph(20, 60)
    alpha = np.zeros((20, 60, 1), np.uint8)
    alpha[:, :20] = 255
    larger, plain = upscale(np.dstack([pixels, alpha]), "unet").astype(int), upscale(pixels, "unet")
    assert np.abs(larger[:, 80:, :3] - plain[:, 80:]).max() <= 2
    assert np.abs(larger[:, :12, :3] - plain[:, :12]).max() <= 2  # and what is opaque, away from the edge


def test_a_wholly_transparent_picture_keeps_what_it_hides() -> None:
    pixels = photograph(20, 30)
    larger = upscale(np.dstack([pixels, np.zeros((20, 30, 1), np.uint8)]), "srcnn")
    assert np.array_equal(larger[..., :3], upscale(pixels, "srcnn"))
    assert not larger[..., 3].any()


@pytest.mark.parametrize("name", ["bicubic", "srcnn", "unet_plain"])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiled_equals_whole(name: str, channels: int) -> None:
    net = Transparent(strong(build(name)))  # type: ignore[arg-type]
    colour, alpha = photograph(61, 83)[..., :channels], photograph(61, 83, seed=1)[..., :1]
    alpha = np.where(alpha < 100, 0, np.where(alpha > 170, 255, alpha))
    pixels = np.dstack([colour, alpha]).astype(np.float32) / 255
    wholes = []
    for tile in (500, 32, 16):
        out = np.zeros((122, 166, channels + 1), np.float32)
        upscale_tiled(net, pixels, out, device=torch.device("cpu"), tile=tile)  # type: ignore[arg-type]
        wholes.append(out)
    assert np.abs(wholes[0]).max() > 0.01
    for tiled in wholes[1:]:
        assert np.abs(tiled - wholes[0]).max() <= 2e-5 * np.abs(wholes[0]).max()


def test_no_pixel_outside_the_halo_changes_the_output() -> None:
    net = Transparent(strong(build("srcnn"))).double()  # type: ignore[arg-type]
    side = 2 * net.halo + 3
    lr = torch.rand(1, 4, side, side, dtype=torch.float64)
    lr[:, 3:] *= lr[:, 3:] > 0.7
    changed = lr.clone()
    changed[..., net.halo + 1, net.halo + 1] = torch.tensor([5.0, 5.0, 5.0, 1.0])
    rows = (net(changed) - net(lr)).detach().abs().sum((0, 1)).any(1).nonzero().flatten() // 2
    assert 1 <= rows.min() < net.halo - 5
    assert side - net.halo < rows.max() <= side - 2


def test_a_net_without_an_enlargement_takes_transparency_too() -> None:
    net = nn.Identity()
    net.scale, net.multiple_of, net.halo, net.channels = 1, 1, 0, 3  # type: ignore[assignment]
    lr = torch.rand(1, 4, 6, 7)
    torch.testing.assert_close(Transparent(net)(lr), lr)  # type: ignore[arg-type]
