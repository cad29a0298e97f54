"""What is in a photograph: pixels, profile, JPEG quality, noise, real resolution."""

from __future__ import annotations

import contextlib
import io
import math
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageCms

from zoomsr.imaging.blocking import JpegTrace, jpeg_trace
from zoomsr.imaging.header import Header
from zoomsr.imaging.noise import noise_sigma
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.real_resolution import enlarged_by
from zoomsr.imaging.sampling import luma_samples
from zoomsr.inference.choice import Compression


@dataclass(frozen=True)
class Findings:
    """What is in a photograph.

    Attributes:
        file: as it was named.
        width: in pixels, upright.
        height: the same.
        bits: of a channel, 8 or 16.
        channels: ``grey``, ``RGB``, ``grey and alpha``, ``RGB and alpha``.
        profile: the colour profile's own name, ``unnamed``, or None.
        header: what the file says.
        trace: of an earlier JPEG in the pixels of any other format; None where there is none.
        noise: sd of white noise in luma, of 255 grey levels; None where the picture is too small.
        soft: factor by which it can be shrunk first without loss; 1 for a sharp one, None where nothing says.
        notes: what of the file is not kept.
    """

    file: str
    width: int
    height: int
    bits: int
    channels: str
    profile: str | None
    header: Header
    trace: JpegTrace | None
    noise: float | None
    soft: float | None
    notes: tuple[str, ...]

    @staticmethod
    def of(path: Path, photograph: Photograph, size: tuple[int, int]) -> Findings:
        """Judge a photograph.

        Args:
            path: of its file.
            photograph: its pixels, or those of a part on the grid of a JPEG's blocks.
            size: (height, width) of the whole.
        """
        header, samples = Header.read(path), luma_samples(photograph.pixels)
        noise, soft = noise_sigma(samples), enlarged_by(samples)
        channels = "grey" if photograph.pixels.shape[2] == 1 else "RGB"
        return Findings(
            file=str(path),
            width=size[1],
            height=size[0],
            bits=8 * photograph.pixels.dtype.itemsize,
            channels=channels if photograph.alpha is None else f"{channels} and alpha",
            profile=None if photograph.icc is None else _profile_name(photograph.icc),
            header=header,
            trace=None if header.is_jpeg else jpeg_trace(samples),
            noise=None if math.isnan(noise) else round(noise, 2),
            soft=None if math.isnan(soft) else soft,
            notes=photograph.notes,
        )

    @property
    def compression(self) -> Compression:
        """By which a net is chosen."""
        return Compression.found(self.header, self.trace)

    @property
    def file_lines(self) -> tuple[str, str]:
        """``8 bit RGB``, and ``profile sRGB``."""
        return f"{self.bits} bit {self.channels}", "no profile" if self.profile is None else f"profile {self.profile}"

    @property
    def lines(self) -> list[str]:
        """Compression, noise, resolution and notes."""
        lines = [
            self.compression.evidence,
            "noise: too small to say" if self.noise is None else f"noise {self.noise:.1f} of 255",
        ]
        if self.soft is None:
            lines.append("resolution: too small or too flat to say")
        elif self.soft == 1:
            lines.append("sharp")
        else:
            lines.append(f"soft: shrinking by {self.soft:g} first loses nothing")
        return [*lines, *self.notes]


def _profile_name(icc: bytes) -> str:
    with contextlib.suppress(Exception):  # LittleCMS raises errors of several types on damaged profiles
        return ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))).strip() or "unnamed"
    return "unnamed"
