"""A Harbor job directory: recognised by content, its plan, its trials."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from msgspec import UNSET

from evaltrace.errors import Problem
from evaltrace.jsontext import Malformed, decode
from evaltrace.readers.harbor.records import (
    JOB_LOCK,
    JOB_RESULT,
    OBJECT,
    SKETCH,
    JobResult,
    Sketch,
    dig,
)
from evaltrace.source import Source

FolderKind = Literal["trial", "job"]

_FILES = ("config.json", "lock.json", "result.json")
_TRIAL_PARTS = ("agent", "verifier", "steps")
_TRIAL_KEYS = ({"task", "trial_name"}, {"task_name", "trial_name"}, {"task", "agent"})
_JOB_KEYS = {"agents", "tasks", "datasets", "jobs_dir", "n_total_trials", "trials"}
_KEYS = Sketch.__struct_fields__


@dataclass
class Job:
    """What the job's own files say; a folder of trials without such files has only a name."""

    path: Path
    name: str
    id: str | None = None
    config: dict[str, Any] | None = None
    result: JobResult | None = None
    harbor_version: str | None = None
    planned: int | None = None
    plan: Counter[str] = field(default_factory=Counter)
    digests: dict[str, str] = field(default_factory=dict)
    has_log: bool | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def finished(self) -> bool | None:
        """Whether the job came to its end; None when its result is not there to tell."""
        return None if self.result is None else self.result.finished_at is not None


def recognise(source: Source) -> FolderKind | None:
    """Tell by content whether a directory is a trial, a job, or neither."""
    files = set(source.files())
    found = [name for name in _FILES if name in files]
    if not found:
        return None
    kinds = {kind for name in found if (kind := _kind_of_file(source, name))}
    if "trial" in kinds:
        return "trial"
    # Many programs have a config.json with tasks in it: that alone makes no job.
    if "job" in kinds and (len(found) > 1 or "job.log" in files or "config.json" not in files):
        return "job"
    # A result.json that is empty or cut off still lies among a trial's folders.
    if not kinds and any(source.has_folder(part) for part in _TRIAL_PARTS):
        return "trial"
    return None


def _kind_of_file(source: Source, name: str) -> FolderKind | None:
    data = source.read(name)
    if not data:
        return None
    try:
        sketch, _ = decode(data, SKETCH)
    except Malformed:
        return _kind_of_keys({key for key in _KEYS if f'"{key}"'.encode() in data[:4096]})
    return _kind_of_keys({key for key in _KEYS if getattr(sketch, key) is not UNSET})


def _kind_of_keys(keys: set[str]) -> FolderKind | None:
    if any(signature <= keys for signature in _TRIAL_KEYS):
        return "trial"
    return "job" if keys & _JOB_KEYS else None


def read_job(source: Source) -> Job:
    """Read a job's config, result and lock; what is missing or broken stays None."""
    job = Job(path=source.root, name=source.root.name)
    if not _has_job_files(source):
        return job
    if source.has("config.json"):
        job.config = source.read_json("config.json", OBJECT)
    if source.has("result.json"):
        job.result = source.read_json("result.json", JOB_RESULT)
        job.id = job.result.id if job.result else None
    if source.has("lock.json"):
        _read_lock(source, job)
    job.has_log = source.has("job.log")
    if job.planned is None:
        job.planned = _planned(job)
    job.problems = source.problems
    return job


def _has_job_files(source: Source) -> bool:
    return any(source.has(name) and _kind_of_file(source, name) == "job" for name in _FILES)


def _read_lock(source: Source, job: Job) -> None:
    lock = source.read_json("lock.json", JOB_LOCK)
    if lock is None:
        return
    job.harbor_version = lock.harbor.version if lock.harbor else None
    if lock.trials is not None:
        job.planned = len(lock.trials)
        tasks = [trial.task for trial in lock.trials if trial.task and trial.task.name]
        job.plan = Counter(str(task.name) for task in tasks)
        job.digests = {str(task.name): task.digest for task in tasks if task.digest}


def _planned(job: Job) -> int | None:
    if job.result and job.result.n_total_trials is not None:
        return job.result.n_total_trials
    config = job.config or {}
    tasks = config.get("tasks")
    if config.get("datasets") or not isinstance(tasks, list):
        return None
    agents = config.get("agents")
    attempts = config.get("n_attempts", 1)
    n_agents = len(agents) if isinstance(agents, list) and agents else 1
    return len(tasks) * n_agents * attempts if isinstance(attempts, int) else None


def recorded_job_name(config: dict[str, Any] | None) -> str | None:
    """Give the job's name as a trial's own configuration recorded it."""
    folder = dig(config, "trials_dir")
    return Path(folder).name or None if isinstance(folder, str) else None
