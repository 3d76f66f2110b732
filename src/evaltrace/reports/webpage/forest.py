"""Effects with their intervals, one row each, against the line of no difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

from evaltrace.comparison import Interval
from evaltrace.reports.webpage.markup import (
    Markup,
    across,
    cut_middle,
    drawing,
    element,
    horizontal,
    label,
    shape,
    vertical,
)
from evaltrace.reports.webpage.scales import Scale, linear

ROW, HEADING, TOP, AXIS = 44.0, 44.0, 6.0, 40.0
NAME_WIDTH = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """An effect, its name and its text; a heading has no interval."""

    name: str
    text: str = ""
    interval: Interval | None = None
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestAxis:
    """What the axis says; `band` is the smallest difference the design would have shown."""

    title: str
    tick: Callable[[float], str]
    band: float | None = None


def draw_forest(name: str, rows: Sequence[ForestRow], axis: ForestAxis) -> Markup | None:
    """Draw the rows top to bottom; None where no row has an estimate."""
    drawn = [row.interval for row in rows if row.interval and _is_drawn(row.interval)]
    if not drawn:
        return None
    scale = _scale(drawn, axis.band)
    most = max(interval.n for interval in drawn)
    marks, y = [], TOP
    for row in rows:
        marks += _marks(row, y, scale, most)
        y += HEADING if row.interval is None else ROW
    ground = [*_ground(scale, axis, y), label(axis.title, "50%", y + 37, "axis")]
    said = "; ".join(f"{row.name}: {row.text}" for row in rows if row.interval)
    return drawing(name, axis.title, said[:2000], y + AXIS, *ground, *marks)


def draw_strip(name: str, interval: Interval, axis: ForestAxis) -> Markup | None:
    """Draw one effect alone, without words but those of the axis."""
    if not _is_drawn(interval):
        return None
    scale = _scale([interval], axis.band)
    y = 46.0
    marks = [*_ground(scale, axis, y), *_interval(interval, 22.0, scale, 1.5, "strong")]
    return drawing(name, axis.title, axis.title, y + 24, *marks)


def _is_drawn(interval: Interval) -> bool:
    return interval.estimate is not None and isfinite(interval.estimate)


def _scale(intervals: Sequence[Interval], band: float | None) -> Scale:
    values = [0.0] if band is None else [0.0, -band, band]
    for interval in intervals:
        values += [v for v in (interval.low, interval.estimate, interval.high) if v is not None]
    return linear(values, least=1e-6)


def _ground(scale: Scale, axis: ForestAxis, bottom: float) -> list[Markup]:
    marks = []
    if axis.band is not None and axis.band > 0:
        left, right = scale.fraction(-axis.band), scale.fraction(axis.band)
        marks.append(_band(left, right, bottom))
    for value in scale.ticks():
        place = scale.across(value)
        marks.append(vertical(place, 0, bottom, "zero" if abs(value) < 1e-12 else "grid"))
        marks.append(label(axis.tick(value), place, bottom + 17, "tick"))
    return marks


def _band(left: float, right: float, bottom: float) -> Markup:
    start, end = (float(across(at).rstrip("%")) for at in (left, right))
    return element(
        "rect", x=across(left), y=0, width=f"{end - start:.2f}%", height=bottom, class_="band"
    )


def _marks(row: ForestRow, y: float, scale: Scale, most: int) -> list[Markup]:
    if row.interval is None:
        return [label(cut_middle(row.name, 44), "0", y + 34, "heading")]
    weight = "strong" if row.strong else "weak"
    return [
        label(cut_middle(row.name, NAME_WIDTH), "0", y + 14, f"name {weight}", title=row.name),
        label(row.text, "100%", y + 14, f"value {weight}"),
        *_interval(row.interval, y + 29, scale, _size(row.interval.n, most), weight),
    ]


def _size(n: int, most: int) -> float:
    """The area of a square stands for the tasks behind it, within what can be seen."""
    return max(sqrt(n / most), 0.6) if most > 0 else 1.0


def _interval(interval: Interval, y: float, scale: Scale, size: float, kind: str) -> list[Markup]:
    if interval.estimate is None or not _is_drawn(interval):
        return []
    low = 0.0 if interval.low is None else scale.fraction(interval.low)
    high = 1.0 if interval.high is None else scale.fraction(interval.high)
    place = scale.across(interval.estimate)
    if interval.low is None and interval.high is None:
        return [shape("square", place, y, f"mark open {kind}", size)]
    open_ends = [
        shape(end, across(at), y, f"mark {kind}", 0.8)
        for end, at, bound in (("left", low, interval.low), ("right", high, interval.high))
        if bound is None
    ]
    whisker = horizontal(across(low), across(high), y, f"whisker {kind}")
    return [whisker, *open_ends, shape("square", place, y, f"mark {kind}", size)]
