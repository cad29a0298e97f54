"""A net as a package for darktable's AI task "upscale": one zip archive, ``NAME.dtmodel``.

::

    upscale-NAME/            named by the package's id
        config.json          id, name, task ..., and a model card that darktable shows
        model_x2.onnx        float32 input (1, 3, H, W), sRGB on [0, 1], to output (1, 3, 2H, 2W)
        model_x4.onnx        where there is a net for it
        README.md            model card with the properties that darktable-ai asks for
        provenance.json      training data, photograph by photograph where a manifest lists them, and scores

The format is that of ``docs/dtmodel-format.md`` and ``docs/model-yaml-spec.md`` in andriiryzhkov/darktable-ai-sdk at
1d14e44, the task that of ``dev-doc/AI_Tasks.md`` in darktable-org/darktable at 505cf46, the model card that of
``README.md`` in darktable-org/darktable-ai at 44ddb0c (all of 2026, for darktable 5.6). That repository's pull request
23 names opset 20 as the newest that the oldest supported runtime (ONNX Runtime 1.18) reads.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from zoomsr.cli.console import say
from zoomsr.data.sources.photographs import sample
from zoomsr.engines.onnx import OnnxRuntime
from zoomsr.imaging.photo import Photograph
from zoomsr.imaging.pixels import to_float
from zoomsr.inference.export_options import Form
from zoomsr.inference.model_card import PackedNet, card_fields, markdown, seam_words
from zoomsr.inference.onnx_file import onnx_file
from zoomsr.inference.seams import measured

SCALES = (2, 4)
"""By which darktable enlarges."""

OVERLAP = 16
"""lr pixels around a tile that darktable cuts off again."""

TILES = (512, 384, 256, 192)
"""Sides of its tiles in lr pixels; it tries the largest first."""

_OPSET = 20
_SIDE = 320  # of a crop on which seams are measured, in lr pixels: two tiles each way, for the time's sake


def dtmodel(out: Path, nets: Sequence[PackedNet], *, half: bool) -> bytes:
    """The content of a package, after each net's seams were measured on the sample's photographs, and printed.

    Args:
        out: the file, whose name gives the id.
        nets: at most one for each of ``SCALES``.
        half: store weights in float16.

    Raises:
        ValueError: a name that is no id, a net of another scale, or one that cannot be exported.
    """
    package = _id(out)
    for one in nets:
        if one.net.scale not in SCALES:
            raise ValueError(f"darktable enlarges by 2 and by 4, and this net by {one.net.scale}")
        if OVERLAP % one.net.multiple_of:
            grid = one.net.multiple_of
            raise ValueError(
                f"darktable's tiles begin every {OVERLAP} px, which is no multiple of {grid}, the net's grid"
            )
    nets = sorted(nets, key=lambda one: one.net.scale)
    pictures = [_picture(photo.path) for photo in sample().val]
    files: dict[str, str | bytes] = {}
    for number, one in enumerate(nets):
        graph, nets[number] = _packed(one, pictures, half=half)
        files[one.file] = graph
    files["README.md"] = markdown(package, nets, half=half)
    files["provenance.json"] = _json({one.file: {**asdict(one.origin), **one.facts} for one in nets})
    say({"package": f"{package}: {', '.join(['config.json', *files])}"})
    if out.stem != package:
        say({"note": f"darktable-ai publishes it as {package}.dtmodel; it installs from any file name"})
    return _archive(package, {"config.json": _json(_config(package, nets)), **files})


def _id(out: Path) -> str:
    name = out.stem.lower().replace("_", "-").removeprefix("upscale-")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"-o {out}: darktable wants a name of letters, digits and single hyphens, as unet.dtmodel")
    return f"upscale-{name}"


def _packed(one: PackedNet, pictures: Sequence[Tensor], *, half: bool) -> tuple[bytes, PackedNet]:
    """The ONNX file, and the net with its seam."""
    net = one.net
    facts = {**one.facts, "net": type(net).__name__}
    graph = onnx_file(cast(nn.Module, net), Form(opset=_OPSET, half=half), facts)
    run = OnnxRuntime.open(graph, threads=torch.get_num_threads(), bfloat16=False).run
    say({"seam": f"x{net.scale}: measuring on {len(pictures)} photographs"})
    seam = measured(net, run, pictures, tile=TILES[-1], overlap=OVERLAP)  # the smallest tiles have the most seams
    for words in seam_words(seam):
        say({"seam": f"x{net.scale}: {words}"})
    return graph, replace(one, seam=seam)


def _picture(path: Path) -> Tensor:
    """The middle of a photograph, (1, 3, H, W), on [0, 1]."""
    photograph = Photograph.read(path)
    pixels = photograph.cropped(photograph.middle(_SIDE)).pixels
    return to_float(torch.from_numpy(pixels.copy()).permute(2, 0, 1))[None].contiguous()


def _config(package: str, nets: Sequence[PackedNet]) -> dict[str, Any]:
    factors = " and ".join(f"{one.net.scale}x" for one in nets)
    return {
        "id": package,
        "name": package.replace("-", " "),
        "description": f"{factors} super-resolution, trained by a pixel loss without a GAN",
        "task": "upscale",
        "arch": type(nets[0].net).__name__.lower(),
        "backend": "onnx",
        "version": "1.0",
        "tiling": True,
        "github_asset": f"{package}.dtmodel",
        "default": False,
        "model_card": card_fields(nets),
        "attributes": {"input_sizes": list(TILES)},
    }


def _json(data: Mapping[str, Any]) -> str:
    return json.dumps(data, indent=4, ensure_ascii=False, allow_nan=False) + "\n"


def _archive(package: str, files: Mapping[str, str | bytes]) -> bytes:
    """A zip file whose every entry lies in the folder; the same bytes for the same content."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(f"{package}/{name}", date_time=(1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, compress_type=zipfile.ZIP_DEFLATED)
    return content.getvalue()
