"""The documents that Harbor 0.25 writes around a trial and a job: configuration, lock, result."""

from __future__ import annotations

import hashlib
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from agent_runs import CLI_VERSION, MODEL, Json, Run, cost_of
from planned_trials import ATTEMPTS, Planned

START = datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)
HOME = "/home/ada/bench"
SERVER = {
    "name": "codesearch",
    "transport": "streamable-http",
    "url": "https://codesearch.example.com/mcp",
}


_FAILURES = {
    "timeout": ("AgentTimeoutError", "Agent execution timed out after 1800.0 seconds"),
    "verifier_timeout": ("VerifierTimeoutError", "Verifier timed out after 600.0 seconds"),
    "no_reward": ("RewardFileNotFoundError", "No reward file found"),
}


def _stable_id(*names: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(names)))


def _stamp(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _task(trial: Planned) -> Json:
    return {"path": f"{HOME}/tasks/{trial.task}", "source": "tasks"}


def _agent(job: str) -> Json:
    agent: Json = {"name": "claude-code", "model_name": f"anthropic/{MODEL}"}
    agent["kwargs"] = {"version": CLI_VERSION}
    return agent | ({"mcp_servers": [SERVER]} if job == "with-mcp" else {})


def sparse_config(trial: Planned) -> Json:
    """Give config.json, which holds what is not default."""
    config: Json = {"task": _task(trial), "trial_name": trial.name}
    config |= {"trials_dir": f"{HOME}/jobs/{trial.job}", "agent": _agent(trial.job)}
    return config | {"job_id": _stable_id(trial.job)}


_ENVIRONMENT = {
    "type": "docker",
    "force_build": False,
    "delete": True,
    "stream": False,
    "cpu_enforcement_policy": "auto",
    "memory_enforcement_policy": "auto",
    "extra_docker_compose": [],
    "kwargs": {},
    "extra_allowed_hosts": [],
}
_UNSET = (
    "import_path",
    "base_url",
    "model_api_key_name",
    "model_api_format",
    "n_concurrent",
    "concurrency_group",
    "override_timeout_sec",
    "override_setup_timeout_sec",
    "max_timeout_sec",
    "load_trajectory",
)
_MULTIPLIERS = ("agent", "verifier", "agent_setup", "environment_build")


def _whole_config(trial: Planned) -> Json:
    """Give the configuration inside result.json, which has the defaults too."""
    agent = dict.fromkeys(_UNSET)
    agent |= {"skip_model_parsing": False, "skills": [], "resume_trajectory": False}
    agent |= {"extra_allowed_hosts": [], "mcp_servers": []} | _agent(trial.job)
    limits = ("cpus", "memory_mb", "storage_mb", "gpus", "tpu")
    environment = _ENVIRONMENT | dict.fromkeys(f"override_{name}" for name in limits)
    task = dict.fromkeys(("git_url", "git_commit_id", "name", "ref", "download_dir"))
    config = sparse_config(trial) | {"install_only": False, "timeout_multiplier": 1.0}
    config |= {f"{name}_timeout_multiplier": None for name in _MULTIPLIERS}
    config |= {"task": task | {"overwrite": False} | _task(trial), "agent": agent}
    config |= {"user_agent": None, "environment": environment | {"import_path": None}}
    config["verifier"] = {"override_timeout_sec": None, "max_timeout_sec": None, "disable": False}
    config |= {"artifacts": [], "extra_instruction_paths": [], "extra_instructions": []}
    return config | {"source_trial": None}


def _digest(task: str) -> str:
    return hashlib.sha256(task.encode()).hexdigest()


def trial_lock(trial: Planned) -> Json:
    """Give a trial's lock.json."""
    task: Json = {"name": trial.task, "type": "local", "digest": f"sha256:{_digest(trial.task)}"}
    agent = _agent(trial.job) | {"skip_model_parsing": False, "skills": []}
    agent |= {"resume_trajectory": False, "extra_allowed_hosts": []}
    lock: Json = {"schema_version": 2, "task": task | _task(trial), "install_only": False}
    lock |= {"timeout_multiplier": 1.0, "agent": agent, "bridge_inputs": {}, "skills": []}
    verifier = {"disable": False, "environment_mode": "shared"}
    return lock | {"environment": _ENVIRONMENT, "verifier": verifier}


def trial_result(trial: Planned, run: Run, started: datetime) -> Json:
    """Give a trial's result.json."""
    phases, end = _phases(run, started)
    rewards = None if trial.reward is None else {"rewards": {"reward": trial.reward}}
    return {
        "id": _stable_id(trial.job, trial.name),
        "task_name": trial.task,
        "trial_name": trial.name,
        "trial_uri": f"file://{HOME}/jobs/{trial.job}/{trial.name}",
        "task_id": {"path": _task(trial)["path"]},
        "source": "tasks",
        "task_checksum": _digest(trial.task),
        "config": _whole_config(trial),
        "agent_info": {
            "name": "claude-code",
            "version": CLI_VERSION,
            "model_info": {"name": MODEL, "provider": "anthropic"},
        },
        "agent_result": _agent_result(run),
        "verifier_result": rewards,
        "verifier_environment_mode": "shared",
        "exception_info": _exception(trial, end),
        "started_at": _stamp(started) + "Z",
        "finished_at": _stamp(end) + "Z",
        **phases,
        "step_results": None,
    }


def _phases(run: Run, started: datetime) -> tuple[Json, datetime]:
    """Give the four phases and the end of the trial."""
    lengths = (
        ("environment_setup", 8),
        ("agent_setup", 11),
        ("agent_execution", 0),
        ("verifier", 9),
    )
    phases, now = {}, started + timedelta(seconds=1)
    for name, seconds in lengths:
        end = now + timedelta(seconds=seconds or 4 * len(run.turns) + 4)
        phases[name] = {"started_at": _stamp(now) + "Z", "finished_at": _stamp(end) + "Z"}
        now = end
    return phases, now + timedelta(seconds=1)


def _agent_result(run: Run) -> Json:
    fresh, made, read, output = run.tokens
    spent: Json = {"n_input_tokens": fresh + made + read, "n_cache_tokens": read}
    spent |= {"n_output_tokens": output, "cost_usd": cost_of(run.tokens)}
    return spent | {"model_usage": {MODEL: spent}, "rollout_details": None, "metadata": None}


def _exception(trial: Planned, when: datetime) -> Json | None:
    if trial.fault not in _FAILURES:
        return None
    name, message = _FAILURES[trial.fault]
    frames = "".join(
        f'  File "/opt/venv/lib/python3.13/site-packages/harbor/trial.py", line {line}, in run\n'
        f"    await self._step_{line}()\n"
        for line in range(600, 780, 20)
    )
    text = f"Traceback (most recent call last):\n{frames}harbor.trial.errors.{name}: {message}\n"
    info: Json = {"exception_type": name, "exception_message": message, "exception_traceback": text}
    return info | {"occurred_at": _stamp(when) + "Z"}


def job_documents(job: str, trials: list[Planned], results: list[Json]) -> dict[str, Json]:
    """Give a job's documents by file name."""
    config: Json = {"job_name": job, "jobs_dir": f"{HOME}/jobs", "n_attempts": ATTEMPTS}
    config |= {"agents": [_agent(job)], "datasets": [{"path": f"{HOME}/tasks"}]}
    lock: Json = {"schema_version": 3, "created_at": _stamp(START) + "Z"}
    lock |= {"harbor": {"version": "0.25.0", "is_editable": False}, "n_concurrent_trials": 4}
    retry: Json = {"max_retries": 0, "exclude_exceptions": ["AgentTimeoutError"]}
    lock |= {"retry": retry, "trials": [trial_lock(trial) for trial in trials]}
    result = _job_result(job, trials, results)
    return {"config.json": config, "lock.json": lock, "result.json": result}


def _job_result(job: str, trials: list[Planned], results: list[Json]) -> Json:
    """Sum the job up; a killed trial still counts as running."""
    end = _stamp(START + timedelta(hours=9))
    whole: Json = {"id": _stable_id(job), "started_at": _stamp(START), "updated_at": end}
    failed = [result for result in results if result["exception_info"]]
    stats: Json = {"n_completed_trials": len(results), "n_errored_trials": len(failed)}
    stats |= {"n_running_trials": len(trials) - len(results), "n_pending_trials": 0}
    stats |= {"n_cancelled_trials": 0, "n_retries": 0}
    if results:
        stats["evals"] = {f"claude-code__{MODEL}__tasks": _eval(results, failed)}
    for key in ("n_input_tokens", "n_cache_tokens", "n_output_tokens", "cost_usd"):
        stats[key] = sum(result["agent_result"][key] for result in results)
    return whole | {"finished_at": end, "n_total_trials": len(trials), "stats": stats}


def _eval(results: list[Json], failed: list[Json]) -> Json:
    values: dict[str, list[str]] = defaultdict(list)
    for result in results:
        if result["verifier_result"]:
            reward = result["verifier_result"]["rewards"]["reward"]
            values[str(reward)].append(result["trial_name"])
    kinds: dict[str, list[str]] = defaultdict(list)
    for result in failed:
        kinds[result["exception_info"]["exception_type"]].append(result["trial_name"])
    found: Json = {"n_trials": sum(map(len, values.values())), "n_errors": len(failed)}
    found |= {"metrics": [{"mean": len(values["1.0"]) / len(results)}], "pass_at_k": {}}
    return found | {"reward_stats": {"reward": values}, "exception_stats": kinds}
