"""A timeline as text: a line an event, what failed marked, repetition folded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TypeAlias

from evaltrace.quantities import counted, span
from evaltrace.reports.columns import columns, head, line_of, shorten_middle
from evaltrace.reports.terminal.layout import COLOURS
from evaltrace.untrusted import one_line
from evaltrace.viewer.clock import offset_words, took_words
from evaltrace.viewer.events import GOOD, WORDS
from evaltrace.viewer.rows import Row
from evaltrace.viewer.runs import Title

_SAMPLE = 1000
"""Rows that decide how wide the columns are."""

_ALIKE, _PERIODS = 4, (1, 2)
"""Rows alike in a row, or pairs of them, from which only the first and the last are shown."""

_LONGEST_TYPE = 14
_CUT_ID, _LONGEST_ID = 8, 16
"""Columns of an id that is cut, at least and at most: its beginning is enough to ask for it."""

_DEEPEST = 6
"""Levels that are shown by indenting."""

_LEAST = 12
"""Columns below which nothing is cut in its middle."""

_TITLES = ("offset", "took", "id", "type")
RED, DIM = 31, 2


def painted(text: str, code: int, colour: bool) -> str:
    """Colour a text for a terminal."""
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text


def cut(text: str, width: int) -> str:
    """Keep what fits `width` columns, with an ellipsis where something went."""
    if columns(text) <= width:
        return text
    return head(text, max(width - 1, 0)).rstrip() + "…"


def padded(text: str, width: int, right: bool = False) -> str:
    """Fill a text up to `width` columns."""
    space = " " * max(width - columns(text), 0)
    return space + text if right else text + space


def title_lines(title: Title, width: int, colour: bool) -> Iterator[str]:
    """Name the run above a view: how it ended, what it held, and its final error."""
    status = painted(title.status.upper(), COLOURS.get(title.status, 0), colour)
    name = line_of(title.task_id or title.trace_id)
    room = max(width, 40) - columns(title.status) - 2
    yield f"{status}  {cut(name, room)}"
    events = None if title.events is None else counted(title.events, "event")
    errors = None if title.errors is None else counted(title.errors, "error")
    facts = (title.agent, span(title.duration_s, "") or None, events, errors)
    yield cut("  " + " · ".join(line_of(fact) for fact in facts if fact), max(width, 40))
    if title.error:
        line = cut(f"✗ {one_line(title.error, 2 * WORDS)}", max(width, 40))
        yield painted(line, RED, colour)


def room_for_ids(rows: Iterable[Row]) -> int:
    """Choose how many columns ids get: as many as most of them need."""
    ids = sorted(columns(line_of(row.id)) for row in rows if not says_all(row)) or [2]
    most = ids[len(ids) * 4 // 5]
    return min(max(most, 2, min(ids[-1], _CUT_ID)), _LONGEST_ID)


def id_cell(row: Row, room: int) -> str:
    """Write an id into its column, over its edge before too little of it is left."""
    return padded(cut(line_of(row.id), max(room, _CUT_ID)), room)


def says_all(row: Row) -> bool:
    """Tell whether the id of an event says its type and its name, as `phase.verifier` does."""
    return row.id == f"{row.type}.{row.name}"


def timeline_lines(
    rows: Iterable[Row], width: int = 80, colour: bool = False, fine: bool = False
) -> Iterator[str]:
    """Lay out rows as lines of at most `width` columns; `fine` offsets have milliseconds."""
    rows = iter(rows)
    sample = list(islice(rows, _SAMPLE))
    sheet = _Sheet(sample, max(width, 40), colour, fine)
    if sample:
        yield from sheet.heading()
    yield from _folded(chain(sample, rows), sheet)


_Alike: TypeAlias = "tuple[object, ...]"


def _likeness(row: Row) -> _Alike:
    return row.type, row.name, row.role, row.status, row.text, row.error, row.depth


def _folded(rows: Iterable[Row], sheet: _Sheet) -> Iterator[str]:
    """Give the lines of rows; of rows alike, or of pairs alike, only of the first and the last."""
    rest = ((_likeness(row), row) for row in rows)
    waiting: deque[tuple[_Alike, Row]] = deque()
    while True:
        waiting.extend(islice(rest, max(_PERIODS) * _ALIKE - len(waiting)))
        if not waiting:
            return
        period = next((period for period in _PERIODS if _repeats(waiting, period)), None)
        if period is None:
            yield from sheet.lines(waiting.popleft()[1])
        else:
            yield from _repeated(waiting, rest, period, sheet)


def _repeats(waiting: deque[tuple[_Alike, Row]], period: int) -> bool:
    number = period * _ALIKE
    return len(waiting) >= number and all(
        waiting[place][0] == waiting[place - period][0] for place in range(period, number)
    )


def _repeated(
    waiting: deque[tuple[_Alike, Row]],
    rest: Iterator[tuple[_Alike, Row]],
    period: int,
    sheet: _Sheet,
) -> Iterator[str]:
    pattern = [waiting[place][0] for place in range(period)]
    last: deque[Row] = deque(maxlen=period)
    number = 0
    while waiting and waiting[0][0] == pattern[number % period]:
        row = waiting.popleft()[1]
        if number < period:
            yield from sheet.lines(row)
        else:
            last.append(row)
        number += 1
        if not waiting:
            waiting.extend(islice(rest, 1))
    these = "like this" if period == 1 else "like these two"
    yield sheet.note(f"… {counted(number - 2 * period, 'more event')} {these} …")
    for row in last:
        yield from sheet.lines(row)


class _Sheet:
    """The columns of one timeline."""

    def __init__(self, sample: list[Row], width: int, colour: bool, fine: bool) -> None:
        self._width, self._colour, self._fine = width, colour, fine
        offsets = [columns(self._offset(row)) for row in sample]
        types = [columns(line_of(row.type)) for row in sample]
        self._room = (
            max([len("offset"), *offsets]),
            7,
            room_for_ids(sample),
            min(max([4, *types]), _LONGEST_TYPE),
        )
        self._words = 2 + sum(self._room) + 2 * len(self._room)

    def heading(self) -> Iterator[str]:
        """Give the titles of the columns."""
        cells = [
            padded(t, w, i < 2) for i, (t, w) in enumerate(zip(_TITLES, self._room, strict=True))
        ]
        yield painted(cut("  " + "  ".join([*cells, "what"]), self._width), DIM, self._colour)

    def lines(self, row: Row) -> Iterator[str]:
        """Give the line of a row, and one beneath it that says how it failed."""
        left = self._left(row)
        line = f"{left}{what_of(row, self._width - columns(left), not says_all(row))}".rstrip()
        line = cut(line, self._width)
        yield painted(line, RED, self._colour) if row.failed else line
        if row.error:
            space = " " * (2 + sum(self._room[:2]) + 4)
            yield painted(cut(f"{space}└ {line_of(row.error)}", self._width), RED, self._colour)

    def note(self, text: str) -> str:
        """Give a line that stands for events that are not shown."""
        return painted(cut(" " * self._words + text, self._width), DIM, self._colour)

    def _left(self, row: Row) -> str:
        offset, took, ids, types = self._room
        cells = [
            padded(self._offset(row), offset, right=True),
            padded(took_of(row), took, right=True),
        ]
        if says_all(row):
            cells.append(line_of(row.id))
        else:
            cells.append(id_cell(row, ids))
            cells.append(padded(shorten_middle(line_of(row.type), types), types))
        left = ("✗ " if row.failed else "  ") + "  ".join(cells)
        return f"{padded(left, self._words - 2)}  " + " " * min(row.depth, _DEEPEST)

    def _offset(self, row: Row) -> str:
        return offset_words(row.offset_ms, self._fine)


def took_of(row: Row) -> str:
    """Write how long an event took; `~` before the time until the next one began."""
    if row.duration_ms is None and row.until_next_ms is not None:
        return f"~{took_words(row.until_next_ms)}"
    return took_words(row.duration_ms)


def what_of(row: Row, width: int, with_name: bool = True) -> str:
    """Name an event, its status where that says something, and its first words."""
    role = None if row.role == "assistant" else row.role
    plain = row.status is None or row.status in GOOD or (row.failed and row.status == "error")
    parts = ((row.name or role) if with_name else None, None if plain else f"[{row.status}]")
    named = " ".join(line_of(part) for part in parts if part)
    words = line_of(row.text)
    if not named or not words:
        return cut(named or words, width)
    room = width - columns(named) - 2
    # Of a command or a path the end tells as much as the beginning.
    whole = row.type in ("tool_call", "tool_called") or " " not in words
    words = shorten_middle(words, room) if whole and room >= _LEAST else cut(words, room)
    return cut(f"{named}: {words}", width)
