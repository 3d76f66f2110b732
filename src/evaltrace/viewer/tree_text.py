"""A tree as text: parents and children joined by lines, what failed marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from evaltrace.reports.columns import columns, line_of
from evaltrace.viewer.clock import took_words
from evaltrace.viewer.timeline import (
    DIM,
    RED,
    cut,
    id_cell,
    padded,
    painted,
    room_for_ids,
    says_all,
    what_of,
)
from evaltrace.viewer.tree import MOST_CHOSEN, Branch

_SAMPLE = 1000
_LACKING = {
    "chosen": f"only the first {MOST_CHOSEN:,} like this",
    "parents": "maybe more whose parents are missing",
}
_DEEPEST = 7
"""Levels that are drawn; of a deeper line, how many more there are is said."""


def tree_lines(branches: Iterable[Branch], width: int = 80, colour: bool = False) -> Iterator[str]:
    """Lay out a tree as lines of at most `width` columns."""
    branches = iter(branches)
    sample = list(islice(branches, _SAMPLE))
    room = room_for_ids(branch.row for branch in sample if branch.row)
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
            yield f"{blank}… {_LACKING[branch.cut]}; --timeline has all", DIM
            return
        yield f"{blank}{_guides(branch.guides)}{_folded(branch)}", DIM
        return
    took = padded(took_words(row.duration_ms), 7, right=True)
    left = f"{'✗' if row.failed else ' '} {took}  "
    whole = says_all(row) and len(branch.guides) < 2
    if whole:
        left += f"{line_of(row.id)}  "
    else:
        left += f"{id_cell(row, room)}  {_guides(branch.guides)}{line_of(row.type)} "
    words = what_of(row, max(width - columns(left), 12), not whole)
    yield left + words, RED if row.failed else 0
    if row.error:
        yield f"{blank}{_beneath(branch.guides)}└ {line_of(row.error)}", RED


def _folded(branch: Branch) -> str:
    more = " or more" if branch.or_more else "" if branch.before else " more"
    how = "before, left out by --offset" if branch.before else "--limit 0 shows all"
    return f"… {branch.folded:,}{more}{' ' if branch.before else ': '}{how}"


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
