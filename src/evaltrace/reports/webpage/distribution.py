"""How the tasks' ratios spread: a stack of dots for each range, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite

from evaltrace.comparison import Interval
from evaltrace.reports.webpage.markup import (
    Markup,
    across,
    drawing,
    element,
    horizontal,
    label,
    shape,
    vertical,
)
from evaltrace.reports.webpage.scales import Scale, logarithmic

BINS = 31
TOP, HEIGHT, AXIS = 44.0, 150.0, 40.0
STEP = 11.0
DOTTED = 12
"""Tasks in a range up to which each is a dot; higher stacks are bars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """The tasks' ratios, what is typical of them, and how they read."""

    values: Sequence[float]
    typical: Interval | None
    axis: str
    text: str
    ratio: Callable[[float], str]


def draw_ratios(name: str, ratios: Ratios) -> Markup | None:
    """Draw the ratios above a logarithmic axis; None without any."""
    values = [value for value in ratios.values if value > 0 and isfinite(value)]
    if not values:
        return None
    scale = logarithmic([1.0, *values, *_bounds(ratios.typical)])
    counts = _counts(values, scale)
    tall = HEIGHT if max(counts) > DOTTED else STEP * (max(counts) + 1)
    marks = [
        *_ground(scale, ratios, TOP + tall),
        *_stacks(counts, tall),
        *_typical(ratios, scale),
    ]
    said = f"{len(values)} tasks from {ratios.ratio(min(values))} to {ratios.ratio(max(values))}"
    return drawing(name, ratios.axis, f"{said}. {ratios.text}", TOP + tall + AXIS, *marks)


def _bounds(typical: Interval | None) -> list[float]:
    bounds = (typical.low, typical.high, typical.estimate) if typical else ()
    return [bound for bound in bounds if bound is not None]


def _ground(scale: Scale, ratios: Ratios, bottom: float) -> list[Markup]:
    marks = [vertical(scale.across(1.0), TOP - 12, bottom, "zero")]
    for value in scale.ticks():
        marks.append(vertical(scale.across(value), bottom, bottom + 5, "grid"))
        marks.append(label(ratios.ratio(value), scale.across(value), bottom + 18, "tick"))
    marks.append(horizontal(across(0), across(1), bottom, "ground"))
    return [*marks, label(ratios.axis, "50%", bottom + 37, "axis")]


def _counts(values: Sequence[float], scale: Scale) -> list[int]:
    counts = [0] * BINS
    for value in values:
        counts[min(int(scale.fraction(value) * BINS), BINS - 1)] += 1
    return counts


def _stacks(counts: Sequence[int], tall: float) -> list[Markup]:
    marks = []
    for number, count in enumerate(counts):
        if max(counts) <= DOTTED:
            marks += _dots(number, count, TOP + tall)
        elif count:
            marks.append(_bar(number, count, tall * count / max(counts), TOP + tall))
    return marks


def _dots(number: int, count: int, bottom: float) -> list[Markup]:
    place = across((number + 0.5) / BINS)
    return [
        element("circle", cx=place, cy=bottom - STEP * (at + 0.5) - 1, r=4, class_="dot after")
        for at in range(count)
    ]


def _bar(number: int, count: int, height: float, bottom: float) -> Markup:
    left, right = (float(across((number + at) / BINS).rstrip("%")) for at in (0.08, 0.92))
    return element(
        "rect",
        element("title", f"{count:,} tasks"),
        x=f"{left:.2f}%",
        y=bottom - height,
        width=f"{right - left:.2f}%",
        height=height,
        class_="bar",
    )


def _typical(ratios: Ratios, scale: Scale) -> list[Markup]:
    typical = ratios.typical
    if typical is None or typical.estimate is None:
        return []
    place = scale.across(typical.estimate)
    # A label that starts, ends or has its middle at the mark stays within the drawing.
    at = scale.fraction(typical.estimate)
    anchor = "start" if at < 0.35 else "end" if at > 0.65 else "middle"
    marks = [label(ratios.text, place, 12, f"note {anchor}")]
    if typical.low is not None and typical.high is not None:
        low, high = scale.across(typical.low), scale.across(typical.high)
        marks.append(horizontal(low, high, 28, "whisker strong"))
    return [*marks, shape("square", place, 28, "mark strong")]
