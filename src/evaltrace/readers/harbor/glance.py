"""What a plan needs to know of a finished trial, by one look at its result."""

from __future__ import annotations

from sys import intern
from typing import NamedTuple

from evaltrace.agentlogs.faults import REFUSED
from evaltrace.readers.harbor import config as configs
from evaltrace.readers.harbor.job import Job
from evaltrace.readers.harbor.records import TRIAL_RESULT, TrialResult
from evaltrace.readers.harbor.trial import names_of, to_trace_id
from evaltrace.source import Source


class Glance(NamedTuple):
    """What orders a finished trial: the same as its TrialFiles say, in little memory."""

    task_name: str
    name: str
    job_id: str
    started: str | None
    configuration: str

    def in_job(self, job: Job) -> Glance:
        """Name the job that the trial lies in."""
        return self._replace(job_id=job.id or self.job_id or job.name)

    @property
    def finished(self) -> bool:
        """Whether the trial has a result."""
        return True

    @property
    def trace_id(self) -> str:
        """An id that stays the same over re-aggregation, retries and moves."""
        return to_trace_id(self.job_id, self.name)


def glance_at(source: Source) -> Glance | None:
    """Look at a directory; None unless it is surely a trial whose result tells all of this."""
    if not (source.has("result.json") and source.is_plain()):
        return None
    data = source.read_document("result.json")
    if data is None:
        return None
    try:
        result = TRIAL_RESULT.decode(data)
    except REFUSED:
        return None
    return _to_glance(source, result)


def _to_glance(source: Source, result: TrialResult) -> Glance | None:
    config = result.config
    if not (result.task_name and result.trial_name and config):
        return None
    task_name, name, job_id = names_of(source.label.rpartition("/")[2], result, config, None)
    return Glance(
        task_name=task_name,
        name=name,
        job_id=intern(job_id or ""),
        started=result.started_at,
        configuration=configs.agent_digest(config),
    )
