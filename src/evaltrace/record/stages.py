"""Where the time of a run went: stages from pairs of events, steps and durations.

Each moment counts for one stage: that of the span which began last among those that cover it.
So the time of a nested span belongs to it and not to what is around, and what runs at the same
time is not counted twice.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from evaltrace.record.values import to_number
from evaltrace.trace import Bottleneck, Event

_STARTED = re.compile(r"(.+)_(?:started|start|began)")
_COMPLETED = re.compile(r"(.+)_(?:completed|complete|finished|ended|failed)")
_WHOLE = frozenset({"task", "trace", "run", "pipeline"})
"""Stages that are the run itself."""

_NAMES = ("stage", "agent_name", "step", "name", "id")
_TIMES = ("time_spent", "time", "duration")
_PART = re.compile(
    r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
    r"(?![a-z])",
    re.I,
)
_UNITS = {"ms": 0.001, "mi": 60.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MOST = 10
_ROUNDING = 1.0
"""Seconds by which a told time may be more than it was."""


class Span(NamedTuple):
    """A stage's time from one moment to another, in seconds since the epoch.

    Its length may be `told` by the caller, rather than measured.
    """

    start: float
    end: float
    stage: str
    told: bool = False


def to_span_seconds(value: object) -> float | None:
    """Read a duration: seconds as a number, or text like 2m 42s, 15m, 1h 27m 03s, 20 minutes."""
    number = to_number(value)
    if number is not None or not isinstance(value, str) or len(value) > 100:
        return number
    parts = _PART.findall(value)
    if not parts or _PART.sub("", value).strip(" ,") != "":
        return None
    return sum(float(amount) * _unit(name.lower()) for amount, name in parts)


def _unit(name: str) -> float:
    if name == "ms" or name.startswith("milli"):
        return _UNITS["ms"]
    return _UNITS[name[0]]


class Stages:
    """The spans of a run, found event by event, in order of time."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._open: dict[tuple[str, str], list[float]] = {}

    def add(self, event: Event, at: float) -> None:
        """Take an event that began at `at`."""
        if event.duration_ms is not None:
            self._spans.append(Span(at, at + event.duration_ms / 1000, _stage_of(event)))
            return
        data = event.data or {}
        started, completed = _STARTED.fullmatch(event.type), _COMPLETED.fullmatch(event.type)
        if started is not None:
            self._open.setdefault((started[1], _name_in(data)), []).append(at)
        elif completed is not None:
            self._complete(completed[1], data, at)
        else:
            spent = _told_time(data)
            if spent is not None:
                self._spans.append(Span(at - spent, at, _told_stage(event, data), told=True))

    def bottlenecks(self, start: float, end: float) -> list[Bottleneck]:
        """Give the stages that took a hundredth of the run or more, the longest first."""
        total = end - start
        if total <= 0:
            return []
        # What took longer than the run was not in the run, or is no duration.
        spans = [s for s in self._spans if not s.told or s.end - s.start <= total + _ROUNDING]
        shares = sorted(_shares(spans, start, end).items(), key=lambda row: (-row[1], row[0]))
        return [
            Bottleneck(
                stage=stage,
                time_spent_s=round(time, 3),
                percentage_of_total=min(round(100 * time / total, 1), 100.0),
            )
            for stage, time in shares[:_MOST]
            if time * 100 >= total
        ]

    def _complete(self, prefix: str, data: Mapping[str, object], at: float) -> None:
        if prefix in _WHOLE:
            return
        name = _name_in(data)
        waiting = self._open.get((prefix, name)) or self._open.get((prefix, ""))
        stage = name if prefix == "step" and name else prefix
        if waiting:
            self._spans.append(Span(waiting.pop(), at, stage))
            return
        spent = _told_time(data)
        if spent is not None:
            self._spans.append(Span(at - spent, at, stage, told=True))


def _stage_of(event: Event) -> str:
    if event.type in ("step", "call", "tool_called", "tool_call"):
        return event.name or event.type
    return event.type


def _told_stage(event: Event, data: Mapping[str, object]) -> str:
    stage = data.get("stage")
    return stage if isinstance(stage, str) and stage else _stage_of(event)


def _told_time(data: Mapping[str, object]) -> float | None:
    for key in _TIMES:
        spent = to_span_seconds(data.get(key))
        if spent is not None:
            return spent
    return None


def _name_in(data: Mapping[str, object]) -> str:
    return next((str(data[key]) for key in _NAMES if isinstance(data.get(key), str | int)), "")


def _shares(spans: Iterable[Span], start: float, end: float) -> dict[str, float]:
    """Divide the time of a run among stages: each moment to the span that began last."""
    inside = [
        Span(max(span.start, start), min(span.end, end), span.stage)
        for span in spans
        if span.start < end and span.end > start
    ]
    # Of those that begin together, the shortest is the innermost.
    inside.sort(key=lambda span: (span.start, -span.end, span.stage))
    times: dict[str, float] = {}
    running: list[tuple[float, int, float, str]] = []  # the latest start first
    now = start
    for number, span in enumerate([*inside, Span(end, end, "")]):
        now = _pass(running, times, now, span.start)
        heapq.heappush(running, (-span.start, -number, span.end, span.stage))
    return times


def _pass(
    running: list[tuple[float, int, float, str]],
    times: dict[str, float],
    now: float,
    until: float,
) -> float:
    """Let time pass, and count it for the spans that cover it."""
    while running and now < until:
        _, _, end, stage = running[0]
        if end <= now:
            heapq.heappop(running)
            continue
        stop = min(end, until)
        times[stage] = times.get(stage, 0.0) + stop - now
        now = stop
    return until
