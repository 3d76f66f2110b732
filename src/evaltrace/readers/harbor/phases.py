"""When what happened in a trial: phases and steps as events, durations, bottlenecks.

Source: Harbor format reference, sections 1.8 and 2.1.
"""

from __future__ import annotations

from typing import Literal

from evaltrace.readers.harbor.records import StepResult, Timing, TrialResult
from evaltrace.times import elapsed_s, parse_time, to_utc
from evaltrace.trace import Bottleneck, Durations, Event
from evaltrace.untrusted import bounded

_TEXT_LIMIT = 1000
PHASES = ("environment_setup", "agent_setup", "agent_execution", "verifier")


def to_durations(result: TrialResult | None, steps: list[StepResult]) -> Durations:
    """Give the seconds of each phase; those of a multi-step trial's steps are added up."""
    if result is None:
        return Durations()
    return Durations(
        total_s=_span(result.started_at, result.finished_at),
        environment_setup_s=_seconds([result.environment_setup]),
        agent_setup_s=_seconds([result.agent_setup]),
        agent_execution_s=_seconds(
            [result.agent_execution, *(step.agent_execution for step in steps)]
        ),
        verifier_s=_seconds([result.verifier, *(step.verifier for step in steps)]),
    )


def _seconds(timings: list[Timing | None]) -> float | None:
    spans = [_span(time.started_at, time.finished_at) for time in timings if time]
    known = [span for span in spans if span is not None]
    return round(sum(known), 6) if known else None


def _span(start: str | None, end: str | None) -> float | None:
    # Below zero: the clock was put back meanwhile, so nobody knows how long it took.
    seconds = elapsed_s(start, end)
    return None if seconds is None or seconds < 0 else seconds


def clock_of(result: TrialResult | None) -> Literal["utc", "naive_local"] | None:
    """Tell whether the trial's times are in UTC or naive local (0.1.35 and before)."""
    start = to_utc(result.started_at if result else None)
    if start is None:
        return None
    return "naive_local" if is_naive(start) else "utc"


def is_naive(stamp: str | None) -> bool:
    """Tell whether a time names no zone."""
    time = parse_time(stamp)
    return time is not None and time.tzinfo is None


def phase_events(result: TrialResult | None) -> list[Event]:
    """Make an event of each phase that was reached, in order."""
    events = []
    for name in PHASES:
        timing = getattr(result, name, None)
        if timing is not None and timing.started_at:
            events.append(_timed_event(f"phase.{name}", "phase", name, timing))
    return events


def step_event(number: int, step: StepResult, failed: bool) -> Event:
    """Make the event of one step of a multi-step trial, its rewards in `data`."""
    ends = [step.agent_execution, step.verifier]
    times = [timing for timing in ends if timing is not None]
    whole = Timing(
        started_at=times[0].started_at if times else None,
        finished_at=times[-1].finished_at if times else None,
    )
    event = _timed_event(f"s{number}", "step", step.step_name or f"step {number}", whole)
    event.status = "error" if failed else "ok"
    rewards = step.verifier_result.rewards if step.verifier_result else None
    if rewards:
        event.data = {**(event.data or {}), "rewards": bounded(rewards, _TEXT_LIMIT)}
    return event


def _timed_event(event_id: str, kind: str, name: str, timing: Timing) -> Event:
    seconds = _span(timing.started_at, timing.finished_at)
    event = Event(
        id=event_id,
        type=kind,
        name=name,
        started_at=to_utc(timing.started_at),
        duration_ms=None if seconds is None else round(seconds * 1000, 3),
    )
    if is_naive(event.started_at):
        # The agent's own events are in UTC: a local time among them would sort wrongly.
        event.data, event.started_at = {"started_at_local": event.started_at}, None
    return event


def find_bottlenecks(durations: Durations) -> list[Bottleneck] | None:
    """Rank the phases by time, with the rest (log transfer, tear-down) as `other`."""
    total = durations.total_s
    if not total or total <= 0:
        return None
    spent = {
        name: seconds
        for name in PHASES
        if (seconds := getattr(durations, f"{name}_s")) is not None and seconds > 0
    }
    rest = round(total - sum(spent.values()), 6)
    if rest > 0:
        spent["other"] = rest
    return [
        Bottleneck(
            stage=name,
            time_spent_s=seconds,
            percentage_of_total=min(round(100 * seconds / total, 2), 100.0),
        )
        for name, seconds in sorted(spent.items(), key=lambda item: (-item[1], item[0]))
    ]
