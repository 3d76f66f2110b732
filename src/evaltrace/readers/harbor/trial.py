"""One Harbor trial: its small JSON files, what they say together, who it is."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from sys import intern
from typing import Any

from msgspec import UNSET

from evaltrace.readers.harbor import config as configs
from evaltrace.readers.harbor.job import Job, recorded_job_name
from evaltrace.readers.harbor.records import (
    OBJECT,
    TRIAL_LOCK,
    TRIAL_RESULT,
    LockedTrial,
    TrialResult,
    dig,
    text,
)
from evaltrace.readers.harbor.version import Version, find_version
from evaltrace.source import Source, Stamp, readable
from evaltrace.trace import Input
from evaltrace.untrusted import clean

LAST_WRITTEN = "result.json"
"""The file of a trial that Harbor writes last, once."""


@dataclass
class TrialFiles:
    """The JSON files of a trial, read; and what they say together.

    `job_name` is the name of the job's folder, so that of a renamed job is the new one; that
    of a trial that lies on its own is the one it recorded. `elsewhere` are the directories outside
    the trial that were looked into.
    """

    source: Source
    job: Job | None
    result: TrialResult | None
    lock: LockedTrial | None
    config: dict[str, Any]
    config_from: str
    sparse: dict[str, Any] | None
    task_name: str
    name: str
    job_name: str | None
    job_id: str | None
    result_unreadable: bool = False
    elsewhere: list[Source] = field(default_factory=list)

    def stamps(self) -> dict[str, Stamp]:
        """Give what the trace read so far depends on: its own paths, and absolute ones elsewhere.

        The job's own files are not among them. A place elsewhere that was looked for in vain
        is there too, as `absent`.
        """
        found = self.source.looked_at
        for source in self.elsewhere:
            top = str(source.root)
            for path, stamp in source.looked_at.items():
                found[f"{top}/{path}" if path else top] = stamp
        return found

    @property
    def started(self) -> str | None:
        """When the trial started, as recorded; None while it has no result."""
        return self.result.started_at if self.result else None

    @property
    def finished(self) -> bool:
        """Whether the trial has a result."""
        return self.result is not None

    @property
    def configuration(self) -> str:
        """A name for the agent's configuration: attempts are numbered within it."""
        return configs.agent_digest(self.config)

    @property
    def task_digest(self) -> str | None:
        """The digest of the task's content, from the trial's lock or the job's."""
        own = self.lock.task.digest if self.lock and self.lock.task else None
        if own or self.job is None:
            return own
        # A lock names a local task by its short name, whatever name its result has.
        short = self.task_name.rpartition("/")[2]
        keys = (dig(self.config, "task", "path"), self.task_name, short)
        found = (self.job.digests.get(key) for key in keys if isinstance(key, str))
        return next((digest for digest in found if digest), None)

    @property
    def trace_id(self) -> str:
        """An id that stays the same over re-aggregation, retries and moves."""
        return to_trace_id(self.job_id or self.job_name or "", self.name)


def to_trace_id(job: str, name: str) -> str:
    """Name a trial by its own name and the id of its job, or else the job's name."""
    key = "\n".join(("harbor", job, name))
    return f"{name}-{sha256(key.encode()).hexdigest()[:12]}"


def open_trial(path: str | Path, job: Job | None, label: str) -> TrialFiles:
    """Read the small JSON files of a trial directory."""
    source = Source(path, boundary=job.path if job else path, label=label)
    result = source.read_json("result.json", TRIAL_RESULT)
    lock = source.read_json("lock.json", TRIAL_LOCK)
    sparse = None
    if result is None or not result.config:
        sparse = source.read_json("config.json", OBJECT)
    config, config_from = configs.full_config(result, lock, sparse)
    folder = os.fspath(path).rpartition("/")[2]
    task_name, name, recorded = names_of(folder, result, config, lock)
    return TrialFiles(
        source=source,
        job=job,
        result=result,
        lock=lock,
        config=config,
        config_from=config_from,
        sparse=sparse,
        task_name=task_name,
        name=name,
        job_name=job.name if job else recorded_job_name(config),
        job_id=(job.id if job else None) or recorded,
        result_unreadable=result is None and source.exists("result.json"),
    )


def names_of(
    folder: str, result: TrialResult | None, config: dict[str, Any], lock: LockedTrial | None
) -> tuple[str, str, str | None]:
    """Give the names of the task and the trial in a folder of that name, and its job's id."""
    own = readable(folder)
    named = (result.trial_name if result else None) or text(dig(config, "trial_name"))
    # Many trials have these names, and are kept in mind all at once.
    task_name = intern(clean(configs.task_name(result, config, lock, own)))
    name = own if named in (None, own) else clean(named)
    return task_name, name, text(dig(config, "job_id"))


def find_trial_version(files: TrialFiles) -> Version:
    """Find which Harbor ran a trial."""
    return _version(files.job, files)


def _version(job: Job | None, files: TrialFiles | None) -> Version:
    return find_version(
        files.source if files else None,
        files.result if files else None,
        files.sparse if files else None,
        locked=job.harbor_version if job else None,
        job_config=job.config if job else None,
        job_result=job.result if job else None,
        has_job_log=job.has_log if job else False,
    )


def job_facts(job: Job) -> str:
    """Name all that traces of finished trials take from their job: the same name, the same traces.

    What changes while a job goes on makes no difference, such as its count of trials.
    """
    stats = job.result.stats if job.result else None
    told = (
        job.name,
        job.id,
        job.harbor_version,
        job.config,
        job.has_log,
        job.result is None,
        stats is None,
        stats is not None and stats.n_completed_trials is UNSET,
        stats is not None and stats.cost_usd is UNSET,
    )
    facts = sha256(repr(told).encode())
    # One by one: of a large job, all as one text would be its largest memory.
    for item in sorted(job.digests.items()):
        facts.update(repr(item).encode())
    return facts.hexdigest()


def unfinished_facts(job: Job) -> str:
    """Name what traces of unfinished trials take from their job besides: whether it ended."""
    return str(job.finished)


def to_input(job: Job | None, first: TrialFiles | None, *, found: int, selected: int) -> Input:
    """Make the job's row of the output's `inputs`; `first` is any trial of it, for the version."""
    version = _version(job, first)
    stats = job.result.stats if job and job.result else None
    return Input(
        job_name=job.name if job else (first.job_name if first else None),
        job_id=first.job_id if first else (job.id if job else None),
        harness="harbor",
        harness_version=version.label,
        harness_version_from=version.known_from,
        planned=job.planned if job else None,
        found=found,
        absent=job.absent(found) if job else None,
        selected=selected,
        retries=stats.n_retries if stats else None,
        attempts=job.attempts if job else None,
        concurrency=job.concurrency if job else None,
        retry=job.retry if job else None,
    )
