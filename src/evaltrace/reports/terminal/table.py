"""Traces as a table for a terminal: one row each."""

from __future__ import annotations

from collections.abc import Iterable

from evaltrace.measures import counts_reward
from evaltrace.quantities import compact, dollars, grouped, plain, span
from evaltrace.reports.columns import Widened, columns, line_of, shorten_middle
from evaltrace.reports.terminal.layout import MIN_WIDTH
from evaltrace.trace import Cost, Trace

_RIGHT = frozenset({"att", "reward", "tokens", "cost", "time", "calls"})
_DROPPED = ("calls", "cost", "att", "time", "arm", "job")
"""Columns left out, in this order, while the task has no room."""
_JOB_NAME = len("2026-02-03__12-00-00")
"""Columns of a job that was not named: shorter, two of them look the same."""


def render_table(traces: Iterable[Trace], width: int = 80) -> str:
    """Give one row a trace, in at most `width` columns (at least 40).

    A cost that was computed is marked, like `~$0.24`.
    """
    from tabulate import tabulate

    rows = [_cells(trace) for trace in traces]
    if not rows:
        return "no traces\n"
    names, room = _fitting(_telling(rows), rows, max(width, MIN_WIDTH))
    # Tabulate counts characters, or columns where another package happens to be installed.
    widened = Widened()
    cells = [
        [widened.hide(shorten_middle(row[name], room[name])) for name in names] for row in rows
    ]
    # As rows, because headers would be given more room than they need.
    headers = [names, ["-" * room[name] for name in names]]
    align = ["right" if name in _RIGHT else "left" for name in names]
    text = tabulate(headers + cells, tablefmt="plain", disable_numparse=True, colalign=align)
    return "\n".join(line.rstrip() for line in widened.show(text).split("\n")) + "\n"


def _telling(rows: list[dict[str, str]]) -> list[str]:
    """Leave out arms that tell the rows nothing apart, and jobs where the arms do."""
    several = {name: len({row[name] for row in rows}) > 1 for name in ("arm", "job")}
    shown = {"arm": several["arm"], "job": several["job"] and not several["arm"]}
    return [name for name in rows[0] if shown.get(name, True)]


def _cells(trace: Trace) -> dict[str, str]:
    metrics = trace.metrics
    return {
        "task": line_of(trace.task_id) or "-",
        "arm": line_of(trace.arm or "-"),
        "job": line_of(trace.origin.job_name or "-"),
        "att": "-" if trace.attempt is None else str(trace.attempt),
        "status": trace.status,
        "reward": _reward_cell(trace),
        "tokens": compact(metrics.tokens.total),
        "cost": _cost_cell(metrics.cost),
        "time": span(metrics.durations.total_s, "-"),
        "calls": grouped(metrics.tool_calls, "-"),
    }


def _cost_cell(cost: Cost) -> str:
    """Mark with ~ what a price table gives, and the agent did not report."""
    mark = "~" if cost.usd is not None and cost.source == "computed" else ""
    return mark + dollars(cost.usd, "-")


def _reward_cell(trace: Trace) -> str:
    reward = plain(trace.test_reward, "-")
    return reward if trace.test_reward is None or counts_reward(trace) else f"({reward})"


def _fitting(
    names: list[str], rows: list[dict[str, str]], width: int
) -> tuple[list[str], dict[str, int]]:
    """Choose the columns and their widths; the task gets what the others leave."""
    room = {name: max(len(name), *(columns(row[name]) for row in rows)) for name in names}
    if "arm" in room:
        room["arm"] = min(room["arm"], max(12, width // 8))
    if "job" in room:
        room["job"] = min(room["job"], max(_JOB_NAME, width // 6))
    dropped = iter(_DROPPED)
    while True:
        left = width - sum(room[name] + 2 for name in names if name != "task")
        if left >= min(room["task"], 12):
            return names, room | {"task": min(room["task"], left)}
        skip = next(dropped)
        names = [name for name in names if name != skip]
