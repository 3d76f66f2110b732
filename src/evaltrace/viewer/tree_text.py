"""A tree as text: parents and children joined by lines, what failed marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from evaltrace.reports.columns import columns, line_of
from evaltrace.viewer.clock import took_words
from evaltrace.viewer.timeline import DIM, RED, cut, padded, painted, what_of
from evaltrace.viewer.tree import MOST_CHOSEN, Branch

_SAMPLE = 1000
_DEEPEST = 7
"""Levels that are drawn; of a deeper line, how many more there are is said."""

_LONGEST_ID = 10


def tree_lines(branches: Iterable[Branch], width: int = 80, colour: bool = False) -> Iterator[str]:
    """Lay out a tree as lines of at most `width` columns."""
    branches = iter(branches)
    sample = list(islice(branches, _SAMPLE))
    ids = sorted(columns(line_of(b.row.id)) for b in sample if b.row) or [2]
    room = max(2, min(ids[len(ids) * 4 // 5], _LONGEST_ID))
    if sample:
        yield painted(f"  {'took':>7}  {'id':<{room}}  event", DIM, colour)
    for branch in chain(sample, branches):
        for line, code in _lines(branch, room, max(width, 40)):
            shown = cut(line.rstrip(), max(width, 40))
            yield painted(shown, code, colour) if code else shown


def _lines(branch: Branch, room: int, width: int) -> Iterator[tuple[str, int]]:
    row = branch.row
    blank = " " * (13 + room)
    if row is None:
        if branch.cut:
            yield f"{blank}… only the first {MOST_CHOSEN:,} like this; --timeline has all", DIM
            return
        number = f"{branch.folded:,} or more" if branch.or_more else f"{branch.folded:,} more"
        words = f"… {number}: --limit 0 shows all"
        yield f"{blank}{_guides(branch.guides)}{words}", DIM
        return
    took = padded(took_words(row.duration_ms), 7, right=True)
    name = padded(cut(line_of(row.id), max(room, 24)), room)
    left = f"{'✗' if row.failed else ' '} {took}  {name}  {_guides(branch.guides)}"
    kind = f"{line_of(row.type)} "
    yield (
        left + kind + what_of(row, max(width - columns(left + kind), 12)),
        RED if row.failed else 0,
    )
    if row.error:
        yield f"{blank}{_beneath(branch.guides)}└ {line_of(row.error)}", RED


def _guides(guides: tuple[bool, ...]) -> str:
    """Draw the lines before an event; roots have none."""
    if len(guides) < 2:
        return ""
    return _above(guides) + ("├─ " if guides[-1] else "└─ ")


def _above(guides: tuple[bool, ...]) -> str:
    levels = guides[1:-1]
    hidden = len(levels) - _DEEPEST
    if hidden > 0:
        return f"⋯{hidden} " + "".join("│  " if more else "   " for more in levels[hidden:])
    return "".join("│  " if more else "   " for more in levels)


def _beneath(guides: tuple[bool, ...]) -> str:
    """Draw the lines before what is said beneath an event."""
    if len(guides) < 2:
        return "  "
    return _above(guides) + ("│    " if guides[-1] else "     ")
