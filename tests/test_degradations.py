import numpy as np
import pytest
import torch
from conftest import photograph

from zoomsr.degradations import Bicubic, Box, Degradation
from zoomsr.resize import downscale, resize

HR = torch.from_numpy(photograph(12, 18)).permute(2, 0, 1)


@pytest.mark.parametrize("scale", [2, 3])
def test_box_is_the_mean_of_each_block(scale: int) -> None:
    blocks = HR.numpy().reshape(3, 12 // scale, scale, 18 // scale, scale).astype(np.float64)
    mean = blocks.mean((2, 4))
    box = Box(scale)
    assert np.array_equal(box.down(HR).numpy(), np.floor(mean + 0.5))
    np.testing.assert_allclose(box.down(HR.double() / 255).numpy() * 255, mean, atol=1e-12)


def test_bicubic_is_the_resize() -> None:
    bicubic = Bicubic(2)
    assert torch.equal(bicubic.down(HR), downscale(HR, 2))
    assert torch.equal(bicubic.up(HR), resize(HR, (24, 36)))


@pytest.mark.parametrize("degradation", [Bicubic(2), Box(2)])
def test_float_lr_is_not_rounded(degradation: Degradation) -> None:
    lr = degradation.down(HR.float() / 255) * 255
    assert (lr - lr.round()).abs().max() > 0.1
    assert (lr - degradation.down(HR)).abs().max() < 1.5  # one rounding for each pass


@pytest.mark.parametrize("degradation", [Bicubic(2), Box(2)])
def test_odd_sides_are_refused(degradation: Degradation) -> None:
    with pytest.raises(ValueError, match="5x4 is not a multiple of 2"):
        degradation.down(torch.rand(3, 5, 4))
