"""The trials of a plan: one as an Entry, all of them packed, as there may be many."""

from __future__ import annotations

import marshal
import zlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from operator import eq
from pathlib import Path
from typing import Any, cast, overload

from evaltrace.source import spelled


@dataclass(slots=True)
class Entry:
    """A trial before it is read: where it lies and what orders it.

    `kept` is the attempt that the cache has it as, if it has not changed: then it is not read.
    """

    reader: str
    folder: Path
    job: Any
    name: str
    task: str
    trial: str
    trace_id: str
    configuration: str
    started: str | None
    finished: bool
    attempt: int = 0
    kept: int | None = None

    @property
    def path(self) -> Path:
        """Where the trial lies."""
        return self.folder / self.name

    @property
    def place(self) -> str:
        """Where the trial lies, as text: a Path interns its names, of many trials too many."""
        return f"{self.folder}/{self.name}"

    @property
    def label(self) -> str:
        """How problems name the trial."""
        return to_label(self.name, self.job)


def to_label(name: str, job: Any) -> str:
    """Spell how problems name the trial in a folder of that name, of a job or of none."""
    return spelled(f"{job.name}/{name}" if job else name)


_BLOCK = 64
"""Entries that are kept together: enough to be small, few enough to be unpacked for one."""


@dataclass(slots=True)
class _Rows:
    """Entries as compressed bytes, a block of them in each; what many have in common once."""

    places: list[tuple[str, Path, Any]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    blocks: list[bytes] = field(default_factory=list)
    kept: bytearray = field(default_factory=bytearray)

    def block(self, index: int) -> list[tuple[Any, ...]]:
        return cast("list[tuple[Any, ...]]", marshal.loads(zlib.decompress(self.blocks[index])))


class Entries(Sequence[Entry]):
    """Entries that take about 40 bytes each: one is made anew whenever it is asked for.

    A slice shares what it is cut from; pickled, it is a tuple of its own entries.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._rows = _packed(entries)
        self._numbers: Sequence[int] = range(len(self._rows.kept))

    @property
    def unread(self) -> Entries:
        """Those that the cache does not have, in order."""
        kept = self._rows.kept
        if not any(kept):
            return self
        return self._chosen(array("Q", (row for row in self._numbers if not kept[row])))

    def _chosen(self, numbers: Sequence[int]) -> Entries:
        chosen = Entries.__new__(Entries)
        chosen._rows, chosen._numbers = self._rows, numbers
        return chosen

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Entries: ...
    def __getitem__(self, index: int | slice) -> Entry | Entries:
        if isinstance(index, slice):
            return self._chosen(self._numbers[index])
        at, place = divmod(self._numbers[index], _BLOCK)
        return _entry(self._rows, self._rows.block(at)[place])

    def __iter__(self) -> Iterator[Entry]:
        opened, block = -1, []
        for number in self._numbers:
            at, place = divmod(number, _BLOCK)
            if at != opened:
                opened, block = at, self._rows.block(at)
            yield _entry(self._rows, block[place])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type, tuple[tuple[Entry, ...]]]:
        return tuple, (tuple(self),)


def _packed(entries: Iterable[Entry]) -> _Rows:
    rows = _Rows()
    places: dict[tuple[str, Path, int], int] = {}
    names: dict[str, int] = {}
    left = iter(entries)
    while block := [_row(entry, rows, places, names) for entry in islice(left, _BLOCK)]:
        # marshal keeps names as they are, also odd ones, and its bytes never leave the process.
        rows.blocks.append(zlib.compress(marshal.dumps(block), 1))
    rows.names = list(names)
    return rows


def _row(
    entry: Entry,
    rows: _Rows,
    places: dict[tuple[str, Path, int], int],
    names: dict[str, int],
) -> tuple[Any, ...]:
    place = places.setdefault((entry.reader, entry.folder, id(entry.job)), len(places))
    if place == len(rows.places):
        rows.places.append((entry.reader, entry.folder, entry.job))
    rows.kept.append(entry.kept is not None)
    return (
        place,
        entry.name,
        names.setdefault(entry.task, len(names)),
        None if entry.trial == entry.name else entry.trial,
        entry.trace_id.removeprefix(entry.name),
        entry.trace_id.startswith(entry.name),
        names.setdefault(entry.configuration, len(names)),
        entry.started,
        entry.finished,
        entry.attempt,
        entry.kept,
    )


def _entry(rows: _Rows, row: tuple[Any, ...]) -> Entry:
    place, name, task, trial, trace_id, named, configuration, *others = row
    reader, folder, job = rows.places[place]
    return Entry(
        reader,
        folder,
        job,
        name,
        rows.names[task],
        name if trial is None else trial,
        name + trace_id if named else trace_id,
        rows.names[configuration],
        *others,
    )
