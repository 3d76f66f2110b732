"""What must hold for whole comparisons, whatever was measured: symmetry, order, identity."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaltrace import trace as tr
from evaltrace.compare import compare_traces
from evaltrace.comparison import Comparison, Finding, Interval, Quantity
from traces import minimal_trace

QUICK = settings(max_examples=10, deadline=None)

Attempt = tuple[float | None, float]
"""The reward of a trial, None where an error took it, and its cost."""

Arm = dict[str, list[Attempt]]

KINDS = st.sampled_from(((0.0, 1.0), (0.0, 0.25, 1 / 3, 0.8046511627906977, 1.0), (-1.0, 0.5, 5.0)))
COSTS = st.sampled_from((0.01, 0.2, 0.35, 1.7))


@st.composite
def arms(draw: st.DrawFn) -> tuple[Arm, Arm]:
    """Draw two arms with rewards of one kind: 1 to 7 tasks in both, up to 3 attempts at each."""
    rewards = st.sampled_from((*draw(KINDS), None))
    attempts = st.lists(st.tuples(rewards, COSTS), min_size=1, max_size=3)
    tasks = [f"task-{number}" for number in range(draw(st.integers(1, 7)))]
    first, second = ({task: draw(attempts) for task in tasks} for _ in range(2))
    return first, second


def _trace(arm: str, task: str, number: int, attempt: Attempt) -> tr.Trace:
    reward, cost = attempt
    lost = tr.TraceError(type="ApiError", cause="model_provider_failed")
    metrics = tr.Metrics(
        tokens=tr.Tokens(input=100 * number, output=10, total=100 * number + 10),
        cost=tr.Cost(usd=cost, source="reported"),
        durations=tr.Durations(agent_execution_s=60 * cost, total_s=70 * cost),
        turns=number,
        tool_calls=number + len(task),
    )
    return minimal_trace(
        trace_id=f"{arm}-{task}-{number}",
        task_id=f"{task}__{arm}{number}",
        task=tr.Task(name=task),
        attempt=number,
        test_reward=reward,
        rewards=None if reward is None else {"reward": reward},
        status="error" if reward is None else "pass" if reward >= 1 else "fail",
        error=lost if reward is None else None,
        metrics=metrics,
        origin=tr.Origin(kind="harness", harness="harbor", job_name=arm),
    )


def _traces(name: str, arm: Arm) -> list[tr.Trace]:
    return [
        _trace(name, task, number, attempt)
        for task, attempts in arm.items()
        for number, attempt in enumerate(attempts, 1)
    ]


# Swapping the arms.

_LEANING: tuple[Arm, Arm] = (
    {f"task-{number}": [(0.0, 0.2)] for number in range(10)},
    {f"task-{number}": [(float(number < 5), 0.35)] for number in range(10)},
)
"""Five of ten tasks gained: the interval touches 0, the mid-p is 1/32."""

_OPPOSITE: dict[Finding | None, Finding | None] = {
    "better": "worse",
    "worse": "better",
    "leaning_better": "leaning_worse",
    "leaning_worse": "leaning_better",
    "no_difference_shown": "no_difference_shown",
    None: None,
}


def _assert_near(values: list[float | None], expected: list[float | None]) -> None:
    for value, wanted in zip(values, expected, strict=True):
        near = None if wanted is None else pytest.approx(wanted, rel=1e-9, abs=1e-12)
        assert value == near


def _assert_negated(one: Interval, other: Interval) -> None:
    expected = [None if x is None else -x for x in (one.estimate, one.high, one.low)]
    _assert_near([other.estimate, other.low, other.high, other.p], [*expected, one.p])
    assert (other.n, other.method, other.test) == (one.n, one.method, one.test)


def _assert_inverted(one: Interval | None, other: Interval | None) -> None:
    assert (one is None) == (other is None)
    if one and other:
        expected = [None if x is None else 1 / x for x in (one.estimate, one.high, one.low)]
        _assert_near([other.estimate, other.low, other.high], expected)
        assert other.n == one.n


def _quantities(compared: Comparison) -> list[Quantity]:
    time = compared.time
    return [compared.cost, compared.tokens.total, time.agent, compared.turns, compared.tool_calls]


@QUICK
@example(_LEANING)
@given(arms())
def test_swapping_the_arms_negates_differences_inverts_ratios_and_trades_flips(
    given_arms: tuple[Arm, Arm],
) -> None:
    first, second = (_traces(name, arm) for name, arm in zip("ab", given_arms, strict=True))
    one, other = compare_traces(first, second), compare_traces(second, first)
    _assert_negated(one.reward.difference, other.reward.difference)
    assert other.verdict.finding == _OPPOSITE[one.verdict.finding]
    assert other.verdict.robust == one.verdict.robust
    assert (other.reward.baseline, other.reward.treatment) == (
        one.reward.treatment,
        one.reward.baseline,
    )
    assert other.denominators.baseline == one.denominators.treatment
    assert (other.pairs.wins, other.pairs.ties, other.pairs.losses) == (
        one.pairs.losses,
        one.pairs.ties,
        one.pairs.wins,
    )
    assert [flip.task for flip in other.flips.gained] == [flip.task for flip in one.flips.lost]
    assert [flip.task for flip in other.flips.lost] == [flip.task for flip in one.flips.gained]
    assert other.flips.unchanged == one.flips.unchanged
    for before, after in zip(_quantities(one), _quantities(other), strict=True):
        _assert_inverted(before.ratio, after.ratio)
        _assert_inverted(before.typical, after.typical)
    for k, mirrored in zip(one.pass_at_k, other.pass_at_k, strict=True):
        _assert_negated(k.difference_any_of, mirrored.difference_any_of)
        _assert_negated(k.difference_all_of, mirrored.difference_all_of)
    ways = {way.name: way.difference for way in one.sensitivity.analyses}
    back = {way.name: way.difference for way in other.sensitivity.analyses}
    _assert_negated(ways["worst_case"], back["best_case"])
    _assert_negated(ways["best_case"], back["worst_case"])
    _assert_negated(ways["missing_as_fail"], back["missing_as_fail"])


# Order.


def _bytes(compared: Comparison) -> bytes:
    """Everything but the digests, which are of the inputs' bytes as they came."""
    for source in compared.inputs:
        source.digest = ""
    return msgspec.json.encode(compared)


@QUICK
@given(arms(), st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_the_traces_changes_no_byte(
    given_arms: tuple[Arm, Arm], numbered: bool, random: Any
) -> None:
    first, second = (_traces(name, arm) for name, arm in zip("ab", given_arms, strict=True))
    if not numbered:
        for trace in (*first, *second):
            trace.attempt = None
    shuffled = [random.sample(traces, len(traces)) for traces in (first, second)]
    assert _bytes(compare_traces(*shuffled)) == _bytes(compare_traces(first, second))


# Identity.


@QUICK
@given(arms())
def test_an_arm_against_itself_differs_in_nothing(given_arms: tuple[Arm, Arm]) -> None:
    traces = _traces("a", given_arms[0])
    compared = compare_traces(traces, traces)
    if not compared.pairs.tasks:
        assert compared.verdict.finding is None
        return
    difference = compared.reward.difference
    assert (difference.estimate, difference.p) == (0, 1)
    assert compared.verdict.finding == "no_difference_shown"
    assert (compared.pairs.wins, compared.pairs.losses) == (0, 0)
    assert (compared.flips.gained, compared.flips.lost) == ([], [])
    assert compared.sensitivity.missing.differential is False
    for quantity in _quantities(compared):
        assert quantity.ratio is not None
        assert quantity.ratio.estimate == 1


# Errors.


@QUICK
@given(arms(), st.sampled_from(("baseline", "treatment")), st.sampled_from((None, 0.0, 1.0)), COSTS)
def test_one_more_trial_lost_to_an_error_changes_no_number_of_the_valid_ones(
    given_arms: tuple[Arm, Arm], where: str, recorded: float | None, cost: float
) -> None:
    first, second = (_traces(name, arm) for name, arm in zip("ab", given_arms, strict=True))
    lost = _trace("lost", "task-0", 4, (None, cost))
    if recorded is not None:
        lost.test_reward, lost.rewards = recorded, {"reward": recorded}
    before = compare_traces(first, second)
    added = ([*first, lost], second) if where == "baseline" else (first, [*second, lost])
    after = compare_traces(*added)
    counts = getattr(after.denominators, where)
    assert counts.errored == getattr(before.denominators, where).errored + 1
    assert counts.valid == getattr(before.denominators, where).valid
    assert after.metric == before.metric
    assert after.reward == before.reward
    assert after.pairs == before.pairs
    assert after.pass_at_k == before.pass_at_k
    assert after.power == before.power
    assert after.flips == before.flips
    assert after.verdict.finding == before.verdict.finding
    for old, new in zip(_quantities(before), _quantities(after), strict=True):
        assert new.typical == old.typical
        assert new.solved_by_both == old.solved_by_both
