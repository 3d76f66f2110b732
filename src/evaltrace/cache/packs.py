"""Packs: files of traces, each followed by a separator, so that neighbours are copied in one go.

Traces that are no longer needed stay in them, until they are more than what is: then what is
needed goes into a new pack.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import BinaryIO

from evaltrace.cache.index import INDEX, Header, IndexWriter, Pack, Row
from evaltrace.cache.locks import LOCK
from evaltrace.files import SEPARATOR, Span, copy_span
from evaltrace.source import stamp_of

_PREFIX = "traces-"
_BUFFER = 1 << 20
_MOST_PACKS = 64
_DEAD_BYTES = 1 << 20
"""Bytes of traces that are no longer needed which are not worth the copying of the others."""


class PackWriter:
    """A pack that is being made."""

    def __init__(self, folder: Path, taken: Iterable[int]) -> None:
        for self.number in count(max(taken, default=0) + 1):
            path = folder / f"{_PREFIX}{self.number}"
            try:
                self._file: BinaryIO = path.open("xb", buffering=_BUFFER)
            except FileExistsError:  # another run makes one, or was killed
                continue
            break
        self._path = path
        self.length = 0

    def add(self, trace: bytes | Span) -> int:
        """Add a trace (a Span is of one and its separator) and tell where. Raises OSError."""
        offset = self.length
        if isinstance(trace, Span):
            copy_span(trace, self._file)
            self.length += trace.length
        else:
            self._file.write(trace)
            self._file.write(SEPARATOR)
            self.length += len(trace) + len(SEPARATOR)
        return offset

    def finish(self) -> Pack:
        """Close the pack and stamp it. Raises OSError."""
        self._file.close()
        return Pack(self._path.name, stamp_of(self._path))

    def abandon(self) -> None:
        """Remove the pack."""
        try:
            self._file.close()
        finally:
            self._path.unlink(missing_ok=True)


def damaged_packs(folder: Path, header: Header) -> set[int]:
    """Number the packs that are missing, or were changed since they were finished."""
    return {
        number
        for number, pack in header.packs.items()
        if stamp_of(folder / pack.name) != pack.stamp
    }


def live_packs(header: Header, rows: Iterable[Row]) -> dict[int, Pack]:
    """Give the packs that rows need."""
    needed = {row.pack for row in rows}
    return {number: pack for number, pack in header.packs.items() if number in needed}


def wants_tidying(folder: Path, header: Header, rows: Sequence[Row]) -> bool:
    """Tell whether there are files that nobody needs, or much of what is in them."""
    return bool(_unneeded(folder, header)) or _is_wasteful(header, rows)


def _unneeded(folder: Path, header: Header) -> list[Path]:
    needed = {INDEX, LOCK, *(pack.name for pack in header.packs.values())}
    return [path for path in folder.iterdir() if path.name not in needed]


def _is_wasteful(header: Header, rows: Sequence[Row]) -> bool:
    live = sum(row.length + len(SEPARATOR) for row in rows)
    whole = sum(pack.stamp.size for pack in header.packs.values())
    return len(header.packs) > _MOST_PACKS or whole - live > max(live, _DEAD_BYTES)


def tidy(folder: Path, header: Header, rows: Sequence[Row]) -> None:
    """Put what is needed into one pack if much is not, and remove what nobody needs.

    Whoever calls is alone in the folder. Raises OSError.
    """
    if _is_wasteful(header, rows) and not damaged_packs(folder, header):
        header = _repacked(folder, header, sorted(rows, key=lambda row: (row.pack, row.offset)))
    for path in _unneeded(folder, header):
        path.unlink()


def _repacked(folder: Path, header: Header, rows: Sequence[Row]) -> Header:
    writer = PackWriter(folder, header.packs)
    index = IndexWriter(folder)
    try:
        for span in _joined(folder, header, rows):
            writer.add(span)
        offset = 0
        for row in rows:
            row.pack, row.offset = writer.number, offset
            offset += row.length + len(SEPARATOR)
        index.add(rows)
        header.packs = {writer.number: writer.finish()}
        index.finish(header)
    except BaseException:
        index.abandon()
        writer.abandon()
        raise
    return header


def _joined(folder: Path, header: Header, rows: Sequence[Row]) -> Iterator[Span]:
    """Give the spans of the rows, those that follow each other as one."""
    held: Span | None = None
    for row in rows:
        path = os.fspath(folder / header.packs[row.pack].name)
        span = Span(path, row.offset, row.length + len(SEPARATOR))
        if held is not None and held.precedes(span):
            held = Span(held.path, held.offset, held.length + span.length)
            continue
        if held is not None:
            yield held
        held = span
    if held is not None:
        yield held
