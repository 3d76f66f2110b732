"""What of a trace is left as it is, and what no run's own settings may change.

The agent under test can write settings files: what they hold must not take its trial out of the
traces, or out of its pair. Enumerations and numbers are told by their types, times by their looks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from evaltrace.errors import Problem
from evaltrace.trace import (
    Agent,
    AgentConfig,
    AgentResponse,
    Bottleneck,
    Cost,
    Event,
    Input,
    McpServer,
    Mentions,
    Origin,
    PermissionDenial,
    Redaction,
    Task,
    ToolCalls,
    Tools,
    Trace,
    TraceError,
    Trigger,
    Truncation,
)

_IDS: dict[Any, frozenset[str]] = {
    Trace: frozenset({"schema_version", "trace_id", "task_id", "status"}),
    Task: frozenset({"checksum", "digest"}),
    Truncation: frozenset({"digest", "unit"}),
    Event: frozenset({"id", "type", "parent_id", "started_at"}),
}
"""What names a trace or an event, or is a digest: links between records must hold."""

_NAMES: dict[Any, frozenset[str]] = {
    Trace: frozenset({"arm", "rewards", "sources"}),
    Task: frozenset({"name", "org", "source", "category", "difficulty", "tags"}),
    Origin: frozenset(
        {"harness", "harness_version", "harness_version_from", "job_name", "job_id", "path"}
        | {"task_ref"}
    ),
    Input: frozenset(
        {"job_name", "job_id", "harness", "harness_version", "harness_version_from", "retry"}
    ),
    Agent: frozenset({"name", "version", "import_path"}),
    AgentConfig: frozenset({"model"}),
    AgentResponse: frozenset({"type", "subtype", "model_usage", "session_id"}),
    PermissionDenial: frozenset({"tool_name", "tool_use_id"}),
    Tools: frozenset({"available"}),
    McpServer: frozenset({"name", "status", "configured_in"}),
    ToolCalls: frozenset({"name", "server"}),
    Mentions: frozenset({"pattern"}),
    Event: frozenset({"name", "status", "role", "model", "provider"}),
    TraceError: frozenset({"type", "phase"}),
    Bottleneck: frozenset({"stage"}),
    Cost: frozenset({"price_table"}),
    Trigger: frozenset({"source", "issue_key", "issue_status", "intent_type"}),
    Truncation: frozenset({"field"}),
    Redaction: frozenset({"rules", "counts"}),
    Problem: frozenset({"code"}),
}
"""What trials are paired, counted and told apart by: rules hold there, known values do not."""

_TIME = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)


def is_left(kind: type, field: str, value: Any) -> bool:
    """Tell whether a field of a record stays whatever it holds: an id, a time, one of a few."""
    if field in _IDS.get(kind, ()):
        return True
    if not isinstance(value, str):
        return False
    if field.endswith("_at") or field == "timestamp":
        return _TIME.fullmatch(value) is not None
    return value in _choices(kind).get(field, ())


def is_name(kind: type, field: str) -> bool:
    """Tell whether a field names what a trace is of, where known values are not looked for."""
    return field in _NAMES.get(kind, ())


def names_of(trace: Trace) -> str:
    """Give the names of a trace's task, trial and job, one to a line."""
    task, origin = trace.task, trace.origin
    names = (task.name, task.org, trace.task_id, trace.trace_id, trace.arm, origin.path)
    return "\n".join(name for name in (*names, origin.job_name, origin.job_id) if name)


@cache
def _choices(kind: type) -> dict[str, frozenset[str]]:
    """List the values of the fields that have one of a few."""
    hints = get_type_hints(kind)
    found = {name: frozenset(_literals(hint)) for name, hint in hints.items()}
    return {name: values for name, values in found.items() if values}


def _literals(hint: Any) -> Iterator[str]:
    if get_origin(hint) is Literal:
        yield from get_args(hint)
        return
    for part in get_args(hint):
        yield from _literals(part)
