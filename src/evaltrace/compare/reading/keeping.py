"""What is kept of each trace: little, and once where many traces say the same.

Long texts are let go, the evidence of single trials is shelved, and what no part of a comparison
reads goes too, unless an option names it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import structs

from evaltrace.compare.options import CompareOptions
from evaltrace.compare.shelf import Evidence, Shelf
from evaltrace.compare.sides import Trial
from evaltrace.trace import AgentResponse, ModelUsage, Origin, ToolCalls, Trace

_READ_SOURCES = ("usage", "task_instruction")

_NOTHING: list[Any] = []
"""The empty list of all reduced traces, which nobody changes."""

T = TypeVar("T")


class Keeping:
    """Reduces the trials of one path; what is equal in several of them becomes one object."""

    def __init__(self, options: CompareOptions) -> None:
        given = (options.arm_by, options.cluster_by, *options.group_by)
        self._asked = {field.partition("=")[0] for field in given if field}
        self._unread = [reduce for path, reduce in _UNREAD.items() if not self._is_asked(path)]
        self._unread_whole = [name for name in _UNREAD_WHOLE if not self._is_asked(name)]
        self._of_patch = [reduce for path, reduce in _OF_PATCH.items() if not self._is_asked(path)]
        self._shelf = Shelf()
        self._known: dict[tuple[type, bytes], Any] = {}

    def _is_asked(self, path: str) -> bool:
        """Tell whether an option names this part of a trace, something in it, or all around it."""
        return any(
            f"{path}.".startswith(f"{name}.") or name.startswith(f"{path}.") for name in self._asked
        )

    def reduce(self, trial: Trial) -> None:
        """Take out of a trial, and of its trace, what need not stay in memory."""
        self._shelve(trial)
        self._let_go(trial.trace)
        self._share(trial)

    def _shelve(self, trial: Trial) -> None:
        trace, patch = trial.trace, trial.read_patch()
        evidence = Evidence(
            moves=trial.moves, cases=trial.cases, diff=patch.diff, paths=patch.paths
        )
        trial.shelved = self._shelf.put(evidence)
        if trial.shelved is None:
            # The same names come in every trial of a task: each is kept once.
            named = trial.cases
            trial.cases = named and {sys.intern(name): status for name, status in named.items()}
            return
        trial.moves = trial.cases = None
        for reduce in self._of_patch:
            reduce(trace)

    def _let_go(self, trace: Trace) -> None:
        trace.task_instruction = trace.agent_request = trace.test_output = trace.events = None
        if trace.agent_response is not None:
            trace.agent_response.result = None
        if trace.tests is not None:
            trace.tests.cases = _NOTHING
        trace.problems = trace.problems or _NOTHING
        trace.truncated = trace.truncated or _NOTHING
        for name in self._unread_whole:
            setattr(trace, name, None)
        for reduce in self._unread:
            reduce(trace)

    def _share(self, trial: Trial) -> None:
        trace = trial.trace
        trace.schema_version = sys.intern(trace.schema_version)
        trace.agent_config = self._one(trace.agent_config)
        trace.task = self._one(trace.task)
        trace.sources = self._one(trace.sources)
        trace.rewards = self._one(trace.rewards)
        trace.origin.task_ref = self._one(trace.origin.task_ref)
        _intern_names(trace.origin)
        if trace.arm is not None:
            trace.arm = sys.intern(trace.arm)
        tools = trace.tools
        tools.available = self._one(tools.available)
        tools.mcp_servers = self._one(tools.mcp_servers)
        trial.asks_servers = _intern_calls(tools.calls or ())

    def _one(self, value: T) -> T:
        """Give the object that is kept for all values equal to this one."""
        if value is None:
            return value
        try:
            text = msgspec.json.encode(value)
        except UnicodeEncodeError:  # a lone surrogate in a text
            return value
        found: T = self._known.setdefault((type(value), text), value)
        return found


def _intern_calls(calls: Iterable[ToolCalls]) -> bool:
    """Keep the names of tools and servers once; tell whether there is a server."""
    found = False
    for row in calls:
        row.name = sys.intern(row.name)
        if row.server:
            row.server, found = sys.intern(row.server), True
    return found


def _intern_names(origin: Origin) -> None:
    if origin.harness is not None:
        origin.harness = sys.intern(origin.harness)
    if origin.harness_version is not None:
        origin.harness_version = sys.intern(origin.harness_version)
    if origin.job_name is not None:
        origin.job_name = sys.intern(origin.job_name)
    if origin.job_id is not None:
        origin.job_id = sys.intern(origin.job_id)


# Parts of a trace that no part of a comparison reads.


def _keep_models(trace: Trace) -> None:
    models = trace.agent_response and trace.agent_response.model_usage
    if models and len(models) == 1:
        trace.agent_response = _of_one_model(*models)
    else:
        trace.agent_response = AgentResponse(model_usage=models) if models else None


@lru_cache(maxsize=64)
def _of_one_model(name: str) -> AgentResponse:
    """Give the response of all trials that one model answered: how much, nobody asks."""
    return AgentResponse(model_usage={name: ModelUsage()})


def _keep_cause(trace: Trace) -> None:
    if trace.error is not None:
        trace.error.message, trace.error.evidence = None, _NOTHING


def _forget_manifest(trace: Trace) -> None:
    trace.metrics.manifest = None


def _forget_timestamp(trace: Trace) -> None:
    trace.agent_config.timestamp = None  # without it, the configuration is that of other trials


def _forget_diff(trace: Trace) -> None:
    trace.code_changes = None


def _forget_files(trace: Trace) -> None:
    if trace.code_stats is not None:
        trace.code_stats.files = _NOTHING


def _forget_cuts(trace: Trace) -> None:
    trace.truncated = _NOTHING


def _forget_path(trace: Trace) -> None:
    trace.origin.path = trace.origin.harness_version_from = None


def _keep_read_sources(trace: Trace) -> None:
    given = trace.sources
    trace.sources = {name: given[name] for name in _READ_SOURCES if name in given}


_UNREAD: dict[str, Callable[[Trace], None]] = {
    "agent_config.timestamp": _forget_timestamp,
    "agent_response": _keep_models,
    "error": _keep_cause,
    "metrics.manifest": _forget_manifest,
    "origin": _forget_path,
    "sources": _keep_read_sources,
}
"""How each is reduced where no option names it."""

_UNREAD_WHOLE = ("bottlenecks", "context", "redaction", "tests", "trigger")
"""Those of which nothing is left then."""

_OF_PATCH: dict[str, Callable[[Trace], None]] = {
    "code_changes": _forget_diff,
    "code_stats.files": _forget_files,
    "truncated": _forget_cuts,
}
"""The same of what is shelved."""


def copied(trace: Trace) -> Trace:
    """Copy of a trace what a reduction changes of it."""
    changed = (
        "agent_config",
        "agent_response",
        "code_stats",
        "error",
        "metrics",
        "origin",
        "tests",
        "tools",
    )
    parts = {name: part for name in changed if (part := getattr(trace, name)) is not None}
    trace = structs.replace(trace, **{name: structs.replace(part) for name, part in parts.items()})
    calls = trace.tools.calls
    trace.tools.calls = calls and [structs.replace(row) for row in calls]
    return trace
