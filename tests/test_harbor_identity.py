"""Who a trial is: its names, the keys it is paired by, how its agent was configured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aggregated import aggregate, by_task, codes, the_trace, the_trial
from aggregated import edit_json as edit
from evaltrace.readers.harbor import agent_digest
from job_configs import BENCH
from job_dirs import CODESEARCH, write_job

LONG = "migrate-the-orders-service-to-the-new-queue"


# Names and pairing keys.


@pytest.mark.parametrize("version", ["0.3.0", "0.6.2", "0.17.1", "0.25.0"])
def test_task_has_name_org_checksum_and_source(tmp_path: Path, version: str) -> None:
    trace = the_trace(write_job(tmp_path, "job", ["acme/add-flag"], version=version))
    task = trace["task"]
    assert (task["name"], task["org"], task["source"]) == ("add-flag", "acme", "tasks")
    assert len(task["checksum"]) == 64
    assert trace["task_id"].startswith("add-flag__")


def test_before_0_3_0_a_task_has_no_organisation(tmp_path: Path) -> None:
    task = the_trace(write_job(tmp_path, "job", ["acme/add-flag"], version="0.2.0"))["task"]
    assert (task["name"], task["org"], task["digest"]) == ("add-flag", None, None)


def test_a_long_task_name_is_not_cut_as_the_directory_is(tmp_path: Path) -> None:
    other = LONG[:40] + "-again"
    document = aggregate(write_job(tmp_path, "job", [LONG, other]))
    assert {t["task_id"].rpartition("__")[0] for t in document["traces"]} == {LONG[:32]}
    assert set(by_task(document)) == {LONG, other}


@pytest.mark.parametrize("state", ["running", "finished"])
def test_digest_comes_from_the_trials_lock(tmp_path: Path, state: str) -> None:
    job = write_job(tmp_path, "job", [{"task": "acme/add-flag", "state": state}])
    lock = json.loads((the_trial(job) / "lock.json").read_text())
    assert the_trace(job)["task"]["digest"] == lock["task"]["digest"]


@pytest.mark.parametrize("named", ["acme/add-flag", "add-flag", "renamed"])
def test_digest_comes_from_the_jobs_lock_by_path_or_by_name(tmp_path: Path, named: str) -> None:
    # Harbor's locks name a local task by its short name, its results by the whole one.
    job = write_job(tmp_path, "job", ["acme/add-flag"], version="0.6.2")
    assert not (the_trial(job) / "lock.json").exists()
    lock = json.loads((job / "lock.json").read_text())
    lock["trials"][0]["task"]["name"] = named
    (job / "lock.json").write_text(json.dumps(lock))
    assert the_trace(job)["task"]["digest"] == lock["trials"][0]["task"]["digest"]


def test_tasks_of_two_datasets_with_one_name_keep_their_digests(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"], version="0.6.2")
    lock = json.loads((job / "lock.json").read_text())
    other = json.loads(json.dumps(lock["trials"][0]))
    other["task"] |= {"path": "/elsewhere/add-flag", "digest": "sha256:" + "0" * 64}
    lock["trials"].append(other)
    (job / "lock.json").write_text(json.dumps(lock))
    assert the_trace(job)["task"]["digest"] == lock["trials"][0]["task"]["digest"]
    edit(
        the_trial(job) / "result.json",
        lambda result: result["config"]["task"].update(path="/third/add-flag"),
    )
    assert the_trace(job)["task"]["digest"] is None


@pytest.mark.parametrize("version", ["0.2.0", "0.6.2", "0.17.1", "0.25.0"])
def test_a_trial_without_a_result_is_named_by_its_config(tmp_path: Path, version: str) -> None:
    spec = {"task": LONG, "state": "running"}
    job = write_job(tmp_path, "job", [spec], version=version, finished=False)
    trace = the_trace(job)
    assert trace["task"]["name"] == LONG
    assert trace["origin"]["task_ref"]["path"] == f"{BENCH}/tasks/{LONG}"


def test_with_nothing_to_read_the_directory_names_the_trial(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"], version="0.16.0")
    trial = the_trial(job)
    (trial / "config.json").unlink()
    (trial / "result.json").write_text("")
    document = aggregate(job)
    [trace] = document["traces"]
    assert trace["task"]["name"] == trace["task_id"] == trial.name
    assert "empty_json" in codes(document)


def test_trace_id_outlasts_a_move_and_a_renamed_directory(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    before = the_trace(job)
    the_trial(job).rename(job / "renamed")
    moved = job.rename(tmp_path / "moved")
    after = the_trace(moved)
    assert after["trace_id"] == before["trace_id"]
    assert (after["task_id"], after["origin"]["path"]) == (before["task_id"], "renamed")


def test_trials_of_two_jobs_of_one_name_differ(tmp_path: Path) -> None:
    one = write_job(tmp_path / "a", "job", [{"task": "add-flag", "suffix": "same000"}])
    two = write_job(tmp_path / "b", "job", [{"task": "add-flag", "suffix": "same000"}])
    other = json.dumps({**json.loads((two / "result.json").read_text()), "id": "another"})
    (two / "result.json").write_text(other)
    document = aggregate(one, two)
    assert len({trace["trace_id"] for trace in document["traces"]}) == 2
    assert "duplicate_trial" not in codes(document)


# Where the configuration comes from.


def test_config_of_the_result_is_the_fullest(tmp_path: Path) -> None:
    trace = the_trace(write_job(tmp_path, "job", ["add-flag"], kwargs={"max_turns": 5}))
    config = trace["agent_config"]
    assert trace["sources"]["agent_config"] == "result.json: config"
    assert config["agent"]["name"] == "claude-code"
    assert config["agent"]["kwargs"] == {"max_turns": 5}
    assert config["model"] == "anthropic/claude-sonnet-4-5"
    assert config["timestamp"] == "2026-01-05T10:00:00.250000Z"
    assert config["environment"]["type"] == "docker"
    assert config["timeouts"]["multiplier"] == 1.0


def test_a_running_trial_is_configured_by_its_lock(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "state": "running", "mcp_servers": [CODESEARCH]}
    trace = the_trace(write_job(tmp_path, "job", [spec], finished=False))
    config = trace["agent_config"]
    assert trace["sources"]["agent_config"] == "lock.json"
    assert config["agent"]["mcp_servers"][0]["name"] == "codesearch"
    assert config["environment"]["type"] == "docker"
    assert trace["origin"]["job_id"] is not None


@pytest.mark.parametrize("version", ["0.17.1", "0.25.0"])
def test_a_sparse_config_is_filled_with_harbors_defaults(tmp_path: Path, version: str) -> None:
    spec = {"task": "add-flag", "state": "running", "agent": "oracle", "model": None}
    job = write_job(tmp_path, "job", [spec], version=version, finished=False)
    (the_trial(job) / "lock.json").unlink()
    edit(the_trial(job) / "config.json", lambda config: config.pop("agent"))
    trace = the_trace(job)
    config = trace["agent_config"]
    assert trace["sources"]["agent_config"] == "config.json, defaults filled in"
    assert config["agent"]["name"] == "oracle"
    assert config["environment"] == {"type": "docker", "force_build": False, "delete": True}
    assert config["verifier"] == {"disable": False}
    assert config["timeouts"]["multiplier"] == 1.0


def test_an_environment_of_ones_own_class_has_no_default_type(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "state": "running"}
    job = write_job(tmp_path, "job", [spec], finished=False)
    (the_trial(job) / "lock.json").unlink()
    own = {"import_path": "localenv:LocalEnv"}
    edit(the_trial(job) / "config.json", lambda config: config.update(environment=own))
    environment = the_trace(job)["agent_config"]["environment"]
    assert environment == {**own, "force_build": False, "delete": True}


def test_a_whole_config_json_needs_no_defaults(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "state": "running"}
    job = write_job(tmp_path, "job", [spec], version="0.5.0", finished=False)
    assert the_trace(job)["sources"]["agent_config"] == "config.json"


def test_a_class_of_ones_own_keeps_its_import_path_beside_its_name(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "import_path": "agents.mcp:ClaudeCodeMCP"}
    agent = the_trace(write_job(tmp_path, "job", [spec]))["agent_config"]["agent"]
    assert (agent["name"], agent["import_path"]) == ("claude-code", "agents.mcp:ClaudeCodeMCP")


@pytest.mark.parametrize(("version", "log"), [("0.1.18", "claude"), ("0.25.0", "claude")])
def test_agent_version_is_told_or_seen_in_the_log(tmp_path: Path, version: str, log: str) -> None:
    # Before 0.2.0 the result says "unknown"; the log's first event knows better.
    spec = {"task": "add-flag", "log": log}
    trace = the_trace(write_job(tmp_path, "job", [spec], version=version))
    assert trace["agent_config"]["agent"]["version"] == "2.1.0"


def test_an_unknown_agent_version_stays_null(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "log": None}
    trace = the_trace(write_job(tmp_path, "job", [spec], version="0.1.18"))
    assert trace["agent_config"]["agent"]["version"] is None


def test_timeouts_are_those_of_the_run(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])

    def limit(result: dict[str, Any]) -> None:
        result["config"]["agent"].update(override_timeout_sec=900, max_timeout_sec=10**400)
        result["config"].update(timeout_multiplier=2.0, verifier_timeout_multiplier=True)

    edit(the_trial(job) / "result.json", limit)
    timeouts = the_trace(job)["agent_config"]["timeouts"]
    assert (timeouts["agent_override_s"], timeouts["multiplier"]) == (900.0, 2.0)
    assert (timeouts["agent_max_s"], timeouts["verifier_multiplier"]) == (None, None)


# Which configurations are one.


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"name": "a"}, {"name": "a", "import_path": None, "env": {}, "skills": []}, True),
        ({"name": "a"}, {"name": "a", "n_concurrent": 4}, True),
        ({"name": "a"}, {"name": "a", "kwargs": {"max_turns": 5}}, False),
        (
            {"name": "a", "kwargs": {"thinking": False}},
            {"name": "a", "kwargs": {"thinking": None}},
            False,
        ),
        (
            {"mcp_servers": [{"name": "s", "url": "u"}]},
            {"mcp_servers": [{"name": "s", "url": "u", "transport": "sse", "args": []}]},
            True,
        ),
        ({"mcp_servers": [{"name": "s"}]}, {"mcp_servers": []}, False),
        ({"name": "a"}, {"name": "b"}, False),
    ],
)
def test_defaults_make_no_other_configuration(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    assert (agent_digest({"agent": one}) == agent_digest({"agent": other})) is same


def test_a_running_attempt_is_numbered_with_the_finished_ones(tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "task": "add-flag",
        "mcp_servers": [{**CODESEARCH, "transport": "sse"}],
    }
    job = write_job(tmp_path, "job", [given, {**given, "state": "running"}], finished=False)
    document = aggregate(job)
    assert [(t["attempt"], t["status"]) for t in document["traces"]] == [
        (1, "pass"),
        (2, "running"),
    ]


def test_two_configurations_of_one_job_are_numbered_apart(tmp_path: Path) -> None:
    arms: list[dict[str, Any]] = [
        {"task": "add-flag"},
        {"task": "add-flag", "mcp_servers": [CODESEARCH]},
    ]
    document = aggregate(write_job(tmp_path, "job", arms * 2))
    assert sorted(trace["attempt"] for trace in document["traces"]) == [1, 1, 2, 2]
