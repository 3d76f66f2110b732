"""Two workers, a cluster on one machine, and job directories far away."""

from __future__ import annotations

import os
from statistics import median
from typing import Any

from s3_latency import environment, late_server
from suite.rows import Row, unmeasured
from suite.setting import Setting, aggregation, evaltrace, missing, whole_evaltrace
from suite.timing import Failed, interleaved, ratio, wall_of

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
    title = f"S3 with {1000 * _LATENCY:.0f} ms latency: wall per trial and process"
    many, few = setting.jobs_of("full", 200), setting.jobs_of("full", 20)
    walls: dict[str, Any] = {}
    try:
        for name, folder in (("many", many), ("few", few)):
            with late_server(folder, _LATENCY) as endpoint:
                given = aggregation("s3://jobs/", "-o", setting.out("s3.json"))
                case = whole_evaltrace_at(endpoint, given)
                walls[name] = interleaved({name: case}, min(setting.rounds, 3))
    except Failed as failure:
        return [unmeasured(title, failure.reason)]
    added = wall_of(walls["many"], "many") - wall_of(walls["few"], "few")
    trials = setting.trials(200) - setting.trials(20)
    local = interleaved(
        {"local": whole_evaltrace(*aggregation(many, "-o", setting.out("s3.json")))}, 1
    )
    reading = 1000 * wall_of(local, "local") / setting.trials(200)
    note = f"from the disk it takes {reading:.1f} ms"
    return [Row(title, 1000 * added / trials, 5, "ms", note=note)]


def whole_evaltrace_at(endpoint: str, given: list[str]) -> Any:
    """Make a case of an evaltrace process that finds S3 at the endpoint."""
    return whole_evaltrace(*given, env=environment(endpoint))
