"""The same task in both arms: names made comparable, attempts numbered, tasks paired."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from evaltrace.compare.options import CompareOptions, check_task_map
from evaltrace.compare.reading.fields import GROUPS, check_field, text_at
from evaltrace.compare.sides import Pair, Pairing, Side, Trial
from evaltrace.errors import ArmsUnclear, Problem, UnreadablePath
from evaltrace.times import parse_time
from evaltrace.trace import Trace

_CUT_AT = 32
"""Harbor cuts a task's name so in the names of its trials."""

_BETWEEN = re.compile(r"\s*[\t,;=]\s*|\s+")

Rename = Callable[[str], str]


def name_tasks(sides: Sequence[Side], options: CompareOptions) -> list[Problem]:
    """Set the pairing name of every trial, in all arms alike; number and choose the attempts.

    Raises ArmsUnclear for duplicates when they are refused, UnreadablePath for a task
    map that cannot be read, UnknownName for a field that traces lack.
    """
    for field in (*options.group_by, *filter(None, [options.cluster_by])):
        check_field(field)
    rename = read_task_map(options.task_map)
    problems: list[Problem] = []
    trials = [trial for side in sides for trial in side.trials]
    several = _names_of_several_tasks(trials) if options.pair_by == "name" else frozenset()
    for trial in trials:
        trial.task = rename(_name(trial.trace, options, several, problems))
    for side in sides:
        _number(side, options.on_duplicate)
    return problems


def _name(
    trace: Trace, options: CompareOptions, several: frozenset[str], problems: list[Problem]
) -> str:
    task = trace.task
    full = f"{task.org}/{task.name}" if task.org else task.name
    if options.pair_by == "name":
        return full if task.name in several else task.name
    if options.pair_by == "full-name":
        return full
    found = task.checksum if options.pair_by == "checksum" else task.digest
    if found is None:
        problems.append(
            Problem(
                code="no_task_digest",
                path=trace.task_id,
                message=f"the trial does not record its task's {options.pair_by}",
                hint="It was paired by name.",
            )
        )
        return task.name
    return f"{task.name} ({found.removeprefix('sha256:')[:12]})"


def _names_of_several_tasks(trials: Sequence[Trial]) -> frozenset[str]:
    """Give the short names that tasks of different organisations share."""
    organisations: dict[str, set[str]] = defaultdict(set)
    for trial in trials:
        if trial.trace.task.org:
            organisations[trial.trace.task.name].add(trial.trace.task.org)
    return frozenset(name for name, orgs in organisations.items() if len(orgs) > 1)


def read_task_map(task_map: str | None) -> Rename:
    """Turn a task map into a function of names.

    A file holds a JSON object of names, or two names a line; a regular expression gives its
    first group as the name, and without a group removes what it matches. Raises ValueError
    for what is neither, UnreadablePath for a file that holds no names.
    """
    if task_map is None:
        return lambda name: name
    check_task_map(task_map)
    if os.path.isfile(task_map):  # noqa: PTH113 - a pattern may be no path at all
        names = _read_names(Path(task_map))
        return lambda name: names.get(name, name)
    pattern = re.compile(task_map)
    if pattern.groups:
        return lambda name: ((found := pattern.search(name)) and found[1]) or name
    return lambda name: pattern.sub("", name) or name


def _read_names(path: Path) -> dict[str, str]:
    hint = 'Two names a line, or a JSON object: {"name in one arm": "name in the other"}.'
    try:
        text = path.read_text("utf-8")
        if text.lstrip().startswith("{"):
            found = json.loads(text)
            if all(isinstance(name, str) for name in found.values()):
                return {str(old): new for old, new in found.items()}
            raise ValueError("a value is no text")
        rows = [_BETWEEN.split(line.strip(), maxsplit=1) for line in text.splitlines()]
        pairs = [row for row in rows if row != [""] and not row[0].startswith("#")]
        if any(len(row) != 2 for row in pairs):
            raise ValueError("a line has no second name")
        return {old.strip(): new.strip() for old, new in pairs}
    except (OSError, ValueError, RecursionError) as error:
        what = f"Cannot use the task map ({str(error)[:200]})"
        raise UnreadablePath(what, where=str(path), hint=hint) from None


def _number(side: Side, on_duplicate: str) -> None:
    """Order the trials by task and start, number them, and keep those that were asked for."""
    tasks: dict[str, list[Trial]] = defaultdict(list)
    for trial in sorted(side.trials, key=_start):
        tasks[trial.task].append(trial)
    kept, left = [], []
    for name in sorted(tasks):
        attempts = tasks[name]
        if len(attempts) > 1 and on_duplicate == "error":
            raise ArmsUnclear(
                f"{len(attempts)} trials of one task in the arm {side.label}",
                where=name,
                hint="--on-duplicate all counts them as attempts; latest or first takes one.",
            )
        one = {"latest": attempts[-1:], "first": attempts[:1]}.get(on_duplicate)
        chosen = attempts if one is None else one
        left += [trial for trial in attempts if trial not in chosen] if one is not None else []
        _set_numbers(chosen)
        kept += sorted(chosen, key=lambda trial: trial.number)
    side.trials, side.set_aside = kept, left


def _set_numbers(attempts: list[Trial]) -> None:
    given = [trial.trace.attempt for trial in attempts]
    sure = None not in given and len(set(given)) == len(given)
    for position, trial in enumerate(attempts, 1):
        trial.number = (trial.trace.attempt or position) if sure else position


def _start(trial: Trial) -> tuple[bool, str, int, str]:
    started = trial.trace.origin.started_at
    known = parse_time(started) is not None
    return (
        not known,
        (started or "") if known else "",
        trial.trace.attempt or 0,
        trial.trace.trace_id,
    )


def pair_tasks(baseline: Side, treatment: Side, options: CompareOptions) -> Pairing:
    """Put the trials of both arms together by task, ordered by name."""
    sides = [_by_task(baseline.trials), _by_task(treatment.trials)]
    renamed = _uncut(*sides)
    for names in sides:
        for short in [name for name in names if name in renamed]:
            names[renamed[short]] = names.pop(short)
    tasks = [
        _to_pair(name, sides[0].get(name, []), sides[1].get(name, []), options)
        for name in sorted({*sides[0], *sides[1]})
    ]
    return Pairing(tasks, paired_by=options.pair_by, renamed=renamed)


def _by_task(trials: list[Trial]) -> dict[str, list[Trial]]:
    tasks: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        tasks[trial.task].append(trial)
    return dict(tasks)


def _uncut(first: dict[str, list[Trial]], second: dict[str, list[Trial]]) -> dict[str, str]:
    """Find names that one arm has cut, where the whole one in the other arm is the only match."""
    found: dict[str, str] = {}
    for short, whole in ((first, second), (second, first)):
        beginnings: dict[str, list[str]] = defaultdict(list)
        for name in whole.keys() - short.keys():
            if len(name) > _CUT_AT:
                beginnings[name[:_CUT_AT]].append(name)
        for name in short.keys() - whole.keys():
            if len(longer := beginnings.get(name, [])) == 1:
                found[name] = longer[0]
    return dict(sorted(found.items()))


def _to_pair(
    name: str, baseline: list[Trial], treatment: list[Trial], options: CompareOptions
) -> Pair:
    trials = [*baseline, *treatment]
    fields = options.group_by or GROUPS
    groups = {field: text for field in fields if (text := _first_text(trials, field)) is not None}
    cluster = _first_text(trials, options.cluster_by) if options.cluster_by else None
    return Pair(name, baseline, treatment, cluster=cluster, groups=groups)


def _first_text(trials: list[Trial], field: str) -> str | None:
    return next((text for trial in trials if (text := text_at(trial.trace, field))), None)
