"""A Harbor job directory: recognised by content, its plan, its trials.

Source: Harbor format reference, sections 1.1, 1.5, 1.6, 2.3 and 2.4.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, Literal

from msgspec import UNSET, Raw, json

from evaltrace.errors import Problem
from evaltrace.jsontext import Malformed, decode
from evaltrace.readers.harbor.records import (
    JOB_LOCK,
    JOB_RESULT,
    OBJECT,
    SKETCH,
    JobResult,
    PlannedTrial,
    Sketch,
    dig,
)
from evaltrace.source import Source, spelled
from evaltrace.untrusted import bounded

FolderKind = Literal["trial", "job"]

_FILES = ("config.json", "lock.json", "result.json")
_TRIAL_PARTS = ("agent", "verifier", "steps")
_TRIAL_KEYS = ({"task", "trial_name"}, {"task_name", "trial_name"}, {"task", "agent"})
_JOB_KEYS = {"agents", "tasks", "datasets", "jobs_dir", "n_total_trials", "trials"}
_SURE_JOB_KEYS = {"jobs_dir", "n_attempts", "agents", "datasets"}
_KEYS = Sketch.__struct_fields__
_HEAD = 4096
_TEXT_LIMIT = 1024
_MOST = 2**31
_DEFAULT_ATTEMPTS = 1
_DEFAULT_CONCURRENCY = 4
_DEFAULT_RETRY = {
    "max_retries": 0,
    "include_exceptions": None,
    "wait_multiplier": 1.0,
    "min_wait_sec": 1.0,
    "max_wait_sec": 60.0,
}


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
    started: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    has_log: bool = False
    attempts: int | None = None
    concurrency: int | None = None
    retry: dict[str, Any] | None = None
    problems: list[Problem] = field(default_factory=list)

    @property
    def finished(self) -> bool | None:
        """Whether the job came to its end; None when its result is not there to tell."""
        return None if self.result is None else self.result.finished_at is not None

    def absent(self, found: int) -> int | None:
        """Count the planned trials that left no directory; None when the plan is unknown."""
        return None if self.planned is None else max(self.planned - max(self.started, found), 0)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a JSON file looks like: the keys it has, and whether it could be read whole."""

    keys: frozenset[str]
    sound: bool

    @property
    def kind(self) -> FolderKind | None:
        if any(signature <= self.keys for signature in _TRIAL_KEYS):
            return "trial"
        return "job" if self.keys & _JOB_KEYS else None


def recognise(source: Source) -> FolderKind | None:
    """Tell by content whether a directory is a trial, a job, or neither."""
    files = set(source.files())
    looks: dict[str, _Look] = {}
    for name in _FILES:
        if name in files:
            looks[name] = _look(source, name)
            if looks[name].kind == "trial":
                return "trial"
    kinds = {look.kind for look in looks.values()}
    if "job" in kinds and _surely_a_job(looks, files):
        return "job"
    # A result.json that is empty or cut off still lies among a trial's folders.
    broken = any(look.kind is None and not look.sound for look in looks.values())
    if broken and any(source.has_folder(part) for part in _TRIAL_PARTS):
        return "trial"
    return None


def _surely_a_job(looks: dict[str, _Look], files: set[str]) -> bool:
    # Many programs have a config.json with tasks in it: that alone makes no job.
    if len(looks) > 1 or "job.log" in files or "config.json" not in files:
        return True
    return looks["config.json"].keys >= _SURE_JOB_KEYS


def _look(source: Source, name: str) -> _Look:
    data = source.read_document(name) or b""
    try:
        sketch, _ = decode(data, SKETCH)
    except Malformed:
        head = bytes(data[:_HEAD])
        found = {key for key in _KEYS if f'"{key}"'.encode() in head}
        return _Look(frozenset(found), sound=False)
    present = {key: getattr(sketch, key) for key in _KEYS if getattr(sketch, key) is not UNSET}
    # Only an object is a Harbor task; a name of one is some other program's.
    keys = {key for key, raw in present.items() if key != "task" or _is_object(raw)}
    return _Look(frozenset(keys), sound=True)


def _is_object(raw: Raw) -> bool:
    return bytes(raw).lstrip().startswith(b"{")


def read_job(source: Source, started: Collection[str] = ()) -> Job:
    """Read a job's config, result and lock; what is missing or broken stays None.

    `started` names folders that are known to be trials with a result.
    """
    number = _count_started(source, started)
    job = Job(path=source.root, name=spelled(source.root.name), started=number)
    names = _own_files(source, job.started)
    if not names:
        return job
    if "config.json" in names:
        job.config = source.read_json("config.json", OBJECT)
    if "result.json" in names:
        job.result = source.read_json("result.json", JOB_RESULT)
        job.id = job.result.id if job.result else None
    if "lock.json" in names:
        _read_lock(source, job)
    job.has_log = source.has("job.log")
    if job.planned is None:
        job.planned = _planned(job)
    if job.config is not None:
        _add_settings(job, job.config)
    job.problems = source.problems
    return job


def _own_files(source: Source, started: int) -> set[str]:
    """Name the job's files; where none looks like one, those among its trials that are broken."""
    names = [name for name in _FILES if source.exists(name)]
    looks: dict[str, _Look] = {}
    for name in names:
        looks[name] = _look(source, name)
        if looks[name].kind == "job":
            return set(names)
    # Another program's files among trials are sound, and none of ours.
    return {name for name, look in looks.items() if started and not look.sound}


def _count_started(source: Source, known: Collection[str]) -> int:
    """Count trial directories as Harbor's own viewer tells them."""
    number = 0
    for name in source.folders():
        if name.startswith((".", "_")):
            continue
        number += (
            name in known or source.has(f"{name}/config.json") or source.has(f"{name}/result.json")
        )
        source.forget(name)
    return number


def _read_lock(source: Source, job: Job) -> None:
    lock = source.read_json("lock.json", JOB_LOCK)
    if lock is None:
        return
    job.harbor_version = lock.harbor.version if lock.harbor else None
    job.concurrency = _at_least_one(lock.n_concurrent_trials)
    job.retry = _rule(lock.retry)
    if lock.trials is not None:
        job.planned = len(lock.trials)
        job.digests = _digests(lock.trials)


def _digests(trials: list[PlannedTrial]) -> dict[str, str]:
    """Give the digest of each task by its path and by its name, unless several share that."""
    found: dict[str, str] = {}
    shared = set()
    for trial in trials:
        if trial.task and (digest := trial.task.digest):
            for key in (trial.task.path, trial.task.name):
                if key and found.setdefault(key, digest) != digest:
                    shared.add(key)
    for key in shared:
        del found[key]
    # A copy: the strings of very many trials are given back to the system all together. A digest
    # stands in it once, for both keys of its task.
    keys: dict[str, list[str]] = {}
    for key, digest in found.items():
        keys.setdefault(digest, []).append(key)
    copy = json.decode(json.encode(keys), type=dict[str, list[str]])
    # Jobs that are compared have the same tasks: what names them is kept once for all.
    return {intern(key): intern(digest) for digest, own in copy.items() for key in own}


def _planned(job: Job) -> int | None:
    if job.result and job.result.n_total_trials is not None:
        return job.result.n_total_trials
    config = job.config or {}
    tasks = config.get("tasks")
    if config.get("datasets") or not isinstance(tasks, list) or not tasks:
        return None
    agents = config.get("agents")
    attempts = config.get("n_attempts", 1)
    n_agents = len(agents) if isinstance(agents, list) and agents else 1
    return len(tasks) * n_agents * attempts if isinstance(attempts, int) else None


def _add_settings(job: Job, config: dict[str, Any]) -> None:
    """Add how the job was run, where its lock did not say it already.

    Until 0.1.45 an orchestrator had the settings; from 0.17.1 a default is left out.
    """
    place = config.get("orchestrator")
    place = place if isinstance(place, dict) else config
    job.attempts = _at_least_one(config.get("n_attempts", _DEFAULT_ATTEMPTS))
    if job.concurrency is None:
        job.concurrency = _at_least_one(place.get("n_concurrent_trials", _DEFAULT_CONCURRENCY))
    if job.retry is None:
        job.retry = _rule(place.get("retry", {}))


def _at_least_one(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 1 <= value <= _MOST else None


def _rule(value: Any) -> dict[str, Any] | None:
    """Give a retry rule with its defaults; its lists are sets, written in no fixed order."""
    if not isinstance(value, dict):
        return None
    whole = _DEFAULT_RETRY | bounded(value, _TEXT_LIMIT)
    return {key: _sorted(item) for key, item in sorted(whole.items())}


def _sorted(value: Any) -> Any:
    names = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return sorted(value) if names else value


def recorded_job_name(config: dict[str, Any] | None) -> str | None:
    """Give the job's name as a trial's own configuration recorded it."""
    folder = dig(config, "trials_dir")
    return Path(folder).name or None if isinstance(folder, str) else None
