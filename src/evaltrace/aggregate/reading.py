"""One planned trial in, one validated trace out: the function that every engine runs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

import msgspec

from evaltrace.aggregate.spooled import at_hand, to_parcels
from evaltrace.errors import Problem, StrictFailure
from evaltrace.plan import Entry, Options, Plan, redactor_of
from evaltrace.pricing import price_trace
from evaltrace.readers import READERS
from evaltrace.redact import (
    Redactor,
    SecretsLeft,
    fair_share,
    known_values,
    marked,
    redact_encoded,
    redact_records,
)
from evaltrace.schema import fits, violations
from evaltrace.source import Stamp
from evaltrace.trace import Trace
from evaltrace.untrusted import excerpt

_SMALL = 1 << 13
"""Bytes of settings that are remembered with the secrets in them."""
_SHOWN = 500
"""Characters of an error's text in a problem."""


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
    """Read one trial, price, validate, encode and redact its trace; what fails becomes a problem.

    `faults` are what was wrong before it was read. Raises SecretsLeft.
    """
    redactor = redactor_of(options)
    try:
        trace, files = _read(entry, options, faults)
        if redactor is not None:
            redactor = _knowing(redactor, _secrets_known(trace, entry, files))
        record = _to_record(entry, redactor, marked(trace, redactor))
    except SecretsLeft:  # nothing may be written
        raise
    except MemoryError:
        return _failed(entry, redactor, [_too_large(entry)])
    except Exception as error:  # the boundary of one trial: it must not cost the others
        return _failed(entry, redactor, [_defect(entry, error)])
    if options.stamped and record.line is not None:
        record.looked_at = files.stamps()
    return record


def _to_record(entry: Entry, redactor: Redactor | None, trace: Trace) -> Record:
    document, line = _encoded(trace)
    fitting = fits(document)
    if fitting and redactor is not None:
        trace, redacted = redact_encoded(redactor, trace, line)
        if redacted is not line:
            document, line = msgspec.json.decode(redacted), redacted
            fitting = fits(document)
    if not fitting:
        return _failed(entry, redactor, [*trace.problems, _invalid(entry, document)])
    return Record(entry, trace, line, list(trace.problems))


def _read(entry: Entry, options: Options, faults: Sequence[Problem]) -> tuple[Trace, Any]:
    """Read a trial and price it; give also its files, which know what was looked at."""
    reader = READERS[entry.reader]
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
    return trace, files


def _secrets_known(trace: Trace, entry: Entry, files: Any) -> tuple[str, ...]:
    """List the secrets in the trial's own settings; what cannot be read becomes its problem."""
    settings, problems = READERS[entry.reader].read_settings(files)
    label = entry.label
    known, left = fair_share((_secrets_in(*file) for file in settings), label)
    trace.problems += [*problems, *left]
    # What is part of a name is no secret: problems are to say which trial they are of.
    return tuple(value for value in known if value not in label)


def _secrets_in(name: str, content: bytes) -> tuple[str, ...]:
    return (_secrets_seen if len(content) <= _SMALL else _secrets_of)(name, content)


def _secrets_of(name: str, content: bytes) -> tuple[str, ...]:
    return known_values([(name, content)])


# Most trials of a job have the same settings; of other trials they are not worth the memory.
_secrets_seen = lru_cache(maxsize=64)(_secrets_of)


@lru_cache(maxsize=16)
def _knowing(redactor: Redactor, values: tuple[str, ...]) -> Redactor:
    return redactor.knowing(values)


def _encoded(trace: Trace) -> tuple[object, bytes]:
    document = msgspec.to_builtins(trace)
    try:
        return document, msgspec.json.encode(document)
    except UnicodeEncodeError:
        # A lone surrogate that a reader let through: encode, replacing it, and read again.
        line = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
        return msgspec.json.decode(line), line


def _failed(entry: Entry, redactor: Redactor | None, problems: list[Problem]) -> Record:
    told = problems if redactor is None else redact_records(redactor, problems)
    return Record(entry, None, None, told)


def _too_large(entry: Entry) -> Problem:
    return Problem(
        code="out_of_memory",
        path=entry.label,
        message="reading it needs more memory than there is",
        hint="Read it alone (--task NAME --workers 1), or where there is more memory.",
    )


def _defect(entry: Entry, error: Exception) -> Problem:
    return Problem(
        code="reader_failed",
        path=entry.label,
        message=excerpt(f"{type(error).__name__}: {error}", _SHOWN),
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
