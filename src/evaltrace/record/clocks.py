"""The time of a live run: the wall clock once, and from then on a clock that is never set.

All processes of one machine read the same steady clock, so that their events are in order
however the wall clock is set meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from evaltrace.times import parse_time

_FIRST, _LAST = -62_135_596_800, 253_402_300_799
"""The years 1 to 9999, in seconds since the epoch."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """Seconds since the epoch that never run backwards, unless a clock is given that does.

    `wall` and `steady` are the two clocks at the start of the run, `boot` names what the
    steady one counts from.
    """

    __slots__ = ("_given", "boot", "failure", "steady", "wall")

    def __init__(
        self,
        given: Callable[[], float] | None = None,
        start: tuple[float, float, str | None] | None = None,
    ) -> None:
        self._given = given
        self.failure: Exception | None = None
        self.boot = boot_id()
        if start is not None and start[2] is not None and start[2] == self.boot:
            self.wall, self.steady = start[:2]
        else:
            self.wall, self.steady = time.time(), steady_seconds()

    def now(self) -> float:
        """Give the time in seconds since the epoch, to the microsecond."""
        if self._given is not None:
            given = self._ask(self._given)
            if given is not None:
                return round(given, 6)
        return round(self.wall + steady_seconds() - self.steady, 6)

    def spent(self) -> float:
        """Give seconds to tell how long something took; a given clock tells this as well."""
        given = None if self._given is None else self._ask(self._given)
        return time.perf_counter() if given is None else given

    def _ask(self, clock: Callable[[], float]) -> float | None:
        """Ask the given clock; one that fails is not asked again."""
        try:
            now = float(clock())
            if not is_time(now):
                raise ValueError(f"{now} is not a time")
        except Exception as error:
            self.failure, self._given = error, None
            return None
        return now


def _steady_clock() -> Callable[[], float]:
    # CLOCK_BOOTTIME goes on while the machine sleeps, as the wall clock does.
    number = getattr(time, "CLOCK_BOOTTIME", None)
    if number is None:
        return time.monotonic
    return lambda: time.clock_gettime(number)


steady_seconds = _steady_clock()


@cache
def boot_id() -> str | None:
    """Name the machine's present run; None where the system has no name for it."""
    try:
        return _BOOT_ID.read_text().strip() or None
    except OSError:
        return None


def to_stamp(seconds: float) -> str:
    """Write seconds since the epoch as an ISO 8601 time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def to_seconds(value: object) -> float | None:
    """Read a time: a datetime, ISO 8601 text, or seconds since the epoch. A naive one is UTC."""
    time_ = parse_time(value) if isinstance(value, str) else value
    if isinstance(time_, datetime):
        aware = time_ if time_.tzinfo else time_.replace(tzinfo=UTC)
        return aware.timestamp()
    if isinstance(time_, bool) or not isinstance(time_, int | float):
        return None
    return float(time_) if is_time(time_) else None


def is_time(seconds: float) -> bool:
    """Tell whether seconds since the epoch are a time that can be written."""
    return _FIRST <= seconds <= _LAST
