"""A timeline as text: a line an event, what failed marked, repetition folded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice

from evaltrace.quantities import counted, span
from evaltrace.reports.columns import columns, head, line_of, shorten_middle
from evaltrace.reports.terminal.layout import COLOURS
from evaltrace.untrusted import one_line
from evaltrace.viewer.clock import offset_words, took_words
from evaltrace.viewer.events import GOOD, WORDS
from evaltrace.viewer.rows import Row
from evaltrace.viewer.sources import Title

_SAMPLE = 1000
"""Rows that decide how wide the columns are."""

_ALIKE = 4
"""Rows alike in a row from which only the first and the last are shown."""

_LONGEST_ID, _WHOLE_ID, _LONGEST_TYPE = 10, 24, 14
_DEEPEST = 6
"""Levels that are shown by indenting."""

_LEAST = 12
"""Columns below which nothing is cut in its middle."""

_TITLES = ("offset", "took", "id", "type")
RED, YELLOW, DIM = 31, 33, 2


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


def timeline_lines(
    rows: Iterable[Row], width: int = 80, colour: bool = False, fine: bool = False
) -> Iterator[str]:
    """Lay out rows as lines of at most `width` columns; `fine` offsets have milliseconds."""
    rows = iter(rows)
    sample = list(islice(rows, _SAMPLE))
    sheet = _Sheet(sample, max(width, 40), colour, fine)
    if sample:
        yield from sheet.heading()
    for _, alike in groupby(chain(sample, rows), key=_likeness):
        yield from _folded(alike, sheet)


def _likeness(row: Row) -> tuple[object, ...]:
    return row.type, row.name, row.role, row.status, row.text, row.error, row.depth


def _folded(alike: Iterator[Row], sheet: _Sheet) -> Iterator[str]:
    first = list(islice(alike, _ALIKE - 1))
    rest = 0
    last: deque[Row] = deque(maxlen=1)
    for row in alike:
        rest += 1
        last.append(row)
    if rest == 0:
        for row in first:
            yield from sheet.lines(row)
        return
    yield from sheet.lines(first[0])
    yield sheet.note(f"… {counted(len(first) - 1 + rest - 1, 'more event')} like this …")
    yield from sheet.lines(last[0])


class _Sheet:
    """The columns of one timeline."""

    def __init__(self, sample: list[Row], width: int, colour: bool, fine: bool) -> None:
        self._width, self._colour, self._fine = width, colour, fine
        offsets = [columns(self._offset(row)) for row in sample]
        ids = sorted(columns(line_of(row.id)) for row in sample) or [0]
        types = [columns(line_of(row.type)) for row in sample]
        self._room = (
            max([len("offset"), *offsets]),
            7,
            min(max(2, ids[len(ids) * 4 // 5]), _LONGEST_ID),
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
        mark = "✗ " if row.failed else "  "
        left = mark + "  ".join(self._cells(row))
        left = f"{padded(left, self._words - 2)}  " + " " * min(row.depth, _DEEPEST)
        line = f"{left}{what_of(row, self._width - columns(left))}".rstrip()
        line = cut(line, self._width)
        yield painted(line, RED, self._colour) if row.failed else line
        if row.error:
            space = " " * (2 + sum(self._room[:2]) + 4)
            yield painted(cut(f"{space}└ {line_of(row.error)}", self._width), RED, self._colour)

    def note(self, text: str) -> str:
        """Give a line that stands for events that are not shown."""
        return painted(cut(" " * self._words + text, self._width), DIM, self._colour)

    def _cells(self, row: Row) -> Iterator[str]:
        offset, took, ids, types = self._room
        yield padded(self._offset(row), offset, right=True)
        yield padded(took_of(row), took, right=True)
        # Whole as far as it goes, so that it can be asked for.
        yield padded(cut(line_of(row.id), max(ids, _WHOLE_ID)), ids)
        yield padded(shorten_middle(line_of(row.type), types), types)

    def _offset(self, row: Row) -> str:
        return offset_words(row.offset_ms, self._fine)


def took_of(row: Row) -> str:
    """Write how long an event took; `~` before the time until the next one began."""
    if row.duration_ms is None and row.until_next_ms is not None:
        return f"~{took_words(row.until_next_ms)}"
    return took_words(row.duration_ms)


def what_of(row: Row, width: int) -> str:
    """Name an event, its status where that says something, and its first words."""
    role = None if row.role == "assistant" else row.role
    plain = row.status is None or row.status in GOOD or (row.failed and row.status == "error")
    parts = (row.name or role, None if plain else f"[{row.status}]")
    named = " ".join(line_of(part) for part in parts if part)
    words = line_of(row.text)
    if not named or not words:
        return cut(named or words, width)
    room = width - columns(named) - 2
    # Of a command or a path the end tells as much as the beginning.
    whole = row.type in ("tool_call", "tool_called") or " " not in words
    words = shorten_middle(words, room) if whole and room >= _LEAST else cut(words, room)
    return cut(f"{named}: {words}", width)
