"""Running again with a cache: nothing changed, one trial changed, finished trials trusted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Literal

from suite.rows import Row, unmeasured
from suite.setting import Setting, aggregation, evaltrace, missing
from suite.timing import Case, Rounds, Used, cpu_of, interleaved, ratio

_TITLE = "no-change rerun"


def measure(setting: Setting) -> list[Row]:
    """Measure both kinds of trials, with and without events."""
    reason = missing("aggregate", "--cache")
    if reason:
        return [unmeasured(_TITLE, reason)]
    rows = []
    for events in ("none", "full"):
        rows += _rows(setting, "full", 1000, events, (0.08, 0.02))
        rows += _rows(setting, "small", 10_000, events, (0.25, 0.05))
    return rows


def _rows(
    setting: Setting,
    kind: Literal["full", "small"],
    count: int,
    events: str,
    limits: tuple[float, float],
) -> list[Row]:
    folder, cache = setting.jobs_of(kind, count), setting.out(f"cache-{kind}-{events}")
    shutil.rmtree(cache, ignore_errors=True)
    given: list[str | Path] = [folder, "-o", setting.out("rerun.json"), "--events", events]
    again = evaltrace(*aggregation(*given, "--cache", cache))
    again()
    cases = {"cold": evaltrace(*aggregation(*given)), "again": again}
    trusting = missing("aggregate", "--trust-finished")
    if not trusting:
        cases["trusted"] = evaltrace(*aggregation(*given, "--cache", cache, "--trust-finished"))
    if kind == "small":
        cases["changed"] = _changed(again, folder)
    found = interleaved(cases, setting.rounds)
    size = f"{setting.trials(count):,} trials of {'1 MB' if kind == 'full' else '75 KB'}"
    title = f"{size}, events {events}"
    rows = [_against_cold(found, "again", f"{_TITLE}, {title}", limits[0])]
    if trusting:
        rows.append(unmeasured(f"finished trials trusted, {title}", trusting))
    else:
        name = f"finished trials trusted, {title}"
        rows.append(_against_cold(found, "trusted", name, limits[1]))
    if kind == "small":
        pairs = zip(found["changed"], found["again"], strict=True)
        added = 1000 * median(a.cpu - b.cpu for a, b in pairs)
        name = f"one changed trial, {title}: added to the no-change rerun"
        rows.append(Row(name, added, 50, "ms"))
    return rows


def _against_cold(found: Rounds, name: str, title: str, limit: float) -> Row:
    times = f"{1000 * cpu_of(found, name):.0f} ms of {1000 * cpu_of(found, 'cold'):.0f} ms"
    return Row(title, ratio(found, name, "cold"), limit, "of cold", note=times)


def _changed(again: Case, folder: Path) -> Case:
    """Make a case in which another trial has changed each time."""
    change = _changes(folder)

    def run() -> Used:
        change()
        return again()

    return run


def _changes(folder: Path) -> Callable[[], None]:
    paths = iter(sorted(folder.glob("*/*/verifier/test-stdout.txt")))

    def change() -> None:
        path = next(paths)
        with path.open("a") as file:
            file.write("one more line\n")

    return change
