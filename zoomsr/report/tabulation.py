"""From rows of runs to score tables, one for each set and protocol."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from zoomsr.report.comparability import Images, Test, tests_of
from zoomsr.report.entries import BICUBIC, Entry
from zoomsr.report.leaderboard import COSTS, Standing, Table
from zoomsr.report.rows import Row, name_of, names_of
from zoomsr.report.significance import holm, interval, signed_rank


def tables_of(rows: Sequence[Row]) -> list[Table]:
    """A table for each set and protocol; sets that were measured otherwise are another set."""
    names = names_of([entry for row in rows for entry in row.entries])
    tests: list[Test] = []
    for entry in _scored(rows):
        tests += [test for test in tests_of(entry.results or {}) if _index(test, tests) is None]
    titles = [_title(number, tests) for number in range(len(tests))]
    return [
        _table(rows, test, tests=tests, title=titles[number], protocol=protocol, names=names)
        for number, test in enumerate(tests)
        for protocol in test.protocols
    ]


def _title(number: int, tests: Sequence[Test]) -> str:
    """The set's name; of several of one name, with what made lr, or a number."""
    test = tests[number]
    alike = [other for other in tests if other.name == test.name]
    if len(alike) == 1:
        return test.name
    text = f"{test.name}, {test.degradation}"
    return text if sum(other.degradation == test.degradation for other in alike) == 1 else f"{text}, {number + 1}"


def _index(test: Test, tests: Sequence[Test]) -> int | None:
    for number, other in enumerate(tests):
        if other.name == test.name and other.difference(test) is None:
            return number
    return None


def _table(
    rows: Sequence[Row],
    test: Test,
    *,
    tests: Sequence[Test],
    title: str,
    protocol: str,
    names: Mapping[Path, str],
) -> Table:
    found: dict[str, list[Entry]] = {}
    for row in rows:
        entries = [entry for entry in row.entries if _measures(entry, test, tests=tests, protocol=protocol)]
        if entries:
            found[row.label] = entries
    nets = []
    for label, entries in found.items():
        if label != BICUBIC:
            scores = {name_of(one, names): _images(one, test, protocol) for one in entries}
            nets.append(Standing(label, _averaged(list(scores.values())), scores, _costs(entries)))
    nets.sort(key=lambda net: -net.mean["psnr_y"])
    baseline = test.bicubic[protocol]
    costs = {"params": 0.0, **_costs(found.get(BICUBIC, []), only=("macs", "latency_ms", "peak_mb"))}
    standings = [Standing(BICUBIC, baseline, {}, costs), *nets]
    hashes = dict.fromkeys(one.results["data"]["hash"] for entries in found.values() for one in entries if one.results)
    return Table(
        title=title,
        test=test,
        protocol=protocol,
        hashes=list(hashes),
        standings=standings,
        intervals={one.label: interval(one.psnr()) for one in standings},
        gains={one.label: interval(one.ahead_of(standings[0])) for one in nets},
        p_values=dict(_p_values(standings)),
    )


def _measures(entry: Entry, test: Test, *, tests: Sequence[Test], protocol: str) -> bool:
    if entry.results is None:
        return False
    mine = [one for one in tests_of(entry.results) if (at := _index(one, tests)) is not None and tests[at] is test]
    return any(protocol in one.protocols for one in mine)


def _images(entry: Entry, test: Test, protocol: str) -> Images:
    """In the order of the test's own pictures."""
    images = (entry.results or {})["sets"][test.name][entry.net][protocol]["images"]
    return {image: images[image] for image in test.bicubic[protocol]}


def _averaged(seeds: Sequence[Images]) -> Images:
    first = seeds[0]
    return {
        image: {
            metric: statistics.fmean(seed[image][metric] for seed in seeds)
            for metric in row
            if all(metric in seed[image] for seed in seeds)
        }
        for image, row in first.items()
    }


def _costs(entries: Sequence[Entry], only: Sequence[str] = COSTS) -> dict[str, float]:
    costs = {}
    for name in only:
        values = [{**(entry.results or {}), **entry.about}.get(name) for entry in entries]
        known = [float(value) for value in values if value is not None]
        if known:
            costs[name] = statistics.fmean(known)
    return costs


def _p_values(standings: Sequence[Standing]) -> Iterator[tuple[tuple[str, str], float]]:
    pairs = list(combinations(standings, 2))
    found = {(a.label, b.label): signed_rank(a.ahead_of(b)) for a, b in pairs}
    known = {pair: p for pair, p in found.items() if p is not None}
    yield from zip(known, holm(list(known.values())), strict=True)


def _scored(rows: Sequence[Row]) -> list[Entry]:
    return [entry for row in rows for entry in row.entries if entry.is_scored]
