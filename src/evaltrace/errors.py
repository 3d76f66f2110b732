"""What can go wrong: exceptions that end a command, and problems that do not.

A `Problem` is bad input as a value; it travels beside the results. An
`EvaltraceError` is raised only where there is nothing sensible left to return.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Input that could not be used, or only in part.

    `code` is a stable snake_case word to filter by, `path` is relative to the folder
    that holds the job, `hint` says what to try.
    """

    code: str
    path: str
    message: str
    hint: str | None = None


class EvaltraceError(Exception):
    """Base of every error that evaltrace raises on purpose.

    The text has up to three parts: what is wrong, where, what to try.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        self.what, self.where, self.hint = what, where, hint
        super().__init__(self._text())

    def _text(self) -> str:
        place = f": {self.where}" if self.where else ""
        advice = f"\n  {self.hint}" if self.hint else ""
        return f"{self.what}{place}{advice}"


class NothingFound(EvaltraceError):
    """No trial below the paths that were named."""


class UnknownTask(EvaltraceError):
    """A task was asked for that no trial has."""


class UnreadablePath(EvaltraceError):
    """A path named by the user is missing or may not be read."""


class StrictFailure(EvaltraceError):
    """A problem met while the user asked for none."""


class OutputFailure(EvaltraceError):
    """The output could not be written whole; nothing was left behind."""


class NotATraceFile(EvaltraceError):
    """A file that was expected to hold traces holds something else."""


class UnknownName(EvaltraceError):
    """A name (of a schema, a trace) that does not exist."""


class ArmsUnclear(EvaltraceError):
    """The trials that were named do not make two arms."""


class MissingPackage(EvaltraceError):
    """An optional package is not installed; the hint names the extra that brings it."""


class QueryFailure(EvaltraceError):
    """A question in SQL that cannot be answered."""


class EngineFailure(EvaltraceError):
    """Workers could not be started, or the engine that has them failed."""


class ServingFailure(EvaltraceError):
    """An address cannot be listened on."""


class StoreFailure(EvaltraceError):
    """A store that cannot be opened, read or written; what it holds is as it was."""
