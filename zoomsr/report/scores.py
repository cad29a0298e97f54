"""The score tables as HTML: sorted by whatever column is pressed, and every pair of nets."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from zoomsr.report.captions import about_protocol, about_test, about_tests
from zoomsr.report.columns import Column, columns_of, p_text
from zoomsr.report.html import mark, scroll
from zoomsr.report.leaderboard import Table


def scores(tables: Sequence[Table]) -> str:
    """Every table, what its numbers mean, and all pairs of nets."""
    if not tables:
        return ""
    notes = [about_protocol(tables, name) for name in dict.fromkeys(table.protocol for table in tables)]
    words = "".join(f'<p class="quiet">{escape(text)}</p>' for text in (*notes, about_tests(tables)))
    return "".join(_scores(table) for table in tables) + words


def _scores(table: Table) -> str:
    columns = columns_of(table)
    heads = ['<th scope="col" data-words><button type="button">net</button></th>']
    heads += [f'<th scope="col"><button type="button">{escape(column.heading)}</button></th>' for column in columns]
    body = "".join(
        f'<tr{mark("baseline", number == 0)}><th scope="row">{escape(row.label)}</th>'
        f"{''.join(_cell(column, number) for column in columns)}</tr>"
        for number, row in enumerate(table.standings)
    )
    return (
        f"<h3>{escape(table.title)}, protocol {escape(table.protocol)}</h3>"
        f'<p class="quiet">{escape(about_test(table))}</p>{scroll(table.title)}<table class="scores">'
        f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{body}</tbody></table></div>{_pairs(table)}"
    )


def _cell(column: Column, row: int) -> str:
    value, note = column.values[row], column.note(row)
    small = f"<small>{escape(note)}</small>" if note else ""
    number, best = "" if value is None else repr(float(value)), mark("best", row in column.best)
    return f'<td data-value="{number}"{best}>{escape(column.texts[row])}{small}</td>'


def _pairs(table: Table) -> str:
    """Row minus column in dB, and p below it."""
    if not table.p_values or len(table.standings) < 3:
        return ""
    heads = "".join(f'<th scope="col">{escape(one.label)}</th>' for one in table.standings)
    body = ""
    for row in table.standings:
        cells = ""
        for column in table.standings:
            p = table.p_values.get((row.label, column.label), table.p_values.get((column.label, row.label)))
            if p is None:
                cells += "<td></td>"
                continue
            gap = row.mean["psnr_y"] - column.mean["psnr_y"]
            cells += f"<td{mark('sure', p < 0.05)}>{gap:+.2f}<small>p {escape(p_text(p))}</small></td>"
        body += f'<tr><th scope="row">{escape(row.label)}</th>{cells}</tr>'
    caption = (
        "PSNR on Y of the row minus that of the column, in dB; bold where p, corrected for all pairs, is below 0.05."
    )
    return (
        f"<details><summary>Every pair of nets</summary>{scroll('pairs')}<table><caption>{caption}</caption>"
        f"<thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table></div></details>"
    )
