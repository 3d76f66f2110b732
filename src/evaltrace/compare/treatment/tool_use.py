"""Tool use: what each tool was called for in both arms, and how the trials that called it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from evaltrace.compare.sides import Side, Trial
from evaltrace.compare.treatment.servers import shown_server
from evaltrace.compare.treatment.treated import Treated
from evaltrace.comparison import ToolRow, UseOfTool
from evaltrace.trace import ToolCalls
from evaltrace.untrusted import one_line

_NAME_WIDTH = 120
_MENTIONED = "commands that match "

_NOT_COUNTED, _COUNTED, _PASSED = 2, 3, 4
"""Where the trials that called a tool are counted, by how they ended; before it, its calls."""

_Key = tuple[str | None, str]
"""A server and a tool of it."""


@dataclass(slots=True)
class _Tool:
    kind: str
    treated: bool
    seen_in: Trial | None = None
    baseline: list[int] = field(default_factory=lambda: [0] * 5)
    treatment: list[int] = field(default_factory=lambda: [0] * 5)


def to_tool_rows(baseline: Side, treatment: Side, treated: Treated) -> list[ToolRow]:
    """Count the calls of every tool in both arms, over all their trials; the treated one first.

    Shell commands that a pattern was looked for in have a row of their own, besides that of the
    shell they went through.
    """
    tools: dict[_Key, _Tool] = {}
    for side, of_treatment in ((baseline, False), (treatment, True)):
        for trial in side.trials:
            end = _PASSED if trial.passed is True else _COUNTED
            end = _NOT_COUNTED if trial.value is None else end
            for calls in _calls(trial):
                made = calls.count
                if not made:
                    continue
                key = calls.server, calls.name
                tool = tools.get(key)
                if tool is None:
                    tool = tools[key] = _Tool(calls.kind, _is_treated(calls, treated))
                counts = tool.treatment if of_treatment else tool.baseline
                counts[0] += made
                counts[1] += calls.errors
                if tool.seen_in is not trial:  # a trial may list a tool twice
                    tool.seen_in = trial
                    counts[end] += 1
    return sorted((_to_row(key, tool) for key, tool in tools.items()), key=_order)


def _calls(trial: Trial) -> list[ToolCalls]:
    tools = trial.trace.tools
    if not tools.mentions:
        return tools.calls or []
    searched = [
        ToolCalls(
            name=f"{_MENTIONED}{row.pattern}", kind="shell", count=row.count, errors=row.errors
        )
        for row in tools.mentions
    ]
    return [*(tools.calls or ()), *searched]


def _is_treated(calls: ToolCalls, treated: Treated) -> bool:
    if calls.name.startswith(_MENTIONED):
        pattern = treated.pattern.pattern if treated.pattern and treated.in_commands else None
        return calls.name.removeprefix(_MENTIONED) == pattern
    return treated.has(calls)


def _to_row(key: _Key, tool: _Tool) -> ToolRow:
    server, name = key
    return ToolRow(
        server=None if server is None else shown_server(server, _NAME_WIDTH),
        tool=one_line(name, _NAME_WIDTH),
        kind=tool.kind,
        treated=tool.treated,
        baseline=_to_use(tool.baseline),
        treatment=_to_use(tool.treatment),
    )


def _to_use(counts: list[int]) -> UseOfTool:
    calls, errors, *trials = counts
    return UseOfTool(
        calls=calls, errors=errors, trials=sum(trials), valid=sum(trials[1:]), passed=trials[2]
    )


def _order(row: ToolRow) -> tuple[bool, int, str, str]:
    return not row.treated, -(row.baseline.calls + row.treatment.calls), row.tool, row.server or ""
