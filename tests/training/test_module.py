import pytest
import torch
from _support.tiny import photograph
from torch._subclasses.fake_tensor import FakeTensorMode

from zoomsr.data.datamodule import Batch
from zoomsr.hardware.devices import fuse
from zoomsr.imaging.degradations import Bicubic
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import METRICS, measure
from zoomsr.models import bicubic
from zoomsr.models.unet import UNet
from zoomsr.training import schedules
from zoomsr.training.module import ZoomModule


def _batch(side: int = 32) -> Batch:
    hr = torch.from_numpy(photograph(side, side)).permute(2, 0, 1)[None].float() / 255
    return Batch(lr=Bicubic(2).down(hr), hr=hr, name=["one"], index=torch.tensor([5]))


def _module() -> ZoomModule:
    return ZoomModule(
        UNet(width=16, depth=2),
        loss=torch.nn.L1Loss(),
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=2e-3),
        schedule=schedules.cosine,
    )


def test_overfitting_one_batch_reaches_near_zero_loss() -> None:
    module, batch, n_steps = _module(), _batch(16), 300
    optimizer = torch.optim.Adam(module.net.parameters(), lr=2e-3)
    schedule = schedules.cosine(optimizer, n_steps)
    losses = []
    for _ in range(n_steps):
        loss = module.loss(module(batch["lr"]), batch["hr"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    assert losses[0] > 0.01
    assert losses[-1] < 0.001  # a quarter of a grey level


def test_test_measures_net_and_bicubic_on_the_same_picture() -> None:
    module, batch = _module().eval(), _batch()
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign,assignment]  # there is no trainer
    with torch.no_grad():
        module.test_step(batch, 0)
        module.on_test_epoch_end()
        for name, sr in (("net", module(batch["lr"])), ("bicubic", Bicubic(2).up(batch["lr"]))):
            expected = measure(sr[0], batch["hr"][0], protocol=MODERN, border=2).tolist()
            assert list(module.test_scores[name][5].as_dict().values()) == pytest.approx(expected, abs=1e-4)


def test_held_out_photographs_are_measured_in_float32_proper() -> None:
    module, batch, seen = _module().eval(), _batch(), []
    for part in (module.net, module._bicubic):
        part.register_forward_hook(lambda *_: seen.append(torch.backends.cudnn.allow_tf32))
    with torch.no_grad():
        module.validation_step(batch, 0)
        module.test_step(batch, 0)
    assert seen == [False] * 3
    assert torch.backends.cudnn.allow_tf32


def test_the_net_is_the_only_part_with_weights() -> None:
    module = _module()
    assert {name.split(".")[0] for name, _ in module.named_parameters()} == {"net"}
    assert {name.split(".")[0] for name in module.state_dict()} == {"net"}


@pytest.mark.parametrize(
    ("device", "options", "fused"),
    [
        ("cuda", {}, True),
        ("cpu", {}, None),
        ("cuda", {"fused": False}, False),
        ("cuda", {"foreach": True}, None),
        ("cuda", {"differentiable": True}, None),
    ],
)
def test_one_kernel_takes_the_step_on_cuda_unless_another_was_asked_for(
    device: str, options: dict[str, bool], fused: bool | None
) -> None:
    with FakeTensorMode():  # which needs no GPU
        parameters = [torch.nn.Parameter(torch.empty(2, device=device)) for _ in range(2)]
    for kind in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD):
        optimizer = kind(parameters, lr=0.1, **options)
        fuse(optimizer)
        assert [group["fused"] for group in optimizer.param_groups] == [fused]
        assert not hasattr(optimizer, "_step_supports_amp_scaling")  # with which Lightning cannot clip


def test_a_mixed_group_and_an_optimizer_without_such_a_step_stay_as_they_are() -> None:
    with FakeTensorMode():
        mixed = [torch.nn.Parameter(torch.empty(2, device=device)) for device in ("cuda", "cpu")]
        on_cuda = [torch.nn.Parameter(torch.empty(2, device="cuda"))]
    optimizers = [torch.optim.Adam(mixed), torch.optim.RMSprop(on_cuda)]
    for optimizer in optimizers:
        fuse(optimizer)
    assert [optimizer.param_groups[0].get("fused") for optimizer in optimizers] == [None, None]


def test_cudnn_searches_for_training_patches_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Seeing(UNet):
        def forward(self, lr: torch.Tensor) -> torch.Tensor:
            seen.append(torch.backends.cudnn.benchmark)
            return super().forward(lr)

    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    module = _module()
    module.net = Seeing(width=8, depth=1)
    module(_batch()["lr"])
    module.eval()(_batch()["lr"])
    assert seen == [True, False]
    assert torch.backends.cudnn.benchmark


@pytest.mark.parametrize(("batches", "measured"), [(1, 1), (40, 40), (63, 63), (64, 32), (330, 33)])
def test_every_batch_of_a_short_epoch_counts_in_its_training_metrics(
    batches: int, measured: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, batch = _module(), _batch(16)
    module._clock = lambda: 0.0  # there is no trainer
    monkeypatch.setattr(module, "_epoch_batches", lambda batch_idx: batches)
    monkeypatch.setattr("zoomsr.training.module.measure", lambda sr, *_, **__: torch.zeros(1, len(METRICS)))
    monkeypatch.setattr(module, "net", bicubic.Bicubic(2))
    for number in range(batches):
        batch["index"] = torch.tensor([number])
        module.training_step(batch, number)
    assert len(module._train_metric.index) == measured
