import math
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from _support.tiny import TINY, photograph

from zoomsr.imaging.degradations import Bicubic, BlurBicubic
from zoomsr.imaging.resize import resize
from zoomsr.models.ircnn import IRCNN, IRCNNDenoiser
from zoomsr.pretrained.weights import Weights

LR = torch.from_numpy(photograph(16, 20)).permute(2, 0, 1)[None].double() / 255


def _ircnn(**settings: Any) -> IRCNN:
    return IRCNN(scale=2, degradation=Bicubic(2), width=4, **settings).double()


def test_folding_batch_norm_changes_nothing() -> None:
    denoiser = IRCNNDenoiser(channels=1, width=6).double()
    for layer in denoiser.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 2)
            torch.nn.init.normal_(layer.bias)
            torch.nn.init.normal_(layer.running_mean)
            torch.nn.init.uniform_(layer.running_var, 0.5, 2)
    folded = denoiser.eval().folded().double()
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in folded.modules())
    torch.testing.assert_close(folded(LR), denoiser(LR), atol=1e-6, rtol=1e-6)


def test_grey_denoiser_cleans_each_channel_alone() -> None:
    denoiser = IRCNNDenoiser(channels=1, width=4, batch_norm=False).double()
    channels = [denoiser(LR[:, channel : channel + 1]) for channel in range(3)]
    torch.testing.assert_close(denoiser(LR), torch.cat(channels, 1))


def test_output_is_input_minus_noise() -> None:
    denoiser = IRCNNDenoiser(width=4, batch_norm=False).double()
    torch.nn.init.zeros_(denoiser.noise.weight)
    torch.nn.init.constant_(denoiser.noise.bias, 0.25)
    torch.testing.assert_close(denoiser(LR), LR - 0.25)


def test_schedule_falls_logarithmically_from_12_scale_to_scale() -> None:
    sigmas = _ircnn().sigmas
    assert (sigmas[0], sigmas[-1], len(sigmas)) == (24, 2, 30)
    assert [_ircnn(last_noise=0.5).sigmas[i] for i in (0, -1)] == [24, 1]
    ratios = [math.log(later / earlier) for earlier, later in pairwise(sigmas)]
    assert ratios == pytest.approx([ratios[0]] * 29)


def test_each_noise_level_has_its_denoiser() -> None:
    net = _ircnn(iterations=30, back_projections=1)
    called: list[int] = []
    for number, denoiser in enumerate(net.denoisers, start=1):
        denoiser.register_forward_hook(lambda *_, number=number: called.append(number))
    net(LR)
    assert called == [min(25, max(math.ceil(sigma / 2), 1)) for sigma in net.sigmas]
    assert (called[0], called[-1]) == (12, 1)


def test_without_weights_it_is_iterative_back_projection() -> None:
    net = _ircnn(iterations=1, back_projections=2, channels=3)
    z = resize(LR, (32, 40))
    for _ in range(2):
        z = z + 1.75 * resize(LR - resize(z, (16, 20)), (32, 40))
    torch.testing.assert_close(net(LR), z)
    bicubic, restored = resize(LR, (32, 40)), _ircnn(iterations=30, channels=3)(LR)
    before, after = ((resize(sr, (16, 20)) - LR).square().mean() for sr in (bicubic, restored))
    assert after < 0.2 * before, (before, after)


def test_degradation_of_another_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="scale 3 is not the net's 2"):
        IRCNN(scale=2, degradation=Bicubic(3))


@pytest.mark.slow
def test_a_bank_is_trained_in_one_sweep_and_collected_into_one_file(
    command: Callable[..., Path], evaluate: Callable[..., dict[str, Any]], photos: Path, tmp_path: Path
) -> None:
    tiny = ["model.width=4", "trainer.max_epochs=1", "data.batch_size=4", f"hydra.sweep.dir={tmp_path}/bank"]
    sigmas = f"degradation.sigma={4 / 255:.7f},{2 / 255:.7f}"
    command("-m", "experiment=ircnn_bank", *TINY, *tiny, f"data.root={photos}", "model.channels=1", sigmas)
    script = Path(__file__).parents[2] / "experiments" / "ircnn_bank" / "collect.py"
    subprocess.run([sys.executable, script, "bank", "-o", "bank.safetensors"], cwd=tmp_path, check=True)

    sets = evaluate(f"ckpt={tmp_path}/bank.safetensors", f"data_dir={photos}")["sets"]["photos"]
    assert sets["ircnn"]["modern"]["mean"] != sets["bicubic"]["modern"]["mean"]
    bank, first = Weights.read(tmp_path / "bank.safetensors"), IRCNNDenoiser(channels=1, width=4)
    (run,) = (path.parent for path in (tmp_path / "bank").glob("*/checkpoints") if "0.0078431" in overrides(path))
    Weights.read(run / "checkpoints" / "best.ckpt").load_into(first)
    for name, tensor in first.folded().state_dict().items():
        torch.testing.assert_close(bank.tensors[f"denoisers.0.{name}"].float(), tensor, rtol=1e-3, atol=1e-6)


def overrides(checkpoints: Path) -> str:
    return (checkpoints.parent / ".hydra" / "overrides.yaml").read_text()


def test_a_new_denoiser_starts_near_the_identity() -> None:
    noisy = torch.rand(1, 3, 24, 24)
    assert (IRCNNDenoiser()(noisy) - noisy).abs().max() < 0.2  # by default it would add noise of its own, some 1.0


@pytest.mark.parametrize("kernel_size", [7, 21])
def test_the_halo_covers_the_blur(kernel_size: int) -> None:
    blur = BlurBicubic(2, kernel_size=kernel_size, sigma=5.0)
    net = IRCNN(scale=2, degradation=blur, width=4, iterations=1, back_projections=2).double()
    lr = torch.rand(1, 1, 1, 97, dtype=torch.float64).expand(1, 1, 5, 97).clone().requires_grad_()
    net(lr)[0, 0, 4, 96].backward()
    assert lr.grad is not None
    reached = (lr.grad.abs().amax((0, 1, 2)) > 1e-12).nonzero()
    reach = int((reached - 48).abs().max())
    denoiser = math.ceil(net.denoisers[0].halo / 2)  # type: ignore[operator, arg-type]  # of a ModuleList
    assert kernel_size // 4 < reach <= net.halo - denoiser
