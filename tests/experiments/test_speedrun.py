"""The ledger of the speedrun."""

from __future__ import annotations

from pathlib import Path

import pytest

from experiments.speedrun import run
from experiments.tables import rows


def test_the_record_is_the_fastest_that_reaches_the_target() -> None:
    records = [
        {"target": "37", "minutes": "7"},
        {"target": "37", "minutes": "4.5"},
        {"target": "37.5", "minutes": "2"},
    ]
    assert run.record_of(records, 37.0) == records[1]
    assert run.record_of(records, 38.0) is None


def test_a_record_is_entered_with_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("no tables\n", encoding="utf-8")
    log = tmp_path / "metrics.csv"
    log.write_text("epoch,val/psnr_y\n1,30\n", encoding="utf-8")
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "RECORDS", tmp_path / "records.csv")
    own = {"target": 37.0, "minutes": 4.5, "seed": 2, "overrides": "model=unet ema=0.9", "commit": "002ccd8"}
    run.enter([{"target": "36.0", "minutes": "1"}], {**own, "set5": 37.012}, log=log)
    first, entered = rows(tmp_path / "records.csv")
    assert first["minutes"] == "1"
    assert (entered["minutes"], entered["set5"], entered["overrides"]) == ("4.5", "37.012", "model=unet ema=0.9")
    assert (tmp_path / entered["log"]).read_text(encoding="utf-8") == "epoch,val/psnr_y\n1,30\n"
    assert entered["commit"] == "002ccd8"
    assert entered["processor"]


def test_the_ledger_holds_what_its_rules_ask_for() -> None:
    for row in rows(run.RECORDS):
        assert float(row["set5"]) >= float(row["target"])
        assert (run.HERE / row["log"]).is_file()
        assert not row["commit"].endswith("-dirty")
        assert "ckpt=" not in row["overrides"]
