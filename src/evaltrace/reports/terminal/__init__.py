"""Text for a terminal: records in, text out, nothing printed."""

from __future__ import annotations

from evaltrace.reports.terminal.comparison import (
    render_audit,
    render_comparison,
    render_power,
)
from evaltrace.reports.terminal.rules import render_rules
from evaltrace.reports.terminal.table import render_table
from evaltrace.reports.terminal.totals import render_summary, render_summary_line
from evaltrace.reports.terminal.trace import render_trace

__all__ = [
    "render_audit",
    "render_comparison",
    "render_power",
    "render_rules",
    "render_summary",
    "render_summary_line",
    "render_table",
    "render_trace",
]
