"""Traces of a JPEG in decoded pixels: the grid of 8x8 blocks, and the quality.

The grid: T. Nikoukhah, J. Anger, M. Colom, J.-M. Morel, R. Grompone von Gioi, "ZERO: a Local JPEG Grid Origin Detector
Based on the Number of DCT Zeros and its Applications in Image Forensics", IPOL 11, 2021, doi:10.5201/ipol.2021.390.
The quality: Z. Fan, R. L. de Queiroz, "Identification of Bitmap Compression History: JPEG Detection and Quantizer
Estimation", IEEE TIP 12(2), 2003, which estimates each step by maximum likelihood. Here instead

- a grid votes once for each place of 8x8 pixels, not for each pixel, so that votes share no block of the same grid;
- the winner must also have twice the votes of the next: an enlargement by 2 favours several grids alike;
- one quality of libjpeg is sought, not 63 steps.

What it cannot see: a JPEG that was shrunk, enlarged or turned by odd angles afterwards (the grid is lost), quality 99
and 100, tables of another form than libjpeg's (a grid without a quality), and the later one of two compressions on the
same grid, if the earlier one was coarser.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoomsr.imaging.jpeg_quality import QUALITIES, luma_table

Plane = NDArray[np.float32]

_MAX_LOG10_NFA = -10.0  # log10 of the expected number of false alarms: ZERO takes 0, for independent votes
_LEAD = 2.0  # of the winner's votes over the next
_SIGMA = 0.35  # of a coefficient in grey levels: rounding of the pixels alone gives 12**-0.5
_OUTLIERS = 0.02  # share of coefficients that rounding does not explain
_MIN_EVIDENCE = 0.05  # nats for each coefficient over no quantisation
_MIN_COEFFICIENTS, _MAX_COEFFICIENTS = 100, 8000


def _dct_matrix() -> NDArray[np.float32]:
    """The 8x8 DCT of a block in row order, orthonormal: (64, 64)."""
    index = np.arange(8)
    rows = np.cos((2 * index[None] + 1) * index[:, None] * np.pi / 16) / 2
    rows[0] /= math.sqrt(2)
    return np.kron(rows, rows).astype(np.float32)


_DCT = _dct_matrix()


@dataclass(frozen=True)
class JpegTrace:
    """Traces of a JPEG in pixels.

    Attributes:
        row: of the first whole block, 0 to 7: above 0 where the picture was cropped.
        column: the same.
        quality: 1 to 98, or None where no quality of libjpeg explains the coefficients.
    """

    row: int
    column: int
    quality: int | None


def jpeg_trace(samples: Sequence[Plane]) -> JpegTrace | None:
    """Whether decoded pixels were a JPEG once; None where there is no trace of it.

    Args:
        samples: parts of luma, (H, W) on [0, 255], not rounded; their origins are multiples of 8 in the picture.
    """
    votes = sum((_votes(sample) for sample in samples if min(sample.shape) >= 15), np.zeros(64, np.int64))
    total, winner = int(votes.sum()), int(votes.argmax())
    if total == 0 or _log10_nfa(int(votes[winner]), total) > _MAX_LOG10_NFA:
        return None
    if votes[winner] < _LEAD * np.sort(votes)[-2]:
        return None
    row, column = divmod(winner, 8)
    return JpegTrace(row, column, _quality([sample[row:, column:] for sample in samples]))


def _blocks(sample: Plane, rows: int, columns: int) -> NDArray[np.float32]:
    """(rows columns, 64): the blocks from the upper left corner on."""
    part = sample[: 8 * rows, : 8 * columns].reshape(rows, 8, columns, 8)
    return part.transpose(0, 2, 1, 3).reshape(-1, 64)


def _votes(sample: Plane) -> NDArray[np.int64]:
    """Votes of a sample's places for each of the 64 grids: for the one whose block has most zeros, if it is alone.

    A place with a block that is constant along rows or columns, as in flat parts and gradients, has no vote.
    """
    rows, columns = (sample.shape[0] - 7) // 8, (sample.shape[1] - 7) // 8
    zeros = np.empty((64, rows * columns), np.int16)
    for grid in range(64):
        row, column = divmod(grid, 8)
        blocks = _blocks(sample[row:, column:], rows, columns)
        zeros[grid] = (np.abs(blocks @ _DCT.T) < 0.5).sum(1)
        square = blocks.reshape(-1, 8, 8)
        zeros[grid][(np.ptp(square, 1).max(1) < 0.01) | (np.ptp(square, 2).max(1) < 0.01)] = -1
    is_alone = (zeros == zeros.max(0)).sum(0) == 1
    return np.bincount(zeros.argmax(0)[is_alone & (zeros >= 0).all(0)], minlength=64)


def _log10_nfa(votes: int, total: int) -> float:
    """Upper bound (Hoeffding's) of the expected number of grids with so many votes, were each vote one of 64."""
    share, chance = votes / total, 1 / 64
    if share <= chance:
        return math.log10(64)
    divergence = share * math.log(share / chance)
    divergence += (1 - share) * math.log((1 - share) / (1 - chance)) if share < 1 else 0
    return (math.log(64) - total * divergence) / math.log(10)


def _quality(samples: Sequence[Plane]) -> int | None:
    """The quality whose quantisation makes the AC coefficients, blocks aligned with the samples, most likely.

    Coefficients lie at multiples of a step, with the error of the pixels' rounding; those near 0 say nothing.
    """
    blocks = np.concatenate([_blocks(sample, sample.shape[0] // 8, sample.shape[1] // 8) for sample in samples])
    blocks = blocks[(blocks.min(1) > 1) & (blocks.max(1) < 254)]  # clipping moves coefficients
    values = (blocks @ _DCT.T)[:, 1:]
    is_used = np.abs(values) > 1
    steps_of = np.broadcast_to(np.arange(1, 64), values.shape)[is_used]
    values = values[is_used]
    if len(values) < _MIN_COEFFICIENTS:
        return None
    stride = -(-len(values) // _MAX_COEFFICIENTS)
    values, steps_of = values[::stride], steps_of[::stride]
    evidence = [_log_likelihood(values, luma_table(quality)[steps_of]) for quality in QUALITIES]
    best = int(np.argmax(evidence))
    return QUALITIES[best] if evidence[best] > evidence[-1] + _MIN_EVIDENCE else None


def _log_likelihood(values: NDArray[np.float32], steps: NDArray[np.float64]) -> float:
    """Mean logarithm of the density of coefficients near multiples of their steps, over that of none quantised."""
    error = values - steps * np.round(values / steps)
    density = steps * np.exp(-0.5 * (error / _SIGMA) ** 2) / (_SIGMA * math.sqrt(2 * math.pi))
    return float(np.log((1 - _OUTLIERS) * density + _OUTLIERS).mean())
