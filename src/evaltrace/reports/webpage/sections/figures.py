"""The figures of the page: what each draws, and what it says where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from evaltrace.comparison import Comparison, Interval, Metric
from evaltrace.quantities import counted
from evaltrace.reports.webpage.distribution import Ratios, draw_ratios
from evaltrace.reports.webpage.forest import ForestAxis, ForestRow, draw_forest, draw_strip
from evaltrace.reports.webpage.markup import Markup
from evaltrace.reports.webpage.paired import PairedTasks, draw_paired
from evaltrace.reports.webpage.plane import Plane, draw_plane
from evaltrace.reports.webpage.sections.evidence import flips
from evaltrace.reports.webpage.tables import shown
from evaltrace.reports.wording import (
    amount,
    difference_interval,
    in_points,
    ratio_interval,
    signed,
    size,
    times,
)

MOST_GROUP_ROWS = 24
"""Rows of groups drawn; the tables have the rest."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture with its caption; without a picture the caption says why."""

    picture: Markup | None
    caption: str
    key: tuple[tuple[str, str], ...] = ()


def _moved(metric: Metric) -> Callable[[float], str]:
    """Write ticks of differences: round numbers need no decimals."""
    if in_points(metric):
        return lambda value: f"{100 * value:+.4g}" if abs(value) > 1e-12 else "0"
    return lambda value: signed(value, metric) if abs(value) > 1e-12 else "0"


def _level(metric: Metric) -> Callable[[float], str]:
    if metric.kind == "binary":
        return lambda value: f"{100 * value:.4g} %"
    if metric.kind == "fraction":
        return lambda value: f"{value:.4g}"
    return lambda value: amount(value, metric.unit)


def _axis(comparison: Comparison, band: float | None) -> ForestAxis:
    unit = " in points" if in_points(comparison.metric) else ""
    name = shown(comparison.metric.name, 24).text
    title = f"Difference of {name}{unit}"
    return ForestAxis(title=title, tick=_moved(comparison.metric), band=band)


def strip_figure(comparison: Comparison, prefix: str = "") -> Figure:
    """Draw the one effect of the verdict."""
    effect, metric = comparison.reward, comparison.metric
    axis = _axis(comparison, effect.smallest_visible)
    picture = draw_strip(f"{prefix}strip", effect.difference, axis)
    band = effect.smallest_visible
    shaded = (
        f" Shaded: less than {size(band, metric)}, which this design often misses." if band else ""
    )
    return Figure(picture, f"{axis.title}, treatment minus baseline.{shaded}")


def effect_figure(comparison: Comparison, name: str = "effect-figure") -> Figure:
    """Draw the effect overall and by group."""
    metric, effect = comparison.metric, comparison.reward

    def row(name: str, found: Interval, strong: bool = False) -> ForestRow:
        # The axis has the unit.
        words = difference_interval(found, metric).replace(" points", "")
        return ForestRow(name=name, text=words, interval=found, strong=strong)

    rows, left = [row("all paired tasks", effect.difference, strong=True)], MOST_GROUP_ROWS
    for group in comparison.groups:
        kept = group.rows[:left]
        left -= len(kept)
        if kept:
            rows.append(ForestRow(name=f"by {shown(group.field, 40).text}"))
            rows += [row(each.value, each.difference) for each in kept]
    picture = draw_forest(name, rows, _axis(comparison, effect.smallest_visible))
    if picture is None:
        return Figure(None, "No figure of the effect: no task has a valid value in both arms.")
    more = sum(len(group.rows) for group in comparison.groups) - (MOST_GROUP_ROWS - left)
    rest = f" {counted(more, 'more value')} in the tables." if more > 0 else ""
    band = effect.smallest_visible
    shaded = (
        f" Shaded: less than {size(band, metric)}, which this design often misses." if band else ""
    )
    return Figure(
        picture,
        "Difference with its interval, treatment minus baseline; larger squares rest on more "
        f"tasks. An interval across the line leaves the direction open.{shaded}{rest}",
    )


def flips_figure(comparison: Comparison, name: str = "flips-figure") -> Figure:
    """Draw the tasks that changed with their means in both arms."""
    metric = comparison.metric
    paired = PairedTasks(
        tasks=comparison.tasks,
        kinds={flip.task: kind for kind, flip in flips(comparison)},
        axis=f"Mean {shown(metric.name, 24).text}",
        tick=_level(metric),
    )
    drawn = draw_paired(name, paired)
    if drawn is None:
        return Figure(
            None, "No figure of changed tasks: no mean of a task differs between the arms."
        )
    same = sum(task.difference is not None for task in comparison.tasks) - drawn.changed
    more = drawn.changed - drawn.shown
    middle = f" {counted(more, 'task')} with smaller changes are in the table only." if more else ""
    end = f" {counted(same, 'more task')} with the same mean in both arms." if same else ""
    return Figure(
        drawn.picture,
        f"Each line is a task, from its mean in the baseline (open) to that in the treatment "
        f"(filled).{middle}{end}",
        (
            ("open", "baseline"),
            ("gained", "gained"),
            ("lost", "lost"),
            ("unstable", "unstable"),
            ("changed", "changed less"),
        ),
    )


def cost_figure(comparison: Comparison, name: str = "cost-figure") -> Figure:
    """Draw cost against the metric, by task and by arm."""
    metric, effect, cost = comparison.metric, comparison.reward, comparison.cost
    plane = Plane(
        tasks=comparison.tasks,
        arms=(effect.baseline, effect.treatment),
        costs=(cost.baseline.mean, cost.treatment.mean),
        axes=("Cost of an attempt", f"Mean {shown(metric.name, 24).text}"),
        cost=_dollars,
        value=_level(metric),
    )
    picture = draw_plane(name, plane)
    if picture is None:
        return Figure(None, "No figure of cost: no task has a known cost in both arms.")
    return Figure(
        picture,
        "Squares are the arms with the interval of their mean, dots their tasks (points with the "
        "same value are drawn a little apart).",
        (("before", "baseline"), ("after", "treatment")),
    )


def _dollars(value: float) -> str:
    if value >= 10 or value == 0:
        return f"${value:,.0f}"
    return f"${value:.2f}" if value >= 0.01 else f"${value:.3g}"


def ratios_figure(comparison: Comparison, name: str = "ratios-figure") -> Figure:
    """Draw how the tasks' cost ratios spread."""
    values = [
        task.treatment_cost / task.baseline_cost
        for task in comparison.tasks
        if task.treatment_cost and task.baseline_cost
        if task.baseline_cost > 0 and task.difference is not None
    ]
    typical = comparison.cost.typical
    ratios = Ratios(
        values=values,
        typical=typical,
        axis="Cost of a task, treatment to baseline",
        text=f"typical task {ratio_interval(typical)}",
        ratio=lambda value: f"{value:.3g}x" if 0.01 <= value < 1000 else times(value),
    )
    picture = draw_ratios(name, ratios)
    if picture is None:
        return Figure(None, "No figure of cost ratios: no task has a known cost in both arms.")
    return Figure(
        picture,
        f"{counted(len(values), 'paired task')} with a known cost in both arms, on a logarithmic "
        "axis; the line stands at equal cost.",
    )
