"""A trace from the files of one Harbor trial."""

from __future__ import annotations

from itertools import takewhile

from evaltrace.measures import sum_tokens
from evaltrace.readers.harbor import agent as agents
from evaltrace.readers.harbor import config as configs
from evaltrace.readers.harbor import outcome, phases
from evaltrace.readers.harbor.briefing import add_task
from evaltrace.readers.harbor.changes import read_changes
from evaltrace.readers.harbor.records import StepResult, TrialResult
from evaltrace.readers.harbor.runs import Run, Steps, read_runs
from evaltrace.readers.harbor.trial import TrialFiles, find_trial_version
from evaltrace.readers.harbor.verdict import Verdict, read_verdict
from evaltrace.readers.harbor.verifier import pick_reward
from evaltrace.readers.harbor.version import Version
from evaltrace.times import to_utc
from evaltrace.trace import Event, Metrics, Origin, Task, Tools, Trace, TraceError


def read_trace(
    files: TrialFiles,
    *,
    keep_events: bool,
    threshold: float,
    arm: str | None,
    attempt: int | None,
    tool_patterns: tuple[str, ...] = (),
    task_dirs: tuple[str, ...] = (),
) -> Trace:
    """Assemble the trace of a trial."""
    source = files.source
    version = find_trial_version(files)
    steps = _steps(files)
    agent = configs.agent_name(files.config, files.result)
    runs = read_runs(source, files.result, steps, agent, version, keep_events=keep_events)
    verdict = read_verdict(source, files.result, steps, version)
    trace = _outline(files, version, runs, steps)
    trace.arm, trace.attempt = arm, attempt
    _add_changes(trace, files, steps, runs)
    error = _error(files, steps, runs, verdict)
    if error is None and not (trace.code_stats and trace.code_stats.files):
        error = _idle(files, runs, verdict)
    _add_outcome(trace, files, error, verdict, threshold)
    add_task(trace, files, runs, [name for name, _ in steps], task_dirs)
    trace.tools.mentions = agents.mentions_of(runs, tool_patterns)
    if keep_events:
        trace.events = _events(files.result, steps, runs)
    for block in sorted({block for run in runs for block in run.sources}):
        rules = dict.fromkeys(run.sources[block] for run in runs if block in run.sources)
        trace.sources[block] = "; ".join(rules)
    trace.problems = list(source.problems)
    return trace


def _outline(files: TrialFiles, version: Version, runs: list[Run], steps: Steps) -> Trace:
    """Begin the trace with what the result, the configuration and the agent's logs say."""
    result = files.result
    transcripts = [run.transcript for run in runs if run.transcript]
    seen = next((row.agent_version for row in transcripts if row.agent_version), None)
    counted = agents.counted(runs)
    usage, by_model = agents.total_of(counted)
    cost = agents.cost_of(counted)
    durations = phases.to_durations(result, [step for _, step in steps if step is not None])
    return Trace(
        trace_id=files.trace_id,
        task_id=files.name,
        agent_config=configs.to_agent_config(files.config, result, seen),
        agent_response=agents.to_response(runs, usage, by_model, cost),
        metrics=Metrics(
            tokens=sum_tokens(usage),
            cost=cost,
            durations=durations,
            turns=agents.turns_of(runs),
            tool_calls=agents.calls_of(runs),
            manifest=agents.to_manifest(result, steps),
        ),
        status="running",
        origin=_origin(files, version),
        task=Task(name=files.task_name),
        tools=Tools(),
        bottlenecks=phases.find_bottlenecks(durations),
        sources={"agent_config": files.config_from} if files.config_from else {},
        truncated=[cut for row in transcripts for cut in row.truncated],
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
        started_at=to_utc(result.started_at) if result else None,
        finished_at=to_utc(result.finished_at) if result else None,
        clock=phases.clock_of(result),
        task_ref=configs.task_ref(result, files.config),
    )


def _steps(files: TrialFiles) -> Steps:
    """Give name and result of each step: those with results, then folders without one."""
    results = files.result.step_results if files.result else None
    steps: Steps = [
        (step.step_name or f"step-{n}", step)
        for n, step in enumerate(results if isinstance(results, list) else (), 1)
    ]
    named = {name for name, _ in steps}
    steps += [(name, None) for name in files.source.folders("steps") if name not in named]
    return steps


def _places(
    files: TrialFiles, steps: Steps, runs: list[Run], *, rewarded: bool
) -> list[outcome.Place]:
    """List where something can have gone wrong: the trial, or the trial and each step.

    What an agent printed is no failure of a run that was rewarded.
    """
    told = [run.breakdown or (None if rewarded else run.printed) for run in runs]
    if not steps:
        return [outcome.Place(files.result, told[0])]
    return [
        outcome.Place(files.result),
        *(
            outcome.Place(step, breakdown, f"result.json: step_results[{index}]")
            for index, ((_, step), breakdown) in enumerate(zip(steps, told, strict=True))
        ),
    ]


def _add_outcome(
    trace: Trace,
    files: TrialFiles,
    error: TraceError | None,
    verdict: Verdict,
    threshold: float,
) -> None:
    reward, key = pick_reward(verdict.rewards)
    trace.test_reward, trace.rewards = reward, verdict.rewards
    trace.test_output, trace.tests = verdict.output, verdict.tests
    trace.error = error
    trace.status = outcome.find_status(files.result, reward, trace.error, threshold)
    trace.truncated += verdict.truncated
    if verdict.rewards_from:
        trace.sources["rewards"] = verdict.rewards_from
        trace.sources["test_reward"] = (
            f"rewards.{key}" if key else "no key `reward` among several: not chosen"
        )
    if verdict.tested_by:
        trace.sources["tests"] = verdict.tested_by


def _error(files: TrialFiles, steps: Steps, runs: list[Run], verdict: Verdict) -> TraceError | None:
    reward = pick_reward(verdict.rewards)[0]
    traceback = files.source.has("exception.txt")
    places = _places(files, steps, runs, rewarded=reward is not None and reward > 0)
    error = outcome.find_error(places, reward=reward, has_traceback=traceback)
    if files.result is None:
        finished = files.job.finished if files.job else None
        return outcome.unfinished(finished, unreadable=files.result_unreadable) or error
    if error is not None:
        return error
    if reward is None:
        return outcome.unrewarded(files.result, files.config, verdict.rewards)
    return None


def _idle(files: TrialFiles, runs: list[Run], verdict: Verdict) -> TraceError | None:
    """Explain a reward of 0 of an agent that never ran."""
    reward = pick_reward(verdict.rewards)[0]
    if files.result is None or reward is None or reward > 0:
        return None
    agent = configs.agent_name(files.config, files.result)
    return outcome.never_ran(files.source, runs, agent)


def _add_changes(trace: Trace, files: TrialFiles, steps: Steps, runs: list[Run]) -> None:
    changes = read_changes(files.source, [name for name, _ in steps], agents.once(runs))
    if changes is not None:
        trace.code_changes, trace.code_stats = changes.diff or None, changes.stats
        trace.truncated += changes.truncated
        trace.sources["code_changes"] = changes.path


def _events(result: TrialResult | None, steps: Steps, runs: list[Run]) -> list[Event]:
    """List phases, steps and the agents' events, each below what contains it."""
    around = phases.phase_events(result)
    events = [event for event in around if event.name != "verifier"]
    holder = next((event.id for event in events if event.name == "agent_execution"), None)
    for index, run in enumerate(runs):
        if steps:
            step = steps[index][1] or StepResult(step_name=steps[index][0])
            failed = run.breakdown is not None or step.exception_info is not None
            events.append(phases.step_event(index + 1, step, failed))
            holder = f"s{index + 1}"
        fresh = _fresh_events(runs, index)
        known = {event.id for event in fresh}
        for event in fresh:
            event.parent_id = event.parent_id if event.parent_id in known else holder
        events += fresh
    return events + [event for event in around if event.name == "verifier"]


def _fresh_events(runs: list[Run], index: int) -> list[Event]:
    """Give the events of a run without those that it repeats of a session it resumed."""
    run = runs[index]
    before = [row.transcript for row in runs[:index] if agents.repeats(run, row)]
    events = run.transcript.events if run.transcript else []
    if not before or before[-1] is None:
        return events
    pairs = zip(before[-1].events, events, strict=False)
    copied = sum(1 for _ in takewhile(lambda pair: _likeness(pair[0]) == _likeness(pair[1]), pairs))
    return events[copied:]


def _likeness(event: Event) -> tuple[object, ...]:
    call_id = (event.data or {}).get("call_id")
    return event.type, event.role, event.name, event.started_at, event.text, call_id
