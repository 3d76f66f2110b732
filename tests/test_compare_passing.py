"""pass@k and pass^k of paired tasks."""

from __future__ import annotations

from math import comb

import pytest

from evaltrace.compare.effects.effect import measure_effect
from evaltrace.compare.effects.passing import measure_pass_at_k
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pairing
from evaltrace.comparison import Interval
from evaltrace.stats.passing import all_of, any_of
from sides import metric, pairing, swapped

OPTIONS = CompareOptions()


def _passes(of: int, baseline: list[int], treatment: list[int]) -> Pairing:
    def arm(passes: list[int]) -> dict[str, list[float]]:
        return {f"t{i:02}": [1.0] * c + [0.0] * (of - c) for i, c in enumerate(passes)}

    return pairing(arm(baseline), arm(treatment))


def _estimates(row: Interval) -> float:
    assert row.estimate is not None
    return row.estimate


def test_any_and_all_of_k_attempts_without_bias() -> None:
    rows = measure_pass_at_k(_passes(5, [2, 0], [5, 3]), OPTIONS)
    assert [(row.k, row.tasks, row.dropped) for row in rows] == [(k, 2, 0) for k in range(1, 6)]
    # Chen et al.: of 5 with 2 passes, 1 - C(3,2)/C(5,2) = .7; all of 3 of 3 passes 1/10.
    two, three = rows[1], rows[2]
    assert two.baseline_any_of.estimate == pytest.approx((0.7 + 0) / 2)
    assert two.baseline_all_of.estimate == pytest.approx((0.1 + 0) / 2)
    assert three.treatment_all_of.estimate == pytest.approx((1 + 0.1) / 2)
    assert three.treatment_any_of.estimate == pytest.approx(1)
    for row in rows:
        assert row.difference_any_of.estimate == pytest.approx(
            _estimates(row.treatment_any_of) - _estimates(row.baseline_any_of)
        )


def test_one_attempt_is_the_mean_pass_rate_with_the_interval_of_the_headline() -> None:
    pairs = _passes(3, [0, 1, 2, 3, 1, 0], [1, 1, 3, 3, 2, 0])
    first = measure_pass_at_k(pairs, OPTIONS)[0]
    effect = measure_effect(pairs, metric(), OPTIONS)
    for found in (first.difference_any_of, first.difference_all_of):
        assert found.estimate == pytest.approx(effect.difference.estimate)
        assert (found.low, found.high) == pytest.approx(
            (effect.difference.low, effect.difference.high)
        )
    assert (first.baseline_any_of.low, first.baseline_any_of.high) == pytest.approx(
        (effect.baseline.low, effect.baseline.high)
    )


def test_k_goes_as_far_as_half_of_the_pairs_and_counts_the_rest() -> None:
    def arm(attempts: list[int]) -> dict[str, list[float]]:
        return {f"t{i}": [1.0] * k for i, k in enumerate(attempts)}

    rows = measure_pass_at_k(pairing(arm([1, 2, 3, 4]), arm([4, 2, 3, 9])), OPTIONS)
    assert [(row.k, row.tasks, row.dropped) for row in rows] == [(1, 4, 0), (2, 3, 1), (3, 2, 2)]


@pytest.mark.parametrize(
    ("attempts", "further"),
    [
        (9, []),
        (10, []),
        (12, [12]),
        (30, [15, 20, 30]),
        (120, [15, 20, 30, 50, 100, 120]),
        (10_000, [15, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]),
    ],
)
def test_many_attempts_give_few_points(attempts: int, further: list[int]) -> None:
    rows = measure_pass_at_k(_passes(attempts, [3], [attempts - 1]), OPTIONS)
    assert [row.k for row in rows] == [*range(1, min(10, attempts) + 1), *further]
    last = rows[-1]
    assert (last.baseline_any_of.estimate, last.treatment_all_of.estimate) == (1.0, 0.0)


@pytest.mark.parametrize("c", [0, 1, 7, 250, 399, 400])
@pytest.mark.parametrize("k", [1, 2, 30, 390, 400])
def test_many_attempts_have_the_shares_that_counting_gives(c: int, k: int) -> None:
    assert any_of(400, c, k) == pytest.approx(1 - comb(400 - c, k) / comb(400, k), abs=1e-12)
    assert all_of(400, c, k) == pytest.approx(comb(c, k) / comb(400, k), rel=1e-9)


def test_later_points_have_wider_imaginary_tasks() -> None:
    rows = measure_pass_at_k(_passes(4, [2] * 10, [2] * 10), OPTIONS)
    widths = [_width(row.difference_any_of) for row in rows]
    assert widths == sorted(widths)
    # All tasks alike: a subset of s tasks and one imaginary one is off by sqrt(k/4)/(s + 1).
    assert rows[3].difference_any_of.method == "random subsets of tasks, with two imaginary ones"
    assert widths[3] == pytest.approx(widths[1] * (4 / 2) ** 0.5)


def _width(interval: Interval) -> float:
    assert interval.low is not None
    assert interval.high is not None
    return interval.high - interval.low


def test_changing_the_arms_over_mirrors_the_differences() -> None:
    pairs = _passes(3, [0, 1, 2, 3, 1, 0, 0], [1, 1, 3, 3, 2, 0, 3])
    for there, back in zip(
        measure_pass_at_k(pairs, OPTIONS), measure_pass_at_k(swapped(pairs), OPTIONS), strict=True
    ):
        assert back.baseline_all_of == there.treatment_all_of
        assert back.difference_all_of.low == pytest.approx(-(there.difference_all_of.high or 0))


def test_no_pair_has_no_curve() -> None:
    assert measure_pass_at_k(pairing({"a": [1]}, {"b": [1]}), OPTIONS) == []
