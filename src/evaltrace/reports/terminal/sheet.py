"""Sections laid out for a terminal: headings, wrapped text, lists and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from evaltrace.reports.columns import columns, fill, shorten_middle
from evaltrace.reports.sections import Entries, Entry, Fold, Paragraph, Part, Section, Table
from evaltrace.reports.terminal.grid import lay_out_table

COLOURS = {
    "better": "32",
    "leaning_better": "32",
    "no_difference_shown": "33",
    "leaning_worse": "31",
    "worse": "31",
    "blocker": "31",
    "warning": "33",
    "note": "36",
}
"""Terminal colours of findings and grades."""

_LABEL = 20
_INDENT = "  "


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines."""
    return fill(text.split(), width, " ")


def painted(text: str, mark: str | None, colour: bool) -> str:
    """Colour a finding or a grade, and nothing else."""
    code = COLOURS.get(mark or "")
    return f"\x1b[1;{code}m{text}\x1b[0m" if colour and code and text else text


def heading(section: Section, width: int, colour: bool) -> list[str]:
    """Give the title of a section and beside it what is in it; a verdict in its colour."""
    title = section.title.upper()
    mark = section.mark if section.name == "verdict" else None
    texts = wrapped(section.digest, width - columns(title) - 2)
    first, *rest = [painted(text, mark, colour) for text in texts] or [""]
    lines = [f"{title}  {first}".rstrip()]
    return lines + [" " * (columns(title) + 2) + line for line in rest]


def lay_out_section(section: Section, width: int, colour: bool) -> list[str]:
    """Give the lines of a section."""
    return [*heading(section, width, colour), *lay_out_parts(section.parts, width, colour)]


def lay_out_parts(parts: Iterable[Part], width: int, colour: bool) -> list[str]:
    """Give the lines of parts; a blank line stands around tables and before what is folded."""
    lines: list[str] = []
    before: Part | None = None
    for part in parts:
        block = list(_lay_out(part, width, colour))
        apart = before is not None and not (
            isinstance(before, Paragraph) and type(part) is type(before)
        )
        lines += ["", *block] if apart and block else block
        before = part if block else before
    return lines


def _lay_out(part: Part, width: int, colour: bool) -> Iterator[str]:
    if isinstance(part, Paragraph):
        yield from paragraph(part, width)
    elif isinstance(part, Table):
        if part.title:
            yield from wrapped(part.title, width)
        yield from lay_out_table(part, width)
    elif isinstance(part, Entries):
        yield from lay_out_entries(part.rows, width, colour)
    else:
        yield from _lay_out_fold(part, width, colour)


def paragraph(part: Paragraph, width: int) -> list[str]:
    """Wrap a text; what follows an exclamation mark is indented."""
    indent = _INDENT if part.text.startswith("! ") else ""
    lines = wrapped(part.text, width - len(indent))
    return [lines[0], *(indent + line for line in lines[1:])] if lines else []


def lay_out_entries(rows: Sequence[Entry], width: int, colour: bool) -> Iterator[str]:
    """Give a list: labels in a column of their own, details below the text."""
    room = min(_LABEL, max((columns(row.label) for row in rows), default=0))
    for row in rows:
        label = shorten_middle(row.label, room)
        shown = painted(label, row.mark, colour) + " " * (room - columns(label) + 2)
        texts = wrapped(row.text, width - room - 2) or [""]
        below = [line for text in row.details for line in _detail(text, width - room - 2)]
        yield (shown + texts[0]).rstrip()
        yield from (" " * (room + 2) + line for line in (*texts[1:], *below))


def _detail(text: str, width: int) -> list[str]:
    lines = wrapped(text, width - len(_INDENT))
    return lines[:1] + [_INDENT + line for line in lines[1:]]


def _lay_out_fold(fold: Fold, width: int, colour: bool) -> Iterator[str]:
    yield from wrapped(fold.title, width)
    inner = width - len(_INDENT)
    yield from (_INDENT + line if line else "" for line in lay_out_parts(fold.parts, inner, colour))
