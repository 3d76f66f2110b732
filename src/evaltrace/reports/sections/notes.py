"""How the numbers were made: method, inputs, and what could not be read."""

from __future__ import annotations

from collections.abc import Iterator

from evaltrace.comparison import Comparison
from evaltrace.quantities import counted, grouped
from evaltrace.reports import wording as say
from evaltrace.reports.sections.model import (
    Entries,
    Entry,
    Paragraph,
    Part,
    Section,
    Table,
    cut,
    problem_entries,
    shown,
)


def to_method(comparison: Comparison, limit: int) -> Section:
    """Give what is needed to get the same numbers again."""
    notes = comparison.method.notes
    entries = [Entry(name, text) for name, text in _choices(comparison)]
    parts: list[Part] = [Entries(entries), *(Paragraph(shown(note)) for note in notes[: 2 * limit])]
    return Section("method", "Method notes", f"seed {comparison.method.seed}", parts)


def _choices(comparison: Comparison) -> Iterator[tuple[str, str]]:
    method = comparison.method
    yield "--alpha", f"{method.alpha:g}, both sides together"
    yield "--seed", f"{method.seed}, {grouped(method.subsets)} random subsets"
    yield "--on-duplicate", shown(method.on_duplicate)
    yield "--on-missing", shown(method.on_missing)
    if method.cluster_by is not None:
        number = say.count(method.clusters)
        yield "--cluster-by", f"by {shown(method.cluster_by, longest=60)}: {number}"
    versions = sorted(method.versions.items())
    yield "versions", ", ".join(f"{shown(name)} {shown(version)}" for name, version in versions)


def to_inputs(comparison: Comparison, limit: int) -> Section:
    """Name what was read, by digest."""
    rows = [
        [
            shown(row.arm, longest=40),
            shown(row.name, longest=80),
            row.form,
            say.count(row.traces),
            shown(row.harness),
            shown(say.short_digest(row.digest)),
        ]
        for row in comparison.inputs
    ]
    columns = ["arm", "input", "form", "traces", "harness", "digest"]
    table = Table(columns, cut(rows, 2 * limit, 6), frozenset({0, 1, 2, 4, 5}), frozenset({1}))
    parts: list[Part] = [table if rows else Paragraph("No input is recorded.")]
    return Section("inputs", "Inputs", counted(len(rows), "input"), parts)


def to_problems(comparison: Comparison, limit: int) -> Section:
    """List what could not be used."""
    problems = comparison.problems
    parts: list[Part] = [problem_entries(problems, 2 * limit)]
    if not problems:
        parts = [Paragraph("Every input could be read.")]
    return Section("problems", "Problems", counted(len(problems), "problem"), parts)
