"""What is trained on does not change from version to version: hashes of whole epochs.

They were written when each patch was turned by itself, after its batch had been gathered.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from _support.tiny import Training
from PIL import Image

from zoomsr.data.datamodule import PairsDataModule
from zoomsr.data.sources.photographs import folder
from zoomsr.imaging.degradations import Bicubic

EPOCHS = (0, 1, 7)
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "lr packed": ({}, "0e46ee5d296e6a46"),
    "hr alone": ({"pack_lr": False}, "1e94ee067029accf"),
    "grey": ({"y_only": True}, "d0491b469666cbde"),
    "x3": ({"degradation": Bicubic(3), "patch": 15}, "3d2b6b5dac938d1b"),
}


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Five pictures of noise, of odd sizes."""
    (tmp_path / "noise").mkdir()
    for number, size in enumerate([(40, 51), (37, 64), (64, 33), (48, 48), (33, 40)]):
        pixels = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "noise" / f"{number}.png")
    return tmp_path / "noise"


@pytest.mark.parametrize("is_resident", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("case", CASES)
def test_epochs_are_those_of_earlier_versions(
    noise: Path, case: str, is_resident: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PairsDataModule, "_is_resident", lambda *_: is_resident)  # on a CPU, where none would be
    changes, expected = CASES[case]
    settings: dict[str, Any] = {"degradation": Bicubic(2), "patch": 16, "batch_size": 4, "patches_per_image": 6}
    data = PairsDataModule(source=folder(str(noise), scale_augmentation=[0.8]), seed=5, **(settings | changes))
    data.trainer = Training()
    digest = hashlib.sha256()
    loader = data.train_dataloader()
    for epoch in EPOCHS:
        loader.sampler.set_epoch(epoch)
        for raw in loader:
            batch = data.on_after_batch_transfer(raw, 0)
            assert batch["hr"].shape == (4, 1 if case == "grey" else 3, *[settings["patch"] - (case == "x3")] * 2)
            if case == "hr alone":  # whose bits may depend on the processor
                assert torch.equal(batch["lr"], data.degradation.down(batch["hr"]))
            else:
                digest.update(batch["lr"].numpy().tobytes())
            digest.update(batch["hr"].numpy().tobytes() + batch["index"].numpy().tobytes())
            digest.update(" ".join(batch["name"]).encode())
    assert digest.hexdigest()[:16] == expected
