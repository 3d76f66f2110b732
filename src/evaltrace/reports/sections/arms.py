"""The verdict, the trials it rests on, and what differs between the arms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from evaltrace.comparison import Arm, AuditItem, Cell, Comparison, Denominators, Grade, Outcomes
from evaltrace.quantities import counted, plain
from evaltrace.reports import wording as say
from evaltrace.reports.sections.model import (
    Entries,
    Entry,
    Paragraph,
    Part,
    Section,
    Table,
    cut,
    facts,
    listed,
    shown,
)


def labels(comparison: Comparison) -> tuple[str, str]:
    """Name both arms, short enough for the head of a column."""
    arms = comparison.arms
    return shown(arms.baseline.label, longest=40), shown(arms.treatment.label, longest=40)


def to_verdict(comparison: Comparison, limit: int) -> Section:
    """Say what may be said, and what speaks against it."""
    verdict, sentences = comparison.verdict, comparison.verdict.caveats
    parts: list[Part] = [Paragraph(f"! {shown(caveat)}") for caveat in sentences[:limit]]
    if len(sentences) > limit:
        parts.append(Paragraph(f"! {counted(len(sentences) - limit, 'more caveat')}"))
    parts += [Paragraph(_robust(verdict.robust)), facts(_subject(comparison))]
    return Section("verdict", "Verdict", verdict_sentence(comparison), parts, verdict.finding)


def verdict_sentence(comparison: Comparison) -> str:
    """Give the one sentence to quote."""
    return shown(say.verdict_words(comparison.verdict), longest=650)


def _robust(robust: bool | None) -> str:
    if robust is None:
        return "Whether other ways to count missing rewards give the same finding is not known."
    if robust:
        return "Other ways to count missing rewards give the same finding."
    return "Another way to count missing rewards gives another finding: see Sensitivity."


def treatment_words(comparison: Comparison) -> str:
    """Say what is meant to differ: `Treatment (guessed): the MCP server codesearch`."""
    statement = shown(comparison.treatment.statement)
    told = "guess" in statement.lower()
    guessed = " (guessed)" if comparison.treatment.guessed and not told else ""
    return f"Treatment{guessed}: {statement}"


def _subject(comparison: Comparison) -> Iterator[tuple[str, str]]:
    metric = comparison.metric
    label, _, words = treatment_words(comparison).partition(": ")
    yield label.lower(), words
    passing = f"; a trial passes at {plain(metric.pass_threshold)}" if say.in_points(metric) else ""
    named = "" if metric.field == metric.name else f" ({shown(metric.field)})"
    yield "metric", f"{shown(metric.name)}{named}, {metric.better} is better{passing}"
    for arm, label in zip(
        (comparison.arms.baseline, comparison.arms.treatment), labels(comparison), strict=True
    ):
        yield label, arm_words(arm)


def arm_words(arm: Arm) -> str:
    """Describe an arm: its agent, its model and its jobs."""
    jobs = f"; jobs {listed(arm.jobs, 3)}" if arm.jobs else ""
    agent = shown(arm.agent, "agent not known or not one")
    return f"{agent}, {shown(arm.model, 'model not known or not one')}{jobs}"


# Denominators.

COUNTS: Sequence[tuple[str, Callable[[Denominators], int | None]]] = (
    ("planned", lambda counts: counts.planned),
    ("started", lambda counts: counts.started),
    ("finished", lambda counts: counts.finished),
    ("errored", lambda counts: counts.errored),
    ("cancelled", lambda counts: counts.cancelled),
    ("unscored", lambda counts: counts.unscored),
    ("running", lambda counts: counts.running),
    ("valid", lambda counts: counts.valid),
    ("counted, in pairs", lambda counts: counts.in_pairs),
    ("set aside as duplicates", lambda counts: counts.set_aside),
    ("tasks", lambda counts: counts.tasks),
    ("tasks with a valid reward", lambda counts: counts.valid_tasks),
)
"""What is counted of an arm, by the name that every report gives it."""


def to_denominators(comparison: Comparison, limit: int) -> Section:
    """Count the trials of both arms, and how they pair."""
    both, names = comparison.denominators, labels(comparison)
    rows: list[list[str]] = []
    for name, read in COUNTS:
        rows.append([name, say.count(read(both.baseline)), say.count(read(both.treatment))])
        if name == "errored":
            rows += _cause_rows(both.baseline, both.treatment)
    parts: list[Part] = [
        Table(["trials", *names], rows),
        Paragraph(pairing_words(comparison)),
        *_alone(comparison, limit),
        _outcomes(comparison),
        Paragraph(_moves(comparison)),
    ]
    pairs = comparison.pairs
    if pairs.renamed:
        named = [f"{name} as {to}" for name, to in sorted(pairs.renamed.items())]
        count = counted(len(named), "name")
        parts.append(Paragraph(f"{count} mapped before pairing: {listed(named, limit)}"))
    return Section("denominators", "Denominators", say.design(comparison), parts)


def _cause_rows(baseline: Denominators, treatment: Denominators) -> Iterator[list[str]]:
    for cause in sorted({*baseline.errored_by_cause, *treatment.errored_by_cause}):
        numbers = [side.errored_by_cause.get(cause, 0) for side in (baseline, treatment)]
        yield [f"- {say.cause_words(shown(cause))}", *map(say.count, numbers)]


def pairing_words(comparison: Comparison) -> str:
    """Say which tasks are compared."""
    pairs, (baseline, treatment) = comparison.pairs, labels(comparison)
    return (
        f"{counted(pairs.tasks, 'task')} in both arms; {pairs.only_baseline:,} only in {baseline}, "
        f"{pairs.only_treatment:,} only in {treatment}, {pairs.in_neither:,} in neither "
        f"(tasks with a valid reward, paired by {shown(pairs.paired_by)})."
    )


def _alone(comparison: Comparison, limit: int) -> Iterator[Part]:
    pairs = comparison.pairs
    both = (pairs.only_baseline_tasks, pairs.only_treatment_tasks)
    for label, tasks in zip(labels(comparison), both, strict=True):
        if tasks:
            yield Paragraph(f"Only in {label}: {listed(tasks, limit)}")


def _outcomes(comparison: Comparison) -> Table:
    tables, (baseline, treatment) = comparison.pairs.outcomes, labels(comparison)
    each: list[tuple[str, Outcomes]] = [
        ("attempt i against attempt i", tables.by_attempt),
        ("tasks, any attempt passes", tables.by_task_any),
        ("tasks, all attempts pass", tables.by_task_all),
    ]
    rows = [
        [
            name,
            *map(
                say.count,
                (row.n, row.both, row.only_baseline, row.only_treatment, row.neither),
            ),
        ]
        for name, row in each
    ]
    columns = ["passed in", "of", "both", f"only {baseline}", f"only {treatment}", "neither"]
    return Table(columns, rows)


def _moves(comparison: Comparison) -> str:
    pairs, (_, treatment) = comparison.pairs, labels(comparison)
    attempts = [
        f"{label} {say.attempts_words(side)}"
        for label, side in zip(
            labels(comparison), (pairs.attempts.baseline, pairs.attempts.treatment), strict=True
        )
        if side is not None
    ]
    valid = f" Counted attempts of a pair: {', '.join(attempts)}." if attempts else ""
    return (
        f"By mean of a task, {treatment} is higher in {pairs.wins:,}, equal in {pairs.ties:,} and "
        f"lower in {pairs.losses:,} of {counted(pairs.tasks, 'pair')}.{valid}"
    )


# Audit.


def to_audit(comparison: Comparison, limit: int) -> Section:
    """List what differs between the arms besides the treatment."""
    return audit_section(comparison.audit, labels(comparison), limit)


def audit_section(items: Sequence[AuditItem], names: tuple[str, str], limit: int) -> Section:
    """List differences of the arms, of which only the audit is known."""
    entries = [audit_entry(item, names, limit) for item in items[: 4 * limit]]
    rest = len(items) - len(entries)
    more = [Entry("...", counted(rest, "more difference"))] if rest else []
    parts: list[Part] = [Entries([*entries, *more])]
    if not items:
        parts = [Paragraph("Nothing differs besides the treatment, as far as traces show.")]
    grades = grade_counts(items)
    worst: Grade | None = next((grade for grade in say.GRADES if grades.get(grade)), None)
    return Section("audit", "Audit", say.graded_counts(grades), parts, worst)


def grade_counts(items: Sequence[AuditItem]) -> dict[Grade, int]:
    """Count the items of each grade."""
    grades = [item.grade for item in items]
    return {grade: grades.count(grade) for grade in say.GRADES}


def audit_entry(item: AuditItem, names: tuple[str, str], limit: int) -> Entry:
    """Say what differs, with both values and the tasks."""
    details = [shown(item.field)]
    if item.baseline is not None or item.treatment is not None:
        values = (shown(value, "none") for value in (item.baseline, item.treatment))
        details = [
            f"{shown(item.field)}: "
            + "; ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
        ]
    if item.tasks:
        details.append(f"{counted(len(item.tasks), 'task')}: {listed(item.tasks, limit)}")
    return Entry(say.GRADES[item.grade], shown(item.message, longest=400), details, item.grade)


# Several arms.


def to_matrix(comparison: Comparison, limit: int) -> Section:
    """Set every arm against every other."""
    rows = [
        [
            f"{shown(cell.treatment, longest=40)} against {shown(cell.baseline, longest=40)}",
            winner(cell),
            say.difference_interval(cell.difference, comparison.metric),
            say.count(cell.difference.n),
            say.p_only(cell.difference.p),
            say.p_only(cell.difference.p_adjusted, "-"),
        ]
        for cell in comparison.matrix
    ]
    columns = ["arms", "better", "difference", "tasks", "p", "p (Holm)"]
    parts: list[Part] = [
        Table(columns, cut(rows, 4 * limit, len(columns)), frozenset({0, 1, 2}), frozenset()),
        Paragraph(
            "Each arm against the first is adjusted for their number (Holm); the others are not: "
            f"for exploring only. {say.NO_WINNER} where no difference is shown."
        ),
    ]
    sides = [comparison.arms.baseline, comparison.arms.treatment]
    arms = [*sides, *(other.arms.treatment for other in comparison.further)]
    return Section("matrix", "All arms", counted(len(arms), "arm"), parts)


def winner(cell: Cell) -> str:
    """Name the better arm; `~` where none is shown."""
    if cell.finding is None:
        return say.NOT_KNOWN
    if cell.finding == "no_difference_shown":
        return say.NO_WINNER
    label = cell.treatment if cell.finding.endswith("better") else cell.baseline
    leaning = "leaning " if cell.finding.startswith("leaning") else ""
    return leaning + shown(label, longest=40)
