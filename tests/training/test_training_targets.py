"""The pairs that a training step learns from: the ground truth, or for a while a teacher's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.kills import Settings, require_no_trace
from _support.nets import strong
from _support.tiny import TINY, TINY_NET, composed
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader

from zoomsr.data.datamodule import Batch
from zoomsr.imaging.degradations import Bicubic, GaussianNoise
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import METRICS, measure
from zoomsr.models.photo_unet import PhotoUNet
from zoomsr.models.self_ensemble import SelfEnsemble
from zoomsr.models.srcnn import SRCNN
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.run import Run
from zoomsr.training import schedules
from zoomsr.training.callbacks.ema import EMA
from zoomsr.training.module import ZoomModule
from zoomsr.training.recipe import build_module
from zoomsr.training.targets import ECO, Distillation, Pair, Target, ground_truth

_ARGUMENTS = {"channels": 3, "widths": [8, 4], "kernels": [5, 1, 3]}
_NAME = "zoomsr.models.srcnn.SRCNN"


@pytest.fixture
def teacher(tmp_path: Path) -> Callable[..., str]:
    """Writes the weights of a small net, and returns the file's name."""

    def write(**changed: Any) -> str:
        arguments = {"scale": 2, **_ARGUMENTS, **changed}
        path = tmp_path / "teacher.safetensors"
        Weights(path, strong(SRCNN(**arguments)).state_dict(), {"_target_": _NAME, **arguments}).save(path)
        return str(path)

    return write


def _batch(channels: int = 3, side: int = 16) -> Batch:
    hr = torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(1))
    return Batch(lr=Bicubic(2).down(hr), hr=hr, name=["a", "b"], index=torch.tensor([0, 1]))


def _module(
    target: Target, net: torch.nn.Module | None = None, *, clock: Callable[[], float] | None = None
) -> ZoomModule:
    return ZoomModule(
        net or SRCNN(**_ARGUMENTS),
        loss=torch.nn.L1Loss(),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e-3),
        schedule=schedules.constant,
        target=target,
        clock=clock,
    )


def test_the_ground_truth_is_the_batch_itself() -> None:
    batch = _batch()
    pair = ground_truth(batch, 0.0)
    assert pair.lr is batch["lr"]
    assert pair.hr is batch["hr"]


@pytest.mark.parametrize(("progress", "weight"), [(0.0, 0.0), (0.2, 0.0), (0.3, 0.25), (0.5, 0.75)])
def test_pairs_go_from_the_teachers_to_the_real_ones(
    teacher: Callable[..., str], progress: float, weight: float
) -> None:
    batch, file = _batch(), teacher()
    with torch.no_grad():
        sr = Weights.read(Path(file)).build()(batch["lr"]).clamp(0, 1)
    pair = ECO(teacher=file, degradation=Bicubic(2), start=0.2, end=0.6)(batch, progress)
    assert (sr - batch["hr"]).abs().mean() > 0.1
    torch.testing.assert_close(pair.hr, (1 - weight) * sr + weight * batch["hr"])
    torch.testing.assert_close(pair.lr, (1 - weight) * Bicubic(2).down(sr) + weight * batch["lr"])


def test_after_its_phase_the_teacher_is_not_asked(teacher: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    forward = SRCNN.forward
    monkeypatch.setattr(SRCNN, "forward", lambda net, lr: (asked.append(1), forward(net, lr))[1])
    batch, target = _batch(), ECO(teacher=teacher(), degradation=Bicubic(2), start=0.2, end=0.6)
    target(batch, 0.59)
    assert asked == [1]
    pair = target(batch, 0.6)
    assert asked == [1]
    assert pair.lr is batch["lr"]
    assert pair.hr is batch["hr"]


def test_under_autocast_the_degraded_pixels_stay_float32(teacher: Callable[..., str]) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        lr, hr = ECO(teacher=teacher(), degradation=Bicubic(2))(_batch(), 0.0)
    assert lr.dtype == hr.dtype == torch.float32
    assert torch.equal(lr, Bicubic(2).down(hr))
    assert not lr.requires_grad
    assert not hr.requires_grad


def test_the_teacher_is_no_part_of_what_is_trained_and_saved(teacher: Callable[..., str]) -> None:
    plain, taught = _module(ground_truth), _module(ECO(teacher=teacher(), degradation=Bicubic(2)))
    assert taught.state_dict().keys() == plain.state_dict().keys()
    assert [name for name, _ in taught.named_parameters()] == [name for name, _ in plain.named_parameters()]


def test_a_distilled_pair_mixes_hr_with_the_teachers_images_turned_back(teacher: Callable[..., str]) -> None:
    file = teacher()
    one = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 0.5 + 0.25
    hr = one.expand(8, -1, -1, -1)
    batch = Batch(lr=Bicubic(2).down(hr), hr=hr, name=["a"] * 8, index=torch.zeros(8))
    net = Weights.read(Path(file)).build()
    net.register_forward_hook(lambda module, given, sr: sr.clamp(0, 1))
    with torch.no_grad():
        single, ensemble = net(batch["lr"][:1]), SelfEnsemble(net)(batch["lr"][:1])
    distilled = Distillation(teacher=file, scale=2, weight=0)(batch, 0.7)
    assert distilled.lr is batch["lr"]
    torch.testing.assert_close(distilled.hr[:1], single)
    assert (distilled.hr[1] - single).abs().max() > 0.01
    torch.testing.assert_close(distilled.hr.mean(0, keepdim=True), ensemble)
    mixed = Distillation(teacher=file, scale=2, weight=0.75)(batch, 0.7)
    torch.testing.assert_close(mixed.hr, 0.25 * distilled.hr + 0.75 * hr)
    assert torch.equal(Distillation(teacher=file, scale=2, weight=1)(batch, 0.7).hr, hr)


def test_a_teacher_that_takes_it_is_told_the_jpeg_quality(tmp_path: Path) -> None:
    arguments = {"scale": 2, "widths": [6, 5], "blocks": [1, 1]}
    net = strong(PhotoUNet(**arguments))
    file = tmp_path / "photo.safetensors"
    Weights(file, net.state_dict(), {"_target_": "zoomsr.models.photo_unet.PhotoUNet", **arguments}).save(file)
    quality = torch.tensor([20.0, 90.0])
    with torch.no_grad():
        told, untold = net(_batch()["lr"], quality).clamp(0, 1), net(_batch()["lr"]).clamp(0, 1)
    assert (told[0] - untold[0]).abs().max() > 0.01
    hr = Distillation(teacher=str(file), scale=2, weight=0)({**_batch(), "quality": quality}, 0.5).hr
    torch.testing.assert_close(hr[0], told[0], atol=1e-3, rtol=0)  # channels_last sums in another order


@pytest.mark.parametrize(
    ("changed", "settings", "message"),
    [
        ({"scale": 3}, {}, r"teacher\.safetensors enlarges by 3, but degradation shrinks by 2"),
        ({}, {"weight": 1.5}, r"target.weight=1.5 must be on \[0, 1\]"),
        ({}, {"teacher": "bicubic"}, "target.teacher=bicubic is not trained"),
    ],
)
def test_what_cannot_be_distilled_is_refused(
    teacher: Callable[..., str], changed: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Distillation(**{"teacher": teacher(**changed), "scale": 2, **settings})


@pytest.mark.parametrize(
    ("changed", "settings", "message"),
    [
        ({"scale": 3}, {}, r"teacher\.safetensors enlarges by 3, but degradation shrinks by 2"),
        ({}, {"degradation": GaussianNoise(0.1)}, r"GaussianNoise\(sigma=0.1\) would do at random"),
        ({}, {"start": 0.5, "end": 0.5}, r"target.start=0.5 and target.end=0.5 must be in order, and on \[0, 1\]"),
        ({}, {"teacher": "bicubic"}, "target.teacher=bicubic is not trained"),
        ({}, {"teacher": "unot"}, "no net is called unot; the nearest: unet"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(
    teacher: Callable[..., str], changed: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ECO(**{"teacher": teacher(**changed), "degradation": Bicubic(2), **settings})


def test_a_teacher_of_other_channels_than_the_patches_is_refused(teacher: Callable[..., str]) -> None:
    target = ECO(teacher=teacher(channels=1), degradation=Bicubic(2))
    assert target(_batch(channels=1), 0.0).hr.shape == (2, 1, 16, 16)
    with pytest.raises(ValueError, match=r"has 1 channel\(s\), but the patches have 3"):
        target(_batch(), 0.0)


class _Recording(SRCNN):
    """Keeps what it was given."""

    def __init__(self) -> None:
        super().__init__(**_ARGUMENTS)
        self.given: list[torch.Tensor] = []

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        self.given.append(lr)
        return super().forward(lr)


def _fit(target: Target, net: _Recording, tmp_path: Path, *, accumulated: int = 1) -> ZoomModule:
    """Two epochs of four batches."""
    module = _module(target, net)
    batches: Sequence[Batch] = [_batch()] * 4
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        limit_val_batches=0,
        accumulate_grad_batches=accumulated,
        callbacks=[EMA(0.9)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, DataLoader(batches, batch_size=None))  # type: ignore[arg-type]  # a list is a data set
    return module


@pytest.mark.parametrize(("accumulated", "expected"), [(1, [n / 8 for n in range(8)]), (2, [0, 0, 1, 1, 2, 2, 3, 3])])
def test_the_target_is_told_the_share_of_the_steps(tmp_path: Path, accumulated: int, expected: list[float]) -> None:
    told: list[float] = []

    def target(batch: Batch, progress: float) -> Pair:
        told.append(progress)
        return ground_truth(batch, progress)

    _fit(target, _Recording(), tmp_path, accumulated=accumulated)
    assert told == [one / (1 if accumulated == 1 else 4) for one in expected]


def test_with_a_clock_the_target_is_told_the_share_of_the_time() -> None:
    assert _module(ground_truth, clock=lambda: 0.25).progress() == 0.25


def test_a_step_learns_from_the_pair_and_is_measured_against_hr(tmp_path: Path) -> None:
    made = Pair(torch.rand(2, 3, 8, 8), torch.full((2, 3, 16, 16), 5.0))
    net = _Recording()
    module = _fit(lambda batch, progress: made, net, tmp_path)
    assert all(torch.equal(lr, made.lr) for lr in net.given)
    metrics = module.trainer.callback_metrics
    with torch.no_grad():
        sr = net(made.lr)
    # The learning rate is so small that the last weights nearly give the epoch's means.
    assert float(metrics["train/loss"]) == pytest.approx(float((sr - made.hr).abs().mean()), rel=5e-2)
    rows = measure(sr, _batch()["hr"], protocol=MODERN, border=2)
    assert float(metrics["train/mae"]) == pytest.approx(float(rows[:, METRICS.index("mae")].mean()), rel=5e-2)
    assert float(metrics["train/mae"]) < 1 < float(metrics["train/loss"])


def test_the_settings_make_the_target(teacher: Callable[..., str]) -> None:
    module = build_module(composed(*TINY, *TINY_NET, "target=eco", f"target.teacher={teacher()}", "target.end=0.5"))
    batch = _batch()
    assert isinstance(module.target, ECO)
    assert module.target(batch, 0.5).hr is batch["hr"]
    assert module.target(batch, 0.4).hr is not batch["hr"]
    assert build_module(composed(*TINY, *TINY_NET)).target(batch, 0.0).hr is batch["hr"]


@pytest.mark.parametrize(
    ("degradation", "said"),
    [
        ("bicubic", ""),
        ("box", ", which was trained on lr made by Bicubic(scale=2), not by Box(scale=2)"),
    ],
)
def test_a_teacher_that_does_not_know_the_degradation_is_said(
    train: Callable[..., Run], capsys: pytest.CaptureFixture[str], degradation: str, said: str
) -> None:
    short = ["trainer.max_epochs=1", "data.patches_per_image=2"]
    own = str(train(*short).path)
    for teacher in ("unet", own):
        train(*short, "target=distillation", f"target.teacher={teacher}", f"degradation={degradation}")
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("teacher")]
        assert line.removeprefix("teacher").strip() == f"{teacher}{said}"


@pytest.mark.slow
def test_a_kill_leaves_no_trace_with_a_teacher(settings: Settings, teacher: Callable[..., str]) -> None:
    taught = ["target=eco", f"target.teacher={teacher()}", "target.start=0.1", "target.end=0.9"]
    require_no_trace(settings, *taught, trials=1, ranks=1)
