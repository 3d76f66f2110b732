"""Traces into rows of the tables, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from evaltrace.tables.columns import TABLES, Column, Type
from evaltrace.trace import Trace

_LARGEST = 1 << 63
_ROW_SIZE = 300
"""Bytes, about, of a row without its long texts."""


class Rows(NamedTuple):
    """The rows of one trace in one table, as its columns; `size` is about what they take."""

    table: str
    number: int
    columns: list[Sequence[Any]]
    size: int


def rows_of(trace: Trace, text: bytes, tables: Iterable[str] = tuple(TABLES)) -> Iterator[Rows]:
    """Give the rows of a trace, for each of the tables that it has rows in.

    `text` is the trace as JSON, which the column `trace` keeps.
    """
    for name in tables:
        table = TABLES[name]
        items = table.items(trace)
        if not items:
            continue
        size = _ROW_SIZE * len(items)
        columns = []
        for column in table.columns:
            values = _values(column, trace, items, text)
            columns.append(values)
            if column.long:
                size += sum(map(len, filter(None, values)))
        yield Rows(name, len(items), columns, size)


def _values(column: Column, trace: Trace, items: Sequence[Any], text: bytes) -> Sequence[Any]:
    if column.read is not None:
        return list(map(column.read, items))
    if column.spread is not None:
        return list(column.spread(trace, len(items)))
    return [text]


def fitted(kind: Type, values: Sequence[Any]) -> Sequence[Any]:
    """Replace by None what a column cannot hold: numbers beyond 64 bits, or not finite."""
    if kind == "integer":
        return [v if v is None or -_LARGEST <= v < _LARGEST else None for v in values]
    if kind == "number":
        return [_finite(v) for v in values]
    return values


def _finite(value: float | None) -> float | None:
    try:
        number = None if value is None else float(value)
    except OverflowError:
        return None
    return None if number is None or number - number != 0 else number
