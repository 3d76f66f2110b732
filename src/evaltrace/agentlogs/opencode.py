"""opencode: the output of `opencode run --format json`, events of the main session only.

What subagents spent is not in it, and no model is named. Rules: Harbor format reference,
section 4.2, and the sources of opencode.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from evaltrace.agentlogs.configured import note_servers, server_among
from evaltrace.agentlogs.contents import http_status, read_lines, text_of
from evaltrace.agentlogs.opencode_edits import edits_of
from evaltrace.agentlogs.plain_text import read_plain
from evaltrace.agentlogs.responses import to_response
from evaltrace.agentlogs.tools import KINDS
from evaltrace.agentlogs.transcript import Breakdown, Spending, Transcript, add_usage
from evaltrace.agentlogs.values import (
    Count,
    Dollars,
    as_list,
    as_object,
    as_text,
    cleaned,
    epoch_to_utc,
    first_text,
    span_of,
)
from evaltrace.source import Source, path_in
from evaltrace.trace import Event, Usage
from evaltrace.untrusted import clean

STREAM = "opencode.txt"
SHARED = "trajectory.json"

_CONFIGS = (
    "opencode.json",
    ".opencode/opencode.json",
    "opencode/opencode.json",
    "opencode/xdg-config/opencode.json",
    "opencode/xdg-config/opencode/opencode.json",
    ".config/opencode/opencode.json",
)
_HEAD = 65_536


class Cache(msgspec.Struct):
    """Tokens of the provider's cache."""

    read: Count | None = None
    write: Count | None = None


class Tokens(msgspec.Struct):
    """Token counts of one step; `input` excludes the cache."""

    input: Count | None = None
    output: Count | None = None
    reasoning: Count | None = None
    total: Count | None = None
    cache: Cache | None = None

    def usage(self) -> Usage | None:
        """Give the counts in our terms; None where all are missing or zero."""
        cache = self.cache or Cache()
        counts = (self.input, self.output, self.reasoning, cache.read, cache.write)
        if not any(counts):
            return None
        output = self.output
        # The total tells whether the output has the reasoning in it already.
        if sum(count or 0 for count in (self.input, output, cache.read, cache.write)) != self.total:
            output = None if output is None else output + (self.reasoning or 0)
        return Usage(
            input_tokens=self.input,
            output_tokens=output,
            cache_creation_input_tokens=cache.write,
            cache_read_input_tokens=cache.read,
        )


class Span(msgspec.Struct):
    """When something began and ended, in milliseconds since 1970."""

    start: float | None = None
    end: float | None = None

    def elapsed(self) -> float | None:
        """Give the milliseconds between; None where one is missing, or the end comes first."""
        return None if self.start is None or self.end is None else span_of(self.end - self.start)


class State(msgspec.Struct):
    """How far a tool call has come."""

    status: str | None = None
    input: Any = None
    output: Any = None
    error: Any = None
    metadata: Any = None
    time: Span | None = None


class Part(msgspec.Struct):
    """A part of a message, of any type."""

    id: str | None = None
    type: str | None = None
    text: str | None = None
    tool: str | None = None
    callID: str | None = None
    state: State | None = None
    time: Span | None = None
    reason: str | None = None
    cost: Dollars | None = None
    tokens: Tokens | None = None


class Line(msgspec.Struct):
    """One line of the output, of any type."""

    type: str | None = None
    timestamp: float | None = None
    sessionID: str | None = None
    part: Part | None = None
    parts: Any = None
    error: Any = None
    reason: str | None = None


_LINE = msgspec.json.Decoder(Line, strict=False)
_TYPES = ("step_start", "step_finish", "text", "reasoning", "tool_use", "error", "user", "done")


@dataclass
class _Stream:
    """What the lines of the output add up to."""

    transcript: Transcript
    path: str
    lines: int = 0
    session_id: str | None = None
    last_text: str | None = None
    reason: str | None = None
    usage: Usage | None = None
    cost: float = 0.0
    steps: int = 0
    delegated: bool = False
    _open: bool = False
    _step: Event | None = None
    _seen: set[str] = field(default_factory=set)

    def take(self, line: Line, number: int) -> None:
        """Take in one line; a part that was seen before is a repetition."""
        part, at = line.part or Part(), epoch_to_utc(line.timestamp)
        key = f"{line.type} {part.id}"
        if line.type not in _TYPES or (part.id and key in self._seen):
            return
        self._seen.add(key)
        self.lines += 1
        self.session_id = self.session_id or cleaned(line.sessionID)
        if line.type == "error":
            self._failed(line, at, number)
        elif line.type == "user":
            self._user(line, at)
        elif line.type in ("text", "reasoning"):
            self._spoken(line.type, part, at)
        elif line.type == "tool_use":
            self._call(part, at)
        elif line.type == "step_start":
            self.steps += 1
            self._open, self.reason = True, None
        elif line.type == "step_finish":
            self._finished(part, at)

    def _failed(self, line: Line, at: str | None, number: int) -> None:
        error = as_object(line.error)
        given = as_object(error.get("data"))
        kind = first_text(error.get("name")) or "error"
        message = first_text(given.get("message"), error.get("message"), line.error)
        message = message or (text_of(line.error) if line.error else None)
        self.transcript.add("error", name=kind, started_at=at, error=message)
        status = given.get("statusCode")
        known = status if isinstance(status, int) and 400 <= status < 600 else None
        self.transcript.breakdown = Breakdown(
            clean(kind), message, known or http_status(message), self.path, number
        )

    def _user(self, line: Line, at: str | None) -> None:
        rows = map(as_object, as_list(line.parts))
        texts = [as_text(row.get("text")) for row in rows if row.get("type") == "text"]
        text = "\n".join(text for text in texts if text)
        if text:
            self.transcript.prompt = self.transcript.prompt or clean(text)
            self.transcript.add("message", role="user", started_at=at, text=text)

    def _spoken(self, kind: str, part: Part, at: str | None) -> None:
        started = epoch_to_utc(part.time.start) if part.time else None
        at, span = started or at, part.time.elapsed() if part.time else None
        self._recovered()
        if kind == "reasoning":
            self.transcript.add("reasoning", started_at=at, duration_ms=span, reasoning=part.text)
            return
        self.last_text = part.text or self.last_text
        self._step = self.transcript.add(
            "message", role="assistant", started_at=at, duration_ms=span, text=part.text
        )

    def _call(self, part: Part, at: str | None) -> None:
        transcript, state = self.transcript, part.state or State()
        self._recovered()
        call_id = part.callID or part.id or f"call-{len(transcript.calls) + 1}"
        name = part.tool or "unknown"
        server = None
        if name.lower() not in KINDS:
            server = server_among(transcript.mcp_servers, name, ("{}_",))
        self.delegated |= name == "task"
        span = state.time or Span()
        call = transcript.call(
            call_id, name, server, started_at=epoch_to_utc(span.start) or at, input=state.input
        )
        if call.failed is not None or state.status not in ("completed", "error"):
            return
        shown = as_object(state.metadata)
        code = shown.get("exit")
        failed = state.status == "error" or (isinstance(code, int) and code != 0)
        output = first_text(text_of(state.output), text_of(state.error))
        transcript.returned(call_id, failed=failed, output=output, duration_ms=span.elapsed())
        for edit in [] if failed else edits_of(name, state.input, shown):
            transcript.edited(call_id, edit)
        if name == "task":
            self._subagent(shown, call.event)

    def _subagent(self, shown: dict[str, Any], task: Event | None) -> None:
        """Count the calls of a subagent, of which only names and outcomes are told."""
        for row in map(as_object, as_list(shown.get("summary"))):
            call_id, name = first_text(row.get("id")), first_text(row.get("tool"))
            if call_id is None or name is None or call_id in self.transcript.calls:
                continue
            server = server_among(self.transcript.mcp_servers, name, ("{}_",))
            parent = task.id if task else None
            self.transcript.call(call_id, name, server, parent_id=parent)
            status = as_object(row.get("state")).get("status")
            if status in ("completed", "error"):
                self.transcript.returned(call_id, failed=status == "error", output=None)

    def _finished(self, part: Part, at: str | None) -> None:
        self.steps += not self._open
        self._open, self.reason = False, part.reason
        if part.reason != "error":
            self._recovered()
        usage = part.tokens.usage() if part.tokens else None
        if usage is not None:
            self.usage = add_usage(self.usage, usage)
        self.cost += part.cost or 0.0
        self.transcript.add(
            "step", name=part.reason, started_at=at, usage=usage, cost_usd=part.cost or None
        )

    def _recovered(self) -> None:
        # An error before a sign of life was got over.
        self.transcript.breakdown = None


def read(
    source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read what opencode left in `folder`; None when it left no log."""
    path = path_in(folder, STREAM)
    if not source.has(path):
        return None
    transcript = Transcript(prefix=prefix, keep_events=keep_events)
    note_servers(source, folder, _CONFIGS, transcript, "mcp")
    stream = _Stream(transcript, path)
    if _begins_stream(source, path):
        for number, line in read_lines(source, path, _LINE):
            stream.take(line, number)
    if stream.lines:
        return _closed(stream, source)
    if source.has(path_in(folder, SHARED)):
        return None  # a trajectory in the common format tells more than a text
    return read_plain(source, path, transcript)


def _begins_stream(source: Source, path: str) -> bool:
    """Tell whether a log's head or tail has a line of the stream; old versions print a text."""
    head = source.read_text(path, _HEAD)
    return head is not None and '{"type":' in head.text


def _closed(stream: _Stream, source: Source) -> Transcript:
    transcript, path = stream.transcript, stream.path
    transcript.turns = stream.steps or None
    transcript.usage = stream.usage
    transcript.sources["events"] = path
    transcript.sources["tools"] = f"{path}: each call id once"
    less = "; what subagents spent is not in it" if stream.delegated else ""
    if stream.delegated and stream.usage is not None:
        message = "what subagents spent is not in the log: tokens and cost are too low"
        hint = "Take them for a lower bound."
        source.report("usage_incomplete", path, message, hint)
    if stream.usage is not None:
        transcript.sources["usage"] = f"{path}: sum of step_finish{less}"
    # Models without a price, and subscriptions, cost 0 here: unknown, not free.
    if stream.cost > 0:
        transcript.spending = Spending(round(stream.cost, 10), "reported")
        transcript.sources["cost"] = f"{path}: sum of step_finish{less}"
    failed = transcript.breakdown is not None
    known = failed or stream.reason == "stop"
    text = stream.last_text
    transcript.response = to_response(
        transcript,
        text,
        failed if known else None,
        session_id=stream.session_id,
    )
    transcript.sources["response"] = f"{path}: last text, and how the last step ended"
    return transcript
