"""The effect: intervals and findings against figures computed by hand or published."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus_arms import lab, lab_truth, needs_corpus, with_symnav
from evaltrace.compare.effects.effect import finding_of, measure_effect, paired_interval
from evaltrace.compare.options import CompareOptions
from evaltrace.comparison import Effect, Interval
from sides import metric, outcomes, pairing, reversed_attempts, swapped

OPTIONS = CompareOptions()
CLUSTERED = CompareOptions(cluster_by="repository")


def _single(d: Sequence[float], kind: str = "binary") -> Interval:
    return paired_interval(d, [1.0] * len(d), kind, OPTIONS)  # type: ignore[arg-type]


def _bounds(interval: Interval) -> tuple[float | None, float | None]:
    return interval.low, interval.high


# One pair of arms, figures from outside.


def test_five_attempts_give_the_plus_two_t_interval_and_the_exact_mid_p() -> None:
    d = [0.2, 0.4, -0.2, 0.6, 0, 0.2, 1, -0.4, 0.2, 0.6]
    found = paired_interval(d, [5.0] * 10, "binary", OPTIONS)
    # The same as the t interval of these ten and +-1/sqrt(5); p = 80/1024 by counting signs.
    assert found.estimate == pytest.approx(0.26)
    assert _bounds(found) == pytest.approx((-0.05672805562, 0.490061389))
    assert found.p == pytest.approx(0.078125)
    assert (found.n, found.method, found.test) == (
        10,
        "plus-two t interval",
        "exact sign-flip test, mid-p",
    )


@pytest.mark.parametrize(
    ("up", "p", "bounds", "finding"),
    [
        (0, 1.0, (-0.270922545, 0.270922545), "no_difference_shown"),
        (5, 0.03125, (-0.0081147721, 0.8414481054), "leaning_better"),
        (6, 0.015625, (0.07163384419, 0.9283661558), "better"),
        (10, 0.0009765625, (0.4665024733, 1.0), "better"),
    ],
)
def test_single_attempts_by_the_number_that_flip(
    up: int, p: float, bounds: tuple[float, float], finding: str
) -> None:
    found = _single([1.0] * up + [0.0] * (10 - up))
    assert found.p == pytest.approx(p)
    assert _bounds(found) == pytest.approx(bounds)
    assert finding_of(found, 0.05) == finding


def test_published_methods_stand_beside_the_default_for_single_attempts() -> None:
    # 89 tasks of Terminal-Bench 2.0, two public runs: 32 both, 18 gained, 5 lost, 34 neither.
    effect = measure_effect(outcomes(32, 18, 5, 34), metric(), OPTIONS)
    assert effect.difference.estimate == pytest.approx(13 / 89)
    assert _bounds(effect.difference) == pytest.approx((0.03725000741, 0.2484642783))
    assert effect.difference.p == pytest.approx(0.006610751152)
    others = {row.method: row for row in effect.alternatives}
    assert _bounds(others["Tango's score interval"]) == pytest.approx((0.0437443124, 0.2526912094))
    assert _bounds(others["Newcombe's interval, method 10"]) == pytest.approx(
        (0.0416114923, 0.2444421598)
    )
    assert _bounds(others["Bonett-Price interval"]) == pytest.approx((0.0392439192, 0.2464703665))
    assert others["Tango's score interval"].p == pytest.approx(0.006610751152)
    # An ordinary t interval: 13/89 -+ t(88) sd/sqrt(89), sd^2 = (23 - 169/89)/88.
    half = 1.987289865 * sqrt((23 - 169 / 89) / 88 / 89)
    assert _bounds(others["paired t interval"]) == pytest.approx((13 / 89 - half, 13 / 89 + half))


def test_tables_of_two_by_two_are_for_single_attempts_only() -> None:
    repeated = pairing({"a": [0, 1], "b": [0, 0]}, {"a": [1, 1], "b": [0, 1]})
    effect = measure_effect(repeated, metric(), OPTIONS)
    # Both tasks gained one half: equal differences have no t either.
    assert effect.alternatives == []


def test_exactly_these_tasks_needs_25_tasks_of_three_attempts() -> None:
    def methods(tasks: int, attempts: int) -> list[str | None]:
        values = {f"t{i:02}": [float(i % 2)] * (attempts - 1) + [0.0] for i in range(tasks)}
        better = {name: [*row[:-1], 1.0] for name, row in values.items()}
        found = measure_effect(pairing(values, better), metric(), OPTIONS)
        return [row.method for row in found.alternatives]

    these = "interval for a repetition on exactly these tasks"
    assert these in methods(25, 3)
    assert these not in methods(24, 3)
    assert these not in methods(25, 2)


def test_attempts_of_the_arms_are_joined_by_their_harmonic_mean() -> None:
    # 2 against 6 attempts are as noisy as 3 against 3: h = 1/sqrt(3).
    uneven = pairing({"a": [1, 1], "b": [0, 0]}, {"a": [1] * 6, "b": [0] * 6})
    even = pairing({"a": [1] * 3, "b": [0] * 3}, {"a": [1] * 3, "b": [0] * 3})
    first, second = (measure_effect(each, metric(), OPTIONS) for each in (uneven, even))
    assert first.difference == second.difference
    # t(3) = 3.182446 of sqrt((2/3)/4 * 4/3 / 4) = sqrt(1/18), cut at 1.
    assert first.difference.high == pytest.approx(3.182446305 * sqrt(1 / 18))


def test_options_may_be_given_as_lists() -> None:
    given: Any = ["category"]
    grouped = pairing({"a": [1, 0], "b": [0]}, {"a": [1], "b": [1]})
    effect = measure_effect(grouped, metric(), CompareOptions(group_by=given))
    assert effect == measure_effect(grouped, metric(), CompareOptions(group_by=("category",)))


# Arms.


def test_an_arm_averages_all_its_tasks_and_the_paired_ones_apart() -> None:
    effect = measure_effect(
        pairing({"a": [1, 0], "b": [1], "c": [0]}, {"a": [1], "c": [1, None], "d": [None]}),
        metric(),
        OPTIONS,
    )
    first, second = effect.baseline, effect.treatment
    assert (first.mean, first.paired_mean) == (0.5, 0.25)
    assert (first.n_tasks, first.n_trials) == (3, 4)
    assert (second.mean, second.paired_mean) == (1.0, 1.0)
    assert (second.n_tasks, second.n_trials) == (2, 2)
    assert effect.difference.estimate == second.paired_mean - first.paired_mean == 0.75


def test_eight_of_ten_single_attempts_bound_a_rate_like_wilson_with_t() -> None:
    arm = {f"t{i}": [float(i < 8)] for i in range(10)}
    found = measure_effect(pairing(arm, arm), metric(), OPTIONS).baseline
    assert (found.mean, found.method) == (0.8, "Wilson interval at the effective number of tasks")
    assert found.low == pytest.approx(0.46, abs=0.005)
    assert found.high == pytest.approx(0.95, abs=0.005)


def test_nothing_paired_is_no_effect_and_no_finding() -> None:
    effect = measure_effect(pairing({"a": [1]}, {"b": [1], "a": [None]}), metric(), OPTIONS)
    assert effect.difference == Interval(note="no pairs")
    assert finding_of(effect.difference, 0.05) is None
    assert effect.treatment.paired_mean is None
    assert effect.smallest_visible is None
    empty = measure_effect(pairing({}, {}), metric(), OPTIONS)
    assert (empty.baseline.mean, empty.baseline.low, empty.baseline.method) == (None, None, None)


# Numbers without limits.


def test_numbers_are_bounded_by_their_subsets_from_six_tasks_on() -> None:
    six = _single([1, 2, 3, 4, 5, 6], "number")
    # Of the 63 subsets' means the lowest and the highest; 2 of 64 signs reach the sum: 1/32/2.
    assert (six.estimate, six.low, six.high) == (3.5, 1.0, 6.0)
    assert six.p == pytest.approx(1 / 64)
    five = _single([1, 2, 3, 4, 5], "number")
    assert (five.estimate, five.low, five.high) == (3.0, None, None)
    assert five.note == "too few tasks to bound the difference"
    assert finding_of(five, 0.05) == "leaning_better"


def test_less_of_a_cost_is_better() -> None:
    values = {f"t{i}": [float(i + 2)] for i in range(8)}
    cheaper = {name: [row[0] - 1.5] for name, row in values.items()}
    found = measure_effect(
        pairing(values, cheaper),
        metric("number", field="metrics.cost.usd", better="lower"),
        OPTIONS,
    )
    assert _bounds(found.difference) == (-1.5, -1.5)
    assert finding_of(found.difference, 0.05, "lower") == "better"
    assert finding_of(found.difference, 0.05, "higher") == "worse"
    assert found.baseline.method == "t interval of the tasks' means"


# Clusters.


def _clustered(groups: dict[str, list[float]]) -> Effect:
    rows = [(f"{name}{i}", name, d) for name, ds in groups.items() for i, d in enumerate(ds)]
    return measure_effect(
        pairing(
            {task: [0.0 if d >= 0 else 1.0] for task, _, d in rows},
            {task: [1.0 if d > 0 else 0.0] for task, _, d in rows},
            clusters={task: name for task, name, _ in rows},
        ),
        metric(),
        CLUSTERED,
    )


def test_four_groups_are_too_few_and_the_tasks_are_the_units() -> None:
    found = _clustered({"a": [1, 1, 0, 1], "b": [0, 0, -1], "c": [1, 0], "d": [0, 0, 1]})
    assert found.difference.method == "plus-two t interval"
    assert "too few groups" in (found.difference.note or "")
    assert found.design_effect is None


def test_groups_that_move_as_one_widen_the_interval() -> None:
    groups = {name: [d, d] for name, d in zip("abcdef", (1, 0, 1, 0, 0, 1), strict=True)}
    found = _clustered(groups)
    assert found.difference.method == "random subsets of groups, with two imaginary ones"
    assert found.difference.test == "exact sign-flip test of whole groups, mid-p"
    # Three groups up, three even: 2 of 8 signs reach the sum, half of them counted.
    assert found.difference.p == pytest.approx(0.125)
    # Residual sums double: CR1^2 = 6/5 * 4S/144, plain^2 = 2S/(11 * 12).
    assert found.design_effect == pytest.approx(2.2)
    assert "groups" in found.assumption
    plain = paired_interval([1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1], [1.0] * 12, "binary", OPTIONS)
    assert (found.difference.low or 0) < (plain.low or 0)
    names = [row.method for row in found.alternatives]
    assert "t interval with CR1 clustered standard error" in names
    assert "t interval with CR3 clustered standard error" in names


def test_one_big_group_is_pointed_out() -> None:
    small = {name: [0.0] for name in "bcdefg"}
    assert "one group holds 40 % of the tasks" in (
        _clustered({"a": [1, 1, 1, 1], **small}).difference.note or ""
    )
    assert _clustered({"a": [1, 1], **small}).difference.note is None


def test_a_task_without_a_group_stands_for_itself() -> None:
    d = [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]
    alone = paired_interval(d, [1.0] * 6, "binary", CLUSTERED, [None] * 6)
    named = paired_interval(d, [1.0] * 6, "binary", CLUSTERED, list("abcdef"))
    assert alone == named


# Invariances.


tasks = st.dictionaries(
    st.sampled_from("abcdefghijkl"),
    st.tuples(
        st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3),
        st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=3),
    ),
    min_size=1,
)


@given(tasks)
def test_changing_the_arms_over_mirrors_everything(
    rows: dict[str, tuple[list[float], list[float]]],
) -> None:
    first = pairing({t: a for t, (a, _) in rows.items()}, {t: b for t, (_, b) in rows.items()})
    there = measure_effect(first, metric("fraction"), OPTIONS)
    back = measure_effect(swapped(first), metric("fraction"), OPTIONS)
    assert back.baseline == there.treatment
    assert back.difference.estimate == pytest.approx(-(there.difference.estimate or 0), abs=1e-12)
    assert back.difference.low == pytest.approx(-(there.difference.high or 0), abs=1e-12)
    assert back.difference.p == pytest.approx(there.difference.p)
    mirror = {"better": "worse", "leaning_better": "leaning_worse"}
    mirror |= {value: key for key, value in mirror.items()}
    finding = str(finding_of(there.difference, 0.05))
    assert finding_of(back.difference, 0.05) == mirror.get(finding, finding)


@given(tasks)
def test_an_arm_against_itself_shows_nothing(
    rows: dict[str, tuple[list[float], list[float]]],
) -> None:
    arm = {task: values for task, (values, _) in rows.items()}
    found = measure_effect(pairing(arm, arm), metric("fraction"), OPTIONS).difference
    assert (found.estimate, found.p) == (0.0, 1.0)
    assert finding_of(found, 0.05) == "no_difference_shown"


@given(tasks)
def test_the_order_of_tasks_and_attempts_changes_nothing(
    rows: dict[str, tuple[list[float], list[float]]],
) -> None:
    first = pairing({t: a for t, (a, _) in rows.items()}, {t: b for t, (_, b) in rows.items()})
    there = measure_effect(first, metric("fraction"), OPTIONS)
    assert measure_effect(reversed_attempts(first), metric("fraction"), OPTIONS) == there


# Real jobs.


@needs_corpus
def test_the_laboratory_equals_its_truth() -> None:
    _, _, pairs = lab()
    truth = lab_truth()
    effect = measure_effect(pairs, metric("fraction"), OPTIONS)
    paired = truth["paired"]["by_task_mean"]
    assert effect.difference.n == paired["n"] == 23
    assert effect.difference.estimate == pytest.approx(paired["mean_difference"], abs=1e-12)
    for found, arm in ((effect.baseline, "baseline"), (effect.treatment, "mcp")):
        expected = truth["aggregates"][arm]
        assert found.mean == pytest.approx(expected["mean_of_task_means_valid"], abs=1e-12)
        assert found.n_tasks == expected["n_tasks_with_valid"]
        assert found.n_trials == expected["n_valid"]


@needs_corpus
def test_six_tasks_of_which_one_is_lost() -> None:
    _, _, pairs = with_symnav("codex")
    effect = measure_effect(pairs, metric(), OPTIONS)
    # Two of six solved without the tool, one of them with it.
    assert effect.difference.estimate == pytest.approx(-1 / 6)
    assert effect.difference.p == pytest.approx(0.5)
    assert finding_of(effect.difference, 0.05) == "no_difference_shown"
