"""ATIF: `trajectory.json`, the format that harnesses convert other agent logs into.

A run may be spread over continuation files and subagent trajectories; they are followed
inside the folder, each file once. Rules: Harbor format reference, sections 3.2 and 3.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from msgspec import Raw

from evaltrace.agentlogs.atif.steps import (
    DOCUMENT,
    ROOT,
    STEP,
    SYNTHETIC,
    WHOLE,
    Extra,
    Frame,
    Result,
    Root,
    Spent,
    Step,
    Whole,
    is_estimate,
    mcp_tools,
    outcome_of,
    own_text,
    speaks_to_mcp,
    structured_result,
    tokens_of,
    usage_of,
)
from evaltrace.agentlogs.atif.usage import set_cost, set_usage
from evaltrace.agentlogs.claude_edits import to_edit
from evaltrace.agentlogs.contents import http_status, prompt_among, text_of
from evaltrace.agentlogs.edit_calls import edits_of_call
from evaltrace.agentlogs.transcript import Breakdown, Transcript
from evaltrace.jsontext import Malformed, decode
from evaltrace.source import Source, path_in
from evaltrace.times import to_utc
from evaltrace.trace import AgentResponse, Event
from evaltrace.untrusted import clean

TRAJECTORY = "trajectory.json"
_MAX_DEPTH = 8
_ONE_GO = 8 * 2**20
"""Bytes of a trajectory whose steps may all be in memory at once."""

# Words that Claude Code puts where an answer was neither asked for nor given.
_NO_RESPONSE = "No response requested."


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where steps belong: to the main run, or to a subagent below an event."""

    path: str
    subagent: str | None = None
    parent: str | None = None
    depth: int = 0


@dataclass
class _Reading:
    """A trajectory while its files are followed."""

    source: Source
    folder: str
    transcript: Transcript
    codex: bool = False
    files: set[str] = field(default_factory=set)
    spent: list[Spent] = field(default_factory=list)
    of_servers: set[str] = field(default_factory=set)
    asked: dict[str, Any] = field(default_factory=dict)
    asked_before: list[str] = field(default_factory=list)
    asked_later: list[str] = field(default_factory=list)
    turns: int = 0
    last_text: str | None = None
    broken: str | None = None

    def load(self, path: str) -> Root | Whole | None:
        """Read one file; None when it is no ATIF trajectory or was read before."""
        if path in self.files:
            return None
        self.files.add(path)
        data = self.source.read(path)
        if data is None:
            return None
        root = _whole(data) or self._patiently(path, data)
        if root is None or not str(root.schema_version).startswith("ATIF-"):
            return None
        return root

    def _patiently(self, path: str, data: bytes) -> Root | None:
        raw = self.source.to_value(path, data, DOCUMENT)
        if raw is None:
            return None
        try:
            root, mended = decode(memoryview(raw), ROOT)
        except Malformed:
            return None
        if mended and str(root.schema_version).startswith("ATIF-"):
            hint = "The rest was read; what is named was replaced or left out."
            self.source.report("mended_json", path, f"read in spite of: {mended}", hint)
        return root

    def follow(self, root: Root | Whole, scope: _Scope) -> tuple[Root | Whole, str]:
        """Take in a trajectory and its continuations; give the last of them, and its path."""
        self.take(root, scope)
        while root.continued_trajectory_ref:
            name = root.continued_trajectory_ref
            continuation = self._load_beside(name, scope.path)
            if continuation is None:
                break
            root, scope = continuation, replace(scope, path=path_in(self.folder, name))
            self.take(root, scope)
        return root, scope.path

    def take(self, root: Root | Whole, scope: _Scope) -> None:
        """Take in the steps of one trajectory, and its subagents."""
        if scope.depth > _MAX_DEPTH:
            message = f"subagents nested more than {_MAX_DEPTH} deep; the rest was not read"
            self.source.report("too_deep", scope.path, message, "Look at them by hand.")
            return
        embedded = self._embedded(root, scope.path)
        for step in self._steps(root, scope.path):
            if step.is_copied_context is not True:
                self._take_step(step, scope, embedded)
        for name, child in embedded.items():
            self.take(child, _Scope(scope.path, name, scope.parent, scope.depth + 1))

    def _steps(self, root: Root | Whole, path: str) -> Iterator[Step]:
        if isinstance(root, Whole):
            yield from root.steps or []
            return
        faults: dict[str, list[str]] = {}
        rows = root.steps or []
        for number, raw in enumerate(rows, 1):
            try:
                step, mended = decode(memoryview(raw), STEP)
            except Malformed as fault:
                faults.setdefault(f"{fault.code}_steps", []).append(f"number {number}: {fault}")
                continue
            if mended:
                faults.setdefault("mended_steps", []).append(f"number {number}: {mended}")
            yield step
        for code, found in sorted(faults.items()):
            message = f"{len(found)} of {len(rows)} steps (first: {found[0]})"
            self.source.report(code, path, message, "Other steps were read.")

    def _embedded(self, root: Root | Whole, path: str) -> dict[str, Root | Whole]:
        found: dict[str, Root | Whole] = {}
        for number, raw in enumerate(root.subagent_trajectories or [], 1):
            try:
                child = _whole(raw) or decode(memoryview(raw), ROOT)[0]
            except Malformed as fault:
                message = f"embedded subagent trajectory {number}: {fault}"
                hint = "The other trajectories in the file were read."
                self.source.report("malformed_subagent", path, message, hint)
                continue
            name = child.trajectory_id or child.session_id or f"subagent-{number}"
            found[f"{name}#{number}" if name in found else name] = child
        return found

    def _take_step(self, step: Step, scope: _Scope, embedded: dict[str, Root | Whole]) -> None:
        extra = step.extra or Extra()
        own = scope.subagent is None and extra.is_sidechain is not True
        if own and extra.cwd and self.transcript.cwd is None:
            self.transcript.cwd = clean(extra.cwd)
        text = own_text(step)
        if own and step.source == "user" and text:
            (self.asked_later if self.turns else self.asked_before).append(text)
        if step.source == "agent":
            self._note_turn(step, text if own else None, own, scope)
        subagent = scope.subagent or (None if own else extra.agent_id)
        event = self._add(step, text, subagent, scope)
        calls = self._take_calls(step, event, scope)
        for result in (step.observation and step.observation.results) or []:
            target = self._take_result(step, result, calls, event)
            self._descend(result.subagent_trajectory_ref, target, scope, embedded)

    def _add(self, step: Step, text: str | None, subagent: str | None, scope: _Scope) -> Event:
        role = "assistant" if step.source == "agent" else step.source
        data = {"subagent": subagent} if subagent else None
        if not self.transcript.keep_events:
            return self.transcript.add("message", role=role, parent_id=scope.parent, data=data)
        return self.transcript.add(
            "message",
            role=role,
            started_at=to_utc(step.timestamp),
            text=text,
            reasoning=text_of(step.reasoning_content) or None,
            model=None if step.model_name == SYNTHETIC else step.model_name,
            usage=usage_of(step),
            cost_usd=(step.metrics and step.metrics.cost_usd) or None,
            parent_id=scope.parent,
            data=data,
        )

    def _note_turn(self, step: Step, text: str | None, own: bool, scope: _Scope) -> None:
        synthetic = step.model_name == SYNTHETIC
        self.last_text = text or self.last_text
        if own:
            self.broken = text if synthetic and text != _NO_RESPONSE else None
        if synthetic:
            return
        self.turns += own
        if step.metrics is None:
            return
        self.spent.append(
            Spent(
                model=step.model_name,
                tokens=tokens_of(step.metrics),
                cost=step.metrics.cost_usd,
                estimated=is_estimate(step.metrics.extra),
                main=scope.subagent is None,
            )
        )

    def _take_calls(self, step: Step, event: Event, scope: _Scope) -> dict[str, str]:
        """Record the tool calls of a step; give the recorded id of each call id."""
        recorded: dict[str, str] = {}
        for tool in step.tool_calls or []:
            number = len(self.transcript.calls) + 1
            name = tool.tool_call_id or f"call-{number}"
            # Ids are unique within a step only; subagents count from the start again.
            key = f"{scope.subagent}/{name}" if scope.subagent else name
            if key in self.transcript.calls:
                key = f"{key}#{number}"
            call = self.transcript.call(
                key,
                tool.function_name or "unknown",
                parent_id=event.id,
                started_at=to_utc(step.timestamp),
                input=tool.arguments,
            )
            if call.event is not None and (call.name in self.of_servers or speaks_to_mcp(step)):
                call.kind, call.command = "mcp", None
                self.transcript.finish(call.event, data={"call_id": key, "kind": "mcp"})
            if call.kind in ("edit", "shell"):
                self.asked[key] = tool.arguments
            recorded[name] = key
        return recorded

    def _take_result(
        self, step: Step, result: Result, calls: dict[str, str], event: Event
    ) -> Event:
        """Record a result; give the event that subagents of it hang below."""
        alone = len(calls) == 1
        named = result.source_call_id
        if named is None and alone:
            named = next(iter(calls))
        output, failed = outcome_of(result, step, alone=alone, codex=self.codex)
        key = calls.get(named or "", named or "")
        call = self.transcript.calls.get(key)
        if call is not None and call.event is not None:
            self.transcript.returned(key, failed=failed, output=output)
            if key in self.asked and not failed:
                told = structured_result(result, step, alone=alone)
                edit = to_edit(told) if told is not None else None
                asked = self.asked.pop(key)
                for one in [edit] if edit else edits_of_call(call.name, asked):
                    self.transcript.edited(key, one)
            return call.event
        # One result for all calls of a step (a terminal's screen) belongs to the step.
        for other in calls.values() if named is None else ():
            self.transcript.returned(other, failed=failed, output=None)
        texts = [text for text in (event.output, output) if text]
        self.transcript.finish(event, output="\n".join(texts) or None)
        return event

    def _descend(
        self, references: Any, event: Event, scope: _Scope, embedded: dict[str, Root | Whole]
    ) -> None:
        """Take in the subagents that a result refers to."""
        for row in references if isinstance(references, list) else [references]:
            if not isinstance(row, dict):
                continue
            named = [row.get(key) for key in ("trajectory_id", "session_id", "trajectory_path")]
            known = [name for name in named if isinstance(name, str)]
            match = next((name for name in known if name in embedded), None)
            below = replace(scope, parent=event.id, depth=scope.depth + 1)
            if match is not None:
                self.take(embedded.pop(match), replace(below, subagent=match))
            elif isinstance(row.get("trajectory_path"), str) and scope.depth <= _MAX_DEPTH:
                child = self._load_beside(row["trajectory_path"], scope.path)
                path = path_in(self.folder, row["trajectory_path"])
                if child is not None:
                    self.follow(child, replace(below, path=path, subagent=known[0]))

    def _load_beside(self, name: str, referrer: str) -> Root | Whole | None:
        path = path_in(self.folder, name)
        if path in self.files:
            return None
        if "/" in name or not self.source.has(path):
            message = f"refers to {name!r}, which is no file beside it"
            hint = "Its steps are not in the trace; copy the file into the folder."
            self.source.report("missing_trajectory", referrer, message, hint)
            return None
        return self.load(path)


def _whole(data: bytes | Raw) -> Whole | None:
    """Decode a trajectory in one go; None where a part of it is odd, or it is too large."""
    if len(memoryview(data)) > _ONE_GO:
        return None
    try:
        return WHOLE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read(
    source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read the trajectory in `folder`; None when there is none, or it is not ATIF."""
    path = path_in(folder, TRAJECTORY)
    if not source.exists(path):
        return None
    transcript = Transcript(prefix=prefix, keep_events=keep_events)
    reading = _Reading(source, folder, transcript)
    root = reading.load(path)
    if root is None:
        return None
    _set_agent(reading, root)
    last, last_path = reading.follow(root, _Scope(path))
    transcript.sources["events"] = f"{path}: steps, copied context left out"
    transcript.sources["tools"] = f"{path}: tool calls of steps, subagents included"
    set_usage(transcript, source, reading.spent, last, last_path)
    set_cost(transcript, reading.spent, root, last, last_path)
    _set_response(reading, root, path)
    return transcript


def _set_agent(reading: _Reading, root: Frame) -> None:
    if root.agent is None:
        return
    reading.codex = (root.agent.name or "").startswith("codex")
    reading.transcript.agent_version = root.agent.version
    reading.transcript.model = root.agent.model_name
    cwd = root.agent.extra.get("cwd") if isinstance(root.agent.extra, dict) else None
    if isinstance(cwd, str) and cwd:
        reading.transcript.cwd = clean(cwd)
    tools = root.agent.tool_definitions
    names = {_tool_name(tool) for tool in tools if tool} if isinstance(tools, list) else set()
    reading.transcript.available = sorted(name for name in names if name) or None
    reading.of_servers = mcp_tools(root.agent, reading.transcript.available or [])


def _tool_name(tool: Any) -> str | None:
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return clean(name) if isinstance(name, str) else None


def _set_response(reading: _Reading, root: Frame, path: str) -> None:
    transcript = reading.transcript
    asked = reading.asked_before + reading.asked_later
    if reading.codex:
        transcript.prompt = prompt_among(reading.asked_before)
    elif asked:
        transcript.prompt = clean(asked[0])
    transcript.turns = reading.turns or None
    text = reading.last_text
    if reading.broken:
        status = http_status(reading.broken)
        transcript.breakdown = Breakdown("api_error", reading.broken, status, path)
    transcript.response = AgentResponse(
        is_error=True if reading.broken else None,
        result=transcript.cut("agent_response.result", text) if text else None,
        usage=transcript.usage,
        model_usage=transcript.model_usage or None,
        num_turns=transcript.turns,
        total_cost_usd=transcript.spending.usd if transcript.spending else None,
        session_id=root.session_id,
    )
    transcript.sources["response"] = f"{path}: text of the last agent step"
