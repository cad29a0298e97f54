"""Model cards of packages for darktable and of folders for Hugging Face: in Markdown, and as the fields of darktable.

The properties are those of "Model selection criteria" in darktable-ai's README at 44ddb0c. An unknown one is said
to be not stated.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from zoomsr.inference.release import Origin
from zoomsr.inference.seams import HALF_LEVEL, Seam
from zoomsr.models import Net

NOT_STATED = "not stated"


@dataclass(frozen=True)
class PackedNet:
    """A net of a package.

    Attributes:
        net: in eval mode.
        origin: how it was trained.
        facts: its licence and other metadata.
        seam: that is left between darktable's tiles; None until it was measured.
    """

    net: Net
    origin: Origin
    facts: Mapping[str, str]
    seam: Seam | None = None

    @property
    def file(self) -> str:
        """Its ONNX file, as darktable looks for it."""
        return f"model_x{self.net.scale}.onnx"

    @property
    def licence(self) -> str:
        """Of its weights."""
        return self.facts["licence"]


def seam_words(seam: Seam) -> list[str]:
    """What a seam means, a line each."""
    if seam.most <= HALF_LEVEL:
        advice = "no more than half a level"
    elif seam.needed is None:
        advice = "no overlap would leave half a level or less"
    else:
        advice = f"an overlap of {seam.needed} px would leave half a level or less"
    return [
        f"seams of at most {seam.most:.2f} of 255 levels, {seam.mean:.4f} on average, between tiles of {seam.tile} px "
        f"with an overlap of {seam.overlap} px: {advice}",
        f"{seam.border:.2f} levels at most at the picture's border, which darktable mirrors and the net pads",
    ]


def card_fields(nets: Sequence[PackedNet]) -> dict[str, str]:
    """The fields of ``model_card`` in config.json, all of them text."""
    return {
        "long_description": f"{_architecture(nets)} {_degradations(nets)}",
        "scope": f"image upscaling ({_factors(nets)})",
        "source": f"zoomsr {version('zoomsr')}",
        **({"paper": papers[0]} if (papers := _papers(nets)) else {}),
        "license": _joined(one.licence for one in nets),
        "training_data": _joined(training_data(one.origin) for one in nets),
        "training_data_license": _joined(_data_licences(one.origin) for one in nets),
        "notes": " ".join(_limitations(nets)),
    }


def criteria(nets: Sequence[PackedNet], *, provenance: str) -> dict[str, str]:
    """The properties by which nets are admitted, each in words; ``provenance`` is the file that lists their data."""
    fields = card_fields(nets)
    is_listed = all(one.origin.data.get("photographs") for one in nets)
    source = f"; the source of each stands in {provenance}" if is_listed else ""
    return {
        "Model license": fields["license"],
        "OSAID v1.0": _openness(nets)[0],
        "MOF": _openness(nets)[1],
        "Training data license": fields["training_data_license"],
        "Training data provenance": f"{fields['training_data']}{source}",
        "Training code": f"zoomsr {version('zoomsr')} (MIT)",
        "Known limitations": fields["notes"],
        "Published research": ", ".join(f"<{paper}>" for paper in _papers(nets)) or NOT_STATED,
        "Inference": "Local only, no cloud dependencies",
        "Scope": fields["scope"],
        "Reproducibility": _joined(f"`{one.origin.command}`" if one.origin.command else NOT_STATED for one in nets),
    }


def markdown(package: str, nets: Sequence[PackedNet], *, half: bool) -> str:
    """README.md of a package."""
    fields = card_fields(nets)
    properties = criteria(nets, provenance="provenance.json")
    factors = {"Input": "`input`: float32 [1, 3, H, W]", "Output": "`output`: float32 [1, 3, {0}H, {0}W]"}
    rows = {
        **{name: [text.format(one.net.scale) for one in nets] for name, text in factors.items()},
        "Resolution": ["Dynamic (any H, W)" for _ in nets],
        "Normalize": ["sRGB on [0, 1], not clamped" for _ in nets],
        "Weights": [("float16, computed in float32" if half else "float32") for _ in nets],
        "Weights' sha256": [one.facts.get("weights_sha256", NOT_STATED) for one in nets],
        "Seam": ["; ".join(seam_words(one.seam)) if one.seam else NOT_STATED for one in nets],
    }
    parts = [
        f"# {package}\n\n{fields['long_description']}",
        "## ONNX models\n\n" + table(["Property", *(one.file for one in nets)], [[k, *v] for k, v in rows.items()]),
        *(["## Scores\n\n" + scores_table(nets)] if any(one.origin.sets for one in nets) else []),
        "## Selection criteria\n\n" + table(["Property", "Value"], [list(pair) for pair in properties.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def scores_table(nets: Sequence[PackedNet]) -> str:
    """Means of PSNR by set and net, protocol ``modern``, in Markdown."""
    rows = [
        [f"x{one.net.scale}", name, net, f"{by['modern']['psnr_y']:.2f}"]
        for one in nets
        for name, scores in one.origin.sets.items()
        for net, by in scores.items()
        if "modern" in by
    ]
    return table(["Scale", "Set", "Net", "PSNR on Y (dB), lr in 8 bit"], rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _joined(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(texts))


def _factors(nets: Sequence[PackedNet]) -> str:
    return " and ".join(f"{one.net.scale}x" for one in nets)


def _summary(net: Net) -> str:
    """The first paragraph of the class's docstring, with the paper; its name where docstrings are stripped."""
    text = inspect.getdoc(type(net)) or type(net).__name__
    return " ".join(text.split("\n\n")[0].replace("``", "").split())


def _architecture(nets: Sequence[PackedNet]) -> str:
    return " ".join(dict.fromkeys(_summary(one.net) for one in nets))


def _papers(nets: Sequence[PackedNet]) -> list[str]:
    ids = re.findall(r"arXiv:(\d{4}\.\d{4,5})", _architecture(nets))
    return [f"https://arxiv.org/abs/{one}" for one in dict.fromkeys(ids)]


def _degradations(nets: Sequence[PackedNet]) -> str:
    return f"Its training inputs were made by {_joined(one.origin.degradation or NOT_STATED for one in nets)}."


def training_data(origin: Origin) -> str:
    """``name: n photographs``, or that it is not stated."""
    data = origin.data
    return f"{data['name']}: {data['n_train']} photographs" if {"n_train", "name"} <= data.keys() else NOT_STATED


def _data_licences(origin: Origin) -> str:
    return "; ".join(f"{name}: {number}" for name, number in origin.data.get("licences", {}).items()) or NOT_STATED


def _limitations(nets: Sequence[PackedNet]) -> list[str]:
    texts = []
    for one in nets:
        first = dict.fromkeys(one.origin.data.get("started_from", ()))
        others = [name for name in first if not name.endswith(f" of {one.origin.data.get('name')}")]
        if others:
            texts.append(f"Its first weights were trained on {', '.join(others)}, whose licences are not listed.")
        if one.seam is not None:
            texts.append(f"x{one.net.scale}: {seam_words(one.seam)[0]}.")
        if (quality := one.facts.get("jpeg_quality")) is not None:
            texts.append(f"It expects pictures of JPEG quality {quality} (100: never compressed).")
    return list(dict.fromkeys(texts)) or ["None known."]


def _openness(nets: Sequence[PackedNet]) -> tuple[str, str]:
    """Classes of the Open Source AI Definition and of the Model Openness Framework, as far as the origin shows."""
    if all(one.origin.data.get("photographs") and one.origin.command for one in nets):
        return "Open Source AI (self-assessed)", "Class II (Open Tooling; self-assessed)"
    return "Open Weights (self-assessed)", "Class III (Open Model; self-assessed)"
