"""The effect: with whom the treatment arrived, how big it is, and what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from evaltrace.comparison import (
    ArmValue,
    Comparison,
    Interval,
    Metric,
    Sensitivity,
    ToolUse,
)
from evaltrace.quantities import counted
from evaltrace.reports import wording as say
from evaltrace.reports.sections.arms import labels
from evaltrace.reports.sections.model import (
    Paragraph,
    Part,
    Section,
    Table,
    facts,
    listed,
    shown,
)

# Compliance.

_USES: Sequence[tuple[str, Callable[[ToolUse], int]]] = (
    ("trials", lambda use: use.trials),
    ("ran, calls known", lambda use: use.ran),
    ("calls not known", lambda use: use.unknown),
    ("tool available", lambda use: use.available),
    ("tool connected", lambda use: use.connected),
    ("tool not connected", lambda use: use.not_connected),
    ("used: at least one call", lambda use: use.used),
    ("answered: a call without error", lambda use: use.answered),
    ("never used though offered", lambda use: use.never_used),
    ("contaminated", lambda use: use.contaminated),
    ("calls of the tool", lambda use: use.calls),
    ("calls that failed", lambda use: use.failed_calls),
)


def to_compliance(comparison: Comparison, limit: int) -> Section:
    """Say whether the arms got what they were meant to get."""
    found = comparison.compliance
    parts: list[Part] = [Paragraph(shown(found.statement, longest=500))]
    sides = (found.baseline, found.treatment)
    if any(side is not None for side in sides):
        rows = [
            [name, *(say.NOT_KNOWN if side is None else say.count(read(side)) for side in sides)]
            for name, read in _USES
        ]
        parts.append(Table(["trials", *labels(comparison)], rows))
    if found.baseline is not None and found.baseline.contaminated_trials:
        trials = listed(found.baseline.contaminated_trials, limit)
        parts.append(Paragraph(f"Baseline trials that had the tool: {trials}"))
    named = [
        ("as run (everything offered)", found.as_run),
        ("among compliant pairs (not randomised)", found.among_compliant),
        ("effect of using it (complier)", found.complier),
        ("tasks that never called it (near 0?)", found.unused),
    ]
    rows = list(_effect_rows(named, comparison.metric))
    if rows:
        columns = ["effect", "difference (interval)", "p", "tasks", "note"]
        parts.append(Table(columns, rows, frozenset({0, 1, 4}), frozenset()))
    used = found.treatment
    digest = f"used in {say.count_of(used.used, used.ran)} trials that ran" if used else ""
    return Section("compliance", "Compliance", digest, parts)


def _effect_rows(
    named: Sequence[tuple[str, Interval | None]], metric: Metric
) -> Iterator[list[str]]:
    for name, found in named:
        if found is not None:
            yield [
                name,
                say.difference_interval(found, metric),
                say.p_only(found.p, "-"),
                say.count(found.n),
                shown(found.note, ""),
            ]


# Effect.


def to_effect(comparison: Comparison, _limit: int) -> Section:
    """Give the metric in both arms and the paired difference."""
    effect, metric = comparison.reward, comparison.metric
    sides = zip(labels(comparison), (effect.baseline, effect.treatment), strict=True)
    columns = [
        "arm",
        f"mean ({say.percent(effect.confidence)} interval)",
        "tasks",
        "valid trials",
        "mean over pairs",
    ]
    parts: list[Part] = [
        Table(columns, [arm_row(label, side, metric) for label, side in sides], frozenset({0, 1})),
        Paragraph(difference_words(comparison)),
        facts(_grounds(comparison)),
    ]
    if effect.alternatives:
        rows = [
            [
                shown(other.method),
                say.difference_interval(other, metric),
                say.p_only(other.p, "-"),
                say.count(other.n),
            ]
            for other in effect.alternatives
        ]
        columns = ["other published methods", "difference (interval)", "p", "tasks"]
        parts.append(Table(columns, rows, frozenset({0, 1}), frozenset()))
    return Section("effect", "Effect", say.difference_interval(effect.difference, metric), parts)


def arm_row(label: str, side: ArmValue, metric: Metric) -> list[str]:
    """Give the metric of an arm with what it rests on."""
    return [
        label,
        say.level_interval(side, metric),
        say.count(side.n_tasks),
        say.count(side.n_trials),
        say.level(side.paired_mean, metric),
    ]


def difference_words(comparison: Comparison) -> str:
    """Give the paired difference in a line: estimate, interval, p, pairs."""
    effect = comparison.reward
    found = effect.difference
    if found.estimate is None:
        return f"Difference {say.NOT_KNOWN}, over {counted(found.n, 'paired task')}."
    adjusted = ""
    if found.p_adjusted is not None:
        adjusted = f", {say.p_value(found.p_adjusted, 'p adjusted (Holm)')}"
    return (
        f"Difference {say.difference_interval(found, comparison.metric)}, "
        f"{say.p_value(found.p)}{adjusted}, over {counted(found.n, 'paired task')}."
    )


def _grounds(comparison: Comparison) -> Iterator[tuple[str, str | None]]:
    effect = comparison.reward
    found = effect.difference
    yield "interval", f"{say.percent(effect.confidence)}, {shown(found.method, 'no method')}"
    yield "test", shown(found.test, "none")
    arms = {side.method for side in (effect.baseline, effect.treatment) if side.method}
    yield "arms", ", ".join(sorted(map(shown, arms)))
    yield "assumption", shown(effect.assumption, longest=400)
    yield "note", shown(found.note, "")
    if effect.design_effect is not None:
        yield "design effect", say.number(effect.design_effect, 2)
    yield "smallest visible", say.visible_words(comparison)


# Sensitivity.


def to_sensitivity(comparison: Comparison, _limit: int) -> Section:
    """Say whether the finding survives other ways to count what is missing."""
    found, metric = comparison.sensitivity, comparison.metric
    rows = [
        [
            say.analysis_words(row),
            shown(row.meaning),
            say.difference_interval(row.difference, metric),
            say.p_only(row.difference.p),
            say.count(row.difference.n),
            say.finding_words(row.finding),
        ]
        for row in found.analyses
    ]
    columns = ["analysis", "meaning", "difference (interval)", "p", "tasks", "finding"]
    parts: list[Part] = [Paragraph(shown(found.statement, longest=500))]
    if rows:
        parts.append(Table(columns, rows, frozenset({0, 1, 2, 5}), frozenset()))
    notes = [(say.analysis_words(row), shown(row.difference.note, "")) for row in found.analyses]
    parts.append(facts([*notes, *_missing(found, labels(comparison))]))
    return Section("sensitivity", "Sensitivity", _survives(found.survives), parts)


def _survives(survives: bool | None) -> str:
    if survives is None:
        return "not known"
    return "the finding holds" if survives else "depends on how missing rewards are counted"


def _missing(found: Sensitivity, names: tuple[str, str]) -> Iterator[tuple[str, str | None]]:
    missing = found.missing
    counts = (
        f"{names[0]} {say.count_of(missing.baseline, missing.baseline_of)}, "
        f"{names[1]} {say.count_of(missing.treatment, missing.treatment_of)} started trials"
    )
    yield "missing rewards", f"{counts}; {say.p_value(missing.p)} for an equal chance of it"
    if missing.differential:
        yield "warning", "one arm lost more than the other: errors may belong to the treatment"
    if found.tipping_point is not None:
        trials = counted(found.tipping_point, "missing treatment trial")
        yield "tipping point", f"with {trials} against it the interval would reach 0"
