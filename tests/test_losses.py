import pytest
import torch

from zoomsr.losses import Charbonnier


def test_charbonnier_equals_its_formula() -> None:
    sr, hr = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    expected = ((sr - hr) ** 2 + 0.01**2).sqrt().mean()
    torch.testing.assert_close(Charbonnier(eps=0.01)(sr, hr), expected)


def test_charbonnier_has_a_finite_gradient_at_zero_error() -> None:
    sr = torch.zeros(1, 3, 4, 4, requires_grad=True)
    Charbonnier()(sr, torch.zeros(1, 3, 4, 4)).backward()
    assert sr.grad is not None
    assert torch.equal(sr.grad, torch.zeros_like(sr))


def test_charbonnier_refuses_eps_zero() -> None:
    with pytest.raises(ValueError, match="eps 0"):
        Charbonnier(eps=0)
