"""Tasks that flipped between the arms, how sure that is, and what stands behind each."""

from __future__ import annotations

import time
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus_arms import lab, lab_truth, needs_corpus
from evaltrace import trace as tr
from evaltrace.compare import compare_traces
from evaltrace.compare.evidence.dossiers import (
    compare_patches,
    compare_tests,
    find_divergence,
    to_attempt,
    typical_trial,
)
from evaltrace.compare.evidence.flips import find_flips, to_task_rows
from evaltrace.compare.evidence.overlap import changed_lines, share_in_both
from evaltrace.compare.sides import Pairing, Trial
from evaltrace.compare.treatment.treated import Treated, find_treatment
from evaltrace.comparison import ChangedTests, Divergence, Flips, PatchSize
from evaltrace.stats.flips import chance_flips, chance_of_difference, likelihood_higher
from sides import Values, outcomes, paired, pairing, side, swapped, trial
from traces import minimal_trace

NO_TOOL: Treated = find_treatment(side("b", []), side("t", []), "model")


def _flips(pairs: Pairing) -> Flips:
    return find_flips(pairs, NO_TOOL)


def _names(pairs: Pairing) -> dict[str, list[str]]:
    found = _flips(pairs)
    lists = {"gained": found.gained, "lost": found.lost, "unstable": found.unstable}
    return {name: [flip.task for flip in flips] for name, flips in lists.items()}


def _attempts(passed: int, of: int) -> list[float]:
    return [1.0] * passed + [0.0] * (of - passed)


def _one(before: tuple[int, int], after: tuple[int, int]) -> Pairing:
    return pairing({"a": _attempts(*before)}, {"a": _attempts(*after)})


# Which tasks flipped.


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((0, 1), (1, 1), "gained"),
        ((1, 1), (0, 1), "lost"),
        ((0, 3), (2, 3), "gained"),
        ((0, 2), (1, 2), "unstable"),  # exactly one half
        ((2, 4), (1, 1), "unstable"),
        ((1, 3), (1, 3), "unstable"),
        ((1, 3), (2, 3), "unstable"),
        ((3, 3), (1, 1), "unchanged"),
        ((0, 5), (0, 2), "unchanged"),
    ],
)
def test_a_task_flips_when_its_pass_rate_moves_by_more_than_one_half(
    before: tuple[int, int], after: tuple[int, int], expected: str
) -> None:
    found = _flips(_one(before, after))
    lists = {"gained": found.gained, "lost": found.lost, "unstable": found.unstable}
    assert {name: len(flips) for name, flips in lists.items()} == {
        name: int(name == expected) for name in lists
    }
    assert found.unchanged == int(expected == "unchanged")


def test_the_largest_movement_comes_first_then_the_surest_then_the_name() -> None:
    values: Values = {
        "small": [0.0, 0.0, 0.0],
        "short": [0.0],
        "long-b": [0.0] * 5,
        "long-a": [0.0] * 5,
    }
    after: Values = {
        "small": [1.0, 1.0, 0.0],
        "short": [1.0],
        "long-b": [1.0] * 5,
        "long-a": [1.0] * 5,
    }
    order = ["long-a", "long-b", "short", "small"]
    assert _names(pairing(values, after))["gained"] == order
    assert _names(pairing(after, values))["lost"] == order


def test_a_partial_reward_passes_only_from_the_threshold_on() -> None:
    found = _flips(pairing({"a": [0.0]}, {"a": [0.9]}))
    assert (found.gained, found.unchanged) == ([], 1)


def test_invalid_attempts_and_tasks_of_one_arm_are_left_out() -> None:
    found = _flips(pairing({"a": [0.0, None], "b": [None], "c": [0.0]}, {"a": [1.0], "b": [1.0]}))
    [flip] = found.gained
    assert (flip.task, flip.of_baseline, flip.of_treatment) == ("a", 1, 1)
    assert found.unchanged == 0


def test_trials_that_neither_passed_nor_failed_are_no_flip() -> None:
    pairs = pairing({"a": [0.0]}, {"a": [1.0]})
    pairs.tasks[0].treatment[0].passed = None
    assert _flips(pairs).statement == "0 gained, 0 lost, 0 unstable, 0 unchanged."


rates = st.integers(1, 5).flatmap(lambda k: st.tuples(st.integers(0, k), st.just(k)))


@given(st.lists(st.tuples(rates, rates), min_size=1, max_size=6))
def test_swapping_the_arms_turns_what_was_gained_into_what_was_lost(
    rows: list[tuple[tuple[int, int], tuple[int, int]]],
) -> None:
    pairs = pairing(
        {str(i): _attempts(*before) for i, (before, _) in enumerate(rows)},
        {str(i): _attempts(*after) for i, (_, after) in enumerate(rows)},
    )
    found, other = _names(pairs), _names(swapped(pairs))
    assert (found["gained"], found["lost"]) == (other["lost"], other["gained"])
    assert sorted(found["unstable"]) == sorted(other["unstable"])
    assert sum(map(len, found.values())) + _flips(pairs).unchanged == len(rows)


# How sure a flip is.


def test_chance_and_likelihood_of_a_task() -> None:
    [flip] = _flips(_one((0, 3), (3, 3))).gained
    assert flip.chance == pytest.approx(2 / 20)  # 0 or 3 of the three passes fall on one arm
    assert flip.likelihood == pytest.approx(69 / 70)
    [flip] = _flips(_one((3, 3), (0, 3))).lost
    assert flip.likelihood == pytest.approx(1 / 70)


def test_one_attempt_says_nothing_of_luck() -> None:
    found = _flips(outcomes(both=4, only_treatment=3, only_baseline=2, neither=1))
    assert found.chance is None
    assert {flip.chance for flip in [*found.gained, *found.lost]} == {None}
    assert found.gained[0].likelihood == pytest.approx(5 / 6)
    assert found.statement == (
        "3 gained, 2 lost, 0 unstable, 5 unchanged. With one attempt nothing can be said about "
        "a single task: repeat these."
    )


def test_the_smallest_step_that_luck_does_not_explain_is_named() -> None:
    before: Values = {**{str(i): [0.0] * 5 for i in range(5)}, "x": _attempts(2, 5)}
    after: Values = {**{str(i): [1.0] * 5 for i in range(5)}, "x": _attempts(3, 5)}
    found = _flips(pairing(before, after))
    assert found.chance is not None
    # Five passes of ten in each of six tasks. By 3/5 or more: 52 of the 252 ways, so 1.24 of 5
    # are expected; by all of it: 2 of the 252 ways.
    assert (found.chance.step, found.chance.observed) == (1.0, 5)
    assert found.chance.expected == pytest.approx(6 * 2 / 252)
    assert found.chance.false_share == pytest.approx(6 * 2 / 252 / 5)
    assert found.statement.endswith(
        "5 tasks moved by 100 points; chance alone would give 0.0, so about 1 % of these are noise."
    )


def test_a_smaller_step_is_named_where_luck_explains_little_of_it() -> None:
    before: Values = {str(i): [0.0] * 5 for i in range(9)}
    after: Values = {str(i): _attempts(4 + i % 2, 5) for i in range(9)}
    found = _flips(pairing(before, after)).chance
    assert found is not None
    # Four passes of ten in five tasks: P(|d| >= 4/5) = 2 * 5 / 210; five of ten in four: 2 / 252,
    # as a difference of 4/5 does not exist there.
    assert (found.step, found.observed) == (0.8, 9)
    assert found.expected == pytest.approx(5 * 10 / 210 + 4 * 2 / 252)


def test_steps_that_luck_explains_end_at_the_biggest_one() -> None:
    found = _flips(pairing({"a": [0.0, 1.0], "b": [1.0, 1.0]}, {"a": [1.0, 1.0], "b": [0.0, 1.0]}))
    # One pass of four is missing in both tasks, in one arm or the other: by one half is certain,
    # by more is impossible.
    assert found.chance is not None
    assert (found.chance.step, found.chance.observed, found.chance.expected) == (1.0, 0, 0.0)
    assert found.chance.false_share is None
    assert found.statement.endswith("0 tasks moved by 100 points; chance alone would give 0.0.")


def test_steps_that_luck_explains_end_at_the_one_that_makes_a_flip() -> None:
    before: Values = {str(i): _attempts(1, 3) for i in range(4)}
    after: Values = {str(i): _attempts(3, 3) for i in range(4)}
    found = _flips(pairing(before, after))
    assert found.chance is not None
    # Four passes of six: 3 and 1 or 1 and 3 in (3 + 3) of 15 ways, so 4 * 2/5 tasks.
    assert (found.chance.step, found.chance.observed) == (pytest.approx(2 / 3), 4)
    assert found.chance.expected == pytest.approx(1.6)
    assert found.statement == (
        "4 gained, 0 lost, 0 unstable, 0 unchanged. 4 tasks moved by 67 points or more; chance "
        "alone would give 1.6, so about 40 % of these are noise."
    )


def test_without_a_flip_the_step_is_still_the_one_that_makes_one() -> None:
    found = _flips(
        pairing({"a": _attempts(1, 3), "b": [0.0] * 4}, {"a": _attempts(2, 3), "b": [0.0] * 2})
    )
    assert found.chance is not None
    # Three attempts move by 2/3 at least, four and two by 3/4.
    assert (found.chance.step, found.chance.observed) == (pytest.approx(2 / 3), 0)


@given(st.integers(100, 200), st.integers(100, 200), st.data())
def test_many_attempts_have_the_chances_that_counting_gives(
    of_a: int, of_b: int, data: st.DataObject
) -> None:
    a, b = data.draw(st.integers(0, of_a)), data.draw(st.integers(0, of_b))
    gap, passed = abs(b * of_a - a * of_b), a + b
    ways = sum(
        comb(of_b, x) * comb(of_a, passed - x)
        for x in range(max(0, passed - of_a), min(of_b, passed) + 1)
        if abs(x * of_a - (passed - x) * of_b) >= gap
    )
    exact = ways / comb(of_a + of_b, passed)
    assert chance_of_difference(a, of_a, b, of_b) == pytest.approx(exact, rel=1e-9)
    higher = sum(
        comb(a + j, j) * comb(of_a - a + of_b + 1 - j, of_b + 1 - j) for j in range(b + 1)
    ) / comb(of_a + of_b + 2, of_a + 1)
    assert likelihood_higher(a, of_a, b, of_b) == pytest.approx(higher, rel=1e-9)


def test_a_flip_of_thousands_of_attempts_is_counted_at_its_own_step() -> None:
    observed, expected = chance_flips([(1000, 3000, 2999, 3000)], 1999 / 3000)
    assert (observed, expected) == (1, pytest.approx(0, abs=1e-12))


def test_thousands_of_attempts_take_no_time() -> None:
    def arm(name: str, passed: int) -> list[tr.Trace]:
        return [
            minimal_trace(
                trace_id=f"{name}-{i}", task_id=f"a__{name}{i}", task=tr.Task(name="a"),
                test_reward=float(i < passed), rewards={"reward": float(i < passed)},
            )
            for i in range(3000)
        ]  # fmt: skip

    before, after = arm("b", 1000), arm("t", 1060)
    start = time.process_time()
    found = compare_traces(before, after)
    assert time.process_time() - start < 3
    [flip] = found.flips.unstable
    # By the normal approximation: 0.02/sqrt(2 * 0.343 * 0.657/3000) = 1.632 standard errors.
    assert flip.chance == pytest.approx(0.1076, abs=0.002)
    assert flip.likelihood == pytest.approx(0.9487, abs=0.001)
    assert len(found.pass_at_k) == 20


def test_tasks_with_one_attempt_in_an_arm_do_not_count_for_luck() -> None:
    found = _flips(pairing({"a": [0.0], "b": [0.0] * 4}, {"a": [1.0] * 4, "b": [1.0] * 4}))
    assert found.chance is not None
    assert found.chance.observed == 1
    assert found.chance.expected == pytest.approx(2 / 70)
    [short] = [flip for flip in found.gained if flip.task == "a"]
    assert short.chance == pytest.approx(1 / 5)


# Dossiers.


def _with_cases(**cases: str) -> Trial:
    return trial(cases=cases)


def test_tests_that_changed_side_are_named() -> None:
    before = _with_cases(a="failed", b="passed", c="passed", d="skipped", e="failed", f="failed")
    after = _with_cases(a="passed", b="failed", c="passed", d="passed", e="failed", g="passed")
    assert compare_tests(before, after) == ChangedTests(
        compared=4, fixed=1, broken=1, fixed_tests=["a"], broken_tests=["b"]
    )
    assert compare_tests(before, trial()) is None


def test_long_lists_of_tests_are_cut_and_counted_whole() -> None:
    names = [f"test_{i:02}" for i in range(30)]
    found = compare_tests(
        _with_cases(**dict.fromkeys(names, "failed")), _with_cases(**dict.fromkeys(names, "passed"))
    )
    assert found is not None
    assert (found.fixed, found.fixed_tests) == (30, names[:20])


def _patched(diff: str | None, *paths: str) -> Trial:
    made = trial()
    made.trace.code_changes = diff
    made.trace.code_stats = tr.CodeStats(
        source="artifact", complete=True, files_changed=len(paths), lines_added=3, lines_removed=2,
        files=[tr.FileChange(path=path, change="modified") for path in paths],
    )  # fmt: skip
    return made


def _diff(path: str, *lines: str) -> str:
    old, new = (sum(line[0] != mark for line in lines) for mark in "+-")
    body = "\n".join(lines)
    head = f"diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"
    return f"{head}@@ -1,{old} +1,{new} @@ def f():\n{body}\n"


ONE = _diff("a.py", " x", "-old", "+new", "+more")
OTHER = _diff("a.py", "-old", "+new", "+other", " y")


def test_patches_are_set_side_by_side() -> None:
    found = compare_patches(_patched(ONE, "a.py", "b.py"), _patched(OTHER, "a.py", "c.py"))
    assert found is not None
    assert found.baseline == PatchSize(files=2, added=3, removed=2)
    assert found.files_in_both == ["a.py"]
    assert found.overlap == 0.5  # -old and +new of four lines


def test_a_patch_that_is_unknown_or_cut_has_no_overlap() -> None:
    found = compare_patches(trial(), _patched(ONE, "a.py"))
    assert found is not None
    assert (found.baseline, found.files_in_both, found.overlap) == (None, [], None)
    cut = _patched(ONE, "a.py")
    cut.trace.truncated = [
        tr.Truncation(
            field="code_changes", original_length=9, kept_length=5, unit="characters", digest="d"
        )
    ]
    whole = compare_patches(cut, _patched(ONE, "a.py"))
    assert whole is not None
    assert whole.overlap is None
    assert compare_patches(trial(), trial()) is None


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (ONE, ONE, 1.0),
        (ONE, _diff("b.py", " x", "-old", "+new", "+more"), 0.0),
        (ONE, "", 0.0),
        ("", "", None),
        (_diff("a", "+x", "+x"), _diff("a", "+x"), 0.5),
        (_diff("a", "-x"), _diff("a", "+x"), 0.0),
    ],
)
def test_the_overlap_is_the_share_of_changed_lines_in_both(
    one: str, other: str, expected: float | None
) -> None:
    assert share_in_both(one, other) == expected
    assert share_in_both(other, one) == expected


def test_changed_lines_that_look_like_headers_are_lines() -> None:
    diff = _diff("q.sql", "--- a/comment", "+++ b/comment", " kept") + _diff("z", "+1")
    assert list(changed_lines(diff)) == [
        ("q.sql", "--- a/comment"), ("q.sql", "+++ b/comment"), ("z", "+1"),
    ]  # fmt: skip


def test_files_that_come_and_go_keep_their_names() -> None:
    gone = "--- a/old.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n\\ No newline at end of file\n"
    made = "--- /dev/null\n+++ b/new.py\n@@ -0,0 +1 @@\n+y\n"
    assert list(changed_lines(gone + made)) == [("old.py", "-x"), ("new.py", "+y")]


def test_the_first_call_that_differs_is_where_trajectories_part() -> None:
    before = trial(moves=("Read a", "Grep b", "Edit a"))
    assert find_divergence(before, trial(moves=("Read a", "look b", "Edit a"))) == Divergence(
        step=2, baseline="Grep b", treatment="look b"
    )
    assert find_divergence(before, trial(moves=("Read a",))) == Divergence(
        step=2, baseline="Grep b", treatment=None
    )
    assert find_divergence(before, trial(moves=("Read a", "Grep b", "Edit a"))) is None
    assert find_divergence(before, trial()) is None


def test_secrets_in_calls_stay_out() -> None:
    before = trial(moves=("Bash curl -H 'Authorization: Bearer abc123' https://u:pw99@host/x",))
    after = trial(moves=(f"Bash export X && cat {'y' * 60} ghp_aB3dE…",))
    found = find_divergence(before, after)
    assert found is not None
    assert found.baseline == "Bash curl -H 'Authorization: ***' https://***@host/x"
    assert found.treatment == f"Bash export X && cat {'y' * 60} …"


def test_names_of_trials_and_tests_are_bounded() -> None:
    member = trial()
    member.trace.trace_id, member.trace.task_id = "t" * 300, "x" * 10**6
    found = to_attempt(member, NO_TOOL)
    assert (found.trace_id, len(found.task_id)) == ("t" * 300, 300)
    tests = compare_tests(
        _with_cases(**{"n" * 10**5: "failed"}), _with_cases(**{"n" * 10**5: "passed"})
    )
    assert tests is not None
    assert len(tests.fixed_tests[0]) <= 300


def test_a_cost_beyond_any_sense_is_unknown() -> None:
    arm = [trial(1.0, cost=1e200), trial(0.0, cost=1.7e308), trial(0.0, cost=2.0)]
    [row] = to_task_rows(paired(arm, arm), NO_TOOL)
    assert [attempt.cost_usd for attempt in row.baseline] == [None, None, 2.0]
    assert row.baseline_cost == 2.0


def test_the_dossier_shows_the_first_trial_that_ended_as_most_did() -> None:
    fail, win, other = trial(0.0), trial(1.0), trial(1.0)
    assert typical_trial([fail, win, other]) is win
    assert typical_trial([fail, win]) is fail
    assert typical_trial([win, fail, trial(0.0)]) is fail


def test_an_attempt_says_what_became_of_the_trial() -> None:
    member = trial(None, recorded=1.0, cost=0.5, tool_calls=7)
    member.trace.status = "error"
    member.trace.error = tr.TraceError(type="Overloaded\x1b[1m", cause="model_provider_failed")
    member.trace.tools.calls = [tr.ToolCalls(name="x", server="docs", kind="mcp", count=2)]
    docs = find_treatment(side("b", []), side("t", [member]), "mcp:docs")
    found = to_attempt(member, docs)
    assert (found.trace_id, found.task_id) == (member.trace.trace_id, member.trace.task_id)
    assert (found.status, found.value) == ("error", None)
    assert found.error == "Overloaded (model_provider_failed)"
    assert (found.cost_usd, found.tool_calls, found.treatment_calls) == (0.5, 7, 2)
    assert to_attempt(member, NO_TOOL).treatment_calls is None


# Tasks.


def test_every_task_of_either_arm_has_a_row() -> None:
    before = [trial(0.0, task="a", cost=1.0), trial(1.0, task="a"), trial(None, task="a", cost=9.0)]
    after = [trial(1.0, task="a", cost=2.0), trial(1.0, task="b")]
    first, second = to_task_rows(paired(before, after, groups={"a": {"language": "go"}}), NO_TOOL)
    assert (first.task, len(first.baseline), len(first.treatment)) == ("a", 3, 1)
    assert (first.baseline_mean, first.treatment_mean, first.difference) == (0.5, 1.0, 0.5)
    assert (first.baseline_cost, first.treatment_cost) == (1.0, 2.0)
    assert first.groups == {"language": "go"}
    assert (second.task, second.baseline, second.difference) == ("b", [], None)
    assert (second.baseline_cost, second.treatment_cost) == (None, None)


# Real jobs.


@needs_corpus
def test_the_flips_of_the_laboratory_are_the_known_ones() -> None:
    baseline, treatment, pairs = lab()
    found = find_flips(pairs, find_treatment(baseline, treatment, None))
    rates: dict[tuple[str, str], list[bool]] = {}
    for row in lab_truth()["trials"]:
        if row["valid"]:
            rates.setdefault((row["task"], row["arm"]), []).append(row["passed"])
    expected: dict[str, list[str]] = {"gained": [], "lost": [], "unstable": []}
    for task in sorted({task for task, _ in rates}):
        before, after = rates.get((task, "baseline")), rates.get((task, "mcp"))
        if before and after:
            moved = sum(after) / len(after) - sum(before) / len(before)
            wavers = len(set(before)) > 1 or len(set(after)) > 1 or moved
            name = "gained" if moved > 0.5 else "lost" if moved < -0.5 else "unstable"
            if abs(moved) > 0.5 or wavers:
                expected[name].append(task)
    lists = {"gained": found.gained, "lost": found.lost, "unstable": found.unstable}
    assert {name: sorted(flip.task for flip in rows) for name, rows in lists.items()} == expected
    assert sum(map(len, expected.values())) + found.unchanged == 23
    assert found.chance is not None
    # Two attempts in both arms, two passes of four: 1 of 3 ways to deal them is all or nothing.
    assert found.chance.observed == 1
    assert found.statement.endswith("chance alone would give 1.0: no more than luck explains.")


@needs_corpus
def test_the_dossier_of_a_known_flip() -> None:
    baseline, treatment, pairs = lab()
    [flip] = find_flips(pairs, find_treatment(baseline, treatment, None)).gained
    assert flip.task == "inventory-flag-parsing"
    assert flip.baseline.task_id == "inventory-flag-parsing__eZRX8hZ"
    assert (flip.baseline.status, flip.treatment.status) == ("fail", "pass")
    assert (flip.baseline.treatment_calls, flip.treatment.treatment_calls) == (0, 3)
    assert flip.tests is not None
    assert (flip.tests.compared, flip.tests.fixed, flip.tests.broken) == (4, 4, 0)
    assert flip.patches is not None
    assert flip.patches.files_in_both == ["inventory/core.py", "inventory/helpers.py"]
    assert flip.divergence is not None
    assert (flip.divergence.step, flip.divergence.baseline) == (4, "Grep chunked_part")
