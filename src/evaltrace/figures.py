"""Amounts and differences of a metric as text: every report and every sentence writes them so.

Differences of metrics within 0 and 1 are in points (percentage points), money in dollars,
durations in seconds and minutes. Absent is "not known".
"""

from __future__ import annotations

import math
from typing import TypeGuard

from evaltrace.comparison import Metric
from evaltrace.quantities import compact, dollars, grouped, span

NOT_KNOWN = "not known"

_USD = ("usd", "$", "US dollars", "dollars")
_SECONDS = ("seconds", "s")


def amount(value: float | None, unit: str | None) -> str:
    """Write a quantity by its unit: `$0.47`, `5m 11s`, `412.0k`, `22.4`."""
    if not is_known(value):
        return NOT_KNOWN
    if unit in _USD:
        return dollars(value)
    if unit in _SECONDS:
        return span(value)
    if unit in ("tokens", "characters"):
        return compact(value)
    return f"{value:.3g}" if abs(value) < 100 else grouped(value)


def in_points(metric: Metric) -> bool:
    """Tell whether differences of the metric are percentage points."""
    return metric.kind != "number"


def signed(value: float | None, metric: Metric) -> str:
    """Write a difference without its unit: `+20.7`, `-3.1`, `+$0.31`."""
    if not is_known(value):
        return NOT_KNOWN
    if in_points(metric):
        return signed_number(100 * value)
    sign = "-" if value < 0 else "+" if value > 0 else ""
    return sign + amount(abs(value), metric.unit)


def difference(value: float | None, metric: Metric) -> str:
    """Write a difference of the metric: `+20.7 points`."""
    unit = " points" if in_points(metric) and is_known(value) else ""
    return signed(value, metric) + unit


def size(value: float | None, metric: Metric) -> str:
    """Write the size of a difference, whatever its direction: `21.0 points`."""
    return difference(None if value is None else abs(value), metric).removeprefix("+")


def is_known(value: float | None) -> TypeGuard[float]:
    """Tell whether there is a number to write."""
    return value is not None and -math.inf < value < math.inf


def signed_number(value: float) -> str:
    """Keep a digit of what is not zero: an interval that ends at +0.03 excludes 0."""
    text = f"{value:+.1f}"
    if float(text) != 0:
        return text
    if abs(value) >= 0.005:
        return f"{value:+.2f}"
    return "0.0" if value == 0 else "+0.00" if value > 0 else "-0.00"
