"""The effect in tables: arms, difference, other methods, sensitivity, groups, pass@k, power."""

from __future__ import annotations

from evaltrace.comparison import Analysis, ArmValue, Comparison, Group, Interval, Metric, Need
from evaltrace.reports.webpage.sections.counts import arm_columns, arm_names
from evaltrace.reports.webpage.tables import LONG, Cell, Row, Table, columns, number, table, text
from evaltrace.reports.wording import (
    analysis_words,
    count,
    difference_interval,
    finding_words,
    level,
    level_interval,
    p_value,
    share,
    size,
)


def moved(found: Interval | None, metric: Metric) -> Cell:
    """Show a difference with its interval; it sorts by the estimate."""
    return number(found.estimate if found else None, difference_interval(found, metric))


def chance(p: float | None) -> Cell:
    """Show a p value without its name; None is no test."""
    if p is None:
        return number(None, "-")
    written = p_value(p)
    return number(p, written.removeprefix("p = ").removeprefix("p "))


def _level(found: Interval, metric: Metric) -> Cell:
    return number(found.estimate, level_interval(found, metric))


def effect_table(comparison: Comparison) -> Table:
    """Give the metric in both arms, over all their tasks and over the paired ones."""
    metric, effect = comparison.metric, comparison.reward

    def row(name: str, arm: ArmValue) -> list[Cell]:
        return [
            text(name),
            number(arm.mean, level_interval(arm, metric)),
            number(arm.n_tasks, count(arm.n_tasks)),
            number(arm.n_trials, count(arm.n_trials)),
            number(arm.paired_mean, level(arm.paired_mean, metric)),
            text(arm.method),
        ]

    names = arm_names(comparison)
    heading = columns(
        "arm:name", "mean, interval", "tasks", "trials", "mean of paired tasks", "method:long"
    )
    rows = [row(names[0], effect.baseline), row(names[1], effect.treatment)]
    return table("Each arm alone", heading, rows)


def intervals_table(caption: str, found: list[tuple[str, Interval]], metric: Metric) -> Table:
    """Give differences by name, with their tests and methods."""
    rows = [
        [
            text(name, LONG),
            moved(interval, metric),
            chance(interval.p),
            number(interval.n, count(interval.n)),
            text(interval.method, absent="-"),
            text(interval.note, LONG, absent=""),
        ]
        for name, interval in found
    ]
    heading = columns("what:name", "difference, interval", "p", "tasks", "method:text", "note:long")
    return table(caption, heading, rows)


def alternatives_table(comparison: Comparison) -> Table | None:
    """Give the difference by other published methods; None without any."""
    effect = comparison.reward
    if not effect.alternatives:
        return None
    metric = comparison.metric
    rows = [
        [text(other.method), moved(other, metric), chance(other.p), text(other.note, absent="")]
        for other in effect.alternatives[:20]
    ]
    heading = columns("method:name", "difference, interval", "p", "note:text")
    return table("The same data by other published methods", heading, rows)


def compliance_effects(comparison: Comparison) -> Table | None:
    """Give the effect as run, among those who complied, and of using the tool."""
    compliance = comparison.compliance
    named = [
        ("as run (intention to treat)", compliance.as_run),
        ("among compliant pairs (not randomised)", compliance.among_compliant),
        ("of using the tool (complier effect)", compliance.complier),
        ("where the tool was never called", compliance.unused),
    ]
    found = [(name, interval) for name, interval in named if interval is not None]
    return intervals_table("The effect, by use", found, comparison.metric) if found else None


def sensitivity_table(comparison: Comparison) -> Table | None:
    """Give the difference under each way to count what is missing; None without any."""
    metric, analyses = comparison.metric, comparison.sensitivity.analyses

    def row(analysis: Analysis) -> Row:
        found = analysis.difference
        cells = [
            text(analysis_words(analysis)),
            text(analysis.meaning, LONG),
            moved(found, metric),
            chance(found.p),
            number(found.n, count(found.n)),
            text(finding_words(analysis.finding)),
        ]
        return Row(cells, analysis.primary)

    heading = columns(
        "analysis:name", "meaning:long", "difference, interval", "p", "tasks", "finding:text"
    )
    rows = [row(analysis) for analysis in analyses]
    return table("Other ways to count missing rewards", heading, rows) if rows else None


def group_table(group: Group, metric: Metric) -> Table:
    """Give the effect among the tasks of each value of a field."""
    rows = [
        [
            text(row.value),
            moved(row.difference, metric),
            number(row.difference.n, count(row.difference.n)),
            chance(row.difference.p),
            chance(row.p_holm),
            chance(row.p_bh),
            text("lead" if row.lead else "-"),
        ]
        for row in group.rows
    ]
    heading = columns(
        "value:name", "difference, interval", "tasks", "p", "p (Holm)", "p (Benjamini-Hochberg)",
        "lead:text",
    )  # fmt: skip
    return table("Effect by value", heading, rows)


def pass_tables(comparison: Comparison) -> list[tuple[str, Table]]:
    """Give pass@k and pass^k of both arms with their differences."""
    metric = comparison.metric
    rate = Metric(
        name=metric.name, field=metric.field, kind="binary", better=metric.better,
        pass_threshold=metric.pass_threshold,
    )  # fmt: skip
    any_of, all_of = [], []
    for row in comparison.pass_at_k[:50]:
        start = [number(row.k, count(row.k)), number(row.tasks, count(row.tasks))]
        end = number(row.dropped, count(row.dropped))
        any_of.append([
            *start, _level(row.baseline_any_of, rate), _level(row.treatment_any_of, rate),
            moved(row.difference_any_of, rate), end,
        ])  # fmt: skip
        all_of.append([
            *start, _level(row.baseline_all_of, rate), _level(row.treatment_all_of, rate),
            moved(row.difference_all_of, rate), end,
        ])  # fmt: skip
    heading = columns("k", "tasks", *arm_columns(comparison), "difference, interval", "dropped")
    return [
        ("pass@k", table("Any of k attempts passes", heading, any_of)),
        ("pass^k", table("All of k attempts pass", heading, all_of)),
    ] if comparison.pass_at_k else []  # fmt: skip


def needs_table(comparison: Comparison) -> Table | None:
    """Give the designs that would show a difference; None without any."""

    def row(need: Need) -> list[Cell]:
        return [
            number(need.difference, size(need.difference, comparison.metric)),
            number(need.tasks, "-" if need.tasks is None else count(need.tasks)),
            number(need.attempts, count(need.attempts)),
            number(need.power, "-" if need.power is None else share(need.power)),
            text(need.fixed),
            text(need.note, LONG, absent=""),
        ]

    rows = [row(need) for need in comparison.power.needs[:50]]
    heading = columns("to show", "tasks", "attempts", "power", "held fixed:text", "note:text")
    return table("Designs that would show a difference", heading, rows) if rows else None


def matrix_table(comparison: Comparison) -> Table | None:
    """Give every difference between two of several arms; None for two arms."""
    if not comparison.matrix:
        return None
    rows = [
        [
            text(cell.treatment),
            text(cell.baseline),
            moved(cell.difference, comparison.metric),
            chance(cell.difference.p),
            chance(cell.difference.p_adjusted),
            text(finding_words(cell.finding)),
        ]
        for cell in comparison.matrix
    ]
    heading = columns(
        "arm:name", "against:text", "difference, interval", "p", "p (Holm)", "finding:text"
    )
    return table("Each arm against each other", heading, rows)
