"""Confidence intervals and significance tests over images, after the seeds of a net are averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

MIN_IMAGES = 3
"""For fewer there is neither interval nor test."""

RESAMPLES = 9999
_SEED = 0

Interval = tuple[float, float]


def interval(values: Sequence[float]) -> Interval | None:
    """95 % interval of the mean: bootstrap over images, bias-corrected and accelerated, always with the same seed.

    Efron, "Better bootstrap confidence intervals", JASA 82(397), 1987.

    Returns:
        Lower and upper end; None where there are fewer than ``MIN_IMAGES`` values.
    """
    if len(values) < MIN_IMAGES:
        return None
    if np.ptp(values) < 1e-12:
        return values[0], values[0]  # every resample has the same mean
    found = stats.bootstrap(
        (np.asarray(values),),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=0.95,
        method="BCa",
        rng=np.random.default_rng(_SEED),
    ).confidence_interval
    return float(found.low), float(found.high)


def signed_rank(differences: Sequence[float]) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test that images differ by zero; exact where scipy's is.

    Of n images it is never below 2 / 2^n: 0.0625 of five.

    Returns:
        p, 1 where nothing differs; None where there are fewer than ``MIN_IMAGES`` images.
    """
    if len(differences) < MIN_IMAGES:
        return None
    rounded = np.round(differences, 9)  # the last bits are no difference
    if not rounded.any():
        return 1.0
    return float(stats.wilcoxon(rounded).pvalue)


def holm(values: Sequence[float]) -> list[float]:
    """The p values of several tests, corrected so that the probability of any false finding stays at the level.

    ::

        p'(i) = max over j <= i of min(1, (m - j + 1) p(j)),  p(1) <= ... <= p(m)

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6(2), 1979.
    """
    corrected = [0.0] * len(values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(values)), key=lambda index: values[index])):
        largest = max(largest, min(1.0, (len(values) - rank) * values[index]))
        corrected[index] = largest
    return corrected
