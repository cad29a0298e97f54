"""A net as a folder in the layout of Hugging Face's hub, to be uploaded as it is.

::

    model.safetensors   the weights
    model.json          their card, with which ``zoom -m https://.../model.safetensors#sha256=HEX`` opens them
    config.json         class and arguments of the net; the hub counts downloads by this file
    README.md           model card: metadata in YAML, then Markdown
    example.py          enlarges a photograph

Metadata are those of ``modelcard.md`` in huggingface/hub-docs. ``datasets`` is left out: it wants names of the hub's
own data sets, and what the net was trained on stands in the text.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import cast

import yaml
from torch import nn

from zoomsr.cli.console import say
from zoomsr.inference.disk import require_free
from zoomsr.inference.export import write
from zoomsr.inference.export_options import ExportOptions
from zoomsr.inference.model_card import NOT_STATED, PackedNet, card_fields, criteria, scores_table, table
from zoomsr.inference.release import Origin
from zoomsr.models import Net, takes_quality
from zoomsr.pretrained.card import Card
from zoomsr.pretrained.names import weights_file
from zoomsr.pretrained.weights import Weights
from zoomsr.runs.files import atomic_write, short, write_json, write_text

_LICENCES = (
    *("mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "cc0-1.0", "cc-by-4.0"),
    *("cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "unlicense"),
)
"""Names of the hub; each is the SPDX identifier in small letters."""

_EXAMPLE = '''"""Enlarges a photograph by this net: python example.py photo.jpg larger.png"""

import sys
from pathlib import Path

from PIL import Image

from zoomsr import upscale

with Image.open(sys.argv[1]) as photograph:
    upscale(photograph, Path(__file__).with_name("model.safetensors")).save(sys.argv[2])
'''


def write_hub(model: str, out: Path, options: ExportOptions, *, overwrite: bool) -> None:
    """Write the folder; weights that have a card are copied, others are measured for one, as for ``.safetensors``.

    Args:
        model: name, run or file.
        out: ``FOLDER/model.safetensors``.
        options: licence, and folders on which the net is measured.
        overwrite: replace the files that are there.

    Raises:
        ValueError: see ``zoomsr.inference.export.write``.
    """
    options.require_ready(model, out, overwrite=overwrite)
    folder = out.parent
    for name in ("README.md", "config.json", "example.py"):
        require_free(folder / name, overwrite=overwrite)
    source = weights_file(model)
    assert source is not None  # as was just seen
    card, net = Card.beside(source), Weights.read(source, options.nets).build()
    if card is None or options.tests:
        write(model, out, options, overwrite=overwrite)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(out) as file:
            file.write(source.read_bytes())
        replace(card, licence=options.licence or card.licence).write(out)
    card = cast(Card, Card.beside(out))  # both ways write one
    facts = {"licence": card.licence, "weights_sha256": card.sha256}
    packed = PackedNet(cast(Net, net), Origin.of(out), facts)
    write_json(folder / "config.json", _config(card, net))
    write_text(folder / "example.py", _EXAMPLE)
    write_text(folder / "README.md", hub_markdown(folder.resolve().name, packed, card))
    say({"hub": f"{short(folder)}  {', '.join(sorted(path.name for path in folder.iterdir()))}"})


def hub_markdown(name: str, packed: PackedNet, card: Card) -> str:
    """README.md: a head in YAML between lines of three hyphens, then the card."""
    fields = card_fields([packed])
    head = yaml.safe_dump(_metadata(card), sort_keys=False, allow_unicode=True).strip()
    address = "https://huggingface.co/USER/REPOSITORY/resolve/main/model.safetensors"
    told = "\nIt is told the JPEG quality of its pictures, which `zoom` finds in the file.\n"
    told = told if takes_quality(packed.net) else ""
    use = (
        "```sh\npip install zoomsr\n"
        f"python -m zoomsr.zoom photo.jpg -m '{address}#sha256={card.sha256}'\n"
        f"python example.py photo.jpg larger.png   # beside this file\n```\n{told}"
    )
    origin = criteria([packed], provenance="model.json")
    facts = {
        "enlarges by": f"{card.scale}",
        "channels": "RGB" if card.channels == 3 else "luma; chroma is bicubic",
        "parameters": f"{card.params:,}",
        "input and output": "sRGB on [0, 1], any height and width; the output is not clamped",
        "weights": f"{card.stored}, sha256 {card.sha256}",
    }
    parts = [
        f"---\n{head}\n---",
        f"# {name}\n\n{fields['long_description']}",
        f"## Use\n\n{use}".strip(),
        "## Net\n\n" + table(["Property", "Value"], [list(pair) for pair in facts.items()]),
        *(["## Scores\n\n" + scores_table([packed])] if packed.origin.sets else []),
        "## Where it comes from\n\n" + table(["Property", "Value"], [list(pair) for pair in origin.items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(card: Card) -> dict[str, object]:
    licence = card.licence.strip()
    known = licence.lower() if licence.lower() in _LICENCES else None
    other: dict[str, object] = {"license": "unknown"}
    if licence and licence != NOT_STATED:
        other = {"license": "other", "license_name": re.sub(r"[^\w.-]+", "-", licence.lower()).strip("-")}
    return {
        **({"license": known} if known else other),
        "library_name": "zoomsr",
        "pipeline_tag": "image-to-image",
        "tags": ["super-resolution", "image-upscaling"],
        "metrics": ["psnr", "ssim"],
    }


def _config(card: Card, net: nn.Module) -> dict[str, object]:
    config: dict[str, object] = json.loads(json.dumps(card.net))
    own = {"model_type": "zoomsr", "architectures": [type(net).__name__], "zoomsr_version": version("zoomsr")}
    return {**own, "scale": card.scale, "channels": card.channels, "net": config}
