"""Readers of harness output, one for each harness, behind one table of names.

Adding a harness is one module (or folder) here that has the shape of `Reader`, and one
line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, Protocol

from evaltrace.errors import Problem
from evaltrace.readers import harbor
from evaltrace.source import Source, Stamp
from evaltrace.trace import Input, Trace

FolderKind = Literal["trial", "job"]


class Job(Protocol):
    """What a job's own files say; only its reader looks further into it."""

    name: str
    planned: int | None
    problems: list[Problem]


class Trial(Protocol):
    """A trial whose small files were read: who it is, and what orders it."""

    task_name: str
    name: str

    @property
    def trace_id(self) -> str:
        """An id that stays the same over re-aggregation."""

    @property
    def started(self) -> str | None:
        """When it started, as recorded."""

    @property
    def finished(self) -> bool:
        """Whether it has a result."""

    @property
    def configuration(self) -> str:
        """A name for the agent's configuration: attempts are numbered within it."""

    def stamps(self) -> dict[str, Stamp]:
        """What its trace depends on, as far as it was read; paths elsewhere are absolute."""


class Glance(Protocol):
    """What one look at a directory told of a finished trial."""

    def in_job(self, job: Any) -> Any:
        """Give what orders the trial as one of a job: as a Trial, without stamps."""


class Reader(Protocol):
    """The shape of every reader. What it cannot use it reports, and never raises."""

    def recognise(self, source: Source) -> FolderKind | None:
        """Tell by content whether a directory is a trial, a job, or neither."""

    def glance_at(self, source: Source) -> Glance | None:
        """Look at a directory; None unless it is surely a finished trial without links in it."""

    LAST_WRITTEN: str
    """The file of a trial that the harness writes last: with it, the trial is finished."""

    def read_job(self, source: Source, started: Collection[str] = ()) -> Any:
        """Read a job's own files into a Job; `started` names trials known to have a result."""

    def job_facts(self, job: Any) -> str:
        """Name all that traces of finished trials take from their job."""

    def unfinished_facts(self, job: Any) -> str:
        """Name what traces of unfinished trials take from their job besides."""

    def open_trial(self, path: str | Path, job: Any, label: str) -> Any:
        """Read a trial's small files into a Trial; `label` is how problems name it."""

    def read_trace(
        self,
        files: Any,
        *,
        keep_events: bool,
        threshold: float,
        arm: str | None,
        attempt: int | None,
        tool_patterns: tuple[str, ...] = (),
        task_dirs: tuple[str, ...] = (),
    ) -> Trace:
        """Assemble the trace of an opened trial; count the patterns in its shell commands."""

    def read_settings(self, files: Any) -> tuple[list[tuple[str, bytes]], list[Problem]]:
        """Read an opened trial's files of settings, for the secrets in them: (name, content)."""

    def to_input(self, job: Any, first: Any, *, found: int, selected: int) -> Input:
        """Make the job's row of the output's `inputs`; `first` is any trial of it."""


READERS: dict[str, Reader] = {"harbor": harbor}
"""Reader by the harness's name."""
