"""What the agent did and spent over all runs of a trial.

Source: Harbor format reference, sections 2.1, 2.2 and 4.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from evaltrace.agentlogs.transcript import Call, Transcript, add_usage, tally, total_usage
from evaltrace.jsontext import Malformed, decode
from evaltrace.mentions import count_mentions
from evaltrace.readers.harbor.records import ANY, TrialResult
from evaltrace.readers.harbor.runs import Run, Steps
from evaltrace.trace import AgentResponse, Cost, McpServer, Mentions, ModelUsage, Tools, Usage
from evaltrace.untrusted import bounded

_MANIFEST_LIMIT = 16_384
_RESOURCES = ("ListMcpResources", "ReadMcpResource", "list_mcp_resource", "read_mcp_resource")
"""Tools of the agent itself that go to any server."""
_COUNTED_UP = re.compile(r"(?:\d+:)?(?:item_|line-|call-)\d+")
"""Ids of calls that agents count up in each process: no two are the same call for that."""

_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
)


def counted(runs: list[Run]) -> list[Run]:
    """Leave out runs that a later one resumed, if its totals include theirs."""
    return [
        run
        for index, run in enumerate(runs)
        if not any(_includes(later, run) for later in _resumed(runs, index))
    ]


def _resumed(runs: list[Run], index: int) -> list[Run]:
    session = runs[index].session
    return [run for run in runs[index + 1 :] if session is not None and run.session == session]


def _includes(later: Run, run: Run) -> bool:
    if later.usage is None or run.usage is None:
        return False
    return all(
        (getattr(later.usage, name) or 0) >= (getattr(run.usage, name) or 0) for name in _COUNTS
    )


def total_of(runs: list[Run]) -> tuple[Usage | None, dict[str, ModelUsage]]:
    """Add up the usage of runs, as a whole and by model."""
    usage: Usage | None = None
    by_model: dict[str, ModelUsage] = {}
    for run in runs:
        if run.usage is not None:
            usage = run.usage if usage is None else _whole(usage, run.usage)
        for model, part in run.model_usage.items():
            by_model[model] = _plus(by_model.get(model), part)
    if usage is None:
        usage = total_usage(by_model)
    return usage, dict(sorted(by_model.items()))


def _whole(one: Usage, other: Usage) -> Usage:
    """Add up the usage of two runs; a kind that one of them does not know is unknown."""
    both = add_usage(one, other)
    for name in _COUNTS:
        if getattr(one, name) is None or getattr(other, name) is None:
            setattr(both, name, None)
    return both


def _plus(total: ModelUsage | None, part: ModelUsage) -> ModelUsage:
    if total is None:
        return part
    unknown = total.cost_usd is None or part.cost_usd is None
    cost = None if unknown else (total.cost_usd or 0) + (part.cost_usd or 0)
    return ModelUsage(**msgspec.structs.asdict(_whole(total, part)), cost_usd=cost)


def cost_of(runs: list[Run]) -> Cost:
    """Add up costs of one source; unknown unless that of every run with usage is known.

    What one run reported and what was computed for another make no sum.
    """
    costs = [run.cost for run in runs if run.usage is not None or run.cost.usd is not None]
    kinds = {(cost.source, cost.price_table) for cost in costs}
    if len(kinds) != 1 or any(cost.usd is None for cost in costs):
        return Cost()
    [(source, table)] = kinds
    usd = round(sum(cost.usd or 0 for cost in costs), 10)
    return Cost(usd=usd, source=source, price_table=table)


def to_response(
    runs: list[Run], usage: Usage | None, by_model: dict[str, ModelUsage], cost: Cost
) -> AgentResponse | None:
    """Give the last run's ending, with the tokens and cost of the whole trial.

    What not every run tells (turns, denials) is unknown for all of them.
    """
    ends = [run.transcript.response for run in runs if run.transcript and run.transcript.response]
    if not ends and usage is None:
        return None
    last = runs[-1].transcript.response if runs[-1].transcript else None
    response = msgspec.structs.replace(last) if last else AgentResponse()
    response.usage = usage
    response.model_usage = by_model or None
    response.total_cost_usd = cost.usd if cost.source == "reported" else None
    if len(runs) > 1:
        whole = len(ends) == len(runs)
        response.num_turns = _summed([end.num_turns for end in ends]) if whole else None
        told = [end.permission_denials for end in ends]
        known = whole and all(denials is not None for denials in told)
        response.permission_denials = (
            [denial for denials in told for denial in denials or []] if known else None
        )
        response.is_error = any(end.is_error for end in ends)
        response.duration_ms = response.duration_api_ms = None
    return response


def repeats(later: Run, run: Run) -> bool:
    """Tell whether the log of a resumed session holds that of the run before."""
    if later.transcript is None or run.transcript is None or later.session != run.session:
        return False
    calls = run.transcript.calls.keys()
    return bool(calls) and all(map(_is_unique, calls)) and calls <= later.transcript.calls.keys()


def _is_unique(call_id: str) -> bool:
    return _COUNTED_UP.fullmatch(call_id) is None


def turns_of(runs: list[Run]) -> int | None:
    """Add up the model responses of the main loop; a log that was carried over counts once."""
    return _summed([transcript.turns for transcript in once(runs)])


def once(runs: list[Run]) -> list[Transcript]:
    """Give the logs of the runs, without those that a resumed session's log repeats."""
    return [
        run.transcript
        for index, run in enumerate(runs)
        if run.transcript and not any(repeats(later, run) for later in _resumed(runs, index))
    ]


def _summed(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _calls(runs: list[Run]) -> list[Call]:
    """List the calls of all runs; those that a resumed session's log repeats count once."""
    return [call for transcript in once(runs) for call in transcript.calls.values()]


def calls_of(runs: list[Run]) -> int | None:
    """Count all tool calls; None where no log could tell."""
    return sum(len(log.calls) for log in once(runs)) if _tells_calls(runs) else None


def _tells_calls(runs: list[Run]) -> bool:
    """Tell whether any log would show a tool call; a printed text alone does not."""
    logs = [run.transcript for run in runs if run.transcript]
    return any(log.calls or log.turns is not None or log.doubt is None for log in logs)


def to_tools(runs: list[Run], servers_asked: list[tuple[str, str]]) -> Tools:
    """Join the tools that the runs had and called; `servers_asked` adds configured servers."""
    transcripts = [run.transcript for run in runs if run.transcript]
    available = {name for transcript in transcripts for name in transcript.available or ()}
    known = any(transcript.available is not None for transcript in transcripts)
    servers = Transcript()
    for name, status, place in _servers(transcripts):
        servers.saw_server(name, status, place)
    for name, place in [*(row for run in runs for row in run.servers), *servers_asked]:
        servers.saw_server(name, None, place)
    if len(servers.mcp_servers) == 1:
        _name_server(runs, *servers.mcp_servers)
    return Tools(
        available=sorted(available) if known else None,
        mcp_servers=_sorted(servers.mcp_servers) if servers.mcp_servers or known else None,
        calls=tally(_calls(runs)) if _tells_calls(runs) else None,
    )


def mentions_of(runs: list[Run], patterns: tuple[str, ...]) -> list[Mentions] | None:
    """Count the shell calls of all runs that match each pattern; None where no log could tell."""
    if not patterns or not _tells_calls(runs):
        return None
    calls = ((call.command, call.failed is True) for call in _calls(runs) if call.command)
    return count_mentions(calls, patterns)


def _name_server(runs: list[Run], name: str) -> None:
    """Give calls of an MCP server that the log does not name the only one there is."""
    for call in _calls(runs):
        if call.kind == "mcp" and call.server is None and not call.name.startswith(_RESOURCES):
            call.server = name


def _servers(transcripts: list[Transcript]) -> Iterator[tuple[str, str | None, str]]:
    for transcript in transcripts:
        for server in transcript.mcp_servers.values():
            for place in server.configured_in:
                yield server.name, server.status, place


def _sorted(servers: dict[str, McpServer]) -> list[McpServer]:
    return [servers[name] for name in sorted(servers)]


def to_manifest(result: TrialResult | None, steps: Steps) -> dict[str, Any] | None:
    """Keep the harness's own numbers as it wrote them, those of steps by name."""
    if result is None:
        return None
    kept = _numbers(result.agent_result) or {}
    by_step = {name: _numbers(step.agent_result) for name, step in steps if step is not None}
    if any(by_step.values()):
        kept["steps"] = by_step
    return kept or None


def _numbers(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Leave out bulky token ids."""
    kept = {
        key: bounded(_value(raw), _MANIFEST_LIMIT)
        for key, raw in (given or {}).items()
        if key != "rollout_details" and len(raw) <= _MANIFEST_LIMIT
    }
    return kept or None


def _value(raw: msgspec.Raw) -> Any:
    try:
        return decode(memoryview(raw), ANY)[0]
    except Malformed:
        return None
