"""Numbers as people read them; None gives the word for absent, never 0."""

from __future__ import annotations

UNKNOWN = "unknown"
_MOST = 10**300
"""Numbers beyond this can only come from damaged input, and float has no room for the longest."""


def _capped(number: float) -> float:
    return max(-_MOST, min(number, _MOST)) if isinstance(number, int) else number


def grouped(number: float | None, absent: str = UNKNOWN) -> str:
    """Write a count with thousands separators: 1,234,567."""
    return absent if number is None else f"{_capped(number):,.0f}"


def compact(number: float | None, absent: str = "-") -> str:
    """Write a count in at most six characters: 999, 12.4k, 1.2M."""
    if number is None:
        return absent
    number = _capped(number)
    for unit, size in (("", 1.0), ("k", 1e3), ("M", 1e6), ("B", 1e9)):
        # 999,950 rounds to 1000.0k, which is 1.0M.
        if abs(number) < size * 999.95 or unit == "B":
            return f"{number:.0f}" if unit == "" else f"{number / size:.1f}{unit}"
    raise AssertionError


def dollars(usd: float | None, absent: str = UNKNOWN) -> str:
    """Write an amount of US dollars; less than a cent keeps four decimals."""
    if usd is None:
        return absent
    sign = "-" if usd < 0 else ""
    decimals = 4 if 0 < abs(usd) < 0.01 else 2
    return f"{sign}${abs(usd):,.{decimals}f}"


def span(seconds: float | None, absent: str = UNKNOWN) -> str:
    """Write a duration: 340 ms, 12.3 s, 2m 03s, 1h 27m 03s."""
    if seconds is None:
        return absent
    sign, length = ("-", -seconds) if seconds < 0 else ("", seconds)
    if 0 < length < 0.9995:
        return f"{sign}{length * 1000:.0f} ms"
    if length < 59.95:
        return f"{sign}{length:.1f} s"
    minutes, rest = divmod(round(length), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours}h {minutes:02}m {rest:02}s" if hours else f"{sign}{minutes}m {rest:02}s"


def plain(number: float | None, absent: str = "none") -> str:
    """Write a reward with up to four significant digits."""
    return absent if number is None else f"{_capped(number):.4g}"


def counted(number: int, word: str) -> str:
    """Write a count and its word in the right number: 1 call, 2 calls."""
    number = int(_capped(number))
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def percent(share: float) -> str:
    """Write a share as a whole percentage: 80 %."""
    return f"{100 * share:.0f} %"
