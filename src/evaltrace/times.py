"""Time stamps as logs write them: ISO 8601 texts in, UTC texts and milliseconds out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

_NORMAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)

_FEW = 64
"""Times that are remembered: a log has each several times, near by. More are slower to find."""


@lru_cache(_FEW)
def parse_time(stamp: str | None) -> datetime | None:
    """Parse an ISO 8601 time; None when it is absent or not one. A naive time stays naive."""
    if not stamp:
        return None
    try:
        return datetime.fromisoformat(stamp)
    except (ValueError, OverflowError):
        return None


@lru_cache(_FEW)
def to_utc(stamp: str | None) -> str | None:
    """Normalise a time to `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`; a naive one keeps no zone."""
    time = parse_time(stamp)
    if time is None or stamp is None:
        return None
    if _NORMAL.fullmatch(stamp):
        return stamp
    if time.tzinfo is None:
        return time.isoformat()
    try:
        return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return None


def elapsed_ms(start: str | None, end: str | None) -> float | None:
    """Give the milliseconds from one time to the other; None unless both have the same clock.

    Below zero the clock was put back meanwhile: nobody knows how long it took.
    """
    first, last = parse_time(start), parse_time(end)
    if first is None or last is None or (first.tzinfo is None) != (last.tzinfo is None):
        return None
    span = (last - first).total_seconds()
    return round(span * 1000, 3) if span >= 0 else None


def elapsed_s(start: str | None, end: str | None) -> float | None:
    """Give the seconds from one time to the other; None where `elapsed_ms` gives none."""
    span = elapsed_ms(start, end)
    return None if span is None else round(span / 1000, 6)
