"""What was spent in tables: ratios, amounts of each arm, and where the difference comes from."""

from __future__ import annotations

from evaltrace.comparison import Amount, Comparison, Interval
from evaltrace.reports.sections.spending import quantities
from evaltrace.reports.webpage.sections.counts import arm_columns
from evaltrace.reports.webpage.tables import Cell, Table, columns, number, table, text
from evaltrace.reports.wording import amount, count_of, known_of, ratio_interval, signed_amount


def ratios_table(comparison: Comparison) -> Table:
    """Give the paired ratios of every quantity."""

    def ratio(found: Interval | None) -> Cell:
        return number(found.estimate if found else None, ratio_interval(found))

    rows = [
        [
            text(each.name),
            ratio(each.ratio),
            ratio(each.typical),
            ratio(each.solved_by_both),
            number(each.known_pairs, known_of(each)),
        ]
        for each in quantities(comparison)
    ]
    heading = columns("quantity:name", "in all", "typical task", "solved by both", "known for")
    return table("Ratios, treatment to baseline, with intervals", heading, rows)


def amounts_table(comparison: Comparison) -> Table:
    """Give each arm's mean, 90th percentile and total of every quantity."""

    def cells(side: Amount, unit: str) -> list[Cell]:
        values = [number(value, amount(value, unit)) for value in (side.mean, side.p90, side.total)]
        return [*values, number(side.known, count_of(side.known, side.trials))]

    rows = [
        [text(each.name), *cells(each.baseline, each.unit), *cells(each.treatment, each.unit)]
        for each in quantities(comparison)
    ]
    parts = arm_columns(comparison, "mean", "p90", "total", "known")
    return table("Per trial in pairs", columns("quantity:name", *parts), rows)


def origins_table(comparison: Comparison) -> Table | None:
    """Give the parts that explain the cost, per trial in pairs; None without any."""
    rows = [
        [
            text(part.name),
            text(part.unit),
            number(part.baseline, amount(part.baseline, part.unit)),
            number(part.treatment, amount(part.treatment, part.unit)),
            number(part.difference, signed_amount(part.difference, part.unit)),
        ]
        for part in comparison.cost_origins.parts
    ]
    heading = columns("part:name", "unit:text", *arm_columns(comparison), "difference")
    return table("Where the difference comes from, per trial", heading, rows) if rows else None
