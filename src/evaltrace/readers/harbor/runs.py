"""The runs of an agent within a trial: one, or one for each step.

A run is read from the agent's own log first; the harness's conversion and its numbers
fill the gaps. Source: Harbor format reference, sections 2.2, 4 and 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from evaltrace.agentlogs import TRAJECTORY, read_trajectory, read_transcript
from evaltrace.agentlogs.configured import configured_servers
from evaltrace.agentlogs.transcript import Breakdown, Transcript
from evaltrace.readers.harbor.exits import find_exit
from evaltrace.readers.harbor.reconciliation import (
    report_cost_mismatch,
    report_mismatch,
    report_parts,
    report_uncorrected,
)
from evaltrace.readers.harbor.records import StepResult, TrialResult, count, number
from evaltrace.readers.harbor.unlogged import find_breakdown
from evaltrace.readers.harbor.version import Version
from evaltrace.source import Source
from evaltrace.trace import Cost, ModelUsage, Usage

ESTIMATE = "estimate by the harness (LiteLLM prices)"

WITHOUT_MODEL = ("oracle", "nop")
"""Agents that call no model."""
_ESTIMATED = ("codex", "gemini-cli", "cursor-cli")
"""Agents whose cost the harness always estimates: their programs report none."""

Steps = list[tuple[str, StepResult | None]]
"""Name and result of each step; a step without a result did not end."""


@dataclass
class Run:
    """One agent run within a trial (its only one, or one of several steps).

    `servers` are MCP servers, and where they are configured, that no log told of; `printed`
    is a failure in the words of the agent's program, worth nothing beside a reward.
    """

    transcript: Transcript | None
    numbers: dict[str, Any] | None
    folder: str = "agent"
    usage: Usage | None = None
    model_usage: dict[str, ModelUsage] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    prompt: tuple[str, str] | None = None
    breakdown: Breakdown | None = None
    printed: Breakdown | None = None
    servers: list[tuple[str, str]] = field(default_factory=list)
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
    steps: Steps,
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
    run = Run(transcript, place.numbers, folder=place.folder)
    if transcript is not None:
        run.sources.update(transcript.sources)
        run.usage, run.model_usage = transcript.usage, transcript.model_usage
        run.breakdown = transcript.breakdown
        _reconcile(source, place, run, version, agent)
        if transcript.doubt:
            where = run.sources.get("events", place.folder).partition(":")[0]
            source.report("doubtful_log", where, transcript.doubt, "Check its numbers by hand.")
    if transcript is None or _is_converted(run):
        run.servers = configured_servers(source, place.folder)
    _set_prompt(source, run)
    if run.usage is None or run.prompt is None:
        _fill_from_trajectory(source, run)
    if run.usage is None:
        run.usage = usage_of_harness(place.numbers, version)
        if run.usage is not None:
            run.sources["usage"] = place.numbers_in
            report_uncorrected(source, place.numbers_in, version, agent)
    if run.breakdown is None:
        run.printed = _printed(source, run, agent)
        run.breakdown = None if run.printed else find_exit(source, place.folder)
    _set_cost(run, agent, place.numbers_in)
    return run


def _printed(source: Source, run: Run, agent: str | None) -> Breakdown | None:
    """Look for a failure in what was printed, where no log tells of the run."""
    silent = run.transcript is None or bool(run.transcript.doubt)
    if run.usage is not None or not silent or agent in WITHOUT_MODEL:
        return None
    return find_breakdown(source, run.folder, agent)


def _is_converted(run: Run) -> bool:
    """Tell whether the run was read from the harness's conversion, not from the agent's log."""
    return f"{run.folder}/{TRAJECTORY}" in run.sources.get("events", "")


def _reconcile(
    source: Source, place: _Place, run: Run, version: Version, agent: str | None
) -> None:
    where = run.sources.get("usage", "").partition(":")[0] or place.folder
    report_parts(source, where, run.usage, run.model_usage)
    report_mismatch(source, place.numbers_in, place.numbers, run.usage, version, agent)
    spending = run.transcript.spending if run.transcript else None
    reported = spending.usd if spending and spending.source == "reported" else None
    report_cost_mismatch(source, place.numbers_in, place.numbers, reported)


def _set_prompt(source: Source, run: Run) -> None:
    if run.transcript is None or not run.transcript.prompt:
        return
    log = run.sources.get("events", run.folder).partition(":")[0]
    sessions = f"{run.folder}/sessions"
    # Claude Code and codex keep the prompt in their session files only.
    where = sessions if log.endswith(".txt") and source.has_folder(sessions) else log
    run.prompt = run.transcript.prompt, f"{where}: first user message, as sent"


def _fill_from_trajectory(source: Source, run: Run) -> None:
    """Fill in usage and prompt from the harness's conversion of a log that lacks them."""
    path = f"{run.folder}/{TRAJECTORY}"
    if run.transcript is None or _is_converted(run) or not source.has(path):
        return
    trajectory = read_trajectory(source, run.folder, keep_events=False)
    if trajectory is None:
        return
    if run.usage is None and trajectory.usage is not None:
        run.usage, run.model_usage = trajectory.usage, trajectory.model_usage
        run.sources["usage"] = trajectory.sources.get("usage", path)
    if run.prompt is None and trajectory.prompt:
        run.prompt = trajectory.prompt, f"{path}: first user message, as sent"


def usage_of_harness(numbers: dict[str, Any] | None, version: Version) -> Usage | None:
    """Turn an agent result's counts into ours: its input includes the cache, except in 0.1.0."""
    given, cached = count(numbers, "n_input_tokens"), count(numbers, "n_cache_tokens")
    output = count(numbers, "n_output_tokens")
    if given is None and cached is None and output is None:
        return None
    if given is not None and cached is not None and given >= cached and not version.before("0.1.1"):
        given -= cached
    # What is left holds the cache writes too, in a part that nobody recorded.
    written = 0 if given == 0 else None
    return Usage(
        input_tokens=given,
        output_tokens=output,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=cached,
    )


def _set_cost(run: Run, agent: str | None, where: str) -> None:
    transcript = run.transcript
    if transcript is not None and transcript.spending is not None:
        spending = transcript.spending
        run.cost = Cost(usd=spending.usd, source=spending.source, price_table=spending.price_table)
        return
    usd = number(run.numbers, "cost_usd")
    # 0.0 stands for "unknown" with several agents; see pitfall 12 of the reference.
    if usd is None or usd <= 0:
        return
    # Where the agent's own log gives no cost, the number is the harness's estimate.
    if transcript is not None or agent in _ESTIMATED:
        run.cost = Cost(usd=usd, source="computed", price_table=ESTIMATE)
    else:
        run.cost = Cost(usd=usd, source="reported")
    run.sources["cost"] = f"{where}.cost_usd"
