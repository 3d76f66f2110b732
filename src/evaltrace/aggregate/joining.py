"""Planned trials, read by an engine, in the order of the plan as their parts come."""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, cast

from evaltrace.aggregate.parts import Shard, part_name, read_rows
from evaltrace.aggregate.sharding import Map, ShardRun, to_shards
from evaltrace.errors import OutputFailure
from evaltrace.files import SEPARATOR, Folder, Span
from evaltrace.plan import Entry, Options
from evaltrace.summary import TrialRow

if TYPE_CHECKING:
    from pathlib import Path

    from evaltrace.remote import Spool

Content = bytes | Span | None
"""The trace of a trial as one line of JSON: itself, or where it stands; None without one."""

Rows = Generator[tuple[TrialRow, Content]]
Watch = Callable[[int], object]
"""Is told the number of trials each time some have been read."""


@dataclass(frozen=True, slots=True)
class Sharded:
    """How trials are read side by side: by an engine, through a folder of parts.

    `shards` is about how many there are to be, if nobody else cuts the same plan.
    """

    map: Map
    folder: Folder
    shards: int = 0
    spools: Sequence[Spool] = ()


def read_parts(
    entries: Sequence[Entry], options: Options, sharded: Sharded, watch: Watch | None = None
) -> Rows:
    """Have trials read by an engine; give what became of each, in order, with its trace.

    Parts that are there are taken as they are. Raises OutputFailure, and what the engine
    raises; OutputFailure too where the parts are not the plan, each trial once.
    """
    waiting = deque(to_shards(entries, options, sharded.shards))
    run = ShardRun(options, sharded.folder, sharded.map, sharded.spools)
    for written in run.write_parts(list(waiting)):
        if watch is not None:
            watch(len(written.entries))
        while waiting and (parts := run.parts_of(waiting[0])) is not None:
            for part in parts:
                yield from _read_part(part, sharded.folder)
            waiting.popleft()
    if waiting:
        raise _not_the_plan(waiting[0].name)


def write_share(
    entries: Sequence[Entry],
    options: Options,
    sharded: Sharded,
    share: tuple[int, int],
    watch: Watch | None = None,
) -> int:
    """Write the parts of one share, (number from 1, of how many), and give its trials.

    Raises as read_parts does.
    """
    number, shares = share
    run = ShardRun(options, sharded.folder, sharded.map, sharded.spools)
    trials = 0
    for written in run.write_parts(to_shards(entries, options)[number - 1 :: shares]):
        trials += len(written.entries)
        if watch is not None:
            watch(len(written.entries))
    return trials


def _read_part(part: Shard, folder: Folder) -> Rows:
    name = part_name(part.name)
    path = folder.local(name)
    with _opened(path) if path else _fetched(folder, name) as file:
        rows = read_rows(file, f"{folder.place}/{name}")
        if [row.label for row in rows] != [entry.label for entry in part.entries]:
            raise _not_the_plan(f"{folder.place}/{name}")
        offset = file.seek(0)
        for row in rows:
            if row.length is None:
                yield row, None
                continue
            length = row.length + len(SEPARATOR)
            # A file that is gone after this cannot be named to those who come later.
            yield row, Span(str(path), offset, length) if path else file.read(length)[: row.length]
            offset += length


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:  # told here: around this, it would be one of the output
        reason = error.strerror or str(error)
        hint = "Remove it and run again: only its own trials are read again."
        raise OutputFailure(
            f"cannot read the part ({reason})", where=str(path), hint=hint
        ) from error
    with file:
        yield file


@contextmanager
def _fetched(folder: Folder, name: str) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile(prefix="evaltrace-") as copy:
        with folder.open(name) as source:
            shutil.copyfileobj(source, copy, 1 << 20)
        yield cast(BinaryIO, copy)


def _not_the_plan(where: str) -> OutputFailure:
    hint = "Remove the parts and run again; nothing was lost in the job directories."
    return OutputFailure("the parts are not those of the plan", where=where, hint=hint)
