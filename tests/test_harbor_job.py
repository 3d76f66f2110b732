"""Which directories are jobs and trials, and how many trials a job planned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from aggregated import aggregate, edit_json
from evaltrace.errors import NothingFound
from evaltrace.readers.harbor import recognise
from evaltrace.source import Source
from job_dirs import CODESEARCH, write_job

VERSIONS = ["0.1.0", "0.1.18", "0.2.0", "0.3.0", "0.6.1", "0.6.2", "0.16.0", "0.17.1", "0.25.0"]


def kind(path: Path) -> str | None:
    return recognise(Source(path))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


# Recognised by content.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("state", ["finished", "running"])
def test_jobs_and_trials_of_all_versions(tmp_path: Path, version: str, state: str) -> None:
    spec = {"task": "add-flag", "state": state}
    finished = state == "finished"
    job = write_job(tmp_path, "job", [spec], version=version, finished=finished)
    [trial] = [path for path in job.iterdir() if path.is_dir()]
    assert (kind(job), kind(trial)) == ("job", "trial")
    assert kind(trial / "agent") is None


@pytest.mark.parametrize("version", VERSIONS)
def test_a_job_that_never_started_a_trial_is_a_job(tmp_path: Path, version: str) -> None:
    job = write_job(tmp_path, "job", plan=["add-flag"], version=version, finished=False)
    (job / "job.log").unlink(missing_ok=True)
    (job / "result.json").unlink(missing_ok=True)
    # What is left: config.json, and lock.json since 0.6.2.
    assert kind(job) == "job"


@pytest.mark.parametrize(
    "files",
    [
        {"config.json": '{"tasks": ["lint"]}'},
        {"config.json": '{"task": "CartPole-v1", "agent": {"name": "ppo"}}'},
        {"config.json": '{"task": "x", "trial_name": "t", "lr": 0.1}'},
        {"config.json": '{"name": "app"}', "agent/main.py": ""},
        {"config.json": '{"name": "app"}', "result.json": '{"ok": true}', "steps/1.txt": ""},
        {"result.json": '{"score": 1}'},
        {"config.json": "[1, 2]"},
        {"agent/claude-code.txt": "{}"},
        {"config.json": "key = value", "readme.md": ""},
    ],
)
def test_other_programs_files_are_neither(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        write(tmp_path / "some" / name, text)
    assert kind(tmp_path / "some") is None


@pytest.mark.parametrize("content", [b"", b"  ", b'{"id": "1", "task_na', b"\x00\xff"])
def test_a_broken_result_among_a_trials_folders_is_a_trial(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "t" / "verifier" / "reward.txt", "1")
    (tmp_path / "t" / "result.json").write_bytes(content)
    assert kind(tmp_path / "t") == "trial"


def test_a_cut_off_result_is_told_by_its_first_keys(tmp_path: Path) -> None:
    cut = '{"id": "1", "task_name": "add-flag", "trial_name": "add-fl'
    write(tmp_path / "t" / "result.json", cut)
    assert kind(tmp_path / "t") == "trial"
    cut = '{"id": "1", "started_at": "2026-01-05T10:00:00", "n_total_trials": 4, "sta'
    write(tmp_path / "j" / "result.json", cut)
    assert kind(tmp_path / "j") == "job"


# What was planned, and what of it is there.


def row(*paths: Path) -> dict[str, Any]:
    [found] = aggregate(*paths)["inputs"]
    document: dict[str, Any] = found
    return document


def counts(found: dict[str, Any]) -> tuple[int | None, int, int | None]:
    return found["planned"], found["found"], found["absent"]


@pytest.mark.parametrize("version", ["0.6.2", "0.16.0", "0.25.0"])
def test_plan_of_the_lock(tmp_path: Path, version: str) -> None:
    job = write_job(
        tmp_path, "job", ["a", "b"], plan=["c", "d", "e"], version=version, finished=False
    )
    (job / "result.json").write_text("{")
    assert counts(row(job)) == (5, 2, 3)


@pytest.mark.parametrize("version", ["0.1.0", "0.1.40", "0.6.0"])
def test_plan_of_the_result_where_there_is_no_lock(tmp_path: Path, version: str) -> None:
    job = write_job(tmp_path, "job", ["a", "b"], plan=["c"], version=version)
    assert not (job / "lock.json").exists()
    assert counts(row(job)) == (3, 2, 1)


def test_plan_of_the_config_where_nothing_else_is(tmp_path: Path) -> None:
    given: list[dict[str, Any]] = [{"task": task, "source": None} for task in ("a", "b")]
    arms = [*given, *({**spec, "mcp_servers": [CODESEARCH]} for spec in given)]
    job = write_job(tmp_path, "job", arms, version="0.7.1", n_attempts=3)
    (job / "lock.json").unlink()
    (job / "result.json").unlink()
    # 2 tasks, 2 agents, 3 attempts; 4 were started
    assert counts(row(job)) == (12, 4, 8)


def test_a_dataset_alone_tells_no_number(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["a"], version="0.5.0")
    (job / "result.json").unlink()
    assert counts(row(job)) == (None, 1, None)


def test_tasks_beside_a_dataset_tell_no_number(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["a"], version="0.5.0")
    (job / "result.json").unlink()
    config = json.loads((job / "config.json").read_text())
    config["tasks"] = [{"path": "/tasks/b"}]
    (job / "config.json").write_text(json.dumps(config))
    assert counts(row(job)) == (None, 1, None)


def test_trials_around_a_chosen_one_are_not_absent(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["a", "b", "c"], plan=["d"])
    [one] = job.glob("b__*")
    found = row(one)
    assert (found["planned"], found["absent"]) == (4, 1)
    assert row(job)["absent"] == 1


def test_more_trials_than_planned_are_no_negative_number(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["a", "b"])
    lock = json.loads((job / "lock.json").read_text())
    lock["trials"] = lock["trials"][:1]
    (job / "lock.json").write_text(json.dumps(lock))
    assert counts(row(job)) == (1, 2, 0)


def test_retries_are_the_jobs_own_count(tmp_path: Path) -> None:
    assert row(write_job(tmp_path, "new", ["a"], retries=2))["retries"] == 2
    assert row(write_job(tmp_path, "old", ["a"], version="0.5.0", retries=2))["retries"] is None


@pytest.mark.parametrize("version", VERSIONS)
def test_how_a_job_was_run_is_known_from_any_version(tmp_path: Path, version: str) -> None:
    found = row(write_job(tmp_path, "job", ["a"], version=version, n_attempts=3))
    assert (found["attempts"], found["concurrency"]) == (3, 4)
    assert found["retry"]["max_retries"] == 0
    assert found["retry"]["include_exceptions"] is None


def test_settings_come_from_the_lock_before_the_configuration(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["a"])
    retry = {"max_retries": 2, "include_exceptions": ["TimeoutError", "ApiError"]}
    edit_json(job / "lock.json", lambda lock: lock.update(n_concurrent_trials=16, retry=retry))
    edit_json(job / "config.json", lambda config: config.update(n_concurrent_trials=8))
    found = row(job)
    assert (found["attempts"], found["concurrency"]) == (1, 16)
    assert found["retry"]["include_exceptions"] == ["ApiError", "TimeoutError"]
    (job / "lock.json").unlink()
    assert row(job)["concurrency"] == 8
    (job / "config.json").unlink()
    found = row(job)
    assert (found["attempts"], found["concurrency"], found["retry"]) == (None, None, None)


@pytest.mark.parametrize("junk", [0, -1, True, 2.5, "4", [], 2**40])
def test_a_setting_that_is_no_count_is_unknown(tmp_path: Path, junk: Any) -> None:
    job = write_job(tmp_path, "job", ["a"], version="0.5.0")
    changes = {"n_attempts": junk, "n_concurrent_trials": junk, "retry": junk}
    edit_json(job / "config.json", lambda config: config.update(changes))
    found = row(job)
    assert (found["attempts"], found["concurrency"], found["retry"]) == (None, None, None)


def test_a_job_of_planned_trials_only_is_named(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", plan=["a", "b"], finished=False)
    with pytest.raises(NothingFound, match="planned 2 trial"):
        aggregate(job)


def test_a_job_without_a_trial_has_a_version_too(tmp_path: Path) -> None:
    write_job(tmp_path, "full", ["a"], version="0.1.40")
    empty = write_job(tmp_path, "empty", plan=["a"], version="0.1.40", finished=False)
    assert not (empty / "result.json").exists()
    rows = {row["job_name"]: row for row in aggregate(tmp_path)["inputs"]}
    assert counts(rows["empty"]) == (None, 0, None)
    assert rows["empty"]["harness_version"] == ">=0.1.32,<0.1.45"


def test_a_trial_on_its_own_knows_its_job_by_its_config(tmp_path: Path) -> None:
    [trial] = [p for p in write_job(tmp_path, "job", ["a"]).iterdir() if p.is_dir()]
    alone = trial.rename(tmp_path / "alone")
    found = row(alone)
    assert (found["job_name"], counts(found)) == ("job", (None, 1, None))
    assert found["job_id"] is not None
