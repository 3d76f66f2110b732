"""Real jobs compared: against ground truth by construction, and figures checked by hand."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from aggregated import CORPUS
from evaltrace.compare import compare_paths
from evaltrace.compare.options import CompareOptions
from evaltrace.comparison import Comparison

LAB = CORPUS / "lab-dev"
TOOL_AB = CORPUS / "tool-ab-2026-08"
needs_lab = pytest.mark.skipif(not LAB.is_dir(), reason="no corpus here")
needs_tool_ab = pytest.mark.skipif(not TOOL_AB.is_dir(), reason="no corpus here")


@cache
def _expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((LAB / "expected.json").read_text())
    return found


@cache
def _lab() -> Comparison:
    arms = [_expected()["arms"][arm]["job_dir"] for arm in ("baseline", "mcp")]
    options = CompareOptions(prices="none")
    return compare_paths([(None, LAB / folder) for folder in arms], options)


def _both(name: str) -> list[tuple[Any, dict[str, Any]]]:
    """A part of the comparison for both arms, beside the arm's aggregates."""
    part = _lab()
    for step in name.split("."):
        part = getattr(part, step)
    truth = _expected()["aggregates"]
    return [(part.baseline, truth["baseline"]), (part.treatment, truth["mcp"])]


@needs_lab
def test_denominators_equal_the_truth() -> None:
    errors = ("api_error", "verifier_error", "env_error")
    for counted, truth in _both("denominators"):
        assert (counted.planned, counted.started, counted.finished) == (truth["n"],) * 3
        assert counted.valid == truth["n_valid"]
        assert counted.errored == sum(truth["n_by_outcome"].get(name, 0) for name in errors)
        assert (counted.cancelled, counted.unscored, counted.running) == (0, 0, 0)
        assert (
            counted.errored_by_cause["model_provider_failed"] == truth["n_by_outcome"]["api_error"]
        )
        assert counted.errored_by_cause["sandbox_failed"] == truth["n_by_outcome"]["env_error"]


@needs_lab
@pytest.mark.parametrize("table", ["by_attempt", "by_task_any", "by_task_all"])
def test_tables_of_two_by_two_equal_the_truth(table: str) -> None:
    found = getattr(_lab().pairs.outcomes, table)
    truth = _expected()["paired"][table]
    names = {"n": "n", "both": "both_pass", "only_baseline": "only_baseline"}
    names |= {"only_treatment": "only_mcp", "neither": "neither"}
    assert {name: getattr(found, name) for name in names} == {
        name: truth[other] for name, other in names.items()
    }


@needs_lab
def test_rewards_equal_the_truth() -> None:
    for value, truth in _both("reward"):
        assert value.mean == pytest.approx(truth["mean_of_task_means_valid"], abs=1e-12)
        assert (value.n_tasks, value.n_trials) == (truth["n_tasks_with_valid"], truth["n_valid"])
    truth = _expected()["paired"]["by_task_mean"]
    difference = _lab().reward.difference
    assert difference.estimate == pytest.approx(truth["mean_difference"], abs=1e-12)
    assert difference.n == truth["n"]
    pairs = _lab().pairs
    found = (pairs.wins, pairs.ties, pairs.losses)
    assert found == (truth["mcp_better"], truth["equal"], truth["mcp_worse"])
    rows = {row.task: row.difference for row in _lab().tasks if row.difference is not None}
    assert rows == pytest.approx(truth["differences"])


@needs_lab
def test_compliance_and_contamination_equal_the_truth() -> None:
    assert (_lab().treatment.kind, _lab().treatment.name) == ("mcp", "sourcegraph")
    for use, truth in _both("compliance"):
        mcp = truth["mcp"]
        assert (use.connected, use.not_connected) == (mcp["n_connected"], mcp["n_not_connected"])
        assert (use.used, use.never_used) == (mcp["n_used"], mcp["n_never_used"])
        assert use.contaminated == mcp["n_contaminated"]
        assert (use.calls, use.failed_calls) == (mcp["calls"], mcp["failed_calls"])
    truth = [row for row in _expected()["trials"] if row["mcp"]["contaminated"]]
    found = _lab().compliance.baseline
    assert found is not None
    assert found.contaminated_trials == [row["trial_name"] for row in truth]


@needs_lab
def test_costs_equal_the_truth() -> None:
    """In pairs: the trials of the 23 tasks that have a valid reward in both arms.

    Those without a valid reward are kept apart as lost.
    """
    paired = {row.task for row in _lab().tasks if row.difference is not None}
    for arm, amount in (("baseline", _lab().cost.baseline), ("mcp", _lab().cost.treatment)):
        trials = [
            row for row in _expected()["trials"] if row["arm"] == arm and row["task"] in paired
        ]
        valid = [row for row in trials if row["valid"]]
        assert amount.trials == amount.known == len(valid)
        assert amount.total == pytest.approx(sum(row["cost_usd"] for row in valid), rel=1e-9)
        known = [row["cost_usd"] for row in trials if row["cost_usd"]]
        assert amount.total + amount.lost == pytest.approx(sum(known), rel=1e-9)


@needs_lab
def test_the_audit_of_arms_that_differ_in_a_server_has_no_blocker() -> None:
    assert [item for item in _lab().audit if item.grade == "blocker"] == []
    codes = {item.code for item in _lab().audit}
    assert codes == {"no_valid_attempt", "retries", "run_window", "zero_in_one_arm"}


@needs_lab
def test_planted_secrets_stay_out() -> None:
    import msgspec

    text = msgspec.json.encode(_lab()).decode()
    secrets = {found for row in _expected()["trials"] for found in row["planted_secrets"]}
    assert secrets
    assert not [secret for secret in secrets if secret in text]


# Pairs of a command-line tool: values of `jq '.verifier_result.rewards'`, worked out by hand.

_CODEX = {
    "f2p": (0.9689509605662284, 0.9053697799449862, (1, 2, 3)),
    "reward": (2 / 6, 1 / 6, (0, 5, 1)),
    "partial": (0.9960757590588116, 0.9607415295380718, (1, 2, 3)),
}
_CLAUDE = {
    "f2p": (0.5008305647840532, 0.4279485049833887, (0, 0, 2)),
    "reward": (0.0, 0.0, (0, 2, 0)),
    "partial": (0.9038749041656018, 0.9020732174801942, (1, 0, 1)),
}


@cache
def _tool_ab(agent: str, metric: str) -> Comparison:
    arms = [(None, TOOL_AB / f"{agent}-{arm}") for arm in ("stock", "tool")]
    return compare_paths(arms, CompareOptions(metric=metric, prices="none"))


def _by_hand(folder: Path, metric: str) -> dict[str, list[float]]:
    """The values of each task, read from the harness's own files."""
    found: dict[str, list[float]] = {}
    for path in sorted(folder.glob("*/result.json")):
        result = json.loads(path.read_text())
        name = result["task_name"].rpartition("/")[2]
        found.setdefault(name, []).append(result["verifier_result"]["rewards"][metric])
    return found


@needs_tool_ab
@pytest.mark.parametrize("metric", ["f2p", "reward", "partial"])
@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_means_and_wins_equal_those_of_the_harness_files(agent: str, metric: str) -> None:
    compared = _tool_ab(agent, metric)
    means = []
    for arm, value in (("stock", compared.reward.baseline), ("tool", compared.reward.treatment)):
        tasks = _by_hand(TOOL_AB / f"{agent}-{arm}", metric)
        means.append({name: sum(values) / len(values) for name, values in tasks.items()})
        assert value.mean == pytest.approx(sum(means[-1].values()) / len(tasks), abs=1e-12)
        assert value.n_trials == sum(map(len, tasks.values()))
    differences = [means[1][name] - means[0][name] for name in means[0]]
    expected = (_CODEX if agent == "codex" else _CLAUDE)[metric]
    pairs = compared.pairs
    assert (pairs.wins, pairs.ties, pairs.losses) == expected[2]
    assert sum(difference > 0 for difference in differences) == pairs.wins
    found = (compared.reward.baseline.mean, compared.reward.treatment.mean)
    assert found == pytest.approx(expected[:2], abs=1e-12)


@needs_tool_ab
def test_a_command_line_tool_shows_by_its_mentions() -> None:
    options = CompareOptions(treatment="tool:symnav", prices="none")
    arms = [(None, TOOL_AB / f"codex-{arm}") for arm in ("stock", "tool")]
    compliance = compare_paths(arms, options).compliance
    assert compliance.baseline is not None
    assert compliance.treatment is not None
    assert compliance.baseline.used == 0
    assert compliance.treatment.used > 0


@pytest.mark.skipif(not (CORPUS / "harbor-states").is_dir(), reason="no corpus here")
def test_one_job_with_two_configurations_is_split_and_its_audit_names_what_differs() -> None:
    compared = compare_paths([(None, CORPUS / "harbor-states" / "mcp")])
    labels = (compared.arms.baseline.label, compared.arms.treatment.label)
    assert labels == ("without MCP servers", "with sg")
    assert (compared.treatment.kind, compared.treatment.name) == ("mcp", "sg")
    assert compared.verdict.finding is None
    fields = {item.field for item in compared.audit}
    assert "agent_config.agent.kwargs.allowed_tools" in fields
    assert any(field.startswith("agent_config.agent.env") for field in fields)


@pytest.mark.skipif(not (CORPUS / "harbor-2026-02-codex-effort").is_dir(), reason="no corpus here")
def test_a_folder_of_jobs_is_split_into_three_arms_by_a_setting() -> None:
    options = CompareOptions(
        arm_by="agent_config.agent.kwargs.reasoning_effort=low",
        task_map="-[0-9a-f]{8}$",
        prices="none",
    )
    compared = compare_paths([(None, CORPUS / "harbor-2026-02-codex-effort")], options)
    arms = [compared, *compared.further]
    assert compared.arms.baseline.label == "low"
    assert [row.arms.treatment.label for row in arms] == ["high", "medium"]
    assert [(cell.baseline, cell.treatment) for cell in compared.matrix] == [
        ("low", "high"), ("low", "medium"), ("high", "medium"),
    ]  # fmt: skip
    counts = [row.denominators.treatment.valid for row in arms]
    assert (compared.denominators.baseline.valid, counts) == (3, [5, 5])
    # Each job numbered its only trial 1: here they are attempts at one task.
    assert [row.reward.difference.n for row in arms] == [1, 1]
    by_hand = [0.992654012 / 5, (0.9509720673333334 + 0.9510365733333335 + 0.9509912033333334) / 5]
    assert [row.reward.difference.estimate for row in arms] == pytest.approx(by_hand)
