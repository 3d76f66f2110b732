"""Offsets from the start of a run, whatever clock its parts were written by."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from math import isfinite

from evaltrace.quantities import span
from evaltrace.times import parse_time, to_utc
from evaltrace.trace import Event

FIRST = 100
"""Events that are asked for the start of a run."""

_FINE = 60_000
"""Milliseconds of a run below which offsets are shown in milliseconds."""

_ABSURD = 3_600_000_000
"""Milliseconds of a thousand hours, which no event takes."""


def start_of(started_at: str | None, events: Iterable[Event]) -> str | None:
    """Choose the time that offsets are counted from: the start of a run, if its events share it.

    A start that is unknown, or on the harness's local clock while the events are in UTC, gives
    way to the earliest of the first events.
    """
    known = [e.started_at for e in islice(events, FIRST) if parse_time(e.started_at) is not None]
    alike = [stamp for stamp in known if _zoned(stamp) == _zoned(started_at)]
    if not known or (parse_time(started_at) is not None and 2 * len(alike) >= len(known)):
        return started_at
    others = [stamp for stamp in known if stamp not in alike] or known
    return min(others, key=lambda stamp: str(to_utc(stamp)))


def _zoned(stamp: str | None) -> bool | None:
    time = parse_time(stamp)
    return None if time is None else time.tzinfo is not None


class Clock:
    """Counts milliseconds from the start of a run."""

    def __init__(self, start: str | None) -> None:
        self._start: datetime | None = parse_time(start)

    def offset_ms(self, stamp: str | None) -> float | None:
        """Give the offset of a time, negative before the start; None when it is unknown."""
        time = parse_time(stamp)
        start = self._start
        if time is None or start is None or (start.tzinfo is None) != (time.tzinfo is None):
            return None
        return round((time - start).total_seconds() * 1000, 3)


def is_short(duration_s: float | None) -> bool:
    """Tell whether a run is so short that its offsets need milliseconds."""
    return duration_s is not None and duration_s * 1000 < _FINE


def offset_words(offset_ms: float | None, fine: bool = False) -> str:
    """Write an offset: +0:01:03.2, or +0:00:00.438 of a short run; `?` when it is unknown."""
    if offset_ms is None:
        return "?"
    sign, length = ("-", -offset_ms) if offset_ms < 0 else ("+", offset_ms)
    if fine:
        seconds, rest = divmod(round(length), 1000)
        part = f".{rest:03}"
    else:
        # Downwards: an event never seems later than one that is shown below it.
        seconds, rest = divmod(int(length // 100), 10)
        part = f".{rest}"
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}:{minutes:02}:{seconds:02}{part}"


def took_words(duration_ms: float | None, absent: str = "-") -> str:
    """Write a duration in at most seven columns: 340 ms, 2m 03s, 1h 27m."""
    if duration_ms is None:
        return absent
    if not isfinite(duration_ms):
        return "?"
    if abs(duration_ms) >= _ABSURD:
        return f"{duration_ms / 1000:.0e} s"
    if 0 <= duration_ms < 0.5:
        return "0 ms"
    words = span(duration_ms / 1000)
    return words.rpartition(" ")[0] if "h " in words else words
