"""Tasks that changed: the means of both arms on one line per task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evaltrace.comparison import TaskRow
from evaltrace.reports.columns import columns
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
from evaltrace.reports.webpage.scales import Scale, linear

ROW, TOP, AXIS = 24.0, 8.0, 40.0
MOST = 40
"""Rows drawn at most; a longer picture is read as a table."""

WIDE, NARROW = 36, 17
"""Columns of a task's name on a wide page and on a phone."""

NAMES = 0.36
"""Share of the width that the names take."""

SHAPES = {"gained": "up", "lost": "down", "unstable": "diamond", "changed": "circle"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTasks:
    """What to draw: the tasks by kind, how values read, and what the axis says."""

    tasks: Sequence[TaskRow]
    kinds: dict[str, str]
    axis: str
    tick: Callable[[float], str]


@dataclass(frozen=True, slots=True)
class PairedDrawing:
    """The picture, and how many changed tasks it shows of how many."""

    picture: Markup
    shown: int
    changed: int


def draw_paired(name: str, paired: PairedTasks) -> PairedDrawing | None:
    """Draw the tasks that changed or waver, the greatest gain on top; None without any."""
    changed = [task for task in paired.tasks if _changed(task, paired.kinds)]
    changed.sort(key=lambda task: (-(task.difference or 0.0), task.task))
    if not changed:
        return None
    # The greatest changes of either side; what lies between is in the table.
    rows = changed if len(changed) <= MOST else changed[: MOST // 2] + changed[-MOST // 2 :]
    scale = linear([m for task in rows for m in _means(task)], least=1e-6)
    bottom = TOP + ROW * len(rows)
    marks = [
        mark
        for number, task in enumerate(rows)
        for mark in _row(task, paired.kinds.get(task.task, "changed"), TOP + ROW * number, scale)
    ]
    picture = drawing(
        name,
        f"{paired.axis} of each changed task in both arms",
        _said(rows, paired),
        bottom + AXIS,
        *_ground(scale, paired, bottom),
        *marks,
    )
    return PairedDrawing(picture, len(rows), len(changed))


def _changed(task: TaskRow, kinds: dict[str, str]) -> bool:
    return task.difference is not None and (task.difference != 0 or task.task in kinds)


def _means(task: TaskRow) -> list[float]:
    return [mean for mean in (task.baseline_mean, task.treatment_mean) if mean is not None]


def _said(rows: Sequence[TaskRow], paired: PairedTasks) -> str:
    """Put the picture into words for those who cannot see it."""
    return "; ".join(
        f"{cut_middle(task.task, WIDE)} {paired.tick(task.baseline_mean or 0.0)} to "
        f"{paired.tick(task.treatment_mean or 0.0)}"
        for task in rows[:20]
    )


def _place(scale: Scale, value: float) -> str:
    """Place a value right of the names."""
    return f"{100 * (NAMES + 0.03 + (1 - NAMES - 0.06) * scale.fraction(value)):.2f}%"


def _ground(scale: Scale, paired: PairedTasks, bottom: float) -> list[Markup]:
    marks = [label(paired.axis, _place(scale, (scale.low + scale.high) / 2), bottom + 37, "axis")]
    for value in scale.ticks(5):
        place = _place(scale, value)
        marks.append(vertical(place, 0, bottom, "grid"))
        marks.append(label(paired.tick(value), place, bottom + 17, "tick"))
    return marks


def _row(task: TaskRow, kind: str, y: float, scale: Scale) -> list[Markup]:
    before, after = task.baseline_mean, task.treatment_mean
    if before is None or after is None:
        return []
    middle = y + ROW / 2
    start, end = _place(scale, before), _place(scale, after)
    marks = [
        horizontal(start, end, middle, f"join {kind}"),
        shape("circle", start, middle, "mark before"),
        shape(SHAPES[kind], end, middle, f"mark {kind}"),
    ]
    return [*_names(task.task, middle + 4), element("g", *marks)]


def _names(task: str, y: float) -> list[Markup]:
    wide = cut_middle(task, WIDE)
    if columns(wide) <= NARROW:
        return [label(wide, "0", y, "name")]
    narrow = cut_middle(task, NARROW)
    return [
        label(wide, "0", y, "name wide", title=task),
        label(narrow, "0", y, "name narrow", title=task),
    ]
