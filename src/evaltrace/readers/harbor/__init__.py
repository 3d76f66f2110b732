"""Harbor (0.1 to 0.25): its job directories become traces.

Nothing here writes; every file is opened through a Source. The rules are those of the
Harbor format reference that each module names.
"""

from __future__ import annotations

from evaltrace.readers.harbor.assembly import read_trace
from evaltrace.readers.harbor.config import agent_digest
from evaltrace.readers.harbor.glance import glance_at
from evaltrace.readers.harbor.job import FolderKind, Job, read_job, recognise
from evaltrace.readers.harbor.settings import read_settings
from evaltrace.readers.harbor.trial import (
    LAST_WRITTEN,
    TrialFiles,
    job_facts,
    open_trial,
    to_input,
    unfinished_facts,
)

__all__ = [
    "LAST_WRITTEN",
    "FolderKind",
    "Job",
    "TrialFiles",
    "agent_digest",
    "glance_at",
    "job_facts",
    "open_trial",
    "read_job",
    "read_settings",
    "read_trace",
    "recognise",
    "to_input",
    "unfinished_facts",
]
