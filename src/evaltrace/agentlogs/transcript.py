"""What an agent's log tells about a run: the one shape that every log reader fills.

A Transcript is filled line by line and holds what a trace needs: events in order,
each tool call once, usage by model, how the run ended. Texts are bounded here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from evaltrace.agentlogs.calls import EDITS_LIMIT, Call, Room, tally
from evaltrace.agentlogs.faults import LineFaults
from evaltrace.agentlogs.sightings import reading_of
from evaltrace.agentlogs.tools import command_of, kind_of, tool_of
from evaltrace.cuts import cut_text, to_truncation
from evaltrace.patches.edits import Edit
from evaltrace.trace import AgentResponse, Event, McpServer, ModelUsage, Truncation, Usage
from evaltrace.untrusted import bounded, clean, is_bounded

TEXT_LIMIT = 65_536
"""Characters kept of one text of an event."""

_VALUES = ("input", "data")
_SHOWING = ("shell", "read", "edit")


@dataclass(slots=True)
class Breakdown:
    """How the log says that the run failed: provider status and wording, and where."""

    kind: str
    message: str | None
    http_status: int | None
    path: str
    line: int | None = None


@dataclass(slots=True)
class Spending:
    """Money as the log gives it, and how it came about."""

    usd: float
    source: Literal["reported", "computed"]
    price_table: str | None = None


@dataclass(slots=True)
class Patch:
    """A diff that the agent itself left in its log, and where."""

    diff: str
    path: str


@dataclass
class Transcript:
    """Everything one agent log says; what it does not say stays None.

    `prefix` goes before event ids, so that the logs of several steps can be joined.
    With `keep_events=False` calls, usage and the ending are still collected. `doubt` says why
    the log should be trusted less than others; `cwd` is where the agent worked.
    """

    prefix: str = ""
    keep_events: bool = True
    events: list[Event] = field(default_factory=list)
    calls: dict[str, Call] = field(default_factory=dict)
    model_usage: dict[str, ModelUsage] = field(default_factory=dict)
    usage: Usage | None = None
    spending: Spending | None = None
    response: AgentResponse | None = None
    breakdown: Breakdown | None = None
    prompt: str | None = None
    system_prompt: str | None = None
    agent_version: str | None = None
    model: str | None = None
    cwd: str | None = None
    turns: int | None = None
    available: list[str] | None = None
    mcp_servers: dict[str, McpServer] = field(default_factory=dict)
    patch: Patch | None = None
    edits: list[Edit] = field(default_factory=list)
    doubt: str | None = None
    sources: dict[str, str] = field(default_factory=dict)
    truncated: list[Truncation] = field(default_factory=list)
    room: Room = field(default_factory=Room)
    _outline: list[Event] = field(default_factory=list)

    def add(self, type: str, **fields: Any) -> Event:
        """Append an event; its texts and its input are cleaned and bounded."""
        if not self.keep_events:
            return self._note(type, fields)
        number = f"{self.prefix}e{len(self.events) + 1}"
        event = Event(id=number, type=type, **self._kept(number, fields))
        self.events.append(event)
        return event

    def spoke(self, model: str | None, parent_id: str | None, started_at: str | None) -> Event:
        """Append a message of a model, of which all else is set later."""
        if not self.keep_events:
            return self._note("message", {"role": "assistant", "parent_id": parent_id})
        number = f"{self.prefix}e{len(self.events) + 1}"
        event = Event(
            id=number,
            type="message",
            role="assistant",
            model=None if model is None else self._text(number, "model", model),
            parent_id=parent_id,
            started_at=started_at,
        )
        self.events.append(event)
        return event

    def says(self, event: Event, texts: list[str], thoughts: list[str]) -> None:
        """Set what a message says, and what was thought before."""
        if texts:
            event.text = self._text(event.id, "text", "\n".join(texts))
        if thoughts:
            event.reasoning = self._text(event.id, "reasoning", "\n".join(thoughts))

    def _note(self, type: str, fields: dict[str, Any]) -> Event:
        """Note who did what below what; nothing else of an event is needed to count."""
        event = Event(
            id=f"{self.prefix}e{len(self._outline) + 1}",
            type=type,
            role=fields.get("role"),
            parent_id=fields.get("parent_id"),
        )
        told = fields.get("data")
        if told and "subagent" in told:
            event.data = told
        self._outline.append(event)
        return event

    @property
    def outline(self) -> list[Event]:
        """The events; where these are not kept, only who did what below what."""
        return self.events if self.keep_events else self._outline

    @property
    def edits_lost(self) -> int:
        """How many edits there was no room for."""
        return self.room.lost

    def finish(self, event: Event, **fields: Any) -> None:
        """Set fields of an event that was added before (its output, its status)."""
        if self.keep_events:
            for name, value in self._kept(event.id, fields).items():
                setattr(event, name, value)

    def call(
        self,
        call_id: str,
        name: str,
        server: str | None = None,
        *,
        parent_id: str | None = None,
        started_at: str | None = None,
        input: Any = None,
    ) -> Call:
        """Record a tool call once; a call id seen before changes nothing."""
        known = self.calls.get(call_id)
        if known is not None:
            return known
        plain, own, kind = tool_of(name)
        if server and server != own:
            kind = kind_of(name, server)
        if self.keep_events:
            event = self._call_event(call_id, name, kind, input)
            event.parent_id, event.started_at = parent_id, started_at
        else:
            event = self.add("tool_call", parent_id=parent_id)
        call = self.calls[call_id] = Call(plain, server or own, kind, None, event)
        if input is not None:
            if kind == "shell":
                call.command = _command(kind, input)
            call.reading = reading_of(name, kind, input)
        return call

    def _call_event(self, call_id: str, name: str, kind: str, given: Any) -> Event:
        number = f"{self.prefix}e{len(self.events) + 1}"
        kept = self._text(number, "name", name)
        if given.__class__ is str:
            given = self._text(number, "input", given)
        elif given is not None:
            given = self._any(number, "input", given)
        mark: dict[str, Any] = {"call_id": call_id, "kind": kind}
        if not call_id.isascii() or len(call_id) > TEXT_LIMIT:
            mark = self._any(number, "data", mark)
        event = Event(id=number, type="tool_call", name=kept, input=given, data=mark)
        self.events.append(event)
        return event

    def count_call(self, call_id: str, name: str, given: Any) -> None:
        """Record a call without an event, unless it is one that others may stand below."""
        plain, server, kind = tool_of(name)
        call = self.calls[call_id] = Call(plain, server, kind)
        if given is not None:
            call.command = _command(kind, given)
        if kind == "subagent":
            call.event = self.add("tool_call")

    def given(self, call: Call, value: Any) -> None:
        """Set the input of a call that was recorded before it was known."""
        call.command = _command(call.kind, value)
        call.reading = reading_of(call.name, call.kind, value)
        if call.event is not None:
            self.finish(call.event, input=value)

    def edited(self, call_id: str | None, edit: Edit) -> None:
        """Record what a call did to a file; it counts unless the call failed.

        An agent that edits without tools has no call: its edits are kept in `edits`.
        """
        call = self.calls.get(call_id) if call_id is not None else None
        if call is None and call_id is not None:
            return
        if self.room.takes(edit, self.calls.values()):
            (self.edits if call is None else call.edits).append(edit)

    def returned(self, call_id: str, *, failed: bool, output: str | None, **fields: Any) -> None:
        """Record the result of a tool call; the last result of a call counts."""
        call = self.calls.get(call_id)
        if call is not None:
            self.answered(call, failed, output)
            if fields and call.event is not None:
                self.finish(call.event, **fields)

    def answered(self, call: Call, failed: bool, output: str | None) -> None:
        """Record the result of a call that is at hand."""
        call.failed = failed
        if output and not failed and call.kind in _SHOWING:
            self.room.show(call, output)
        event = call.event
        if event is None:
            return
        if self.keep_events:
            event.status = "error" if failed else "ok"
            event.output = None if output is None else self._text(event.id, "output", output)
        elif call.kind == "subagent" and output:
            event.output = output[:TEXT_LIMIT]  # it names what the subagent's log is

    def shown(self, call_id: str) -> list[Edit]:
        """Give what a call showed of files; it counts unless the call failed."""
        self.room.settle()
        return self.calls[call_id].seen

    def adopt_calls(self, other: Transcript) -> None:
        """Take over calls, and results, that only another log of the same run has."""
        for call_id, call in other.calls.items():
            known = self.calls.setdefault(call_id, call)
            if known is call:
                other.room.settle()
                # Ids are of one log only: none of this one's events stands below the call.
                event, call.event = call.event, None
                if self.keep_events and event is not None:
                    self._adopt_event(event, other)
                    call.event = self.events[-1]
                continue
            if call.edits and known_contents(call.edits) > known_contents(known.edits):
                known.edits = call.edits
            if known.failed is None and call.failed is not None:
                output = call.event.output if call.event else None
                self.returned(call_id, failed=call.failed, output=output)
                for transcript in (self, other):
                    transcript.room.settle()
                known.seen = call.seen

    def _adopt_event(self, event: Event, other: Transcript) -> None:
        number = f"{self.prefix}e{len(self.events) + 1}"
        self.events.append(msgspec.structs.replace(event, id=number, parent_id=None))
        old, new = f"events.{event.id}.", f"events.{number}."
        for cut in other.truncated:
            if cut.field.startswith(old):
                name = new + cut.field.removeprefix(old)
                self.truncated.append(msgspec.structs.replace(cut, field=name))

    def saw_server(self, name: str, status: str | None, where: str) -> None:
        """Record an MCP server; the latest known status wins, places add up."""
        server = self.mcp_servers.setdefault(name, McpServer(name=name, configured_in=[]))
        server.status = status or server.status
        if where not in server.configured_in:
            server.configured_in.append(where)

    def _kept(self, number: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Clean and bound the fields of an event, and record what was cut."""
        for name, value in fields.items():
            if value.__class__ is str:
                fields[name] = self._text(number, name, value)
            elif value is not None and name in _VALUES:
                fields[name] = self._any(number, name, value)
        return fields

    def _text(self, number: str, name: str, text: str) -> str:
        if len(text) <= TEXT_LIMIT and (text.isascii() or clean(text) is text):
            return text
        return self.cut(f"events.{number}.{name}", text)

    def _any(self, number: str, name: str, value: Any) -> Any:
        if is_bounded(value, TEXT_LIMIT):
            return value
        kept = bounded(value, TEXT_LIMIT)
        place, whole = f"events.{number}.{name}", _to_json(value)
        self.truncated.append(to_truncation(place, whole, _to_json(kept), "bytes"))
        return kept

    def cut(self, place: str, text: str, limit: int = TEXT_LIMIT) -> str:
        """Bound a text, and record in `truncated` what was cut."""
        text = clean(text)
        if len(text) <= limit:
            return text
        kept, cuts = cut_text(place, text, limit)
        self.truncated += cuts
        return kept


def _command(kind: str, value: Any) -> str | None:
    command = command_of(value) if kind == "shell" else None
    return command[:TEXT_LIMIT] if command else None


def known_contents(edits: list[Edit]) -> int:
    """Count what is known of whole contents: up to three things of an edit."""
    return sum(
        (edit.created is not None) + (edit.before is not None) + (edit.after is not None)
        for edit in edits
    )


def _to_json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except (RecursionError, UnicodeEncodeError):  # what can be written of it
        return msgspec.json.encode(bounded(value, TEXT_LIMIT))


def add_usage(total: Usage | None, part: Usage) -> Usage:
    """Add token counts; a kind stays None only while no part knows it."""
    if total is None:
        total = Usage()
    return Usage(
        input_tokens=_plus(total.input_tokens, part.input_tokens),
        output_tokens=_plus(total.output_tokens, part.output_tokens),
        cache_creation_input_tokens=_plus(
            total.cache_creation_input_tokens, part.cache_creation_input_tokens
        ),
        cache_read_input_tokens=_plus(total.cache_read_input_tokens, part.cache_read_input_tokens),
    )


def sum_usage(parts: Sequence[Usage]) -> Usage:
    """Sum token counts; a kind stays None only while no part knows it."""
    return Usage(
        input_tokens=_sum([part.input_tokens for part in parts]),
        output_tokens=_sum([part.output_tokens for part in parts]),
        cache_creation_input_tokens=_sum([part.cache_creation_input_tokens for part in parts]),
        cache_read_input_tokens=_sum([part.cache_read_input_tokens for part in parts]),
    )


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _plus(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def total_usage(by_model: dict[str, ModelUsage]) -> Usage | None:
    """Sum the usage of all models; None when there is none."""
    total: Usage | None = None
    for part in by_model.values():
        total = add_usage(total, part)
    return total


__all__ = [
    "EDITS_LIMIT", "Breakdown", "Call", "LineFaults", "Patch", "Spending", "Transcript",
    "add_usage", "known_contents", "sum_usage", "tally", "total_usage",
]  # fmt: skip
