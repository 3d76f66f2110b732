"""What a report is made of, whatever it is written in: sections of paragraphs, tables and lists.

All text is printable and on one line, but neither escaped nor wrapped: that is the renderer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from evaltrace.errors import Problem
from evaltrace.quantities import counted
from evaltrace.untrusted import one_line

LONGEST = 240
"""Characters kept of a text that comes from outside; names of trials are shorter."""


_UNSEEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff]")
"""Marks of direction and of width 0: two names that differ in them look the same."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below `columns`; `left` columns hold text, `named` ones may be cut in the middle."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: frozenset[int] = frozenset({0})
    named: frozenset[int] = frozenset({0})
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing of a list: a label, its sentence, lines that belong to it, and its grade."""

    label: str
    text: str
    details: Sequence[str] = ()
    mark: str | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """A list of things."""

    rows: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Fold:
    """Parts that need not be seen at once."""

    title: str
    parts: Sequence[Part]


Part = Paragraph | Table | Entries | Fold


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report; `digest` says in a line what is in it."""

    name: str
    title: str
    digest: str = ""
    parts: list[Part] = field(default_factory=list)
    mark: str | None = None


def shown(text: str | None, absent: str = "not known", longest: int = LONGEST) -> str:
    """Make one bounded printable line of a text from outside, without marks that cannot be seen."""
    return absent if text is None else one_line(_UNSEEN.sub("", text), longest)


def listed(names: Sequence[str], limit: int, word: str = "more") -> str:
    """Name the first few, and count the others: `a, b, 3 more`."""
    first = [shown(name) for name in names[:limit]]
    rest = len(names) - len(first)
    return ", ".join([*first, f"{rest:,} {word}"] if rest > 0 else first)


def cut(rows: Sequence[Sequence[str]], limit: int, width: int) -> list[Sequence[str]]:
    """Keep the first rows of a table, and count the others in a last one."""
    rest = len(rows) - limit
    if rest <= 0:
        return list(rows)
    return [*rows[:limit], [f"... {counted(rest, 'more row')}", *[""] * (width - 1)]]


def facts(rows: Iterable[tuple[str, str | None]]) -> Entries:
    """List names with their values; those without a value are left out."""
    return Entries([Entry(name, value) for name, value in rows if value])


def problem_entries(problems: Sequence[Problem], limit: int) -> Entries:
    """List what could not be used."""
    rows = [
        Entry(
            shown(problem.code),
            shown(problem.message),
            [shown(problem.path), *([shown(problem.hint)] if problem.hint else [])],
        )
        for problem in problems[:limit]
    ]
    rest = len(problems) - len(rows)
    return Entries([*rows, *([Entry("...", counted(rest, "more problem"))] if rest else [])])
