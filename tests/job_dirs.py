"""Builds job directories for tests, in the layout of any version of Harbor.

    write_job(tmp_path, "baseline", ["add-flag", {"task": "slow", "reward": 0.0}])

Everything follows from the arguments: fixed ids, fixed times, the same bytes each time.
The rest of the builder lies in `trial_dirs` (one trial), `trial_results`, `job_configs`,
`agent_logs` and `other_logs`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import comb
from pathlib import Path
from typing import Any

from agent_logs import START, Json, Run, fixed_id, write_text
from job_configs import as_written, job_config, job_lock, since, trial_lock
from trial_dirs import write_document, write_trial
from trial_results import Step, Trial, stamp, to_trial

Spec = str | dict[str, Any]

CODESEARCH = {
    "name": "codesearch",
    "transport": "streamable-http",
    "url": "https://codesearch.example.com/mcp",
}
"""An MCP server as configurations name it: `mcp_servers=[CODESEARCH]` (0.7.1 or later)."""


def write_job(
    root: Path,
    name: str,
    trials: Sequence[Spec] = (),
    *,
    version: str = "0.25.0",
    plan: Sequence[str] = (),
    finished: bool = True,
    retries: int = 0,
    n_attempts: int | None = None,
    **fields: Any,
) -> Path:
    """Write the job directory `root/name` and give its path.

    Each trial is a task name or the fields of `write_trial`; a task that repeats becomes
    the next attempt. `fields` hold for every trial that does not say otherwise. `plan`
    names tasks that were planned but never started (pending: seen in lock.json only).
    `finished=False` is a job that still runs or was killed: `finished_at` is null, and
    trials without a result count as running.
    """
    job = root / name
    job.mkdir(parents=True)
    specs = _numbered(trials, version, fields)
    for spec in specs:
        write_trial(job, **spec)
    planned = [to_trial(name, **spec) for spec in specs]
    pending = [to_trial(name, task=task, version=version, **fields) for task in plan]
    attempts = n_attempts or max((trial.attempt for trial in planned), default=1)
    _write_plan(job, planned + pending, version, attempts)
    counts = {"started": len(planned), "pending": len(pending), "retries": retries}
    _write_result(job, version, counts, finished=finished)
    if since(version, "0.1.13"):
        logs = (path.read_text(encoding="utf-8") for path in sorted(job.glob("*/trial.log")))
        write_text(job / "job.log", "".join(logs))
    return job


def _numbered(trials: Sequence[Spec], version: str, fields: Json) -> list[Json]:
    counts: dict[tuple[str, str], int] = defaultdict(int)
    specs = []
    for given in trials:
        spec = {
            "version": version,
            **fields,
            **({"task": given} if isinstance(given, str) else given),
        }
        key = (spec["task"], repr([spec.get(k) for k in ("agent", "model", "mcp_servers")]))
        counts[key] += 1
        specs.append({"attempt": counts[key], **spec})
    return specs


def _write_plan(job: Path, trials: list[Trial], version: str, n_attempts: int) -> None:
    """Write config.json, and lock.json where the version has it."""
    agents, tasks = [], []
    for config in (trial.config for trial in trials):
        agents += [config["agent"]] if config["agent"] not in agents else []
        tasks += [config["task"]] if config["task"] not in tasks else []
    config = job_config(version, name=job.name, agents=agents, tasks=tasks, n_attempts=n_attempts)
    write_document(job / "config.json", as_written(version, config, kind="job"))
    if since(version, "0.6.2"):
        locks = [trial_lock(version, trial.config, trial.task_name) for trial in trials]
        own = {"job_id": fixed_id(job.name, "job"), "name": job.name}
        lock = job_lock(version, locks, created_at=stamp(START, utc=True), **own)
        write_document(job / "lock.json", lock)


def _write_result(job: Path, version: str, counts: dict[str, int], *, finished: bool) -> None:
    """Write the job's result.json; until 0.6.1 there was none before a trial had ended."""
    paths = sorted(job.glob("*/result.json"))
    results = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    new = since(version, "0.6.2")
    if not (finished or results or new):
        return
    end = _end_of(results)
    whole: Json = {"id": fixed_id(job.name, "job"), "started_at": stamp(START, utc=False)}
    if new:
        # Hooks write it in UTC, the end of the job in local time.
        whole["updated_at"] = stamp(end, utc=not finished)
    whole["finished_at"] = stamp(end, utc=False) if finished else None
    whole["n_total_trials"] = counts["started"] + counts["pending"]
    if new:
        whole["stats"] = _new_counts(results, counts)
    else:
        errors = sum(result["exception_info"] is not None for result in results)
        whole["stats"] = {"n_trials": len(results), "n_errors": errors}
    whole["stats"]["evals"] = _evals(results, version)
    if since(version, "0.6.0"):
        whole["stats"] |= _sums(results)
    if not finished and not new and since(version, "0.1.3"):
        whole["trial_results"] = []
    write_document(job / "result.json", whole)


def _end_of(results: list[Json]) -> datetime:
    ends = [result["finished_at"].rstrip("Z") for result in results]
    last = datetime.fromisoformat(max(ends)) if ends else START
    return last + timedelta(seconds=1)


def _new_counts(results: list[Json], counts: dict[str, int]) -> Json:
    kinds = [result["exception_info"]["exception_type"] for result in _failed(results)]
    return {
        "n_completed_trials": len(results),
        "n_errored_trials": len(kinds),
        "n_running_trials": counts["started"] - len(results),
        "n_pending_trials": counts["pending"],
        "n_cancelled_trials": kinds.count("CancelledError"),
        "n_retries": counts["retries"],
    }


def _failed(results: list[Json]) -> list[Json]:
    return [result for result in results if result["exception_info"]]


def _rewards(result: Json) -> Json:
    return (result["verifier_result"] or {}).get("rewards") or {}


def _evals(results: list[Json], version: str) -> Json:
    groups: dict[str, list[Json]] = defaultdict(list)
    for result in results:
        model = result["agent_info"]["model_info"]
        parts = [result["agent_info"]["name"], *([model["name"]] if model else [])]
        groups["__".join([*parts, result["source"] or "adhoc"])].append(result)
    return {key: _eval(group, version) for key, group in groups.items()}


def _eval(results: list[Json], version: str) -> Json:
    """Sum up one agent on one dataset; a trial without rewards counts as 0 in the mean."""
    values: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        for key, value in _rewards(result).items():
            values[key][str(float(value))].append(result["trial_name"])
    kinds: dict[str, list[str]] = defaultdict(list)
    for result in _failed(results):
        kinds[result["exception_info"]["exception_type"]].append(result["trial_name"])
    keys = list(values) or ["reward"]
    means = {key: sum(_rewards(r).get(key, 0) for r in results) / len(results) for key in keys}
    if keys == ["reward"]:
        means = {"mean": means["reward"]}
    found: Json = {"n_trials": sum(bool(_rewards(result)) for result in results)}
    found |= {"n_errors": len(_failed(results)), "metrics": [means]}
    if since(version, "0.4.0"):
        found["pass_at_k"] = _pass_at_k(results) if keys == ["reward"] else {}
    return found | {"reward_stats": values, "exception_stats": kinds}


def _pass_at_k(results: list[Json]) -> dict[str, float]:
    """Give the chance that one of k attempts passes, for k = 2 where all have two."""
    by_task: dict[str, list[float]] = defaultdict(list)
    for result in results:
        by_task[result["task_name"]].append(_rewards(result).get("reward", 0))
    if any(len(row) < 2 or set(row) - {0, 1} for row in by_task.values()):
        return {}
    missed = [comb(row.count(0), 2) / comb(len(row), 2) for row in by_task.values()]
    return {"2": 1 - sum(missed) / len(missed)}


def _sums(results: list[Json]) -> Json:
    """Add up tokens and cost, of steps where a trial has them; null when none is known."""
    rows = []
    for result in results:
        steps = result.get("step_results") or []
        rows += [part["agent_result"] for part in (steps or [result]) if part["agent_result"]]
    sums: Json = {}
    for key in ("n_input_tokens", "n_cache_tokens", "n_output_tokens", "cost_usd"):
        known = [row[key] for row in rows if row[key] is not None]
        sums[key] = sum(known) if known else None
    return sums


__all__ = ["CODESEARCH", "Run", "Step", "Trial", "write_job", "write_trial"]
