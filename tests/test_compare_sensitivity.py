"""Sensitivity: other ways to count what is missing, checked by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus_arms import lab, lab_truth, needs_corpus
from evaltrace.compare.effects.effect import measure_effect
from evaltrace.compare.effects.sensitivity import judge_sensitivity
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pairing
from evaltrace.comparison import Interval, Sensitivity
from sides import metric, paired, pairing, reversed_attempts, trial

OPTIONS = CompareOptions()
AS_FAIL = CompareOptions(on_missing="as-fail")


def _pairs(baseline: Sequence[float | None], treatment: Sequence[float | None]) -> Pairing:
    return pairing(
        {f"t{i:02}": [value] for i, value in enumerate(baseline)},
        {f"t{i:02}": [value] for i, value in enumerate(treatment)},
    )


def _by_name(found: Sensitivity) -> dict[str, Interval]:
    return {row.name: row.difference for row in found.analyses}


# Ten tasks: six pass and one is lost in the baseline, seven pass and two are lost in the treatment.
MANSKI = _pairs([1, 1, 1, 1, 1, 1, 0, 0, 0, None], [1, 1, 1, 1, None, None, 1, 1, 1, 0])


def test_bounds_and_failures_over_all_tasks_that_were_started() -> None:
    found = judge_sensitivity(MANSKI, metric(), OPTIONS)
    rows = _by_name(found)
    assert {name: round(row.estimate or 0, 9) for name, row in rows.items()} == {
        "valid_only": round(3 / 7, 9),
        "as_run": round(3 / 7, 9),
        "missing_as_fail": 0.1,
        "worst_case": 0.0,
        "best_case": 0.3,
    }
    assert {name: row.n for name, row in rows.items()} == {
        "valid_only": 7, "as_run": 7, "missing_as_fail": 10, "worst_case": 10, "best_case": 10,
    }  # fmt: skip
    assert [row.name for row in found.analyses if row.primary] == ["valid_only"]
    assert found.survives is True
    assert (found.missing.baseline, found.missing.baseline_of) == (1, 10)
    assert (found.missing.treatment, found.missing.treatment_of) == (2, 10)
    # Of three tasks one was lost in the baseline, two in the treatment: P(|S| > 1) + P(= 1)/2.
    assert found.missing.p == pytest.approx(2 / 8 + 6 / 8 / 2)


def test_where_less_is_better_the_worst_case_is_the_other_way() -> None:
    fewer = metric("fraction", better="lower")
    rows = _by_name(judge_sensitivity(MANSKI, fewer, OPTIONS))
    assert rows["worst_case"].estimate == pytest.approx(0.3)
    assert rows["best_case"].estimate == pytest.approx(0)
    assert rows["missing_as_fail"].estimate is None


def test_a_recorded_value_counts_as_run_whatever_the_error() -> None:
    pairs = paired(
        [trial(1, task="a"), trial(0, task="b")],
        [trial(1, task="a"), trial(None, task="b", recorded=1.0)],
    )
    rows = _by_name(judge_sensitivity(pairs, metric(), OPTIONS))
    assert (rows["valid_only"].estimate, rows["valid_only"].n) == (0.0, 1)
    assert (rows["as_run"].estimate, rows["as_run"].n) == (0.5, 2)


def test_a_running_trial_is_missing_in_the_bounds() -> None:
    pairs = paired(
        [trial(1, task="a"), trial(1, task="b")],
        [trial(1, task="a"), trial(None, task="b", state="running")],
    )
    found = judge_sensitivity(pairs, metric(), OPTIONS)
    assert found.missing.treatment == 1
    assert _by_name(found)["worst_case"].estimate == -0.5


def test_attempts_are_missing_one_by_one() -> None:
    pairs = pairing({"a": [1, 1]}, {"a": [1, None]})
    rows = _by_name(judge_sensitivity(pairs, metric(), OPTIONS))
    assert rows["valid_only"].estimate == 0
    assert rows["missing_as_fail"].estimate == -0.5


def test_nothing_missing_changes_nothing() -> None:
    found = judge_sensitivity(_pairs([0] * 8, [1] * 8), metric(), OPTIONS)
    differences = [row.difference for row in found.analyses]
    assert differences == [differences[0]] * 5
    assert (found.survives, found.tipping_point) == (True, None)
    assert found.missing.statement == "Every started trial has a value that counts."


# Findings.


def test_a_finding_that_hangs_on_the_missing_does_not_survive() -> None:
    found = judge_sensitivity(_pairs([0] * 8, [1] * 7 + [None]), metric(), OPTIONS)
    assert found.survives is True
    lost = judge_sensitivity(_pairs([0] * 7 + [1] * 3, [1] * 7 + [None] * 3), metric(), OPTIONS)
    assert {row.name: row.finding for row in lost.analyses} == {
        "valid_only": "better",
        "as_run": "better",
        "missing_as_fail": "no_difference_shown",
        "worst_case": "no_difference_shown",
        "best_case": "better",
    }
    assert lost.survives is False
    assert "as failures it is no difference shown" in lost.statement


def test_the_missing_that_must_fail_to_undo_a_finding_are_counted() -> None:
    # 8 of 12 gained. One more loss: 7/15 - 2.145 sqrt(.5524/15) = +.055; two: 6/16 - .430 < 0.
    found = judge_sensitivity(
        _pairs([0] * 12 + [1] * 3, [1] * 8 + [0] * 4 + [None] * 3), metric(), OPTIONS
    )
    assert found.tipping_point == 2
    assert "It takes 2 of the treatment's 3 missing attempts to undo it." in found.statement


def test_the_missing_that_must_pass_to_undo_a_loss_are_counted() -> None:
    found = judge_sensitivity(
        _pairs([1] * 12 + [0] * 3, [0] * 8 + [1] * 4 + [None] * 3), metric(), OPTIONS
    )
    assert found.analyses[0].finding == "worse"
    assert found.tipping_point == 2


def test_missing_attempts_too_few_to_undo_a_finding_have_no_tipping_point() -> None:
    found = judge_sensitivity(_pairs([0] * 13, [1] * 12 + [None]), metric(), OPTIONS)
    assert found.analyses[0].finding == "better"
    assert found.tipping_point is None


def test_nothing_paired_is_nothing_found() -> None:
    found = judge_sensitivity(pairing({"a": [1]}, {"b": [None]}), metric(), OPTIONS)
    assert (found.survives, found.missing.p) == (None, None)
    assert all(row.finding is None for row in found.analyses)


# Which is primary.


def test_missing_as_failures_may_be_the_primary_way() -> None:
    pairs = paired(
        [trial(1, task="a"), trial(1, task="b")],
        [trial(1, task="a"), trial(0, task="b", state="errored")],
    )
    found = judge_sensitivity(pairs, metric(), AS_FAIL)
    [primary] = [row for row in found.analyses if row.primary]
    assert primary.name == "missing_as_fail"
    assert primary.difference == measure_effect(pairs, metric(), AS_FAIL).difference
    assert _by_name(found)["valid_only"].estimate == 0
    assert found.missing.treatment == 1


def test_numbers_without_limits_have_no_bounds() -> None:
    cost = metric("number", field="metrics.cost.usd", better="lower")
    found = judge_sensitivity(_pairs([3, 4, 5], [1, 2, None]), cost, AS_FAIL)
    rows = _by_name(found)
    for name in ("missing_as_fail", "worst_case", "best_case"):
        assert rows[name].estimate is None
        assert "not applicable" in (rows[name].note or "")
    assert found.analyses[0].primary
    assert found.survives is None


# Whether one arm lost more.


@pytest.mark.parametrize(
    ("baseline", "treatment", "differential"),
    [(0, 2, False), (0, 3, True), (3, 0, True), (3, 5, False), (3, 6, True), (0, 0, False)],
)
def test_an_arm_that_lost_twice_as_many_and_three_more_is_pointed_out(
    baseline: int, treatment: int, differential: bool
) -> None:
    pairs = _pairs(
        [None] * baseline + [1] * (20 - baseline), [1] * (20 - treatment) + [None] * treatment
    )
    missing = judge_sensitivity(pairs, metric(), OPTIONS).missing
    assert missing.differential is differential
    assert ("one arm lost more" in missing.statement) is differential


def test_arms_of_different_size_are_held_against_their_rates() -> None:
    baseline = {f"t{i:02}": [1, 1, 1, None] for i in range(10)}
    treatment = {f"t{i:02}": [1, None if i in (0, 1) else 1] for i in range(10)}
    # 10 of 40 against 2 of 20: 4 of 40 at the same rate, so 6 more and more than twice.
    missing = judge_sensitivity(pairing(baseline, treatment), metric(), OPTIONS).missing
    assert (missing.baseline, missing.treatment, missing.differential) == (10, 2, True)


# Invariances.

values = st.lists(st.sampled_from([0.0, 1.0, None]), min_size=1, max_size=3)


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(values, values), min_size=1))
def test_every_way_to_count_lies_between_the_bounds(
    rows: dict[str, tuple[list[float | None], list[float | None]]],
) -> None:
    pairs = pairing({t: a for t, (a, _) in rows.items()}, {t: b for t, (_, b) in rows.items()})
    found = judge_sensitivity(pairs, metric(), OPTIONS)
    by_name = _by_name(found)
    worst, best = by_name["worst_case"].estimate, by_name["best_case"].estimate
    failing = by_name["missing_as_fail"].estimate
    assert worst is not None
    assert best is not None
    assert failing is not None
    assert worst - 1e-12 <= failing <= best + 1e-12
    assert judge_sensitivity(reversed_attempts(pairs), metric(), OPTIONS) == found


# Real jobs.


@needs_corpus
def test_the_laboratory_lost_what_it_was_made_to_lose() -> None:
    _, _, pairs = lab()
    found = judge_sensitivity(pairs, metric("fraction"), OPTIONS)
    truth = lab_truth()["aggregates"]
    assert found.missing.baseline == 48 - truth["baseline"]["n_valid"]
    assert found.missing.treatment == 48 - truth["mcp"]["n_valid"]
    # Two attempts at each of 24 tasks: the mean over trials is the mean over tasks.
    first, second = (
        truth[arm]["mean_reward_valid"] * truth[arm]["n_valid"] / 48 for arm in ("baseline", "mcp")
    )
    rows = _by_name(found)
    assert rows["missing_as_fail"].estimate == pytest.approx(second - first)
    assert rows["worst_case"].estimate == pytest.approx(second - first - 6 / 48)
    assert rows["best_case"].estimate == pytest.approx(second - first + 7 / 48)
