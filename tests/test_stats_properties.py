"""What must hold for every data set: symmetries, identities, and agreement of methods."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace import stats
from evaltrace.stats import published, signflip

approx = pytest.approx

QUICK = settings(max_examples=30, deadline=None)
ATTEMPTS = st.integers(1, 7)


@st.composite
def differences(draw: st.DrawFn, most: int = 40, least: int = 1) -> tuple[list[float], int]:
    """Draw differences of means of k rewards of 0 and 1, and k."""
    k = draw(ATTEMPTS)
    steps = draw(st.lists(st.integers(-k, k), min_size=least, max_size=most))
    return [step / k for step in steps], k


AMOUNTS = st.lists(
    st.tuples(*[st.floats(0.01, 100) for _ in range(4)]), min_size=2, max_size=25
).map(np.array)


def _mirrored(bounds: stats.Bounds) -> Any:
    assert bounds.low is not None
    assert bounds.high is not None
    return approx((-bounds.high, -bounds.low), abs=1e-12)


# Swapping the arms.


@QUICK
@given(differences())
def test_swapping_arms_mirrors_every_difference(given_d: tuple[list[float], int]) -> None:
    d, k = given_d
    other = [-x for x in d]
    assert stats.plus_two(other, k) == _mirrored(stats.plus_two(d, k))
    assert stats.sign_flip(other) == stats.sign_flip(d)
    if len(d) >= 4:
        assert stats.subset_mean(other, pseudo=k**-0.5) == _mirrored(
            stats.subset_mean(d, pseudo=k**-0.5)
        )


@QUICK
@given(AMOUNTS)
def test_swapping_arms_inverts_every_ratio(amounts: Any) -> None:
    b, y, a, x = amounts.T
    there, back = stats.geometric_ratio(b, a), stats.geometric_ratio(a, b)
    assert there.estimate is not None
    assert back.estimate == approx(1 / there.estimate)
    assert back.p == approx(there.p)
    if there.low and there.high:
        assert (back.high, back.low) == approx((1 / there.low, 1 / there.high))
    for there_, back_ in (
        (stats.subset_ratio(b, a), stats.subset_ratio(a, b)),
        (stats.subset_ratio_of_ratios(b, y, a, x), stats.subset_ratio_of_ratios(a, x, b, y)),
    ):
        if there_.low is not None and there_.high is not None:
            assert back_ == approx((1 / there_.high, 1 / there_.low))
        else:
            assert back_ == there_


@QUICK
@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30))
def test_swapping_arms_mirrors_the_published_intervals(b: int, c: int, rest: int) -> None:
    n = b + c + rest
    assert published.tango(c, b, n) == _mirrored(published.tango(b, c, n))
    assert published.newcombe(rest, c, b, 0) == _mirrored(published.newcombe(rest, b, c, 0))
    assert published.mcnemar(b, c) == published.mcnemar(c, b)


@QUICK
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_swapping_arms_turns_a_likelihood_round(n: int, m: int, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    assert stats.likelihood_higher(x, n, y, m) == approx(1 - stats.likelihood_higher(y, m, x, n))
    assert stats.chance_of_difference(x, n, y, m) == stats.chance_of_difference(y, m, x, n)


# The order of tasks.


@QUICK
@given(differences(), st.randoms(use_true_random=False))
def test_the_order_of_tasks_does_not_matter(given_d: tuple[list[float], int], random: Any) -> None:
    d, k = given_d
    other = random.sample(d, len(d))
    assert stats.plus_two(other, k) == stats.plus_two(d, k)
    assert stats.sign_flip(other) == stats.sign_flip(d)
    assert stats.subset_mean(other, pseudo=0.5) == stats.subset_mean(d, pseudo=0.5)


@QUICK
@given(AMOUNTS, st.randoms(use_true_random=False))
def test_the_order_of_bills_does_not_matter(amounts: Any, random: Any) -> None:
    other = amounts[random.sample(range(len(amounts)), len(amounts))]
    for first, second in ((amounts.T, other.T),):
        assert stats.subset_ratio(*first[:2]) == approx(stats.subset_ratio(*second[:2]))
        assert stats.geometric_ratio(*first[:2]) == approx(stats.geometric_ratio(*second[:2]))


# The default interval.


@QUICK
@given(differences())
def test_plus_two_is_the_t_interval_with_two_imaginary_tasks(
    given_d: tuple[list[float], int],
) -> None:
    d, k = given_d
    plain = stats.mean_t([*d, k**-0.5, -(k**-0.5)])
    assert stats.plus_two(d, k, limits=None) == approx(plain)


@QUICK
@given(differences(least=2))
def test_the_interval_holds_the_estimate(given_d: tuple[list[float], int]) -> None:
    d, k = given_d
    low, high = stats.plus_two(d, k)
    assert low is not None
    assert high is not None
    assert low - 1e-12 <= math.fsum(d) / len(d) <= high + 1e-12
    assert high > low


@QUICK
@given(differences(least=2), st.integers(2, 4))
def test_repeating_every_attempt_with_the_same_outcome_narrows_nothing_but_the_imaginary_tasks(
    given_d: tuple[list[float], int], times: int
) -> None:
    d, _ = given_d
    repeated = [math.fsum([x] * times) / times for x in d]
    assert stats.mean_t(repeated) == approx(stats.mean_t(d))
    assert stats.sign_flip(repeated) == approx(stats.sign_flip(d))


@QUICK
@given(differences(), st.integers(1, 20))
def test_tasks_without_a_difference_leave_p_alone(
    given_d: tuple[list[float], int], more: int
) -> None:
    d, _ = given_d
    assert stats.sign_flip([*d, *[0.0] * more]) == approx(stats.sign_flip(d))


@QUICK
@given(st.floats(0, 1), st.integers(1, 500), st.sampled_from([0.01, 0.05, 0.2]))
def test_wilson_holds_the_rate_and_stays_within_limits(p: float, n: int, alpha: float) -> None:
    low, high = stats.wilson(p, n, alpha)
    assert low is not None
    assert high is not None
    assert 0 <= low <= p <= high <= 1


def test_more_single_attempts_that_flip_one_way_only_ever_raise_the_interval() -> None:
    lows = [stats.plus_two([1.0] * wins + [0.0] * (30 - wins), 1).low for wins in range(31)]
    assert lows == sorted(lows)


# The sign-flip test.


def test_single_attempts_give_mcnemar() -> None:
    for b, c in itertools.product(range(31), repeat=2):
        flips = stats.sign_flip([1.0] * b + [-1.0] * c or [0.0])
        assert flips.exact
        expected = published.mcnemar(b, c)
        assert (flips.p, flips.mid_p) == approx((expected.exact, expected.mid_p), abs=1e-12)


@QUICK
@given(differences(most=12))
def test_enumeration_and_convolution_agree(given_d: tuple[list[float], int]) -> None:
    d, k = given_d
    steps = [round(x * k) for x in d]
    sums = [
        sum(sign * step for sign, step in zip(signs, steps, strict=True))
        for signs in itertools.product((-1, 1), repeat=len(steps))
    ]
    beyond = sum(abs(total) > abs(sum(steps)) for total in sums) / len(sums)
    equal = sum(abs(total) == abs(sum(steps)) for total in sums) / len(sums)
    found = stats.sign_flip(d)
    assert found.p == approx(beyond + equal)
    assert found.mid_p == approx(beyond + equal / 2 if any(steps) else 1.0)


@QUICK
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_values_without_a_common_step_are_enumerated(d: list[float]) -> None:
    d = [x + 1e-3 / (3 + i) ** 0.5 for i, x in enumerate(d)]
    signs = np.array(list(itertools.product((-1, 1), repeat=len(d))))
    sums = np.abs(signs @ np.array(d))
    found = stats.sign_flip(d)
    assert found.exact
    assert found.p == approx((sums >= abs(sum(d)) - 1e-11).mean())


@QUICK
@given(st.integers(0, 1000))
def test_random_flips_come_close_to_all_flips(seed: int) -> None:
    d = np.random.default_rng(seed).normal(0.15, 1, 30)
    exact = stats.sign_flip(d)
    sizes = np.sort(np.abs(d))
    drawn = signflip._by_random_flips(sizes, abs(float(d.sum())), seed)
    assert exact.exact
    assert not drawn.exact
    assert exact.p is not None
    assert drawn.p == approx(exact.p, abs=5 * math.sqrt(exact.p / 20_000) + 1e-4)


def test_many_values_without_a_common_step_are_flipped_at_random_but_the_same_each_time() -> None:
    d = np.random.default_rng(1).normal(0.2, 1, 200)
    first = stats.sign_flip(d, seed=3)
    assert not first.exact
    assert first == stats.sign_flip(d, seed=3)
    assert first != stats.sign_flip(d, seed=4)


@QUICK
@given(differences(), st.integers(1, 5))
def test_singleton_clusters_are_no_clusters(given_d: tuple[list[float], int], seed: int) -> None:
    d, _ = given_d
    names = [f"task {number}" for number in range(len(d))]
    assert stats.sign_flip(d, names) == stats.sign_flip(d)
    alone = stats.subset_mean(d, pseudo=0.5, seed=seed)
    assert stats.subset_mean(d, names, pseudo=0.5, seed=seed) == alone


# Where the interval shows a difference, the test does.


@pytest.mark.parametrize("n", [10, 25, 50])
def test_an_interval_without_zero_has_a_mid_p_below_alpha(n: int) -> None:
    shown = 0
    for wins in range(n + 1):
        for losses in range(min(wins, n - wins) + 1):
            d = [1.0] * wins + [-1.0] * losses + [0.0] * (n - wins - losses)
            low, _ = stats.plus_two(d, 1)
            if low is not None and low > 0:
                shown += 1
                assert published.mcnemar(wins, losses).mid_p <= 0.05
    assert shown > n / 2


# Subsets.


def test_random_subsets_come_close_to_all_subsets() -> None:
    d = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    low, high = stats.subset_mean([*d, *d], pseudo=None)
    assert low is not None
    assert high is not None
    assert 3 < low < 11
    assert 27 < high < 36
    # The normal approximation of the same: mean -+ 1.96 sqrt(sum of squares)/n.
    mean, half = float(np.mean(d)), 1.96 * math.sqrt(2 * sum(x * x for x in d)) / 30
    assert (low, high) == approx((mean - half, mean + half), abs=3)


def test_subsets_are_shared_and_give_what_each_gives_alone() -> None:
    rng = np.random.default_rng(1)
    d, b, a = rng.normal(0, 1, 60), rng.lognormal(0, 1, 60), rng.lognormal(0, 1, 60)
    shared = stats.Subsets(60, seed=5)
    assert shared.ratio(b, a) == stats.subset_ratio(b, a, seed=5)
    assert shared.mean(d, 0.5) == stats.subset_mean(d, pseudo=0.5, seed=5)
    assert shared.mean(d) == stats.subset_mean(d, pseudo=None, seed=5)
    assert shared.mean(d) != stats.subset_mean(d, pseudo=None, seed=6)


def test_every_unit_is_kept_by_half_of_the_subsets() -> None:
    from evaltrace.stats.bits import every_subset, kept_sums, random_subsets

    kept = kept_sums(random_subsets(50, 20_000, 1), np.eye(50))
    assert kept.mean(axis=1) == approx(0.5, abs=0.02)
    assert set(np.unique(kept)) == {0.0, 1.0}
    every = kept_sums(every_subset(11), np.eye(11))
    assert len({tuple(column) for column in every.T.tolist()}) == 2**11 - 1
    assert (every.sum(axis=1) == 2**10).all()


def test_a_cluster_is_kept_or_left_as_a_whole() -> None:
    # Two clusters of equal values: subsets give 1, -1 and 0 (of size 3), and nothing else.
    low, high = stats.subset_mean([1, 1, 1, -1, -1, -1] * 6, list("abcdef") * 6, pseudo=None)
    assert low is not None
    assert high is not None
    assert {round(low * 6), round(high * 6)} == {-6, 6}
    few = stats.subset_mean([1.0, -1.0] * 10, ["a", "b"] * 10, pseudo=None, alpha=0.5)
    assert few == (-1.0, 1.0)


# Passing, flips and adjusted p.


@QUICK
@given(st.integers(1, 12), st.data())
def test_passing_at_one_attempt_is_the_mean(n: int, data: st.DataObject) -> None:
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert stats.any_of(n, c, 1) == approx(c / n)
    assert stats.all_of(n, c, 1) == approx(c / n)
    assert stats.all_of(n, c, k) == approx(1 - stats.any_of(n, n - c, k))
    assert stats.all_of(n, c, k) <= stats.any_of(n, c, k) + 1e-12


@QUICK
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=20))
def test_tasks_expected_to_flip_are_those_the_chances_add_up_to(
    passed: list[tuple[int, int]],
) -> None:
    rows = [(a, 4, b, 4) for a, b in passed]
    observed, expected = stats.chance_flips(rows, 0.5)
    assert observed == sum(abs(a - b) >= 2 for a, b in passed)
    assert 0 <= expected <= len(rows)
    assert stats.chance_flips(rows, 0.0) == (len(rows), approx(len(rows)))


@QUICK
@given(st.lists(st.floats(0, 1), max_size=20))
def test_adjusted_p_are_no_smaller_and_keep_their_order(p: list[float]) -> None:
    for adjusted in (stats.holm(p), stats.benjamini_hochberg(p)):
        assert all(before <= after <= 1 for before, after in zip(p, adjusted, strict=True))
        ranked = [value for _, value in sorted(zip(p, adjusted, strict=True))]
        assert ranked == sorted(ranked)
    for one, other in zip(stats.benjamini_hochberg(p), stats.holm(p), strict=True):
        assert one <= other + 1e-12
