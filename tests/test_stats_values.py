"""Values printed in the literature, and degenerate data."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from evaltrace import stats
from evaltrace.stats import published

approx = pytest.approx

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Heights of crossed less self-fertilised plants; Fisher 1935, section 17."""

SLEEP = [-1.2, -2.4, -1.3, -1.3, 0.0, -1.0, -1.8, -0.8, -4.6, -1.4]
"""Student 1908: hours of sleep gained with one drug less those with the other."""

FIVE_ATTEMPTS = [0.2, 0.4, -0.2, 0.6, 0, 0.2, 1, -0.4, 0.2, 0.6]

TEXTBOOK = [76.41, 66.91, 81.06, 74.78, 83.76, 89.31, 78.78, 87.06, 82.61, 76.74, 88.33, 86.18]
OTHER = [59.85, 60.64, 84.86, 68.16, 71.53, 86.18, 67.3, 65.46, 83.5, 66.76, 88.37, 65.02]
"""Bonett & Price 2020, as in the documentation of R's statpsych."""


# Values of the literature.


@pytest.mark.parametrize(
    ("x", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_wilson_is_that_of_newcombe_1998_table_1(x: int, n: int, low: float, high: float) -> None:
    assert stats.wilson(x / n, n) == approx((low, high), abs=5e-5)


def test_clopper_pearson_of_eight_in_ten_is_that_of_r_binom_test() -> None:
    assert published.clopper_pearson(8, 10) == approx((0.4439045, 0.9747893), abs=1e-7)


def test_mcnemar_is_that_of_fagerland_2013_on_cavo_2012() -> None:
    assert published.mcnemar(16, 6) == approx((0.0330, 0.0550, 0.0525, 0.0347), abs=5e-5)


def test_tango_is_that_of_tango_1998() -> None:
    assert published.tango(3, 9, 32) == approx((-0.390, 0.027), abs=1e-3)


def test_newcombe_and_bonett_price_are_those_of_fagerland_2014_on_bentur_2009() -> None:
    assert published.newcombe(1, 7, 1, 12) == approx((0.0256, 0.5069), abs=5e-5)
    assert published.bonett_price(7, 1, 21)[2:] == approx((0.0134, 0.5084), abs=5e-5)


def test_plus_two_with_z_at_one_attempt_is_bonett_price() -> None:
    d = [1.0] * 26 + [-1.0] * 4 + [0.0] * 18
    assert stats.plus_two(d, 1, quantile="z") == approx((0.2548067, 0.6251933), abs=1e-7)


def test_plus_two_of_five_attempts_is_the_t_interval_with_two_imaginary_tasks() -> None:
    joined = [*FIVE_ATTEMPTS, math.sqrt(0.2), -math.sqrt(0.2)]
    assert stats.plus_two(FIVE_ATTEMPTS, 5) == approx((-0.0567281, 0.4900614), abs=1e-7)
    assert stats.plus_two(FIVE_ATTEMPTS, 5) == approx(stats.mean_t(joined))


def test_sign_flip_is_that_of_fisher_1935_on_darwin() -> None:
    flips = stats.sign_flip(DARWIN)
    assert flips.exact
    assert flips.p == 1726 / 32768


def test_subsets_of_darwin_are_all_taken() -> None:
    assert stats.subset_mean(DARWIN, pseudo=None) == approx((-1 / 6, 41.0))
    assert stats.subset_mean(DARWIN, pseudo=None, seed=2) == approx((-1 / 6, 41.0))


def test_t_is_that_of_student_1908() -> None:
    found = published.paired_t(SLEEP)
    assert found == approx((-4.0621, 0.002833, -2.4599, -0.7001), abs=5e-5)


def test_signed_ranks_are_those_of_hollander_and_wolfe_1973() -> None:
    before = [1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    found = published.wilcoxon([x - y for x, y in zip(before, after, strict=True)])
    assert found == approx((40, 0.0390625, 0.46, 0.01, 0.786))


def test_ratio_of_means_is_that_of_bonett_and_price_2020() -> None:
    assert published.delta_log(TEXTBOOK, OTHER) == approx((1.040747, 1.205745), abs=1e-6)


def test_adjusted_p_are_those_of_benjamini_and_hochberg_1995() -> None:
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324]
    p += [0.4262, 0.5719, 0.6528, 0.759, 1.0]
    assert sum(value <= 0.05 for value in stats.benjamini_hochberg(p)) == 4
    assert sum(value <= 0.05 for value in stats.holm(p)) == 3


def test_pass_at_k_is_that_of_chen_2021() -> None:
    assert stats.any_of(10, 3, 5) == approx(11 / 12)
    assert stats.all_of(5, 3, 3) == approx(1 / 10)


def test_tasks_needed_are_those_of_miller_2024() -> None:
    assert published.needed_tasks(0.03, 1 / 9) == approx(968.9975, abs=1e-4)


def test_fisher_exact_of_all_against_none() -> None:
    assert published.fisher_exact(0, 3, 3, 3) == approx(0.1)
    assert published.fisher_exact(0, 5, 5, 5) == approx(2 / 252)


def test_strata_are_those_of_the_berkeley_admissions() -> None:
    departments = [(512, 313, 89, 19), (353, 207, 17, 8), (120, 205, 202, 391)]
    departments += [(138, 279, 131, 244), (53, 138, 94, 299), (22, 351, 24, 317)]
    found = published.cochran_mantel_haenszel(departments)
    assert found == approx((1.5246, 0.2169), abs=5e-5)


# Values that can be counted on fingers.


def test_one_win_of_one_attempt_makes_the_treatment_likelier_at_five_to_one() -> None:
    assert stats.likelihood_higher(0, 1, 1, 1) == approx(5 / 6)
    assert stats.likelihood_higher(0, 3, 3, 3) == approx(69 / 70)


def test_luck_moves_a_task_from_none_to_all_of_five_in_two_of_252_deals() -> None:
    assert stats.chance_of_difference(0, 5, 5, 5) == approx(2 / 252)
    assert stats.chance_of_difference(0, 1, 1, 1) == 1.0
    assert stats.chance_of_difference(3, 5, 3, 5) == 1.0


def test_expected_flips_add_up_over_tasks() -> None:
    rows = [(0, 5, 5, 5), (1, 5, 4, 5), (5, 5, 5, 5), (2, 5, 1, 5), (3, 5, 3, 5)]
    observed, expected = stats.chance_flips(rows, 0.6)
    assert observed == 2
    assert expected == approx(2 * 52 / 252 + 20 / 120 + 10 / 210 - 0.0, abs=1e-12)


def test_six_wins_and_no_loss_are_the_fewest_that_show() -> None:
    assert stats.sign_flip([1] * 6 + [0] * 4).p == 2 / 64
    assert stats.sign_flip([1] * 5 + [0] * 5).p == 2 / 32
    low, _ = stats.plus_two([1] * 6 + [0] * 4, 1)
    assert low == approx(0.0716338, abs=1e-7)
    low, _ = stats.plus_two([1] * 5 + [0] * 5, 1)
    assert low == approx(-0.0081148, abs=1e-7)


def test_clusters_flip_as_a_whole() -> None:
    # Sums of 3, -1, 1 and 1 over four clusters: 4 is reached by 4, 6, -4, -6 in 5 of 16 ways.
    d, clusters = [1, 1, 0, 1, 0, 0, -1, 1, 0, 0, 0, 1], list("aaaabbbccddd")
    assert stats.sign_flip(d, clusters) == approx((8 / 16, 5 / 16, True))
    assert stats.sign_flip(d).p == approx(0.21875)


def test_a_task_without_a_cluster_stands_alone() -> None:
    d = [1, 1, -1, 1, 1]
    assert stats.sign_flip(d, [None] * 5) == stats.sign_flip(d)
    assert stats.sign_flip(d, ["x", "x", None, None, "y"]) == stats.sign_flip([2, -1, 1, 1])


def test_attempts_of_both_arms_are_averaged_harmonically() -> None:
    assert stats.mean_attempts([3, 3], [3, 3]) == 3
    assert stats.mean_attempts([1, 2], [3, 2]) == approx((1.5 + 2) / 2)
    assert stats.mean_attempts([5, 1]) == 3
    assert stats.mean_attempts([], []) is None


def test_fixed_tasks_count_the_noise_of_attempts_alone() -> None:
    # 2 of 4 against 3 of 4 at one task: squared errors (1/4)/3 and (3/16)/3, of both 7/48.
    half = 1.959964 * math.sqrt(7 / 48)
    assert stats.fixed_tasks([0.5], 4, [0.75], 4) == approx((0.25 - half, 0.25 + half), abs=1e-6)
    assert stats.fixed_tasks([0.0, 1.0], 3, [0.0, 1.0], 3) == (0.0, 0.0)


def test_single_attempts_are_worth_one_task_each_and_one_more() -> None:
    # With the two imaginary tasks 9 of 12 pass: v = (12 p(1-p)/11)/12, so p(1-p)/v = 11.
    assert stats.effective_tasks([1.0] * 8 + [0.0] * 2, 1) == approx(11)
    low, high = stats.effective_wilson([1.0] * 8 + [0.0] * 2, 1)
    assert (low, high) == approx((0.4600569, 0.9494396), abs=1e-6)


def test_attempts_count_for_more_the_more_they_vary_within_tasks() -> None:
    same, mixed = [1.0] * 10 + [0.0] * 10, [0.6, 0.4] * 10
    assert 20 <= stats.effective_tasks(same, 5) < 30
    assert stats.effective_tasks(mixed, 5) > 100


# Degenerate data are values.


EMPTY: list[Callable[[], stats.Bounds]] = [
    lambda: stats.plus_two([], 1),
    lambda: stats.mean_t([]),
    lambda: stats.mean_t([1.0]),
    lambda: stats.effective_wilson([], 1),
    lambda: stats.wilson(0, 0),
    lambda: stats.fixed_tasks([], 3, [], 3),
    lambda: stats.fixed_tasks([0.5], 1, [0.5], 1),
    lambda: stats.subset_mean([], pseudo=1.0),
    lambda: stats.subset_rate([], 1),
    lambda: stats.subset_ratio([], []),
    lambda: stats.subset_ratio_of_ratios([], [], [], []),
    lambda: stats.subset_mean([1.0], pseudo=1.0),
    lambda: published.tango(0, 0, 0),
    lambda: published.newcombe(0, 0, 0, 0),
    lambda: published.clopper_pearson(0, 0),
    lambda: published.fieller([1, 2, 3], [1, -1, 0.1]),
]


@pytest.mark.parametrize("case", EMPTY)
def test_what_the_data_do_not_bound_is_none(case: Callable[[], stats.Bounds]) -> None:
    assert case() == (None, None)


def test_no_tasks_have_no_p_and_no_ratio() -> None:
    assert stats.sign_flip([]) == (None, None, True)
    assert stats.geometric_ratio([], []) == (None, None, None, None)
    assert stats.geometric_ratio([3.0], [2.0]) == (1.5, None, None, None)


def test_no_difference_at_all_has_p_one_and_an_interval_of_some_width() -> None:
    assert stats.sign_flip([0.0] * 10) == (1.0, 1.0, True)
    assert stats.sign_flip([0.1, 0.2, -0.3], ["a"] * 3) == (1.0, 1.0, True)
    assert published.mcnemar(0, 0) == (1.0, 1.0, 1.0, 1.0)
    assert stats.plus_two([0.0] * 10, 1) == approx((-0.2709225, 0.2709225), abs=1e-7)


def test_a_single_task_says_next_to_nothing() -> None:
    assert stats.plus_two([1.0], 1) == (-1.0, 1.0)
    assert stats.sign_flip([1.0]) == (1.0, 0.5, True)
    low, high = stats.effective_wilson([1.0], 1)
    assert low is not None
    assert low < 0.05
    assert high == 1.0


def test_equal_bills_have_a_ratio_of_one() -> None:
    amounts = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert stats.subset_ratio(amounts, amounts) == (1.0, 1.0)
    assert stats.geometric_ratio(amounts, amounts) == (1.0, 1.0, 1.0, 1.0)


def test_a_ratio_to_nothing_is_unbounded() -> None:
    assert stats.subset_ratio([1.0] * 8, [0.0] * 7 + [1.0]).high is None
    low, high = stats.subset_ratio_of_ratios([1] * 8, [0] * 7 + [1], [1] * 8, [1] * 8)
    assert low is not None
    assert high is None
    assert stats.subset_ratio([1.0] * 8, [0.0] * 8) == (None, None)


def test_four_clusters_are_too_few_to_bound_anything() -> None:
    assert stats.subset_mean([1, 1, 1, 1], list("abcd"), pseudo=1.0) == (-1.0, 1.0)


REFUSED: list[Callable[[], object]] = [
    lambda: stats.plus_two([math.nan], 1),
    lambda: stats.plus_two([1.0, math.inf], 1),
    lambda: stats.plus_two([1.0], 0),
    lambda: stats.plus_two([[1.0]], 1),
    lambda: stats.plus_two([1.0], 1, alpha=0),
    lambda: stats.sign_flip([math.nan]),
    lambda: stats.sign_flip([1.0, 2.0], ["a"]),
    lambda: stats.effective_wilson([1.2], 1),
    lambda: stats.effective_wilson([1.0], 0.5),
    lambda: stats.geometric_ratio([1.0, 0.0], [1.0, 1.0]),
    lambda: stats.geometric_ratio([1.0, 1.0], [1.0]),
    lambda: stats.subset_ratio([1.0], [math.nan]),
    lambda: stats.subset_ratio_of_ratios([-1.0], [1.0], [1.0], [1.0]),
    lambda: stats.Subsets(3, ["a"]),
    lambda: stats.any_of(3, 1, 4),
    lambda: stats.all_of(3, 4, 1),
    lambda: stats.holm([1.5]),
    lambda: stats.benjamini_hochberg([math.nan]),
    lambda: stats.chance_of_difference(1, 0, 0, 1),
    lambda: stats.likelihood_higher(2, 1, 0, 1),
    lambda: stats.mean_attempts([0]),
    lambda: published.wilcoxon([1.0, 1.0]),
    lambda: published.paired_t([1.0, 1.0]),
    lambda: published.clustered_errors([1.0, 2.0], ["a", "a"]),
    lambda: published.missing_bounds([[1.0]], []),
]


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_number_is_refused(case: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        case()
