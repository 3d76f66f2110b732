"""The short form of a comparison: three tables and three sentences that stand alone."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.comparison import Comparison, Denominators, Quantity
from evaltrace.reports import wording as say
from evaltrace.reports.quantities import counted, grouped
from evaltrace.reports.sections.effects import arm_row, visible_words
from evaltrace.reports.sections.model import Table, shown

Names = tuple[str, str]
"""The labels of both arms as they are to be shown."""


def trials_table(comparison: Comparison, names: Names, title: str) -> Table:
    """Count the trials of both arms, an arm a row."""
    both = comparison.denominators
    columns = [title, "planned", "started", "errors", "cancelled", "unscored", "valid", "in pairs"]
    rows = [
        [name, *map(grouped, _counts(side))]
        for name, side in zip(names, (both.baseline, both.treatment), strict=True)
    ]
    return Table(columns, rows)


def _counts(side: Denominators) -> Sequence[int | None]:
    counts = (side.planned, side.started, side.errored, side.cancelled, side.unscored)
    return (*counts, side.valid, side.in_pairs)


def pairs_sentence(comparison: Comparison, names: Names) -> str:
    """Say what is paired, and what is not."""
    pairs = comparison.pairs
    return (
        f"Paired: {say.design(comparison)}; {pairs.only_baseline:,} only in {names[0]}, "
        f"{pairs.only_treatment:,} only in {names[1]}."
    )


def errors_sentence(comparison: Comparison, names: Names) -> str:
    """Give errors by cause, in both arms; nothing where there are none."""
    both = comparison.denominators
    before, after = both.baseline.errored_by_cause, both.treatment.errored_by_cause
    causes = [
        f"{say.cause_words(shown(cause))} {before.get(cause, 0):,} + {after.get(cause, 0):,}"
        for cause in sorted({*before, *after})
    ]
    if both.baseline.running or both.treatment.running:
        causes.append(f"still running {both.baseline.running:,} + {both.treatment.running:,}")
    return f"Errors, {names[0]} + {names[1]}: {', '.join(causes)}." if causes else ""


def effect_table(comparison: Comparison, names: Names, title: str) -> Table:
    """Give the metric in both arms, an arm a row."""
    effect = comparison.reward
    mean = f"mean ({say.percent(effect.confidence)} interval)"
    pairs = f"over {counted(comparison.pairs.tasks, 'pair')}"
    sides = zip(names, (effect.baseline, effect.treatment), strict=True)
    rows = [arm_row(name, side, comparison.metric) for name, side in sides]
    return Table([title, mean, "tasks", "trials", pairs], rows, frozenset({0, 1}))


def method_sentence(comparison: Comparison) -> str:
    """Name the methods, and what these data could have shown."""
    found = comparison.reward.difference
    method = ", ".join(shown(way) for way in (found.method, found.test) if way)
    return f"By {method or 'no method'}; {visible_words(comparison)}."


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
    return Table([title, *names, "ratio of the sums"], rows, frozenset({0, 3}), frozenset())


def known_sentence(comparison: Comparison) -> str:
    """Say in how many pairs that is known, those known alike together."""
    alike: dict[str, list[str]] = {}
    for name, row in _spent(comparison).items():
        alike.setdefault(say.known_of(row), []).append(name)
    if len(alike) == 1:
        return f"Known in {next(iter(alike))}."
    parts = [f"{', '.join(names)} in {pairs}" for pairs, names in alike.items()]
    return f"Known: {'; '.join(parts)}."
