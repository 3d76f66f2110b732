"""The columns of the tables: name, type, meaning, and where in a trace the value is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from typing import Any, Literal

import msgspec

from evaltrace.measures import counts_reward
from evaltrace.trace import CodeStats, Event, TestSummary, Trace, TraceError
from evaltrace.untrusted import bounded

Type = Literal["text", "json", "integer", "number", "boolean"]
"""Of a column; `json` is JSON as text, `integer` has 64 bits."""

TEXT_LIMIT = 2000
"""Characters kept of a text in the flat columns; the column `trace` has all of it."""

_SHORT = 200


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `read` takes its value from what a row of the table stands for.

    Where a row alone does not tell, `spread` gives the values of all rows of a trace, by the
    trace and their number. A column with neither holds the trace as JSON. Values of `long`
    columns are what rows take memory for.
    """

    name: str
    type: Type
    meaning: str
    read: Callable[[Any], Any] | None = None
    spread: Callable[[Trace, int], Iterable[Any]] | None = None
    long: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `items` gives what its rows stand for in a trace, None for none."""

    name: str
    meaning: str
    own: tuple[Column, ...]
    items: Callable[[Trace], Sequence[Any] | None]

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, those first that every table has."""
        return KEYS + self.own


def _key(name: str, kind: Type, meaning: str, place: str) -> Column:
    read = attrgetter(place)
    return Column(name, kind, meaning, spread=lambda trace, rows: repeat(read(trace), rows))


def _plain(name: str, kind: Type, meaning: str, place: str | None = None) -> Column:
    """Make a column that is a field of its rows, by its own name where `place` has none."""
    return Column(name, kind, meaning, attrgetter(place or name))


def _cut(name: str, meaning: str, place: str | None = None) -> Column:
    """Make a column that keeps the head of a text."""
    whole = attrgetter(place or name)
    return Column(name, "text", meaning, lambda item: _head(whole(item)), long=True)


def _length(name: str, meaning: str) -> Column:
    whole = attrgetter(name)
    return Column(f"{name}_length", "integer", meaning, lambda item: _size(whole(item)))


def _any(name: str, meaning: str, place: str | None = None) -> Column:
    """Make a column that keeps any value as JSON."""
    whole = attrgetter(place or name)
    return Column(name, "json", meaning, lambda item: _json(whole(item)), long=True)


def _head(text: str | None) -> str | None:
    return text if text is None else text[:TEXT_LIMIT]


def _size(text: str | None) -> int | None:
    return text if text is None else len(text)


def _json(value: Any) -> str | None:
    """Encode a value within a few times TEXT_LIMIT, so that it stays JSON when it is cut."""
    if value is None:
        return None
    text = msgspec.json.encode(value).decode()
    if len(text) > TEXT_LIMIT:
        text = msgspec.json.encode(bounded(value, _SHORT)).decode()
    if len(text) > TEXT_LIMIT * 4:
        text = msgspec.json.encode(f"[... {len(text)} characters cut ...]").decode()
    return text


def _reward_valid(trace: Trace) -> bool | None:
    return None if trace.test_reward is None else counts_reward(trace)


def _passed(trace: Trace) -> bool | None:
    return trace.status == "pass" if counts_reward(trace) else None


def _of_error(read: Callable[[TraceError], Any]) -> Callable[[Trace], Any]:
    return lambda trace: None if trace.error is None else read(trace.error)


def _of_code(read: Callable[[CodeStats], Any]) -> Callable[[Trace], Any]:
    return lambda trace: None if trace.code_stats is None else read(trace.code_stats)


def _of_tests(read: Callable[[TestSummary], Any]) -> Callable[[Trace], Any]:
    return lambda trace: None if trace.tests is None else read(trace.tests.summary)


def _of_usage(name: str) -> Callable[[Event], Any]:
    count = attrgetter(name)
    return lambda event: None if event.usage is None else count(event.usage)


def _kind(event: Event) -> str | None:
    kind = (event.data or {}).get("kind")
    return kind[:_SHORT] if isinstance(kind, str) else None


def _format(trace: Trace, rows: int) -> Iterable[str | None]:
    return repeat(None if trace.tests is None else trace.tests.source, rows)


KEYS = (
    _key("trace_id", "text", "the trace's id, the same in all tables", "trace_id"),
    _key("arm", "text", "label of the side of a comparison", "arm"),
    _key("job", "text", "name of the job", "origin.job_name"),
    _key("task", "text", "name of the task", "task.name"),
    _key("attempt", "integer", "number of the attempt, from 1", "attempt"),
)
"""The columns that every table begins with."""

_TRIALS = (
    _plain("task_id", "text", "the trial's name"),
    _plain("job_id", "text", "the harness's id of the job", "origin.job_id"),
    _plain("org", "text", "organisation of the task", "task.org"),
    _plain("category", "text", "category of the task", "task.category"),
    _plain("difficulty", "text", "difficulty of the task", "task.difficulty"),
    _any("tags", "list of the task's tags", "task.tags"),
    _plain("task_source", "text", "data set that the task is from", "task.source"),
    _plain("task_checksum", "text", "the harness's checksum of the task", "task.checksum"),
    _plain("agent", "text", "name of the agent", "agent_config.agent.name"),
    _plain("agent_version", "text", "its version", "agent_config.agent.version"),
    _plain("model", "text", "model, as provider/name", "agent_config.model"),
    _plain("status", "text", "pass, partial, fail, error, cancelled or running"),
    _plain("reward", "number", "reward of the verifier", "test_reward"),
    Column("reward_valid", "boolean", "whether the reward may be counted", _reward_valid),
    Column("passed", "boolean", "status is pass; NULL unless the reward may be counted", _passed),
    _any("rewards", "object of all rewards by key"),
    Column("error_type", "text", "type of the error", _of_error(lambda e: e.type)),
    Column("error_cause", "text", "its cause, as in error.cause", _of_error(lambda e: e.cause)),
    Column("error_phase", "text", "phase that it happened in", _of_error(lambda e: e.phase)),
    Column("error_message", "text", "its message", _of_error(lambda e: _head(e.message))),
    _plain("tokens_input", "integer", "input without cache", "metrics.tokens.input"),
    _plain("tokens_output", "integer", "output", "metrics.tokens.output"),
    _plain(
        "tokens_cache_creation", "integer", "written to the cache", "metrics.tokens.cache_creation"
    ),
    _plain("tokens_cache_read", "integer", "read from the cache", "metrics.tokens.cache_read"),
    _plain("tokens_total", "integer", "input and output", "metrics.tokens.total"),
    _plain("tokens_total_with_cache", "integer", "all four", "metrics.tokens.total_with_cache"),
    _plain("cost_usd", "number", "cost in US dollars", "metrics.cost.usd"),
    _plain("cost_source", "text", "reported or computed", "metrics.cost.source"),
    _plain("price_table", "text", "what it was computed by", "metrics.cost.price_table"),
    _plain("total_s", "number", "seconds, all of it", "metrics.durations.total_s"),
    _plain(
        "environment_setup_s",
        "number",
        "seconds until the sandbox ran",
        "metrics.durations.environment_setup_s",
    ),
    _plain(
        "agent_setup_s",
        "number",
        "seconds until the agent was installed",
        "metrics.durations.agent_setup_s",
    ),
    _plain(
        "agent_execution_s",
        "number",
        "seconds of the agent's work",
        "metrics.durations.agent_execution_s",
    ),
    _plain("verifier_s", "number", "seconds of the verifier", "metrics.durations.verifier_s"),
    _plain("turns", "integer", "turns of the agent", "metrics.turns"),
    _plain("tool_calls", "integer", "calls of tools", "metrics.tool_calls"),
    Column(
        "events",
        "integer",
        "events; NULL where no log was read or none were asked for",
        lambda t: None if t.events is None else len(t.events),
    ),
    Column("code_source", "text", "where the diff is from", _of_code(lambda c: c.source)),
    Column("code_complete", "boolean", "whether the diff is whole", _of_code(lambda c: c.complete)),
    Column("files_changed", "integer", "files in the diff", _of_code(lambda c: c.files_changed)),
    Column("lines_added", "integer", "lines added by it", _of_code(lambda c: c.lines_added)),
    Column("lines_removed", "integer", "lines removed by it", _of_code(lambda c: c.lines_removed)),
    Column("tests_total", "integer", "tests of the verifier", _of_tests(lambda s: s.total)),
    Column("tests_passed", "integer", "those that passed", _of_tests(lambda s: s.passed)),
    Column("tests_failed", "integer", "those that failed", _of_tests(lambda s: s.failed)),
    Column("tests_skipped", "integer", "those that were skipped", _of_tests(lambda s: s.skipped)),
    _plain("started_at", "text", "start, ISO 8601", "origin.started_at"),
    _plain("finished_at", "text", "end, ISO 8601", "origin.finished_at"),
    _plain("kind", "text", "harness, recorder, workflow or otlp", "origin.kind"),
    _plain("harness", "text", "name of the harness", "origin.harness"),
    _plain("harness_version", "text", "its version", "origin.harness_version"),
    _plain("path", "text", "the trial's folder, relative to the job", "origin.path"),
    Column("problems", "integer", "problems that the trace carries", lambda t: len(t.problems)),
    Column("trace", "json", "the whole trace: nothing is cut, nothing lost", long=True),
    # Parquet writers keep the pages of the last column while they wait: not of the largest one.
    _plain("schema_version", "text", "version of the trace's schema"),
)

_EVENTS = (
    Column("position", "integer", "place within the trace, from 0", spread=lambda _, n: range(n)),
    _plain("id", "text", "the event's id"),
    _plain("parent_id", "text", "id of the event that it belongs to"),
    _plain("type", "text", "such as message or tool_call"),
    _plain("name", "text", "name of the tool or step"),
    Column("kind", "text", "kind of the tool", _kind),
    _plain("status", "text", "how it ended"),
    _plain("started_at", "text", "start, ISO 8601"),
    _plain("duration_ms", "number", "milliseconds"),
    _plain("role", "text", "who speaks"),
    _plain("model", "text", "model that answered"),
    _plain("provider", "text", "who runs it"),
    Column("input_tokens", "integer", "input without cache", _of_usage("input_tokens")),
    Column("output_tokens", "integer", "output", _of_usage("output_tokens")),
    Column(
        "cache_creation_input_tokens",
        "integer",
        "written to the cache",
        _of_usage("cache_creation_input_tokens"),
    ),
    Column(
        "cache_read_input_tokens",
        "integer",
        "read from the cache",
        _of_usage("cache_read_input_tokens"),
    ),
    _plain("cost_usd", "number", "cost in US dollars"),
    _cut("text", "what was said; its head"),
    _length("text", "characters of all of it"),
    _cut("reasoning", "what was thought; its head"),
    _length("reasoning", "characters of all of it"),
    _any("input", "what the tool was given; long texts cut"),
    _cut("output", "what it answered; its head"),
    _length("output", "characters of all of it"),
    _cut("error", "error message; its head"),
    _any("data", "what else was recorded; long texts cut"),
)


_TOOL_CALLS = (
    _plain("name", "text", "name of the tool"),
    _plain("server", "text", "its MCP server"),
    _plain("kind", "text", "read, search, edit, shell, mcp, subagent, web, plan or other"),
    _plain("count", "integer", "calls in the trial, subagents included"),
    _plain("errors", "integer", "those that failed"),
)

_TESTS = (
    _plain("name", "text", "name of the test"),
    _plain("status", "text", "passed, failed, skipped or other"),
    _plain("duration_ms", "number", "milliseconds"),
    _cut("message", "its message; the head"),
    Column("source", "text", "format of the report", spread=_format),
)

TABLES = {
    table.name: table
    for table in (
        Table("trials", "one row a trial", _TRIALS, lambda trace: [trace]),
        Table("events", "one row an event", _EVENTS, lambda trace: trace.events),
        Table(
            "tool_calls", "one row a trial and tool", _TOOL_CALLS, lambda trace: trace.tools.calls
        ),
        Table(
            "tests",
            "one row a test of the verifier",
            _TESTS,
            lambda trace: None if trace.tests is None else trace.tests.cases,
        ),
    )
}
"""The tables by name."""
