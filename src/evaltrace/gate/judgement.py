"""Conditions held against a comparison: true, false, or not to be told."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from evaltrace.comparison import Comparison
from evaltrace.gate.fields import Place
from evaltrace.gate.grammar import (
    Condition,
    Constant,
    Count,
    Field,
    Length,
    Not,
    Test,
    Tree,
    tests_in,
)
from evaltrace.untrusted import one_line

Decision = Literal["holds", "undecided", "fails"]
"""From the best to the worst for a pipeline."""

_ORDER: tuple[Decision, ...] = ("holds", "undecided", "fails")
_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BLOCKERS = {"audit.grade", "verdict.blockers"}
"""Fields that tell of blockers: a condition on them has its own answer to these."""

_MOST_VALUES = 6
_WIDTH = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a condition for one treatment, with the values in a sentence."""

    condition: str
    treatment: str
    decision: Decision
    sentence: str


def evaluate_all(conditions: Sequence[Condition], comparison: Comparison) -> list[Outcome]:
    """Hold conditions against a comparison, and against each further treatment in it."""
    arms = (comparison, *comparison.further)
    found = [evaluate(condition, arm) for condition in conditions for arm in arms]
    if len(arms) == 1:
        return found
    return [replace(row, sentence=f"{row.treatment}: {row.sentence}") for row in found]


def evaluate(condition: Condition, comparison: Comparison) -> Outcome:
    """Hold a condition against the comparison with its first treatment; true fails."""
    truth = _truth(condition.tree, comparison)
    decision, reason = _decided(condition, comparison, truth)
    values = "; ".join(islice(_values(condition.tree, comparison), _MOST_VALUES))
    sentence = f"{one_line(condition.text, 200)}: {reason} ({values})"
    treatment = one_line(comparison.arms.treatment.label, _WIDTH)
    return Outcome(condition.text, treatment, decision, sentence)


def worst(outcomes: Sequence[Outcome]) -> Decision:
    """Give the worst decision of all: what a pipeline acts on."""
    return max((outcome.decision for outcome in outcomes), key=_ORDER.index, default="holds")


def _decided(
    condition: Condition, comparison: Comparison, truth: bool | None
) -> tuple[Decision, str]:
    if truth:
        return "fails", "true, so the gate fails"
    if not comparison.pairs.tasks:
        return "undecided", "cannot be decided, no task has a valid value in both arms"
    if truth is None:
        return "undecided", "cannot be decided, a value is not known"
    blockers = sum(item.grade == "blocker" for item in comparison.audit)
    if blockers and not _about_audit(condition):
        found = "a blocker" if blockers == 1 else f"{blockers} blockers"
        return "undecided", f"not true, but the audit has {found}"
    return "holds", "not true, so the gate holds"


def _about_audit(condition: Condition) -> bool:
    """Tell whether a condition asks for blockers, or for nothing but the audit."""
    paths = {
        test.value.collection if isinstance(test.value, Count) else test.value.place.path
        for test in tests_in(condition.tree)
    }
    return not paths.isdisjoint(_BLOCKERS) or all(path.split(".")[0] == "audit" for path in paths)


def _truth(tree: Tree, root: object, skip: str = "") -> bool | None:
    """Tell whether a condition is true of a record; paths begin after `skip`."""
    if isinstance(tree, Test):
        return _tested(tree, root, skip)
    if isinstance(tree, Not):
        inner = _truth(tree.inner, root, skip)
        return None if inner is None else not inner
    settling = tree.word == "or"
    parts = [_truth(part, root, skip) for part in tree.parts]
    if settling in parts:
        return settling
    return None if None in parts else not settling


def _tested(test: Test, root: object, skip: str) -> bool | None:
    low, high = _range(test.value, root, skip)
    if test.constant is None:
        return (low is None) is (test.sign == "==")
    if low is None:
        return None
    if test.sign in ("==", "!="):
        equal = _equal(low, high, test.constant)
        return equal if equal is None or test.sign == "==" else not equal
    first, last = (_COMPARED[test.sign](end, test.constant) for end in (low, high))
    return first if first is last else None


def _equal(low: Any, high: Any, constant: Constant) -> bool | None:
    if low == high:
        return bool(low == constant)
    return None if low <= constant <= high else False


def _range(value: Field | Length | Count, root: object, skip: str) -> tuple[Any, Any]:
    """Give the least and the greatest that a value can be; (None, None) when not known."""
    if isinstance(value, Count):
        truths = [
            _truth(value.condition, item, value.collection)
            for item in _items(root, value.collection)
        ]
        sure = truths.count(True)
        return sure, sure + truths.count(None)
    path = value.place.path.removeprefix(f"{skip}.") if skip else value.place.path
    found: Any = _found(value.place, root, path)
    if isinstance(value, Length):
        found = None if found is None else len(found)
    return found, found


def _found(place: Place, root: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(root, dict):
            # A cause without an error is left out of its table: that is 0, not unknown.
            root = root.get(step, 0 if place.kind == "number" else None)
        else:
            root = getattr(root, step, None)
    return root


def _items(record: Any, path: str) -> Iterator[Any]:
    """Give the items of a list, and of the lists inside of lists that the path leads through."""
    for step in path.split("."):
        record = [getattr(item, step) for item in _each(record) if item is not None]
        record = [part for item in record for part in _each(item)]
    yield from record


def _each(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _values(tree: Tree, root: object) -> Iterator[str]:
    seen = set()
    for test in _outer_tests(tree):
        name = _name(test.value)
        if name not in seen:
            seen.add(name)
            yield f"{name} is {_shown(*_range(test.value, root, ''))}"


def _outer_tests(tree: Tree) -> Iterator[Test]:
    if isinstance(tree, Test):
        yield tree
    else:
        parts = (tree.inner,) if isinstance(tree, Not) else tree.parts
        for part in parts:
            yield from _outer_tests(part)


def _name(value: Field | Length | Count) -> str:
    if isinstance(value, Count):
        return one_line(value.text, _WIDTH)
    return f"len({value.place.path})" if isinstance(value, Length) else value.place.path


def _shown(low: Any, high: Any) -> str:
    if low != high:
        return f"{low} to {high}"
    if low is None:
        return "not known"
    if isinstance(low, bool):
        return "true" if low else "false"
    return f'"{one_line(low, _WIDTH)}"' if isinstance(low, str) else f"{low:.6g}"
