"""Arms for tests: trials, sides and pairings from plain values, and from aggregated traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Literal

import msgspec

from evaltrace import trace as tr
from evaltrace.compare.sides import Pair, Pairing, Side, State, Trial
from evaltrace.comparison import Metric
from evaltrace.measures import counts_reward
from traces import minimal_trace

Values = Mapping[str, Sequence[float | None]]
"""The values of each task's attempts; None is an attempt that has no valid one."""

_numbers = count(1)


def metric(kind: Literal["binary", "fraction", "number"] = "binary", **changes: Any) -> Metric:
    """The reward, or something else with the changes applied."""
    fields = {"name": "reward", "field": "test_reward", "better": "higher", "pass_threshold": 1.0}
    return Metric(**{**fields, "kind": kind, **changes})


def trial(
    value: float | None = 1.0,
    *,
    task: str = "a",
    recorded: float | None = None,
    state: State | None = None,
    cost: float | None = None,
    cost_source: Literal["reported", "computed"] = "reported",
    tokens: tr.Tokens | None = None,
    seconds: float | None = None,
    turns: int | None = None,
    tool_calls: int | None = None,
    texts: dict[str, int] | None = None,
    **fields: Any,
) -> Trial:
    """A trial with this value, or one that ended in an error where the value is None."""
    number = next(_numbers)
    metrics = tr.Metrics(
        tokens=tokens or tr.Tokens(),
        cost=tr.Cost(usd=cost, source=None if cost is None else cost_source),
        durations=tr.Durations(agent_execution_s=seconds, total_s=seconds),
        turns=turns,
        tool_calls=tool_calls,
    )
    trace = minimal_trace(
        trace_id=f"t-{number}", task_id=f"{task}__{number}", task=tr.Task(name=task),
        test_reward=value, metrics=metrics,
    )  # fmt: skip
    return Trial(
        trace=trace,
        task=task,
        state=state or ("errored" if value is None else "valid"),
        value=value,
        recorded=value if recorded is None else recorded,
        passed=None if value is None else value >= 1.0,
        texts=texts,
        **fields,
    )


def trials(values: Values) -> list[Trial]:
    """A trial for each value."""
    return [trial(value, task=task) for task, attempts in values.items() for value in attempts]


def side(label: str, members: Sequence[Trial]) -> Side:
    """An arm of these trials."""
    return Side(label=label, trials=list(members))


def paired(
    baseline: Sequence[Trial],
    treatment: Sequence[Trial],
    *,
    clusters: Mapping[str, str] | None = None,
    groups: Mapping[str, Mapping[str, str]] | None = None,
) -> Pairing:
    """Pair trials by the name of their task."""
    names = sorted({member.task for member in (*baseline, *treatment)})
    tasks = [
        Pair(
            task=name,
            baseline=[member for member in baseline if member.task == name],
            treatment=[member for member in treatment if member.task == name],
            cluster=(clusters or {}).get(name),
            groups=dict((groups or {}).get(name, {})),
        )
        for name in names
    ]
    return Pairing(tasks=tasks, paired_by="name")


def pairing(baseline: Values, treatment: Values, **more: Any) -> Pairing:
    """Pair tasks with these values."""
    return paired(trials(baseline), trials(treatment), **more)


def outcomes(both: int, only_treatment: int, only_baseline: int, neither: int) -> Pairing:
    """One attempt of each task, by a table of two by two."""
    rows = ((both, 1, 1), (only_treatment, 0, 1), (only_baseline, 1, 0), (neither, 0, 0))
    cells = [(a, b) for number, a, b in rows for _ in range(number)]
    return pairing(
        {f"task-{i:03}": [float(a)] for i, (a, _) in enumerate(cells)},
        {f"task-{i:03}": [float(b)] for i, (_, b) in enumerate(cells)},
    )


def swapped(original: Pairing) -> Pairing:
    """The same with the arms changed over."""
    tasks = [
        Pair(pair.task, pair.treatment, pair.baseline, pair.cluster, pair.groups)
        for pair in original.tasks
    ]
    return Pairing(tasks=tasks, paired_by=original.paired_by)


def reversed_attempts(original: Pairing) -> Pairing:
    """The same with tasks and attempts in the opposite order."""
    tasks = [
        Pair(pair.task, pair.baseline[::-1], pair.treatment[::-1], pair.cluster, pair.groups)
        for pair in reversed(original.tasks)
    ]
    return Pairing(tasks=tasks, paired_by=original.paired_by)


def from_traces(documents: Sequence[dict[str, Any]], reward: str = "reward") -> list[Trial]:
    """Turn traces of a file into trials, by one key of their rewards."""
    traces = msgspec.convert(list(documents), list[tr.Trace])
    return [_from_trace(trace, reward) for trace in traces]


def _from_trace(trace: tr.Trace, reward: str) -> Trial:
    recorded = (trace.rewards or {}).get(reward)
    value = recorded if counts_reward(trace) else None
    return Trial(
        trace=trace,
        task=trace.task.name,
        state=_state(trace, value),
        value=value,
        recorded=recorded,
        passed=None if value is None else value >= 1.0,
    )


def _state(trace: tr.Trace, value: float | None) -> State:
    if value is not None:
        return "valid"
    match trace.status:
        case "cancelled" | "running" as status:
            return status
    return "errored" if trace.error else "unscored"
