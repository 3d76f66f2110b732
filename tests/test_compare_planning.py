"""Power: what a design could have shown, and which one would do."""

from __future__ import annotations

import pytest

from evaltrace.compare.effects.effect import finding_of, measure_effect
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.planning.power import plan_power, plan_power_from
from evaltrace.compare.sides import Pairing
from evaltrace.comparison import Power
from sides import metric, pairing, reversed_attempts, side, trials

OPTIONS = CompareOptions()
NO_ROOM = "the baseline leaves no room for this difference"


def _passes(of: int, baseline: list[int], treatment: list[int]) -> Pairing:
    def arm(passes: list[int]) -> dict[str, list[float]]:
        return {f"t{i:02}": [1.0] * c + [0.0] * (of - c) for i, c in enumerate(passes)}

    return pairing(arm(baseline), arm(treatment))


# Variance split by hand: passes of five, statistics of Miller (2024).
SIX = _passes(5, [1, 2, 0, 5, 3, 4], [2, 5, 1, 5, 0, 4])
TEN = _passes(3, [0, 1, 2, 3, 1, 0, 3, 3, 2, 0], [1, 1, 3, 3, 2, 0, 3, 2, 2, 1])


def test_the_noise_is_split_between_tasks_and_attempts() -> None:
    noise = plan_power(SIX, metric(), OPTIONS).noise
    assert noise is not None
    # Means of x(1-x) 5/4: 1/6 and 7/60; var(d) = 58/375, less (1/6 + 7/60)/5.
    assert noise.baseline_attempts == pytest.approx(1 / 6)
    assert noise.treatment_attempts == pytest.approx(7 / 60)
    assert noise.difference == pytest.approx(58 / 375)
    assert noise.between_tasks == pytest.approx(58 / 375 - (1 / 6 + 7 / 60) / 5)
    assert noise.assumed is None


def test_single_attempts_leave_the_split_assumed() -> None:
    pairs = _passes(1, [1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 0, 0])
    noise = plan_power(pairs, metric(), OPTIONS).noise
    assert noise is not None
    # d = 0, 1, 0, 0, -1, 0: variance 2/5, of which 85 % is put down to the attempts.
    assert noise.difference == pytest.approx(0.4)
    assert noise.baseline_attempts == noise.treatment_attempts == pytest.approx(0.4 * 0.85 / 2)
    assert noise.between_tasks == pytest.approx(0.4 * 0.15)
    assert "85 %" in (noise.assumed or "")


def test_the_headline_and_the_plan_name_the_same_smallest_difference() -> None:
    plan, effect = plan_power(TEN, metric(), OPTIONS), measure_effect(TEN, metric(), OPTIONS)
    assert plan.smallest_visible == effect.smallest_visible
    assert plan.smallest_visible is not None
    # Var(d) = 38/405: (1.96 + .84) sqrt(38/4050) = .27 by the normal formula, more for ten tasks.
    assert 0.27 < plan.smallest_visible < 0.45
    assert plan.smallest_margin is not None
    assert plan.smallest_margin < plan.smallest_visible


def test_an_arm_against_itself_could_not_have_shown_everything() -> None:
    arm = {f"t{i}": [float(i % 2)] for i in range(20)}
    found = plan_power(pairing(arm, arm), metric(), OPTIONS)
    assert found.smallest_visible is not None
    assert found.smallest_visible > 0.1


def _needs(plan: Power) -> dict[tuple[float, str], tuple[int | None, int]]:
    return {(need.difference, need.fixed): (need.tasks, need.attempts) for need in plan.needs}


def test_smaller_differences_need_more() -> None:
    plan = plan_power(TEN, metric(), OPTIONS)
    needs = _needs(plan)
    assert list(needs) == [
        (0.05, "attempts"), (0.05, "tasks"), (0.1, "attempts"), (0.1, "tasks"),
    ]  # fmt: skip
    five, ten = needs[0.05, "attempts"], needs[0.1, "attempts"]
    assert five[0] is not None
    assert ten[0] is not None
    assert five[1] == ten[1] == 3
    # Half the difference needs about four times the tasks; 7.85 x .094/.01 = 74 for ten points.
    assert 50 < ten[0] < 120
    assert 2.5 < five[0] / ten[0] < 5.5
    for need in plan.needs:
        assert need.tasks == 10 or need.fixed == "attempts"
        assert need.note or (need.power or 0) >= 0.8


def test_attempts_cannot_make_up_for_too_few_tasks() -> None:
    plan = plan_power(_passes(3, [0, 3, 0, 3, 0, 3], [3, 0, 0, 3, 1, 2]), metric(), OPTIONS)
    [need] = [row for row in plan.needs if (row.difference, row.fixed) == (0.05, "tasks")]
    assert (need.tasks, need.attempts, need.note) == (6, 50, "more than 50 attempts")
    assert (need.power or 0) < 0.8
    assert "more than 50 attempts at each of the present tasks" in plan.statement


def test_what_five_or_six_tasks_of_one_attempt_show_is_said() -> None:
    for tasks, points in ((5, 95), (6, 86)):
        gained = _passes(1, [0] * tasks, [1] * tasks)
        plan, effect = (
            plan_power(gained, metric(), OPTIONS),
            measure_effect(gained, metric(), OPTIONS),
        )
        assert finding_of(effect.difference, 0.05) == "better"
        assert plan.smallest_visible == effect.smallest_visible
        assert plan.smallest_visible == pytest.approx(points / 100, abs=0.01)
        assert f"a difference of {100 * plan.smallest_visible:.1f} points" in plan.statement


def test_nothing_is_planned_from_fewer_than_five_tasks() -> None:
    four, five = (_passes(3, [0, 1, 2, 1, 3][:n], [1, 1, 3, 2, 3][:n]) for n in (4, 5))
    plan = plan_power(four, metric(), OPTIONS)
    assert (plan.smallest_visible, plan.needs) == (None, [])
    assert plan.statement == (
        "4 tasks x 3 attempts are too few to say what could be shown or how many would do."
    )
    assert plan_power(five, metric(), OPTIONS).needs
    wide = plan_power(four, metric(), CompareOptions(alpha=0.2))
    assert wide.smallest_visible is not None
    assert wide.statement.endswith("They are too few to say how many would do.")


def test_numbers_of_few_tasks_show_nothing_as_they_have_no_interval() -> None:
    def plan(tasks: int) -> Power:
        baseline = {f"t{i}": [10.0 + i, 11.0 + i] for i in range(tasks)}
        treatment = {name: [a + 1, b + a / 9] for name, (a, b) in baseline.items()}
        pairs = pairing(baseline, treatment)
        chosen = metric("number")
        effect = measure_effect(pairs, chosen, OPTIONS)
        assert (effect.difference.low is None) is (effect.smallest_visible is None)
        return plan_power(pairs, chosen, OPTIONS)

    assert plan(6).smallest_visible is not None
    assert plan(5).smallest_visible is None
    assert "no difference would be shown" in plan(5).statement
    assert plan(4).needs == []
    assert all(need.tasks >= 6 for need in plan(6).needs if need.tasks and need.fixed == "attempts")


def test_few_groups_are_no_ground_to_plan_on() -> None:
    names = [f"t{i:02}" for i in range(18)]
    baseline = {name: [1.0, 0.0, 0.0] for name in names}
    treatment = {name: [1.0, 1.0, float(i // 5 % 2)] for i, name in enumerate(names)}

    def plan(groups: int) -> tuple[Power, float | None]:
        clusters = {name: f"g{i % groups}" for i, name in enumerate(names)}
        pairs = pairing(baseline, treatment, clusters=clusters)
        options = CompareOptions(cluster_by="repository")
        effect = measure_effect(pairs, metric(), options)
        return plan_power(pairs, metric(), options), effect.smallest_visible

    few, headline = plan(5)
    assert (few.smallest_visible, few.smallest_margin, headline) == (None, None, None)
    assert (few.noise, few.needs) == (None, [])
    assert few.statement == (
        "18 tasks x 3 attempts are in 5 groups: too few groups to say what could have been shown."
    )
    alone = plan_power(pairing(baseline, treatment), metric(), OPTIONS)
    some, headline = plan(10)
    assert some.smallest_visible == headline
    assert (some.smallest_visible or 0) > (alone.smallest_visible or 1)


def test_thousands_of_attempts_are_planned_without_overflow() -> None:
    passes = [1000, 900, 800, 1200, 1000]
    plan = plan_power(
        _passes(1200, passes, [c + 40 * i for i, c in enumerate(passes[:3])] + [1100, 1190]),
        metric(),
        OPTIONS,
    )
    assert "5 tasks x 1,200 attempts" in plan.statement
    assert all(need.power is not None for need in plan.needs)


def test_a_baseline_near_the_top_leaves_no_room() -> None:
    arm = {f"t{i:02}": [1.0] * 3 for i in range(19)} | {"t19": [1.0, 0.0, 1.0]}
    plan = plan_power(pairing(arm, arm), metric(), OPTIONS)
    assert {need.note for need in plan.needs} == {NO_ROOM}
    assert "no room" in plan.statement
    worse = plan_power(pairing(arm, arm), metric("fraction", better="lower"), OPTIONS)
    assert NO_ROOM not in {need.note for need in worse.needs}
    assert any(need.tasks for need in worse.needs if need.fixed == "attempts")


def test_groups_of_tasks_need_more_tasks() -> None:
    names = [f"t{i:02}" for i in range(24)]
    baseline = {name: [1.0, 0.0] for name in names}
    treatment = {name: [1.0, 1.0] if i // 2 % 2 else [0.0, 1.0] for i, name in enumerate(names)}
    clusters = {name: f"g{i // 2}" for i, name in enumerate(names)}
    pairs = pairing(baseline, treatment, clusters=clusters)
    alone = plan_power(pairs, metric(), OPTIONS)
    grouped = plan_power(pairs, metric(), CompareOptions(cluster_by="repository"))
    assert (grouped.smallest_visible or 0) > (alone.smallest_visible or 1)
    first, second = (_needs(plan)[0.1, "attempts"][0] or 0 for plan in (alone, grouped))
    # Twelve pairs of tasks that move as one: 12/11 * 4S/24^2 over 2S/(23 * 24) = 2.09 times.
    assert second / first == pytest.approx(12 / 11 * 2 * 23 / 24, rel=0.05)


def test_numbers_without_limits_are_planned_in_shares_of_the_baseline() -> None:
    baseline = {f"t{i}": [10.0 + i, 11.0 + i] for i in range(8)}
    treatment = {name: [a + i % 3, b + 1] for i, (name, (a, b)) in enumerate(baseline.items())}
    cost = metric("number", field="metrics.cost.usd", better="lower", unit="usd")
    plan = plan_power(pairing(baseline, treatment), cost, OPTIONS)
    assert [need.difference for need in plan.needs] == pytest.approx([1.4, 1.4, 2.8, 2.8])
    assert plan.smallest_visible is not None
    assert f"{plan.smallest_visible:.2f}" in plan.statement


# Before any treatment ran.


def test_a_baseline_alone_is_planned_with_what_is_assumed_of_the_treatment() -> None:
    arm = side("baseline", trials({f"t{i:02}": [1.0, float(i % 2), 0.0] for i in range(20)}))
    plan = plan_power_from(arm, metric(), OPTIONS)
    assert (plan.tasks, plan.attempts) == (20, 3)
    assert plan.noise is not None
    # Every task's three attempts vary by 1/3.
    assert plan.noise.baseline_attempts == plan.noise.treatment_attempts == pytest.approx(1 / 3)
    assert "no treatment ran" in (plan.noise.assumed or "")
    assert "no treatment ran" in plan.statement
    assert plan.smallest_visible is not None
    assert [need.difference for need in plan.needs] == [0.05, 0.05, 0.1, 0.1]


@pytest.mark.parametrize("kind", ["binary", "number"])
def test_nothing_to_plan_from_is_said(kind: str) -> None:
    chosen = metric(kind)  # type: ignore[arg-type]
    for plan, said in (
        (plan_power(pairing({}, {}), chosen, OPTIONS), "nothing to plan from"),
        (plan_power_from(side("baseline", []), chosen, OPTIONS), "nothing to plan from"),
        (plan_power(pairing({"a": [1]}, {"a": [0]}), chosen, OPTIONS), "too few"),
    ):
        assert (plan.smallest_visible, plan.needs) == (None, [])
        assert said in plan.statement


def test_numbers_tried_once_leave_a_baseline_alone_without_a_plan() -> None:
    arm = side("baseline", trials({f"t{i}": [100.0 + i] for i in range(5)}))
    plan = plan_power_from(arm, metric("number"), OPTIONS)
    assert (plan.smallest_visible, plan.noise, plan.needs) == (None, None, [])


def test_the_order_of_attempts_changes_no_plan() -> None:
    assert plan_power(reversed_attempts(TEN), metric(), OPTIONS) == plan_power(
        TEN, metric(), OPTIONS
    )
