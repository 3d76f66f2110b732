"""The content of a report in its fixed order, before it is written for a terminal or Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from evaltrace.comparison import Comparison
from evaltrace.reports.sections.arms import to_audit, to_denominators, to_matrix, to_verdict
from evaltrace.reports.sections.breakdowns import to_groups, to_passing, to_power
from evaltrace.reports.sections.changes import to_flips
from evaltrace.reports.sections.effects import to_compliance, to_effect, to_sensitivity
from evaltrace.reports.sections.model import (
    Entries,
    Entry,
    Fold,
    Paragraph,
    Part,
    Section,
    Table,
)
from evaltrace.reports.sections.notes import to_inputs, to_method, to_problems
from evaltrace.reports.sections.spending import to_spending, to_tools

_ORDER: Sequence[Callable[[Comparison, int], Section]] = (
    to_verdict,
    to_denominators,
    to_audit,
    to_compliance,
    to_effect,
    to_sensitivity,
    to_flips,
    to_spending,
    to_tools,
    to_groups,
    to_passing,
    to_power,
    to_method,
    to_inputs,
    to_problems,
)


def to_sections(comparison: Comparison, limit: int = 25) -> list[Section]:
    """Give the sections of one comparison; long lists are cut at about `limit` with a count."""
    sections = [to_section(comparison, limit) for to_section in _ORDER]
    if comparison.matrix:
        sections.insert(1, to_matrix(comparison, limit))
    return sections


__all__ = [
    "Entries",
    "Entry",
    "Fold",
    "Paragraph",
    "Part",
    "Section",
    "Table",
    "to_sections",
]
