"""A table laid out within a width: names are cut in the middle, other cells take more lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest

from evaltrace.reports.columns import Widened, columns, fill, shorten_middle
from evaltrace.reports.sections import Table

_GAP = 2
_NAME = 16
"""Columns that a name needs at least to be told from another."""

_WORD = 20
"""Columns that the longest word of a cell may ask for; a longer one is broken."""

_UNIT = re.compile(r"\([^()]{1,24}\)\S*|\S+")
"""What stays on one line: an interval in brackets, or a word."""


def lay_out_table(table: Table, width: int, rule: bool = True) -> list[str]:
    """Give the lines of a table; one too wide for any layout becomes a list of its rows."""
    rows = [list(map(str, row)) for row in (table.columns, *table.rows)]
    room = _room(rows, table, width)
    if room is None:
        return _as_list(rows, width)
    head, *body = [_lines_of_row(row, room, table) for row in rows]
    lines = [*head, *(line for row in body for line in row)]
    used = [max(columns(line[index]) for line in lines) for index in range(len(room))]
    below = [["-" * width for width in used]] if rule else []
    return _tabulated([*head, *below, *lines[len(head) :]], table)


def _room(rows: list[list[str]], table: Table, width: int) -> list[int] | None:
    """Share the width out among the columns; None if they do not fit."""
    indices = range(len(rows[0]))
    room = [max(columns(row[index]) for row in rows) for index in indices]
    least = [
        min(room[index], _NAME)
        if index in table.named
        else min(room[index], max(_longest_unit(row[index]) for row in rows))
        for index in indices
    ]
    over = sum(room) + _GAP * (len(room) - 1) - width
    while over > 0:
        index = max(indices, key=lambda i: _gives_way(room[i], least[i], i in table.named))
        if room[index] <= least[index]:
            return None
        room[index] -= 1
        over -= 1
    return room


def _gives_way(room: int, least: int, named: bool) -> tuple[bool, bool, int]:
    """Rank a column: one that can be wrapped before a name that would be cut."""
    return room > least, not named or room > 2 * _NAME, room


def _longest_unit(cell: str) -> int:
    return min(_WORD, max((columns(unit) for unit in _UNIT.findall(cell)), default=0))


def _lines_of_row(row: Sequence[str], room: Sequence[int], table: Table) -> list[list[str]]:
    wrapped = [
        [shorten_middle(cell, width)]
        if index in table.named
        else fill(_UNIT.findall(cell), width, " ") or [""]
        for index, (cell, width) in enumerate(zip(row, room, strict=True))
    ]
    return [list(line) for line in zip_longest(*wrapped, fillvalue="")]


def _tabulated(lines: list[list[str]], table: Table) -> list[str]:
    from tabulate import tabulate

    # Tabulate counts characters, or columns where another package happens to be installed.
    widened = Widened()
    hidden = [[widened.hide(cell) for cell in line] for line in lines]
    align = ["left" if index in table.left else "right" for index in range(len(lines[0]))]
    text = tabulate(hidden, tablefmt="plain", disable_numparse=True, colalign=align)
    return [line.rstrip() for line in widened.show(text).split("\n")]


def _as_list(rows: list[list[str]], width: int) -> list[str]:
    lines: list[str] = []
    for row in rows[1:]:
        items = [f"{name} {cell}" for name, cell in zip(rows[0], row, strict=True) if cell]
        lines += fill(items, width, ", ")
    return lines
