from __future__ import annotations

from pathlib import Path

from _support.results import finished, gained

from zoomsr.report.entries import read_entries
from zoomsr.report.groups import groups_of
from zoomsr.report.images import image_figures


def test_a_net_of_any_kind_is_drawn_where_its_checkpoint_is_kept(tmp_path: Path) -> None:
    for number, net in enumerate(("srcnn", "mine")):
        model = {"_target_": f"some.module.{net}"}
        place = finished(tmp_path / net, gained(number), net=net, more={"model": model})
        (place / "checkpoints").mkdir()
        (place / "checkpoints" / "best.ckpt").touch()
    finished(tmp_path / "vdsr", gained(2), net="vdsr")
    drawn = [one.name for one in image_figures(groups_of(read_entries([tmp_path])))]
    assert drawn == ["architecture_mine", "architecture_srcnn"]
