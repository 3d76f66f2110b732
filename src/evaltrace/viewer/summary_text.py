"""The summary of a run as text: the steps as our users know them, then what they took."""

from __future__ import annotations

from collections.abc import Iterator

from evaltrace.quantities import counted, dollars, grouped, plain, span
from evaltrace.reports.columns import fill, line_of
from evaltrace.untrusted import one_line
from evaltrace.viewer.clock import is_short, offset_words
from evaltrace.viewer.events import WORDS
from evaltrace.viewer.rows import Row
from evaltrace.viewer.summary import Step, Summary
from evaltrace.viewer.timeline import what_of

_MARKS = {"success": "✅", "fail": "❌", "blocked": "🚫", "started": "⏳"}
_SHOWN_STEPS = 100
"""Steps that are listed; of more, those that did not succeed."""


def summary_lines(
    summary: Summary, totals: bool | None = None, width: int | None = None
) -> Iterator[str]:
    """Lay out a summary; `totals` are added where there are no steps, unless it is said.

    Without a width no line is broken.
    """
    yield f"Trace ID: {line_of(summary.trace_id)}"
    yield f"Intent: {line_of(summary.intent or 'unknown')}"
    yield f"Status: {line_of(summary.status).upper()}"
    yield f"Started: {line_of(summary.started_at or 'unknown')}"
    running = summary.status == "running"
    yield f"Completed: {line_of(summary.completed_at or ('not yet' if running else 'unknown'))}"
    if summary.steps:
        yield from ("", f"Execution Steps ({len(summary.steps):,}):")
        yield from _step_lines(summary.steps, width)
    if summary.final_error:
        yield ""
        yield from _broken(f"Final Error: {_told(summary.final_error)}", width, "  ")
    if totals or (totals is None and not summary.steps):
        yield ""
        yield from total_lines(summary, width)


def _step_lines(steps: list[Step], width: int | None) -> Iterator[str]:
    many = len(steps) > _SHOWN_STEPS
    shown = [s for i, s in enumerate(steps) if not many or i < 10 or s.status != "success"]
    for step in shown[:_SHOWN_STEPS]:
        indent = "  " * (step.depth + 1)
        mark = _MARKS.get(step.status, "❔")
        name, status = line_of(step.agent_name), line_of(step.status).upper()
        yield f"{indent}{step.step_number}. {mark} {name}: {status}"
        if step.error_message:
            yield from _broken(
                f"{indent}   Error: {_told(step.error_message)}", width, f"{indent}     "
            )
    left = len(steps) - len(shown[:_SHOWN_STEPS])
    if left:
        yield f"  … {counted(left, 'more step')}: --timeline --type step lists all"


def total_lines(summary: Summary, width: int | None = None) -> Iterator[str]:
    """Say what a run took, what it held, and what failed."""
    for line in (
        f"Time: {_time(summary)}",
        f"Tokens: {_tokens(summary)}",
        f"Cost: {dollars(summary.total_cost_usd)}",
        f"Turns: {grouped(summary.turns)}, tool calls: {grouped(summary.tool_calls)}",
        f"Events: {_counts(summary.total_events, summary.events_by_type)}",
        f"Errors: {_counts(summary.total_errors, summary.errors_by_type)}",
    ):
        yield from _broken(line, width, "  ")
    fine = is_short(summary.duration_s)
    for word, row in (("First", summary.first_failure), ("Last", summary.last_failure)):
        if row is not None:
            yield from _failure_lines(word, row, fine, width)
    if summary.reward is not None:
        yield f"Reward: {plain(summary.reward)}" + (
            "" if summary.reward_counts else ", not counted"
        )
    yield from _test_lines(summary, width)


def _time(summary: Summary) -> str:
    phases = [
        f"{name.replace('_', ' ')} {span(seconds)}" for name, seconds in summary.phases.items()
    ]
    total = span(summary.duration_s)
    return f"{total} ({', '.join(phases)})" if phases else total


def _tokens(summary: Summary) -> str:
    if summary.total_tokens is None:
        return "unknown"
    parts = f"{grouped(summary.input_tokens)} in, {grouped(summary.output_tokens)} out"
    return f"{grouped(summary.total_tokens)} ({parts})"


def _counts(total: int | None, by_type: dict[str, int]) -> str:
    if total is None:
        return "left out of this trace"
    parts = ", ".join(f"{line_of(name)} {number:,}" for name, number in by_type.items())
    return f"{total:,} ({parts})" if parts else f"{total:,}"


def _failure_lines(word: str, row: Row, fine: bool, width: int | None) -> Iterator[str]:
    room = (width or 1000) - 4
    place = f"{word}: {offset_words(row.offset_ms, fine)} {line_of(row.id)} {line_of(row.type)}"
    yield from _broken(f"  {place} {what_of(row, room)}", width, "    ")
    if row.error:
        yield from _broken(f"    {_told(row.error)}", width, "    ")


def _test_lines(summary: Summary, width: int | None) -> Iterator[str]:
    tests = summary.tests
    if tests is None:
        return
    passed = f"{grouped(tests.passed)} of {grouped(tests.total)} passed"
    yield f"Tests: {passed}, {grouped(tests.failed)} failed"
    for name in summary.failed_tests:
        yield from _broken(f"  failed: {line_of(name)}", width, "    ")
    left = (tests.failed or 0) - len(summary.failed_tests)
    if left > 0 and summary.failed_tests:
        yield f"  … {left:,} more"


def _told(text: str) -> str:
    return one_line(text, 2 * WORDS)


def _broken(text: str, width: int | None, indent: str) -> list[str]:
    """Break a line where it is too wide; its own indent stays, the next lines get `indent`."""
    if width is None:
        return [text]
    own = text[: len(text) - len(text.lstrip())]
    room = max(width - max(len(own), len(indent)), 20)
    first, *rest = fill(text.split(), room, " ") or [""]
    return [own + first, *(indent + line for line in rest)]
