"""Turn agent benchmark job directories into validated traces, and compare them.

The names below are the public interface; each loads its module when it is first used,
so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from evaltrace.version import __version__ as __version__

if TYPE_CHECKING:
    from evaltrace.aggregate import Record, aggregate_jobs, read_records
    from evaltrace.cache import Cache
    from evaltrace.compare import compare_paths, compare_traces
    from evaltrace.compare.options import CompareOptions
    from evaltrace.comparison import Comparison
    from evaltrace.engines import processes
    from evaltrace.errors import EvaltraceError, Problem
    from evaltrace.files import read_traces
    from evaltrace.plan import Options, Plan, plan_aggregation
    from evaltrace.record import (
        end_execution_trace,
        log_trace_event,
        recording,
        start_execution_trace,
        traced,
    )
    from evaltrace.reports.machine import render_json
    from evaltrace.reports.markdown import render_markdown
    from evaltrace.reports.terminal import render_comparison
    from evaltrace.reports.webpage import render_webpage
    from evaltrace.schema import is_valid, read_schema, violations
    from evaltrace.store import Store
    from evaltrace.summary import Summary
    from evaltrace.trace import Event, Trace, Trigger

_PLACES = {
    "Cache": "cache",
    "CompareOptions": "compare.options",
    "Comparison": "comparison",
    "EvaltraceError": "errors",
    "Event": "trace",
    "Options": "plan",
    "Plan": "plan",
    "Problem": "errors",
    "Record": "aggregate",
    "Store": "store",
    "Summary": "summary",
    "Trace": "trace",
    "Trigger": "trace",
    "aggregate_jobs": "aggregate",
    "compare_paths": "compare",
    "compare_traces": "compare",
    "end_execution_trace": "record",
    "is_valid": "schema",
    "log_trace_event": "record",
    "plan_aggregation": "plan",
    "processes": "engines",
    "read_records": "aggregate",
    "read_schema": "schema",
    "read_traces": "files",
    "recording": "record",
    "render_comparison": "reports.terminal",
    "render_json": "reports.machine",
    "render_markdown": "reports.markdown",
    "render_webpage": "reports.webpage",
    "start_execution_trace": "record",
    "traced": "record",
    "violations": "schema",
}

__all__ = [
    "Cache",
    "CompareOptions",
    "Comparison",
    "EvaltraceError",
    "Event",
    "Options",
    "Plan",
    "Problem",
    "Record",
    "Store",
    "Summary",
    "Trace",
    "Trigger",
    "aggregate_jobs",
    "compare_paths",
    "compare_traces",
    "end_execution_trace",
    "is_valid",
    "log_trace_event",
    "plan_aggregation",
    "processes",
    "read_records",
    "read_schema",
    "read_traces",
    "recording",
    "render_comparison",
    "render_json",
    "render_markdown",
    "render_webpage",
    "start_execution_trace",
    "traced",
    "violations",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'evaltrace' has no attribute {name!r}")
    value = getattr(import_module(f"evaltrace.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
