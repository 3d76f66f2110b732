"""Groups: effects by a field of the tasks, with several looks at the data paid for."""

from __future__ import annotations

import pytest

from evaltrace.compare.effects.effect import measure_effect
from evaltrace.compare.effects.groups import measure_groups
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pairing
from evaltrace.comparison import Interval
from sides import metric, pairing

OPTIONS = CompareOptions()


def _grouped(groups: dict[str, list[tuple[float, float]]], field: str = "difficulty") -> Pairing:
    """Single attempts (baseline, treatment) of the tasks of each value; "" has no value."""
    rows = [(f"{v}{i}", v, pair) for v, pairs in groups.items() for i, pair in enumerate(pairs)]
    return pairing(
        {task: [a] for task, _, (a, _) in rows},
        {task: [b] for task, _, (_, b) in rows},
        groups={task: {field: value} for task, value, _ in rows if value},
    )


GAINED, SAME, LOST = (0.0, 1.0), (1.0, 1.0), (1.0, 0.0)


def test_each_value_has_its_own_effect_and_adjusted_p() -> None:
    pairs = _grouped(
        {"hard": [GAINED] * 7, "easy": [SAME] * 3 + [LOST], "medium": [GAINED] * 3, "": [SAME]}
    )
    [group] = measure_groups(pairs, metric(), OPTIONS)
    assert (group.field, group.ungrouped) == ("difficulty", 1)
    assert [row.value for row in group.rows] == ["easy", "hard", "medium"]
    easy, hard, medium = group.rows
    # Mid-p of 0:1, 7:0 and 3:0 flips, then Holm and Benjamini-Hochberg over the three.
    assert [row.difference.p for row in group.rows] == pytest.approx([1 / 2, 1 / 128, 1 / 8])
    assert [row.p_holm for row in group.rows] == pytest.approx([1 / 2, 3 / 128, 1 / 4])
    assert [row.p_bh for row in group.rows] == pytest.approx([1 / 2, 3 / 128, 3 / 16])
    assert [row.lead for row in group.rows] == [False, True, False]
    assert (easy.difference.estimate, easy.difference.n) == (-0.25, 4)
    assert hard.difference.low is not None
    assert medium.difference.n == 3


def test_all_tasks_in_one_group_have_the_headline() -> None:
    pairs = _grouped({"hard": [GAINED] * 4 + [SAME] * 3})
    [group] = measure_groups(pairs, metric(), OPTIONS)
    assert group.rows[0].difference == measure_effect(pairs, metric(), OPTIONS).difference
    assert group.rows[0].p_holm == group.rows[0].difference.p


def test_a_single_pair_has_an_estimate_and_no_interval() -> None:
    [group] = measure_groups(_grouped({"hard": [GAINED], "easy": [SAME] * 2}), metric(), OPTIONS)
    easy, hard = group.rows
    assert hard.difference == Interval(estimate=1.0, n=1, note="one pair: no interval")
    assert (hard.p_holm, hard.p_bh, hard.lead) == (None, None, False)
    assert easy.p_holm == 1.0


def test_a_field_nothing_has_is_no_group() -> None:
    assert measure_groups(_grouped({"": [SAME]}), metric(), OPTIONS) == []
    assert measure_groups(pairing({}, {}), metric(), OPTIONS) == []


def test_fields_come_in_the_order_they_were_asked_for() -> None:
    pairs = pairing(
        {"a": [1], "b": [1]},
        {"a": [1], "b": [0]},
        groups={"a": {"language": "go"}, "b": {"category": "bug", "language": "go"}},
    )
    options = CompareOptions(group_by=("category", "language"))
    assert [group.field for group in measure_groups(pairs, metric(), options)] == [
        "category",
        "language",
    ]
