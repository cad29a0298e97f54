"""The pages of the site that the commands write: settings as ``explain`` prints them."""

from __future__ import annotations

import pytest

from docs import pages

PRINTED = """\
seed     = 1  # of initial weights, and noise
data     = sample  # images: Ten photographs.
data.patch = 64, from ${..patch}  # side; a = b
data.module # packs images
data.url = a|b
scale    = 2  # so many times
"""


def test_single_values_come_before_the_groups() -> None:
    assert pages.settings(PRINTED, "train").splitlines() == [
        "## train: single values",
        *("", "", "", "```{table}", ":class: settings", "", "| setting | value | meaning |", "|---|---|---|"),
        "| `seed` | `1` | of initial weights, and noise |",
        "| `scale` | `2` | so many times |",
        *("```", "", "## train: data", "", "images: Ten photographs. (`data=sample`)", ""),
        *("```{table}", ":class: settings", "", "| setting | value | meaning |", "|---|---|---|"),
        "| `data.patch` | `64, from ${..patch}` | side; a = b |",
        "| `data.module` |  | packs images |",
        "| `data.url` | `a\\|b` |  |",
        "```",
    ]


def test_another_line_is_refused() -> None:
    with pytest.raises(ValueError, match="no setting: no such line"):
        pages.settings("no such line", "train")


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_every_printed_line_is_on_the_page(command: str) -> None:
    printed = pages.said(command, "explain")
    page = pages.settings(printed, command)
    assert len(printed.splitlines()) > 10
    for line in printed.splitlines():
        name, _, rest = line.partition(" ")
        value, _, meaning = rest.strip().removeprefix("= ").partition("# ")
        assert f"`{name}`" in page or f"`{name}={value.strip()}`" in page
        assert meaning.replace("|", "\\|") in page
