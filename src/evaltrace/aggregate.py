"""Job directories in, validated traces out, one after the other.

Two passes: a light one that finds, orders and numbers the trials, and one that reads
them whole. Only the second one's current trial is in memory.
"""

from __future__ import annotations

import difflib
import fnmatch
import json
import os
import re
from builtins import map as serial_map
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from evaltrace.errors import NothingFound, OutputFailure, Problem, StrictFailure, UnknownTask
from evaltrace.files import whole_file, write_jsonl, write_traces
from evaltrace.readers import READERS, JobFolder, find_jobs
from evaltrace.readers.harbor import Job
from evaltrace.schema import is_valid, violations
from evaltrace.source import Source
from evaltrace.summary import Summary, Tally
from evaltrace.times import parse_time
from evaltrace.trace import Input, Tool, Trace
from evaltrace.version import __version__


@dataclass(frozen=True, slots=True)
class Options:
    """How trials are chosen and read; `arm` labels all of them."""

    tasks: tuple[str, ...] = ()
    arm: str | None = None
    events: bool = True
    pass_threshold: float = 1.0
    strict: bool = False


@dataclass(slots=True)
class Entry:
    """A trial before it is read: where it lies and what orders it."""

    reader: str
    path: Path
    job: Job | None
    label: str
    task: str
    trial: str
    trace_id: str
    configuration: str
    started: str | None
    finished: bool
    attempt: int = 0


@dataclass(slots=True)
class Record:
    """A trial after it was read: its trace, also as one line of JSON, or only problems."""

    entry: Entry
    trace: Trace | None
    line: bytes | None
    problems: list[Problem]


@dataclass
class Plan:
    """The trials in output order, the jobs they come from, what was wrong on the way."""

    entries: list[Entry]
    inputs: list[Input]
    problems: list[Problem] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)


Form = Literal["json", "jsonl"]
Map = Callable[[Callable[[Entry], Record], Iterable[Entry]], Iterable[Record]]


def plan_aggregation(paths: Sequence[str | Path], options: Options | None = None) -> Plan:
    """Find the trials below the paths, choose, order and number them.

    Raises UnreadablePath, NothingFound, UnknownTask.
    """
    options = options or Options()
    walk = find_jobs(Path(path) for path in paths)
    problems = list(walk.problems)
    entries: list[Entry] = []
    jobs: list[tuple[JobFolder, Job | None, list[Entry]]] = []
    for folder in walk.folders.values():
        job = _job(folder, problems)
        found = [_entry(folder.reader, path, job) for path in sorted(folder.trials)]
        jobs.append((folder, job, found))
        entries += found
    if not entries:
        _raise_nothing(paths, jobs)
    entries = _without_duplicates(entries, problems)
    chosen = _chosen(entries, options.tasks)
    _number(chosen)
    chosen.sort(key=_order)
    kept = {id(entry) for entry in chosen}
    inputs = [_input(*row, kept) for row in jobs]
    inputs.sort(key=lambda row: (row.job_name or "", row.job_id or "", row.found))
    return Plan(chosen, inputs, sorted(problems, key=_problem_order), list(walk.folders))


def read_records(
    plan: Plan, options: Options | None = None, map: Map = serial_map
) -> Iterator[Record]:
    """Read the planned trials in order; `map` is the engine (serial, processes, a cluster).

    Adds what went wrong to `plan.problems`. Raises StrictFailure if the options say so.
    """
    options = options or Options()
    if options.strict and plan.problems:
        _raise_strict(plan.problems[0])
    for record in map(partial(read_record, options=options), plan.entries):
        plan.problems += record.problems
        if options.strict and record.problems:
            _raise_strict(record.problems[0])
        yield record


def aggregate_jobs(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    options: Options | None = None,
    form: Form = "json",
    map: Map = serial_map,
) -> Summary:
    """Aggregate the trials below the paths into a file, and sum them up.

    Raises the errors of plan_aggregation, and OutputFailure.
    """
    plan = plan_aggregation(paths, options)
    check_output(plan, output)
    with whole_file(Path(output)) as file:
        return write_aggregation(plan, file, options=options, form=form, map=map, name=str(output))


def write_aggregation(
    plan: Plan,
    out: BinaryIO,
    *,
    options: Options | None = None,
    form: Form = "json",
    map: Map = serial_map,
    name: str | None = None,
    watch: Callable[[Record], None] | None = None,
) -> Summary:
    """Read the planned trials and write their traces; `watch` sees each record pass."""
    tally = Tally()
    for problem in plan.problems:
        tally.add_problem(problem)

    def lines() -> Iterator[bytes]:
        for record in read_records(plan, options, map):
            _count(tally, record)
            if watch is not None:
                watch(record)
            if record.line is not None:
                yield record.line

    if form == "jsonl":
        write_jsonl(out, lines())
    else:
        write_traces(out, tool=tool(), inputs=plan.inputs, traces=lines(), problems=plan.problems)
    return tally.summary(plan.inputs, name)


def check_output(plan: Plan, output: str | Path) -> None:
    """Refuse an output inside a job or trial: harnesses clear what they find there.

    Raises OutputFailure.
    """
    place = Path(os.path.realpath(output))
    inside = next((folder for folder in plan.folders if folder in place.parents), None)
    if inside is not None:
        raise OutputFailure(
            f"the output would lie inside the job {inside.name}",
            where=str(output),
            hint="Nothing is written into job directories; name another place with -o.",
        )


def _count(tally: Tally, record: Record) -> None:
    if record.trace is not None:
        tally.add(record.trace)
        return
    for problem in record.problems:
        tally.add_problem(problem)


def output_name(plan: Plan, paths: Sequence[str | Path], arm: str | None) -> str:
    """Name the default output after the arm, else the job, else the paths that were named."""
    names = [row.job_name for row in plan.inputs if row.selected and row.job_name]
    if len(names) != 1:
        names = [Path(os.path.realpath(path)).name for path in paths]
    name = arm or "+".join(names[:3])
    return re.sub(r"[^\w.+@=-]+", "-", name).strip("-.")[:100] or "traces"


def read_record(entry: Entry, options: Options) -> Record:
    """Read one trial, validate and encode its trace; whatever fails becomes a problem."""
    reader = READERS[entry.reader]
    try:
        files = reader.open_trial(entry.path, entry.job, entry.label)
        trace = reader.read_trace(
            files,
            keep_events=options.events,
            threshold=options.pass_threshold,
            arm=options.arm,
            attempt=entry.attempt,
        )
        document, line = _encoded(trace)
    except Exception as error:  # the boundary of one trial: it must not cost the others
        what = f"{type(error).__name__}: {error}"[:500]
        hint = "This is a defect of evaltrace; please report it with the trial's files."
        return _failed(
            entry, Problem(code="reader_failed", path=entry.label, message=what, hint=hint)
        )
    if is_valid(document):
        return Record(entry, trace, line, list(trace.problems))
    return _failed(entry, _invalid(entry, document), trace.problems)


def _encoded(trace: Trace) -> tuple[object, bytes]:
    document = msgspec.to_builtins(trace)
    try:
        return document, msgspec.json.encode(document)
    except UnicodeEncodeError:
        # A lone surrogate that a reader let through: encode, replacing it, and read again.
        line = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        return msgspec.json.decode(line), line


def _failed(entry: Entry, problem: Problem, others: Sequence[Problem] = ()) -> Record:
    return Record(entry, None, None, [*others, problem])


def _invalid(entry: Entry, document: object) -> Problem:
    first = next(iter(violations(document, limit=1)), None)
    where = f"{first.path}: {first.message}" if first else "unknown place"
    return Problem(
        code="invalid_trace",
        path=entry.label,
        message=f"the trace does not fit its schema: {where}",
        hint="It is kept out of `traces`; please report it with the trial's files.",
    )


def tool() -> Tool:
    """Name this program and its version, as outputs record it."""
    return Tool(name="evaltrace", version=__version__)


def _job(folder: JobFolder, problems: list[Problem]) -> Job | None:
    if folder.path is None:
        return None
    source = Source(folder.path, label=folder.path.name)
    job: Job = READERS[folder.reader].read_job(source)
    problems += job.problems
    return job


def _entry(reader: str, path: Path, job: Job | None) -> Entry:
    label = f"{job.name}/{path.name}" if job else path.name
    files = READERS[reader].open_trial(path, job, label)
    result = files.result
    return Entry(
        reader=reader,
        path=path,
        job=job,
        label=label,
        task=files.task_name,
        trial=files.name,
        trace_id=files.trace_id,
        configuration=READERS[reader].agent_digest(files.config),
        started=result.started_at if result else None,
        finished=result is not None,
    )


def _without_duplicates(entries: list[Entry], problems: list[Problem]) -> list[Entry]:
    """Keep one of several copies of a trial (the finished one), and report the others."""
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


def _names(entry: Entry) -> set[str]:
    return {entry.task, entry.task.rpartition("/")[2], entry.trial, entry.path.name}


def _matches(entry: Entry, pattern: str) -> bool:
    names = _names(entry)
    return pattern in names or any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _number(entries: list[Entry]) -> None:
    """Number the attempts of each task and agent configuration by start time."""
    groups: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        groups[entry.task, entry.configuration].append(entry)
    for group in groups.values():
        group.sort(key=lambda row: (_start(row), row.trial, row.label))
        for number, entry in enumerate(group, 1):
            entry.attempt = number


def _start(entry: Entry) -> tuple[int, float]:
    time = parse_time(entry.started)
    # Naive times sort among themselves as if they were UTC: only their order matters.
    stamp = time if time is None or time.tzinfo else time.replace(tzinfo=UTC)
    return (0, stamp.timestamp()) if stamp else (1, 0.0)


def _order(entry: Entry) -> tuple[str, str, str, int, str]:
    org, _, name = entry.task.rpartition("/")
    return name, org, entry.job.name if entry.job else "", entry.attempt, entry.label


def _problem_order(problem: Problem) -> tuple[str, str, str]:
    return problem.path, problem.code, problem.message


def _input(folder: JobFolder, job: Job | None, entries: list[Entry], kept: set[int]) -> Input:
    reader = READERS[folder.reader]
    first = None
    if entries:
        first = reader.open_trial(entries[0].path, job, entries[0].label)
    selected = sum(id(entry) in kept for entry in entries)
    row: Input = reader.to_input(job, first, found=len(entries), selected=selected)
    return row


def _raise_nothing(
    paths: Sequence[str | Path], jobs: list[tuple[JobFolder, Job | None, list[Entry]]]
) -> None:
    planned = sum(job.planned or 0 for _, job, _ in jobs if job)
    where = ", ".join(str(path) for path in paths)
    if jobs:
        hint = f"{len(jobs)} job(s) were found that planned {planned} trial(s) and started none."
    else:
        hint = "Name a trial, a job, or any folder above them; see `evaltrace aggregate --help`."
    raise NothingFound("no trial found", where=where, hint=hint)


def _raise_unknown(name: str, entries: list[Entry]) -> None:
    known = sorted({entry.task.rpartition("/")[2] for entry in entries})
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:5]
    raise UnknownTask("no trial of this task", where=name, hint=f"Did you mean: {', '.join(near)}?")


def _raise_strict(problem: Problem) -> None:
    raise StrictFailure(
        f"{problem.code}: {problem.message}",
        where=problem.path,
        hint=problem.hint or "Leave out --strict to go on in spite of problems.",
    )
