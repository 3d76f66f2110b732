from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparisons import (
    difference,
    interval,
    nothing_known,
    poor_comparison,
    sample_comparison,
)
from evaltrace.comparison import Attempts, Finding, Metric, Verdict
from evaltrace.reports import wording as say

RATE = Metric(name="reward", field="test_reward", kind="binary", better="higher", pass_threshold=1)
SCORE = Metric(name="partial", field="p", kind="fraction", better="higher", pass_threshold=1)
MONEY = Metric(
    name="cost", field="c", kind="number", better="lower", pass_threshold=1, unit="usd"
)  # fmt: skip
NUMBERS = st.sampled_from([None, math.nan, math.inf, -math.inf]) | st.floats(-1e300, 1e300)


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (0.2066667, RATE, "+20.7 points"),
        (-0.031, SCORE, "-3.1 points"),
        (0.0, RATE, "0.0 points"),
        (-0.0, RATE, "0.0 points"),
        (0.0003, RATE, "+0.03 points"),
        (-0.0003, RATE, "-0.03 points"),
        (0.31, MONEY, "+$0.31"),
        (-0.31, MONEY, "-$0.31"),
        (0.0, MONEY, "$0.00"),
        (None, RATE, "not known"),
        (math.nan, RATE, "not known"),
        (math.inf, MONEY, "not known"),
    ],
)
def test_differences_of_rewards_are_in_points_and_others_in_their_unit(
    value: float | None, metric: Metric, text: str
) -> None:
    assert say.difference(value, metric) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.037, 0.346, "+20.0 points (+3.7 to +34.6)"),
        (None, 0.346, "+20.0 points (at most +34.6)"),
        (0.037, None, "+20.0 points (at least +3.7)"),
        (None, None, "+20.0 points (no interval)"),
    ],
)
def test_an_interval_says_which_end_is_missing(
    low: float | None, high: float | None, text: str
) -> None:
    assert say.difference_interval(interval(0.2, low, high), RATE) == text


def test_levels_are_percentages_for_outcomes_and_plain_for_scores() -> None:
    found = interval(0.5384615, 0.3885532, 0.6817225)
    assert say.level_interval(found, RATE) == "53.8 % (38.9 to 68.2)"
    assert say.level_interval(found, SCORE) == "0.538 (0.389 to 0.682)"
    assert say.level_interval(interval(1.2, 1.0, 1.5), MONEY) == "$1.20 ($1.00 to $1.50)"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.3811966, "1.38x"),
        (0.5, "0.50x"),
        (12.345, "12.3x"),
        (1234.0, "1,234x"),
        (None, "not known"),
    ],
)
def test_ratios_keep_three_digits(value: float | None, text: str) -> None:
    assert say.times(value) == text


def test_a_ratio_comes_with_its_interval() -> None:
    assert say.ratio_interval(interval(1.4, 1.21, 1.61)) == "1.40x (1.21 to 1.61)"
    assert say.ratio_interval(interval(1.4, None, None)) == "1.40x (no interval)"
    assert say.ratio_interval(None) == "not known"


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.018, "p = 0.018"),
        (0.0009999, "p < 0.001"),
        (0.001, "p = 0.001"),
        (0.0, "p < 0.001"),
        (0.9996, "p = 1"),
        (1.0, "p = 1"),
        (None, "p not known"),
    ],
)
def test_p_values_have_three_decimals(p: float | None, text: str) -> None:
    assert say.p_value(p) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.4669, "usd", "$0.47"),
        (0.0042, "usd", "$0.0042"),
        (311.0, "s", "5m 11s"),
        (412_000.0, "tokens", "412.0k"),
        (22.4, "turns", "22.4"),
        (2246.0, "calls", "2,246"),
        (0.0, "usd", "$0.00"),
        (None, "usd", "not known"),
        (None, "tokens", "not known"),
        (None, "s", "not known"),
    ],
)
def test_amounts_carry_their_unit(value: float | None, unit: str, text: str) -> None:
    assert say.amount(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.58, "58 %"), (0.0, "0 %"), (1.0, "100 %"), (0.004, "0.4 %"), (0.996, "99.6 %")],
)
def test_shares_do_not_round_to_certainty(value: float, text: str) -> None:
    assert say.share(value) == text


def test_a_change_too_small_to_be_written_has_no_sign() -> None:
    assert say.signed_amount(-0.3, "tokens") == "0"
    assert say.signed_amount(-7700.0, "characters") == "-7.7k"
    assert say.signed_amount(0.02, "usd") == "+$0.02"


def test_the_design_names_tasks_and_attempts() -> None:
    assert say.design(sample_comparison()) == "25 tasks x 2 to 3 attempts"
    assert say.design(poor_comparison()) == "4 tasks x 1 attempt"


def test_a_verdict_names_its_finding_and_blockers_once() -> None:
    def words(finding: Finding | None, blockers: int = 0) -> str:
        return say.verdict_words(Verdict(finding=finding, sentence="It is so.", blockers=blockers))

    unsure: tuple[Finding, ...] = ("leaning_better", "no_difference_shown", "leaning_worse")
    assert words("worse") == "Worse: It is so."
    assert words("better", 2) == "Better, but 2 blockers in the audit: It is so."
    for finding in (None, *unsure):
        assert words(finding, 1) == "It is so."


def test_attempts_are_a_number_or_a_range_with_its_mean() -> None:
    assert say.attempts_words(Attempts(fewest=2, most=2, mean=2.0)) == "2"
    assert say.attempts_words(Attempts(fewest=1, most=3, mean=2.44)) == "1 to 3 (mean 2.4)"


def test_the_smallest_visible_difference_is_in_words_where_there_is_none() -> None:
    assert (
        say.visible_words(sample_comparison()) == "these data could have shown 21.0 points or more"
    )
    assert say.visible_words(poor_comparison()).startswith("so few data could hardly")
    assert say.visible_words(nothing_known()).endswith("is not known")


def test_grades_are_counted_from_the_worst_down() -> None:
    assert say.graded_counts({"warning": 2, "blocker": 1}) == "1 blocker, 2 warnings, no notes"


@given(NUMBERS)
def test_no_number_is_ever_written_as_nan_none_or_infinity(value: float | None) -> None:
    found = difference(0.0, 0.0, 0.0, 0.5)
    found.estimate, found.low, found.high, found.p = value, value, value, value
    texts = [
        say.p_value(value),
        say.share(value),
        say.number(value),
        say.times(value),
        say.ratio_interval(found),
        *(say.amount(value, unit) for unit in ("usd", "s", "tokens", "calls", None)),
        *(say.signed_amount(value, unit) for unit in ("usd", "s", "tokens")),
        *(say.difference_interval(found, metric) for metric in (RATE, SCORE, MONEY)),
        *(say.level_interval(found, metric) for metric in (RATE, SCORE, MONEY)),
        *(say.size(value, metric) for metric in (RATE, SCORE, MONEY)),
    ]
    assert [
        text for text in texts if "nan" in text.lower() or "inf" in text or "None" in text
    ] == []
    if value is None or not math.isfinite(value):
        assert all("not known" in text for text in texts)
