"""Readings into arms: one arm a path, or one path split by what its trials differ in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import count

import msgspec

from evaltrace.compare.audit.values import shown
from evaltrace.compare.reading.fields import check_field, text_at
from evaltrace.compare.reading.paths import Reading, inputs_of, jobs_of
from evaltrace.compare.sides import Side, Trial
from evaltrace.comparison import ComparedInput
from evaltrace.errors import ArmsUnclear, Problem, UnknownName
from evaltrace.trace import Trace
from evaltrace.untrusted import one_line

_LABEL_WIDTH = 60
_PLAIN = re.compile(r"^(baseline|base|control|stock|vanilla|without|none|off|default)\b", re.I)
_SHORT = {"model": "agent_config.model", "agent": "agent_config.agent.name"}
_SHORT |= {"job": "origin.job_name", "arm": "arm"}


def to_sides(
    readings: Sequence[tuple[str | None, Reading]], arm_by: str | None, problems: list[Problem]
) -> list[Side]:
    """Make the arms, the baseline first, each with a label of its own.

    Several readings are an arm each; a single one is split by `arm_by` (`FIELD` or
    `FIELD=VALUE OF THE BASELINE`), else by the arms its traces are labelled with, else by
    their agent configurations. Raises ArmsUnclear, UnknownName.
    """
    if len(readings) > 1 and arm_by is not None:
        hint = "Leave it out, or name a single path that holds all arms."
        raise ArmsUnclear("--arm-by splits one path, and several were named", hint=hint)
    if len(readings) == 1:
        sides = _split(readings[0][1], arm_by, problems)
    else:
        sides = [
            _side(label, reading, reading.trials, problems)
            for label, (_, reading) in zip(_labels_of(readings), readings, strict=True)
        ]
    _make_labels_unlike(sides)
    return sides


def is_one_arm(reading: Reading) -> bool:
    """Tell whether all trials of a reading are labelled, or else configured, alike."""
    return len(_by_what_differs(reading.trials)) == 1


def to_side(label: str | None, reading: Reading, problems: list[Problem]) -> Side:
    """Make one arm of all that was read."""
    return _side(label or _label_of(reading), reading, reading.trials, problems)


def _labels_of(readings: Sequence[tuple[str | None, Reading]]) -> list[str]:
    """Name each arm as it was named, by its own label or job, else by its path."""
    for name in (_label_of, _name_of):
        labels = [given or name(reading) for given, reading in readings]
        if len(set(labels)) == len(labels):
            break
    return labels


def _label_of(reading: Reading) -> str:
    arms = {trial.trace.arm for trial in reading.trials}
    if len(arms) == 1 and (arm := next(iter(arms))):
        return arm
    jobs = jobs_of(reading.trials)
    return jobs[0] if len(jobs) == 1 else _name_of(reading)


def _name_of(reading: Reading) -> str:
    stem = reading.name.rpartition(".")[0] if reading.form == "file" else ""
    return stem or reading.name


def _side(label: str, reading: Reading, trials: list[Trial], problems: list[Problem]) -> Side:
    label = one_line(label, _LABEL_WIDTH) or "arm"
    kept = _once(trials, label, problems)
    inputs = list(inputs_of(reading, kept))
    harness = {trial.trace.origin.harness for trial in kept}
    source = ComparedInput(
        arm=label,
        name=one_line(reading.name, _LABEL_WIDTH * 2),
        form=reading.form,
        traces=len(kept),
        digest=reading.digest,
        jobs=jobs_of(kept),
        harness=harness.pop() if len(harness) == 1 else None,
    )
    return Side(label, kept, inputs=inputs, sources=[source])


def _once(trials: list[Trial], label: str, problems: list[Problem]) -> list[Trial]:
    kept: dict[str, Trial] = {}
    for trial in trials:
        first = kept.setdefault(trial.trace.trace_id, trial)
        if first is not trial:
            problems.append(
                Problem(
                    code="duplicate_trial",
                    path=f"{label}: {trial.trace.task_id}",
                    message="the same trial stands twice in this arm; it was counted once",
                    hint="Name each job once.",
                )
            )
    return list(kept.values())


def _split(reading: Reading, arm_by: str | None, problems: list[Problem]) -> list[Side]:
    groups = _by_field(reading.trials, arm_by) if arm_by else _by_what_differs(reading.trials)
    if len(groups) < 2:
        what = f"{arm_by} has one value only" if arm_by else "all trials have one configuration"
        raise ArmsUnclear(
            f"there is one arm only: {what}",
            where=reading.name,
            hint="Name a second path, or split this one: --arm-by FIELD (model, agent, job, ...).",
        )
    _, _, wanted = (arm_by or "").partition("=")
    order = sorted(groups, key=lambda label: (label != wanted, *_plainness(label, groups[label])))
    field = arm_by and _field_of(arm_by)
    sides = [
        _side(_shown_value(field, label) if field else label, reading, groups[label], problems)
        for label in order
    ]
    for side in sides:
        side.whole = False
    return sides


def _by_field(trials: list[Trial], arm_by: str) -> dict[str, list[Trial]]:
    name, _, wanted = arm_by.partition("=")
    path = check_field(_field_of(arm_by))
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[text_at(trial.trace, path) or "not given"].append(trial)
    if wanted and wanted not in groups:
        values = ", ".join(sorted(_shown_value(path, text) for text in groups))
        hint = f"It is one of {values[:200]}."
        raise UnknownName(f"no trial has this value of {name}", where=wanted, hint=hint)
    return groups


def _field_of(arm_by: str) -> str:
    name = arm_by.partition("=")[0]
    return _SHORT.get(name, name)


def _shown_value(field: str, text: str) -> str:
    """Show a value that arms are split by, masked as its field asks for."""
    key = field if field.startswith("agent_config.") else ""
    value = text
    if text[:1] in ("{", "["):
        with suppress(msgspec.DecodeError):
            value = msgspec.json.decode(text)
    return shown(value, key, _LABEL_WIDTH)


def _by_what_differs(trials: list[Trial]) -> dict[str, list[Trial]]:
    """Group by the label of the arm, else by the configuration of the agent."""
    arms: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        arms[trial.trace.arm or ""].append(trial)
    if len(arms) > 1:
        return {label or "no label": group for label, group in arms.items()}
    configurations: dict[bytes, list[Trial]] = defaultdict(list)
    for trial in trials:
        configurations[_configuration(trial.trace)].append(trial)
    firsts = [group[0].trace for group in configurations.values()]
    labels = _name_configurations(firsts)
    return dict(zip(labels, configurations.values(), strict=True))


def _configuration(trace: Trace) -> bytes:
    agent = trace.agent_config.agent
    parts = (agent.name, agent.import_path, agent.kwargs, agent.env, agent.skills)
    return msgspec.json.encode(
        (trace.agent_config.model, *(part or None for part in parts), agent.mcp_servers or None),
        order="sorted",
    )


def _name_configurations(traces: list[Trace]) -> list[str]:
    """Name configurations by the first thing in which they differ."""
    for name in (_servers, _model, _agent, _settings):
        labels = [name(trace) for trace in traces]
        if len(set(labels)) == len(labels):
            return labels
    return [f"configuration {number}" for number, _ in enumerate(traces, 1)]


def _servers(trace: Trace) -> str:
    servers = trace.agent_config.agent.mcp_servers or []
    given = [row.get("name") if isinstance(row, dict) else row for row in servers]
    # A name may be an address, with a password in it.
    names = [shown(name, width=_LABEL_WIDTH) if name else "an unnamed one" for name in given]
    return f"with {', '.join(sorted(names))}" if names else "without MCP servers"


def _model(trace: Trace) -> str:
    return trace.agent_config.model or "no model named"


def _agent(trace: Trace) -> str:
    agent = trace.agent_config.agent
    return " ".join(filter(None, (agent.name or agent.import_path, agent.version))) or "no agent"


def _settings(trace: Trace) -> str:
    kwargs = trace.agent_config.agent.kwargs or {}
    named = (f"{key}={shown(kwargs[key], key)}" for key in sorted(kwargs))
    return one_line(", ".join(named), 50) or "no settings"


def _plainness(label: str, trials: list[Trial]) -> tuple[bool, int, str]:
    """Order arms by how little was added to them: what is plain is the baseline."""
    agent = trials[0].trace.agent_config.agent
    added = [agent.mcp_servers, agent.skills]
    return not _PLAIN.match(label), sum(len(items or ()) for items in added), label


def _make_labels_unlike(sides: list[Side]) -> None:
    taken: set[str] = set()
    for side in sides:
        names = (side.label if number == 1 else f"{side.label}-{number}" for number in count(1))
        side.label = next(name for name in names if name not in taken)
        taken.add(side.label)
        for source in side.sources:
            source.arm = side.label
