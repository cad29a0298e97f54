"""Lines, texts and comments of yaml keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoomsr.cli.yaml_lines import YamlFile, YamlKey, read_yaml_lines

TEXT = """\
# @package _global_
# What the file is for.
#   a command
defaults:
  - base
  - optional data: small # which images
  - override /model: unet
  - _self_

plain: 1e-3 # a number
quoted: "a # b" # not a comment inside
bare: 3#4
above: ${..plain}
# of two lines,
# both read
commented: true
list: [1, 2,
       3] # behind its end
key: # behind the key
  [a,
   b]
block:
  # indented
  inner: >- # of a folded text
    some text
    # part of the text
  nothing:
steps:
  - name: first # of an item
  - name: second
anchor: &anchor
  shared: 1 # from the anchor
copy:
  <<: *anchor
  own: 2
"""


@pytest.fixture
def file(tmp_path: Path) -> YamlFile:
    path = tmp_path / "file.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return read_yaml_lines(path)


def _key(file: YamlFile, name: str) -> YamlKey:
    (found,) = [key for key in file.keys if ".".join(key.path) == name]
    return found


def test_the_header_is_the_comment_at_the_top(file: YamlFile, tmp_path: Path) -> None:
    assert file.header == ("What the file is for.", "a command")
    (tmp_path / "bare.yaml").write_text("first: 1\n# above\nsecond: 2\n")
    bare = read_yaml_lines(tmp_path / "bare.yaml")
    assert (bare.header, [key.comment for key in bare.keys]) == ((), ["", "above"])
    (tmp_path / "empty.yaml").write_text("# nothing\n{}\n")
    empty = read_yaml_lines(tmp_path / "empty.yaml")
    assert (empty.header, empty.keys) == (("nothing",), ())


@pytest.mark.parametrize(
    ("name", "text", "comment"),
    [
        ("plain", "1e-3", "a number"),
        ("quoted", '"a # b"', "not a comment inside"),
        ("bare", "3#4", ""),
        ("above", "${..plain}", ""),
        ("commented", "true", "of two lines, both read"),
        ("list", "[1, 2, 3]", "behind its end"),
        ("key", "[a, b]", "behind the key"),
        ("block", "", ""),
        ("block.inner", "", "of a folded text"),
        ("block.nothing", "", ""),
        ("steps", "", ""),
        ("steps.0.name", "first", "of an item"),
        ("steps.1.name", "second", ""),
        ("copy.shared", "1", "from the anchor"),
    ],
)
def test_a_key_has_its_text_its_comment_and_its_line(file: YamlFile, name: str, text: str, comment: str) -> None:
    key = _key(file, name)
    assert (key.text, key.comment) == (text, comment)
    assert TEXT.splitlines()[key.line - 1].lstrip("- ").startswith(f"{key.path[-1]}:")


def test_only_mappings_have_keys_below(file: YamlFile) -> None:
    assert {key.path[0] for key in file.keys if key.is_mapping} == {"block", "anchor", "copy"}


def test_a_defaults_list_says_which_options_are_chosen(file: YamlFile) -> None:
    first, second = file.defaults
    assert (first.group, first.is_override, first.text, first.line) == ("data", False, "optional data: small", 6)
    assert first.comment == "which images"
    assert (second.group, second.is_override, second.line) == ("/model", True, 7)
    assert not any(key.path[0] == "defaults" for key in file.keys)
