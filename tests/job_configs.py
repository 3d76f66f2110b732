"""What each version of Harbor writes into its configuration and lock files.

Each row of a table is a key, its default, the version that brought it and, for keys that
went again, the first version without it. Knows nothing of trials, results or logs.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

Json = dict[str, Any]
Row = tuple[str, Any, str] | tuple[str, Any, str, str]

BENCH = "/home/ada/bench"

_TASK: list[Row] = [
    ("path", None, "0.1.0"),
    ("git_url", None, "0.1.0"),
    ("git_commit_id", None, "0.1.0"),
    ("name", None, "0.3.0"),
    ("ref", None, "0.3.0"),
    ("overwrite", False, "0.1.0"),
    ("download_dir", None, "0.1.0"),
    ("source", None, "0.1.0"),
]
_AGENT: list[Row] = [
    ("name", None, "0.1.0"),
    ("import_path", None, "0.1.0"),
    ("model_name", None, "0.1.0"),
    ("base_url", None, "0.25.0"),
    ("model_api_key_name", None, "0.25.0"),
    ("model_api_format", None, "0.25.0"),
    ("skip_model_parsing", False, "0.25.0"),
    ("n_concurrent", None, "0.16.0"),
    ("concurrency_group", None, "0.16.0"),
    ("skills", [], "0.7.1"),
    ("override_timeout_sec", None, "0.1.0"),
    ("override_setup_timeout_sec", None, "0.1.29"),
    ("max_timeout_sec", None, "0.1.13"),
    ("resume_trajectory", False, "0.19.0"),
    ("load_trajectory", None, "0.19.0"),
    ("extra_allowed_hosts", [], "0.13.0"),
    ("kwargs", {}, "0.1.0"),
    ("env", {}, "0.1.45", "0.17.0"),
    ("mcp_servers", [], "0.7.1"),
]
_SERVER: list[Row] = [
    ("name", None, "0.7.1"),
    ("transport", "sse", "0.7.1"),
    ("url", None, "0.7.1"),
    ("command", None, "0.7.1"),
    ("args", [], "0.7.1"),
]
_ENVIRONMENT: list[Row] = [
    ("type", "docker", "0.1.0"),
    ("import_path", None, "0.1.32"),
    ("force_build", False, "0.1.0"),
    ("delete", True, "0.1.0"),
    ("stream", False, "0.24.0"),
    ("cpu_enforcement_policy", "auto", "0.8.0"),
    ("memory_enforcement_policy", "auto", "0.8.0"),
    ("override_cpus", None, "0.1.13"),
    ("override_memory_mb", None, "0.1.13"),
    ("override_storage_mb", None, "0.1.13"),
    ("override_gpus", None, "0.1.29"),
    ("override_tpu", None, "0.9.0"),
    ("suppress_override_warnings", False, "0.1.45", "0.17.0"),
    ("mounts_json", None, "0.2.0", "0.7.0"),
    ("mounts", None, "0.7.0"),
    ("extra_docker_compose", [], "0.7.1"),
    ("env", {}, "0.2.0", "0.17.0"),
    ("kwargs", {}, "0.1.0"),
    ("extra_allowed_hosts", [], "0.13.0"),
]
_VERIFIER: list[Row] = [
    ("override_timeout_sec", None, "0.1.0"),
    ("max_timeout_sec", None, "0.1.13"),
    ("env", {}, "0.4.0", "0.17.0"),
    ("disable", False, "0.1.14"),
]
_MULTIPLIERS: list[Row] = [
    ("agent_timeout_multiplier", None, "0.1.45"),
    ("verifier_timeout_multiplier", None, "0.1.45"),
    ("agent_setup_timeout_multiplier", None, "0.1.45"),
    ("environment_build_timeout_multiplier", None, "0.1.45"),
]
_TRIAL: list[Row] = [
    ("task", {}, "0.1.0"),
    ("trial_name", None, "0.1.0"),
    ("trials_dir", None, "0.1.0"),
    ("install_only", False, "0.16.0"),
    ("timeout_multiplier", 1.0, "0.1.0"),
    *_MULTIPLIERS,
    ("agent", {}, "0.1.0"),
    ("user_agent", None, "0.22.0"),
    ("environment", {}, "0.1.0"),
    ("verifier", {}, "0.1.0"),
    ("artifacts", [], "0.1.45"),
    ("extra_instruction_paths", [], "0.7.1"),
    ("extra_instructions", [], "0.22.0"),
    ("job_id", None, "0.1.0"),
    ("source_trial", None, "0.21.0"),
]
_RETRY: list[Row] = [
    ("max_retries", 0, "0.1.0"),
    ("include_exceptions", None, "0.1.0"),
    ("exclude_exceptions", [], "0.1.0"),
    ("wait_multiplier", 1.0, "0.1.0"),
    ("min_wait_sec", 1.0, "0.1.0"),
    ("max_wait_sec", 60.0, "0.1.0"),
]
_JOB: list[Row] = [
    ("job_name", None, "0.1.0"),
    ("jobs_dir", "jobs", "0.1.0"),
    ("n_attempts", 1, "0.1.0"),
    ("install_only", False, "0.16.0"),
    ("skip_credential_checks", False, "0.25.0"),
    ("timeout_multiplier", 1.0, "0.1.0"),
    *_MULTIPLIERS,
    ("debug", False, "0.1.13"),
    ("orchestrator", {}, "0.1.0", "0.2.0"),
    ("n_concurrent_trials", 4, "0.2.0"),
    ("quiet", False, "0.2.0"),
    ("retry", {}, "0.2.0"),
    ("environment", {}, "0.1.0"),
    ("verifier", {}, "0.1.0"),
    ("metrics", [], "0.1.0"),
    ("agents", [], "0.1.0"),
    ("user_agent", None, "0.22.0"),
    ("datasets", [], "0.1.0"),
    ("tasks", [], "0.1.0"),
    ("artifacts", [], "0.1.45"),
    ("extra_instruction_paths", [], "0.7.1"),
    ("extra_instructions", [], "0.22.0"),
    ("source_jobs", [], "0.21.0"),
]
_DATASET: list[Row] = [
    ("path", None, "0.3.0"),
    ("name", None, "0.3.0"),
    ("version", None, "0.3.0"),
    ("ref", None, "0.3.0"),
    ("registry_url", None, "0.3.0"),
    ("registry_path", None, "0.3.0"),
    ("repo", None, "0.14.0"),
    ("overwrite", False, "0.3.0"),
    ("download_dir", None, "0.3.0"),
    ("task_names", None, "0.1.0"),
    ("exclude_task_names", None, "0.1.0"),
    ("n_tasks", None, "0.1.40"),
    ("path", None, "0.1.0", "0.3.0"),
]
_NOT_RETRIED = [
    ("AgentTimeoutError", "0.1.0"),
    ("VerifierTimeoutError", "0.1.0"),
    ("RewardFileNotFoundError", "0.1.3"),
    ("RewardFileEmptyError", "0.1.3"),
    ("VerifierOutputParseError", "0.1.3"),
    ("ApiUsageLimitError", "0.16.0"),
    ("AgentSafetyRefusalError", "0.19.0"),
    ("AgentAuthenticationError", "0.19.0"),
    ("ModelNotFoundError", "0.19.0"),
    ("UnsupportedModelParametersError", "0.25.0"),
]


@cache
def since(version: str, boundary: str) -> bool:
    """Tell whether `version` is `boundary` or later."""
    return _parts(version) >= _parts(boundary)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def fill(rows: list[Row], version: str, given: Json) -> Json:
    """Give every key that the version has, with its default unless it is given."""
    filled = {}
    for key, default, first, *end in rows:
        if since(version, first) and not (end and since(version, end[0])):
            filled[key] = given.get(key, default)
    unknown = sorted(key for key in given if key not in filled and given[key])
    # Empty maps went in 0.17.0, filled ones did not.
    kept = [key for key in unknown if key == "env" and since(version, "0.17.0")]
    if unknown != kept:
        raise ValueError(f"Harbor {version} has no {', '.join(unknown)} here")
    return filled | {key: given[key] for key in kept}


def task_config(version: str, short: str, source: str | None) -> Json:
    """Give the configuration of a local task."""
    return fill(_TASK, version, {"path": f"{BENCH}/tasks/{short}", "source": source})


def agent_config(version: str, **given: Any) -> Json:
    """Give the configuration of an agent; unknown keys of that version are refused."""
    servers = given.pop("mcp_servers", ())
    if servers:
        given["mcp_servers"] = [fill(_SERVER, version, server) for server in servers]
    return fill(_AGENT, version, given)


def environment_config(version: str) -> Json:
    """Give the configuration of the Docker environment."""
    # 0.1.0 built every image anew.
    given = {"force_build": True} if not since(version, "0.1.1") else {}
    return fill(_ENVIRONMENT, version, given)


def trial_config(version: str, *, job: str, task: Json, agent: Json, **given: Any) -> Json:
    """Give the whole configuration of a trial, as it stands in its result."""
    parts = {
        "task": task,
        "trials_dir": f"{BENCH}/jobs/{job}",
        "agent": agent,
        "environment": environment_config(version),
        "verifier": fill(_VERIFIER, version, {}),
    }
    return fill(_TRIAL, version, parts | given)


def job_config(
    version: str, *, name: str, agents: list[Json], tasks: list[Json], n_attempts: int
) -> Json:
    """Give the whole configuration of a job: a local dataset, or single tasks."""
    datasets = []
    sources = {task["source"] for task in tasks}
    if sources != {None}:
        datasets = [fill(_DATASET, version, {"path": f"{BENCH}/{source}"}) for source in sources]
        tasks = []
    given: Json = {
        "job_name": name,
        "jobs_dir": f"{BENCH}/jobs",
        "n_attempts": n_attempts,
        "environment": environment_config(version),
        "verifier": fill(_VERIFIER, version, {}),
        "agents": agents,
        "datasets": datasets,
        "tasks": tasks,
    }
    if since(version, "0.2.0"):
        return fill(_JOB, version, given | {"retry": retry_config(version)})
    orchestrator = {"type": "local", "n_concurrent_trials": 4, "quiet": False}
    orchestrator |= {"retry": retry_config(version), "kwargs": {}}
    return fill(_JOB, version, given | {"orchestrator": orchestrator})


def retry_config(version: str) -> Json:
    """Give the retry rules; Harbor writes the names in no fixed order."""
    names = [name for name, first in _NOT_RETRIED if since(version, first)]
    return fill(_RETRY, version, {"exclude_exceptions": names})


def as_written(version: str, config: Json, *, kind: str) -> Json:
    """Give what lands in config.json: everything, or (from 0.17.1) what is not default."""
    if not since(version, "0.17.1"):
        return config
    return _sparse(config, {"trial": _TRIAL, "job": _JOB}[kind])


def _sparse(config: Json, rows: list[Row]) -> Json:
    nested = {"task": _TASK, "agent": _AGENT, "environment": _ENVIRONMENT, "verifier": _VERIFIER}
    listed = {"agents": _AGENT, "tasks": _TASK, "datasets": _DATASET, "mcp_servers": _SERVER}
    defaults = {row[0]: row[1] for row in rows}
    kept = {}
    for key, whole in config.items():
        if key in nested:
            value: Any = _sparse(whole, nested[key])
        elif key in listed:
            value = [_sparse(item, listed[key]) for item in whole]
        else:
            value = whole
        # No test changes the retry rules, so they are never written.
        if key != "retry" and value != defaults.get(key) and value not in ({}, []):
            kept[key] = value
    return kept


def without_none(value: Any) -> Any:
    """Drop keys without a value, at every level, as the locks do."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value


def trial_lock(version: str, config: Json, task_name: str) -> Json:
    """Give a trial's lock, as it stands in its own file or in the job's."""
    lock: Json = {}
    if since(version, "0.17.0"):
        lock["schema_version"] = 2 if since(version, "0.21.0") else 1
    elif not since(version, "0.6.3"):
        lock["trial_name"] = config["trial_name"]
    lock["task"] = {
        "name": task_name.rpartition("/")[2],
        "type": "local",
        "digest": "sha256:" + task_digest(task_name),
        "source": config["task"]["source"],
        "path": config["task"]["path"],
    }
    shared = ["install_only", "timeout_multiplier", *(row[0] for row in _MULTIPLIERS), "agent"]
    lock |= {key: config[key] for key in shared if key in config}
    if since(version, "0.22.0"):
        lock["bridge_inputs"] = {}
    if since(version, "0.7.1"):
        lock["skills"] = []
    lock["environment"] = config["environment"]
    lock["verifier"] = dict(config["verifier"])
    if since(version, "0.21.0"):
        lock["verifier"]["environment_mode"] = "shared"
    kept: Json = without_none(lock)
    return kept


def job_lock(version: str, trials: list[Json], *, job_id: str, name: str, created_at: str) -> Json:
    """Give the job's lock (0.6.2 or later) around the locks of its planned trials."""
    schema = 3 if since(version, "0.21.0") else 2 if since(version, "0.17.0") else 1
    lock: Json = {"schema_version": schema}
    if not since(version, "0.6.3"):
        lock |= {"job_id": job_id, "job_name": name}
    lock |= {"created_at": created_at, "harbor": {"version": version, "is_editable": False}}
    if not since(version, "0.17.0"):
        lock["invocation"] = ["harbor", "run", "-c", "job.yaml"]
    lock |= {"n_concurrent_trials": 4, "retry": retry_config(version), "trials": trials}
    kept: Json = without_none(lock)
    return kept


def task_digest(task_name: str) -> str:
    """Stand in for the digest of a task's content: the same name, the same digest."""
    return hashlib.sha256(task_name.encode()).hexdigest()
