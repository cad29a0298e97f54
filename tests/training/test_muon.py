"""Muon against torch's own optimizers."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from zoomsr.training.muon import Muon, orthogonalized


def _matrices(n: int, rows: int, columns: int) -> Tensor:
    return torch.randn(n, rows, columns, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("rows", "columns"), [(24, 90), (90, 24), (24, 24)])
def test_an_update_keeps_the_directions_and_levels_the_singular_values(rows: int, columns: int) -> None:
    matrices = _matrices(2, rows, columns)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    found = left.mT @ orthogonalized(matrices) @ right.mT
    values = found.diagonal(dim1=1, dim2=2)
    assert (found - torch.diag_embed(values)).abs().max() < 1e-4
    assert values.max() < 1.25
    assert values.quantile(0.1) > 0.65


def test_a_matrix_is_updated_as_by_torch_s_muon() -> None:
    ours = nn.Parameter(_matrices(1, 24, 90)[0])
    theirs = nn.Parameter(ours.detach().clone())
    start = ours.detach().clone()
    optimizers = (
        Muon([ours], lr=1e-2),
        torch.optim.Muon([theirs], lr=1e-2, weight_decay=0, adjust_lr_fn="match_rms_adamw"),
    )
    for step in range(3):
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = _matrices(3, 24, 90)[step]
            optimizer.step()
    moved, expected = ours.detach() - start, theirs.detach() - start
    assert expected.norm() > 0.1
    assert (moved - expected).norm() < 0.02 * expected.norm()  # torch iterates in bfloat16


def test_a_convolution_is_a_matrix_in_either_memory_format() -> None:
    plain = nn.Conv2d(20, 24, 3, bias=False)
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    matrix = nn.Parameter(plain.weight.detach().flatten(1).clone())
    grad = torch.randn(24, 20, 3, 3, generator=torch.Generator().manual_seed(1))
    for parameter in (plain.weight, last.weight, matrix):
        parameter.grad = grad.reshape(parameter.shape)
        Muon([parameter], lr=1e-2).step()
    assert torch.equal(plain.weight.flatten(1), matrix)
    torch.testing.assert_close(last.weight, plain.weight)


def test_biases_and_small_matrices_are_updated_as_by_adam() -> None:
    ours = nn.Conv2d(20, 12, 3)
    theirs = copy.deepcopy(ours)
    optimizers = Muon(ours.parameters(), lr=1e-2), torch.optim.Adam(theirs.parameters(), lr=1e-2, betas=(0.9, 0.99))
    for step in range(3):
        for net, optimizer in zip((ours, theirs), optimizers, strict=True):
            generator = torch.Generator().manual_seed(step)
            for parameter in net.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_its_state_is_restored() -> None:
    def stepped(optimizer: Muon, net: nn.Module, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in net.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()

    net = nn.Conv2d(20, 24, 3)
    optimizer = Muon(net.parameters())
    stepped(optimizer, net, 0)
    other = copy.deepcopy(net)
    resumed = Muon(other.parameters())
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, its in ((optimizer, net), (resumed, other)):
        stepped(one, its, 1)
    assert torch.equal(net.weight, other.weight)
    assert torch.equal(net.bias, other.bias)


def test_a_negative_learning_rate_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optimizer\.lr=-1 must not be negative"):
        Muon([nn.Parameter(torch.zeros(2))], lr=-1)
