"""The comparison as JUnit XML: what a pipeline lists beside its tests.

The verdict, the gate's conditions, the blockers of the audit, and the tasks that flipped. Only
a condition of the gate can fail, or be an error where it could not be decided, so that a report
is red where the command's exit code is; blockers and lost tasks are marked as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from xml.etree import ElementTree as ET

from evaltrace.comparison import Comparison, Flip
from evaltrace.untrusted import one_line

if TYPE_CHECKING:
    from evaltrace.gate import Decision, Outcome

_NAME = 300
_MESSAGE = 1000
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


_KINDS: dict[Decision, Literal["failure", "error", "skipped", "system-out"]] = {
    "fails": "failure",
    "undecided": "error",
    "holds": "system-out",
}


@dataclass(frozen=True, slots=True)
class _Case:
    suite: str
    name: str
    kind: Literal["failure", "error", "skipped", "system-out"] | None = None
    """The element that holds the message; the first three say that it did not pass."""
    message: str = ""


def render_junit(comparison: Comparison, outcomes: Sequence[Outcome] = ()) -> str:
    """Write the outcomes of the gate, blockers and flips as the cases of a test report."""
    cases = [*_gate_cases(comparison, outcomes)]
    for arm in (comparison, *comparison.further):
        cases += _audit_cases(arm)
        cases += _flip_cases(arm)
    root = ET.Element("testsuites", {"name": "evaltrace compare", **_counts(cases)})
    for suite in dict.fromkeys(case.suite for case in cases):
        own = [case for case in cases if case.suite == suite]
        element = ET.SubElement(root, "testsuite", {"name": suite, **_counts(own)})
        for case in own:
            _add_case(element, case)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _gate_cases(comparison: Comparison, outcomes: Sequence[Outcome]) -> Iterator[_Case]:
    for arm in (comparison, *comparison.further):
        name = f"{_label(arm)} against {_line(arm.arms.baseline.label, 100)}"
        yield _Case("verdict", name, "system-out", _line(arm.verdict.sentence, _MESSAGE))
    for outcome in outcomes:
        name = outcome.condition
        if comparison.further:
            name = f"{outcome.treatment}: {name}"
        message = _line(outcome.sentence, _MESSAGE)
        yield _Case("gate", _line(name, _NAME), _KINDS[outcome.decision], message)


def _audit_cases(comparison: Comparison) -> Iterator[_Case]:
    suite = f"audit of {_label(comparison)}"
    for item in comparison.audit:
        if item.grade == "blocker":
            name = _line(f"{item.code} ({item.field})", _NAME)
            yield _Case(suite, name, "skipped", _line(item.message, _MESSAGE))


def _flip_cases(comparison: Comparison) -> Iterator[_Case]:
    suite = f"flips of {_label(comparison)}"
    for flip in comparison.flips.lost:
        yield _Case(suite, _line(flip.task, _NAME), "skipped", f"lost: {_passes(flip)}")
    for flip in comparison.flips.gained:
        yield _Case(suite, _line(flip.task, _NAME))


def _label(comparison: Comparison) -> str:
    return _line(comparison.arms.treatment.label, 100)


def _passes(flip: Flip) -> str:
    before = f"passed {flip.passed_baseline} of {flip.of_baseline} attempts in the baseline"
    after = f"{flip.passed_treatment} of {flip.of_treatment} in the treatment"
    trials = f"{flip.baseline.trace_id} against {flip.treatment.trace_id}"
    return _line(f"{before}, {after}; traces {trials}", _MESSAGE)


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    kinds = [case.kind for case in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
    }


def _add_case(suite: ET.Element, case: _Case) -> None:
    element = ET.SubElement(suite, "testcase", classname=case.suite, name=case.name)
    if case.kind is not None:
        kind = {} if case.kind == "system-out" else {"message": case.message}
        if case.kind in ("failure", "error"):
            kind["type"] = case.suite
        ET.SubElement(element, case.kind, kind).text = case.message


def _line(text: str, width: int) -> str:
    return _NO_XML.sub("", one_line(text, width))
