"""Tables as values: cells with what is shown and what they sort by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Literal

from evaltrace.untrusted import one_line

Kind = Literal["number", "text", "long", "name"]

TEXT, LONG, TITLE = 80, 300, 300
"""Characters shown of a name, of a sentence, and of either in its title."""

MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """A text cut to be shown; `title` is more of it where it was cut."""

    text: str
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """What a cell shows, and the value it sorts by: None is unknown and sorts last."""

    text: str
    value: float | str | None = None
    title: str | None = None
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and what its cells hold."""

    name: str
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of cells; the first one names it. `primary` is the one to read."""

    cells: Sequence[Cell]
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption; `more` rows were left out."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row] = field(default_factory=list)
    more: int = 0

    @property
    def slim(self) -> bool:
        """Tell whether the table is too narrow for the width of the page: few numbers only."""
        return len(self.columns) <= 3 and all(c.kind in ("number", "name") for c in self.columns)


def head(whole: Table, most: int) -> Table:
    """Keep the first rows of a table, and count the rest."""
    left = max(len(whole.rows) - most, 0)
    return replace(whole, rows=whole.rows[:most], more=whole.more + left)


def shown(text: str | None, width: int = TEXT, absent: str = "not known") -> Shown:
    """Cut a text for the page."""
    if text is None:
        return Shown(absent)
    line = one_line(text, width)
    cut = line.endswith("…") and not text.endswith("…")
    return Shown(line, one_line(text, TITLE) if cut else None)


def text(value: str | None, width: int = TEXT, mark: str = "", absent: str = "not known") -> Cell:
    """Make a cell of a text; it sorts by what is shown."""
    cut = shown(value, width, absent)
    return Cell(cut.text, None if value is None else cut.text, cut.title, mark)


def number(value: float | None, written: str) -> Cell:
    """Make a cell of a number as it is written elsewhere."""
    known = value is not None and -inf < value < inf  # also of ints that no float holds
    return Cell(written, value if known else None)


def table(
    caption: str, columns: Sequence[Column], rows: Iterable[Row | list[Cell]], most: int = MOST_ROWS
) -> Table:
    """Put rows under columns, at most `most` of them; a column of empty notes is left out."""
    each = [row if isinstance(row, Row) else Row(row) for row in rows]
    kept = [
        place
        for place, column in enumerate(columns)
        if column.kind in ("number", "name") or any(row.cells[place].text for row in each)
    ]
    slim = [Row([row.cells[place] for place in kept], row.primary) for row in each[:most]]
    return Table(caption, [columns[place] for place in kept], slim, max(len(each) - most, 0))


def columns(*names: str | Column) -> list[Column]:
    """Name columns; words of ours may end in a kind, as in `task:name` (numbers need none)."""
    kinds: dict[str, Kind] = {"text": "text", "long": "long", "name": "name"}
    made = []
    for name in names:
        if isinstance(name, Column):
            made.append(name)
        else:
            words, _, kind = name.partition(":")
            made.append(Column(words, kinds.get(kind, "number")))
    return made
