"""Who was counted and whether the arms are alike: denominators, pairs, audit, compliance."""

from __future__ import annotations

from evaltrace.comparison import AuditItem, Comparison, Denominators, Outcomes, ToolUse
from evaltrace.reports.sections.arms import COUNTS
from evaltrace.reports.webpage.tables import (
    LONG,
    Cell,
    Column,
    Kind,
    Table,
    columns,
    number,
    shown,
    table,
    text,
)
from evaltrace.reports.wording import GRADES, cause_words, count, share

_USE = (
    ("trials", "trials"),
    ("ran", "agent ran"),
    ("unknown", "calls not known"),
    ("available", "tool available"),
    ("connected", "connected"),
    ("not_connected", "not connected"),
    ("used", "called at least once"),
    ("answered", "answered without an error"),
    ("never_used", "never used"),
    ("contaminated", "baseline contaminated"),
    ("calls", "calls"),
    ("failed_calls", "calls that failed"),
)


def arm_names(comparison: Comparison) -> tuple[str, str]:
    """Name both arms in few enough characters to head a column."""
    arms = comparison.arms
    return shown(arms.baseline.label, 28).text, shown(arms.treatment.label, 28).text


def arm_columns(comparison: Comparison, *what: str, kind: Kind = "number") -> list[Column]:
    """Head columns with both arms: one of each, or one for each of `what` in each arm."""
    names = arm_names(comparison)
    words = [f"{part}, {name}" for name in names for part in what] if what else names
    return [Column(each, kind) for each in words]


def denominators_table(comparison: Comparison) -> Table:
    """Count the trials of both arms by what became of them, errors by cause."""
    sides = comparison.denominators.baseline, comparison.denominators.treatment
    rows = []
    for words, read in COUNTS:
        rows.append([text(words), *(_count(read(side)) for side in sides)])
        if words == "errored":
            rows += _causes(*sides)
    heading = columns("what:name", *arm_columns(comparison))
    return table("Trials of each arm, and their tasks", heading, rows)


def _count(value: int | None) -> Cell:
    return number(value, count(value))


def _causes(baseline: Denominators, treatment: Denominators) -> list[list[Cell]]:
    causes = sorted({*baseline.errored_by_cause, *treatment.errored_by_cause})
    return [
        [
            text(f"errored: {cause_words(cause)}"),
            *(_count(side.errored_by_cause.get(cause, 0)) for side in (baseline, treatment)),
        ]
        for cause in causes[:40]
    ]


def outcomes_table(comparison: Comparison) -> Table:
    """Give the tables of two by two as rows: by attempt, and by task in two ways."""
    tables, names = comparison.pairs.outcomes, arm_names(comparison)

    def row(words: str, found: Outcomes) -> list[Cell]:
        values = (found.n, found.both, found.only_baseline, found.only_treatment, found.neither)
        return [text(words), *map(_count, values)]

    heading = columns(
        "unit:name", "n", "both", *(Column(f"only {name}") for name in names), "neither"
    )
    rows = [
        row("attempt against attempt", tables.by_attempt),
        row("task: any attempt passed", tables.by_task_any),
        row("task: every attempt passed", tables.by_task_all),
    ]
    return table("Who passed", heading, rows)


def audit_table(comparison: Comparison) -> Table:
    """List everything in which the arms differ, the gravest first."""
    grades = list(GRADES)
    items = sorted(comparison.audit, key=lambda item: grades.index(item.grade))
    heading = columns(
        "grade:text", "difference:long", "field:text",
        *arm_columns(comparison, kind="text"), "tasks:text",
    )  # fmt: skip
    rows = [_audit_row(item, grades.index(item.grade)) for item in items]
    return table("Differences besides the treatment", heading, rows, 200)


def _audit_row(item: AuditItem, rank: int) -> list[Cell]:
    some = ", ".join(shown(task, 60).text for task in item.tasks[:3])
    rest = f" + {len(item.tasks) - 3:,} more" if len(item.tasks) > 3 else ""
    return [
        Cell(GRADES[item.grade], str(rank), None, f"grade {item.grade}"),
        text(item.message, 2 * LONG),
        text(item.field, 60, "code"),
        text(item.baseline, 120, absent="-"),
        text(item.treatment, 120, absent="-"),
        text(some + rest if item.tasks else None, 260, absent="-"),
    ]


def compliance_table(comparison: Comparison) -> Table | None:
    """Count the trials of each arm by what became of the treatment's tool in them."""
    sides = comparison.compliance.baseline, comparison.compliance.treatment
    if sides == (None, None):
        return None

    def counted(side: ToolUse | None, field: str) -> Cell:
        return _count(None if side is None else getattr(side, field))

    rows = [[text(words), *(counted(side, field) for side in sides)] for field, words in _USE]
    rate = comparison.compliance.use_rate
    rows.append([text("share that used it"), text("-"), number(rate, share(rate))])
    heading = columns("what:name", *arm_columns(comparison))
    return table("Trials of each arm, and their calls", heading, rows)
