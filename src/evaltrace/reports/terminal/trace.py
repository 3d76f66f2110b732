"""One trace in full as text for a terminal: a record in, text out, nothing printed.

No line is wider than asked for, and no control sequence of a trace survives.
"""

from __future__ import annotations

from collections.abc import Iterator

from evaltrace.measures import counts_reward
from evaltrace.quantities import UNKNOWN, counted, dollars, grouped, plain, span
from evaltrace.reports.columns import fill, line_of, lines_of
from evaltrace.reports.terminal.layout import (
    COLOURS,
    MIN_WIDTH,
    TOKEN_KINDS,
    Block,
    lay_out,
    rest_of,
)
from evaltrace.trace import CodeStats, Mentions, Tests, ToolCalls, Trace, TraceError

_LISTED = 10


def render_trace(trace: Trace, width: int = 80, colour: bool = False) -> str:
    """Describe one trace in lines of at most `width` columns (at least 40)."""
    status = trace.status.upper()
    shown = f"\x1b[1;{COLOURS[trace.status]}m{status}\x1b[0m" if colour else status
    indent = " " * (len(status) + 2)
    name = fill([line_of(trace.task_id)], max(width, MIN_WIDTH) - len(indent), " ")
    lines = [f"{shown}  {name[0]}" if name else shown, *(indent + more for more in name[1:])]
    for block in _blocks(trace):
        lines += lay_out(block, width)
    return "\n".join(lines) + "\n"


def _blocks(trace: Trace) -> Iterator[Block]:
    agent, many = trace.agent_config.agent, 10_000
    yield "task", [_task_items(trace)], many
    yield "reward", [_reward_items(trace)], many
    yield "model", [[trace.agent_config.model or UNKNOWN]], many
    yield "agent", [[" ".join(filter(None, (agent.name or UNKNOWN, agent.version)))]], many
    yield "tokens", [_token_items(trace)], many
    yield "cost", [_cost_items(trace)], many
    yield "time", [_time_items(trace)], many
    yield "turns", [[grouped(trace.metrics.turns)]], many
    yield "tools", _tool_paragraphs(trace), many
    yield "MCP servers", [_server_items(trace)], many
    denied = trace.agent_response.permission_denials if trace.agent_response else None
    if denied:
        yield "denied", [_denial_items([row.tool_name for row in denied])], many
    yield "files", _file_paragraphs(trace.code_stats), many
    yield "tests", _test_paragraphs(trace.tests), many
    if trace.error:
        yield "error", _error_paragraphs(trace.error), 8
    if trace.problems:
        yield "problems", _problem_paragraphs(trace), 12
    yield "instruction", _text(trace.task_instruction), 4
    yield "answer", _text(trace.agent_response.result if trace.agent_response else None), 12


def _task_items(trace: Trace) -> list[str]:
    org = f"{trace.task.org}/" if trace.task.org else ""
    arm = [f"arm {trace.arm}"] if trace.arm else []
    attempt = [f"attempt {trace.attempt}"] if trace.attempt is not None else []
    return [org + trace.task.name, *arm, *attempt]


def _reward_items(trace: Trace) -> list[str]:
    reward, rewards = trace.test_reward, trace.rewards or {}
    # The reward itself is not said twice, whether it is the only one or named so.
    known = len(rewards) == 1 and reward in rewards.values()
    parts = [
        f"{name} {plain(value)}"
        for name, value in rewards.items()
        if not known and (name, value) != ("reward", reward)
    ]
    lost = reward is not None and not counts_reward(trace)
    return [plain(reward), *parts, *(["not counted"] if lost else [])]


def _token_items(trace: Trace) -> list[str]:
    tokens = trace.metrics.tokens
    amounts = {
        **{label: getattr(tokens, name) for name, label in TOKEN_KINDS.items()},
        "total": tokens.total,
        "total with cache": tokens.total_with_cache,
    }
    if all(amount is None for amount in amounts.values()):
        return [UNKNOWN]
    return [f"{name} {grouped(amount)}" for name, amount in amounts.items()]


def _cost_items(trace: Trace) -> list[str]:
    cost = trace.metrics.cost
    if cost.usd is None:
        return [UNKNOWN]
    table = [f"prices: {cost.price_table}"] if cost.price_table else []
    return [dollars(cost.usd), cost.source or "source unknown", *table]


def _time_items(trace: Trace) -> list[str]:
    durations = trace.metrics.durations
    phases = {
        "environment": durations.environment_setup_s,
        "agent setup": durations.agent_setup_s,
        "agent": durations.agent_execution_s,
        "verifier": durations.verifier_s,
    }
    if all(seconds is None for seconds in phases.values()):
        return [span(durations.total_s)]
    parts = [f"{name} {span(seconds, '-')}" for name, seconds in phases.items()]
    return [f"total {span(durations.total_s)}", *parts]


def _tool_paragraphs(trace: Trace) -> list[list[str]]:
    calls, number = trace.tools.calls, trace.metrics.tool_calls
    if calls is None:
        return [[UNKNOWN if number is None else counted(number, "call")]]
    number = sum(call.count for call in calls) if number is None else number
    total = [counted(number, "call"), counted(sum(call.errors for call in calls), "error")]
    ordered = sorted(calls, key=lambda call: (-call.count, call.name))
    named = [*map(_tool_item, ordered[:20]), *rest_of(ordered[20:], "tool")]
    return [total, named, *([_mention_item(row)] for row in trace.tools.mentions or ())]


def _mention_item(row: Mentions) -> str:
    errors = f" ({counted(row.errors, 'error')})" if row.errors else ""
    return f"{counted(row.count, 'shell call')} with {row.pattern}{errors}"


def _tool_item(call: ToolCalls) -> str:
    server = f"{call.server}/" if call.server and call.server not in call.name else ""
    errors = f" ({counted(call.errors, 'error')})" if call.errors else ""
    return f"{server}{call.name} {call.count:,}{errors}"


def _server_items(trace: Trace) -> list[str]:
    servers = trace.tools.mcp_servers
    if not servers:
        return [UNKNOWN if servers is None else "none"]
    return [f"{server.name} {server.status or 'status unknown'}" for server in servers]


def _denial_items(names: list[str]) -> list[str]:
    return [f"{name} {names.count(name):,}" for name in sorted(set(names))]


_ORIGINS = {
    "artifact": "from artifact",
    "agent_patch": "from agent patch",
    "reconstructed": "rebuilt from edits",
}


def _file_paragraphs(stats: CodeStats | None) -> list[list[str]]:
    if stats is None:
        return [[UNKNOWN]]
    changes = f"+{stats.lines_added:,} -{stats.lines_removed:,}"
    source = _ORIGINS[stats.source] + ("" if stats.complete else ", may be incomplete")
    lines = [
        f"{file.path} {file.change} +{grouped(file.added, '?')} -{grouped(file.removed, '?')}"
        for file in stats.files
    ]
    first = [f"{stats.files_changed:,} changed", changes, source]
    return [first, *([line] for line in lines[:_LISTED]), rest_of(lines[_LISTED:], "file")]


def _test_paragraphs(tests: Tests | None) -> list[list[str]]:
    if tests is None:
        return [[UNKNOWN]]
    summary = tests.summary
    items = [f"{grouped(summary.passed)} of {grouped(summary.total)} passed"]
    for word, number in (("failed", summary.failed), ("skipped", summary.skipped)):
        items += [f"{number:,} {word}"] if number is not None else []
    items += [f"{summary.other:,} other"] if summary.other else []
    failed = [f"failed: {case.name}" for case in tests.cases if case.status == "failed"]
    source = f"from {tests.source.replace('_', ' ')}"
    names = [[name] for name in failed[:_LISTED]]
    doubt = [[f"doubt: {tests.doubt}"]] if tests.doubt else []
    return [[*items, source], *doubt, *names, rest_of(failed[_LISTED:], "failed test")]


def _error_paragraphs(error: TraceError) -> list[list[str]]:
    phase = [f"in {error.phase}"] if error.phase else []
    counts = "reward counts" if error.reward_valid else "reward does not count"
    # What the agent's log said comes before the harness's wrapping of it.
    told = next((row.text for row in error.evidence if row.text), None) or error.message
    message = [[line] for line in lines_of(told)] if told else []
    return [[error.type, error.cause, *phase, counts], *message]


def _problem_paragraphs(trace: Trace) -> list[list[str]]:
    shown = [row for p in trace.problems[:3] for row in ([f"{p.code} in {p.path}"], [p.message])]
    rest = [problem.code for problem in trace.problems[3:]]
    return [[str(len(trace.problems))], *shown, rest_of(rest, "problem")]


def _text(text: str | None) -> list[list[str]]:
    return [[UNKNOWN]] if text is None else [[line] for line in lines_of(text)]
