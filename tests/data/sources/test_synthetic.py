import numpy as np
import pytest

from zoomsr.data.loader import PatchStage, ThreadLoader
from zoomsr.data.patches import PatchKey, PatchSampler
from zoomsr.data.sources.synthetic import DeadLeaves, SyntheticPatches
from zoomsr.imaging.degradations import Bicubic


def _patches(*, seed: int = 1, n_train: int = 8) -> SyntheticPatches:
    source = DeadLeaves(n_train)
    return source.patches(patch=32, degradation=Bicubic(2), pack_lr=True, per_image=1, seed=seed)


def _picture(patches: SyntheticPatches, epoch: int, number: int) -> np.ndarray:
    hr = np.empty((3, 32, 32), np.uint8)
    patches.fill(patches.spec(PatchKey(epoch, number)), hr, None)
    return hr


def test_a_picture_is_a_function_of_seed_epoch_and_index() -> None:
    one = _picture(_patches(), 2, 5)
    assert np.array_equal(_picture(_patches(), 2, 5), one)
    others = [_picture(_patches(), 3, 5), _picture(_patches(), 2, 6), _picture(_patches(seed=2), 2, 5)]
    assert all(not np.array_equal(one, other) for other in others)


def test_any_number_of_threads_paints_the_same_batches() -> None:
    batches = [
        list(ThreadLoader([PatchStage(_patches(), 4)], PatchSampler(8, seed=0), threads=threads)) for threads in (1, 3)
    ]
    for one, other in zip(*batches, strict=True):
        assert np.array_equal(one["hr"], other["hr"])
        assert one["name"] == other["name"]
        assert "lr" not in one


def test_photographs_are_for_validation() -> None:
    source = DeadLeaves(8)
    assert source.validation(Bicubic(2)).hr.names == ["astronaut", "chelsea", "coffee"]
    assert source.describe() == "8 new synthetic images an epoch, 3 photographs for validation"
    assert _patches().source_hash != _patches(seed=2).source_hash


def test_patch_off_the_scales_grid_is_refused() -> None:
    with pytest.raises(ValueError, match=r"data\.patch 33 must be a multiple of the scale 2"):
        DeadLeaves(8).patches(patch=33, degradation=Bicubic(2), pack_lr=True, per_image=1, seed=0)
