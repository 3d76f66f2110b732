"""A trace from the files of one Harbor trial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from evaltrace.measures import sum_tokens
from evaltrace.readers.harbor import agent as agents
from evaltrace.readers.harbor import config as configs
from evaltrace.readers.harbor import outcome, phases, verifier
from evaltrace.readers.harbor.changes import read_changes
from evaltrace.readers.harbor.instruction import (
    read_request,
    read_sent_instruction,
    read_task_instruction,
)
from evaltrace.readers.harbor.records import (
    StepResult,
    TrialResult,
    dig,
)
from evaltrace.readers.harbor.tasks import find_task, read_metadata
from evaltrace.readers.harbor.trial import TrialFiles, find_trial_version
from evaltrace.readers.harbor.version import Version
from evaltrace.source import Source
from evaltrace.trace import (
    Event,
    Metrics,
    Origin,
    Task,
    Tests,
    Tools,
    Trace,
    TraceError,
    Truncation,
)
from evaltrace.untrusted import clean, digest, shorten


@dataclass
class _Part:
    """The verifier's side of a trial, or of one of its steps."""

    rewards: dict[str, float] | None
    rewards_from: str | None
    output: str | None
    tests: Tests | None
    truncated: list[Truncation] = field(default_factory=list)


def read_trace(
    files: TrialFiles, *, keep_events: bool, threshold: float, arm: str | None, attempt: int | None
) -> Trace:
    """Assemble the trace of a trial."""
    source = files.source
    version = find_trial_version(files)
    steps = _steps(files)
    agent = _agent_name(files)
    runs = agents.read_runs(source, files.result, steps, agent, version, keep_events=keep_events)
    part = _joined(_read_parts(source, files, steps, version), files, version)
    reward, reward_key = verifier.pick_reward(part.rewards)
    trace = _outline(files, version, runs)
    trace.arm, trace.attempt = arm, attempt
    trace.test_reward, trace.rewards = reward, part.rewards
    trace.test_output, trace.tests = part.output, part.tests
    trace.error = _error(files, steps, runs, reward)
    trace.status = outcome.find_status(files.result, reward, trace.error, threshold)
    trace.truncated += part.truncated
    _add_task(trace, files, runs)
    _add_changes(trace, source, [name for name, _ in steps])
    if keep_events:
        trace.events = _events(files.result, steps, runs)
    _note_sources(trace, files, runs, part, reward_key)
    trace.problems = list(source.problems)
    return trace


def _outline(files: TrialFiles, version: Version, runs: list[agents.Run]) -> Trace:
    """Begin the trace with what the result, the configuration and the agent's logs say."""
    result = files.result
    transcripts = [run.transcript for run in runs if run.transcript]
    seen = next((row.agent_version for row in transcripts if row.agent_version), None)
    usage, _ = agents.total_of(agents.counted(runs))
    durations = phases.to_durations(result, _step_results(files))
    return Trace(
        trace_id=files.trace_id,
        task_id=files.name,
        agent_config=configs.to_agent_config(files.config, result, seen),
        agent_response=agents.to_response(runs),
        metrics=Metrics(
            tokens=sum_tokens(usage),
            cost=agents.cost_of(agents.counted(runs)),
            durations=durations,
            turns=agents.turns_of(runs),
            tool_calls=agents.calls_of(runs),
            manifest=agents.to_manifest(result),
        ),
        status="running",
        origin=_origin(files, version),
        task=Task(name=files.task_name),
        tools=Tools(),
        bottlenecks=phases.find_bottlenecks(durations),
        truncated=[cut for row in transcripts for cut in row.truncated],
    )


def _error(
    files: TrialFiles,
    steps: list[tuple[str, StepResult | None]],
    runs: list[agents.Run],
    reward: float | None,
) -> TraceError | None:
    breakdowns = [run.transcript.breakdown for run in runs if run.transcript]
    error = outcome.find_error(
        files.result,
        [step for _, step in steps if step is not None],
        [breakdown for breakdown in breakdowns if breakdown],
        reward=reward,
        has_traceback=files.source.has("exception.txt"),
    )
    if files.result is not None:
        return error
    finished = files.job.finished if files.job else None
    return outcome.unfinished(finished, unreadable=files.result_unreadable) or error


def _add_task(trace: Trace, files: TrialFiles, runs: list[agents.Run]) -> None:
    """Add the task, what it asked for, what was sent, and the tools it brought along."""
    transcripts = [run.transcript for run in runs if run.transcript]
    prompts = [transcript.prompt for transcript in transcripts if transcript.prompt]
    systems = [row.system_prompt for row in transcripts if row.system_prompt]
    reference = configs.task_ref(files.result, files.config) or {}
    uri = files.result.trial_uri if files.result else None
    folder = find_task(reference, files.config, uri, files.task_digest)
    document = read_metadata(folder)
    metadata = dig(document, "metadata")
    trace.task = configs.to_task(
        files.task_name, files.result, files.config, files.task_digest, metadata
    )
    trace.tools = agents.to_tools(runs, _servers_asked(files, document))
    trace.agent_request = read_request(
        files.source, "\n\n".join(prompts) or None, systems[0] if systems else None
    )
    _set_instruction(trace, files, folder, prompts)


def _add_changes(trace: Trace, source: Source, step_names: list[str]) -> None:
    changes = read_changes(source, step_names)
    if changes is not None:
        trace.code_changes, trace.code_stats = changes.diff or None, changes.stats
        trace.truncated += changes.truncated
        trace.sources["code_changes"] = changes.path


def _step_results(files: TrialFiles) -> list[StepResult]:
    results = files.result.step_results if files.result else None
    return results if isinstance(results, list) else []


def _steps(files: TrialFiles) -> list[tuple[str, StepResult | None]]:
    """Give name and result of each step: those with results, then folders without one."""
    steps: list[tuple[str, StepResult | None]] = [
        (step.step_name or f"step-{n}", step) for n, step in enumerate(_step_results(files), 1)
    ]
    named = {name for name, _ in steps}
    steps += [(name, None) for name in files.source.folders("steps") if name not in named]
    return steps


def _agent_name(files: TrialFiles) -> str | None:
    info = files.result.agent_info if files.result else None
    name = (info.name if info else None) or dig(files.config, "agent", "name")
    return name if isinstance(name, str) else None


def _read_parts(
    source: Source,
    files: TrialFiles,
    steps: Sequence[tuple[str, StepResult | None]],
    version: Version,
) -> list[tuple[str, _Part]]:
    if not steps:
        given = files.result.verifier_result if files.result else None
        return [("", _read_part(source, "verifier", given, version))]
    return [
        (
            name,
            _read_part(
                source, f"steps/{name}/verifier", step.verifier_result if step else None, version
            ),
        )
        for name, step in steps
    ]


def _read_part(source: Source, folder: str, given: Any, version: Version) -> _Part:
    rewards, rewards_from = verifier.read_rewards(source, folder, given, version)
    output, cuts = verifier.read_output(source, folder)
    return _Part(rewards, rewards_from, output, verifier.read_tests(source, folder), cuts)


def _joined(parts: list[tuple[str, _Part]], files: TrialFiles, version: Version) -> _Part:
    """Join the parts of a multi-step trial; its reward is the harness's own over the steps."""
    if len(parts) == 1 and parts[0][0] == "":
        return parts[0][1]
    given = files.result.verifier_result if files.result else None
    rewards, rewards_from = verifier.read_rewards(files.source, "verifier", given, version)
    outputs = [f"== step {name} ==\n{part.output}" for name, part in parts if part.output]
    cases = []
    for name, part in parts:
        for case in part.tests.cases if part.tests else ():
            case.name = f"{name}: {case.name}"
            cases.append(case)
    tested = any(part.tests for _, part in parts)
    return _Part(
        rewards=rewards,
        rewards_from=rewards_from,
        output="\n".join(outputs) or None,
        tests=verifier.summed(cases) if tested else None,
        truncated=[cut for _, part in parts for cut in part.truncated],
    )


def _origin(files: TrialFiles, version: Version) -> Origin:
    result = files.result
    return Origin(
        kind="harness",
        harness="harbor",
        harness_version=version.label,
        harness_version_from=version.known_from,
        job_name=files.job_name,
        job_id=files.job_id,
        path=files.source.label.rpartition("/")[2],
        started_at=result.started_at if result else None,
        finished_at=result.finished_at if result else None,
        clock=phases.clock_of(result),  # type: ignore[arg-type]
        task_ref=configs.task_ref(result, files.config),
    )


def _servers_asked(files: TrialFiles, document: dict[str, Any] | None) -> list[tuple[str, str]]:
    """Name the MCP servers that the run's or the task's configuration asks for."""
    places = (
        (dig(files.config, "agent", "mcp_servers"), f"{files.config_from}.agent.mcp_servers"),
        (dig(document, "environment", "mcp_servers"), "task.toml"),
    )
    return [
        (clean(server["name"]), place)
        for servers, place in places
        for server in (servers if isinstance(servers, list) else [])
        if isinstance(server, dict) and isinstance(server.get("name"), str)
    ]


def _set_instruction(
    trace: Trace, files: TrialFiles, task_folder: Source | None, prompts: list[str]
) -> None:
    step_names = [name for name, _ in _steps(files)]
    found = read_task_instruction(task_folder, step_names)
    if found is None and prompts:
        found = "\n\n".join(prompts), "the agent's log: first user message, as sent"
    found = found or read_sent_instruction(files.source)
    if found is None:
        return
    text, where = found
    trace.task_instruction = _cut(trace, "task_instruction", clean(text))
    trace.sources["task_instruction"] = where
    if trace.agent_request and trace.agent_request.prompt:
        request = trace.agent_request
        request.prompt = _cut(trace, "agent_request.prompt", clean(request.prompt or ""))


_TEXT_LIMIT = 1_000_000


def _cut(trace: Trace, name: str, text: str) -> str:
    if len(text) <= _TEXT_LIMIT:
        return text
    kept = shorten(text, _TEXT_LIMIT)
    trace.truncated.append(
        Truncation(
            field=name,
            original_length=len(text),
            kept_length=len(kept),
            unit="characters",
            digest=digest(text.encode()),
        )
    )
    return kept


def _events(
    result: TrialResult | None, steps: list[tuple[str, StepResult | None]], runs: list[agents.Run]
) -> list[Event]:
    """List phases, steps and the agents' events, each below what contains it."""
    around = phases.phase_events(result)
    events = [event for event in around if event.name != "verifier"]
    holder = next((event.id for event in events if event.name == "agent_execution"), None)
    for index, run in enumerate(runs):
        if steps:
            step = steps[index][1] or StepResult(step_name=steps[index][0])
            broken = run.transcript is not None and run.transcript.breakdown is not None
            failed = broken or step.exception_info is not None
            events.append(phases.step_event(index + 1, step, failed))
            holder = f"s{index + 1}"
        for event in run.transcript.events if run.transcript else ():
            event.parent_id = event.parent_id or holder
            events.append(event)
    return events + [event for event in around if event.name == "verifier"]


def _note_sources(
    trace: Trace, files: TrialFiles, runs: list[agents.Run], part: _Part, reward_key: str | None
) -> None:
    for block in sorted({block for run in runs for block in run.sources}):
        rules = dict.fromkeys(run.sources[block] for run in runs if block in run.sources)
        trace.sources[block] = "; ".join(rules)
    if files.config_from:
        trace.sources["agent_config"] = files.config_from
    if part.rewards_from:
        trace.sources["rewards"] = part.rewards_from
        trace.sources["test_reward"] = (
            f"rewards.{reward_key}" if reward_key else "no key `reward` among several: not chosen"
        )
    if part.tests:
        trace.sources["tests"] = "ctrf.json of the verifier"
