"""The verdict in words, and what a whole comparison may not say."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec
import pytest

from evaltrace import trace as tr
from evaltrace.compare import audit_paths, compare_paths, compare_traces, plan_paths
from evaltrace.compare.effects.effect import finding_of
from evaltrace.compare.options import CompareOptions
from evaltrace.comparison import Comparison, Interval
from evaltrace.errors import ArmsUnclear
from evaltrace.schema import violations
from traces import minimal_trace


def _trace(task: str, number: int, reward: float | None, **changes: Any) -> tr.Trace:
    fields: dict[str, Any] = {
        "trace_id": f"{task}-{number}-{changes.get('arm')}",
        "task_id": f"{task}__{number}",
        "task": tr.Task(name=task),
        "test_reward": reward,
        "rewards": None if reward is None else {"reward": reward},
        "attempt": number,
        "status": "pass" if reward == 1 else "fail",
    }
    return minimal_trace(**{**fields, **changes})


def _arm(rewards: Sequence[float | None], attempts: int = 1, **changes: Any) -> list[tr.Trace]:
    return [
        _trace(f"task-{index:02}", number, reward, **changes)
        for index, reward in enumerate(rewards)
        for number in range(1, attempts + 1)
    ]


def _compared(
    baseline: Sequence[float | None], treatment: Sequence[float | None], **options: Any
) -> Comparison:
    return compare_traces(_arm(baseline), _arm(treatment), CompareOptions(**options))


# What may be said.


@pytest.mark.parametrize(
    ("low", "high", "p", "finding"),
    [
        (0.1, 0.5, 0.01, "better"),
        (-0.1, 0.5, 0.04, "leaning_better"),
        (0.1, 0.5, 0.0625, "leaning_better"),
        (-0.1, 0.5, 0.2, "no_difference_shown"),
        (0.1, 0.5, None, "better"),
        (None, None, 0.01, "leaning_better"),
    ],
)
def test_better_takes_both_the_interval_and_the_test(
    low: float | None, high: float | None, p: float | None, finding: str
) -> None:
    interval = Interval(estimate=0.3, low=low, high=high, p=p)
    assert finding_of(interval, 0.05) == finding
    mirrored = {"better": "worse", "leaning_better": "leaning_worse"}
    assert finding_of(interval, 0.05, "lower") == mirrored.get(finding, finding)


def test_a_clear_win_is_said_with_effect_interval_and_pairs() -> None:
    verdict = _compared([0.0] * 10, [1.0] * 8 + [0.0] * 2).verdict
    assert verdict.finding == "better"
    assert verdict.sentence == (
        "treatment solved 80.0 points more, 95 % interval +25.3 to +100.0, 10 tasks x 1 attempt, "
        "cost not known."
    )


def test_no_difference_says_what_could_have_been_shown() -> None:
    verdict = _compared([0.0, 1.0] * 15, [1.0, 0.0] * 15).verdict
    assert verdict.finding == "no_difference_shown"
    assert verdict.sentence.startswith("~ No difference shown: treatment at 0.0 points")
    assert "this data could have shown" in verdict.sentence


@pytest.mark.parametrize(
    ("reward", "said"), [(0.0, "Nothing was solved"), (1.0, "Everything was solved")]
)
def test_tasks_that_cannot_tell_the_arms_apart_are_pointed_out(reward: float, said: str) -> None:
    verdict = _compared([reward] * 12, [reward] * 12).verdict
    assert any(caveat.startswith(said) for caveat in verdict.caveats)


def test_a_run_in_progress_is_said_to_be_one() -> None:
    running = [_trace("task-00", 2, None, status="running")]
    verdict = compare_traces(_arm([1.0] * 12), [*_arm([1.0] * 12), *running]).verdict
    assert any("1 trial had not ended" in caveat for caveat in verdict.caveats)


def test_without_pairs_there_is_no_verdict_and_nothing_that_it_could_depend_on() -> None:
    verdict = _compared([1.0], [None]).verdict
    assert verdict.finding is None
    assert verdict.sentence == "No verdict: no task has a value that counts in both arms."
    assert not [caveat for caveat in verdict.caveats if "depends" in caveat]


def test_sums_that_differ_by_rounding_alone_are_no_difference() -> None:
    compared = _compared([0.3] * 12, [0.1 + 0.2] * 12)
    assert compared.verdict.finding == "no_difference_shown"
    assert compared.pairs.ties == 12
    assert compared.reward.difference.p == 1.0


def test_a_blocker_is_said_by_what_it_blocks() -> None:
    few = compare_traces(_arm([1.0] * 10), _arm([1.0] * 2)).verdict
    assert few.blockers == 1
    assert few.caveats[0] == "Fewer than half of the tasks can be compared: see the audit."
    models = [
        _arm([1.0] * 10, agent_config=tr.AgentConfig(agent=tr.Agent(name=name), model=model))
        for name, model in (("one", "small"), ("two", "large"))
    ]
    verdict = compare_traces(*models, CompareOptions(treatment="agent")).verdict
    assert verdict.caveats[0].startswith("1 blocker in the audit: the arms differ in more than")


# What an error may not change.


def _with_error(reward: float | None) -> tr.Trace:
    error = tr.TraceError(type="Error", cause="sandbox_failed", reward_valid=False)
    return _trace("task-00", 2, reward, status="error", error=error)


@pytest.mark.parametrize("recorded", [-1.0, 7.0, 1e300, 0.0, None])
def test_the_reward_of_a_failed_trial_changes_no_number_of_the_effect(
    recorded: float | None,
) -> None:
    baseline, treatment = _arm([0.5] * 8), _arm([0.6] * 8)
    before = compare_traces(baseline, treatment)
    after = compare_traces([*baseline, _with_error(recorded)], treatment)
    assert msgspec.json.encode(after.reward) == msgspec.json.encode(before.reward)
    assert after.metric == before.metric
    assert after.verdict.finding == before.verdict.finding


# Rewards of which less is better.


def _failures(values: Sequence[float]) -> list[tr.Trace]:
    """Trials that count failed tests, and pass where none failed."""
    return [
        _trace(f"task-{i}", 1, float(not n), rewards={"reward": float(not n), "n_failed": n})
        for i, n in enumerate(values)
    ]


def test_fewer_failures_are_better_and_the_reward_says_what_passed() -> None:
    options = CompareOptions(metric="n_failed")
    baseline, treatment = _failures([0, 0, 3, 3, 3, 3, 3, 3]), _failures([0] * 8)
    compared = compare_traces(baseline, treatment, options)
    assert (compared.metric.kind, compared.metric.better) == ("number", "lower")
    assert compared.verdict.finding == "better"
    assert (len(compared.flips.gained), len(compared.flips.lost)) == (6, 0)
    assert compared.pairs.outcomes.by_attempt.only_treatment == 6


def test_failures_counted_as_0_and_1_are_no_passes() -> None:
    options = CompareOptions(metric="n_failed")
    compared = compare_traces(_failures([0.0] * 6), _failures([1.0] * 6), options)
    assert compared.metric.kind == "number"
    assert len(compared.flips.lost) == 6


# Several treatments.


def _four_arms() -> list[tr.Trace]:
    """A treatment that wins 6 of 12 tasks, and two that win none."""
    lost, won = [0.0] * 12, [1.0] * 6 + [0.0] * 6
    arms = {"baseline": lost, "one": won, "two": lost, "three": lost}
    return [trace for arm, rewards in arms.items() for trace in _arm(rewards, arm=arm)]


@pytest.fixture
def four_arms(tmp_path: Any) -> list[tuple[str | None, Any]]:
    path = tmp_path / "arms.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(trace) for trace in _four_arms()))
    return [(None, path)]


@pytest.mark.parametrize("on_missing", ["valid", "bounds"])
def test_a_win_among_several_treatments_is_adjusted_everywhere(
    four_arms: list[tuple[str | None, Any]], on_missing: Any
) -> None:
    compared = compare_paths(four_arms, CompareOptions(on_missing=on_missing))
    [one] = [row for row in (compared, *compared.further) if row.arms.treatment.label == "one"]
    difference = one.reward.difference
    assert difference.p == pytest.approx(2**-6)
    assert difference.p_adjusted == pytest.approx(3 * 2**-6)
    assert one.verdict.finding == "better"
    assert "p = 0.047 after Holm's adjustment" in one.verdict.sentence
    strict = CompareOptions(on_missing=on_missing, alpha=0.04)
    compared = compare_paths(four_arms, strict)
    [one] = [row for row in (compared, *compared.further) if row.arms.treatment.label == "one"]
    assert one.verdict.finding == "leaning_better"
    [cell] = [cell for cell in compared.matrix if cell.treatment == "one"]
    assert cell.finding == "leaning_better"
    assert cell.difference.p_adjusted == difference.p_adjusted


def test_an_audit_and_a_plan_take_two_arms(four_arms: list[tuple[str | None, Any]]) -> None:
    for job in (audit_paths, plan_paths):
        with pytest.raises(ArmsUnclear, match="4 arms, where two are wanted"):
            job(four_arms, CompareOptions(arm_by="arm"))


# What is written fits its schema.


def _noise(seed: int, tasks: int = 20, attempts: int = 3) -> list[tr.Trace]:
    random = Random(seed)
    return [
        _trace(f"task-{i:02}", number, float(random.random() < 0.4))
        for i in range(tasks)
        for number in range(1, attempts + 1)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_arms_that_differ_by_luck_alone_fit_the_schema(seed: int) -> None:
    compared = compare_traces(_noise(2 * seed), _noise(2 * seed + 1))
    document = msgspec.to_builtins(compared)
    assert list(violations(document, "comparison")) == []
    chance = compared.flips.chance
    assert chance is not None
    assert chance.false_share is None or 0 <= chance.false_share <= 1


def test_differences_that_cancel_out_are_a_difference_of_nothing() -> None:
    thirds = [1 / 3, 2 / 3, 0.0, 1.0, 1 / 3, 2 / 3]
    compared = _compared(thirds, [thirds[i] for i in (1, 0, 3, 2, 5, 4)])
    assert compared.reward.difference.estimate == 0.0
    assert compared.verdict.finding == "no_difference_shown"
    assert "at 0.0 points" in compared.verdict.sentence


def test_notes_say_what_was_done_with_groups_and_with_missing_values() -> None:
    traces = [_arm([float((i + arm) % 3 > 0) for i in range(18)]) for arm in (0, 1)]
    for index, trace in enumerate(trace for arm in traces for trace in arm):
        trace.task.category = f"c{index % 6}"
    compared = compare_traces(*traces, CompareOptions(cluster_by="category"))
    notes = " ".join(compared.method.notes)
    assert compared.method.clusters == 6
    assert "the group is the unit" in notes
    assert "the task is the unit" not in notes
    cost = CompareOptions(metric="metrics.turns", on_missing="bounds")
    notes = " ".join(compare_traces(*traces, cost).method.notes)
    assert "--on-missing bounds says nothing of metrics.turns" in notes


def test_a_baseline_alone_cannot_plan_for_groups(tmp_path: Any) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(trace) for trace in _noise(1)))
    with pytest.raises(ArmsUnclear, match="--cluster-by needs two arms"):
        plan_paths([(None, path)], CompareOptions(cluster_by="category"))
