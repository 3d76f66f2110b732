"""Real job directories, read where they lie; skipped where they are not there."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from aggregated import CORPUS, EXAMPLES, aggregate_bytes, corpus_bytes, corpus_document
from evaltrace.schema import violations

here = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not on this machine")

TRIALS = {
    "harbor-2025-11-claude-code": 3,
    "harbor-2026-02-codex-effort": 13,
    "harbor-2026-02-smoke": 9,
    "harbor-states": 11,
    "tool-ab-2026-08": 28,
    "lab-dev": 96,
}
JQ = ".traces[] | {task: .task_id, status, tokens: .metrics.tokens.total, reward: .test_reward}"


@pytest.fixture(scope="module")
def documents() -> dict[str, dict[str, Any]]:
    return {name: corpus_document(name) for name in TRIALS}


def trial_folders(name: str) -> list[Path]:
    """The trials of a corpus folder, told apart from jobs by a means of the test's own."""
    found = []
    for path in (CORPUS / name).rglob("*"):
        if path.name in ("config.json", "result.json") and path.parent not in found:
            text = path.read_text()
            if '"trial_name"' in text[:4096] and '"task' in text:
                found.append(path.parent)
    return found


def rewards_on_disk(trial: Path) -> dict[str, float] | None:
    """All rewards as the trial's own verifier files have them."""
    for folder in (trial / "verifier", trial):
        if (folder / "reward.json").is_file():
            return {
                k: float(v) for k, v in json.loads((folder / "reward.json").read_text()).items()
            }
        if (folder / "reward.txt").is_file() and (folder / "reward.txt").read_text().strip():
            return {"reward": float((folder / "reward.txt").read_text())}
    return None


@here
@pytest.mark.parametrize("name", TRIALS)
def test_number_of_traces_and_validity(documents: dict[str, dict[str, Any]], name: str) -> None:
    document = documents[name]
    assert len(document["traces"]) == TRIALS[name]
    assert violations(document, "traces") == []


@here
@pytest.mark.parametrize("name", TRIALS)
def test_rewards_are_those_of_the_trials_own_files(
    documents: dict[str, dict[str, Any]], name: str
) -> None:
    traces = {trace["task_id"]: trace for trace in documents[name]["traces"]}
    compared = 0
    for folder in trial_folders(name):
        config = next(p for p in (folder / "result.json", folder / "config.json") if p.exists())
        trial = json.loads(config.read_text())["trial_name"]
        told = rewards_on_disk(folder)
        if (folder / "steps").is_dir():
            continue  # the reward of a multi-step trial is the harness's mean over its steps
        assert traces[trial]["rewards"] == told, trial
        if told and "reward" in told:
            assert traces[trial]["test_reward"] == told["reward"]
        compared += 1
    assert compared >= TRIALS[name] - 4


@here
def test_whole_corpus_at_once(documents: dict[str, dict[str, Any]]) -> None:
    whole = json.loads(aggregate_bytes(CORPUS))
    assert len(whole["traces"]) == sum(TRIALS.values())
    assert violations(whole, "traces") == []
    statuses = Counter(t["status"] for d in documents.values() for t in d["traces"])
    assert Counter(trace["status"] for trace in whole["traces"]) == statuses


@here
@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
@pytest.mark.parametrize("name", TRIALS)
def test_the_jq_line_prints_a_row_per_trial(tmp_path: Path, name: str) -> None:
    file = tmp_path / "traces.json"
    file.write_bytes(corpus_bytes(name))
    done = subprocess.run(["jq", "-c", JQ, file], capture_output=True, check=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == TRIALS[name]
    assert all(set(row) == {"task", "status", "tokens", "reward"} for row in rows)
    assert all(row["task"] and row["status"] for row in rows)


@here
def test_ground_truth_of_both_arms() -> None:
    truth = json.loads((CORPUS / "lab-dev" / "expected.json").read_text())["trials"]
    document = corpus_document("lab-dev")
    traces = {trace["task_id"]: trace for trace in document["traces"]}
    assert set(traces) == {row["trial_name"] for row in truth}
    for row in truth:
        trace = traces[row["trial_name"]]
        assert trace["task"]["name"] == row["task"]
        assert trace["attempt"] == row["attempt"]
        assert trace["test_reward"] == row["reward"]
        assert trace["status"] == _status(row), row["trial_name"]
        assert (trace["origin"]["job_name"] == "baseline") == (row["arm"] == "baseline")


def _status(row: dict[str, Any]) -> str:
    if not row["valid"]:
        return "error"
    if row["reward"] >= 1:
        return "pass"
    return "partial" if row["reward"] > 0 else "fail"


@here
@pytest.mark.parametrize("name", ["harbor-states", "lab-dev", "tool-ab-2026-08"])
def test_same_bytes_wherever_the_folder_lies(tmp_path: Path, name: str) -> None:
    moved = tmp_path / "some" / "where"
    shutil.copytree(CORPUS / name, moved)
    assert aggregate_bytes(moved) == corpus_bytes(name)


@here
@pytest.mark.parametrize("name", TRIALS)
def test_without_events_everything_else_is_the_same(
    documents: dict[str, dict[str, Any]], name: str
) -> None:
    lean = corpus_document(name, events=False)
    for full, short in zip(documents[name]["traces"], lean["traces"], strict=True):
        assert short["events"] is None
        for key in set(full) - {"events", "sources", "truncated", "problems", "redaction"}:
            assert short[key] == full[key], (full["task_id"], key)


def test_sample_jobs_come_to_what_is_expected_of_them() -> None:
    expected = json.loads((EXAMPLES.parent / "expected.json").read_text())
    document = json.loads(aggregate_bytes(EXAMPLES))
    traces = {trace["task_id"]: trace for trace in document["traces"]}
    assert len(traces) == len(expected) == 24
    for row in expected:
        trace = traces[row["trial_name"]]
        tokens = trace["metrics"]["tokens"]
        seen = {
            "job": trace["origin"]["job_name"],
            "trial_name": trace["task_id"],
            "task": trace["task"]["name"],
            "attempt": trace["attempt"],
            "status": trace["status"],
            "reward": trace["test_reward"],
            "tokens": row["tokens"] and {key: tokens[key] for key in row["tokens"]},
            "tool_calls": trace["metrics"]["tool_calls"],
        }
        assert seen == row
