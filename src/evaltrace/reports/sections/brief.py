"""The short form of a comparison: three tables and three sentences that stand alone."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.comparison import Comparison, Denominators, Quantity
from evaltrace.quantities import counted
from evaltrace.reports import wording as say
from evaltrace.reports.sections.arms import treatment_words
from evaltrace.reports.sections.effects import arm_row
from evaltrace.reports.sections.model import Table, shown

Names = tuple[str, str]
"""The labels of both arms as they are to be shown."""


def trials_table(comparison: Comparison, names: Names, title: str) -> Table:
    """Count the trials of both arms, an arm a row."""
    both = comparison.denominators
    columns = [title, "planned", "started", "errors", "cancelled", "unscored", "valid", "in pairs"]
    rows = [
        [name, *map(say.count, _counts(side))]
        for name, side in zip(names, (both.baseline, both.treatment), strict=True)
    ]
    return Table(columns, rows)


def _counts(side: Denominators) -> Sequence[int | None]:
    counts = (side.planned, side.started, side.errored, side.cancelled, side.unscored)
    return (*counts, side.valid, side.in_pairs)


def turned(table: Table) -> Table:
    """Set the columns of a table below each other."""
    names, *rows = zip(table.columns, *table.rows, strict=True)
    return Table(names, rows)


def pairs_sentence(comparison: Comparison, names: Names) -> str:
    """Say what is paired, and what is not."""
    pairs = comparison.pairs
    return (
        f"Paired: {say.design(comparison)}; {pairs.only_baseline:,} only in {names[0]}, "
        f"{pairs.only_treatment:,} only in {names[1]}."
    )


def errors_sentence(comparison: Comparison, names: Names) -> str:
    """Give errors by cause, in both arms, and trials that still run; nothing without any."""
    both = comparison.denominators
    before, after = both.baseline.errored_by_cause, both.treatment.errored_by_cause
    counts = [
        (say.cause_words(shown(cause)), before.get(cause, 0), after.get(cause, 0))
        for cause in sorted({*before, *after})
    ]
    sentences = [f"Errors: {_in_both(counts, names)}."] if counts else []
    if both.baseline.running or both.treatment.running:
        running = ("", both.baseline.running, both.treatment.running)
        sentences.append(f"Still running: {_in_both([running], names)}.")
    return " ".join(sentences)


def _in_both(counts: Sequence[tuple[str, int, int]], names: Names) -> str:
    """Count in both arms, named once: `sandbox 1 in old and 0 in new, verifier 2 and 1`."""
    (word, before, after), *others = counts
    first = f"{word} {before:,} in {names[0]} and {after:,} in {names[1]}".strip()
    return ", ".join([first, *(f"{word} {one:,} and {two:,}" for word, one, two in others)])


def effect_table(comparison: Comparison, names: Names, title: str) -> Table:
    """Give the metric in both arms, an arm a row."""
    effect = comparison.reward
    mean = f"mean ({say.percent(effect.confidence)} interval)"
    pairs = f"over {counted(comparison.pairs.tasks, 'pair')}"
    sides = zip(names, (effect.baseline, effect.treatment), strict=True)
    rows = [arm_row(name, side, comparison.metric) for name, side in sides]
    return Table([title, mean, "tasks", "trials", pairs], rows, frozenset({0, 1}))


def method_sentence(comparison: Comparison) -> str:
    """Name the methods, and what these data could have shown where the verdict does not."""
    found = comparison.reward.difference
    method = ", ".join(shown(way) for way in (found.method, found.test) if way)
    said = comparison.verdict.finding in (None, "no_difference_shown")
    visible = "" if said else f"; {say.visible_words(comparison)}"
    return f"By {method}{visible}." if method else ""


def treatment_sentence(comparison: Comparison) -> str:
    """Say what is meant to differ, and in how many trials it was used."""
    used = comparison.compliance.treatment
    words = treatment_words(comparison)
    if used is None:
        return words
    stop = "" if words.endswith(".") else "."
    ran = "trial that ran" if used.ran == 1 else "trials that ran"
    return f"{words}{stop} Used in {say.count_of(used.used, used.ran)} {ran}."


def _spent(comparison: Comparison) -> dict[str, Quantity]:
    """Give what is shown; tokens with those of the cache where they are known as well."""
    whole, plain = comparison.tokens.total_with_cache, comparison.tokens.total
    cached = whole.known_pairs >= plain.known_pairs
    return {
        "cost": comparison.cost,
        "tokens + cache" if cached else "tokens": whole if cached else plain,
        "agent time": comparison.time.agent,
    }


def cost_table(comparison: Comparison, names: Names, title: str) -> Table:
    """Give what a trial spends in both arms, and the ratio of the sums."""
    rows = [
        [
            name,
            say.amount(row.baseline.mean, row.unit),
            say.amount(row.treatment.mean, row.unit),
            say.ratio_interval(row.ratio),
        ]
        for name, row in _spent(comparison).items()
    ]
    solved = comparison.per_solved
    amounts = [say.amount(value, "usd") for value in (solved.baseline, solved.treatment)]
    rows.append(["cost per solved", *amounts, say.ratio_interval(solved.ratio)])
    ratio = f"ratio ({say.percent(comparison.reward.confidence)} interval)"
    return Table([title, *names, ratio], rows, frozenset({0, 3}), frozenset())


def known_sentence(comparison: Comparison) -> str:
    """Say of what the ratios are, and in how many pairs, those known alike together."""
    alike: dict[str, list[str]] = {}
    for name, row in _spent(comparison).items():
        alike.setdefault(say.known_of(row), []).append(name)
    if len(alike) == 1:
        return f"Ratios of the sums, known in {next(iter(alike))}."
    parts = [f"{', '.join(names)} in {pairs}" for pairs, names in alike.items()]
    return f"Ratios of the sums, known: {'; '.join(parts)}."
