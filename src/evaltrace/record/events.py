"""The lines of a journal, gathered into the events of a trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from evaltrace.record.clocks import is_time, to_stamp
from evaltrace.record.lines import CLOSE, END, EVENT, REWARD, Head, Line, decode_line
from evaltrace.record.totals import promote
from evaltrace.trace import Event, Truncation, Usage


class Moment(NamedTuple):
    """An event with its time in seconds since the epoch, and the id its parent has in lines."""

    at: float
    event: Event
    parent: str | None


class Gathered:
    """What the lines say, taken one by one; only what a trace keeps of them is kept.

    `torn` counts lines that cannot be read, `strays` events with a parent that is not there.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.rewards: dict[str, float] = {}
        self.end: Line | None = None
        self.last = head.started
        self.torn = self.strays = 0
        self.last_error: str | None = None
        self._moments: dict[str, Moment] = {}
        self._cuts: dict[str, list[Truncation]] = {}
        self._spent: dict[str, int] = {}
        self._lost: dict[str, int] = {}

    def take(self, record: bytes) -> None:
        """Take one line."""
        try:
            line = decode_line(record)
            if not (is_time(line.at) and is_time(line.started or 0)):
                raise ValueError(line.at)
            usage = Usage(**line.usage) if line.usage else None
        except (msgspec.DecodeError, ValueError, TypeError, RecursionError):
            self.torn += 1
            return
        self.last = max(self.last, line.at)
        taken = {CLOSE: self._close, REWARD: self._reward, END: self._end}
        if line.kind == EVENT:
            self._event(line, usage)
        elif line.kind in taken:
            taken[line.kind](line)

    @property
    def writers(self) -> int:
        """Give the number of processes that wrote."""
        return len(self._spent) or 1

    @property
    def spent_s(self) -> float:
        """Give the seconds that all writers spent on recording."""
        return min(sum(self._spent.values()), 10**18) / 1e6  # no damaged figure beyond a float

    @property
    def lost(self) -> int:
        """Give the number of events that could not be recorded."""
        return sum(self._lost.values())

    def moments(self) -> list[Moment]:
        """Give the events in order of time, then of the journal, numbered from 1.

        Their parents are named by the new numbers; one that is not there is left out.
        """
        ordered = sorted(self._moments.values(), key=lambda moment: moment.at)
        for number, moment in enumerate(ordered, start=1):
            moment.event.id = str(number)
        self.strays, rooted = 0, set[str]()
        for old, moment in self._moments.items():
            parent = self._moments.get(moment.parent or "")
            if parent is None or not self._has_root(old, rooted):
                self.strays += moment.parent is not None
                moment.event.parent_id = None
            else:
                moment.event.parent_id = parent.event.id
        return ordered

    def cuts(self) -> Iterator[Truncation]:
        """Give what was cut, by the numbers of the events."""
        for old, cuts in self._cuts.items():
            for cut in cuts:
                field = f"events[{self._moments[old].event.id}].{cut.field}"
                yield msgspec.structs.replace(cut, field=field)

    def _has_root(self, old: str, rooted: set[str]) -> bool:
        """Tell whether an event is not one of its own ancestors; `rooted` keeps what is known."""
        path: dict[str, None] = {}
        name: str | None = old
        while name is not None and name in self._moments and name not in rooted:
            if name in path:
                return False
            path[name] = None
            name = self._moments[name].parent
        rooted.update(path)
        return True

    def _count(self, line: Line, writer: str) -> None:
        self._spent[writer] = max(self._spent.get(writer, 0), line.spent)
        if line.lost:
            self._lost[writer] = max(self._lost.get(writer, 0), line.lost)

    def _event(self, line: Line, usage: Usage | None) -> None:
        self._count(line, line.id.partition("-")[0])
        if line.id in self._moments:  # written again after a write that only seemed to fail
            return
        at = self._start_of(line)
        event = _to_event(line, at, usage)
        promote(event)
        if event.type == "error":
            self.last_error = event.error or event.text or self.last_error
        if line.cuts:
            self._cuts[line.id] = line.cuts
        self._moments[line.id] = Moment(at, event, line.parent)

    def _start_of(self, line: Line) -> float:
        if line.started is not None:
            return line.started
        if line.duration_ms is None:
            return line.at
        parent = self._moments.get(line.parent or "")
        earliest = parent.at if parent is not None else self.head.started
        return max(line.at - line.duration_ms / 1000, min(earliest, line.at))

    def _close(self, line: Line) -> None:
        moment = self._moments.get(line.id)
        if moment is None:  # its beginning was lost, or torn, which is told
            return
        event = moment.event
        event.status, event.error, event.output = line.status, line.error, line.output
        event.duration_ms = round(max(line.at - moment.at, 0.0) * 1000, 3)
        if line.cuts:
            self._cuts.setdefault(line.id, []).extend(line.cuts)

    def _reward(self, line: Line) -> None:
        if line.value is not None and line.name is not None:
            self.rewards[line.name] = line.value

    def _end(self, line: Line) -> None:
        self._count(line, line.id.partition("-")[0])
        self.end = self.end or line


def _to_event(line: Line, at: float, usage: Usage | None) -> Event:
    return Event(
        id=line.id,
        type=line.type or "event",
        name=line.name,
        status=line.status,
        started_at=to_stamp(at),
        duration_ms=line.duration_ms,
        role=line.role,
        text=line.text,
        reasoning=line.reasoning,
        input=line.input,
        output=line.output,
        error=line.error,
        usage=usage,
        model=line.model,
        provider=line.provider,
        cost_usd=line.cost_usd,
        data=line.data,
    )
