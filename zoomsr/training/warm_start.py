"""Where a training starts: anew, from a checkpoint, or from the weights of a net, also of another scale or head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from zoomsr.cli.console import say
from zoomsr.cli.overrides import LAST, is_first_rank
from zoomsr.models import scale_of
from zoomsr.pretrained.names import pretrained_nets, weights_file
from zoomsr.pretrained.vetting import TARGET, differences
from zoomsr.pretrained.weights import Weights, open_plain
from zoomsr.runs.files import short
from zoomsr.runs.layout import CHECKPOINTS
from zoomsr.training.callbacks.results import TRAINED_ON
from zoomsr.training.checkpoint_io import newest_intact

_NAMED = 4  # tensors in a line


class Start(NamedTuple):
    """Where a training starts.

    Attributes:
        resume: a checkpoint.
        trained_on: what its first weights have seen before.
        weights: the file of the first weights, where they are not those of ``resume``.
    """

    resume: str | None = None
    trained_on: Sequence[str] = ()
    weights: Path | None = None


def starting_point(net: nn.Module, wanted: Mapping[str, Any], *, ckpt: str | None, mode: str, run_dir: Path) -> Start:
    """The checkpoint to resume from; with ckpt_mode=weights, or of a net that trains nothing, they are loaded here.

    A bare name of a pretrained net is that net, of the training's scale where there is one.

    Args:
        net: newly made.
        wanted: ``_target_`` and arguments of ``net``.
        ckpt: the setting.
        mode: the setting ``ckpt_mode``.
        run_dir: of the training.

    Raises:
        ValueError: no such mode, no checkpoint, or one of another net.
    """
    if mode not in ("resume", "weights"):
        raise ValueError(f"ckpt_mode={mode} must be resume or weights")
    if ckpt is None:
        return _anew(net)
    run = run_dir if ckpt == LAST else Path(ckpt)
    path = newest_intact(run / CHECKPOINTS) if run.is_dir() else run
    if ckpt in pretrained_nets():
        if mode == "resume":
            raise ValueError(f"ckpt={ckpt} is a pretrained net and no checkpoint of a run: add ckpt_mode=weights")
        path = weights_file(ckpt, scale_of(net))
    if path is None:
        if ckpt != LAST:
            raise ValueError(f"ckpt={ckpt} holds no checkpoint: give a run's directory, or a file")
        return _anew(net)  # the first start of a job that would resume: of a sweep, or on a cluster
    weights = Weights.read(path)
    if mode == "resume":
        weights.require(wanted)
        trains = any(parameter.requires_grad for parameter in net.parameters())
        if trains:  # else nothing is fitted, which would load it
            return Start(resume=str(path))
    anew = warm_start(net, weights, wanted)
    if anew is not None and is_first_rank():
        say({"weights": f"{short(path)}: {anew}"})
    return Start(trained_on=trained_on(weights), weights=path)


def _anew(net: nn.Module) -> Start:
    """Raises ValueError for a net that needs trained weights: it does not train all of its own."""
    trains = [parameter.requires_grad for parameter in net.parameters()]
    if trains and not any(trains):
        raise ValueError(f"{type(net).__name__} trains nothing and needs trained weights: ckpt=FILE")
    if not all(trains):
        frozen = "trains a part of its weights and needs trained ones for the rest"
        raise ValueError(f"{type(net).__name__} {frozen}: ckpt=unet ckpt_mode=weights")
    return Start()


def trained_on(weights: Weights) -> list[str]:
    """The photographs of every training that made the weights, the first one first: ``275 of train291``."""
    if weights.card is not None and "name" in weights.card.data:
        data = weights.card.data
        return [*data.get("started_from", ()), f"{data['n_train']} of {data['name']}"]
    if weights.path.suffix == ".ckpt" and (known := open_plain(weights.path).get(TRAINED_ON)):
        return list(known)
    return [f"unknown ({weights.path.name})"]


def with_teacher(seen: Sequence[str], teacher: str | None, *, scale: int) -> list[str]:
    """What the first weights have seen, and beyond it what ``target.teacher`` has: a net learns from that as well."""
    file = None if teacher is None else weights_file(teacher, scale)
    return [*seen, *(one for one in ([] if file is None else trained_on(Weights.read(file))) if one not in seen)]


def warm_start(net: nn.Module, weights: Weights, wanted: Mapping[str, Any]) -> str | None:
    """Copy weights into a net: all of them, or of a net of another scale, head or kind those that fit.

    A tensor fits one of the same name and shape. The other tensors of the net keep their initial values.

    Args:
        net: newly made.
        weights: of any net.
        wanted: ``_target_`` and arguments of ``net``.

    Returns:
        In what the nets differ, which tensors start anew, and which of the file are not used; None where they do not
        differ.

    Raises:
        ValueError: less than half of the net's parameters fit.
    """
    if (changed := _changed(weights.config or wanted, wanted)) == "":
        weights.load_into(net)
        return None
    own = net.state_dict()
    fitting = {name: value for name, value in weights.tensors.items() if name in own and value.shape == own[name].shape}
    share = sum(own[name].numel() for name in fitting) / max(1, sum(value.numel() for value in own.values()))
    if share < 0.5:
        raise ValueError(
            f"{weights.path} holds {weights.describe()}, of which {share:.0%} fit the net here: less than half"
        )
    net.load_state_dict({**own, **fitting})
    anew = [name for name in own if name not in fitting]
    unused = [name for name in weights.tensors if name not in own]
    parts = (changed, _listed(anew, "start anew"), _listed(unused, "of the file not used"))
    return "; ".join(filter(None, parts))


def _changed(held: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """In what two nets differ: ``scale=3 instead of 2``."""
    return ", ".join(
        f"{key}={ours} instead of {theirs}" if key != TARGET else f"{_class(ours)} instead of {_class(theirs)}"
        for key, theirs, ours in differences(held, wanted)
    )


def _class(target: str) -> str:
    return target.rpartition(".")[2]


def _listed(names: Sequence[str], what: str) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more} {what}" if names else ""
