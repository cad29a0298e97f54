"""The settings of a run that is repeated, what differs now, and whether the metrics are equal."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from zoomsr.runs.job import Job
from zoomsr.runs.provenance import record
from zoomsr.runs.rerun import comparison, repeated, what_differs

START: dict[str, Any] = {
    "code": {"commit": "a" * 40, "files": "1" * 64, "changes": ""},
    "versions": {"torch": "2.13.0"},
    "data": {"hash": "d" * 64},
    "weights": {},
    "device": {"name": "a CPU", "threads": 2},
}


def _frozen(path: Path, **settings: Any) -> Job:
    base = {
        "run_dir": str(path),
        "ckpt": None,
        "ckpt_mode": "resume",
        "launcher": {},
        "callbacks": {},
        "overwrite": False,
    }
    return Job.freeze({**base, **settings})


def _repeated(first: Job, now: Path, **changes: Any) -> dict[str, Any]:
    before = {
        "optimizer": {"lr": 1, "betas": 2},
        "run_dir": str(now),
        "launcher": {},
        "overwrite": False,
        "rerun": None,
        "plan": False,
    }
    return repeated(first, before=before, now={**before, "rerun": str(first.path), **changes})


def test_settings_stay_frozen_but_for_overrides_and_the_place(tmp_path: Path) -> None:
    first = _frozen(
        tmp_path / "a", optimizer={"lr": 5, "old": 1}, callbacks={"last": {"dirpath": f"{tmp_path}/a/last"}}
    )
    settings = _repeated(first, tmp_path / "b", optimizer={"lr": 1, "betas": 3}, new=4, launcher={"slots": 2})
    assert settings["optimizer"] == {"lr": 5, "old": 1, "betas": 3}
    assert settings["callbacks"] == {"last": {"dirpath": f"{tmp_path}/b/last"}}
    assert (settings["run_dir"], settings["rerun"], settings["new"]) == (f"{tmp_path}/b", f"{tmp_path}/a", 4)
    assert settings["launcher"] == {"slots": 2}


def test_a_trial_of_a_search_runs_to_its_end(tmp_path: Path) -> None:
    first = _frozen(tmp_path / "a", callbacks={"pruning": {"trial": 3}, "last": 1})
    assert _repeated(first, tmp_path / "b")["callbacks"] == {"pruning": None, "last": 1}


@pytest.mark.parametrize("is_resumed", [False, True])
def test_it_starts_from_what_the_run_started_from(tmp_path: Path, is_resumed: bool) -> None:
    ckpt = "last" if is_resumed else "w.ckpt"
    first = _frozen(tmp_path / "a", ckpt=ckpt, ckpt_mode="resume" if is_resumed else "weights")
    record(first.path, START | {"weights": {"ckpt": "w.ckpt", "ckpt_mode": "weights", "sha256": "e" * 64}}, changes="")
    settings = _repeated(first, tmp_path / "b")
    assert (settings["ckpt"], settings["ckpt_mode"]) == ("w.ckpt", "weights")
    record(first.path, START, changes="")
    assert _repeated(first, tmp_path / "b")["ckpt"] == "w.ckpt"  # the first start counts


def test_weights_that_no_notes_name_are_refused(tmp_path: Path) -> None:
    first = _frozen(tmp_path / "a", ckpt="last", ckpt_mode="weights")
    with pytest.raises(ValueError, match="started from other weights and was resumed by an older version"):
        _repeated(first, tmp_path / "b")
    assert _repeated(_frozen(tmp_path / "c", ckpt="last"), tmp_path / "b")["ckpt"] is None


def test_what_differs_is_said_part_by_part(tmp_path: Path) -> None:
    record(tmp_path, START, changes="")
    assert list(what_differs(tmp_path, START)) == []
    other_commit = START | {"code": {"commit": "b" * 40, "files": "1" * 64, "changes": ""}}
    assert dict(what_differs(tmp_path, other_commit)) == {
        "code": f"commit {'a' * 12} -> {'b' * 12}; zoomsr's own files are the same"
    }
    changed = START | {"code": {"commit": f"{'a' * 40} with changes", "files": "2" * 64, "changes": "3" * 64}}
    assert dict(what_differs(tmp_path, changed)) == {
        "code": f"commit {'a' * 12} -> {'a' * 12} with changes; "
        "zoomsr's own files are not the same (uncommitted changes: changes.diff in its run)"
    }
    moved = START | {
        "versions": {"torch": "3.0"},
        "device": {"name": "a GPU", "threads": 2},
        "data": {"hash": "e" * 64},
    }
    assert dict(what_differs(tmp_path, moved)) == {
        "versions": "torch 2.13.0 -> 3.0",
        "data": f"hash {'d' * 12} -> {'e' * 12}",
        "device": "name a CPU -> a GPU",
    }


def test_a_run_that_was_resumed_elsewhere_has_several_starts(tmp_path: Path) -> None:
    for threads in (2, 2, 4):
        record(tmp_path, START | {"device": {"name": "a CPU", "threads": threads}}, changes="")
    assert len(json.loads((tmp_path / "starts.json").read_text())["starts"]) == 2
    found = dict(what_differs(tmp_path, START | {"device": {"name": "a CPU", "threads": 1}}))
    assert found["device"] == "threads 2, then 4 -> 1"
    assert found["resumed"].endswith("was resumed with other code, versions or data, or on another device")


def _run(path: Path, *losses: float, score: float | None = None, versions: dict[str, str] | None = None) -> Path:
    (path / ".hydra").mkdir(parents=True)
    (path / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(["seed=1"]))
    rows = [f"{epoch},{loss!r},{epoch}.5" for epoch, loss in enumerate(losses, 1)]
    (path / "metrics.csv").write_text("\n".join(["epoch,train/loss,seconds", *rows]))
    if score is not None:
        sets = {"a": {"net": {"modern": {"mean": {"psnr_y": score}}}}}
        results = {"sets": sets, "protocols": {"modern": {}}, "versions": versions or {}, "data": {"hash": "d" * 64}}
        (path / "metrics.json").write_text(json.dumps(results))
    return path


def test_metrics_are_compared_to_the_last_bit(tmp_path: Path) -> None:
    first = _run(tmp_path / "a", 0.1, 0.2, score=30.0)
    assert comparison(first, _run(tmp_path / "b", 0.1, 0.2, score=30.0)).startswith(
        f"the metrics equal those of {first}"
    )
    scored = comparison(first, _run(tmp_path / "c", 0.1, 0.2, score=30.5))
    assert scored.endswith("every epoch is equal, the test is not; PSNR on Y of net 30.0000 -> 30.5000 dB")
    bit = comparison(first, _run(tmp_path / "d", 0.1, math.nextafter(0.2, 1), score=30.0))
    assert "the metrics differ" in bit
    assert "first train/loss of epoch 2, 0.2 -> 0.20000000000000004" in bit
    assert "2 rows -> 3" in comparison(first, _run(tmp_path / "e", 0.1, 0.2, 0.3, score=30.0))


def test_of_an_unfinished_run_the_epochs_that_it_has_are_compared(tmp_path: Path) -> None:
    first, again = _run(tmp_path / "a", 0.1), _run(tmp_path / "b", 0.1, 0.2, score=30.0)
    assert comparison(first, again) == f"{first} is unfinished; its metrics are equal to the bit: 1 rows of metrics.csv"


def test_of_an_older_run_the_results_tell_what_they_know(tmp_path: Path) -> None:
    old = _run(tmp_path / "a", 0.1, score=30.0, versions={"torch": "2.0", "commit": "c" * 40})
    found = dict(what_differs(old, START))
    assert found["code"] == f"commit {'c' * 12} -> {'a' * 12}"
    assert found["versions"] == "torch 2.0 -> 2.13.0"
    assert found["device"] == f"{old} does not tell its own"
    assert "data" not in found
