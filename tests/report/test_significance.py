"""Intervals and tests against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from zoomsr.report.significance import holm, interval, signed_rank


def test_signed_rank_of_five_pictures_that_all_gain() -> None:
    # Of 2^5 equally likely signs, two are as extreme: all plus, all minus.
    assert signed_rank([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(2 / 32)


def test_signed_rank_of_four_pictures_of_which_one_loses_least() -> None:
    # Ranks 1 (minus), 2, 3, 4: the smaller sum is 1; {} and {1} reach it, both ways: 4 of 16.
    assert signed_rank([-0.1, 0.2, 0.3, 0.4]) == pytest.approx(4 / 16)


def test_signed_rank_of_equals_is_one_and_of_two_pictures_unknown() -> None:
    assert signed_rank([0.0, 1e-12, -1e-12]) == 1.0
    assert signed_rank([1.0, 2.0]) is None


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.04, 0.5 times 4, 3, 2, 1: 0.04, 0.06, 0.08, 0.5.
    assert holm([0.04, 0.5, 0.01, 0.02]) == pytest.approx([0.08, 0.5, 0.04, 0.06])


def test_holm_never_falls_and_never_passes_one() -> None:
    assert holm([0.02, 0.021, 0.9]) == pytest.approx([0.06, 0.06, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_interval_is_that_of_a_mean_and_always_the_same() -> None:
    values = list(np.random.default_rng(1).normal(30, 2, 400))
    low, high = interval(values) or (0, 0)
    error = 1.96 * np.std(values, ddof=1) / 20  # the normal approximation, good of 400
    assert (low, high) == pytest.approx((np.mean(values) - error, np.mean(values) + error), abs=0.02)
    assert interval(values) == (low, high)


def test_interval_is_skewed_as_the_values_are() -> None:
    low, high = interval([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0]) or (0, 0)
    assert 1.25 - low < high - 1.25


def test_interval_of_equals_is_a_point_and_of_two_pictures_unknown() -> None:
    assert interval([100.0, 100.0, 100.0]) == (100.0, 100.0)
    assert interval([30.0, 31.0]) is None
