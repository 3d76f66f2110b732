"""GitHub Copilot CLI: its JSON output, and the event files of its sessions.

Both hold the same kind of events, with the same ids. The session files are read first:
they have the prompt and the counts at the end; the output adds what is not kept there
(requests, the exit code). With some models the output is a plain stream of messages, tool
calls and usage instead. Premium requests are no money, so there is never a cost.
Rules: Harbor format reference, section 4.2, and the published types of the Copilot SDK.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from evaltrace.agentlogs.configured import server_among
from evaltrace.agentlogs.contents import text_of
from evaltrace.agentlogs.copilot_usage import Spent
from evaltrace.agentlogs.edit_calls import edits_of_call
from evaltrace.agentlogs.responses import to_response
from evaltrace.agentlogs.tools import KINDS
from evaltrace.agentlogs.transcript import Breakdown, Call, LineFaults, Transcript
from evaltrace.agentlogs.unified import hunks_of_diff
from evaltrace.agentlogs.usage_shapes import to_usage
from evaltrace.agentlogs.values import (
    OBJECT,
    Json,
    amount_in,
    count_in,
    from_json,
    object_in,
    objects_in,
    text_in,
    time_of,
)
from evaltrace.source import Source, path_in
from evaltrace.times import elapsed_ms
from evaltrace.trace import PermissionDenial
from evaltrace.untrusted import bounded, clean

STREAM = "copilot-cli.jsonl"
COPY = "copilot-cli.txt"
SESSIONS = "copilot/session-state"

_EXITED = re.compile(r"<exited with exit code (-?\d+)>\s*\Z")
_EDITED_DIFF = re.compile(r"\s*(?:diff --git |--- )")
_DENIED = ("denied", "rejected")
_INPUT_LIMIT = 8192
_TEXTS = ("content", "text", "output", "message")


@dataclass
class _Run:
    """What the events of a run add up to."""

    transcript: Transcript
    spent: Spent = field(default_factory=Spent)
    path: str = ""
    lines: int = 0
    known: int = 0
    session: str | None = None
    model: str | None = None
    ending: Json | None = None
    shutdown: str | None = None
    last_text: str | None = None
    turns: set[str] = field(default_factory=set)
    denials: dict[str, PermissionDenial] = field(default_factory=dict)
    agents: dict[str, str] = field(default_factory=dict)
    started: dict[str, str | None] = field(default_factory=dict)
    asked: dict[str, Any] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    def take(self, line: Json, number: int) -> None:
        """Take in one event; one that was seen in another file changes nothing."""
        self.lines += 1
        kind = text_in(line, "type") or ""
        take = _TAKEN.get(kind)
        if take is None:
            return
        self.known += 1
        name = text_in(line, "id") if "." in kind else None
        if name is not None and name in self.seen:
            if kind == "assistant.message":
                self.transcript.breakdown = None  # an error only the output has was got over
            return
        self.seen.add(name or f"{self.path}:{number}")
        take(self, line, object_in(line, "data"), number)

    def start(self, line: Json, event: Json, number: int) -> None:
        self.session = self.session or text_in(event, "sessionId")
        self.transcript.agent_version = text_in(event, "copilotVersion")
        cwd = text_in(object_in(event, "context"), "cwd")
        self.transcript.cwd = self.transcript.cwd or cwd
        self._use_model(text_in(event, "selectedModel"))

    def change_model(self, line: Json, event: Json, number: int) -> None:
        self._use_model(text_in(event, "newModel"))

    def _use_model(self, model: str | None) -> None:
        if model:
            self.model = model
            self.transcript.model = self.transcript.model or self.model

    def system(self, line: Json, event: Json, number: int) -> None:
        if self.transcript.system_prompt is None:
            self.transcript.system_prompt = text_in(event, "content")

    def user(self, line: Json, event: Json, number: int) -> None:
        text = text_of(event.get("content")) or None
        if text and self.transcript.prompt is None and not _is_inner(line, event):
            self.transcript.prompt = clean(text)
        self._message(line, event, "user", text)

    def _message(self, line: Json, event: Json, role: str, text: str | None, **more: Any) -> None:
        inner = text_in(line, "agentId") or text_in(event, "parentToolCallId")
        self.transcript.add(
            "message",
            role=role,
            text=text,
            started_at=time_of(line.get("timestamp")),
            parent_id=self._parent(line, event),
            data={"subagent": inner} if inner else None,
            **more,
        )

    def _parent(self, line: Json, event: Json) -> str | None:
        above = text_in(event, "parentToolCallId")
        above = above or self.agents.get(text_in(line, "agentId") or "")
        call = self.transcript.calls.get(above or "")
        return call.event.id if call and call.event else None

    def subagent(self, line: Json, event: Json, number: int) -> None:
        agent, call = text_in(line, "agentId"), text_in(event, "toolCallId")
        if agent and call:
            self.agents[agent] = call

    def assistant(self, line: Json, event: Json, number: int) -> None:
        """Take in a message of the model, and the calls that it asks for."""
        name = text_in(event, "messageId") or text_in(line, "id") or f"{self.path}:{number}"
        key = f"{name}#{count_in(event, 'chunkIndex') or 0}"
        if key in self.seen:
            return
        self.seen.add(key)
        self._use_model(text_in(event, "model"))
        text = text_of(event.get("content")) or None
        output = count_in(event, "outputTokens")
        self.spent.message(self.path, time_of(line.get("timestamp")), self.model, output)
        usage = self.spent.usage_of({"outputTokens": output}) if output else None
        reasoning = text_in(event, "reasoningText")
        more = {"reasoning": reasoning, "model": self.model, "usage": usage}
        self._message(line, event, "assistant", text, **more)
        if not _is_inner(line, event):
            self.turns.add(name)
            self.last_text = text or self.last_text
            self.transcript.breakdown = None  # what went wrong before was got over
        for row in objects_in(event, "toolRequests"):
            self._call(line, event, row, text_in(row, "name"), row.get("arguments"))

    def begin(self, line: Json, event: Json, number: int) -> None:
        """Take in a call that begins; most were asked for in a message before."""
        name = text_in(event, "toolName")
        self._call(line, event, event, name, event.get("arguments"))
        call_id = text_in(event, "toolCallId")
        call = self.transcript.calls.get(call_id or "")
        if call is not None and call_id is not None:
            self.started[call_id] = time_of(line.get("timestamp"))
            if call.event is not None:
                self.transcript.finish(call.event, started_at=self.started[call_id])

    def _call(self, line: Json, event: Json, row: Json, name: str | None, given: Any) -> None:
        call_id = text_in(row, "toolCallId", "id") or f"call-{len(self.transcript.calls) + 1}"
        known = self.transcript.calls.get(call_id)
        server = self._server(row, name or "")
        value = from_json(given)
        if known is not None:
            self._complete_call(known, call_id, server, value)
            return
        self.transcript.call(
            call_id,
            name or "unknown",
            server,
            input=value,
            started_at=time_of(line.get("timestamp")),
            parent_id=self._parent(line, event),
        )
        self.asked[call_id] = value

    def _complete_call(self, call: Call, call_id: str, server: str | None, value: Any) -> None:
        if self.asked.get(call_id) is None and value is not None:
            self.asked[call_id] = value
            self.transcript.given(call, value)
        if server is not None and call.server is None:
            call.server, call.kind = server, "mcp"
            if call.event is not None and call.event.data is not None:
                call.event.data["kind"] = "mcp"

    def _server(self, row: Json, name: str) -> str | None:
        given = text_in(row, "mcpServerName")
        if given is not None:
            return given
        known = () if name.lower() in KINDS else self.transcript.mcp_servers
        return server_among(known, name, ("{}-",))

    def complete(self, line: Json, event: Json, number: int) -> None:
        call_id = text_in(event, "toolCallId")
        call = self.transcript.calls.get(call_id or "")
        if call is None or call_id is None:
            return
        result, error = event.get("result"), event.get("error")
        output = _text(result)
        exited = _EXITED.search(output or "") if call.kind == "shell" else None
        failed = event.get("success") is False or bool(error)
        failed = failed or (exited is not None and int(exited[1]) != 0)
        span = elapsed_ms(self.started.get(call_id), time_of(line.get("timestamp")))
        self.transcript.returned(
            call_id, failed=failed, output=output, error=_text(error), duration_ms=span
        )
        if text_in(error, "code") in _DENIED:
            self._deny(call_id, call)
        if call.kind == "edit" and not failed:
            self._edited(call_id, call, text_in(result, "detailedContent"))

    def _edited(self, call_id: str, call: Call, detail: str | None) -> None:
        hunks = hunks_of_diff(detail) if detail and _EDITED_DIFF.match(detail) else ()
        for edit in edits_of_call(call.name, self.asked.get(call_id)):
            told = () if edit.after is not None else hunks
            created = True if call.name == "create" else edit.created
            self.transcript.edited(
                call_id, replace(edit, created=created, hunks=told or edit.hunks)
            )

    def permission(self, line: Json, event: Json, number: int) -> None:
        """Note a call that the permission rules refused."""
        call_id = text_in(event, "toolCallId")
        call = self.transcript.calls.get(call_id or "")
        kind = text_in(object_in(event, "result"), "kind") or ""
        if call is not None and call_id is not None and kind.startswith(_DENIED):
            self._deny(call_id, call)

    def _deny(self, call_id: str, call: Call) -> None:
        denial = PermissionDenial(tool_name=call.name, tool_use_id=call_id)
        denial.tool_input = bounded(self.asked.get(call_id), _INPUT_LIMIT)
        self.denials.setdefault(call_id, denial)

    def servers(self, line: Json, event: Json, number: int) -> None:
        for row in [*objects_in(event, "servers"), event]:
            name = text_in(row, "name", "serverName")
            if name:
                place = f"{self.path}: MCP servers of the session"
                self.transcript.saw_server(name, text_in(row, "status"), place)

    def request(self, line: Json, event: Json, number: int) -> None:
        model, usage = text_in(event, "model") or self.model, self.spent.usage_of(event)
        self.spent.request(self.path, time_of(line.get("timestamp")), model, usage)

    def error(self, line: Json, event: Json, number: int) -> None:
        """Note that the session failed, unless it goes on."""
        message, kind = text_in(event, "message"), text_in(event, "errorType") or "session_error"
        self.transcript.add(
            "error", name=kind, error=message, started_at=time_of(line.get("timestamp"))
        )
        status = count_in(event, "statusCode")
        self.transcript.breakdown = Breakdown(kind, message, status, self.path, number)

    def end(self, line: Json, event: Json, number: int) -> None:
        self.shutdown = text_in(event, "shutdownType")
        at = time_of(line.get("timestamp"))
        self.spent.end(self.path, at, object_in(event, "modelMetrics"))

    def result(self, line: Json, event: Json, number: int) -> None:
        self.ending = line
        self.session = self.session or text_in(line, "sessionId")

    # The plain stream.

    def said(self, line: Json, event: Json, number: int) -> None:
        text = text_of(line.get("content")) or None
        if line.get("role") != "assistant":
            self.user(line, line, number)
            return
        self._use_model(text_in(line, "model"))
        self._message(line, {}, "assistant", text, model=self.model)
        self.last_text = text or self.last_text
        self.turns.add(f"{self.path}:{number}")

    def used(self, line: Json, event: Json, number: int) -> None:
        row = {"toolCallId": text_in(line, "id")}
        self._call(line, {}, row, text_in(line, "name"), line.get("input"))

    def returned(self, line: Json, event: Json, number: int) -> None:
        failed = line.get("is_error") is True
        done = {"toolCallId": text_in(line, "tool_use_id"), "success": not failed}
        self.complete(line, {**done, "result": text_of(line.get("content"))}, number)

    def counted(self, line: Json, event: Json, number: int) -> None:
        usage = to_usage(line)
        if usage is not None:
            self.spent.request(self.path, time_of(line.get("timestamp")), self.model, usage)


_TAKEN = {
    "session.start": _Run.start,
    "session.resume": _Run.start,
    "session.model_change": _Run.change_model,
    "session.mcp_servers_loaded": _Run.servers,
    "session.mcp_server_status_changed": _Run.servers,
    "session.error": _Run.error,
    "session.shutdown": _Run.end,
    "system.message": _Run.system,
    "user.message": _Run.user,
    "subagent.started": _Run.subagent,
    "assistant.message": _Run.assistant,
    "assistant.usage": _Run.request,
    "tool.execution_start": _Run.begin,
    "tool.execution_complete": _Run.complete,
    "permission.completed": _Run.permission,
    "result": _Run.result,
    "message": _Run.said,
    "tool_use": _Run.used,
    "tool_result": _Run.returned,
    "usage": _Run.counted,
}
"""What each type of event means; other types say nothing new."""


def _is_inner(line: Json, event: Json) -> bool:
    return bool(text_in(line, "agentId") or text_in(event, "parentToolCallId"))


def _text(value: Any) -> str | None:
    if isinstance(value, dict):
        return text_in(value, *_TEXTS) or text_of(value)
    return text_of(value) or None


def read(
    source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read what the Copilot CLI left in `folder`; None when it left no log."""
    paths = _paths(source, folder)
    if not paths:
        return None
    run = _Run(Transcript(prefix=prefix, keep_events=keep_events))
    for path in paths:
        run.path = path
        faults = LineFaults(path)
        for number, line in faults.decoded(source, OBJECT):
            run.take(line, number)
        faults.report(source)
    transcript = run.transcript
    transcript.turns = len(run.turns) or None
    places = " and ".join(paths)
    transcript.sources["events"] = paths[0]
    transcript.sources["tools"] = f"{places}: each call id once"
    run.spent.settle(transcript, source)
    if not run.known:
        transcript.doubt = "no event of the Copilot CLI in its output"
    _set_response(run, paths[-1])
    return transcript


def _paths(source: Source, folder: str) -> list[str]:
    """List the session files, then the output: the copy of it only where it is alone."""
    sessions = path_in(folder, SESSIONS)
    found = [
        path
        for path in source.walk(sessions, depth=2)
        if path.endswith("/events.jsonl")
        or (path.endswith(".jsonl") and "/" not in path.removeprefix(f"{sessions}/"))
    ]
    output = [path for name in (STREAM, COPY) if source.exists(path := path_in(folder, name))]
    return found + output[:1]


def _set_response(run: _Run, path: str) -> None:
    transcript, ending = run.transcript, run.ending or {}
    code, times = ending.get("exitCode"), object_in(ending, "usage")
    failed: bool | None = True if transcript.breakdown else None
    if failed is None and isinstance(code, int):
        failed = code != 0
    if failed is None and run.shutdown is not None:
        failed = run.shutdown == "error"
    transcript.response = to_response(
        transcript,
        run.last_text,
        failed,
        permission_denials=list(run.denials.values()) or None,
        duration_ms=amount_in(times, "sessionDurationMs"),
        duration_api_ms=amount_in(times, "totalApiDurationMs"),
        session_id=run.session,
    )
    transcript.sources["response"] = f"{path}: last message, and how the program ended"
