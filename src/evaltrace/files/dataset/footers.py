"""What the end of a Parquet file says of it, looked at before a library believes it."""

from __future__ import annotations

import os
from pathlib import Path

from evaltrace.errors import NotATraceFile

LONGEST = 1 << 24
"""Bytes of a footer. It is read as a whole, and grows to some 35 times as much in memory."""

MOST_COLUMNS = 5000
"""DuckDB takes 4 seconds for 20,000, and four times as long for twice as many."""

_MARK = b"PAR1"
_END, _HEAD = 8, 16
_INTEGER, _LIST, _LONG = 0x15, 0x19, 15
"""Of Thrift: the next field is an integer, a list; the length of a list stands behind."""


def require_footer(path: Path) -> None:
    """Raise NotATraceFile for what does not end as Parquet does, or has a footer out of bounds.

    Raises OSError.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _END, 0))
        end = file.read(_END)
        length = int.from_bytes(end[:4], "little")
        file.seek(max(size - _END - length, 0))
        head = file.read(_HEAD)
    if len(end) < _END or not end.endswith(_MARK):
        raise no_traces(path, "it does not end as Parquet does")
    if length > LONGEST:
        raise no_traces(path, f"its footer claims {length:,} bytes, more than {LONGEST:,}")
    if not 0 < length <= size - _END:
        raise no_traces(path, f"its footer claims {length:,} bytes of {size:,}")
    columns = columns_in(head)
    if columns is not None and columns > MOST_COLUMNS:
        raise no_traces(path, f"it claims {columns:,} columns, more than {MOST_COLUMNS:,}")


def columns_in(head: bytes) -> int | None:
    """Read the number of columns, and groups of these, off the first bytes of a footer.

    In Thrift's compact protocol these are a version, and the list of columns with its length.
    """
    try:
        if head[0] != _INTEGER:
            return None
        _, place = _varint(head, 1)
        if head[place] != _LIST:
            return None
        short = head[place + 1] >> 4
        return short if short < _LONG else _varint(head, place + 2)[0]
    except IndexError:
        return None


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place


def no_traces(path: Path, reason: str) -> NotATraceFile:
    """Say why a Parquet file has no traces for us."""
    hint = "Name the folder of a data set, or a file of its table trials."
    return NotATraceFile("Not a file of traces", where=f"{path}: {reason}", hint=hint)
