"""The page's work, without the page: choose a crop, upscale it, compare it with the input and with the ground truth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from zoomsr.figures import ERROR_RANGE
from zoomsr.figures.ramp import RAMP, ramped
from zoomsr.imaging.jpeg_quality import NEVER_COMPRESSED
from zoomsr.imaging.photo import CropBox, Photograph
from zoomsr.imaging.pixels import PixelArray, to_8bit, to_float
from zoomsr.imaging.resize import downscale
from zoomsr.inference.certificate import detail_map, reshrink_error
from zoomsr.inference.choice import JPEG_NET, Compression, open_for
from zoomsr.inference.upscaler import NetOptions, Upscaler
from zoomsr.metrics.protocol import MODERN
from zoomsr.metrics.quality import METRICS, measure
from zoomsr.models import n_parameters
from zoomsr.pretrained.names import pretrained_nets
from zoomsr.webapp.opened import SCALES, Opened

_MAX_OPENED = 16  # nets: of each scale, quality and strength one
_CONTEXT = 4  # lr pixels around a crop that its downscaled picture depends on, and to spare
_FRAME = (57, 211, 83)
RAMP_CSS = f"linear-gradient(to right, {', '.join(f'rgb({r:.0f} {g:.0f} {b:.0f})' for r, g, b in RAMP)})"
"""The colours of ``error_map``, from 0 to ``ERROR_RANGE``."""


class Upscaled(NamedTuple):
    """A crop upscaled by a net.

    Attributes:
        name: of the net.
        photograph: the result.
        seconds: that it took.
        params: number of the net's parameters.
        added: where detail was added, see ``zoomsr.inference.certificate.detail_map``; None of bicubic.
        error: the largest and the mean difference from the crop when it is shrunk again, in grey levels.
    """

    name: str
    photograph: Photograph
    seconds: float
    params: int
    added: PixelArray | None = None
    error: tuple[float, float] | None = None


class Score(NamedTuple):
    """PSNR (dB) and SSIM on Y, protocol ``modern``."""

    psnr_y: float
    ssim_y: float


class Nets:
    """The nets on offer: bicubic, the weights that come with the package, and files. The last that were used stay open.

    Args:
        files: of weights; opened now, so that a mistake is seen before the page is.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.
        engine: ``auto``, ``torch``, ``openvino``, ``onnx``.
        own: classes of the user's own that the files may hold.

    Raises:
        ValueError: no such file, no such device or engine, or a net that reaches none of ``SCALES``.
    """

    def __init__(
        self, files: Sequence[str], *, device: str, engine: str = "auto", own: frozenset[str] = frozenset()
    ) -> None:
        pretrained = pretrained_nets()
        # unet stands for unet_x3 and unet_x4 too.
        names = ["bicubic", *(one for one in pretrained if one.rpartition("_x")[0] not in pretrained)]
        # Every run has a best.ckpt: where names would be the same, the whole path tells them apart.
        stems = Counter([*names, *(Path(file).stem for file in files)])
        self._models = {name: name for name in names} | {
            file if stems[Path(file).stem] > 1 else Path(file).stem: file for file in files
        }
        self._files = frozenset(files)
        self._how = NetOptions(device=device, engine=engine, nets=own)
        self._cached = lru_cache(maxsize=_MAX_OPENED)(self._opened)
        for name, model in self._models.items():
            if model in ("bicubic", *files):
                self._opened(name, None)

    @property
    def names(self) -> list[str]:
        """Bicubic first."""
        return list(self._models)

    @property
    def chosen(self) -> list[str]:
        """Those that are run unless the visitor says otherwise: bicubic, what ``zoom`` takes by default, the files."""
        return [name for name, model in self._models.items() if name in ("bicubic", "unet") or model in self._files]

    def open(self, name: str, scale: int, *, quality: float = NEVER_COMPRESSED, strength: float = 1.0) -> Upscaler:
        """The net of that name, of that scale where there is one.

        ``JPEG_NET`` of a compressed picture is helped to other scales as in ``zoom``, see ``open_for``.

        Args:
            name: see ``names``.
            scale: of the enlargement.
            quality: JPEG quality of the picture.
            strength: 0 for bicubic, 1 for the net.

        Raises:
            ValueError: there is none, its file is broken, or it does not reach the scale.
        """
        if name not in self._models:
            raise ValueError(f"no net is called {name}; there are: {', '.join(self.names)}")
        compression = Compression.told(quality)
        is_chosen = name == compression.net == JPEG_NET
        net = open_for(
            compression,
            lambda name, scale, quality: self._cached(name, scale, quality, strength),
            model=None if is_chosen else name,
            scale=scale,
        )
        net.passes(scale)
        return net if net.restorer is None else replace(net, name=f"{net.restorer.name} + {net.name}")

    def _opened(
        self, name: str, scale: int | None, quality: float = NEVER_COMPRESSED, strength: float = 1.0
    ) -> Upscaler:
        net = Upscaler.open(self._models[name], scale, replace(self._how, strength=strength), quality=quality)
        if net.net.scale not in SCALES:
            raise ValueError(f"{name} enlarges by {net.net.scale}, and the page by {', '.join(map(str, SCALES))}")
        return replace(net, name=name)


def snapped(left: float, top: float, *, size: tuple[int, int], side: int, grid: int = 1) -> CropBox:
    """The square nearest to a corner that lies inside a picture and on a grid; smaller where the picture is.

    Args:
        left: of the corner, in pixels.
        top: of the corner.
        size: (height, width) of the picture.
        side: of the square.
        grid: its corner lies on multiples of this.
    """
    height, width = size
    box_height, box_width = min(side, height), min(side, width)
    x, y = (max(0, min(round(value), most)) for value, most in ((left, width - box_width), (top, height - box_height)))
    return CropBox(x - x % grid, y - y % grid, box_width, box_height)


def framed(photograph: Opened, box: CropBox) -> PixelArray:
    """The preview with the crop framed, and its surroundings darker; (h, w, 3) uint8."""
    height, width = photograph.preview.shape[:2]
    across, down = width / photograph.size[1], height / photograph.size[0]
    left, top = round(box.left * across), round(box.top * down)
    right = max(left + 1, min(width, round((box.left + box.width) * across)))
    bottom = max(top + 1, min(height, round((box.top + box.height) * down)))
    pixels = (photograph.preview * 0.6).astype(np.uint8)
    pixels[top:bottom, left:right] = photograph.preview[top:bottom, left:right]
    picture = Image.fromarray(pixels)
    line = max(2, max(height, width) // 300)
    ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), outline=_FRAME, width=line)
    return np.asarray(picture)


def at_click(photograph: Opened, x: float, y: float) -> tuple[float, float]:
    """(x, y) in the preview's pixels as (x, y) in the photograph's."""
    height, width = photograph.preview.shape[:2]
    return (x + 0.5) * photograph.size[1] / width, (y + 0.5) * photograph.size[0] / height


def upscaled(crop: Photograph, net: Upscaler, scale: int) -> Upscaled:
    """The crop by the net, timed; then held against the crop."""
    start = time.perf_counter()
    larger = net.upscale(crop, scale=scale)
    seconds = time.perf_counter() - start
    nets = [cast(nn.Module, one.net) for one in (net.restorer, net) if one is not None]
    params = sum(map(n_parameters, nets))
    if net.weights is None:  # bicubic
        return Upscaled(net.name, larger, seconds, params)
    before, after = crop.interleaved, larger.interleaved
    error = reshrink_error(before, after, scale=net.net.scale, passes=net.passes(scale))
    return Upscaled(net.name, larger, seconds, params, detail_map(before, after, factor=scale), error)


def nearest(crop: Photograph, scale: int) -> Photograph:
    """Nearest-neighbour upscaling: each pixel a square."""
    alpha = None if crop.alpha is None else crop.alpha.repeat(scale, 0).repeat(scale, 1)
    return replace(crop, pixels=crop.pixels.repeat(scale, 0).repeat(scale, 1), alpha=alpha)


def with_ground_truth(photograph: Photograph, box: CropBox, scale: int) -> tuple[Photograph, Photograph]:
    """A crop made smaller, as MATLAB's ``imresize`` makes it of the whole photograph, and the crop itself.

    Args:
        photograph: its transparency is left out.
        box: with corners and sides that are multiples of the scale.
        scale: hr over lr.

    Returns:
        lr and hr, 8 bit.
    """
    hr = replace(photograph.cropped(box), alpha=None)
    height, width = (side - side % scale for side in photograph.size)
    context = _CONTEXT * scale
    left, top = max(0, box.left - context), max(0, box.top - context)
    right = min(width, box.left + box.width + context)
    bottom = min(height, box.top + box.height + context)
    around = photograph.cropped(CropBox(left, top, right - left, bottom - top))
    lr = downscale(_planes(around), scale).permute(1, 2, 0).numpy()
    x, y = (box.left - left) // scale, (box.top - top) // scale
    lr = np.ascontiguousarray(lr[y : y + box.height // scale, x : x + box.width // scale])
    return replace(hr, pixels=lr), replace(hr, pixels=to_8bit(hr.pixels))


def score(sr: Photograph, hr: Photograph, scale: int) -> Score:
    """Protocol ``modern``, of the 8-bit picture."""
    values = measure(_tensor(sr), _tensor(hr), protocol=MODERN, border=scale).tolist()
    return Score(values[METRICS.index("psnr_y")], values[METRICS.index("ssim_y")])


def error_map(sr: Photograph, hr: Photograph) -> PixelArray:
    """|sr - hr|, the mean of R, G and B, in the colours of ``RAMP_CSS``; (H, W, 3) uint8."""
    return ramped((_tensor(sr) - _tensor(hr)).abs().mean(0).numpy() / ERROR_RANGE)


def _tensor(photograph: Photograph) -> Tensor:
    """(C, H, W) on [0, 1]."""
    return to_float(_planes(photograph))


def _planes(photograph: Photograph) -> Tensor:
    """(C, H, W) uint8; a copy, for torch wants to be able to write."""
    return torch.from_numpy(to_8bit(photograph.pixels).transpose(2, 0, 1).copy())
