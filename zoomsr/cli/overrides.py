"""Completes a command line: a resumed run or sweep brings the settings that it was started with."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from zoomsr.cli.run_notes import config_dir_of, has_notes, newest_run, read_notes, remembered
from zoomsr.runs.layout import CHECKPOINTS, HYDRA_OVERRIDES, LAST_CKPT, MULTIRUN, PREVIOUS_CKPT, SETTINGS, run_of
from zoomsr.runs.trust import require_own, sign_all

LAST = "last"
_MULTIRUN_FLAGS = ("-m", "--multirun")
_TRUST, _NET = "--trust", "--net"
_CONFIG_DIR = ("--config-dir", "-cd")
_NAMES = ("--config-path", "-cp", "--config-name", "-cn", "--package", "-p", "--cfg", "-c", "--info", "-i")
_OPTIONS = (
    *("--help", "--hydra-help", "--version", "--resolve", "--run", "--multirun", "--shell-completion", "--config-dir"),
    *("--experimental-rerun", *_NAMES),
)
_RERUN = "rerun"
_DIRECTORIES = ("ckpt", "hydra.run.dir", "hydra.sweep.dir", "sweep_resume", _RERUN)
_RESUMES_SWEEP = "hydra.callbacks.directory.resumes=true"


def completed(arguments: Sequence[str]) -> list[str]:
    """The arguments for Hydra.

    ``sweep_resume=SWEEP`` becomes the sweep's own command line. ``ckpt=last``, ``ckpt=RUN`` and the last checkpoint of
    a run become that run's settings, overridden by those given here, and its directory; ``--config-dir`` is kept too.
    ``rerun=RUN`` becomes the same settings alone. ``--trust`` accepts a directory that this user did not make.
    ``hydra/launcher=zoomsr_slurm`` becomes ``launcher=slurm``. The rest stays, with directories in quotes
    and ``~`` for the home.

    Raises:
        ValueError: there is no such run or sweep, or it is someone else's.
    """
    is_trusted = _TRUST in arguments
    named = [re.sub(r"^hydra/launcher=zoomsr_", "launcher=", text) for text in arguments]
    flags, overrides = _split([text for text in named if text != _TRUST])
    overrides = [_from_home(text) for text in overrides]
    given = {key: _unquoted(value) for key, _, value in (text.partition("=") for text in overrides)}
    if "sweep_resume" in given:
        others = [text for text in overrides if not text.startswith("sweep_resume=")]
        return _sweep(Path(given["sweep_resume"]), flags, others, is_trusted=is_trusted)
    is_resumed = "ckpt" in given and given.get("ckpt_mode") != "weights"
    if given.get("plan", "false").lower() == "true" and (is_resumed or {*_MULTIRUN_FLAGS} & {*flags}):
        raise ValueError(f"plan=true is of one new training: leave out {'ckpt' if is_resumed else '-m'}")
    if given.get(_RERUN, "null") != "null":
        return _rerun(given[_RERUN], flags, overrides, is_trusted=is_trusted)
    if given.get("ckpt") == LAST and given.get("ckpt_mode") == "weights":
        newest = f"ckpt={quoted(str(newest_run(_config_dir(flags))))}"
        overrides = [newest if text.startswith("ckpt=") else text for text in overrides]
    if set(_MULTIRUN_FLAGS) & set(flags):  # where a comma separates values
        return [*flags, *(_readable(text) if text.startswith("hydra.sweep.dir=") else text for text in overrides)]
    overrides = [_readable(text) for text in overrides]
    own_dir = given.get("hydra.run.dir")
    if is_trusted and own_dir is not None and "hparams_search" in given:
        sign_all(Path(own_dir))  # the settings of its trials
    run_dir = _resumed_run(given, _config_dir(flags))
    if run_dir is None:
        return [*flags, *overrides]
    _require(run_dir, is_trusted=is_trusted)
    new = [text for text in overrides if not text.startswith(("ckpt=", "hydra.run.dir="))]
    flags, old = _notes(run_dir, flags)
    if new and any(text.startswith(f"{_RERUN}=") for text in old):
        raise ValueError(f"{run_dir} runs another one again, and resumes as it was started: leave out {' '.join(new)}")
    return [*flags, *_merged(old, new), f"ckpt={LAST}", f"hydra.run.dir={quoted(str(run_dir))}"]


def with_own_nets(arguments: Sequence[str]) -> list[str]:
    """The arguments of ``evaluate`` for Hydra: ``--trust`` as ``trust=true``, each ``--net`` as an entry of ``nets``.

    Raises:
        ValueError: ``--net`` without a class.
    """
    nets: list[str] = []
    others: list[str] = []
    waiting = iter(arguments)
    for text in waiting:
        option, equals, value = text.partition("=")
        if option == _NET:
            nets.append(value if equals else next(waiting, ""))
        else:
            others.append("trust=true" if text == _TRUST else text)
    if any(not re.fullmatch(r"[\w.]+:[\w.]+", net) for net in nets):
        raise ValueError("--net takes a class of your own as MODULE:CLASS: --net mynets:Tiny")
    flags, overrides = _split(others)
    return [*flags, *overrides, *([f"nets=[{','.join(nets)}]"] if nets else [])]


def stray(arguments: Sequence[str]) -> tuple[str, str] | None:
    """The first word that Hydra would not understand, with its value: ``--max_epochs 3``, ``model vdsr``."""
    for before, text, after in zip(["", *arguments], arguments, [*arguments[1:], ""], strict=False):
        name, equals, value = text.partition("=")
        is_option = text.startswith("-") and (text[:2] != "--" or any(one.startswith(name) for one in _OPTIONS))
        is_override = (equals and not text.startswith("-")) or text.startswith("~")
        if not (is_option or is_override or before in (*_CONFIG_DIR, *_NAMES, "--experimental-rerun")):
            return name, value if equals or "=" in after or after.startswith("-") else after
    return None


def noted(overrides: Sequence[str]) -> dict[str, tuple[Path, int]]:
    """Of the overrides that ``completed`` took from a resumed run: the run's file, and the line in it, from 1."""
    given = {key: _unquoted(value) for key, _, value in (text.partition("=") for text in overrides)}
    file = Path(given.get("hydra.run.dir", "")) / HYDRA_OVERRIDES
    if given.get("ckpt") != LAST or not file.is_file():
        return {}
    items = yaml.compose(file.read_text(encoding="utf-8"))
    return {
        of_any_version(item.value): (file, item.start_mark.line + 1)
        for item in (items.value if items is not None else ())
    }


def quoted(text: str) -> str:
    """A text as a value for Hydra, which may contain ``= , ( ) '`` or a space."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", text)
    return "'" + re.sub(r"(\\+)\Z", r"\1\1", text) + "'"


def is_first_rank() -> bool:
    """Whether this is rank 0 of torchrun, srun or Lightning, or the only process."""
    return next((os.environ[name] for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK") if name in os.environ), "0") == "0"


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Hydra's flags with their values and the words of ``explain``, and the overrides."""
    flags: list[str] = []
    overrides: list[str] = []
    for before, text in zip(["", *arguments], arguments, strict=False):
        is_override = ("=" in text or text.startswith("~")) and not text.startswith("-")
        (overrides if is_override and before not in (*_CONFIG_DIR, *_NAMES) else flags).append(text)
    return flags, overrides


def _resumed_run(given: dict[str, str], config_dir: str | None) -> Path | None:
    """The run that the command resumes; None when it starts a new one."""
    ckpt, own_dir = given.get("ckpt", "null"), given.get("hydra.run.dir")
    if ckpt in ("null", "") or given.get("ckpt_mode") == "weights" or (own_dir is not None and ckpt != LAST):
        return None  # a new run, in a directory of its own, that starts from the checkpoint
    run_dir = _run_dir(ckpt, config_dir) if own_dir is None else Path(own_dir)
    # Without .hydra/ it is another program's: a new run starts from it.
    return run_dir if run_dir is not None and has_notes(run_dir) else None


def _run_dir(ckpt: str, config_dir: str | None) -> Path | None:
    """The run whose last checkpoint is meant; None for any other file."""
    if ckpt == LAST:
        return newest_run(config_dir)
    path = Path(ckpt)
    if path.is_dir():
        if not any((path / CHECKPOINTS / name).is_file() for name in (LAST_CKPT, PREVIOUS_CKPT)):
            raise ValueError(f"ckpt={ckpt} has no {CHECKPOINTS}/{LAST_CKPT} to resume from")
        return path
    return run_of(path) if path.name in (LAST_CKPT, PREVIOUS_CKPT) else None


def _config_dir(flags: Sequence[str]) -> str | None:
    """The ``--config-dir`` among Hydra's flags, as Hydra notes it: an absolute path."""
    for text, after in zip(flags, [*flags[1:], ""], strict=False):
        name, equals, value = text.partition("=")
        if name in _CONFIG_DIR:
            return os.path.abspath(value if equals else after)  # noqa: PTH100  # as Hydra notes it
    return None


def _notes(run_dir: Path, flags: list[str]) -> tuple[list[str], list[str]]:
    """The flags with the run's ``--config-dir``, and the overrides that are its settings."""
    place = ("ckpt=", "ckpt_mode=", "overwrite=")
    noted = read_notes(run_dir / HYDRA_OVERRIDES) or []
    old = [of_any_version(text) for text in noted if not text.startswith(place)]
    return _with_config_dir(flags, remembered(run_dir)), old


def _rerun(name: str, flags: list[str], overrides: list[str], *, is_trusted: bool) -> list[str]:
    run_dir = Path(name).absolute()
    if set(_MULTIRUN_FLAGS) & set(flags):
        raise ValueError(f"rerun={name} is one run, and -m a sweep: leave out -m")
    if not ((run_dir / SETTINGS).is_file() and has_notes(run_dir)):
        raise ValueError(f"rerun={name} is no run of zoomsr.train: it has no {SETTINGS} and {HYDRA_OVERRIDES}")
    if wrong := [text for text in overrides if text.startswith(("ckpt=", "ckpt_mode=", "hparams_search="))]:
        raise ValueError(f"rerun={name} trains that run anew: leave out {' '.join(wrong)}")
    _require(run_dir, is_trusted=is_trusted)
    flags, old = _notes(run_dir, flags)
    new = [_readable(text) for text in overrides if not text.startswith(f"{_RERUN}=")]
    return [*flags, *_merged(old, [*new, f"{_RERUN}={quoted(str(run_dir))}"])]


def _sweep(sweep_dir: Path, flags: list[str], others: list[str], *, is_trusted: bool) -> list[str]:
    try:
        hydra: dict[str, Any] = read_notes(sweep_dir / MULTIRUN)["hydra"]
        task, own = hydra["overrides"]["task"], hydra["overrides"]["hydra"]
        sweeper = hydra.get("runtime", {}).get("choices", {}).get("hydra/sweeper", "basic")
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ValueError(f"sweep_resume={sweep_dir} is no sweep's directory: {error}") from error
    if sweeper != "basic":
        raise ValueError(f"sweep_resume={sweep_dir}: hydra/sweeper={sweeper} chooses by results, so only it can resume")
    if others:
        raise ValueError(f"sweep_resume resumes the sweep as it was started: leave out {' '.join(others)}")
    _require(sweep_dir, is_trusted=is_trusted)
    kept = [text for text in own if not text.startswith(("hydra.mode=", "hydra.sweep.dir=", _RESUMES_SWEEP))]
    place = [f"hydra.sweep.dir={quoted(str(sweep_dir))}", _RESUMES_SWEEP]
    return ["-m", *_with_config_dir(flags, config_dir_of({"hydra": hydra})), *map(of_any_version, task), *kept, *place]


def _require(folder: Path, *, is_trusted: bool) -> None:
    if is_trusted:
        if is_first_rank():  # for all ranks
            sign_all(folder)
        return
    deadline = time.monotonic() + (0 if is_first_rank() else 5)  # the first rank may be writing .hydra/
    while True:
        try:
            require_own(folder)
            break
        except ValueError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)


def _with_config_dir(flags: list[str], found: str | None) -> list[str]:
    """The flags, with the ``--config-dir`` of a run or a sweep if they name none."""
    if found is None or _config_dir(flags) is not None:
        return flags
    if not Path(found).is_dir():  # not looked for beside the run, where someone else may have put another
        raise ValueError(f"its settings come from --config-dir {found}, which is gone: add --config-dir FOLDER")
    return [*flags, _CONFIG_DIR[0], found]


def _from_home(override: str) -> str:
    """``data.root=~/photos`` with the home's path, which a shell puts there only at the start of a word."""
    key, equals, value = override.partition("=")
    return f"{key}{equals}{os.path.expanduser(value)}"  # noqa: PTH111  # Path's raises an error where there is no home


def _readable(override: str) -> str:
    """The override with its directory in quotes where Hydra needs them."""
    key, _, value = override.partition("=")
    is_plain = "${" in value or value[:1] in ("'", '"') or re.fullmatch(r"[\w./:~-]*", value, re.ASCII)
    return override if key not in _DIRECTORIES or is_plain else f"{key}={quoted(value)}"


def of_any_version(override: str) -> str:
    """An older run's ``+trainer.max_steps=9``, which adds a key, also where conf/ has that key by now."""
    return re.sub(r"^\+(?=[^+])", "++", override)


def _unquoted(value: str) -> str:
    """The value without the quotes that Hydra needs."""
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return re.sub(r"\\(['\"])", r"\1", value[1:-1])
    return value


def _merged(old: Sequence[str], new: Sequence[str]) -> list[str]:
    """All overrides, of each key the newer one."""
    keys = {text: re.sub(r"^[+~]*|=.*", "", text, flags=re.DOTALL) if "=" in text else text for text in [*old, *new]}
    return list({keys[text]: text for text in [*old, *new]}.values())
