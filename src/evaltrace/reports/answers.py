"""Rows of any columns as text: a table for a terminal, CSV, JSON, JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from evaltrace.reports.columns import Widened, columns, line_of, shorten_middle
from evaltrace.untrusted import clean, printable, printable_json

Rows = Iterable[Sequence[Any]]

_NULL = "NULL"
_NARROWEST = 8
"""Columns that a text is cut to; where even these do not fit, each row is a block of lines."""
_LONGEST = 10_000
_FORMULA = re.compile("[=+\\-@\t\r\n＝＋－＠]")
"""What a cell begins with that spreadsheets take for a formula."""
_NEEDS_QUOTES = re.compile('[",\r\n]|^\\s|\\s$')


def render_grid(names: Sequence[str], rows: Rows, width: int = 80) -> str:
    """Give a table of at most `width` columns; long texts are cut in their middle."""
    from tabulate import tabulate

    values = [list(row) for row in rows]
    cells = [[_cell(value) for value in row] for row in values]
    heads = [line_of(name) for name in names]
    room = _fitting(heads, cells, width)
    if room is None:
        return _blocks(heads, cells, width)
    # Tabulate counts characters, or columns where another package happens to be installed.
    widened = Widened()
    shown = [
        [widened.hide(shorten_middle(cell, size)) for cell, size in zip(row, room, strict=True)]
        for row in (heads, ["-" * size for size in room], *cells)
    ]
    right = [_is_numeric(column) for column in zip(*values, strict=True)]
    align = ["right" if numeric else "left" for numeric in right or [False] * len(heads)]
    text = tabulate(shown, tablefmt="plain", disable_numparse=True, colalign=align)
    return "\n".join(line.rstrip() for line in widened.show(text).split("\n")) + "\n"


def render_csv(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """Give the lines of a CSV file: NULL is an empty cell, an empty text is "" in quotes.

    A text that a spreadsheet would take for a formula gets a ' before it.
    """
    yield ",".join(map(_csv_cell, names)) + "\r\n"
    for row in rows:
        yield ",".join(map(_csv_cell, row)) + "\r\n"


def render_json_lines(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """Give each row as a line with a JSON object."""
    for row in rows:
        yield _json(dict(zip(names, row, strict=True))) + "\n"


def render_json_array(names: Sequence[str], rows: Rows) -> Iterator[str]:
    """Give a JSON array of objects, one a line."""
    before = "["
    for line in render_json_lines(names, rows):
        yield f"{before}\n{line[:-1]}"
        before = ","
    yield "[]\n" if before == "[" else "\n]\n"


def _is_numeric(values: Iterable[Any]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(
        isinstance(value, int | float | Decimal) and not isinstance(value, bool) for value in known
    )


def _cell(value: Any) -> str:
    if value is None:
        return _NULL
    if isinstance(value, float):
        return f"{value:.10g}"
    return line_of(_text(value)[:_LONGEST])


def _fitting(heads: list[str], cells: list[list[str]], width: int) -> list[int] | None:
    """Give the width of each column; the widest give way first. None if they cannot."""
    room = [max(map(columns, column)) for column in zip(heads, *cells, strict=True)]
    left = width - 2 * (len(room) - 1)
    if sum(min(size, _NARROWEST) for size in room) > left:
        return None
    for limit in range(max(room, default=0), 0, -1):
        if sum(min(size, limit) for size in room) <= left or limit == _NARROWEST:
            return [min(size, limit) for size in room]
    return room


def _blocks(heads: list[str], cells: list[list[str]], width: int) -> str:
    """Give each row as a block of lines, one for each column."""
    names = [shorten_middle(head, width // 2) for head in heads]
    margin = max(map(columns, names))
    blocks = []
    for row in cells:
        lines = [
            f"{name}{' ' * (margin - columns(name))}  {shorten_middle(cell, width - margin - 2)}"
            for name, cell in zip(names, row, strict=True)
        ]
        blocks.append("".join(f"{line.rstrip()}\n" for line in lines))
    return "\n".join(blocks) or "no rows\n"


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        text = printable(_text(value))
        text = f"'{text}" if _FORMULA.match(text) else text
        return '"' + text.replace('"', '""') + '"' if not text or _quotes(text) else text
    return _text(value)


def _quotes(text: str) -> bool:
    return text.startswith("'") or _NEEDS_QUOTES.search(text) is not None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict | tuple):
        return _json(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _json(value: Any) -> str:
    return printable_json(json.dumps(_plain(value), ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    """Make a JSON value of what a database gives; what is not finite is null."""
    if isinstance(value, dict):
        return {clean(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and value - value != 0:
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    return clean(_text(value))
