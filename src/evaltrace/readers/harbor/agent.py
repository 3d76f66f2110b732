"""What the agent did and spent, from its logs first and the harness's own numbers last.

Source: Harbor format reference, sections 2.2, 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from evaltrace.agentlogs import atif, read_transcript
from evaltrace.agentlogs.transcript import Transcript, add_usage, tally, total_usage
from evaltrace.readers.harbor.records import ANY, StepResult, TrialResult, count, number
from evaltrace.readers.harbor.version import Version
from evaltrace.source import Source
from evaltrace.trace import (
    AgentResponse,
    Cost,
    McpServer,
    ModelUsage,
    Tools,
    Usage,
)
from evaltrace.untrusted import bounded

ESTIMATE = "estimate by the harness (LiteLLM prices)"

_MANIFEST_LIMIT = 16_384


@dataclass
class Run:
    """One agent run within a trial (its only one, or one of several steps)."""

    transcript: Transcript | None
    numbers: dict[str, Any] | None
    usage: Usage | None = None
    model_usage: dict[str, ModelUsage] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    sources: dict[str, str] = field(default_factory=dict)

    @property
    def session(self) -> str | None:
        """The session id, by which a resumed run is recognised."""
        response = self.transcript.response if self.transcript else None
        return response.session_id if response else None


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one run lies, and what the harness says about it."""

    folder: str
    prefix: str
    numbers: dict[str, Any] | None
    numbers_in: str


def read_runs(
    source: Source,
    result: TrialResult | None,
    steps: list[tuple[str, StepResult | None]],
    agent: str | None,
    version: Version,
    *,
    keep_events: bool,
) -> list[Run]:
    """Read the run of each step, or the only run of a trial without steps."""
    numbers = result.agent_result if result else None
    places = [
        _Place(
            f"steps/{name}/agent",
            f"s{index + 1}.",
            step.agent_result if step else None,
            f"result.json: step_results[{index}].agent_result",
        )
        for index, (name, step) in enumerate(steps)
    ] or [_Place("agent", "", numbers, "result.json: agent_result")]
    return [_read_run(source, place, agent, version, keep_events) for place in places]


def _read_run(
    source: Source, place: _Place, agent: str | None, version: Version, keep_events: bool
) -> Run:
    transcript = read_transcript(
        source, place.folder, agent, prefix=place.prefix, keep_events=keep_events
    )
    run = Run(transcript, place.numbers)
    if transcript is not None:
        run.sources.update(transcript.sources)
        run.usage, run.model_usage = transcript.usage, transcript.model_usage
        if run.usage is None and source.has(f"{place.folder}/trajectory.json"):
            _usage_of_trajectory(source, place.folder, run)
    if run.usage is None:
        run.usage = usage_of_harness(place.numbers, version)
        if run.usage is not None:
            run.sources["usage"] = place.numbers_in
    _set_cost(run, transcript, place.numbers_in)
    return run


def _usage_of_trajectory(source: Source, folder: str, run: Run) -> None:
    trajectory = atif.read(source, folder, keep_events=False)
    if trajectory is not None and trajectory.usage is not None:
        run.usage, run.model_usage = trajectory.usage, trajectory.model_usage
        if "usage" in trajectory.sources:
            run.sources["usage"] = trajectory.sources["usage"]


def usage_of_harness(numbers: dict[str, Any] | None, version: Version) -> Usage | None:
    """Turn an agent result's counts into ours: its input includes the cache, except in 0.1.0."""
    given, cached = count(numbers, "n_input_tokens"), count(numbers, "n_cache_tokens")
    output = count(numbers, "n_output_tokens")
    if given is None and cached is None and output is None:
        return None
    if given is not None and cached is not None and given >= cached and not version.before("0.1.1"):
        given -= cached
    return Usage(input_tokens=given, output_tokens=output, cache_read_input_tokens=cached)


def _set_cost(run: Run, transcript: Transcript | None, where: str) -> None:
    if transcript is not None and transcript.spending is not None:
        spending = transcript.spending
        run.cost = Cost(usd=spending.usd, source=spending.source, price_table=spending.price_table)
        return
    usd = number(run.numbers, "cost_usd")
    # 0.0 stands for "unknown" with several agents; see pitfall 12 of the reference.
    if usd is None or usd <= 0:
        return
    if transcript is not None:
        # The agent's own log gives no cost, so this number is the harness's estimate.
        run.cost = Cost(usd=usd, source="computed", price_table=ESTIMATE)
    else:
        run.cost = Cost(usd=usd, source="reported")
    run.sources["cost"] = f"{where}.cost_usd"


def counted(runs: list[Run]) -> list[Run]:
    """Leave out runs that a later one resumed: its totals include theirs."""
    later = [run.session for run in runs[1:]] + [None]
    return [
        run
        for index, run in enumerate(runs)
        if run.session is None or run.session not in later[index:]
    ]


def total_of(runs: list[Run]) -> tuple[Usage | None, dict[str, ModelUsage]]:
    """Add up the usage of runs, as a whole and by model."""
    usage: Usage | None = None
    by_model: dict[str, ModelUsage] = {}
    for run in runs:
        if run.usage is not None:
            usage = add_usage(usage, run.usage)
        for model, part in run.model_usage.items():
            by_model[model] = _plus(by_model.get(model), part)
    if usage is None:
        usage = total_usage(by_model)
    return usage, dict(sorted(by_model.items()))


def _plus(total: ModelUsage | None, part: ModelUsage) -> ModelUsage:
    if total is None:
        return part
    costs = [cost for cost in (total.cost_usd, part.cost_usd) if cost is not None]
    return ModelUsage(
        **msgspec.structs.asdict(add_usage(total, part)), cost_usd=sum(costs) if costs else None
    )


def cost_of(runs: list[Run]) -> Cost:
    """Add up costs; unknown unless every run's is known, computed if any part is."""
    costs = [run.cost for run in runs]
    if not costs or any(cost.usd is None for cost in costs):
        return Cost()
    computed = [cost for cost in costs if cost.source == "computed"]
    return Cost(
        usd=round(sum(cost.usd or 0 for cost in costs), 10),
        source="computed" if computed else "reported",
        price_table=computed[0].price_table if computed else None,
    )


def to_response(runs: list[Run]) -> AgentResponse | None:
    """Give the last run's ending, with the tokens and cost of the whole trial."""
    ends = [run.transcript.response for run in runs if run.transcript and run.transcript.response]
    usage, by_model = total_of(counted(runs))
    if not ends and usage is None:
        return None
    response = msgspec.structs.replace(ends[-1]) if ends else AgentResponse()
    response.usage = usage
    response.model_usage = by_model or None
    cost = cost_of(counted(runs))
    response.total_cost_usd = cost.usd if cost.source == "reported" else None
    if len(ends) > 1:
        response.num_turns = _summed([end.num_turns for end in ends])
        denials = [denial for end in ends for denial in end.permission_denials or []]
        response.permission_denials = denials
        response.is_error = any(end.is_error for end in ends)
        response.duration_ms = response.duration_api_ms = None
    return response


def turns_of(runs: list[Run]) -> int | None:
    """Add up the model responses of the main loop."""
    return _summed([run.transcript.turns for run in runs if run.transcript])


def _summed(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def to_tools(runs: list[Run], servers_asked: list[tuple[str, str]]) -> Tools:
    """Join the tools that the runs had and called; `servers_asked` adds configured servers."""
    transcripts = [run.transcript for run in runs if run.transcript]
    calls = {}
    available: set[str] = set()
    servers = Transcript()
    for transcript in transcripts:
        calls.update({(transcript.prefix, key): call for key, call in transcript.calls.items()})
        available.update(transcript.available or ())
        for server in transcript.mcp_servers.values():
            for place in server.configured_in:
                servers.saw_server(server.name, server.status, place)
    for name, place in servers_asked:
        servers.saw_server(name, None, place)
    known = any(transcript.available is not None for transcript in transcripts)
    return Tools(
        available=sorted(available) if known else None,
        mcp_servers=_sorted(servers.mcp_servers) if servers.mcp_servers or known else None,
        calls=tally(calls.values()) if transcripts else None,
    )


def _sorted(servers: dict[str, McpServer]) -> list[McpServer]:
    return [servers[name] for name in sorted(servers)]


def calls_of(runs: list[Run]) -> int | None:
    """Count all tool calls; None where no log could tell."""
    transcripts = [run.transcript for run in runs if run.transcript]
    return sum(len(transcript.calls) for transcript in transcripts) if transcripts else None


def to_manifest(result: TrialResult | None) -> dict[str, Any] | None:
    """Keep the harness's own numbers as it wrote them, without bulky token ids."""
    numbers = result.agent_result if result else None
    if numbers is None:
        return None
    small = {key: raw for key, raw in numbers.items() if len(bytes(raw)) <= _MANIFEST_LIMIT}
    kept = {key: bounded(ANY.decode(raw), _MANIFEST_LIMIT) for key, raw in small.items()}
    kept.pop("rollout_details", None)
    return kept or None
