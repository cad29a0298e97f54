"""Sphinx makes a site of the repository's Markdown files, where they are: ``make docs``.

The README is the first page. The table of contents, which GitHub does not show, is in contents.md.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # pages.py, and zoomsr

import pages  # noqa: E402  # beside this file

import zoomsr  # noqa: E402

project = "zoomsr"
version = release = zoomsr.__version__
project_copyright = "The zoomsr developers, MIT licence"
html_title = f"zoomsr {version}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = ["*.md", "conf/README.md", "docs/**.md", "zoomsr/*/README.md", "experiments/**.md"]
exclude_patterns = ["AGENTS.md", "docs/contents.md"]
highlight_language = "none"  # of blocks that name none
myst_heading_anchors = 4  # GitHub's names of headings, which the links use

napoleon_use_ivar = True  # the fields of a NamedTuple are members already
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
autodoc_default_options = {"members": True}

CONTENTS = {
    root_doc: "\n" + (HERE / "contents.md").read_text(encoding="utf-8"),
    "experiments/README": "\n```{toctree}\n:hidden:\n:glob:\n\n*/README\nbenchmarks/*/README\n```\n",
}

_COLON = "\ue000"  # a private character

html_theme = "furo"  # system fonts, nothing from a network
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_extra_path = ["index.html"]  # to README.html
html_copy_source = False


def setup(app: Sphinx) -> None:
    """Write the generated pages, and give the README its contents."""
    pages.write(HERE.parent / "build" / "pages")
    app.connect("source-read", _with_contents)
    app.connect("autodoc-process-docstring", _hide_colons, priority=400)  # before napoleon
    app.connect("autodoc-process-docstring", _show_colons, priority=600)


def _with_contents(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] += CONTENTS.get(name, "")


def _hide_colons(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """From napoleon, which takes "The net: lr to sr" of a result or an attribute for a type and its description."""
    hidden = what in ("attribute", "data", "property")
    for number, line in enumerate(lines):
        if re.fullmatch(r"[A-Z]\w+:", line):
            hidden = line in ("Returns:", "Yields:")
        elif hidden:
            lines[number] = line.replace(": ", f"{_COLON} ")


def _show_colons(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = [line.replace(_COLON, ":") for line in lines]
