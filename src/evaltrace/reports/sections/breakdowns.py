"""The effect looked at closer: by group, by number of attempts, and by what could be seen."""

from __future__ import annotations

from collections.abc import Iterator

from evaltrace.comparison import Comparison, Metric, Need, PassAtK, Power
from evaltrace.quantities import counted
from evaltrace.reports import wording as say
from evaltrace.reports.sections.arms import labels
from evaltrace.reports.sections.model import (
    Entries,
    Entry,
    Paragraph,
    Part,
    Section,
    Table,
    cut,
    shown,
)

# Groups.


def to_groups(comparison: Comparison, limit: int) -> Section:
    """Give effects by group, as leads."""
    metric = comparison.metric
    columns = ["group", "tasks", "difference (interval)", "p", "p (Holm)", "p (BH)", "lead"]
    parts: list[Part] = []
    for group in comparison.groups:
        rows = [
            [
                shown(row.value, longest=80),
                say.count(row.difference.n),
                say.difference_interval(row.difference, metric),
                say.p_only(row.difference.p, "-"),
                say.p_only(row.p_holm, "-"),
                say.p_only(row.p_bh, "-"),
                "lead" if row.lead else say.NO_WINNER,
            ]
            for row in group.rows
        ]
        title = f"by {shown(group.field, longest=60)}"
        if group.ungrouped:
            title += f" ({counted(group.ungrouped, 'pair')} without one)"
        table = cut(rows, 4 * limit, len(columns))
        parts.append(Table(columns, table, frozenset({0, 2, 6}), title=title))
    text = "Leads to look into on new data, not findings; Holm for a gate, BH for exploring."
    parts.append(Paragraph(text if parts else "No field to group tasks by is known."))
    fields = ", ".join(shown(group.field, longest=40) for group in comparison.groups)
    return Section("groups", "Groups", fields, parts)


# pass@k.


def to_passing(comparison: Comparison, limit: int) -> Section:
    """Give pass@k and pass^k in both arms."""
    rows = comparison.pass_at_k[:limit]
    columns = ["k", *labels(comparison), "difference (interval)", "tasks", "dropped"]
    left = frozenset({1, 2, 3})
    parts: list[Part] = [
        Table(columns, [_pass_row(row, any_of) for row in rows], left, frozenset(), title)
        for title, any_of in (
            ("pass@k: any of k attempts passes", True),
            ("pass^k: all of k attempts pass", False),
        )
        if rows
    ]
    if not rows:
        parts = [Paragraph("Not known: no pairs with attempts that pass or fail.")]
    elif any(row.dropped for row in rows):
        parts.append(Paragraph("Dropped: pairs with fewer than k valid attempts in an arm."))
    return Section("pass_at_k", "pass@k and pass^k", parts=parts)


def _pass_row(row: PassAtK, any_of: bool) -> list[str]:
    found = (
        (row.baseline_any_of, row.treatment_any_of, row.difference_any_of)
        if any_of
        else (row.baseline_all_of, row.treatment_all_of, row.difference_all_of)
    )
    return [
        say.count(row.k),
        *(say.level_interval(side, say.RATE) for side in found[:2]),
        say.difference_interval(found[2], say.RATE),
        say.count(row.tasks),
        say.count(row.dropped),
    ]


# Power.


def to_power(comparison: Comparison, _limit: int) -> Section:
    """Say what this design could have shown, and which one would do."""
    return power_section(comparison.power, comparison.metric)


def power_section(power: Power, metric: Metric) -> Section:
    """Say what a design could show, where only that is known."""
    parts: list[Part] = [
        Paragraph(shown(power.statement, longest=500)),
        Entries([Entry(name, text) for name, text in _power_facts(power, metric)]),
    ]
    rows = [
        [
            say.size(need.difference, metric),
            f"more {'tasks' if need.fixed == 'attempts' else 'attempts'}",
            shown(need.note) if need.note else _design(need),
            say.share(need.power),
        ]
        for need in power.needs
    ]
    if rows:
        columns = ["to show", "by", "needed", "power"]
        parts.append(Table(columns, rows, frozenset({0, 1, 2}), frozenset()))
    return Section("power", "Power", _seen(power, metric), parts)


_HARDLY_ANY = "hardly any difference would be seen"


def _design(need: Need) -> str:
    tasks = say.NOT_KNOWN if need.tasks is None else counted(need.tasks, "task")
    return f"{tasks} x {counted(need.attempts, 'attempt')}"


def _seen(power: Power, metric: Metric) -> str:
    if power.smallest_visible is not None:
        return f"{say.size(power.smallest_visible, metric)} or more would be seen"
    return "too little to say" if power.noise is None or not power.needs else _HARDLY_ANY


def _margin(power: Power, metric: Metric) -> str:
    if power.smallest_margin is None:
        return say.NOT_KNOWN
    return f"{say.size(power.smallest_margin, metric)}: a gate could tell this much from no change"


def _power_facts(power: Power, metric: Metric) -> Iterator[tuple[str, str]]:
    attempts = f"{say.number(power.attempts)} attempt{'' if power.attempts == 1 else 's'}"
    design = f"{counted(power.tasks, 'task')} x {attempts}"
    yield "design", f"{design}, power {say.share(power.power)}"
    visible = power.smallest_visible
    none = power.noise is not None and bool(power.needs) and visible is None
    yield "smallest visible", "none" if none else say.size(visible, metric)
    yield "smallest margin", _margin(power, metric)
    noise = power.noise
    if noise is None:
        yield "noise", say.NOT_KNOWN
        return
    yield (
        "noise (variances)",
        f"of task differences {say.number(noise.difference, 4)}; "
        f"between tasks {say.number(noise.between_tasks, 4)}, "
        f"attempts {say.number(noise.baseline_attempts, 4)} in the baseline and "
        f"{say.number(noise.treatment_attempts, 4)} in the treatment",
    )
    if noise.assumed:
        yield "assumed", shown(noise.assumed)
