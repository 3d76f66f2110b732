"""Where the time of a run went."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace import recording
from evaltrace.record.stages import Span, Stages, to_span_seconds
from evaltrace.trace import Event
from recorders import SetClock, as_json


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2m 42s", 162), ("15m", 900), ("12s", 12), ("1h 27m 03s", 5223), ("45m 00s", 2700),
        ("340 ms", 0.34), ("20 minutes", 1200), ("25 hours", 90000), ("1.5h", 5400), (12, 12),
        (0.5, 0.5), ("2min", 120), ("1 day", 86400), ("3 sec, 2 ms", 3.002),
        ("soon", None), ("", None), ("12", None), ("5 apples", None),
        ("25 hours (from spec)", None),
        (None, None), (True, None), (-1, None), (float("nan"), None), ("1m" * 1000, None),
    ],
)  # fmt: skip
def test_durations_are_read_as_people_write_them(text: object, seconds: float | None) -> None:
    assert to_span_seconds(text) == (None if seconds is None else pytest.approx(seconds))


def shares(spans: list[tuple[float, float, str]], total: float = 100) -> dict[str, float]:
    stages = Stages()
    for start, end, stage in spans:
        event = Event(id="1", type="step", name=stage, duration_ms=(end - start) * 1000)
        stages.add(event, start)
    return {row.stage: row.time_spent_s for row in stages.bottlenecks(0, total)}


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 10, "a"), (20, 30, "a")], {"a": 20}),
        ([(0, 10, "a"), (5, 15, "a")], {"a": 15}),
        ([(0, 50, "outer"), (10, 30, "inner")], {"outer": 30, "inner": 20}),
        ([(0, 50, "outer"), (0, 20, "inner")], {"outer": 30, "inner": 20}),
        ([(0, 30, "first"), (20, 50, "second")], {"first": 20, "second": 30}),
        ([(0, 60, "a"), (10, 50, "b"), (20, 30, "c")], {"a": 20, "b": 30, "c": 10}),
        ([(-50, 10, "early"), (90, 500, "late")], {"early": 10, "late": 10}),
        ([(0, 0.5, "short"), (200, 300, "outside")], {}),
    ],
)
def test_each_moment_counts_once_for_the_innermost(
    spans: list[tuple[float, float, str]], expected: dict[str, float]
) -> None:
    assert shares(spans) == expected


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60), st.sampled_from("abcd")), max_size=8)
)
def test_times_are_those_of_a_count_second_by_second(spans: list[tuple[int, int, str]]) -> None:
    ordered = sorted(
        (Span(min(one, two), max(one, two), stage) for one, two, stage in spans),
        key=lambda span: (span.start, -span.end, span.stage),
    )
    counted: dict[str, float] = {}
    for second in range(60):
        covering = [span for span in ordered if span.start <= second < span.end]
        if covering:
            stage = max(covering, key=lambda span: span.start).stage
            last = [span for span in covering if span.start == max(s.start for s in covering)]
            stage = last[-1].stage
            counted[stage] = counted.get(stage, 0) + 1
    given_spans = [(min(one, two), max(one, two), stage) for one, two, stage in spans]
    assert shares(given_spans, total=60) == counted


@pytest.mark.parametrize("data", [{"time": 1760783400.5}, {"time_spent": "2h"}, {"duration": 61}])
def test_a_told_time_that_is_longer_than_the_run_is_none(
    tmp_path: Path, data: dict[str, object]
) -> None:
    clock = SetClock()
    run = recording("a", "t", folder=tmp_path, clock=clock)
    clock.now += 59
    run.event("file_read", data)
    assert as_json(run.end())["bottlenecks"] == []


def test_pairs_steps_and_told_times_are_stages(tmp_path: Path) -> None:
    clock = SetClock()
    run = recording("a", "t", folder=tmp_path, clock=clock)
    run.event("indexing_started", {"name": "one"})
    clock.now += 10
    run.event("indexing_started", {"name": "two"})
    clock.now += 10
    run.event("indexing_finished", {"name": "one"})
    run.event("indexing_failed", {"name": "two"})
    with run.step("reviewer"):
        clock.now += 20
        run.event("tool_called", {"tool": "grep"}, duration_ms=5000)
    clock.now += 50
    run.event("bottleneck_detected", {"stage": "waiting", "time_spent": "40s", "reason": "lock"})
    run.event("tests_run", {"time": "2s"})
    run.event("task_completed", {"time_spent": "90s"})
    clock.now += 10
    found = as_json(run.end())["bottlenecks"]
    assert [(row["stage"], row["time_spent_s"], row["percentage_of_total"]) for row in found] == [
        ("waiting", 38.0, 38.0),
        ("indexing", 20.0, 20.0),
        ("reviewer", 15.0, 15.0),
        ("grep", 5.0, 5.0),
        ("tests_run", 2.0, 2.0),
    ]
