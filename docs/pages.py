"""Pages of the site that the commands write themselves: all settings, and all options."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_ROW = re.compile(r"(?P<name>\S+)\s*(?:= (?P<value>.*?))??(?:  ?# (?P<meaning>.*))?")
_HELP = ("zoom", "compare", "export", "demo", "prepare")
_PREPARE = ("div2k", "folder", "sample", "stream", "verify", "cache", "clear")


def write(folder: Path) -> None:
    """Write ``train.md`` and ``evaluate.md``, their settings, and ``options.md`` into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for command in ("train", "evaluate"):
        (folder / f"{command}.md").write_text(settings(said(command, "explain"), command), encoding="utf-8")
    helps = [(name,) for name in _HELP] + [("prepare", name) for name in _PREPARE]
    options = "\n".join(f"## {' '.join(words)}\n\n```text\n{said(*words, '--help')}```\n" for words in helps)
    (folder / "options.md").write_text(options, encoding="utf-8")


def settings(text: str, command: str) -> str:
    """What ``explain`` prints as Markdown: a table of the single values, then one for each group, below a heading.

    Raises:
        ValueError: a line is no setting.
    """
    rows = list(_rows(text))
    groups: dict[str, list[str]] = {name.partition(".")[0]: [] for name, _, _ in rows if "." in name}
    single: list[str] = []
    titles: dict[str, str] = {}
    for name, value, meaning in rows:
        group = name.partition(".")[0]
        if name in groups:
            titles[name] = f"{meaning} (`{name}={value}`)"
        else:
            groups.get(group, single).append(_table_row(name, value, meaning))
    parts = [_table(f"{command}: single values", "", single)]
    return "\n".join(parts + [_table(f"{command}: {name}", titles[name], lines) for name, lines in groups.items()])


def _rows(text: str) -> Iterator[tuple[str, str, str]]:
    """Name, value and meaning of each line."""
    for line in text.splitlines():
        found = _ROW.fullmatch(line)
        if found is None:
            raise ValueError(f"explain printed what is no setting: {line}")
        yield found["name"], found["value"] or "", found["meaning"] or ""


def _table_row(name: str, value: str, meaning: str) -> str:
    cells = (f"`{name}`", f"`{value}`" if value else "", meaning)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _table(heading: str, title: str, lines: list[str]) -> str:
    head = ["```{table}", ":class: settings", "", "| setting | value | meaning |", "|---|---|---|"]
    return "\n".join([f"## {heading}", "", title, "", *head, *lines, "```", ""])


def said(*words: str) -> str:
    """What a command prints where no environment variable chooses data and folders."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZOOMSR_")}
    environment |= {"TYPER_USE_RICH": "0", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", f"zoomsr.{words[0]}", *words[1:]]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=True)
    return done.stdout
