"""A raw photograph in a DNG: mosaic, white balance, colour matrix, orientation (Adobe, "Digital Negative")."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import tifffile

# Linear sRGB to XYZ (IEC 61966-2-1): a camera with sRGB's primaries.
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def write_dng(path: Path, light: np.ndarray, *, neutral: tuple[float, ...] | None, orientation: int = 1) -> None:
    """Write a mosaic RG/GB of 16 bit, uncompressed; for a light of one channel what a monochrome sensor sees.

    Args:
        path: of the file.
        light: (H, W, 3) on [0, 1], linear sRGB, or (H, W, 1).
        neutral: what the sensor sees of white, in red, green and blue; None leaves the white balance out.
        orientation: EXIF's.
    """
    seen = np.round(light * (neutral or 1) * 65535).astype(np.uint16)
    is_grey = seen.shape[2] == 1
    mosaic = seen[..., -2 % seen.shape[2]].copy()
    if not is_grey:
        mosaic[::2, ::2], mosaic[1::2, 1::2] = seen[::2, ::2, 0], seen[1::2, 1::2, 2]
    tags = [
        (271, "s", 0, "a camera", True),
        (274, "H", 1, orientation, True),
        (50706, "B", 4, bytes((1, 4, 0, 0)), True),
        (50708, "s", 0, "a camera of a test", True),
        (50717, "H", 1, 65535, True),
        (50778, "H", 1, 21, True),
    ]
    if not is_grey:
        tags += [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes((0, 1, 1, 2)), True)]
        tags.append((50721, "2i", 9, _fractions(np.linalg.inv(_XYZ).ravel()), True))
    if neutral is not None:
        tags.append((50728, "2I", 3, _fractions(np.array(neutral)), True))
    tifffile.imwrite(path, mosaic, photometric="minisblack" if is_grey else 32803, extratags=tags, metadata=None)
    if is_grey:  # tifffile writes no LinearRaw of one channel
        kind, other = (struct.pack("<HHIHH", 262, 3, 1, number, 0) for number in (1, 34892))
        path.write_bytes(path.read_bytes().replace(kind, other))


def _fractions(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(part) for value in values for part in (round(value * 10_000), 10_000))
