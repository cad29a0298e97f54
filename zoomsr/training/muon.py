"""Muon for convolutional nets: orthogonal updates of weight matrices, Adam for everything else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # Jordan's coefficients: singular values end in about 0.7 to 1.2
_ITERATIONS = 5
_SMALL = 16  # side of a matrix: the last layer's few rows are not worth an orthogonal update


class Muon(Optimizer):
    """Momentum whose update has all singular values near 1, so that no direction of a layer learns slowly.

    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024
    (https://kellerjordan.github.io/posts/muon). A convolution's weight (out, in, k, k) is the matrix (out, in k k).
    Updates are scaled to the size of Adam's, so that Adam's learning rates fit: Liu et al., "Muon is Scalable for LLM
    Training", 2025, arXiv:2502.16982. Biases, and matrices with a side of 16 or less, are updated by Adam (Kingma & Ba,
    ICLR 2015, arXiv:1412.6980). ``torch.optim.Muon`` takes matrices only.

    Args:
        params: all parameters of a net.
        lr: learning rate of both.
        momentum: decay of Muon's mean gradient, which is applied as Nesterov's.
        betas: decays of Adam's mean gradient and mean square.
        eps: added to the root of Adam's mean square.

    Raises:
        ValueError: a negative learning rate.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        lr: float = 1e-3,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
    ) -> None:
        if lr < 0:
            raise ValueError(f"optimizer.lr={lr} must not be negative")
        given = list(params)
        matrices = [one for one in given if one.ndim > 1 and min(one.flatten(1).shape) > _SMALL]
        others = [one for one in given if not any(one is matrix for matrix in matrices)]
        defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps}
        groups = ({"params": matrices, "muon": True}, {"params": others, "muon": False})
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]  # no floats
        """Update every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            pairs = [(one, one.grad) for one in group["params"] if one.grad is not None]
            (self._muon if group["muon"] else self._adam)(pairs, group)
        return loss

    def _muon(self, pairs: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        """Matrices of one shape together, because each is small."""
        alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for one, grad in pairs:
            state = self.state[one]
            if not state:
                state["momentum"] = torch.zeros_like(one)
            mean = state["momentum"]
            mean.lerp_(grad, 1 - group["momentum"])
            update = grad.lerp(mean, group["momentum"]).flatten(1)
            alike[update.shape].append((one, update))
        for shape, directions in alike.items():
            updates = orthogonalized(torch.stack([direction for _, direction in directions]))
            for (one, _), update in zip(directions, updates, strict=True):
                one.sub_(update.reshape(one.shape), alpha=group["lr"] * 0.2 * max(shape) ** 0.5)

    def _adam(self, pairs: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        first, second = group["betas"]
        for one, grad in pairs:
            state = self.state[one]
            if not state:
                state.update(step=0, mean=torch.zeros_like(one), square=torch.zeros_like(one))
            state["step"] += 1
            state["mean"].lerp_(grad, 1 - first)
            state["square"].lerp_(grad.square(), 1 - second)
            root = (state["square"] / (1 - second ** state["step"])).sqrt() + group["eps"]
            one.addcdiv_(state["mean"], root, value=-group["lr"] / (1 - first ** state["step"]))


def orthogonalized(matrices: Tensor) -> Tensor:
    """The nearest matrices with orthonormal rows or columns, roughly: (N, rows, columns) to the same.

    Newton-Schulz iterations in place of a singular value decomposition; the singular values come out between 0.7 and
    1.2, unless they were tiny beside the largest.
    """
    rows, columns = matrices.shape[1:]
    x: Tensor = matrices.mT if rows > columns else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-7)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if rows > columns else x
