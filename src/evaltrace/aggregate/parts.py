"""A shard of trials becomes a part: one file with their traces, and a row for each trial.

A part is committed once, under its shard's name: where the file is, the part is whole,
whoever wrote it and whatever died meanwhile. It has a trace a line, each followed by the
SEPARATOR, then the rows as a line of JSON, then the place where the rows begin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import SEEK_END
from typing import BinaryIO

import msgspec

from evaltrace.aggregate.reading import Record, read_record
from evaltrace.aggregate.spooled import Parcels, at_hand
from evaltrace.errors import OutputFailure
from evaltrace.files import SEPARATOR, Folder, committed
from evaltrace.plan import Entry, Options
from evaltrace.summary import TrialRow, to_facts


@dataclass(frozen=True, slots=True)
class Shard:
    """Trials that follow each other in the plan; the name tells plan and place.

    `parcels` hold what is to be fetched of those that are remote.
    """

    name: str
    entries: tuple[Entry, ...]
    parcels: Parcels = ()


@dataclass(frozen=True, slots=True)
class Done:
    """A shard whose part is committed."""

    name: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A shard whose worker died; `reason` in words."""

    name: str
    reason: str


Outcome = Done | Lost

_ROWS = msgspec.json.Decoder(list[TrialRow])
_DIGITS = 20


def write_part(shard: Shard, options: Options, folder: Folder) -> Done:
    """Read a shard's trials and commit them, unless that was done already.

    Raises OutputFailure.
    """
    try:
        folder.open(part_name(shard.name)).close()
    except FileNotFoundError:
        with committed(folder, part_name(shard.name)) as file:
            _write_shard(shard, options, file)
    return Done(shard.name)


def _write_shard(shard: Shard, options: Options, file: BinaryIO) -> None:
    rows: list[TrialRow] = []
    for entry, faults in at_hand(shard.entries, shard.parcels):
        record = read_record(entry, options, faults)
        if record.line is not None:
            file.write(record.line)
            file.write(SEPARATOR)
        rows.append(to_row(record))
    _write_rows(rows, file)


def write_problem(shard: Shard, row: TrialRow, folder: Folder) -> None:
    """Commit a shard of one trial that nobody could read. Raises OutputFailure."""
    with committed(folder, part_name(shard.name)) as file:
        _write_rows([row], file)


def _write_rows(rows: Sequence[TrialRow], file: BinaryIO) -> None:
    file.write(msgspec.json.encode(rows))
    file.write(b"\n%0*d\n" % (_DIGITS, _traces_end(rows)))


def to_row(record: Record) -> TrialRow:
    """Tell what became of a trial without its trace."""
    return TrialRow(
        label=record.entry.label,
        length=None if record.line is None else len(record.line),
        facts=None if record.trace is None else to_facts(record.trace),
        problems=record.problems,
        looked_at=record.looked_at,
    )


def read_rows(file: BinaryIO, where: str) -> list[TrialRow]:
    """Read the rows of a part; its traces stand before them, in the same order.

    Raises OutputFailure.
    """
    try:
        end = file.seek(-_DIGITS - 2, SEEK_END)
        start = int(file.read())
        file.seek(start)
        rows = _ROWS.decode(file.read(end - start))
        if _traces_end(rows) != start:
            raise ValueError("the lengths of its traces are not where its rows begin")
    except (OSError, ValueError) as error:
        hint = "Remove it and run again: only its own trials are read again."
        raise OutputFailure("the part is damaged", where=where, hint=hint) from error
    return rows


def _traces_end(rows: Sequence[TrialRow]) -> int:
    return sum(row.length + len(SEPARATOR) for row in rows if row.length is not None)


def part_name(shard: str) -> str:
    """Name the file of a part."""
    return f"{shard}.part"


def halved_name(shard: str) -> str:
    """Name the mark of a shard that was cut in halves, as its workers died."""
    return f"{shard}.halved"
