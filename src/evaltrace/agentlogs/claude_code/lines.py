"""The lines of Claude Code's logs: stream-json output and session files.

Both carry the same messages. One scan turns the lines of either into a Transcript:
a message once per message id, a tool call once per tool use id, a line once per uuid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from evaltrace.agentlogs.calls import Call
from evaltrace.agentlogs.claude_code.messages import (
    SYNTHETIC,
    content_text,
    error_of,
    error_word,
    tells,
)
from evaltrace.agentlogs.claude_code.shapes import (
    ABSENT,
    Block,
    Line,
    Message,
    Raw,
    Totals,
    Turn,
    blocks_of,
    is_utf8,
    model_totals,
    sum_totals,
)
from evaltrace.agentlogs.claude_edits import decode_edit, to_edit
from evaltrace.agentlogs.edit_calls import edits_of_call
from evaltrace.agentlogs.faults import REFUSED, LineFaults
from evaltrace.agentlogs.tools import kind_of
from evaltrace.agentlogs.transcript import Breakdown, Transcript
from evaltrace.jsontext import Malformed, decode
from evaltrace.patches.edits import Edit
from evaltrace.times import elapsed_ms, to_utc
from evaltrace.trace import Event, Usage
from evaltrace.untrusted import clean

_CALLING = ("tool_use", "server_tool_use")
_DENIED = re.compile(
    rb"Claude requested permissions to |Permission to use \S+ (with .{0,200} )?has been denied"
    rb"|The user doesn't want to (proceed with|take) this "
)
_HEAD = 512
"""Bytes in which a result says that its call was not allowed."""
_ANY = msgspec.json.Decoder()


class _SubagentLink(msgspec.Struct):
    agentId: str | None = None


_LINK = msgspec.json.Decoder(_SubagentLink)


class _Spoken(msgspec.Struct, gc=False):
    """A message while its blocks arrive; it has no event where none is needed."""

    event: Event | None = None
    texts: list[str] = []
    thoughts: list[str] = []


_UNTOLD = _Spoken()


@dataclass(slots=True)
class Scan:
    """What the lines of one log add up to.

    `unnamed` holds the messages without an id: two logs cannot be matched by these. A `bare`
    scan leaves out what only another log is asked for: commands, and what was edited.
    """

    transcript: Transcript
    bare: bool = False
    usage: dict[str, tuple[str, Usage]] = field(default_factory=dict)
    main_messages: set[str] = field(default_factory=set)
    unnamed: set[str] = field(default_factory=set)
    result: Line | None = None
    result_line: int | None = None
    results: int = 0
    finals: dict[str, Totals] = field(default_factory=dict)
    """The totals of each session's last result event: they include its earlier ones."""
    settled: bool = False
    """Whether the last result event came after all messages."""
    last_error: Breakdown | None = None
    answered: bool = False
    """Whether the last message of the main loop came from a model."""
    lines: int = 0
    sound: bool = False
    """Whether all of the log could be used as it is."""
    bare_edits: int = 0
    """Edits whose result does not say what they did."""
    put_off: dict[str, Turn] = field(default_factory=dict)
    """Results of edits that a bare scan left out, by call id."""
    denied: dict[str, str] = field(default_factory=dict)
    """Calls that were not allowed: the tool by call id."""
    _session: str = ""
    _asked: dict[str, bytes] = field(default_factory=dict)
    _at: tuple[LineFaults, int] = (LineFaults(""), 0)
    _seen: set[str] = field(default_factory=set)
    _spoken: dict[str, _Spoken] = field(default_factory=dict)
    _called: dict[str, int] = field(default_factory=dict)
    _subagents: dict[str, str] = field(default_factory=dict)

    def take(self, line: Turn, faults: LineFaults, number: int) -> None:
        """Take one line in; a line whose uuid was seen before is a copy.

        `faults` names the file, and takes what a value within the line had to be mended of.
        """
        uuid, transcript = line.uuid, self.transcript
        if uuid:
            if uuid in self._seen:
                return
            self._seen.add(uuid)
        self.lines += 1
        self._at = faults, number
        main = not (line.parent_tool_use_id or line.isSidechain or line.agentId)
        if transcript.cwd is None and line.cwd and main:
            transcript.cwd = clean(line.cwd)
        if not transcript.agent_version:
            known = line.claude_code_version if isinstance(line, Line) else None
            transcript.agent_version = known or line.version
        message = line.message
        if message.__class__ is Message and line.type == "assistant":
            self._assistant(line, message, main)
        elif message.__class__ is Message and line.type == "user":
            self._user(line, message, main)
        elif isinstance(line, Line):
            self._take_other(line, faults, number)

    def _take_other(self, line: Line, faults: LineFaults, number: int) -> None:
        if line.type == "system":
            self._system(line, faults.path)
        elif line.type == "result":
            self.result, self.result_line, self.settled = line, number, True
            self.results += 1
            self._session = line.session_id or line.sessionId or self._session
            self.finals[self._session] = Totals(
                model_totals(line, faults, number), line.usage, line.total_cost_usd
            )

    def totals(self) -> Totals:
        """Sum what the result events say of all sessions."""
        return sum_totals(self.finals.values())

    def close(self) -> Transcript:
        """Write the collected texts into the message events."""
        for spoken in self._spoken.values() if self.transcript.keep_events else ():
            if spoken.event is not None:
                self.transcript.says(spoken.event, spoken.texts, spoken.thoughts)
        self._link_subagents()
        return self.transcript

    def _assistant(self, line: Turn, message: Message, main: bool) -> None:
        faults, number = self._at
        key = message.id or f"{faults.path}:{number}"
        synthetic = message.model == SYNTHETIC
        if not synthetic:
            self._count(key, message, main)
        if main:
            self.answered = not synthetic
            flagged = synthetic or line.error or line.isApiErrorMessage
            self.last_error = error_of(line, message, faults.path, number) if flagged else None
        spoken = self._spoken.get(key)
        if spoken is None:
            # Who spoke matters to the events, and below a call.
            told = self.transcript.keep_events or line.parent_tool_use_id or line.agentId
            spoken = self._begin_message(line, message, synthetic) if told else _UNTOLD
            self._spoken[key] = spoken
        elif spoken.event is not None and message.usage and not synthetic:
            spoken.event.usage = self.usage[key][1]
        for block in blocks_of(message):
            if block.name and block.type in _CALLING:
                count = self._called[key] = self._called.get(key, 0) + 1
                self._call(line, block, block.id or f"{key}/{count}", block.name, spoken.event)
            elif spoken is _UNTOLD:
                continue
            elif block.text and block.type == "text":
                spoken.texts.append(block.text)
            elif block.thinking and block.type == "thinking":
                spoken.thoughts.append(block.thinking)

    def _count(self, key: str, message: Message, main: bool) -> None:
        self.settled = False
        if message.id is None:
            self.unnamed.add(key)
        if main:
            self.main_messages.add(key)
            self.transcript.model = self.transcript.model or message.model
        usage = message.usage
        if usage is None:
            return
        # Lines of one message repeat its usage; early ones hold a partial output count.
        known = self.usage.get(key)
        if known is None or (usage.output_tokens or 0) >= (known[1].output_tokens or 0):
            self.usage[key] = (message.model or "unknown", usage)

    def _begin_message(self, line: Turn, message: Message, synthetic: bool) -> _Spoken:
        transcript = self.transcript
        model = None if synthetic else message.model
        parent = self._parent(line) if line.parent_tool_use_id else None
        event = transcript.spoke(model, parent, to_utc(line.timestamp))
        if not synthetic:
            event.usage = message.usage
        if line.error or line.isApiErrorMessage:
            transcript.finish(event, error=error_word(line))
        if line.agentId:
            event.data = {"subagent": line.agentId}
            transcript.finish(event, data=event.data)
        return _Spoken(event)

    def _call(
        self, line: Turn, block: Block, call_id: str, name: str, message: Event | None
    ) -> None:
        transcript = self.transcript
        if call_id in transcript.calls:
            return
        kind = kind_of(name)
        if kind == "edit":
            self._asked[call_id] = bytes(block.input)
        if not transcript.keep_events:
            needed = kind == "shell" and not self.bare
            given = self._value(block.input) if needed else None
            transcript.count_call(call_id, name, given)
            return
        transcript.call(
            call_id,
            name,
            parent_id=message.id if message else None,
            started_at=to_utc(line.timestamp),
            input=self._value(block.input),
        )

    def _user(self, line: Turn, message: Message, main: bool) -> None:
        texts = []
        for block in blocks_of(message):
            if block.tool_use_id and block.type == "tool_result":
                call = self.transcript.calls.get(block.tool_use_id)
                if call is not None:
                    self._tool_result(line, block, block.tool_use_id, call)
            elif block.text and block.type == "text":
                texts.append(block.text)
        if texts:
            self._asked_for(line, "\n".join(texts), main)

    def _asked_for(self, line: Turn, text: str, main: bool) -> None:
        unasked = line.isMeta or line.isSynthetic
        # What comes after the first answer was not asked by whoever started the run.
        if self.transcript.prompt is None and main and not unasked:
            self.transcript.prompt = None if self.main_messages else clean(text)
        if self.transcript.keep_events:
            self.transcript.add(
                "message",
                role="system" if unasked else "user",
                started_at=to_utc(line.timestamp),
                text=text,
                parent_id=self._parent(line),
                data={"subagent": line.agentId} if line.agentId else None,
            )

    def _tool_result(self, line: Turn, block: Block, call_id: str, call: Call) -> None:
        failed, event = block.is_error is True, call.event
        if event is None:
            call.failed = failed
        else:
            self._note_subagent(line, event)
            if self.transcript.keep_events:
                output = content_text(self._value(block.content))
                self.transcript.answered(call, failed, output)
                event.duration_ms = elapsed_ms(event.started_at, to_utc(line.timestamp))
            else:
                call.failed = failed
        if failed:
            if _DENIED.search(memoryview(block.content)[:_HEAD]):
                self.denied[call_id] = call.name
        elif call.kind == "edit":
            if self.bare:
                self.put_off.setdefault(call_id, line)
            else:
                self.take_edit(call_id, line)

    def take_edit(self, call_id: str, line: Turn) -> None:
        """Record what an edit did: as its result says, else as it was asked for."""
        asked = self._asked.pop(call_id, None)
        if asked is None:
            return
        result = line.toolUseResult if tells(line.toolUseResult) else line.tool_use_result
        edit = self._edit_in(result) if tells(result) else None
        if edit is None:
            self.bare_edits += 1
        for one in [edit] if edit else self._edits_asked(call_id, asked):
            self.transcript.edited(call_id, one)

    def _edits_asked(self, call_id: str, asked: bytes) -> list[Edit]:
        return edits_of_call(self.transcript.calls[call_id].name, self._value(asked))

    def _edit_in(self, result: Raw) -> Edit | None:
        try:
            if is_utf8(memoryview(result)):
                return decode_edit(result)
        except REFUSED:
            pass
        return to_edit(self._value(result))

    def _value(self, raw: Raw | bytes) -> Any:
        """Decode what was kept raw; it may hold what only the patient parser reads."""
        try:
            return _ANY.decode(raw)
        except REFUSED:
            return self._value_patiently(raw)

    def _value_patiently(self, raw: Raw | bytes) -> Any:
        faults, number = self._at
        try:
            value, mended = decode(memoryview(raw), _ANY)
        except Malformed as fault:
            faults.malformed(number, fault)
            return None
        if mended:
            faults.add("mended_lines", number, mended)
        return value

    def _note_subagent(self, line: Turn, event: Event) -> None:
        if line.toolUseResult is ABSENT:
            return
        raw = bytes(line.toolUseResult)
        if b'"agentId"' not in raw or not raw.startswith(b"{"):
            return
        try:
            agent = decode(raw, _LINK)[0].agentId
        except Malformed:
            return
        if agent:
            self._subagents[agent] = event.id

    def _system(self, line: Line, path: str) -> None:
        if line.subtype == "init":
            if isinstance(line.tools, list):
                self.transcript.available = sorted(clean(str(name)) for name in line.tools)
            for server in line.mcp_servers if isinstance(line.mcp_servers, list) else []:
                if isinstance(server, dict) and isinstance(server.get("name"), str):
                    status = server.get("status")
                    self.transcript.saw_server(
                        clean(server["name"]),
                        clean(status) if isinstance(status, str) else None,
                        f"{path}: init",
                    )
        elif line.subtype:
            self.transcript.add("system", name=line.subtype, started_at=to_utc(line.timestamp))

    def _parent(self, line: Turn) -> str | None:
        if not line.parent_tool_use_id:
            return None
        call = self.transcript.calls.get(line.parent_tool_use_id)
        return call.event.id if call and call.event else None

    def _link_subagents(self) -> None:
        """Hang a subagent's messages below the call that started it, if that came before."""
        if not self._subagents:
            return
        before: set[str] = set()
        for event in self.transcript.outline:
            agent = (event.data or {}).get("subagent")
            call = self._subagents.get(agent) if isinstance(agent, str) else None
            if event.parent_id is None and call in before:
                event.parent_id = call
            before.add(event.id)
