"""Job directories in, validated traces out, one after the other.

The plan finds, orders and numbers the trials; here each is read whole, checked against
the schema, and written. Only the current trial is in memory.
"""

from __future__ import annotations

import json
import os
import re
from builtins import map as serial_map
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, NoReturn

import msgspec

from evaltrace.errors import NothingFound, OutputFailure, Problem, StrictFailure
from evaltrace.files import whole_file, write_jsonl, write_traces
from evaltrace.plan import Entry, Options, Plan, plan_aggregation
from evaltrace.pricing import price_trace
from evaltrace.readers import READERS
from evaltrace.readers.walk import job_around
from evaltrace.schema import fits, violations
from evaltrace.summary import Summary, Tally
from evaltrace.trace import Tool, Trace
from evaltrace.version import __version__


@dataclass(slots=True)
class Record:
    """A trial after it was read: its trace, also as one line of JSON, or only problems."""

    entry: Entry
    trace: Trace | None
    line: bytes | None
    problems: list[Problem]


Form = Literal["json", "jsonl"]
Map = Callable[[Callable[[Entry], Record], Iterable[Entry]], Iterable[Record]]


def aggregate_jobs(
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    options: Options | None = None,
    form: Form = "json",
    map: Map = serial_map,
) -> Summary:
    """Aggregate the trials below the paths into a file, and sum them up.

    Raises the errors of plan_aggregation and write_aggregation, and OutputFailure.
    """
    plan = plan_aggregation(paths, options)
    check_output(plan, output)
    with whole_file(Path(output)) as file:
        return write_aggregation(plan, file, form=form, map=map, name=str(output))


def write_aggregation(
    plan: Plan,
    out: BinaryIO,
    *,
    form: Form = "json",
    map: Map = serial_map,
    name: str | None = None,
    watch: Callable[[Record], None] | None = None,
) -> Summary:
    """Read the planned trials and write their traces; `watch` sees each record pass.

    Raises StrictFailure if the plan's options say so, NothingFound if no trial could be read.
    """
    tally = Tally()
    problems = list(plan.problems)
    for problem in problems:
        tally.add_problem(problem)

    def lines() -> Iterator[bytes]:
        for record in read_records(plan, map):
            problems.extend(record.problems)
            _count(tally, record)
            if watch is not None:
                watch(record)
            if record.line is not None:
                yield record.line

    if form == "jsonl":
        written = write_jsonl(out, lines())
    else:
        written = write_traces(
            out, tool=tool(), inputs=plan.inputs, traces=lines(), problems=problems
        )
    if not written and problems:
        _raise_unreadable(problems[-1])
    return tally.summary(plan.inputs, name)


def _count(tally: Tally, record: Record) -> None:
    if record.trace is not None:
        tally.add(record.trace)
        return
    for problem in record.problems:
        tally.add_problem(problem)


def read_records(plan: Plan, map: Map = serial_map) -> Iterator[Record]:
    """Read the planned trials in order; `map` is the engine (serial, processes, a cluster).

    Raises StrictFailure at the first problem if the plan's options say so.
    """
    strict = plan.options.strict
    if strict and plan.problems:
        _raise_strict(plan.problems[0])
    for record in map(partial(read_record, options=plan.options), plan.entries):
        if strict and record.problems:
            _raise_strict(record.problems[0])
        yield record


def read_record(entry: Entry, options: Options) -> Record:
    """Read one trial, price, validate and encode its trace; whatever fails becomes a problem."""
    reader = READERS[entry.reader]
    try:
        files = reader.open_trial(entry.path, entry.job, entry.label)
        trace = reader.read_trace(
            files,
            keep_events=options.events,
            threshold=options.pass_threshold,
            arm=options.arm,
            attempt=entry.attempt,
            tool_patterns=options.tool_patterns,
            task_dirs=options.task_dirs,
        )
        price_trace(trace, options.prices, entry.label)
        document, line = _encoded(trace)
    except Exception as error:  # the boundary of one trial: it must not cost the others
        return _failed(entry, _defect(entry, error))
    if fits(document):
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


def _defect(entry: Entry, error: Exception) -> Problem:
    return Problem(
        code="reader_failed",
        path=entry.label,
        message=f"{type(error).__name__}: {error}"[:500],
        hint="This is a defect of evaltrace; please report it with the trial's files.",
    )


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


def output_name(plan: Plan, paths: Sequence[str | Path]) -> str:
    """Name the default output after the arm, else the job, else the paths that were named."""
    names = [row.job_name for row in plan.inputs if row.selected and row.job_name]
    if len(names) != 1:
        names = [Path(os.path.realpath(path)).name for path in paths]
    name = plan.options.arm or "+".join(names[:3])
    return re.sub(r"[^\w.+@=-]+", "-", name).strip("-.")[:100] or "traces"


def check_output(plan: Plan, output: str | Path) -> None:
    """Refuse an output inside a job or trial: harnesses clear what they find there.

    Raises OutputFailure.
    """
    place = Path(os.path.realpath(output))
    inside = next((folder for folder in plan.folders if folder in place.parents), None)
    inside = inside or job_around(place)
    if inside is not None:
        raise OutputFailure(
            f"the output would lie inside the job {inside.name}",
            where=str(output),
            hint="Nothing is written into job directories; name another place with -o.",
        )


def _raise_strict(problem: Problem) -> NoReturn:
    raise StrictFailure(
        f"{problem.code}: {problem.message}",
        where=problem.path,
        hint=problem.hint or "Leave out --strict to go on in spite of problems.",
    )


def _raise_unreadable(problem: Problem) -> NoReturn:
    raise NothingFound(
        f"no trial could be read ({problem.code}: {problem.message})",
        where=problem.path,
        hint=problem.hint,
    )
