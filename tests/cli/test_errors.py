"""What a mistyped name may mean."""

from __future__ import annotations

import pytest

from zoomsr.cli.errors import nearest

KNOWN = ["model", "optimizer.lr", "trainer.max_epochs", "data.patch", "data.module.patch", "data.val_patch"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("lr", ["optimizer.lr"]),
        ("optim.lr", ["optimizer.lr"]),
        ("module.patch", ["data.module.patch", "data.patch"]),
        ("modle", ["model"]),
        ("data.vall_patch", ["data.val_patch", "data.patch"]),
        ("max_epoch", ["trainer.max_epochs"]),
        ("xyzzy", []),
    ],
)
def test_the_nearest_has_the_same_end_or_is_similar(name: str, found: list[str]) -> None:
    assert nearest(name, KNOWN) == found


def test_three_names_at_most() -> None:
    assert nearest("seed", [f"a{number}.seed" for number in range(9)]) == ["a0.seed", "a1.seed", "a2.seed"]
