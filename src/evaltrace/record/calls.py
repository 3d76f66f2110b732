"""Recording by three functions that know a trace by its id, in this process or another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Unpack

from evaltrace.record.faults import warn
from evaltrace.record.live import Recording
from evaltrace.record.options import RecordingOptions
from evaltrace.record.starting import find, start
from evaltrace.trace import Trace

_MOST_NAMED = 1000
_named: set[str] = set()


def start_execution_trace(
    agent: str,
    task_type: str,
    context: Mapping[str, Any] | None = None,
    **options: Unpack[RecordingOptions],
) -> str:
    """Start to record a run, and give the id of its trace.

    `context` holds free facts; `options` are those of `recording`.
    """
    return start(agent, task_type, context, options).trace_id


def log_trace_event(
    trace_id: str,
    event_type: str,
    data: Mapping[str, Any] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    **fields: Any,
) -> None:
    """Record that something happened in a run that was started here or in another process.

    `fields` are those of `Recording.event`. Another process needs to know the folder of the
    recordings, by `folder` or $EVALTRACE_RECORDINGS.
    """
    run = find(trace_id, folder)
    if run is None:
        _tell_unknown(trace_id)
    else:
        run.event(event_type, data, **fields)


def end_execution_trace(
    trace_id: str,
    outcome: str,
    metrics: Mapping[str, Any] | None = None,
    *,
    error: BaseException | str | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Trace | None:
    """End a run, write its trace, and give it; None for a trace that is not being recorded.

    `outcome` is success, failure, partial or cancelled. `metrics` go beside those that follow
    from the events, and win; `error` says what stopped the run.
    """
    run = find(trace_id, folder)
    if run is None:
        _tell_unknown(trace_id)
        return None
    return run.end(outcome, metrics, error=error)


def recording(
    agent: str,
    task_type: str,
    context: Mapping[str, Any] | None = None,
    **options: Unpack[RecordingOptions],
) -> Recording:
    """Start to record a run that ends with a `with` block.

    `context` holds free facts. Options: folder, store, trigger, task, instruction, arm, model,
    plan, raw_limit, fsync, strict, clock, mirror (see `RecordingOptions`).
    """
    return start(agent, task_type, context, options)


def _tell_unknown(trace_id: object) -> None:
    name = trace_id if isinstance(trace_id, str) else type(trace_id).__name__
    if name in _named:
        return
    if len(_named) < _MOST_NAMED:
        _named.add(name)
    warn(f"Trace {name[:100]} is not being recorded here: it has ended, or its folder is another")
