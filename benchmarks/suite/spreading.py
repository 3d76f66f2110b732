"""Two workers, a cluster on one machine, and job directories far away."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from typing import Literal

from s3_latency import environment, late_server
from suite.rows import Row, unmeasured
from suite.setting import Setting, aggregation, evaltrace, missing, whole_evaltrace
from suite.timing import Failed, Rounds, cpu_of, interleaved, ratio, wall_of

_LATENCY = 0.04


def measure(setting: Setting) -> list[Row]:
    """Measure all three."""
    return [*_workers(setting), *_cluster(setting), *_far_away(setting)]


def _workers(setting: Setting) -> list[Row]:
    reason = missing("aggregate", "--workers")
    if reason is None and len(os.sched_getaffinity(0)) < 2:
        reason = "there is one processor only"
    if reason:
        return [unmeasured("two workers against one, on the wall", reason)]
    folder, rows = setting.jobs_of("full", 1000), []
    for events in ("none", "full"):
        given = (folder, "-o", setting.out("workers.json"), "--events", events)
        cases = {n: evaltrace(*aggregation(*given, "--workers", n)) for n in ("1", "2")}
        found = interleaved(cases, setting.rounds)
        times = f"{wall_of(found, '2'):.2f} s of {wall_of(found, '1'):.2f} s"
        more = ratio(found, "2", "1")
        rows.append(
            Row(
                f"two workers against one, on the wall, events {events}",
                ratio(found, "2", "1", wall=True),
                1 / 1.6,
                "x",
                note=f"{times}; {more:.2f} times the time of the processor",
            )
        )
    return rows


def _cluster(setting: Setting) -> list[Row]:
    """Compare what 1,000 trials take longer than a few do, so that start-up is apart."""
    title = "Dask with two local workers against our processes, start-up apart, on the wall"
    reason = missing("aggregate", "--engine", "--workers")
    if reason:
        return [unmeasured(title, reason)]
    many, few = setting.jobs_of("full", 1000), setting.jobs_of("full", 20)
    out, cases = setting.out("engine.json"), {}
    for name, more in (("pool", ()), ("dask", ("--engine", "dask"))):
        for size, folder in (("many", many), ("few", few)):
            given = aggregation(folder, "-o", out, "--workers", "2", *more)
            cases[f"{name} {size}"] = whole_evaltrace(*given)
    try:
        found = interleaved(cases, setting.rounds)
    except Failed as failure:
        return [unmeasured(title, failure.reason)]
    taken = {
        name: [
            a.wall - b.wall
            for a, b in zip(found[f"{name} many"], found[f"{name} few"], strict=True)
        ]
        for name in ("pool", "dask")
    }
    if min(taken["pool"]) < 0.1:
        return [unmeasured(title, "too few trials to tell them from start-up")]
    figure = median(a / b for a, b in zip(taken["dask"], taken["pool"], strict=True))
    note = f"{median(taken['dask']):.2f} s of {median(taken['pool']):.2f} s"
    note += f"; a few trials with start-up: {wall_of(found, 'dask few'):.2f} s"
    return [Row(title, figure, 1.5, "x", note=note)]


def _far_away(setting: Setting) -> list[Row]:
    rows: list[Row] = []
    kinds: list[tuple[Literal["full", "small"], int, str]] = [
        ("small", 1000, "75 KB"),
        ("full", 300, "1 MB"),
    ]
    for kind, count, size in kinds:
        sizes = [setting.trials(count), setting.trials(count // 10)]
        folders = [setting.jobs_of(kind, count), setting.jobs_of(kind, count // 10)]
        for events in ("none", "full"):
            title = f"S3 with {1000 * _LATENCY:.0f} ms latency, trials of {size}, events {events}"
            try:
                found, serving = _measured(setting, folders, events)
            except Failed as failure:
                rows.append(unmeasured(title, failure.reason))
                continue
            rows += _far_rows(title, found, sizes, 1000 * serving / sizes[0])
    return rows


def _measured(setting: Setting, folders: list[Path], events: str) -> tuple[Rounds, float]:
    """Read many trials and few, from S3 and from the disk, in turns, in whole processes.

    Gives also the seconds of the processor that the server takes for the many.
    """
    given = ("-o", setting.out("s3.json"), "--events", events)
    many, few = folders
    with late_server(many, _LATENCY) as server, late_server(few, _LATENCY) as other:
        cases = {
            f"{place} {size}": whole_evaltrace(*aggregation(path, *given), env=env)
            for size, folder, each in (("many", many, server), ("few", few, other))
            for place, path, env in (
                ("far", "s3://jobs/", environment(each.endpoint)),
                ("near", folder, None),
            )
        }
        before = server.spent()
        found = interleaved(cases, min(setting.rounds, 3))
        return found, (server.spent() - before) / len(found["far many"])


def _far_rows(title: str, found: Rounds, sizes: list[int], serving: float) -> list[Row]:
    """Give what many trials take longer than few do, for each, so that start-up is apart."""
    trials = sizes[0] - sizes[1]
    wall, spent = (
        {
            place: 1000 * (of(found, f"{place} many") - of(found, f"{place} few")) / trials
            for place in ("far", "near")
        }
        for of in (wall_of, cpu_of)
    )
    note = f"of the processor {spent['far']:.1f} ms, from the disk {spent['near']:.1f}"
    note += f"; the server beside it {serving:.1f} ms"
    near = f"from the disk it takes {wall['near']:.1f} ms"
    return [
        Row(f"{title}: wall per trial and process", wall["far"], 5, "ms", note=note),
        Row(f"{title}: wall that distance adds", wall["far"] - wall["near"], 5, "ms", note=near),
    ]
