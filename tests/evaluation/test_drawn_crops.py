import numpy as np
import pytest
import torch

from zoomsr.evaluation.crops import comparison_row, epochs_row, hardest_crop, panel, upscaled
from zoomsr.imaging.degradations import Bicubic
from zoomsr.models.bicubic import Bicubic as BicubicUp
from zoomsr.runs.crops import Crop


def _photograph() -> torch.Tensor:
    """Grey, but for a checkerboard that no enlargement can guess, in columns 32 to 48 and rows 16 to 32."""
    hr = torch.full((1, 3, 48, 64), 0.5)
    hr[..., 16:32, 32:48] = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    return hr


def _area() -> Crop:
    hr = _photograph()
    return hardest_crop("board", lr=Bicubic(2).down(hr), hr=hr, side=16)


def test_the_hardest_area_is_where_bicubic_errs_most() -> None:
    area = _area()
    assert area.box == (32, 16, 16, 16)
    np.testing.assert_array_equal(area.hr, _photograph()[0, :, 16:32, 32:48].permute(1, 2, 0).numpy())
    assert (area.lr.shape, area.bicubic.shape) == ((8, 8, 3), (16, 16, 3))


def test_a_panel_has_the_psnr_of_every_pixel_on_y() -> None:
    hr = np.zeros((16, 16, 3), np.float32)
    # Y spans 219 of 255 levels: 20 log10(255 / 21.9).
    found = panel(hr + np.float32(0.1), hr)
    assert found.psnr_y == pytest.approx(20 * np.log10(255 / 21.9), abs=1e-3)
    assert panel(hr, hr).ssim_y == 1
    assert panel(hr[:8, :8], hr[:8, :8]).ssim_y is None  # smaller than SSIM's window


def test_rows_name_bicubic_first_and_then_nets_or_epochs() -> None:
    area = _area()
    row = comparison_row(area, {"unet": area.hr})
    assert list(row.methods) == ["bicubic", "unet"]
    assert (row.methods["unet"].psnr_y, row.box) == (100, area.box)
    strip = epochs_row(Crop(**{**vars(area), "epochs": {1: area.bicubic, 10: area.hr}}))
    assert list(strip.methods) == ["bicubic", "epoch 1", "epoch 10"]
    assert strip.photograph is None


def test_an_area_is_enlarged_as_the_net_does() -> None:
    area = _area()
    image = upscaled(BicubicUp(2), area, device=torch.device("cpu"))
    np.testing.assert_allclose(image, area.bicubic, atol=1e-6)
