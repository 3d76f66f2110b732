"""What a search found as text: the run, and a line for each hit, with the hit marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from evaltrace.reports.columns import columns, head, line_of
from evaltrace.reports.terminal.layout import COLOURS
from evaltrace.viewer.clock import offset_words
from evaltrace.viewer.search import Found
from evaltrace.viewer.timeline import cut, padded, painted

_OPEN, _CLOSE = "«", "»"
_BOLD = 1
_OFFSET = 10
_LONGEST_ID, _LONGEST_FIELD = 16, 24


def found_lines(found: Sequence[Found], width: int = 80, colour: bool = False) -> Iterator[str]:
    """Lay out hits as lines of at most `width` columns, below the run that they are in."""
    width = max(width, 40)
    ids = [columns(line_of(hit.event_id or "-")) for hit in found]
    fields = [columns(line_of(hit.field)) for hit in found]
    room = min(max([2, *ids]), _LONGEST_ID), min(max([4, *fields]), _LONGEST_FIELD)
    first = True
    for _, hits in groupby(found, key=lambda hit: hit.session_id):
        for number, hit in enumerate(hits):
            if number == 0:
                if not first:
                    yield ""
                yield _title(hit, width, colour)
            first = False
            yield _line(hit, room, width, colour)


def _title(hit: Found, width: int, colour: bool) -> str:
    status = line_of(hit.status or "unknown")
    name = cut(line_of(hit.task_id or hit.session_id), width - columns(status) - 2)
    return f"{painted(status.upper(), COLOURS.get(status, 0), colour)}  {name}"


def _line(hit: Found, room: tuple[int, int], width: int, colour: bool) -> str:
    offset = "" if hit.event_id is None else offset_words(hit.offset_ms)
    cells = (
        padded(offset, _OFFSET, right=True),
        padded(cut(line_of(hit.event_id or "-"), room[0]), room[0]),
        padded(cut(line_of(hit.field), room[1]), room[1]),
    )
    left = "  ".join(cells) + "  "
    if columns(left) > width // 2:
        left = cut(left.rstrip(), width // 2) + "  "
    return left + _excerpt(hit, width - columns(left), colour)


def _excerpt(hit: Found, room: int, colour: bool) -> str:
    """Cut the text of a hit so that its first mark is within the room, and mark what fits."""
    start = hit.marks[0][0] if hit.marks else 0
    before = hit.text[:start]
    if columns(before) > room // 3:
        kept = head(before[::-1], room // 3 - 1)[::-1]
        before = f"…{kept}"
    parts, left = [before], room - columns(before)
    at = start
    for first, last in hit.marks:
        between = hit.text[at:first]
        # The signs of a mark take two columns, the ellipsis behind it one.
        if columns(between) + 4 > left:
            break
        word = cut(hit.text[first:last], left - columns(between) - 3)
        parts += [between, painted(f"{_OPEN}{word}{_CLOSE}", _BOLD, colour)]
        left -= columns(between) + columns(word) + 2
        at = last
    parts.append(cut(hit.text[at:], left))
    return "".join(parts)
