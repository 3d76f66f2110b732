"""Cost against the metric: each task in both arms, and the arms themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaltrace.comparison import ArmValue, TaskRow
from evaltrace.reports.webpage.markup import (
    Markup,
    cut_middle,
    drawing,
    element,
    horizontal,
    label,
    shape,
    vertical,
)
from evaltrace.reports.webpage.scales import Scale, linear, logarithmic

HEIGHT, TOP, AXIS = 320.0, 14.0, 40.0
JOINED = 40
"""Tasks up to which the points of a task are joined; more lines hide what they show."""

MOST = 600
"""Tasks drawn at most, evenly over their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """What to draw: tasks with both costs, the arms' values and costs, and how the axes read."""

    tasks: Sequence[TaskRow]
    arms: tuple[ArmValue, ArmValue]
    costs: tuple[float | None, float | None]
    axes: tuple[str, str]
    cost: Callable[[float], str]
    value: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class _Point:
    task: str
    before: tuple[float, float]
    after: tuple[float, float]


def draw_plane(name: str, plane: Plane) -> Markup | None:
    """Draw cost from left to right and the metric upwards; None where no cost is known."""
    points = _points(plane.tasks)
    if not points:
        return None
    costs = [cost for point in points for cost in (point.before[0], point.after[0])]
    costs += [cost for cost in plane.costs if cost is not None]
    positive = [cost for cost in costs if cost > 0]
    spread = len(positive) == len(costs) and max(positive) > 20 * min(positive)
    x = logarithmic(costs) if spread else linear([0.0, *costs], least=1e-9)
    bounds = [b for arm in plane.arms for b in (arm.low, arm.high) if b is not None]
    values = [value for point in points for value in (point.before[1], point.after[1])]
    y = linear([*values, *bounds], least=1e-6, room=0.06)
    marks = [*_ground(plane, x, y), *_tasks(points, x, y), *_arms(plane, x, y)]
    said = f"{len(points)} tasks; {plane.axes[0]} from left to right, {plane.axes[1]} upwards"
    return drawing(name, f"{plane.axes[1]} against {plane.axes[0]}", said, HEIGHT + AXIS, *marks)


def _points(tasks: Sequence[TaskRow]) -> list[_Point]:
    points = [
        _Point(t.task, (t.baseline_cost, t.baseline_mean), (t.treatment_cost, t.treatment_mean))
        for t in tasks
        if t.baseline_cost is not None
        and t.treatment_cost is not None
        and t.baseline_mean is not None
        and t.treatment_mean is not None
    ]
    return points[:: -(-len(points) // MOST)] if len(points) > MOST else points


def _up(y: Scale, value: float) -> float:
    return TOP + (HEIGHT - TOP) * (1 - y.fraction(value))


def _ground(plane: Plane, x: Scale, y: Scale) -> list[Markup]:
    marks = []
    for value in y.ticks():
        height = _up(y, value)
        marks.append(horizontal("0", "100%", height, "grid"))
        marks.append(label(plane.value(value), "0", height - 4, "tick start"))
    for value in x.ticks(5):
        place = x.across(value)
        marks.append(vertical(place, HEIGHT, HEIGHT + 5, "grid"))
        marks.append(label(plane.cost(value), place, HEIGHT + 19, "tick"))
    marks.append(label(plane.axes[1], "0", 2, "axis start"))
    return [*marks, label(plane.axes[0], "50%", HEIGHT + 38, "axis")]


def _tasks(points: Sequence[_Point], x: Scale, y: Scale) -> list[Markup]:
    joined = len(points) <= JOINED
    thin = "" if joined else " cloud"
    marks = []
    for number, point in enumerate(points):
        (cost, value), (later_cost, later_value) = point.before, point.after
        nudge = ((number * 7) % 11 - 5) * 0.9  # many tasks share a value
        start, end = x.across(cost), x.across(later_cost)
        high, low = _up(y, value) + nudge, _up(y, later_value) + nudge
        parts = [
            element("circle", cx=start, cy=high, r=3.5, class_=f"dot before{thin}"),
            element("circle", cx=end, cy=low, r=3.5, class_=f"dot after{thin}"),
        ]
        if joined:
            tip = element("title", cut_middle(point.task, 80))
            join = element("line", x1=start, y1=high, x2=end, y2=low, class_="join task")
            marks.append(element("g", tip, join, *parts))
        else:
            marks += parts
    return marks


def _arms(plane: Plane, x: Scale, y: Scale) -> list[Markup]:
    """Draw the arms' means over their intervals, joined: what the treatment did on the whole."""
    marks, places = [], []
    for arm, cost, kind in zip(plane.arms, plane.costs, ("before", "after"), strict=True):
        if arm.mean is None or cost is None:
            continue
        place, height = x.across(cost), _up(y, arm.mean)
        places.append((place, height))
        if arm.low is not None and arm.high is not None:
            marks.append(vertical(place, _up(y, arm.low), _up(y, arm.high), f"whisker {kind}"))
        marks.append(shape("square", place, height, f"mark arm {kind}", 1.5))
    if len(places) == 2:
        (x1, y1), (x2, y2) = places
        marks.insert(0, element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_="join arm"))
    return marks
