"""Conditions that fail a pipeline: their grammar, their fields, and what they decide."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comparisons import hostile_comparison, poor_comparison, sample_comparison, three_arms
from evaltrace.comparison import AuditItem, Comparison
from evaltrace.errors import EvaltraceError
from evaltrace.gate import (
    Decision,
    Outcome,
    WrongCondition,
    evaluate,
    evaluate_all,
    parse_condition,
    worst,
)
from evaltrace.gate.fields import locate, paths

SAMPLE = sample_comparison()


def clean(**changes: Any) -> Comparison:
    """The sample without anything in its audit, so that only the condition decides."""
    return sample_comparison(**{"audit": [], **changes})


def decided(text: str, comparison: Comparison | None = None) -> Decision:
    return evaluate(parse_condition(text), comparison or clean()).decision


# The sample: difference 0.2067 (0.0370 to 0.3457), 25 pairs, 6 gained, 1 lost task.


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("reward.difference.low < -0.05", False),
        ("reward.difference.low < 0.05", True),
        ("reward.difference.low<5%", True),
        ("reward.difference.low < +3.6e-2", False),
        (".pairs.tasks >= 25", True),
        ("pairs.tasks > 25", False),
        ("pairs.tasks <= 24.9", False),
        ("pairs.tasks == 25", True),
        ("pairs.tasks != 25", False),
        ('verdict.finding == "better"', True),
        ("verdict.finding != 'better'", False),
        ("sensitivity.survives == false", False),
        ("sensitivity.missing.differential == false", True),
        ("sensitivity.tipping_point == null", True),
        ("reward.difference.low != null", True),
        ("len(flips.lost) == 1", True),
        ("len(denominators.baseline.errored_by_cause) == 2", True),
        ("denominators.baseline.errored_by_cause.sandbox_failed >= 2", False),
        ("denominators.baseline.errored_by_cause.verifier_failed == 0", True),
        ('method.versions.numpy == "2.4.6"', True),
        ("count(flips.lost.passed_treatment < 2) == 1", True),
        ('count(groups.rows.value == "hard" and groups.rows.lead == false) == 1', True),
        ("count(groups.rows.difference.n == 3) == 5", True),
        ('count(problems.code == "unreadable_result") > 0', True),
        ("not pairs.tasks == 25", False),
        ("not not pairs.tasks == 25", True),
        ("pairs.tasks == 1 and pairs.tasks == 2 or pairs.tasks == 25", True),
        ("pairs.tasks == 25 or pairs.tasks == 2 and pairs.tasks == 1", True),
        ("(pairs.tasks == 25 or pairs.tasks == 2) and pairs.tasks == 1", False),
        ("not pairs.tasks == 25 or pairs.tasks == 25", True),
        ("not (pairs.tasks == 25 or pairs.tasks == 25)", False),
    ],
)
def test_a_true_condition_fails_and_another_holds(text: str, true: bool) -> None:
    assert decided(text) == ("fails" if true else "holds")


UNKNOWN = "sensitivity.tipping_point < 3"
TRUE, FALSE = "pairs.tasks == 25", "pairs.tasks == 24"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (UNKNOWN, "undecided"),
        ("sensitivity.tipping_point == 3", "undecided"),
        ("sensitivity.tipping_point != 3", "undecided"),
        (f"not {UNKNOWN}", "undecided"),
        (f"{UNKNOWN} and {TRUE}", "undecided"),
        (f"{UNKNOWN} and {FALSE}", "holds"),
        (f"{FALSE} and {UNKNOWN}", "holds"),
        (f"{UNKNOWN} or {TRUE}", "fails"),
        (f"{TRUE} or {UNKNOWN}", "fails"),
        (f"{UNKNOWN} or {FALSE}", "undecided"),
        (f"not ({UNKNOWN} and {FALSE})", "fails"),
    ],
)
def test_what_is_not_known_leaves_undecided_what_depends_on_it(
    text: str, expected: Decision
) -> None:
    assert decided(text) == expected


def test_null_is_known_to_be_null_whatever_else_is_unknown() -> None:
    poor = poor_comparison(audit=[])
    assert decided("cost.ratio.low == null", poor) == "fails"
    assert decided("cost.ratio.low > 1.5", poor) == "undecided"
    assert decided("cost.ratio.low != null", poor) == "holds"


def test_a_count_with_unknown_items_is_a_range() -> None:
    # Every task of the sample knows its baseline's cost; one of 26 lacks the treatment's.
    assert decided("count(tasks.treatment_cost > 0) >= 25") == "fails"
    assert decided("count(tasks.treatment_cost > 0) > 26") == "holds"
    assert decided("count(tasks.treatment_cost > 0) > 25") == "undecided"
    assert decided("count(tasks.treatment_cost > 0) == 25") == "undecided"
    assert decided("count(tasks.treatment_cost > 0) != 24") == "fails"
    assert decided("count(tasks.treatment_cost == null) == 1") == "fails"


def test_without_a_pair_nothing_holds() -> None:
    none = clean(pairs=msgspec.structs.replace(SAMPLE.pairs, tasks=0))
    assert decided("reward.difference.low < -1", none) == "undecided"
    assert decided("verdict.blockers > 5", none) == "undecided"
    assert decided("pairs.tasks < 5", none) == "fails"


def test_a_blocker_forbids_to_pass_unless_the_condition_is_about_the_audit() -> None:
    assert sum(item.grade == "blocker" for item in SAMPLE.audit) == 1
    assert decided("reward.difference.low < -0.05", SAMPLE) == "undecided"
    assert decided("reward.difference.low < 0.05", SAMPLE) == "fails"
    both = 'reward.difference.low < -0.05 or count(audit.grade == "blocker") > 1'
    assert decided(both, SAMPLE) == "holds"
    assert decided("verdict.blockers > 1 or reward.difference.low < -0.05", SAMPLE) == "holds"
    assert decided("len(audit) > 100", SAMPLE) == "holds"
    assert decided('count(audit.code == "x") > 0', SAMPLE) == "holds"
    mixed = 'reward.difference.low < -0.05 or count(audit.code == "x") > 0'
    assert decided(mixed, SAMPLE) == "undecided"
    assert decided('count(audit.grade == "blocker") > 0', SAMPLE) == "fails"
    warned = [item for item in SAMPLE.audit if item.grade != "blocker"]
    assert decided("reward.difference.low < -0.05", clean(audit=warned)) == "holds"


def test_the_sentence_gives_the_values() -> None:
    outcome = evaluate(parse_condition("reward.difference.low  <\n0.05"), clean())
    assert outcome == Outcome(
        condition="reward.difference.low < 0.05",
        treatment="codesearch",
        decision="fails",
        sentence="reward.difference.low < 0.05: true, so the gate fails "
        "(reward.difference.low is 0.0369809)",
    )
    text = 'count(tasks.treatment_cost > 0) > 25 or verdict.finding == "worse"'
    assert evaluate(parse_condition(text), clean()).sentence.endswith(
        '(count(tasks.treatment_cost > 0) is 25 to 26; verdict.finding is "better")'
    )
    unknown = evaluate(parse_condition(UNKNOWN), clean())
    assert unknown.sentence.endswith("(sensitivity.tipping_point is not known)")


def test_every_treatment_is_held_against_the_condition() -> None:
    arms = three_arms(audit=[])
    labels = [arms.arms.treatment.label, *(arm.arms.treatment.label for arm in arms.further)]
    outcomes = evaluate_all([parse_condition("pairs.tasks < 1")], arms)
    assert [outcome.treatment for outcome in outcomes] == labels
    assert len(set(labels)) == 2
    assert all(row.sentence.startswith(f"{row.treatment}: pairs.tasks < 1") for row in outcomes)


def test_one_failing_condition_settles_it() -> None:
    conditions = [parse_condition(text) for text in (FALSE, UNKNOWN, TRUE)]
    outcomes = evaluate_all(conditions, clean())
    assert [outcome.decision for outcome in outcomes] == ["holds", "undecided", "fails"]
    assert worst(outcomes) == "fails"
    assert worst(outcomes[:2]) == "undecided"
    assert worst(outcomes[:1]) == "holds"
    assert worst([]) == "holds"


# What is refused.


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("reward.diference.low < 0", ["reward.diference.low", "reward.difference.low"]),
        ("reward.difference.lo < 0", ["reward.difference.low"]),
        ("metod.seed == 1", ["method.seed"]),
        ("denominators.baseline.errored_by_cause.sandbox > 1", ["sandbox_failed"]),
        ("low < 0", ["reward.difference.low"]),
        ("zzz < 0", ["The comparison has schema_version"]),
        ("pairs.tasks.zzz < 0", ["no such field"]),
        ('count(audit.grad == "note") > 1', ["audit.grade"]),
        ('count(audit.grade == "bloker") > 1', ["never that", "blocker"]),
        ('verdict.finding == "improved"', ["never that", "better"]),
        ("verdict.finding == better", ['Texts stand in quotes: "better"']),
        ('verdict.finding > "better"', ["only == and !="]),
        ("sensitivity.survives > true", ["only == and !="]),
        ("reward.difference.low < null", ["only == and !="]),
        ('pairs.tasks == "25"', ["pairs.tasks is a number"]),
        ("pairs.tasks == true", ["pairs.tasks is a number"]),
        ("sensitivity.survives == 1", ["true or false"]),
        ("len(flips.lost) == true", ["number of items"]),
        ("pairs > 1", ["is a record", "pairs.tasks"]),
        ("cost.ratio == null", ["is a record", "cost.ratio.estimate"]),
        ("pairs.wins < pairs.losses", ["expected a number", "a field and a constant"]),
        ("audit > 1", ["is a list", "len(audit)"]),
        ('audit.grade == "note"', ["leads through a list", "count(audit.grade"]),
        ("len(pairs) > 1", ["not a list"]),
        ("len(flips.lost.tests.fixed_tests) > 1", ["leads through a list"]),
        ("count(pairs.tasks > 1) > 1", ["one and the same list"]),
        ('count(audit.grade == "note" or tools.treated == true) > 1', ["one and the same list"]),
        ("count(count(tasks.difference > 0) > 1) > 1", ["a count inside a count"]),
        ("sum(tasks.difference) > 1", ["only len and count"]),
        ("pairs.tasks = 1", ["==", "character 13"]),
        ("pairs.tasks", ["expected one of"]),
        ("pairs.tasks <", ["it ends there"]),
        ("pairs.tasks < 1 pairs.tasks < 2", ["expected and, or, or the end"]),
        ("pairs.tasks < 1 and", ["expected a field"]),
        ("(pairs.tasks < 1", ["expected )"]),
        ("pairs.tasks < 1)", ["expected and, or, or the end"]),
        ("1 < pairs.tasks", ["expected a field"]),
        ("not", ["expected a field"]),
        ("true == true", ["expected a field"]),
        ("pairs.tasks < 1e999", ["too large"]),
        ("pairs.tasks < nan", ["expected a number"]),
        ("pairs.tasks < 1x", ["expected a number"]),
        ("pairs.tasks < ٣", ["expected a number"]),
        ('verdict.sentence == "open', ["expected a number, a text"]),
        (" \n", ["empty condition"]),
        ("(" * 60 + "pairs.tasks < 1" + ")" * 60, ["nested more than"]),
        ("not " * 400 + "pairs.tasks < 1", ["nested more than"]),
        ("pairs.tasks < 1 or " * 200, ["more than 2,000 characters"]),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write_instead(text: str, words: list[str]) -> None:
    with pytest.raises(WrongCondition) as caught:
        parse_condition(text)
    assert isinstance(caught.value, EvaltraceError)
    assert isinstance(caught.value, ValueError)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_deep_but_bounded_nesting_is_read() -> None:
    assert decided("(" * 40 + TRUE + ")" * 40) == "fails"


_PIECES = (
    *("reward.difference.low", "pairs.tasks", "audit.grade", "audit", "count(", "len(", "(", ")"),
    *("and", "or", "not", "<", "<=", "==", "!=", "=", "0.05", "-3", "5%", "1e400", "'note'"),
    *('"blocker"', "true", "null", "..", "[]", "x.y", "$", "\n"),
)


@given(
    st.one_of(st.text(max_size=60), st.lists(st.sampled_from(_PIECES), max_size=14).map(" ".join))
)
@example("reward." * 250 + "x < 1")
@example("\ud800.x < 1")
@example("not(" * 30)
def test_the_parser_raises_nothing_but_its_own_error(text: str) -> None:
    fault = ""
    try:
        condition = parse_condition(text)
    except WrongCondition as error:
        fault = str(error)
    else:
        assert evaluate(condition, SAMPLE).decision in ("holds", "undecided", "fails")
    assert "\x1b" not in fault
    assert len(fault) < 1500


def test_every_path_of_a_comparison_is_a_field() -> None:
    document = msgspec.to_builtins(three_arms())
    found = set(_paths_in(document, ""))
    assert len(found) > 300
    for path in sorted(found):
        assert locate(path).path == path


def test_every_field_that_has_a_value_can_be_tested() -> None:
    tested = 0
    for path in paths():
        place = locate(path)
        if place.kind in ("number", "text", "truth"):
            text = f"{path} != null"
            condition = parse_condition(f"count({text}) >= 0" if place.collection else text)
            assert evaluate(condition, clean()).decision == "fails" or not place.collection
            tested += 1
    assert tested > 500


def _paths_in(value: Any, above: str) -> Any:
    """Give the paths of a document as a script would write them."""
    if isinstance(value, list):
        for item in value:
            yield from _paths_in(item, above)
    elif isinstance(value, dict):
        for key, item in value.items():
            path = f"{above}.{key}" if above else key
            if re.fullmatch(r"[\w.-]+", path):
                yield path
                yield from _paths_in(item, path)


def test_hostile_values_stay_on_one_short_line() -> None:
    hostile = hostile_comparison()
    text = 'verdict.sentence == "x" or arms.treatment.label == "y"'
    [outcome, *_] = evaluate_all([parse_condition(text)], hostile)
    assert "\n" not in outcome.sentence
    assert "\x1b" not in outcome.sentence
    assert len(outcome.sentence) < 500


def test_the_audit_is_read_from_its_items() -> None:
    items = [
        AuditItem(grade=grade, code="x", field="y", message="z")
        for grade in ("blocker", "blocker", "note")
    ]
    assert decided('count(audit.grade == "blocker") == 2', clean(audit=items)) == "fails"
    assert decided('count(audit.grade == "warning") > 0', clean(audit=items)) == "holds"
    assert decided("count(audit.baseline == null) == 3", clean(audit=items)) == "fails"
