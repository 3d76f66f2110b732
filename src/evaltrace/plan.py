"""Which trials are read, in which order, with which numbers: the light first pass.

It reads only the small files of each trial and keeps only what orders it.
"""

from __future__ import annotations

import difflib
import fnmatch
import gc
import math
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from evaltrace.cache import Cache, KeptTrial, code_digest, prices_digest
from evaltrace.errors import NothingFound, OutputFailure, Problem, UnknownTask
from evaltrace.mentions import check_pattern
from evaltrace.pricing import AUTO, check_prices
from evaltrace.readers import READERS, Job
from evaltrace.readers.walk import JobFolder, find_jobs, job_around
from evaltrace.source import Source, spelled
from evaltrace.times import parse_time
from evaltrace.trace import Input

if TYPE_CHECKING:
    from evaltrace.remote import Spool


@dataclass(frozen=True, slots=True)
class Options:
    """How trials are chosen and read; `arm` labels all of them.

    `prices` names the table for costs that no agent reported: `auto`, `none`, `genai-prices`
    or the path of a file. `tool_patterns` are regular expressions to count in shell commands.
    `task_dirs` are folders of tasks, looked into for what the recorded places no longer have.
    `stamped` asks for what each trace depended on besides.
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
    stamped: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pass_threshold) and self.pass_threshold > 0):
            raise ValueError("the pass threshold must be a finite number above 0")
        if self.arm is not None and not (self.arm.strip() and self.arm.isprintable()):
            raise ValueError("the arm must be a printable label on one line")
        for pattern in self.tool_patterns:
            check_pattern(pattern)


@dataclass(slots=True)
class Entry:
    """A trial before it is read: where it lies and what orders it.

    `kept` is the attempt that the cache has it as, if it has not changed: then it is not read.
    """

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
    kept: int | None = None


@dataclass
class Plan:
    """The trials in output order, the jobs they come from, what was wrong on the way.

    `folders` are the directories that nothing may be written into, `spools` the remote ones.
    A plan with a cache is written once: the cache is closed then.
    """

    entries: list[Entry]
    inputs: list[Input]
    problems: list[Problem] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    options: Options = field(default_factory=Options)
    cache: Cache | None = None
    spools: list[Spool] = field(default_factory=list)

    @property
    def unread(self) -> list[Entry]:
        """The trials that are to be read, in order: those that the cache does not have."""
        return [entry for entry in self.entries if entry.kept is None]


@dataclass(slots=True)
class _JobTrials:
    """A job with all its trials, and those among them that were named."""

    reader: str
    job: Job | None
    first: Any
    entries: list[Entry]
    named: list[Entry]


def plan_aggregation(
    paths: Iterable[str | Path], options: Options | None = None, cache: Cache | None = None
) -> Plan:
    """Find the trials below the paths, number, choose and order them.

    What the cache has of unchanged trials is taken from there, unless it is being verified.
    Raises UnreadablePath, NothingFound, UnknownTask, what check_prices raises, and
    OutputFailure for a cache inside a job.
    """
    with _uncollected():
        return _plan([Path(path) for path in paths], options or Options(), cache)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Put off the search for garbage: a plan makes many small objects, and hardly any."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()


def _plan(named: list[Path], options: Options, cache: Cache | None) -> Plan:
    check_prices(options.prices)
    if cache is not None:
        options = replace(options, stamped=True)
        cache.begin(reading_key(options), code_digest())
    walk = find_jobs(named, cache)
    _check_cache(cache, walk.folders)
    problems = list(walk.problems)
    jobs = [_open_job(folder, problems, cache) for folder in walk.folders.values()]
    # A job's folder is looked at by the walk and by its reader: what both met counts once.
    problems = sorted(set(problems), key=_problem_order)
    candidates = _once([entry for job in jobs for entry in job.named], problems)
    if not candidates:
        _raise_nothing(named, jobs, problems)
    # Numbers come before the choice: choosing one attempt must not make it the first.
    _number([entry for job in jobs for entry in job.entries])
    _forget_renumbered([entry for job in jobs for entry in job.entries])
    entries = sorted(_chosen(candidates, options.tasks), key=_order)
    kept = {id(entry) for entry in entries}
    inputs = sorted((_to_input(job, kept) for job in jobs), key=_input_order)
    return Plan(entries, inputs, problems, list(walk.folders), options, cache)


def reading_key(options: Options) -> str:
    """Name how trials are read: with another key, their traces may be others."""
    read = (
        options.arm,
        options.events,
        options.pass_threshold,
        prices_digest(options.prices),
        options.tool_patterns,
        [os.path.realpath(folder) for folder in options.task_dirs],
        # Where some tasks are looked for; Path fails where there is no home.
        os.path.expanduser("~"),  # noqa: PTH111
    )
    return sha256(msgspec.json.encode(read)).hexdigest()


def _check_cache(cache: Cache | None, folders: Iterable[Path]) -> None:
    if cache is None:
        return
    inside = next((job for job in folders if job in (cache.folder, *cache.folder.parents)), None)
    inside = inside or job_around(cache.folder / "any")
    if inside is not None:
        raise OutputFailure(
            f"the cache would lie inside the job {inside.name}",
            where=str(cache.folder),
            hint="Nothing is written into job directories; name another place with --cache.",
        )


def _open_job(folder: JobFolder, problems: list[Problem], cache: Cache | None) -> _JobTrials:
    reader, job = READERS[folder.reader], None
    if folder.path is not None:
        source = Source(folder.path, label=folder.path.name)
        job = reader.read_job(source, cache.finished(folder.path) if cache else ())
        problems += job.problems
        if cache is not None:
            cache.settle(folder.path, reader.job_facts(job))
    paths = sorted(folder.trials, key=str)
    # Of one trial the files are needed: they tell which version ran the job.
    first = reader.open_trial(paths[0], job, _label(paths[0], job)) if paths else None
    entries = []
    for path in paths:
        kept = None
        if cache is not None and folder.path is not None and folder.unchanged:
            kept = cache.kept(folder.path, path.name)
        if kept is not None and (kept.finished or kept.state == reader.unfinished_facts(job)):
            entries.append(_kept_entry(folder.reader, path, job, kept))
            continue
        trial = first if path is paths[0] else reader.open_trial(path, job, _label(path, job))
        entries.append(_read_entry(folder.reader, path, job, trial))
    wanted = folder.trials if folder.wanted is None else folder.wanted
    return _JobTrials(
        folder.reader, job, first, entries, [entry for entry in entries if entry.path in wanted]
    )


def _label(path: Path, job: Job | None) -> str:
    return spelled(f"{job.name}/{path.name}" if job else path.name)


def _read_entry(reader: str, path: Path, job: Job | None, trial: Any) -> Entry:
    return Entry(
        reader=reader,
        path=path,
        job=job,
        label=_label(path, job),
        task=trial.task_name,
        trial=trial.name,
        trace_id=trial.trace_id,
        configuration=trial.configuration,
        started=trial.started,
        finished=trial.finished,
    )


def _kept_entry(reader: str, path: Path, job: Job | None, kept: KeptTrial) -> Entry:
    return Entry(
        reader=reader,
        path=path,
        job=job,
        label=_label(path, job),
        task=kept.task,
        trial=kept.trial,
        trace_id=kept.trace_id,
        configuration=kept.configuration,
        started=kept.started,
        finished=kept.finished,
        kept=kept.attempt,
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


def _forget_renumbered(entries: list[Entry]) -> None:
    for entry in entries:
        if entry.kept != entry.attempt:
            entry.kept = None


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
