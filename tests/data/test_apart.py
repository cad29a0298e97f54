"""No photograph of data=photos is one of the test sets' pictures, or a part of one.

``ZOOMSR_BENCHMARKS`` and ``ZOOMSR_PHOTOS`` name the folders of both; without these the test skips. The control, which
needs no data, plants altered crops.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from _support.perceptual import ALIKE, Originals, luma
from PIL import Image
from torch import Tensor

from zoomsr.data.sources.manifest import read_manifest
from zoomsr.data.sources.photographs import sample
from zoomsr.evaluation.benchmarks import Benchmark
from zoomsr.imaging import files


def _altered(path: Path, generator: np.random.Generator) -> Tensor:
    """Luma of half of each side, rescaled by 0.6 to 1.6 and encoded as JPEG of quality 60."""
    with Image.open(path) as whole:
        width, height = (side // 2 for side in whole.size)
        left, top = (int(generator.integers(0, side - side // 2 + 1)) for side in whole.size)
        part = whole.convert("RGB").crop((left, top, left + width, top + height))
    zoom = generator.uniform(0.6, 1.6)
    buffer = io.BytesIO()
    part.resize((round(width * zoom), round(height * zoom)), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=60)
    return luma(torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1))


def _benchmarks() -> dict[str, Path]:
    root = os.environ.get("ZOOMSR_BENCHMARKS")
    if root is None:
        pytest.skip("ZOOMSR_BENCHMARKS names no folder with Set5, Set14 and B100")
    found = [Benchmark.find(Path(root) / name, scale=1, published_lr=False) for name in ("Set5", "Set14", "B100")]
    return {f"{one.name}/{path.stem}": path for one in found for path, _ in one.files}


def _originals(paths: dict[str, Path]) -> Originals:
    return Originals({name: luma(files.read(path)) for name, path in paths.items()})


@pytest.mark.slow
def test_altered_crops_are_found_and_other_photographs_are_not() -> None:
    photos = {photo.name: photo.path for photo in (*sample().train, *sample().val)}
    planted = [name for name in photos if name not in ("hubble_deep_field", "motorcycle_right")]
    originals = _originals({name: photos[name] for name in planted})
    generator = np.random.default_rng(0)
    for name in planted:
        found = originals.alike(_altered(photos[name], generator))
        assert [one for one, value in found.items() if value > ALIKE] == [name], found
    others = originals.alike(luma(files.read(photos["hubble_deep_field"])))
    assert max(others.values(), default=0.0) < ALIKE, others


@pytest.mark.slow
def test_altered_crops_of_the_test_sets_are_found() -> None:
    paths = _benchmarks()
    originals = _originals(paths)
    generator = np.random.default_rng(0)
    planted = list(paths)[::4]
    found = [name for name in planted if originals.alike(_altered(paths[name], generator)).get(name, 0.0) > ALIKE]
    assert len(found) >= 0.9 * len(planted), set(planted) - set(found)


@pytest.mark.slow
def test_no_photograph_is_in_a_test_set() -> None:
    root = os.environ.get("ZOOMSR_PHOTOS")
    if root is None:
        pytest.skip("ZOOMSR_PHOTOS names no folder with photos.csv")
    originals = _originals(_benchmarks())
    copies = []
    for file in read_manifest(Path(root)):
        found = originals.alike(luma(files.read(Path(root) / file)))
        copies += [(file, name, value) for name, value in found.items() if value > ALIKE]
    assert copies == []
