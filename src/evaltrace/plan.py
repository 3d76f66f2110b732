"""Which trials are read, in which order, with which numbers: the light first pass.

It reads only the small files of each trial and keeps only what orders it.
"""

from __future__ import annotations

import difflib
import fnmatch
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any, NoReturn

from evaltrace.errors import NothingFound, Problem, UnknownTask
from evaltrace.mentions import check_pattern
from evaltrace.pricing import AUTO, check_prices
from evaltrace.readers import READERS, Job
from evaltrace.readers.walk import JobFolder, find_jobs
from evaltrace.source import Source, spelled
from evaltrace.times import parse_time
from evaltrace.trace import Input


@dataclass(frozen=True, slots=True)
class Options:
    """How trials are chosen and read; `arm` labels all of them.

    `prices` names the table for costs that no agent reported: `auto`, `none`, `genai-prices`
    or the path of a file. `tool_patterns` are regular expressions to count in shell commands.
    `task_dirs` are folders of tasks, looked into for what the recorded places no longer have.
    Raises ValueError for a threshold that is not above 0, a blank arm, a pattern that is none.
    """

    tasks: tuple[str, ...] = ()
    arm: str | None = None
    events: bool = True
    pass_threshold: float = 1.0
    strict: bool = False
    prices: str = AUTO
    tool_patterns: tuple[str, ...] = ()
    task_dirs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pass_threshold) and self.pass_threshold > 0):
            raise ValueError("the pass threshold must be a finite number above 0")
        if self.arm is not None and not (self.arm.strip() and self.arm.isprintable()):
            raise ValueError("the arm must be a printable label on one line")
        for pattern in self.tool_patterns:
            check_pattern(pattern)


@dataclass(slots=True)
class Entry:
    """A trial before it is read: where it lies and what orders it."""

    reader: str
    path: Path
    job: Any
    label: str
    task: str
    trial: str
    trace_id: str
    configuration: str
    started: str | None
    finished: bool
    attempt: int = 0


@dataclass
class Plan:
    """The trials in output order, the jobs they come from, what was wrong on the way.

    `folders` are the directories that nothing may be written into.
    """

    entries: list[Entry]
    inputs: list[Input]
    problems: list[Problem] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    options: Options = field(default_factory=Options)


@dataclass(slots=True)
class _JobTrials:
    """A job with all its trials, and those among them that were named."""

    reader: str
    job: Job | None
    first: Any
    entries: list[Entry]
    named: list[Entry]


def plan_aggregation(paths: Iterable[str | Path], options: Options | None = None) -> Plan:
    """Find the trials below the paths, number, choose and order them.

    Raises UnreadablePath, NothingFound, UnknownTask, and what check_prices raises.
    """
    options = options or Options()
    check_prices(options.prices)
    named = [Path(path) for path in paths]
    walk = find_jobs(named)
    problems = list(walk.problems)
    jobs = [_open_job(folder, problems) for folder in walk.folders.values()]
    # A job's folder is looked at by the walk and by its reader: what both met counts once.
    problems = sorted(set(problems), key=_problem_order)
    candidates = _once([entry for job in jobs for entry in job.named], problems)
    if not candidates:
        _raise_nothing(named, jobs, problems)
    # Numbers come before the choice: choosing one attempt must not make it the first.
    _number([entry for job in jobs for entry in job.entries])
    entries = sorted(_chosen(candidates, options.tasks), key=_order)
    kept = {id(entry) for entry in entries}
    inputs = sorted((_to_input(job, kept) for job in jobs), key=_input_order)
    return Plan(entries, inputs, problems, list(walk.folders), options)


def _open_job(folder: JobFolder, problems: list[Problem]) -> _JobTrials:
    reader, job, first = READERS[folder.reader], None, None
    if folder.path is not None:
        job = reader.read_job(Source(folder.path, label=folder.path.name))
        problems += job.problems
    entries = []
    for path in sorted(folder.trials):
        label = spelled(f"{job.name}/{path.name}" if job else path.name)
        trial = reader.open_trial(path, job, label)
        first = first or trial
        entries.append(
            Entry(
                reader=folder.reader,
                path=path,
                job=job,
                label=label,
                task=trial.task_name,
                trial=trial.name,
                trace_id=trial.trace_id,
                configuration=trial.configuration,
                started=trial.started,
                finished=trial.finished,
            )
        )
    wanted = folder.trials if folder.wanted is None else folder.wanted
    return _JobTrials(
        folder.reader, job, first, entries, [entry for entry in entries if entry.path in wanted]
    )


def _once(entries: list[Entry], problems: list[Problem]) -> list[Entry]:
    """Keep one of several copies of a trial (a finished one), and report the others."""
    kept: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda row: (not row.finished, row.label, str(row.path))):
        first = kept.setdefault(entry.trace_id, entry)
        if first is not entry:
            problems.append(
                Problem(
                    code="duplicate_trial",
                    path=entry.label,
                    message=f"a copy of {first.label}, which was kept",
                    hint="Name each job once.",
                )
            )
    return list(kept.values())


def _chosen(entries: list[Entry], patterns: tuple[str, ...]) -> list[Entry]:
    if not patterns:
        return entries
    unknown = [name for name in patterns if not any(_matches(row, name) for row in entries)]
    if unknown:
        _raise_unknown(unknown[0], entries)
    return [row for row in entries if any(_matches(row, name) for name in patterns)]


def _matches(entry: Entry, pattern: str) -> bool:
    names = {entry.task, entry.task.rpartition("/")[2], entry.trial, entry.path.name}
    return pattern in names or any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _number(entries: list[Entry]) -> None:
    """Number the attempts of each task and agent configuration by start time.

    Copies of one trial share its number.
    """
    groups: dict[tuple[str, str], dict[str, list[Entry]]] = defaultdict(dict)
    for entry in entries:
        group = groups[entry.task, entry.configuration]
        group.setdefault(entry.trace_id, []).append(entry)
    for group in groups.values():
        attempts = sorted(group.values(), key=lambda copies: min(map(_start, copies)))
        for number, copies in enumerate(attempts, 1):
            for entry in copies:
                entry.attempt = number


def _start(entry: Entry) -> tuple[int, float, str, str]:
    time = parse_time(entry.started)
    # Naive times sort among themselves as if they were UTC: only their order matters.
    stamp = time if time is None or time.tzinfo else time.replace(tzinfo=UTC)
    return (0 if stamp else 1, stamp.timestamp() if stamp else 0.0, entry.trial, entry.label)


def _order(entry: Entry) -> tuple[str, str, str, int, str]:
    org, _, name = entry.task.rpartition("/")
    return name, org, entry.job.name if entry.job else "", entry.attempt, entry.label


def _problem_order(problem: Problem) -> tuple[str, str, str]:
    return problem.path, problem.code, problem.message


def _to_input(job: _JobTrials, kept: set[int]) -> Input:
    selected = sum(id(entry) in kept for entry in job.entries)
    reader = READERS[job.reader]
    return reader.to_input(job.job, job.first, found=len(job.entries), selected=selected)


def _input_order(row: Input) -> tuple[str, str, int, int]:
    return row.job_name or "", row.job_id or "", -row.selected, row.found


def _raise_nothing(
    paths: Sequence[Path], jobs: list[_JobTrials], problems: list[Problem]
) -> NoReturn:
    if problems:
        first = problems[0]
        hint = f"{len(problems)} problem(s) stood in the way; {first.path}: {first.message}"
    elif jobs:
        planned = sum(row.job.planned or 0 for row in jobs if row.job)
        hint = f"{len(jobs)} job(s) were found that planned {planned} trial(s) and started none."
    else:
        hint = "Name a trial, a job, or any folder above them; see `evaltrace aggregate --help`."
    raise NothingFound("no trial found", where=", ".join(map(str, paths)), hint=hint)


def _raise_unknown(name: str, entries: list[Entry]) -> NoReturn:
    known = sorted({entry.task.rpartition("/")[2] for entry in entries})
    near = difflib.get_close_matches(name.rpartition("/")[2], known, n=3)
    more = f" and {len(known) - 5} more" if len(known) > 5 else ""
    hint = f"Did you mean {' or '.join(near)}?" if near else ""
    hint = hint or f"Tasks here: {', '.join(known[:5])}{more}."
    raise UnknownTask("no trial of this task", where=name, hint=hint)
