"""Entries of an audit: how they are made, named and put in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evaltrace.comparison import AuditItem, Grade
from evaltrace.untrusted import one_line

_GRADES: tuple[Grade, ...] = ("blocker", "warning", "note")
_LABEL = 40
_FIELD = 160
_TASK = 200
_NAMED = 3


def entry(
    grade: Grade,
    code: str,
    field: str,
    message: str,
    values: tuple[str, str] | None = None,
    tasks: Iterable[str] = (),
) -> AuditItem:
    """Make an entry; `values` are those of the baseline and of the treatment, as shown."""
    baseline, treatment = values or (None, None)
    return AuditItem(
        grade=grade,
        code=code,
        field=one_line(field, _FIELD),
        message=message,
        baseline=baseline,
        treatment=treatment,
        tasks=sorted(one_line(task, _TASK) for task in tasks),
    )


def in_order(items: Iterable[AuditItem]) -> list[AuditItem]:
    """Put the gravest first, then by code and field."""
    return sorted(items, key=lambda item: (_GRADES.index(item.grade), item.code, item.field))


def milder(grade: Grade, most: Grade) -> Grade:
    """Give the grade, or `most` where that is milder."""
    return max(grade, most, key=_GRADES.index)


def label_of(label: str) -> str:
    """Name an arm in a sentence."""
    return one_line(label, _LABEL)


def verb(number: int, one: str, many: str) -> str:
    """Choose the form of a verb for so many things."""
    return one if number == 1 else many


def some_of(tasks: Sequence[str]) -> str:
    """Name a few tasks, the first of many."""
    names = ", ".join(one_line(task, _LABEL) for task in sorted(tasks)[:_NAMED])
    rest = len(tasks) - _NAMED
    return f"{names} and {rest} more" if rest > 0 else names
