"""Composes a command's settings as Hydra does, and reads from its defaults list where each comes from."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.default_element import DefaultsTreeNode
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zoomsr.cli.overrides import noted, quoted
from zoomsr.cli.trace import Group, Key, Setting, Trace, keys_below
from zoomsr.cli.yaml_lines import YamlFile, read_yaml_lines


def trace(config_name: str, overrides: Sequence[str], *, conf_dir: Path, config_dir: Path | None = None) -> Trace:
    """Compose the settings of a command, and find out where each comes from.

    Hydra merges the files in the order of its defaults list, then the overrides.

    Args:
        config_name: ``train`` for conf/train.yaml.
        overrides: as on the command line.
        conf_dir: conf/.
        config_dir: a further folder of yaml files, as ``--config-dir`` names it.

    Raises:
        ValueError: ``config_dir`` is no folder, or ``hydra.searchpath`` is overridden beside it.
        HydraException: what the command itself would raise.
    """
    if config_dir is not None and not config_dir.is_dir():
        raise ValueError(f"--config-dir {config_dir} is no folder")
    if config_dir is not None and any(text.startswith("hydra.searchpath=") for text in overrides):
        raise ValueError("explain takes --config-dir or hydra.searchpath, not both")
    further = [f"hydra.searchpath=[{quoted(f'file://{config_dir.resolve()}')}]"] if config_dir is not None else []
    with initialize_config_dir(str(conf_dir), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        config = compose(config_name, [*further, *overrides], return_hydra_config=True)
        defaults = loader.compute_defaults_list(config_name, [*further, *overrides], RunMode.RUN)
        typed = OverridesParser.create().parse_overrides(list(overrides))
    files = _Files([_folder(source.schema, source.path) for source in config.hydra.runtime.config_sources])
    read = [(files.read(default.config_path), default.package) for default in defaults.defaults]
    settings = [line for file, package in read if file is not None for line in _of_file(file, package)]
    choosing = _of_defaults(defaults.defaults_tree, files)
    of_values = {override.input_line for override in defaults.config_overrides}
    kept = noted(overrides)
    for override in typed:
        written = str(override.input_line)
        place, line = kept.get(written, (None, 0))
        if written in of_values:
            key = tuple(override.key_or_group.split("."))
            settings += _of_override(Setting(key, written, place, line), override.value())
        else:
            choosing.append(Setting(tuple(override.get_key_element().lstrip("+~").split("/")), written, place, line))
    values: Any = OmegaConf.to_container(config, resolve=False)
    # Hydra leaves out a group of which several files are chosen: logger=[tensorboard,csv].
    several = {"/".join(one.key): one.written.partition("=")[2] for one in choosing if "=[" in one.written}
    groups = dict(_groups({**several, **config.hydra.runtime.choices}, choosing, files))
    return Trace(values, dict(_resolved(config, values)), settings, groups)


class _Files:
    """The yaml files of Hydra's search path, by their names in it: ``model/unet``."""

    def __init__(self, folders: Sequence[Path | None]) -> None:
        self._folders = [folder for folder in folders if folder is not None]
        self._read: dict[str, YamlFile | None] = {}

    def read(self, name: str) -> YamlFile | None:
        """The first of that name; None where Hydra has it in code."""
        if name not in self._read:
            paths = [folder / f"{name}.yaml" for folder in self._folders]
            found = next((path for path in paths if path.is_file()), None)
            self._read[name] = read_yaml_lines(found) if found is not None else None
        return self._read[name]

    def names(self, group: str) -> list[str]:
        """The files of a group."""
        return sorted({path.stem for folder in self._folders for path in (folder / group).glob("*.yaml")})


def _folder(schema: str, path: str) -> Path | None:
    """The folder of one of Hydra's sources."""
    spec = importlib.util.find_spec(path) if schema == "pkg" else None
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0])
    return Path(path) if schema == "file" else None


def _names(tree: DefaultsTreeNode) -> Iterator[str]:
    """The files of a defaults tree; of two that override one choice Hydra takes that of the last."""
    for child in tree.children or ():
        if isinstance(child, DefaultsTreeNode):
            yield from _names(child)
        elif not child.is_self() and child.get_name() is not None:
            yield child.get_config_path()
    if not tree.node.is_virtual():
        yield tree.node.get_config_path()


def _of_defaults(tree: DefaultsTreeNode, files: _Files) -> list[Setting]:
    """The lines that choose the options of groups; overrides, wherever they stand, after what they override."""
    lines = [(name, file, line) for name in _names(tree) if (file := files.read(name)) for line in file.defaults]
    found = []
    for name, file, line in sorted(lines, key=lambda one: one[2].is_override):
        folder = name.rpartition("/")[0]
        group = line.group.lstrip("/") if line.group.startswith("/") or not folder else f"{folder}/{line.group}"
        found.append(Setting(tuple(group.split("/")), line.text, file.path, line.line, line.comment))
    return found


def _of_file(file: YamlFile, package: str | None) -> Iterator[Setting]:
    """What a file sets, at its place in the config."""
    prefix = tuple(package.split(".")) if package else ()
    for key in file.keys:
        written = f"{key.path[-1]}: {key.text}".rstrip()
        yield Setting((*prefix, *key.path), written, file.path, key.line, key.comment, key.is_mapping)


def _of_override(whole: Setting, value: Any) -> Iterator[Setting]:
    """What an override sets; a mapping sets the keys in it."""
    yield replace(whole, is_mapping=isinstance(value, dict))
    for name, child in value.items() if isinstance(value, dict) else ():
        yield from _of_override(replace(whole, key=(*whole.key, str(name))), child)


def _groups(
    choices: Mapping[str, str | None], choosing: Sequence[Setting], files: _Files
) -> Iterator[tuple[str, Group]]:
    for name, option in choices.items():
        file = files.read(f"{name}/{option}")
        settings = [setting for setting in choosing if "/".join(setting.key) == name]
        path, header = (file.path, file.header) if file is not None else (None, ())
        yield name, Group(option, path, header, files.names(name), settings)


def _resolved(config: DictConfig, values: Any) -> Iterator[tuple[Key, Any]]:
    """The values that refer to others, but for those that refer to what is not there."""
    HydraConfig.instance().set_config(config)  # what ${hydra:...} stands for
    for key in keys_below(values):
        raw, node = values, config
        with suppress(OmegaConfBaseException):
            for part in key:
                place = int(part) if isinstance(raw, list) else part
                raw, node = raw[place], node[place]
            if isinstance(raw, str) and "${" in raw:
                yield key, OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
