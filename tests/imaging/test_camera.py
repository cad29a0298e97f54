"""The random degradation of photographs that people have."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from _support.tiny import photograph
from PIL import Image
from torch import Tensor

from zoomsr.imaging.blocking import jpeg_trace
from zoomsr.imaging.camera import Camera
from zoomsr.imaging.degradations import Bicubic, Chain, Jpeg, jpeg_quality
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.pixels import quantize
from zoomsr.imaging.resize import LANCZOS, downscale
from zoomsr.imaging.sampling import luma_samples

HR = torch.from_numpy(photograph(64, 96)).permute(2, 0, 1)
PLAIN = {"blur": 0.3, "sharpening": 0.0, "noise": 0.0}


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _seed(camera: Camera, **wanted: object) -> int:
    """The first whose draws are those."""
    return next(
        seed
        for seed in range(10_000)
        if all(getattr(camera.drawn(_generator(seed)), name) == value for name, value in wanted.items())
    )


def test_all_is_drawn_from_the_generator() -> None:
    camera = Camera(2)
    one, again = (camera.down(HR, _generator(5)) for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, camera.down(HR, _generator(6)))
    assert one.dtype == torch.uint8
    assert torch.equal(camera.down(HR.float() / 255, _generator(5)), one.float() / 255)
    with pytest.raises(ValueError, match="degradation=camera draws from a generator, and was given none"):
        camera.down(HR)


def test_how_often_and_how_strongly() -> None:
    shots = [Camera(2).drawn(_generator(seed)) for seed in range(2000)]
    photographs = [shot for shot in shots if shot.quality != NEVER_COMPRESSED]
    assert len(photographs) == pytest.approx(0.8 * 2000, rel=0.04)
    share = {
        "4:2:0": np.mean([shot.halves_chroma for shot in photographs]),
        "blurred": np.mean([shot.blur > 0 for shot in photographs]),
        "sharpened": np.mean([shot.sharpening > 0 for shot in photographs]),
        "noisy": np.mean([shot.noise > 0 for shot in photographs]),
        "means": np.mean([shot.kernel is None for shot in photographs]),
        "lanczos": np.mean([shot.kernel is LANCZOS for shot in photographs]),
    }
    expected = {"4:2:0": 0.7, "blurred": 0.25, "sharpened": 0.25, "noisy": 0.5, "means": 0.2, "lanczos": 0.2}
    assert share == pytest.approx(expected, abs=0.04)
    qualities = [shot.quality for shot in photographs]
    assert (min(qualities), max(qualities)) == (20, 99)
    assert np.mean(qualities) == pytest.approx(59.5, abs=2)
    assert max(shot.blur for shot in shots) == pytest.approx(1, abs=0.01)
    assert max(shot.sharpening for shot in shots) == pytest.approx(0.6, abs=0.01)
    assert max(shot.noise for shot in shots) == pytest.approx(6 / 255, abs=1e-3)
    assert {shot.row for shot in shots} == set(range(16))


def test_what_was_never_compressed_is_bicubic() -> None:
    camera = Camera(2, compressed=0.0)
    assert torch.equal(camera.down(HR, _generator(1)), quantize(downscale(HR.float() / 255, 2)))
    assert jpeg_quality(camera, _generator(1)) == NEVER_COMPRESSED


def test_the_quality_that_is_drawn_is_the_one_that_is_told() -> None:
    camera = Camera(2)
    assert jpeg_quality(camera, _generator(3)) == camera.drawn(_generator(3)).quality
    assert jpeg_quality(Chain([camera, Jpeg(10)]), _generator(3)) == 10
    assert jpeg_quality(Chain([Bicubic(2), Jpeg(75)])) == 75
    assert jpeg_quality(Bicubic(2)) == NEVER_COMPRESSED


def _saved(pixels: Tensor, **options: object) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(file, "JPEG", **options)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("halves", [True, False])
def test_the_jpeg_is_libjpegs(halves: bool) -> None:
    camera = Camera(2, quality=(40, 40), **PLAIN)
    seed = _seed(camera, quality=40, halves_chroma=halves, row=0, column=0, blur=0.0, kernel=LANCZOS)
    shrunk = (downscale(HR.float() / 255, 2, kernel=LANCZOS) * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8)
    expected = _saved(shrunk, quality=40, subsampling="4:2:0" if halves else "4:4:4")
    assert np.array_equal(camera.down(HR, _generator(seed)).permute(1, 2, 0).numpy(), expected)


def test_blocks_begin_where_it_was_drawn() -> None:
    camera = Camera(2, quality=(50, 50), compressed=1.0, **PLAIN)
    hr = torch.from_numpy(photograph(192, 256)).permute(2, 0, 1)
    for row, column in ((0, 0), (3, 13)):
        lr = camera.down(hr, _generator(_seed(camera, row=row, column=column, blur=0.0)))
        trace = jpeg_trace(luma_samples(lr.permute(1, 2, 0).numpy()))
        assert trace is not None
        assert (trace.row, trace.column) == (-row % 8, -column % 8)


def test_noise_grows_with_light_and_sharpening_with_detail() -> None:
    undamaged = {"quality": (100, 100), "compressed": 1.0}
    camera = Camera(2, **undamaged, blur=0.3, sharpening=0.0, noise=0.02)
    seed = next(seed for seed in range(100) if camera.drawn(_generator(seed)).noise > 0.015)
    sigma = camera.drawn(_generator(seed)).noise
    for value, factor in ((0.25, 0.75), (0.5, 1.0), (0.75, 1.25)):
        lr = camera.down(torch.full((3, 128, 128), value), _generator(seed))
        assert lr.std().item() == pytest.approx(sigma * factor**0.5, rel=0.05)
        assert lr.mean().item() == pytest.approx(value, abs=1e-3)
    sharp = Camera(2, **undamaged, blur=0.3, noise=0.0, sharpening=1.0)
    plain = Camera(2, **undamaged, **PLAIN)
    seed = next(seed for seed in range(100) if sharp.drawn(_generator(seed)).sharpening > 0.5)
    assert sharp.down(HR, _generator(seed)).float().std() > 1.05 * plain.down(HR, _generator(seed)).float().std()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"quality": (60, 40)}, r"degradation\.quality=\[60, 40\] must be two of 1 to 100"),
        ({"compressed": 1.5}, r"degradation\.compressed=1\.5 is a probability"),
        ({"noise": -0.1}, r"noise=-0\.1: none is negative"),
        ({"blur": 0.1}, "a blur is 0.3 pixels at least"),
    ],
)
def test_wrong_settings_are_one_line(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Camera(2, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lanczos_is_pillows(scale: int) -> None:
    grey = HR[:1, :60]
    pillow = Image.fromarray(grey[0].numpy().astype(np.float32), "F").resize((96 // scale, 60 // scale), 1)
    mine = downscale(grey.double(), scale, kernel=LANCZOS)[0].numpy()
    inner = (slice(3, -3), slice(3, -3))  # Pillow cuts the kernel off at borders
    np.testing.assert_allclose(mine[inner], np.asarray(pillow)[inner], atol=0.01)
