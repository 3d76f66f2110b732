"""Reports for programs: JSON, JUnit XML and GitHub's workflow commands."""

from __future__ import annotations

import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparisons import hostile_comparison, poor_comparison, sample_comparison, three_arms
from evaltrace.comparison import AuditItem, Comparison, Interval, Verdict
from evaltrace.gate import Outcome, evaluate_all, parse_condition
from evaltrace.reports.machine import render_github, render_json, render_junit

SAMPLES = [sample_comparison(), poor_comparison(), hostile_comparison(), three_arms()]
FIXED = """
verdict.sentence reward.baseline.mean reward.baseline.low reward.baseline.high
reward.treatment.n_tasks reward.treatment.n_trials reward.difference.estimate
reward.difference.low reward.difference.high reward.difference.p reward.difference.method
pairs.tasks pairs.only_baseline pairs.only_treatment denominators.baseline.planned
denominators.treatment.started denominators.baseline.errored denominators.baseline.cancelled
denominators.treatment.unscored denominators.treatment.valid compliance.baseline.used
compliance.treatment.available compliance.treatment.connected compliance.treatment.never_used
compliance.treatment.not_connected compliance.baseline.contaminated flips.gained flips.lost
flips.unstable cost.ratio.estimate cost.ratio.low cost.ratio.high sensitivity power
"""
"""Paths that users were promised."""

FAILING, HOLDING = "len(flips.lost) > 0", "len(audit) > 1000"


def outcomes(comparison: Comparison, *conditions: str) -> list[Outcome]:
    return evaluate_all([parse_condition(text) for text in conditions], comparison)


def saying(sentence: str) -> Comparison:
    return sample_comparison(verdict=Verdict(finding="better", sentence=sentence))


# JSON.


@pytest.mark.parametrize("comparison", SAMPLES)
def test_json_reads_back_as_the_same_comparison(comparison: Comparison) -> None:
    text = render_json(comparison)
    assert msgspec.json.decode(text, type=Comparison) == comparison
    assert text == render_json(comparison)
    assert text.startswith('{\n  "schema_version": "1.0",\n')
    assert text.endswith("}\n")


def test_fields_that_scripts_know_are_where_they_expect_them() -> None:
    document = json.loads(render_json(sample_comparison()))
    for path in FIXED.split():
        value: Any = document
        for step in path.split("."):
            value = value[step]
        assert value is not None, path
    assert isinstance(document["audit"], list)
    assert isinstance(document["inputs"], list)


def test_what_is_no_number_and_no_character_does_not_get_into_json() -> None:
    odd = Interval(estimate=float("nan"), low=float("-inf"), high=0.5, note="a\ud800b")
    found = json.loads(render_json(odd), parse_constant=pytest.fail)
    assert (found["estimate"], found["low"], found["high"]) == (None, None, 0.5)
    assert found["note"] == "a\ufffdb"


def test_a_part_of_a_comparison_is_written_alike() -> None:
    audit = sample_comparison().audit
    assert [row["code"] for row in json.loads(render_json(audit))] == [row.code for row in audit]


# JUnit.


def cases(comparison: Comparison, *conditions: str) -> list[tuple[str, str, str]]:
    """Give suite, name and result of each case; the counts of the report must fit them."""
    root = ET.fromstring(render_junit(comparison, outcomes(comparison, *conditions)))
    found = []
    for suite in root:
        for case in suite:
            result = [part.tag for part in case if part.tag != "system-out"]
            found.append((suite.get("name", ""), case.get("name", ""), (*result, "passed")[0]))
        assert int(suite.get("tests", "")) == len(suite)
    results = [result for _, _, result in found]
    counts = [results.count(kind) for kind in ("failure", "error", "skipped")]
    assert [root.get(name) for name in ("tests", "failures", "errors", "skipped")] == [
        str(number) for number in (len(found), *counts)
    ]
    return found


def test_junit_has_a_case_for_each_condition_blocker_and_flip() -> None:
    found = cases(sample_comparison(), FAILING, HOLDING, "reward.difference.low < -0.05")
    assert found == [
        ("verdict", "codesearch against baseline", "passed"),
        ("gate", "len(flips.lost) > 0", "failure"),
        ("gate", "len(audit) > 1000", "passed"),
        ("gate", "reward.difference.low < -0.05", "error"),
        ("audit of codesearch", "instruction_differs (task_instruction)", "skipped"),
        ("flips of codesearch", "cache-eviction-race", "skipped"),
        ("flips of codesearch", "archive-merge-streams", "passed"),
        ("flips of codesearch", "billing-proration", "passed"),
        ("flips of codesearch", "archive-resume-offset", "passed"),
        ("flips of codesearch", "config-schema-upgrade", "passed"),
    ]


def test_junit_says_why() -> None:
    text = render_junit(sample_comparison(), outcomes(sample_comparison(), FAILING))
    root = ET.fromstring(text)
    messages = [fault.get("message", "") for fault in root.iter("failure")]
    assert messages[0] == ("len(flips.lost) > 0: true, so the gate fails (len(flips.lost) is 1)")
    assert len(messages) == 1
    skipped = [fault.get("message", "") for fault in root.iter("skipped")]
    assert "passed 3 of 3 attempts in the baseline, 1 of 3 in the treatment" in skipped[1]
    [said, *_] = [out.text for out in root.iter("system-out")]
    assert said == sample_comparison().verdict.sentence


def test_junit_is_never_without_a_case() -> None:
    assert [case[2] for case in cases(poor_comparison(audit=[]))] == ["passed"]


def test_junit_names_the_arm_of_a_condition_where_there_are_several() -> None:
    names = [name for suite, name, _ in cases(three_arms(), HOLDING) if suite == "gate"]
    assert names == ["codesearch: len(audit) > 1000", "codesearch-lite: len(audit) > 1000"]


NASTY = "a]]>\x00\x1b[31m<b>&amp;\r\n\ufffe\ud800\u202e\x85\"'"


@given(st.text(st.characters(), max_size=40))
def test_junit_is_well_formed_whatever_the_texts_are(text: str) -> None:
    item = AuditItem(grade="blocker", code="x", field="y", message=NASTY + text)
    rendered = render_junit(saying(text + NASTY)) + render_junit(sample_comparison(audit=[item]))
    for document in rendered.split('<?xml version="1.0" encoding="UTF-8"?>\n')[1:]:
        ET.fromstring(document.encode())
    assert "\x1b" not in rendered


# GitHub.


COMMAND = re.compile(r"::(error|warning|notice) title=([^:,]*)::(.*)")


def annotations(comparison: Comparison, *conditions: str) -> list[tuple[str, str, str]]:
    lines = render_github(comparison, outcomes(comparison, *conditions)).splitlines()
    found = [COMMAND.fullmatch(line) for line in lines]
    assert all(found), lines
    return [(match[1], match[2], match[3]) for match in found if match]


def test_github_gets_the_verdict_blockers_losses_and_the_gate() -> None:
    found = annotations(sample_comparison(), FAILING, HOLDING, "reward.difference.low < -0.05")
    assert [level for level, _, _ in found] == [
        *("notice", "error", "warning"),
        *("error", "notice", "warning"),
    ]
    assert found[0][1] == "codesearch against baseline"
    assert found[0][2] == sample_comparison().verdict.sentence.replace("%", "%25")
    assert found[1][1] == "audit blocker%3A codesearch against baseline"
    assert found[2][2] == "1 lost: cache-eviction-race"
    assert found[3][1:] == (
        "gate fails",
        "len(flips.lost) > 0: true, so the gate fails (len(flips.lost) is 1)",
    )


def test_a_loss_is_a_warning() -> None:
    worse = Verdict(finding="leaning_worse", sentence="it lost")
    [first, *_] = annotations(sample_comparison(verdict=worse))
    assert first == ("warning", "codesearch against baseline", "it lost")


def test_long_lists_are_cut_with_a_count() -> None:
    blockers = [
        AuditItem(grade="blocker", code="x", field="y", message=f"number {number}")
        for number in range(9)
    ]
    flips = sample_comparison().flips
    many = msgspec.structs.replace(flips, lost=flips.lost * 14)
    found = annotations(sample_comparison(audit=blockers, flips=many))
    assert [text for level, _, text in found if level == "error"][-2:] == [
        "number 4",
        "and 4 more",
    ]
    assert found[-1][2].startswith("14 lost: ")
    assert found[-1][2].endswith(" and 4 more")


@given(st.text(st.characters(), max_size=60))
def test_no_text_ends_a_command_or_begins_another(text: str) -> None:
    for sentence in (text, f"x\n::error::{text}", f"x\r\n::set-output name=a::{text}\u2028##[add]"):
        comparison = saying(sentence)
        comparison.arms.treatment.label = sentence
        assert len(annotations(comparison)) == 3


def test_hostile_texts_stay_within_their_commands() -> None:
    for shift in range(8):
        found = annotations(hostile_comparison(shift), FAILING)
        assert all(len(text) < 1500 and len(title) < 400 for _, title, text in found)
        assert len(found) < 20
