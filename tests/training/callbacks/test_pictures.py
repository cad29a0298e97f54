"""The figures of validation crops."""

from __future__ import annotations

import numpy as np
import torch
from _support.tiny import photograph
from lightning.pytorch import LightningModule
from torch import Tensor

from zoomsr.evaluation.crops import crop_at
from zoomsr.imaging.degradations import Bicubic
from zoomsr.training.callbacks.pictures import _upscaled


class _Told(LightningModule):
    """Grey, as bright as the JPEG quality that it is told."""

    def forward(self, lr: Tensor, quality: Tensor | None = None) -> Tensor:
        assert not self.training
        return Bicubic(2).up(lr) * 0 + (0.0 if quality is None else quality[0] / 100)


def test_a_net_is_told_the_quality_of_the_crop() -> None:
    hr = torch.from_numpy(photograph(32, 32)).permute(2, 0, 1)[None].float() / 255
    crop, module = crop_at("a", (0, 0, 16, 16), lr=Bicubic(2).down(hr), hr=hr), _Told().train()
    assert np.allclose(_upscaled(module, crop, torch.tensor([60.0])), 0.6)
    assert np.allclose(_upscaled(module, crop, None), 0)
    assert module.training
