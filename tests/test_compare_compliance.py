"""Who got the tool, who used it, and what that does to the effect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import isclose

import pytest

from corpus_arms import lab, lab_truth, needs_corpus, with_symnav
from evaltrace import trace as tr
from evaltrace.compare.effects.effect import measure_effect
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pairing, Trial
from evaltrace.compare.treatment.compliance import judge_compliance
from evaltrace.compare.treatment.tool_use import to_tool_rows
from evaltrace.compare.treatment.treated import find_treatment
from evaltrace.comparison import Compliance, Interval, ToolRow, UseOfTool
from sides import metric, paired, side, trial


def _trial(
    value: float | None = 1.0,
    calls: int | None = 0,
    *,
    errors: int = 0,
    status: str | None = None,
    task: str = "a",
    configured: bool = False,
    seconds: float | None = 60.0,
) -> Trial:
    """A trial that called the tool of the server `docs` so often; None: its calls are unknown."""
    made = trial(value, task=task, seconds=seconds)
    row = tr.ToolCalls(name="look", server="docs", kind="mcp", count=calls or 0, errors=errors)
    servers = [tr.McpServer(name="docs", status=status, configured_in=["log: init"])]
    made.trace.tools = tr.Tools(
        mcp_servers=servers if status else [],
        calls=None if calls is None else [row] if calls else [],
    )
    if configured:
        made.trace.agent_config = tr.AgentConfig(agent=tr.Agent(mcp_servers=["docs"]))
    return made


def _judged(
    baseline: Sequence[Trial], treatment: Sequence[Trial], wanted: str = "mcp:docs"
) -> Compliance:
    arms = side("b", baseline), side("t", treatment)
    treated = find_treatment(*arms, wanted)
    pairing = paired(baseline, treatment)
    return judge_compliance(*arms, pairing, treated, CompareOptions(), metric())


def _tasks(*rows: tuple[float, float, int]) -> Compliance:
    """One attempt for each task: the values of both arms, and the treatment's calls."""
    baseline = [_trial(before, task=str(i)) for i, (before, _, _) in enumerate(rows)]
    treatment = [_trial(after, calls, task=str(i)) for i, (_, after, calls) in enumerate(rows)]
    return _judged(baseline, treatment)


def _known(interval: Interval | None) -> Interval:
    assert interval is not None
    return interval


# Trials counted.


def test_trials_are_counted_by_what_became_of_the_tool() -> None:
    found = _judged(
        [_trial()],
        [
            _trial(calls=3, errors=1, status="connected"),
            _trial(calls=2, errors=2, status="connected"),
            _trial(status="connected"),
            _trial(status="failed"),
            _trial(None, calls=None, configured=True),
            _trial(None, calls=None, configured=True, seconds=None),
        ],
    ).treatment
    assert found is not None
    assert (found.trials, found.ran, found.unknown) == (6, 4, 1)
    assert (found.available, found.connected, found.not_connected) == (5, 3, 1)
    assert (found.used, found.answered, found.never_used) == (2, 1, 2)
    assert (found.calls, found.failed_calls, found.contaminated) == (5, 3, 0)


def test_a_baseline_that_had_or_called_the_tool_is_contaminated() -> None:
    baseline = [_trial(), _trial(status="connected"), _trial(calls=1, errors=1), _trial()]
    found = _judged(baseline, [_trial(calls=1)])
    assert found.baseline is not None
    assert found.baseline.contaminated == 2
    names = sorted(baseline[place].trace.task_id for place in (1, 2))
    assert found.baseline.contaminated_trials == names
    assert found.statement.endswith("2 baseline trials had it too.")


def test_a_baseline_that_is_not_given_the_tool_has_no_trials_that_never_used_it() -> None:
    found = _judged([_trial(), _trial(status="connected"), _trial(configured=True)], [_trial()])
    assert found.baseline is not None
    assert found.treatment is not None
    assert (found.baseline.never_used, found.treatment.never_used) == (1, 1)


def test_a_treatment_without_the_tool_is_not_connected_to_it() -> None:
    found = _judged([_trial()], [_trial(), _trial(calls=1)])
    assert found.treatment is not None
    assert (found.treatment.not_connected, found.treatment.connected) == (1, 1)


def test_a_model_has_no_use_to_check() -> None:
    found = _judged([_trial()], [_trial(calls=1)], "model")
    assert (found.baseline, found.treatment, found.as_run, found.complier) == (None,) * 4
    assert "not a tool" in found.statement


@pytest.mark.parametrize(
    ("calls", "said"),
    [
        ([1, 1, 0, None], "Used in 2 of 3 trials that ran (67 %)."),
        ([1, 0, 0, 0, 0, 0], "Hardly used: the result says little about the tool."),
        ([None], "Nothing tells whether the tool was called."),
    ],
)
def test_the_statement_says_how_much_it_was_used(calls: list[int | None], said: str) -> None:
    after = [_trial(calls=number, seconds=None, configured=True) for number in calls]
    found = _judged([_trial()], after)
    assert said in found.statement


# What use does to the effect.


def test_as_run_is_the_headline() -> None:
    before = [_trial(value, task=str(i)) for i, value in enumerate([0.0, 0.0, 1.0, 0.0])]
    after = [_trial(1.0, i % 2, task=str(i)) for i in range(4)]
    pairing: Pairing = paired(before, after)
    headline = measure_effect(pairing, metric(), CompareOptions()).difference
    assert _judged(before, after).as_run == headline
    assert headline.estimate == 0.75


def test_compliant_attempts_used_the_tool_beside_a_clean_baseline() -> None:
    before = [
        _trial(1.0, task="a"), _trial(0.0, 1, task="a"),  # the second is contaminated
        _trial(0.0, task="b"),
        _trial(0.0, task="c", status="connected"),
    ]  # fmt: skip
    after = [
        _trial(0.0, task="a"), _trial(1.0, 1, task="a"),  # the first never used it
        _trial(0.5, 2, task="b"), _trial(1.0, 1, task="b"),
        _trial(1.0, 1, task="c"),
    ]  # fmt: skip
    found = _known(_judged(before, after).among_compliant)
    assert (found.n, found.estimate) == (2, 0.375)  # a: 1 - 1, b: 0.75 - 0
    assert "not randomised" in (found.note or "")


def test_the_complier_effect_is_the_difference_by_the_difference_in_use() -> None:
    found = _known(_tasks(*[(0, 1, 1)] * 4, *[(0, 0, 0)] * 2, *[(0, 0, 1)] * 2).complier)
    assert found.estimate == pytest.approx((4 / 8) / (6 / 8))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < 4 / 6 < found.high <= 4 / 3
    assert found.n == 8


def test_a_contaminated_baseline_counts_against_the_difference_in_use() -> None:
    before = [_trial(0.0, int(i < 2), task=str(i)) for i in range(8)]
    after = [_trial(float(i < 3), 1, task=str(i)) for i in range(8)]
    found = _known(_judged(before, after).complier)
    assert found.estimate == pytest.approx((3 / 8) / (1 - 2 / 8))


def test_an_effect_of_nothing_keeps_an_interval_with_a_width() -> None:
    found = _known(_tasks(*[(1, 1, 1)] * 6, *[(1, 1, 0)] * 2).complier)
    assert found.estimate == 0
    assert found.low is not None
    assert found.high is not None
    assert found.low < -0.1
    assert isclose(found.low, -found.high)


def test_a_tool_that_every_attempt_used_has_the_effect_as_run() -> None:
    found = _tasks(*[(0, 1, 1)] * 3, *[(1, 1, 2)] * 4)
    complier, as_run = _known(found.complier), _known(found.as_run)
    assert (complier.estimate, complier.low, complier.high, complier.p) == (
        as_run.estimate, as_run.low, as_run.high, as_run.p,
    )  # fmt: skip


def test_a_tool_hardly_used_has_no_complier_effect() -> None:
    found = _known(_tasks((0, 1, 1), *[(0, 0, 0)] * 5).complier)
    assert (found.estimate, found.low, found.high) == (None, None, None)
    said = "hardly differ in their use of the tool (17 % of attempts, 20 % needed)"
    assert said in str(found.note)


def test_tasks_that_differ_without_the_tool_forbid_a_complier_effect() -> None:
    found = _tasks(*[(0, 1, 0)] * 12, *[(0, 1, 1)] * 12)
    unused = _known(found.unused)
    assert (unused.n, unused.estimate) == (12, 1.0)
    assert unused.low is not None
    assert unused.low > 0
    assert _known(found.complier).estimate is None
    assert "never called" in str(_known(found.complier).note)


def test_unused_tasks_are_those_without_a_call_in_any_valid_attempt() -> None:
    before = [_trial(0.0, task=task) for task in "abc"]
    after = [
        _trial(1.0, task="a"), _trial(1.0, 1, task="a"),
        _trial(1.0, task="b"), _trial(None, 3, task="b"),
        _trial(1.0, None, task="c"),
    ]  # fmt: skip
    found = _known(_judged(before, after).unused)
    assert (found.n, found.estimate) == (1, 1.0)


def test_unknown_use_leaves_the_effect_as_run() -> None:
    found = _judged([_trial(0.0)], [_trial(1.0, None, configured=True)])
    assert (found.use_rate, found.unused) == (None, None)
    assert _known(found.as_run).estimate == 1
    assert _known(found.complier).estimate is None


def test_without_pairs_there_is_nothing_to_estimate() -> None:
    found = _judged([_trial(None)], [_trial(1.0, 1)])
    assert (_known(found.as_run).n, _known(found.complier).n) == (0, 0)


# Tools.


def test_tools_are_counted_by_server_and_outcome_the_treated_first() -> None:
    before = [_trial(1.0), _trial(0.0)]
    for member in before:
        member.trace.tools.calls = [tr.ToolCalls(name="Read", kind="read", count=9, errors=1)]
    after = [_trial(1.0, 2), _trial(0.0, 1, errors=1), _trial(None, 1), _trial(1.0)]
    arms = side("b", before), side("t", after)
    rows = to_tool_rows(*arms, find_treatment(*arms, "mcp:docs"))
    nothing = UseOfTool(calls=0, errors=0, trials=0, valid=0, passed=0)
    assert rows == [
        ToolRow(
            server="docs", tool="look", kind="mcp", treated=True, baseline=nothing,
            treatment=UseOfTool(calls=4, errors=1, trials=3, valid=2, passed=1),
        ),
        ToolRow(
            server=None, tool="Read", kind="read", treated=False, treatment=nothing,
            baseline=UseOfTool(calls=18, errors=2, trials=2, valid=2, passed=1),
        ),
    ]  # fmt: skip


def test_names_of_tools_are_made_printable() -> None:
    member = _trial()
    member.trace.tools.calls = [tr.ToolCalls(name="a\x1b[31mb" + "c" * 500, count=1)]
    arms = side("b", [member]), side("t", [])
    [row] = to_tool_rows(*arms, find_treatment(*arms, "model"))
    assert row.tool.startswith("abc")
    assert len(row.tool) <= 120


def test_a_trial_that_lists_a_tool_twice_is_one_trial() -> None:
    member = _trial(calls=2)
    member.trace.tools.calls = [*(member.trace.tools.calls or ()) * 2]
    arms = side("b", []), side("t", [member])
    [row] = to_tool_rows(*arms, find_treatment(*arms, "mcp:docs"))
    assert row.treatment == UseOfTool(calls=4, errors=0, trials=1, valid=1, passed=1)


def test_the_address_of_a_server_shows_no_password() -> None:
    member = _trial()
    member.trace.tools.calls = [
        tr.ToolCalls(name="look", server="https://ada:hunter2pw@example.com/mcp", count=1)
    ]
    arms = side("b", [member]), side("t", [])
    [row] = to_tool_rows(*arms, find_treatment(*arms, "model"))
    assert row.server == "https://***@example.com/mcp"


# Real jobs.


@needs_corpus
def test_the_laboratory_is_counted_as_it_was_made() -> None:
    baseline, treatment, pairing = lab()
    treated = find_treatment(baseline, treatment, None)
    found = judge_compliance(
        baseline, treatment, pairing, treated, CompareOptions(), metric("fraction")
    )
    truth = lab_truth()["aggregates"]
    names = ("connected", "not_connected", "used", "never_used", "contaminated")
    for arm, seen in (("baseline", found.baseline), ("mcp", found.treatment)):
        assert seen is not None
        expected = truth[arm]["mcp"]
        assert {name: getattr(seen, name) for name in names} == {
            name: expected[f"n_{name}"] for name in names
        }
        assert (seen.calls, seen.failed_calls) == (expected["calls"], expected["failed_calls"])
        assert seen.trials == truth[arm]["n"]
    assert found.baseline is not None
    assert found.baseline.contaminated_trials == ["inventory-flag-parsing__yS3uFJU"]
    assert found.use_rate == 37 / 46
    assert found.statement == (
        "Used in 37 of 46 trials that ran (80 %). Not connected in 3. 1 baseline trial had it too."
    )
    expected = lab_truth()["paired"]["by_task_mean"]["mean_difference"]
    assert _known(found.as_run).estimate == pytest.approx(expected, abs=1e-12)


@needs_corpus
def test_the_compliant_attempts_of_the_laboratory_are_the_known_ones() -> None:
    baseline, treatment, pairing = lab()
    treated = find_treatment(baseline, treatment, None)
    table: Counter[tuple[bool | None, bool | None]] = Counter()
    for pair in pairing.pairs:
        after = {member.trace.attempt: member for member in pair.valid_treatment}
        for before in pair.valid_baseline:
            other = after.get(before.trace.attempt)
            clean = treated.calls(before) == (0, 0) and treated.status(before) != "connected"
            if other is not None and clean and (treated.calls(other) or (0, 0))[0]:
                table[before.passed, other.passed] += 1
    truth = lab_truth()["paired"]["by_attempt_mcp_used_and_baseline_clean"]
    assert table.total() == truth["n"]
    assert table[True, True] == truth["both_pass"]
    assert table[True, False] == truth["only_baseline"]
    assert table[False, True] == truth["only_mcp"]
    assert table[False, False] == truth["neither"]


@needs_corpus
def test_tools_of_the_laboratory_add_up_to_its_calls() -> None:
    baseline, treatment, _ = lab()
    rows = to_tool_rows(baseline, treatment, find_treatment(baseline, treatment, None))
    truth = lab_truth()
    assert sum(row.baseline.calls for row in rows) == truth["aggregates"]["baseline"]["tool_calls"]
    assert sum(row.treatment.calls for row in rows) == truth["aggregates"]["mcp"]["tool_calls"]
    assert [row.treated for row in rows[:5]] == [True] * 4 + [False]
    assert sum(row.treatment.calls for row in rows[:4]) == 143
    for row in rows:
        name = row.tool
        trials = [
            t for t in truth["trials"] if t["arm"] == "mcp" and name in t["tool_calls"]["by_name"]
        ]
        assert row.treatment.trials == len(trials)
        assert row.treatment.valid == sum(t["valid"] for t in trials)
        assert row.treatment.passed == sum(t["valid"] and t["passed"] for t in trials)


@needs_corpus
def test_a_command_line_program_has_a_row_of_its_own() -> None:
    baseline, treatment, pairing = with_symnav("codex")
    treated = find_treatment(baseline, treatment, "tool:symnav")
    found = judge_compliance(baseline, treatment, pairing, treated, CompareOptions(), metric())
    assert found.statement == "Used in 6 of 6 trials that ran (100 %)."
    first = to_tool_rows(baseline, treatment, treated)[0]
    assert (first.tool, first.treated) == ("commands that match symnav", True)
    assert (first.baseline.calls, first.treatment.calls, first.treatment.trials) == (0, 40, 6)
