"""What designs can show, against simulation and by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

from evaltrace import stats
from evaltrace.stats.planning import Parts, assume_parts, visible_difference
from evaltrace.stats.published import clustered_errors

approx = pytest.approx

NOISE = Parts(0.125, 0.125, 0.02, 0.02 + 0.25 / 3)
RATES = [0.0, 0.0, 1 / 3, 2 / 3, 1.0, 1.0] * 5


def _seen(difference: float, tasks: int, attempts: int, sets: int = 4000) -> float:
    """Simulate how often plus-two excludes 0 at flat pass rates of 0.4 and 0.4 + difference."""
    rng = np.random.default_rng(1)
    a = rng.binomial(attempts, 0.4, (sets, tasks)) / attempts
    b = rng.binomial(attempts, 0.4 + difference, (sets, tasks)) / attempts
    lows = [stats.plus_two(row, attempts).low for row in b - a]
    return float(np.mean([low is not None and low > 0 for low in lows]))


def test_variance_is_split_into_tasks_and_attempts() -> None:
    a = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0] * 5, [1] * 5, [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]
    b = [[1, 1, 0, 0, 0], [1] * 5, [1, 0, 0, 0, 0], [1] * 5, [0] * 5, [1, 1, 1, 1, 0]]
    assert stats.variance_parts(a, b) == approx((1 / 6, 7 / 60, 0.098, 0.154667), abs=1e-6)


def test_single_attempts_tell_nothing_of_their_noise() -> None:
    parts = stats.variance_parts([[1], [0], [0]], [[1], [1], [0]])
    assert parts == (None, None, None, approx(1 / 3))
    assumed = assume_parts(parts, 1)
    assert assumed.within_a == assumed.within_b == approx(0.85 / 2 / 3)
    assert assumed.between == approx(0.15 / 3)


def test_an_arm_of_single_attempts_is_taken_to_be_as_noisy_as_the_other() -> None:
    parts = stats.variance_parts([[1], [0], [0]], [[1, 0], [1, 1], [0, 0]])
    assert parts.within_a is None
    assert parts.within_b == approx(1 / 6)
    assert assume_parts(parts, 4 / 3).within_a == approx(1 / 6)


def test_the_noise_of_one_arm_stands_for_both() -> None:
    parts = stats.parts_of_one_arm([[1, 0], [1, 1], [0, 0]])
    assert parts.within_a == parts.within_b == approx(1 / 6)
    assert parts.between == approx(1 / 3 * 0.15 / 0.85)
    assert stats.parts_of_one_arm([[1], [0]]).within_a == approx(1 / 8)
    assert stats.parts_of_one_arm([]) == (None, None, None, None)


def test_no_tasks_have_no_variance() -> None:
    assert stats.variance_parts([], []) == (None, None, None, None)
    assert stats.smallest_visible([], 1) is None
    assert stats.smallest_visible([0.5], 1) is None
    assert stats.smallest_margin([0.5], 1) is None


@pytest.mark.parametrize(("tasks", "attempts"), [(50, 1), (50, 3), (100, 5)])
def test_the_visible_difference_is_seen_in_four_of_five_runs(tasks: int, attempts: int) -> None:
    spread = 2 * 0.24 / attempts
    visible = visible_difference(spread, tasks, attempts)
    assert visible is not None
    assert 0.77 < _seen(visible, tasks, attempts, sets=1500) < 0.87


def test_no_difference_seen_is_no_reason_to_see_every_difference() -> None:
    # With 10 tasks it takes six wins and no loss: at 0.676 that happens in four runs of five.
    visible = stats.smallest_visible([0.0] * 10, 1)
    assert visible == approx(0.676, abs=0.005)


def test_more_tasks_more_attempts_and_less_noise_show_more() -> None:
    d = [0.5, -0.5, 0.5, 0.0, 0.0] * 10
    here = stats.smallest_visible(d, 2)
    assert here is not None
    assert here == approx(0.165, abs=0.001)
    for better in (
        stats.smallest_visible(d * 2, 2),
        stats.smallest_visible(d, 4),
        stats.smallest_visible([x / 2 for x in d], 2),
        stats.smallest_visible(d, 2, power=0.5),
        stats.smallest_visible(d, 2, alpha=0.2),
    ):
        assert better is not None
        assert better < here


def test_two_tasks_show_nothing() -> None:
    assert stats.smallest_visible([1.0, 0.0], 1) is None


# All five wins: 0.8^(1/5). Five of six, a tie allowed: 6 D^5 - 5 D^6 = 0.8.
@pytest.mark.parametrize(("tasks", "visible"), [(5, 0.9564), (6, 0.8604)])
def test_a_few_tasks_show_what_counting_their_outcomes_says(tasks: int, visible: float) -> None:
    assert stats.smallest_visible([1.0] * tasks, 1) == approx(visible, abs=0.005)


def test_no_p_of_four_tasks_comes_down_to_five_percent() -> None:
    # All four tasks, every attempt: the interval excludes 0, and mid-p is 1/16.
    assert (stats.plus_two([1.0] * 4, 3).low or 0) > 0
    assert stats.smallest_visible([1.0] * 4, 3) is None
    assert stats.smallest_visible([1.0] * 4, 3, alpha=0.1) is not None
    assert stats.simulated_power([0.0] * 4, Parts(0, 0, 0, 0), 1.0, 4, 3) == 0


def test_a_few_restless_tasks_show_less() -> None:
    calm, restless = (stats.smallest_visible(d, 1) for d in ([1.0] * 8, [1.0, -1.0] * 4))
    assert calm is not None
    assert restless is not None
    assert calm < restless < 1


def test_agreeing_groups_are_no_reason_to_see_more() -> None:
    d = [0.5, -0.5, 0.5, 0.0, 0.0] * 10
    for find in (stats.smallest_visible, stats.smallest_margin):
        assert find(d, 2, design_effect=0.13) == find(d, 2)
        assert (find(d, 2, design_effect=2) or 0) > (find(d, 2) or 1)


def test_few_groups_say_nothing_and_some_go_by_their_own_number() -> None:
    d = [0.5, -0.5, 0.5, 0.0, 0.0] * 10
    for find in (stats.smallest_visible, stats.smallest_margin):
        assert find(d, 2, groups=9) is None
        ten, fifty = find(d, 2, groups=10), find(d, 2, groups=50)
        assert ten is not None
        assert fifty == approx(find(d, 2))
        # Quantiles of t with 11 and 51 degrees of freedom: 2.201 and 2.008.
        assert 1.03 < ten / (fifty or 0) < 1.15


def test_groups_show_the_visible_difference_in_four_of_five_runs() -> None:
    groups, size, attempts = 12, 3, 3
    names = [number // size for number in range(groups * size)]
    rng = np.random.default_rng(5)

    def draw(difference: float) -> np.ndarray:
        moved = difference + rng.normal(0, 0.15, groups).repeat(size)
        a = rng.binomial(attempts, 0.4, groups * size)
        return (rng.binomial(attempts, 0.4 + np.clip(moved, -0.4, 0.6)) - a) / attempts

    visible = []
    for _ in range(40):
        errors = clustered_errors(d := draw(0.0), names)
        effect = (errors.cr1 / errors.plain) ** 2
        visible.append(stats.smallest_visible(d, attempts, design_effect=effect, groups=groups))
    usual = float(np.median([value for value in visible if value is not None]))
    subsets = stats.Subsets(groups * size, names, 2000, 1)
    lows = [subsets.mean(draw(usual), attempts**-0.5).low for _ in range(200)]
    assert 0.68 < np.mean([low is not None and low > 0 for low in lows]) < 0.9


@pytest.mark.parametrize(("alpha", "fewest"), [(0.05, 6), (0.1, 5), (0.01, 8)])
def test_a_number_shows_nothing_where_it_has_no_interval(alpha: float, fewest: int) -> None:
    d = [1.0, 1.1, 0.9, 1.2, 0.8, 1.0, 1.1, 0.9]
    for n in range(2, 9):
        bounded = stats.subset_mean(d[:n], pseudo=None, alpha=alpha).low is not None
        visible = stats.smallest_visible(d[:n], None, alpha=alpha)
        assert bounded is (visible is not None) is (n >= fewest)


def test_a_quantity_without_limits_is_judged_by_t() -> None:
    # The paired t test of R's power.t.test: n = 50, sd = 0.45, power 0.8.
    assert visible_difference(0.45**2, 50, None) == approx(0.1819, abs=1e-4)
    assert visible_difference(45.0**2, 50, None) == approx(18.19, abs=1e-2)
    assert visible_difference(0.0, 50, None) is None


def test_the_smallest_margin_passes_in_four_of_five_runs_where_nothing_changed() -> None:
    rng = np.random.default_rng(2)
    draws = rng.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=(1500, 100))
    margin = stats.smallest_margin([1.0] * 10 + [-1.0] * 10 + [0.0] * 80, 1)
    assert margin is not None
    assert margin == approx(2.49 * np.sqrt(0.2 / 100), abs=0.005)
    lows = [stats.plus_two(d, 1, 0.1).low for d in draws]
    assert 0.76 < np.mean([low is not None and low > -margin for low in lows]) < 0.86


# By simulation.


@pytest.mark.parametrize(("tasks", "attempts"), [(50, 1), (50, 3), (100, 5)])
def test_simulated_power_is_the_power_of_the_interval(tasks: int, attempts: int) -> None:
    noise = Parts(0.24, 0.24, 0.0, None)
    found = stats.simulated_power([0.4] * 30, noise, 0.15, tasks, attempts)
    assert found == approx(_seen(0.15, tasks, attempts, sets=1500), abs=0.05)


def test_no_difference_is_hardly_ever_shown() -> None:
    found = stats.simulated_power(RATES, NOISE, 0.0, 50, 3)
    assert found is not None
    assert found <= 0.035


def test_power_of_a_loss_is_that_of_a_gain_of_failures() -> None:
    failures = [1 - rate for rate in RATES]
    found = stats.simulated_power(RATES, NOISE, -0.1, 60, 3)
    assert found == approx(stats.simulated_power(failures, NOISE, 0.1, 60, 3), abs=0.04)


def test_many_attempts_are_drawn_as_fewer_with_the_same_noise() -> None:
    noise = Parts(0.24, 0.24, 0.0, None)
    found = stats.simulated_power([0.4] * 30, noise, 0.015, 20, 1200)
    assert found == approx(_seen(0.015, 20, 1200, sets=1500), abs=0.05)
    steady = Parts(0.24, 0.24, 0.01, None)
    assert stats.simulated_power([0.2, 0.6] * 2, steady, 0.1, 30, 100_000) == approx(1.0, abs=0.02)


def test_the_seed_fixes_the_power() -> None:
    found = [stats.simulated_power(RATES, NOISE, 0.1, 60, 3, seed=seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


def test_a_solved_benchmark_leaves_no_room() -> None:
    assert stats.simulated_power([0.95] * 20, NOISE, 0.1, 60, 3) is None
    assert stats.tasks_needed([0.95] * 20, NOISE, 0.1, 3) == (None, 3, None)


def test_unknown_noise_has_no_power() -> None:
    assert stats.simulated_power(RATES, Parts(None, 0.1, 0.1, 0.1), 0.1, 60, 3) is None


def test_steady_partial_rewards_are_not_drawn_as_coins() -> None:
    steady = Parts(0.001, 0.001, 0.001, 0.003)
    coins = Parts(0.25, 0.25, 0.001, 0.5)
    found = [stats.simulated_power([0.5] * 20, noise, 0.1, 40, 1) for noise in (steady, coins)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0] > 0.95
    assert found[1] < 0.3


def test_quantities_without_limits_have_the_power_of_t() -> None:
    found = stats.simulated_power(None, Parts(0.05, 0.05, 0.1025, 0.2025), 0.1, 50, 1)
    assert found == approx(0.3375, abs=1e-4)


def test_tasks_and_attempts_needed_reach_the_power() -> None:
    design = stats.tasks_needed(RATES, NOISE, 0.1, 3)
    assert design.tasks is not None
    # By the normal formula 7.85 (0.02 + 0.25/3)/0.01 = 81; plus-two wants a few more.
    assert 75 <= design.tasks <= 110
    assert design.power is not None
    assert design.power >= 0.8
    assert stats.simulated_power(RATES, NOISE, 0.1, design.tasks, 3) == design.power
    more = stats.attempts_needed(RATES, NOISE, 0.1, 60)
    assert more.attempts is not None
    assert more.attempts > 3
    assert more.power is not None
    assert more.power >= 0.8


def test_attempts_never_make_up_for_tasks_that_differ() -> None:
    restless = Parts(0.05, 0.05, 0.2, 0.3)
    design = stats.attempts_needed([0.3, 0.5, 0.7] * 5, restless, 0.05, 30)
    assert design.attempts is None
    assert design.power is not None
    assert design.power < 0.5


def test_a_simulation_takes_no_time() -> None:
    stats.simulated_power(RATES, NOISE, 0.1, 10, 1)
    start = time.process_time()
    stats.simulated_power(RATES, NOISE, 0.1, 100, 3)
    assert time.process_time() - start < 0.3
