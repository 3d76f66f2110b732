"""One planned trial in, one validated trace out: the function that every engine runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from evaltrace.aggregate.spooled import at_hand, to_parcels
from evaltrace.errors import Problem, StrictFailure
from evaltrace.plan import Entry, Options, Plan
from evaltrace.pricing import price_trace
from evaltrace.readers import READERS
from evaltrace.schema import fits, violations
from evaltrace.source import Stamp
from evaltrace.trace import Trace


@dataclass(slots=True)
class Record:
    """A trial after it was read: its trace, also as one line of JSON, or only problems.

    `looked_at` is what the trace depended on, where the options ask for that.
    """

    entry: Entry
    trace: Trace | None
    line: bytes | None
    problems: list[Problem]
    looked_at: dict[str, Stamp] | None = None


def read_records(plan: Plan) -> Iterator[Record]:
    """Read the planned trials one after the other, in order.

    Raises StrictFailure at the first problem if the plan's options say so.
    """
    strict = plan.options.strict
    if strict and plan.problems:
        raise_strict(plan.problems[0])
    with closing(at_hand(plan.entries, to_parcels(plan.entries, plan.spools))) as entries:
        for entry, faults in entries:
            record = read_record(entry, plan.options, faults)
            if strict and record.problems:
                raise_strict(record.problems[0])
            yield record


def read_record(entry: Entry, options: Options, faults: Sequence[Problem] = ()) -> Record:
    """Read one trial, price, validate and encode its trace; whatever fails becomes a problem.

    `faults` are what was wrong before it was read.
    """
    reader = READERS[entry.reader]
    try:
        files = reader.open_trial(entry.place, entry.job, entry.label)
        trace = reader.read_trace(
            files,
            keep_events=options.events,
            threshold=options.pass_threshold,
            arm=options.arm,
            attempt=entry.attempt,
            tool_patterns=options.tool_patterns,
            task_dirs=options.task_dirs,
        )
        trace.problems += faults
        price_trace(trace, options.prices, entry.label)
        document, line = _encoded(trace)
    except Exception as error:  # the boundary of one trial: it must not cost the others
        return _failed(entry, _defect(entry, error))
    if fits(document):
        looked_at = files.stamps() if options.stamped else None
        return Record(entry, trace, line, list(trace.problems), looked_at)
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


def raise_strict(problem: Problem) -> NoReturn:
    """End a strict run at its first problem."""
    raise StrictFailure(
        f"{problem.code}: {problem.message}",
        where=problem.path,
        hint=problem.hint or "Leave out --strict to go on in spite of problems.",
    )
