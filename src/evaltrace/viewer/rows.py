"""The rows of a timeline: events in the order of time, with where they stand in their run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import islice

import msgspec

from evaltrace.store import is_error
from evaltrace.trace import Event
from evaltrace.viewer.clock import Clock
from evaltrace.viewer.events import error_of, words_of
from evaltrace.viewer.runs import EVERY, Chosen, Placed, Run

WINDOW = 1000
"""Events within which the order of time is restored: writers that run side by side."""

_PARENTS = 10_000
"""Events whose depth is remembered."""

_DEEPEST = 1000


class Row(msgspec.Struct, kw_only=True, gc=False):
    """One event as a row: times in milliseconds, texts as one line of a few hundred characters.

    `until_next_ms` is the time until the next event began, where no duration is known.
    """

    seq: int
    id: str
    parent_id: str | None = None
    depth: int = 0
    type: str
    name: str | None = None
    role: str | None = None
    status: str | None = None
    started_at: str | None = None
    offset_ms: float | None = None
    duration_ms: float | None = None
    until_next_ms: float | None = None
    failed: bool = False
    text: str = ""
    error: str | None = None


class RowMaker:
    """Makes rows of the events of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._clock = Clock(run.started_at)
        self._depths: OrderedDict[str, int] = OrderedDict()

    def row(self, placed: Placed) -> Row:
        """Make the row of an event."""
        place, event = placed
        return Row(
            seq=place,
            id=event.id,
            parent_id=event.parent_id,
            depth=self._depth(event),
            type=event.type,
            name=event.name,
            role=event.role,
            status=event.status,
            started_at=event.started_at,
            offset_ms=self._clock.offset_ms(event.started_at),
            duration_ms=event.duration_ms,
            failed=is_error(event),
            text=words_of(event),
            error=error_of(event),
        )

    def _depth(self, event: Event) -> int:
        """Count the events above one, as far as they are known and do not go round."""
        trail, parent, above = [event.id], event.parent_id, -1
        while parent is not None and parent not in trail and len(trail) < _DEEPEST:
            if parent in self._depths:
                above = self._depths[parent]
                break
            found = self._run.find(parent)
            if found is None:
                break
            trail.append(parent)
            parent = found[1].parent_id
        for level, event_id in enumerate(trail[1:], 1):
            self._remember(event_id, above + len(trail) - level)
        return above + len(trail)

    def _remember(self, event_id: str, depth: int) -> None:
        self._depths[event_id] = depth
        self._depths.move_to_end(event_id)
        if len(self._depths) > _PARENTS:
            self._depths.popitem(last=False)


def timeline_rows(
    run: Run, chosen: Chosen = EVERY, offset: int = 0, limit: int | None = None
) -> Iterator[Row]:
    """Give the chosen events in the order of time, without the first `offset`."""
    skipped = 0
    if chosen.all() and offset > 2 * WINDOW:
        # As far as time and record agree within the window, this leaves out the same events.
        skipped = offset - 2 * WINDOW
    make = RowMaker(run)
    rows = _in_order(map(make.row, run.placed(chosen, after=skipped)))
    if chosen.all():
        rows = _with_gaps(rows)
    first = offset - skipped
    return islice(rows, first, None if limit is None else first + limit)


def _in_order(rows: Iterable[Row]) -> Iterator[Row]:
    """Sort by time within a window; a row of unknown time stays behind the one before it."""
    waiting: list[tuple[float, int, Row]] = []
    last = float("-inf")
    for number, row in enumerate(rows):
        last = last if row.offset_ms is None else row.offset_ms
        heappush(waiting, (last, number, row))
        if len(waiting) > WINDOW:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]


def _with_gaps(rows: Iterable[Row]) -> Iterator[Row]:
    """Add the time until the next event began to rows whose duration is unknown."""
    before: Row | None = None
    for row in rows:
        if before is not None:
            yield _gap(before, row)
        before = row
    if before is not None:
        yield before


def _gap(row: Row, following: Row) -> Row:
    if row.duration_ms is None and None not in (row.offset_ms, following.offset_ms):
        gap = (following.offset_ms or 0) - (row.offset_ms or 0)
        row.until_next_ms = round(gap, 3) if gap > 0 else None
    return row
