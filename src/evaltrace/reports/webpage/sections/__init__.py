"""What the page shows, section by section, as values for its templates."""

from __future__ import annotations

from typing import Any

from evaltrace.comparison import Comparison
from evaltrace.quantities import counted
from evaltrace.reports import wording
from evaltrace.reports.sections.spending import bill_of, quantities, quantity_notes
from evaltrace.reports.webpage.markup import unbroken
from evaltrace.reports.webpage.sections import (
    counts,
    effects,
    evidence,
    figures,
    origins,
    spending,
)
from evaltrace.reports.webpage.tables import LONG, head, shown

MOST_FURTHER = 8
"""Further arms with a section of their own; the matrix has every one."""

CONTENTS = (
    ("verdict", "Verdict"),
    ("denominators", "Denominators"),
    ("audit", "Audit"),
    ("compliance", "Compliance"),
    ("effect", "Effect"),
    ("sensitivity", "Sensitivity"),
    ("flips", "Flips"),
    ("spending", "Cost, tokens, time"),
    ("tools", "Tool use"),
    ("groups", "Groups"),
    ("pass-at-k", "pass@k"),
    ("power", "Power"),
    ("further", "More arms"),
    ("method", "Method"),
    ("inputs", "Inputs"),
    ("problems", "Problems"),
)


def page_values(comparison: Comparison) -> dict[str, Any]:
    """Give the templates everything they show: records, tables, figures, words."""
    further = comparison.further[:MOST_FURTHER]
    return {
        "c": comparison,
        "w": wording,
        "counted": counted,
        "head": head,
        "unbroken": unbroken,
        "said": lambda words: shown(words, 2 * LONG),
        "named": lambda words: shown(words, 60),
        "bounds": _bounds,
        "arms": counts.arm_names(comparison),
        "contents": [
            each for each in CONTENTS if each[0] != "further" or further or comparison.matrix
        ],
        "strip": figures.strip_figure(comparison),
        "grades": _grades(comparison),
        **_first_half(comparison),
        **_second_half(comparison),
        "further": [_further(other, f"further-{at}") for at, other in enumerate(further, 1)],
        "further_left": len(comparison.further) - len(further),
    }


def _bounds(words: str) -> str:
    """Take the bounds out of an estimate with its interval."""
    inside = words.partition(" (")[2].removesuffix(")")
    return inside if inside and inside != "no interval" else wording.NOT_KNOWN


def _grades(comparison: Comparison) -> str:
    grades = [item.grade for item in comparison.audit]
    return wording.graded_counts({grade: grades.count(grade) for grade in wording.GRADES})


def _first_half(comparison: Comparison) -> dict[str, Any]:
    return {
        "denominators": counts.denominators_table(comparison),
        "outcomes": counts.outcomes_table(comparison),
        "alone": _alone(comparison),
        "renamed": _renamed(comparison),
        "audit": counts.audit_table(comparison),
        "compliance": counts.compliance_table(comparison),
        "by_use": effects.compliance_effects(comparison),
        "effect": effects.effect_table(comparison),
        "effect_figure": figures.effect_figure(comparison),
        "alternatives": effects.alternatives_table(comparison),
        "sensitivity": effects.sensitivity_table(comparison),
    }


def _second_half(comparison: Comparison) -> dict[str, Any]:
    return {
        "flips": evidence.flips_table(comparison),
        "flips_figure": figures.flips_figure(comparison),
        "dossiers": evidence.dossiers(comparison),
        "tasks": evidence.tasks_table(comparison),
        "ratios": spending.ratios_table(comparison),
        "bills": [
            bill_of(side, comparison.cost.unit)
            for side in (comparison.cost.baseline, comparison.cost.treatment)
        ],
        "spending_notes": quantity_notes(quantities(comparison)),
        "amounts": spending.amounts_table(comparison),
        "spending_origins": spending.origins_table(comparison),
        "cost_figure": figures.cost_figure(comparison),
        "ratios_figure": figures.ratios_figure(comparison),
        "tools": evidence.tools_table(comparison),
        "groups": [
            (shown(group.field), effects.group_table(group, comparison.metric), group.ungrouped)
            for group in comparison.groups[:20]
        ],
        "passes": effects.pass_tables(comparison),
        "needs": effects.needs_table(comparison),
        "matrix": effects.matrix_table(comparison),
        "facts": origins.method_facts(comparison),
        "inputs": origins.inputs_table(comparison),
        "problems": origins.problems_table(comparison),
    }


def _alone(comparison: Comparison) -> list[tuple[str, int, list[Any]]]:
    """Name tasks that only one arm has, the first of many."""
    pairs, names = comparison.pairs, counts.arm_names(comparison)
    each = (pairs.only_baseline_tasks, pairs.only_treatment_tasks)
    numbers = (pairs.only_baseline, pairs.only_treatment)
    return [
        (name, number, [shown(task, 60) for task in tasks[:20]])
        for name, number, tasks in zip(names, numbers, each, strict=True)
        if number
    ]


def _renamed(comparison: Comparison) -> list[tuple[Any, Any]]:
    renamed = sorted(comparison.pairs.renamed.items())[:20]
    return [(shown(before, 60), shown(after, 60)) for before, after in renamed]


def _further(comparison: Comparison, name: str) -> dict[str, Any]:
    """Give one more treatment against the same baseline, without its dossiers."""
    return {
        "name": name,
        "c": comparison,
        "arms": counts.arm_names(comparison),
        "strip": figures.strip_figure(comparison, f"{name}-"),
        "grades": _grades(comparison),
        "tables": [
            found
            for found in (
                counts.denominators_table(comparison),
                counts.audit_table(comparison) if comparison.audit else None,
                effects.effect_table(comparison),
                effects.sensitivity_table(comparison),
                evidence.flips_table(comparison),
                spending.ratios_table(comparison),
            )
            if found is not None
        ],
    }
