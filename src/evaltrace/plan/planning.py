"""Trials are found, numbered, chosen and put in order."""

from __future__ import annotations

import difflib
import fnmatch
import gc
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from evaltrace.cache import Cache, code_digest
from evaltrace.errors import NothingFound, OutputFailure, Problem, UnknownTask
from evaltrace.plan.entries import Entries, Entry, to_label
from evaltrace.plan.options import Options, reading_key, redactor_of, with_redactor
from evaltrace.plan.redacting import knowing_firsts
from evaltrace.pricing import check_prices
from evaltrace.readers import READERS, Job
from evaltrace.readers.walk import JobFolder, find_jobs, job_around
from evaltrace.redact import KEY_NOT_KEPT, redact_records
from evaltrace.source import Source
from evaltrace.times import parse_time
from evaltrace.trace import Input

if TYPE_CHECKING:
    from evaltrace.remote import Spool


@dataclass
class Plan:
    """The trials in output order, the jobs they come from, what was wrong on the way.

    `folders` are the directories that nothing may be written into, `spools` the remote ones.
    A plan with a cache is written once: the cache is closed then. `notes` are to be told, and
    nothing that outputs depend on.
    """

    entries: Entries
    inputs: list[Input]
    problems: list[Problem] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    options: Options = field(default_factory=Options)
    cache: Cache | None = None
    spools: list[Spool] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    @property
    def unread(self) -> Entries:
        """The trials that are to be read, in order: those that the cache does not have."""
        return self.entries.unread


@dataclass(slots=True)
class _JobTrials:
    """A job with all its trials, and those among them that were named.

    No other one has trials in its folder.
    """

    reader: str
    folder: Path
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
    chosen, note = with_redactor(options or Options())
    # What is kept with a key that is not kept itself would never be found again.
    kept = None if note is not None and note.code == KEY_NOT_KEPT else cache
    with _uncollected():
        plan = _plan([Path(path) for path in paths], chosen, kept)
    plan.notes += [] if note is None else [note]
    redactor = redactor_of(chosen)
    if redactor is not None:
        plan.inputs = redact_records(redactor, plan.inputs)
        if plan.problems:
            redactor = knowing_firsts(redactor, plan.entries)
        plan.problems = redact_records(redactor, plan.problems)
    return plan


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
    selected = Counter(entry.folder for entry in entries)
    inputs = sorted((_to_input(job, selected[job.folder]) for job in jobs), key=_input_order)
    return Plan(Entries(entries), inputs, problems, list(walk.folders), options, cache)


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
    if folder.is_job:
        source = Source(folder.path, label=folder.path.name)
        job = reader.read_job(source, _with_result(folder, cache))
        problems += job.problems
        if cache is not None:
            cache.settle(folder.path, reader.job_facts(job))
    names = sorted(folder.trials)
    # Of one trial the files are needed: they tell which version ran the job.
    first = _opened(folder, names[0], job) if names else None
    entries = []
    for name in names:
        kept = None
        if cache is not None and folder.is_job and folder.unchanged:
            kept = cache.known(folder.path, name)
        if kept is not None and (kept.finished or kept.state == reader.unfinished_facts(job)):
            own = {"task": kept.task, "trial": kept.trial, "kept": kept.attempt}
            entries.append(_to_entry(folder, name, job, kept, **own))
            continue
        trial: Any = first if name is names[0] else _ordered(folder, name, job)
        own = {"task": trial.task_name, "trial": trial.name}
        entries.append(_to_entry(folder, name, job, trial, **own))
    wanted = folder.wanted
    named = entries if wanted is None else [entry for entry in entries if entry.name in wanted]
    return _JobTrials(folder.reader, folder.path, job, first, entries, named)


def _with_result(folder: JobFolder, cache: Cache | None) -> Collection[str]:
    """Name the trials that are known to have a result."""
    seen = folder.glances.keys()
    return seen if cache is None else seen | cache.finished(folder.path)


def _ordered(folder: JobFolder, name: str, job: Job | None) -> Any:
    """Give what orders a trial: as it was seen on the way, or else as its files say."""
    glance = folder.glances.pop(name, None)
    return _opened(folder, name, job) if glance is None or job is None else glance.in_job(job)


def _opened(folder: JobFolder, name: str, job: Job | None) -> Any:
    return READERS[folder.reader].open_trial(f"{folder.path}/{name}", job, to_label(name, job))


def _to_entry(folder: JobFolder, name: str, job: Job | None, known: Any, **own: Any) -> Entry:
    """Make the entry of a trial that was opened, or is known from the cache."""
    return Entry(
        reader=folder.reader,
        folder=folder.path,
        name=name,
        job=job,
        trace_id=known.trace_id,
        configuration=known.configuration,
        started=known.started,
        finished=known.finished,
        **own,
    )


def _once(entries: list[Entry], problems: list[Problem]) -> list[Entry]:
    """Keep one of several copies of a trial (a finished one), and report the others."""
    ids = sorted(entry.trace_id for entry in entries)
    # Sorted, as a set of very many leaves a hole in memory that is not given back.
    if all(one != other for one, other in pairwise(ids)):
        return entries
    kept: dict[str, Entry] = {}
    for entry in sorted(entries, key=lambda row: (not row.finished, row.label, row.place)):
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
    names = {entry.task, entry.task.rpartition("/")[2], entry.trial, entry.name}
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


def _order(entry: Entry) -> tuple[str | int, ...]:
    org, _, name = entry.task.rpartition("/")
    job = entry.job.name if entry.job else ""
    return name, org, job, entry.attempt, entry.label, not entry.finished, entry.place


def _problem_order(problem: Problem) -> tuple[str, str, str]:
    return problem.path, problem.code, problem.message


def _to_input(job: _JobTrials, selected: int) -> Input:
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
