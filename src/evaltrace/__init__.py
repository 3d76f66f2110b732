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
    from evaltrace.reports.machine import render_json
    from evaltrace.reports.markdown import render_markdown
    from evaltrace.reports.terminal import render_comparison
    from evaltrace.reports.webpage import render_webpage
    from evaltrace.schema import is_valid, read_schema, violations
    from evaltrace.summary import Summary
    from evaltrace.trace import Event, Trace

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
    "Summary": "summary",
    "Trace": "trace",
    "aggregate_jobs": "aggregate",
    "compare_paths": "compare",
    "compare_traces": "compare",
    "is_valid": "schema",
    "plan_aggregation": "plan",
    "processes": "engines",
    "read_records": "aggregate",
    "read_schema": "schema",
    "read_traces": "files",
    "render_comparison": "reports.terminal",
    "render_json": "reports.machine",
    "render_markdown": "reports.markdown",
    "render_webpage": "reports.webpage",
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
    "Summary",
    "Trace",
    "aggregate_jobs",
    "compare_paths",
    "compare_traces",
    "is_valid",
    "plan_aggregation",
    "processes",
    "read_records",
    "read_schema",
    "read_traces",
    "render_comparison",
    "render_json",
    "render_markdown",
    "render_webpage",
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
