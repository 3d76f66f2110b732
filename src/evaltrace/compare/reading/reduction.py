"""Traces reduced to what a comparison counts, one at a time: the long texts are let go."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import Any

from evaltrace.compare.options import CompareOptions
from evaltrace.compare.reading.keeping import Keeping
from evaltrace.compare.reading.metric import MetricField
from evaltrace.compare.sides import State, Trial
from evaltrace.measures import counts_reward
from evaltrace.mentions import count_mentions
from evaltrace.trace import Event, Mentions, Trace
from evaltrace.untrusted import one_line

BUILT_IN = "results of built-in tools"
_MOST_MOVES = 200
_MOVE_WIDTH = 120
_TARGETS = (
    "file_path", "path", "notebook_path", "command", "cmd", "pattern", "query", "url",
    "description", "script", "input",
)  # fmt: skip
"""Where a tool call says what it is about, the most telling first."""


def to_trial(
    trace: Trace,
    metric: MetricField,
    options: CompareOptions,
    patterns: Sequence[str] = (),
    keeping: Keeping | None = None,
) -> Trial:
    """Reduce a trace to what is counted; `patterns` are looked for in its shell commands.

    The trace is changed and kept: give `copied(trace)` of one that others use. `keeping` is that
    of all trials of a path.
    """
    recorded = metric.read(trace)
    state = _state(trace, recorded)
    value = recorded if state == "valid" else None
    if value is None and options.on_missing == "as-fail" and metric.says_passed:
        value = 0.0
    trial = Trial(
        trace=trace,
        task=trace.task.name,
        state=state,
        value=value,
        recorded=recorded,
        passed=_passed(trace, value, metric, options.pass_threshold),
        instruction=_digest(trace.task_instruction),
        moves=_moves(trace.events),
        cases=_cases(trace),
        texts=_texts(trace),
    )
    _count_mentions(trace, patterns)
    (keeping or Keeping(options)).reduce(trial)
    return trial


def _state(trace: Trace, recorded: float | None) -> State:
    if trace.status == "running":
        return "running"
    if trace.status == "cancelled":
        return "cancelled"
    if trace.error is not None and not trace.error.reward_valid:
        return "errored"
    return "unscored" if recorded is None else "valid"


def _passed(
    trace: Trace, value: float | None, metric: MetricField, threshold: float
) -> bool | None:
    if metric.says_passed:
        return None if value is None else value >= threshold
    reward = trace.test_reward if counts_reward(trace) else None
    return None if reward is None else reward >= threshold


# Attempts at a task were told the same, and often follow each other.
@lru_cache(maxsize=8)
def _digest(text: str | None) -> str | None:
    if text is None:
        return None
    return blake2b(text.strip().encode("utf-8", "replace"), digest_size=8).hexdigest()


def _count_mentions(trace: Trace, patterns: Sequence[str]) -> None:
    """Count what is looked for in a trace's commands, where that was not done before."""
    tools = trace.tools
    missing = [name for name in patterns if name not in _patterns(tools.mentions)]
    if missing and trace.events is not None:
        found = count_mentions(_commands(trace.events), missing) or []
        tools.mentions = [*(tools.mentions or ()), *found]


def _patterns(mentions: list[Mentions] | None) -> set[str]:
    return {row.pattern for row in mentions or ()}


def _commands(events: list[Event]) -> list[tuple[str, bool]]:
    # With it come the readers of all agents' logs, which few files of traces need.
    from evaltrace.agentlogs.tools import command_of

    return [
        (command, event.status == "error")
        for event in events
        if event.type == "tool_call" and (event.data or {}).get("kind") == "shell"
        if (command := command_of(event.input))
    ]


def _moves(events: list[Event] | None) -> tuple[str, ...] | None:
    if events is None:
        return None
    calls = (event for event in events if event.type == "tool_call")
    return tuple(_move(event) for event in islice(calls, _MOST_MOVES))


def _move(event: Event) -> str:
    return one_line(f"{event.name or 'tool'} {_target(event.input)}", _MOVE_WIDTH).rstrip()


def _target(given: Any) -> str:
    if isinstance(given, str):
        return given[: _MOVE_WIDTH * 8]
    if not isinstance(given, dict):
        return ""
    found = next((given[key] for key in _TARGETS if given.get(key)), None)
    found = next(iter(given.values()), "") if found is None else found
    return found[: _MOVE_WIDTH * 8] if isinstance(found, str) else str(found)[:_MOVE_WIDTH]


def _cases(trace: Trace) -> dict[str, str] | None:
    if trace.tests is None:
        return None
    return {case.name: case.status for case in trace.tests.cases}


def _texts(trace: Trace) -> dict[str, int] | None:
    if trace.events is None:
        return None
    servers = {call.name: call.server for call in trace.tools.calls or ()}
    lengths: Counter[str] = Counter({"reasoning": 0, "answers": 0, BUILT_IN: 0})
    for event in trace.events:
        lengths["reasoning"] += len(event.reasoning or "")
        if event.type == "tool_call":
            server = servers.get(event.name or "")
            lengths[sys.intern(f"results of {server}") if server else BUILT_IN] += len(
                event.output or ""
            )
        elif event.role == "assistant":
            lengths["answers"] += len(event.text or "")
    return dict(lengths)
