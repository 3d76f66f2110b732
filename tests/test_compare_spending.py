"""Spending: bills, typical tasks, cost per solved task and where the cost comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus_arms import lab, lab_truth, needs_corpus
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pairing, Trial
from evaltrace.compare.spending.measurement import measure_spending
from evaltrace.compare.spending.origins import find_cost_origins
from evaltrace.comparison import Amount, CostOrigins, Interval, Quantity
from evaltrace.trace import Tokens
from sides import paired, swapped, trial

OPTIONS = CompareOptions()

# Two sets of twelve amounts (R, statpsych::ci.ratio.mean.ps).
MORE = [76.41, 66.91, 81.06, 74.78, 83.76, 89.31, 78.78, 87.06, 82.61, 76.74, 88.33, 86.18]
LESS = [59.85, 60.64, 84.86, 68.16, 71.53, 86.18, 67.3, 65.46, 83.5, 66.76, 88.37, 65.02]


def _origins(pairs: Pairing) -> CostOrigins:
    return find_cost_origins(pairs, measure_spending(pairs, CompareOptions()))


def _arm(costs: Sequence[float | None], passing: int | None = None) -> list[Trial]:
    """One trial of each task, of which the first ones pass."""
    solved = len(costs) if passing is None else passing
    return [trial(float(i < solved), task=f"t{i:02}", cost=cost) for i, cost in enumerate(costs)]


def _cost(pairs: Pairing, options: CompareOptions = OPTIONS) -> Quantity:
    return measure_spending(pairs, options).cost


def _figures(interval: Interval | None) -> tuple[float | None, float | None, float | None]:
    assert interval is not None
    return interval.estimate, interval.low, interval.high


def test_a_bill_and_a_typical_task_have_the_published_figures() -> None:
    found = _cost(paired(_arm(LESS), _arm(MORE)))
    assert _figures(found.ratio) == pytest.approx((1.120212533, 1.042329011, 1.212988157))
    assert _figures(found.typical) == pytest.approx((1.127084443, 1.049256579, 1.210685134))
    assert (found.known_pairs, found.pairs, found.note) == (12, 12, None)
    assert found.ratio is not None
    assert found.ratio.method == "ratio of the sums of task means, random subsets of tasks"


def test_amounts_are_over_the_trials_that_count_and_what_the_others_took_is_lost() -> None:
    pairs = paired(
        [trial(task="a", cost=cost) for cost in (1, 2, 3, None)],
        [*(trial(None, task="a", cost=cost) for cost in (5, None)), trial(task="a", cost=7)],
    )
    found = _cost(pairs)
    assert found.baseline == Amount(total=6, mean=2, p90=2.8, known=3, trials=4, lost=0)
    assert found.treatment == Amount(
        total=7, mean=7, p90=7, known=1, trials=1, lost=5, lost_known=1, uncounted=2
    )


def test_what_lost_trials_took_may_be_unknown() -> None:
    pairs = paired([trial(cost=1)], [trial(cost=1), trial(None)])
    assert _cost(pairs).treatment.lost is None


def _with_crashes(solved: int, crashes: int) -> list[Trial]:
    """Eight tasks, each with passes at a dollar and API errors that cost nothing."""
    outcomes = [(1.0, 1.0)] * solved + [(None, 0.0)] * crashes
    return [trial(value, task=f"t{i}", cost=cost) for i in range(8) for value, cost in outcomes]


def test_cheap_crashes_make_no_arm_look_cheap() -> None:
    pairs = paired(_with_crashes(1, 3), _with_crashes(1, 0))
    found = measure_spending(pairs, OPTIONS)
    assert _figures(found.cost.ratio) == _figures(found.cost.typical) == (1.0, 1.0, 1.0)
    assert (found.per_solved.baseline, found.per_solved.treatment) == (1.0, 1.0)
    assert _figures(found.per_solved.ratio) == (1.0, 1.0, 1.0)
    assert (found.cost.baseline.total, found.cost.baseline.lost) == (8, 0)
    assert (found.cost.baseline.known, found.cost.baseline.trials) == (8, 8)


def test_crashes_that_cost_money_are_paid_for_by_what_was_solved() -> None:
    dear = [trial(None, task=f"t{i}", cost=2.0) for i in range(8)]
    pairs = paired([*_with_crashes(1, 0), *dear], _with_crashes(1, 0))
    found = measure_spending(pairs, OPTIONS)
    assert _figures(found.cost.ratio)[0] == 1.0
    assert found.cost.baseline.lost == 16
    # Three dollars for each task, and one of its two trials passed.
    assert (found.per_solved.baseline, found.per_solved.treatment) == (3.0, 1.0)


def test_crashes_counted_as_failures_are_attempts_like_others() -> None:
    crashed = [trial(0.0, task="a", state="errored", recorded=None, cost=cost) for cost in (2, 4)]
    found = _cost(paired([trial(task="a", cost=3)], [trial(task="a", cost=3), *crashed]))
    assert found.treatment == Amount(total=9, mean=3, p90=3.8, known=3, trials=3, lost=0)


def test_cost_per_solved_counts_trials_of_known_cost_alone() -> None:
    arm = [trial(1.0, cost=4), trial(1.0), trial(0.0, cost=2), trial(None)]
    found = measure_spending(paired(arm, [trial(1.0, cost=1)]), OPTIONS).per_solved
    assert (found.baseline, found.treatment) == (6.0, 1.0)


def test_fewer_passes_for_the_money_have_no_price_for_an_extra_one() -> None:
    # All attempts that count pass, but nine in ten of the treatment crash.
    pairs = paired(
        [trial(float(i < 1), task=f"t{i:02}", cost=1) for i in range(10)],
        [trial(value, task=f"t{i:02}", cost=1) for i in range(10) for value in (1.0, *(None,) * 9)],
    )
    found = measure_spending(pairs, OPTIONS).per_solved
    assert (found.treatment, found.per_extra_solved) == (pytest.approx(10), None)


@pytest.mark.parametrize(
    "cost", [1.7e308, 1e200, 2e15, float("inf"), pytest.param(10**400, id="huge")]
)
def test_an_amount_beyond_any_sense_is_unknown(cost: float) -> None:
    arm = [trial(task="a", cost=1), trial(task="a", cost=cost), trial(task="b", cost=1)]
    found = measure_spending(paired(arm, arm), OPTIONS)
    assert found.cost.baseline == Amount(total=2, mean=1, p90=1, known=2, trials=3)
    assert (found.per_solved.baseline, found.per_solved.treatment) == (1.0, 1.0)
    huge = [trial(tokens=Tokens(output=10**300)), trial(tokens=Tokens(output=5))]
    assert _part(paired(huge, huge), "output tokens")[0] == 5


def test_tasks_weigh_alike_however_often_they_were_tried() -> None:
    pairs = paired(
        [trial(task="a", cost=1), trial(task="b", cost=3)],
        [*(trial(task="a", cost=2) for _ in range(5)), trial(task="b", cost=3)],
    )
    assert _figures(_cost(pairs).ratio)[0] == (2 + 3) / (1 + 3)


@pytest.mark.parametrize(
    ("known", "note"),
    [
        (5, None),
        (4, "cost known for 4 of 5 pairs"),
        (3, "cost known for 3 of 5 pairs: too few for a ratio"),
        (0, "cost known for 0 of 5 pairs: too few for a ratio"),
    ],
)
def test_a_ratio_needs_four_of_five_pairs(known: int, note: str | None) -> None:
    costs = [1.0] * known + [None] * (5 - known)
    found = _cost(paired(_arm([1.0] * 5), _arm(costs)))
    assert (found.known_pairs, found.note) == (known, note)
    for interval in (found.ratio, found.typical, found.solved_by_both):
        assert (interval is not None) is (known >= 4)
    assert found.treatment.total == (known or None)


def test_an_unknown_cost_is_never_nought() -> None:
    found = _cost(paired(_arm([None, None]), _arm([None, None])))
    assert found.baseline == Amount(total=None, mean=None, p90=None, known=0, trials=2)


def test_what_cost_nothing_is_left_out_of_typical_and_counted() -> None:
    found = _cost(paired(_arm([1, 1, 0, 2]), _arm([2, 2, 5, 0])))
    assert found.typical is not None
    assert (found.typical.estimate, found.typical.n) == (pytest.approx(2), 2)
    assert found.typical.note == "2 tasks with 0 left out"
    assert _figures(found.ratio)[0] == 9 / 4
    free = _cost(paired(_arm([0, 0]), _arm([1, 1])))
    assert free.ratio == Interval(n=2, note="the baseline spent nothing")


def test_a_negative_amount_is_unknown() -> None:
    assert _cost(paired(_arm([-1, 1]), _arm([1, 1]))).baseline.known == 1


def test_tasks_solved_by_both_are_those_most_attempts_pass_in() -> None:
    def arm(costs: Sequence[float], outcomes: Sequence[Sequence[float]]) -> list[Trial]:
        return [
            trial(value, task=f"t{i}", cost=cost)
            for i, (cost, row) in enumerate(zip(costs, outcomes, strict=True))
            for value in row
        ]

    ones = [[1, 1, 0], [1], [1, 1], [1, 0], [0]]
    pairs = paired(arm([1, 1, 1, 1, 1], [[1]] * 5), arm([2, 4, 8, 100, 100], ones))
    found = _cost(pairs).solved_by_both
    assert found is not None
    # Two of three, one of one and two of two are most; one of two and none of one are not.
    assert (found.estimate, found.n) == (pytest.approx(4), 3)
    fewer = paired(arm([1, 1, 1, 1, 1], [[1]] * 5), arm([2, 4, 8, 100, 100], [[0], *ones[1:]]))
    assert _cost(fewer).solved_by_both == Interval(
        n=2, note="fewer than 3 tasks solved by both arms"
    )


def test_costs_of_different_sources_are_named() -> None:
    pairs = paired(
        [trial(task="a", cost=1), trial(task="b", cost=1, cost_source="computed")],
        [trial(task="a", cost=1, cost_source="computed"), trial(task="b", cost=1)],
    )
    assert _cost(pairs).note == (
        "costs of different sources: baseline 1 computed, 1 reported; "
        "treatment 1 computed, 1 reported"
    )


def test_every_quantity_is_read_from_its_own_field() -> None:
    def arm(times: int) -> list[Trial]:
        tokens = Tokens(
            input=2 * times, output=3 * times, cache_creation=5 * times, cache_read=7 * times,
            total=11 * times, total_with_cache=13 * times,
        )  # fmt: skip
        return [trial(tokens=tokens, seconds=17.0 * times, turns=19 * times, tool_calls=23 * times)]

    found = measure_spending(paired(arm(1), arm(2)), OPTIONS)
    tokens = found.tokens
    rows = [
        tokens.input, tokens.output, tokens.cache_creation, tokens.cache_read, tokens.total,
        tokens.total_with_cache, found.time.agent, found.turns, found.tool_calls,
    ]  # fmt: skip
    assert [row.baseline.total for row in rows] == [2, 3, 5, 7, 11, 13, 17, 19, 23]
    assert [row.treatment.total for row in rows] == [4, 6, 10, 14, 22, 26, 34, 38, 46]
    assert {_figures(row.ratio)[0] for row in rows} == {2.0}
    assert found.cost.ratio is None


def test_groups_of_tasks_widen_the_ratios() -> None:
    clusters = {f"t{i:02}": f"g{i // 2}" for i in range(12)}
    costs = [cost for cost in MORE[:6] for _ in range(2)]
    lower = [cost for cost in LESS[:6] for _ in range(2)]
    pairs = paired(_arm(lower), _arm(costs), clusters=clusters)
    alone, grouped = _cost(pairs), _cost(pairs, CompareOptions(cluster_by="repository"))
    assert grouped.ratio is not None
    assert grouped.ratio.method == "ratio of the sums of task means, random subsets of groups"
    # Six groups: the ends are the lowest and the highest of all their subsets' ratios.
    ratios = [b / a for a, b in zip(LESS[:6], MORE[:6], strict=True)]
    assert _figures(grouped.ratio)[1:] == pytest.approx((min(ratios), max(ratios)))
    assert _figures(grouped.typical)[1:] == pytest.approx((min(ratios), max(ratios)))
    assert _figures(alone.ratio)[0] == _figures(grouped.ratio)[0]
    assert (_figures(alone.ratio)[1] or 0) > min(ratios)


# Cost per solved task.


def test_cost_per_solved_counts_failures_too() -> None:
    found = measure_spending(paired(_arm([1] * 10, 6), _arm([2] * 10, 8)), OPTIONS).per_solved
    assert (found.baseline, found.treatment) == (pytest.approx(10 / 6), 2.5)
    estimate, low, high = _figures(found.ratio)
    assert estimate == pytest.approx(1.5)
    assert low is not None
    assert high is not None
    # Solved tasks are the same but for two: at least 2 x 6/8, at most 2 x 1.
    assert low < 1.5 < high <= 2
    assert found.per_extra_solved is None


@pytest.mark.parametrize(("baseline", "treatment"), [(4, 8), (8, 4)])
def test_few_solved_tasks_give_no_interval(baseline: int, treatment: int) -> None:
    pairs = paired(_arm([1] * 10, baseline), _arm([1] * 10, treatment))
    found = measure_spending(pairs, OPTIONS).per_solved.ratio
    assert _figures(found) == (pytest.approx(baseline / treatment), None, None)
    assert found is not None
    assert found.note == "no interval: an arm solved fewer than 5 tasks"


def test_an_arm_that_solved_nothing_has_no_cost_per_solved_task() -> None:
    found = measure_spending(paired(_arm([1] * 6, 0), _arm([1] * 6, 3)), OPTIONS).per_solved
    assert (found.baseline, found.treatment, found.ratio) == (None, 2.0, None)
    assert found.note == "not defined: nothing solved in the baseline"


def test_unknown_costs_leave_no_cost_per_solved_task() -> None:
    pairs = paired(_arm([1] * 6), _arm([1, 1, 1, None, None, None]))
    found = measure_spending(pairs, OPTIONS).per_solved
    assert (found.baseline, found.treatment, found.ratio) == (None, None, None)
    assert found.note == "cost and outcome known for 3 of 6 pairs: too few for a ratio"


def test_an_extra_solved_task_has_a_price_where_more_are_shown() -> None:
    pairs = paired(_arm([1] * 10, 2), _arm([3] * 10, 10))
    assert measure_spending(pairs, OPTIONS).per_solved.per_extra_solved == pytest.approx(20 / 8)
    cheaper = measure_spending(paired(_arm([3] * 10, 2), _arm([1] * 10, 10)), OPTIONS).per_solved
    assert cheaper.per_extra_solved is None
    assert cheaper.note == "the treatment solves more at no higher cost"


# Origins.


def _part(pairs: Pairing, name: str) -> tuple[float | None, float | None, float | None]:
    [part] = [part for part in _origins(pairs).parts if part.name == name]
    return part.baseline, part.treatment, part.difference


def _texts(**more: int) -> Mapping[str, Any]:
    names = {"own": "results of built-in tools", "server": "results of archive"}
    return {names.get(name, name): length for name, length in more.items()}


def test_origins_are_means_of_the_trials_in_pairs() -> None:
    pairs = paired(
        [
            trial(tokens=Tokens(cache_read=100), texts=dict(_texts(reasoning=200, own=50))),
            trial(tokens=Tokens(cache_read=300)),
            trial(task="alone", tokens=Tokens(cache_read=10_000)),
        ],
        [
            trial(
                tokens=Tokens(cache_read=3400),
                texts=dict(_texts(reasoning=220, own=50, server=4100)),
                turns=4,
            )
        ],
    )
    assert _part(pairs, "cache read tokens") == (200, 3400, 3200)
    assert _part(pairs, "results of archive") == (0, 4100, 4100)
    assert _part(pairs, "reasoning") == (200, 220, 20)
    assert _part(pairs, "turns") == (None, 4, None)
    assert _origins(pairs).statement == (
        "Biggest changes in the treatment: +3.2k cache read tokens a trial, "
        "results of archive +4.1k characters, reasoning +10 %."
    )


def test_origins_without_events_or_tokens_are_unknown() -> None:
    found = _origins(paired([trial()], [trial()]))
    assert all(part.difference is None for part in found.parts)
    assert found.statement == "Nothing is known of what the trials spent their tokens on."


def test_a_server_with_a_hostile_name_is_cleaned() -> None:
    texts = {"results of \x1b[31m\n" + "x" * 500: 7}
    names = [part.name for part in _origins(paired([trial()], [trial(texts=texts)])).parts]
    [name] = [name for name in names if name.startswith("results")]
    assert "\x1b" not in name
    assert len(name) <= 80


def test_of_many_servers_those_with_most_characters_stand_alone() -> None:
    own = {"results of built-in tools": 1, "reasoning": 3}
    many = {f"results of s{i:04}": i for i in range(1, 1001)}
    pairs = paired([trial(texts=own)], [trial(texts={**own, **many}), trial(texts=own)])
    parts = _origins(pairs).parts
    assert len(parts) == 4 + 2 + 22 + 2
    names = [part.name for part in parts if part.name.startswith("results")]
    alone = [f"results of s{i:04}" for i in range(981, 1001)]
    assert names == ["results of built-in tools", *alone, "results of 980 more servers"]
    assert _part(pairs, "results of s1000") == (0, 500, 500)
    assert _part(pairs, "results of 980 more servers")[1] == 980 * 981 / 2 / 2


# Invariances.


@given(
    st.lists(
        st.tuples(st.floats(0.01, 100), st.floats(0.01, 100), st.booleans(), st.booleans()),
        min_size=6,
        max_size=12,
    )
)
def test_changing_the_arms_over_inverts_every_ratio(
    rows: list[tuple[float, float, bool, bool]],
) -> None:
    pairs = paired(
        [trial(float(p), task=f"t{i:02}", cost=a) for i, (a, _, p, _) in enumerate(rows)],
        [trial(float(p), task=f"t{i:02}", cost=b) for i, (_, b, _, p) in enumerate(rows)],
    )
    there, back = (measure_spending(each, OPTIONS) for each in (pairs, swapped(pairs)))
    for first, second in (
        (there.cost.ratio, back.cost.ratio),
        (there.cost.typical, back.cost.typical),
        (there.per_solved.ratio, back.per_solved.ratio),
    ):
        if first is None or first.low is None or first.high is None:
            continue
        estimate, low, high = _figures(second)
        assert estimate == pytest.approx(1 / (first.estimate or 0))
        assert low == pytest.approx(1 / first.high)
        assert high == (pytest.approx(1 / first.low) if first.low else None)


def test_an_arm_against_itself_costs_the_same() -> None:
    arm = _arm(MORE)
    found = measure_spending(paired(arm, arm), OPTIONS)
    assert _figures(found.cost.ratio) == _figures(found.cost.typical) == (1.0, 1.0, 1.0)
    assert _figures(found.per_solved.ratio) == (1.0, 1.0, 1.0)


# Real jobs.


@needs_corpus
def test_the_laboratory_spent_what_it_was_made_to_spend() -> None:
    _, _, pairs = lab()
    kept = {pair.task for pair in pairs.pairs}
    found = measure_spending(pairs, OPTIONS)
    for arm, side in (("baseline", "baseline"), ("mcp", "treatment")):
        trials = [
            row
            for row in lab_truth()["trials"]
            if row["arm"] == arm and row["task"] in kept and row["outcome"] != "env_error"
        ]
        valid = [row for row in trials if row["valid"]]
        for kind in ("cache_read", "output"):
            read = getattr(getattr(found.tokens, kind), side)
            assert read.total == sum(row["tokens"][kind] for row in valid)
            assert read.known == read.trials == len(valid)
            assert read.total + read.lost == sum(row["tokens"][kind] for row in trials)
