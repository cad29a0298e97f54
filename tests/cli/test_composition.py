"""Where settings come from, in small config folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.errors import HydraException

from zoomsr.cli.composition import trace
from zoomsr.cli.trace import Trace

FILES = {
    "main": """\
        defaults:
          - _self_
          - model: small # the net
          - recipe: null
        scale: 2 # times as large
        needed: ???
        folder: ${oc.env:SOME_FOLDER,here}/${model.name}
        chosen: ${hydra:runtime.choices}
        """,
    "model/small": "name: tiny # of the net\nwidths: [1, 2]\nscale: ${scale}\nhalf: {twice: '${..scale}'}\n",
    "model/large": "defaults: [small, _self_]\nname: huge # in this file\nwidths: null\n",
    "recipe/inner": "# @package _global_\ndefaults: [override /model: small]\nscale: 3\nmodel: {name: inner}\n",
    # _self_ first: what the file sets is weaker than the file below, which it names; what it overrides is stronger.
    "recipe/outer": "# @package _global_\ndefaults: [_self_, inner, override /model: large]\nscale: 4\nneeded: 1\n",
    "recipe/steps": "# @package _global_\nsteps:\n  - {name: a, size: 1}\n",
}


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(line.removeprefix(" " * 8) for line in text.splitlines()) + "\n")
    return tmp_path / "conf"


def _history(found: Trace, name: str) -> list[str]:
    """Place and text of all that set a key."""
    return [
        f"{setting.file.stem}:{setting.line} {setting.written}" if setting.file else setting.written
        for setting in found.history(found.names()[name])
    ]


def test_files_come_in_the_order_of_hydras_list_and_overrides_last(conf: Path) -> None:
    found = trace("main", ["recipe=outer", "scale=5"], conf_dir=conf)
    assert _history(found, "scale") == ["main:5 scale: 2", "outer:3 scale: 4", "inner:3 scale: 3", "scale=5"]
    assert _history(found, "model.name") == ["small:1 name: tiny", "large:2 name: huge", "inner:4 name: inner"]
    assert found.value(("model", "name")) == "inner"
    assert found.description(("model", "name")) == "of the net"  # where it is introduced


def test_the_outer_of_two_recipes_chooses(conf: Path) -> None:
    overridden = ["main:3 model: small", "inner:2 override /model: small", "outer:2 override /model: large"]
    found = trace("main", ["recipe=outer"], conf_dir=conf)
    assert (found.groups["model"].option, _history(found, "model")) == ("large", overridden)
    found = trace("main", ["recipe=outer", "model=small"], conf_dir=conf)
    assert (found.groups["model"].option, _history(found, "model")) == ("small", [*overridden, "model=small"])
    assert found.groups["model"].options == ["large", "small"]
    assert found.description(("model",)) == "the net"
    assert _history(found, "recipe") == ["main:4 recipe: null", "recipe=outer"]


def test_a_missing_value_does_not_override(conf: Path) -> None:
    assert _history(trace("main", [], conf_dir=conf), "needed") == ["main:6 needed: ???"]
    assert _history(trace("main", ["recipe=outer"], conf_dir=conf), "needed")[-1] == "outer:4 needed: 1"


def test_what_replaces_a_list_or_mapping_sets_all_that_is_in_it(conf: Path) -> None:
    found = trace("main", ["model.widths.1=7"], conf_dir=conf)
    assert _history(found, "model.widths") == ["small:2 widths: [1, 2]", "model.widths.1=7"]
    assert _history(found, "model.widths.0") == ["small:2 widths: [1, 2]"]
    assert _history(found, "model.widths.1") == ["small:2 widths: [1, 2]", "model.widths.1=7"]
    found = trace("main", ["recipe=steps"], conf_dir=conf)
    assert _history(found, "steps.0.size") == ["steps:3 size: 1"]
    found = trace("main", ["recipe=steps", "steps=[{name:b,size:2}]"], conf_dir=conf)
    assert _history(found, "steps.0.size") == ["steps:3 size: 1", "steps=[{name:b,size:2}]"]


def test_a_mapping_on_the_command_line_is_merged(conf: Path) -> None:
    found = trace("main", ["model={name:mine}", "+extra={a:{b:1}}"], conf_dir=conf)
    assert _history(found, "model.name") == ["small:1 name: tiny", "model={name:mine}"]
    assert _history(found, "model.widths") == ["small:2 widths: [1, 2]"]
    assert _history(found, "extra.a.b") == ["+extra={a:{b:1}}"]


def test_references_are_followed_to_what_they_resolve_to(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = trace("main", [], conf_dir=conf)
    key = ("model", "half", "twice")
    assert list(found.links(key)) == [("model", "scale"), ("scale",)]
    assert found.resolved[key] == 2
    assert found.description(key) == "times as large"
    assert (list(found.links(("folder",))), found.variables(("folder",))) == ([("model", "name")], ["SOME_FOLDER"])
    assert found.resolved["folder",] == "here/tiny"
    monkeypatch.setenv("SOME_FOLDER", "there")
    found = trace("main", ["+net=${chosen.model}"], conf_dir=conf)
    assert found.resolved["folder",] == "there/tiny"
    assert list(found.links(("net",))) == [("hydra", "runtime", "choices", "model")]
    assert _history(found, "hydra.runtime.choices.model") == ["main:3 model: small"]
    found = trace("main", ["+nothing=${model.nokey.at.all}"], conf_dir=conf)
    assert (list(found.links(("nothing",))), found.value(("model", "nokey", "at", "all"))) == (
        [("model", "nokey", "at", "all")],
        None,
    )
    assert ("nothing",) not in found.resolved


def test_files_of_a_further_folder_are_found(conf: Path, tmp_path: Path) -> None:
    mine = tmp_path / "my conf, (1)" / "model"
    mine.mkdir(parents=True)
    (mine / "own.yaml").write_text("# My net.\nname: own\n")
    (mine / "small.yaml").write_text("name: shadowed\n")  # conf/ comes first, as in Hydra
    found = trace("main", ["model=own"], conf_dir=conf, config_dir=mine.parent)
    assert (found.groups["model"].file, found.groups["model"].header) == (mine / "own.yaml", ("My net.",))
    assert _history(found, "model.name") == ["own:2 name: own"]
    assert found.groups["model"].options == ["large", "own", "small"]
    assert trace("main", [], conf_dir=conf, config_dir=mine.parent).groups["model"].file == conf / "model/small.yaml"
    with pytest.raises(ValueError, match="--config-dir nowhere is no folder"):
        trace("main", [], conf_dir=conf, config_dir=Path("nowhere"))


def test_what_hydra_refuses_is_refused(conf: Path) -> None:
    with pytest.raises(HydraException, match="'sclae'"):
        trace("main", ["sclae=3"], conf_dir=conf)
