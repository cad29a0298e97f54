"""Options that several commands share; see ``zoomsr.pretrained.own_nets``."""

from __future__ import annotations

from typing import Annotated

import typer

OwnNetsOption = Annotated[
    list[str] | None,
    typer.Option("--net", help="mynets:Tiny: a class of your own that files of weights may hold; may be repeated"),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="the settings of the runs that are named may import code; kept for these runs")
]
