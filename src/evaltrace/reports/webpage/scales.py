"""Axes: a range of values, where a value falls in it, and round numbers to mark."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from evaltrace.reports.webpage.markup import across

_HUGE = 1e150
"""What is beyond has no place on an axis: sums of such values overflow."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values on an axis, linear or logarithmic; values outside go to its ends."""

    low: float
    high: float
    log: bool = False

    def fraction(self, value: float) -> float:
        """Give the place of a value, 0 at the low end and 1 at the high end."""
        low, high, at = (self._placed(v) for v in (self.low, self.high, value))
        return min(max((at - low) / (high - low), 0.0), 1.0)

    def across(self, value: float) -> str:
        """Give the place of a value across a drawing, in percent."""
        return across(self.fraction(value))

    def ticks(self, most: int = 6) -> list[float]:
        """Give at most `most` round values within the range."""
        return (_log_ticks if self.log else _ticks)(self.low, self.high, most)

    def _placed(self, value: float) -> float:
        return math.log(max(value, 1e-300)) if self.log else value


def linear(values: Iterable[float], *, least: float = 1e-9, room: float = 0.04) -> Scale:
    """Fit a linear axis around values, at least `least` wide, with some room at both ends."""
    known = [value for value in values if abs(value) < _HUGE] or [0.0]
    low, high = min(known), max(known)
    # Floats far from 0 cannot tell neighbours apart.
    least = max(least, 1e-6 * max(abs(low), abs(high)))
    short = max(least - (high - low), 0.0) / 2
    extra = (high - low + 2 * short) * room
    return Scale(low - short - extra, high + short + extra)


def logarithmic(values: Iterable[float], *, least: float = 4.0) -> Scale:
    """Fit a logarithmic axis around positive values; its ends differ at least `least`-fold."""
    known = [math.log(value) for value in values if 1 / _HUGE < value < _HUGE] or [0.0]
    low, high = min(known), max(known)
    short = max(math.log(least) - (high - low), 0.0) / 2
    extra = (high - low + 2 * short) * 0.03
    return Scale(math.exp(low - short - extra), math.exp(high + short + extra), log=True)


def _ticks(low: float, high: float, most: int) -> list[float]:
    size = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(size * unit for unit in (1, 2, 5, 10, 20) if (high - low) / (size * unit) <= most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)][:most]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Try finer steps of 1-2-5 and of powers of two, then decades, until few enough fit."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    decades = [10.0**power for power in range(first, last + 1)]
    doubled = [2.0**power for power in range(math.floor(math.log2(low)), 1 + _log2_up(high))]
    fine = [decade * unit for decade in decades for unit in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)]
    three = [decade * unit for decade in decades for unit in (1, 2, 5)]
    ticks: list[float] = []
    for choice in (fine, doubled, three, doubled[::2], decades):
        ticks = [value for value in choice if low <= value <= high]
        if 2 <= len(ticks) <= most:
            return ticks
    return ticks[:: -(-len(ticks) // most)]


def _log2_up(value: float) -> int:
    return math.ceil(math.log2(value))
