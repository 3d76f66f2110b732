"""Logs of agents for tests: one small scripted run, written in each agent's own format.

A `Run` says what the agent did; the functions write it as Claude Code, Codex, Gemini CLI
or ATIF would. Ids and times follow from the run's seed and start: the same run, the same
bytes. Usage of the default run: 15 input, 1100 cache creation, 2000 cache read, 58 output.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

Json = dict[str, Any]

START = datetime(2026, 1, 5, 10, 0, 0, 250_000, tzinfo=UTC)
MODEL = "claude-sonnet-4-5"
SMALL_MODEL = "claude-haiku-4-5"
CLI_VERSION = "2.1.0"
INSTRUCTION = "Add a --verbose flag to /app/main.py so that it prints DEBUG.\n"
BEFORE = 'print("hello")\n'
AFTER = 'print("hello")\nprint("DEBUG")\n'

_TOKENS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
_PRICES = {
    MODEL: (3.0, 3.75, 0.3, 15.0),
    SMALL_MODEL: (1.0, 1.25, 0.1, 5.0),
    "gpt-5.2-codex": (1.75, 1.75, 0.175, 14.0),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """What an agent did, whatever format it is logged in.

    `servers` are MCP servers with their status, `mcp_calls` are `("server/tool", failed)`,
    `failure` is the text of an API error that ended the run, and `ended=False` a run that
    was killed: its log stops without a result.
    """

    seed: str = "run"
    instruction: str = INSTRUCTION
    started: datetime = START
    model: str = MODEL
    servers: tuple[tuple[str, str], ...] = ()
    mcp_calls: tuple[tuple[str, bool], ...] = ()
    subagent: Literal["inline", "folder"] | None = None
    failure: str | None = None
    ended: bool = True

    @property
    def session(self) -> str:
        """Name the session, by a fixed uuid."""
        return fixed_id(self.seed, "session")


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One response of the model, and the results of its tool calls in order."""

    id: str
    model: str
    usage: Json
    blocks: list[Json]
    results: list[Json] = field(default_factory=list)
    inside: list[Turn] = field(default_factory=list)
    """Turns of the subagent that this turn's last call started."""


@cache
def fixed_id(*names: str) -> str:
    """Derive a uuid from names."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(names)))


def write_text(path: Path, text: str) -> None:
    """Write a file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_lines(path: Path, events: Iterable[Json]) -> None:
    """Write one JSON object per line."""
    write_text(path, "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events))


def turns_of(run: Run) -> list[Turn]:
    """Lay out the run: an edit, MCP calls, a subagent, a closing word."""
    turns = [
        _turn(run, 1, (10, 1000, 500, 50), _text("I'll add the flag."), _edit(run)),
        *(_mcp_turn(run, 2 + i, *call) for i, call in enumerate(run.mcp_calls)),
    ]
    if run.subagent:
        turns.append(_subagent_turn(run, len(turns) + 1))
    if run.ended and not run.failure:
        turns.append(_turn(run, len(turns) + 1, (5, 100, 1500, 8), _text("Done.")))
    return turns


def _turn(run: Run, number: int, tokens: tuple[int, ...], *parts: Json, **more: Any) -> Turn:
    blocks = [{k: v for k, v in part.items() if k != "result"} for part in parts]
    results = [part["result"] for part in parts if "result" in part]
    usage: Json = dict(zip((*_TOKENS, "output_tokens"), tokens, strict=True))
    usage["service_tier"] = "standard"
    more = {"model": run.model, **more}
    return Turn(id=f"msg_{number}", usage=usage, blocks=blocks, results=results, **more)


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _call(call_id: str, name: str, given: Json, content: Any, result: Any, **more: Any) -> Json:
    outcome = {"content": content, "structured": result, **more}
    return {"type": "tool_use", "id": call_id, "name": name, "input": given, "result": outcome}


def _edit(run: Run) -> Json:
    given = {"file_path": "/app/main.py", "old_string": BEFORE, "new_string": AFTER}
    hunk: Json = {"oldStart": 1, "oldLines": 1, "newStart": 1, "newLines": 2}
    hunk |= {"lines": [' print("hello")', '+print("DEBUG")']}
    structured: Json = {"filePath": "/app/main.py", "oldString": BEFORE, "newString": AFTER}
    structured |= {"originalFile": BEFORE, "structuredPatch": [hunk], "userModified": False}
    structured["replaceAll"] = False
    said = "The file /app/main.py has been updated."
    return _call("toolu_1", "Edit", given, said, structured)


def _mcp_turn(run: Run, number: int, tool: str, failed: bool) -> Turn:
    name = "mcp__" + tool.replace("/", "__")
    given = {"query": "verbose"}
    if failed:
        said = "MCP error -32001: Request timed out"
        call = _call(f"toolu_{number}", name, given, said, f"Error: {said}", is_error=True)
    else:
        found = [{"type": "text", "text": '{"matches": []}'}]
        call = _call(f"toolu_{number}", name, given, found, found)
    return _turn(run, number, (7, 200, 1500, 20), call)


def _subagent_turn(run: Run, number: int) -> Turn:
    read = _call("toolu_s1", "Read", {"file_path": "/app/main.py"}, BEFORE, None)
    inside = [
        _turn(run, 901, (300, 0, 0, 40), _text("Reading."), read, model=SMALL_MODEL),
        _turn(run, 902, (200, 0, 300, 25), _text("One print."), model=SMALL_MODEL),
    ]
    given = {"description": "Look", "prompt": "Read /app/main.py.", "subagent_type": "Explore"}
    said = [_text("One print.")]
    result = {"status": "completed", "agentId": "a1b2c3d4", "content": said}
    call = _call(f"toolu_{number}", "Task", given, said, result)
    return _turn(run, number, (6, 150, 1600, 30), call, inside=inside)


def spent(turns: list[Turn], *, inside: bool) -> Json:
    """Sum the usage of turns by model, with or without that of subagents."""
    by_model: Json = {}
    for turn in turns:
        parts = [(turn.model, turn.usage)]
        if inside:
            parts += [(sub.model, sub.usage) for sub in turn.inside]
        for model, usage in parts:
            sums = by_model.setdefault(model, dict.fromkeys((*_TOKENS, "output_tokens"), 0))
            for key in sums:
                sums[key] += usage[key]
    return by_model


def cost_of(by_model: Json) -> float | None:
    """Price usage at list prices in US dollars; None when a model has no price."""
    cost = 0.0
    for model, usage in by_model.items():
        if model not in _PRICES:
            return None
        rates = _PRICES[model]
        cost += sum(n * rate for n, rate in zip(usage.values(), rates, strict=True))
    return round(cost / 1e6, 8)


def write_claude(folder: Path, run: Run, *, sessions: bool = True) -> None:
    """Write claude-code.txt and, unless told otherwise, the session transcripts."""
    turns = turns_of(run)
    write_lines(folder / "claude-code.txt", _stream(run, turns))
    if not sessions:
        return
    project = folder / "sessions" / "projects" / "-app"
    write_lines(project / f"{run.session}.jsonl", _session(run, turns))
    hidden = project if run.subagent == "inline" else project / run.session / "subagents"
    for turn in turns:
        if turn.inside:
            agent = turn.results[-1]["structured"]["agentId"]
            prompt = turn.blocks[-1]["input"]["prompt"]
            inner = replace(run, started=run.started + timedelta(seconds=30))
            events = _session(inner, turn.inside, prompt=prompt, agent=agent)
            write_lines(hidden / f"agent-{agent}.jsonl", events)


def _stream(run: Run, turns: list[Turn]) -> list[Json]:
    events = [_init(run)]
    for turn in turns:
        events += _spoken(turn, None)
        for sub in turn.inside:
            events += _spoken(sub, turn.blocks[-1]["id"]) + _answered(sub, turn.blocks[-1]["id"])
        events += _answered(turn, None)
    if run.failure:
        events.append({"type": "assistant", "message": _failed(run), "error": "rate_limit"})
    if run.ended:
        events.append(_result(run, turns))
    return [event | {"session_id": run.session} for event in events]


def _init(run: Run) -> Json:
    tools = ["Task", "Bash", "Edit", "Read", "Write"]
    tools += sorted({"mcp__" + tool.replace("/", "__") for tool, _ in run.mcp_calls})
    servers = [{"name": name, "status": status} for name, status in run.servers]
    event: Json = {"type": "system", "subtype": "init", "cwd": "/app", "tools": tools}
    event |= {"mcp_servers": servers, "model": run.model, "permissionMode": "bypassPermissions"}
    return event | {"apiKeySource": "ANTHROPIC_API_KEY", "claude_code_version": CLI_VERSION}


def _messages(turn: Turn) -> list[Json]:
    """One message per content block: the id and the usage repeat, early output is stale."""
    messages = []
    for number, block in enumerate(turn.blocks, 1):
        usage = dict(turn.usage)
        if number < len(turn.blocks):
            usage["output_tokens"] = 1 + number
        message: Json = {"id": turn.id, "type": "message", "role": "assistant", "model": turn.model}
        messages.append(message | {"content": [block], "stop_reason": None, "usage": usage})
    return messages


def _spoken(turn: Turn, parent: str | None) -> list[Json]:
    return [
        {"type": "assistant", "message": message, "parent_tool_use_id": parent}
        for message in _messages(turn)
    ]


def _returned(turn: Turn) -> list[tuple[Json, Any]]:
    calls = [block for block in turn.blocks if block["type"] == "tool_use"]
    pairs = []
    for call, result in zip(calls, turn.results, strict=True):
        content = {"tool_use_id": call["id"], "type": "tool_result", "content": result["content"]}
        if result.get("is_error"):
            content["is_error"] = True
        pairs.append(({"role": "user", "content": [content]}, result["structured"]))
    return pairs


def _answered(turn: Turn, parent: str | None) -> list[Json]:
    events = []
    for message, structured in _returned(turn):
        event = {"type": "user", "message": message, "parent_tool_use_id": parent}
        events.append(event | ({"tool_use_result": structured} if structured else {}))
    return events


def _failed(run: Run) -> Json:
    usage = dict.fromkeys((*_TOKENS, "output_tokens"), 0)
    message: Json = {"id": fixed_id(run.seed, "error"), "type": "message", "role": "assistant"}
    message |= {"model": "<synthetic>", "content": [_text(run.failure or "")]}
    return message | {"stop_reason": "stop_sequence", "usage": usage}


def _result(run: Run, turns: list[Turn]) -> Json:
    usage = spent(turns, inside=False).get(run.model, {})
    everything = spent(turns, inside=True)
    models = {
        model: {
            "inputTokens": part["input_tokens"],
            "outputTokens": part["output_tokens"],
            "cacheReadInputTokens": part["cache_read_input_tokens"],
            "cacheCreationInputTokens": part["cache_creation_input_tokens"],
            "webSearchRequests": 0,
            "costUSD": cost_of({model: part}),
            "contextWindow": 200000,
        }
        for model, part in everything.items()
    }
    event: Json = {"type": "result", "subtype": "success", "is_error": bool(run.failure)}
    event |= {"duration_ms": 4200, "duration_api_ms": 3100, "num_turns": len(turns)}
    event |= {"result": run.failure or "Done.", "total_cost_usd": cost_of(everything)}
    event |= {"usage": usage, "modelUsage": models, "permission_denials": []}
    return event | ({"api_error_status": 429} if run.failure else {})


def _session(
    run: Run, turns: list[Turn], prompt: str | None = None, agent: str | None = None
) -> list[Json]:
    """List the transcript's events, half a second apart, each linked to the one before."""
    first = {"role": "user", "content": prompt or run.instruction}
    events: list[Json] = [{"type": "user", "message": first}]
    for turn in turns:
        request = "req_" + turn.id[4:]
        events += [
            {"type": "assistant", "message": message, "requestId": request}
            for message in _messages(turn)
        ]
        for message, structured in _returned(turn):
            extra = {"toolUseResult": structured} if structured else {}
            events.append({"type": "user", "message": message, **extra})
    if run.failure and not agent:
        events.append({"type": "assistant", "message": _failed(run), "isApiErrorMessage": True})
    return _linked(run, events, agent)


def _linked(run: Run, events: list[Json], agent: str | None) -> list[Json]:
    linked, parent = [], None
    for number, event in enumerate(events):
        own = fixed_id(run.seed, agent or "main", str(number))
        head: Json = {
            "parentUuid": parent,
            "isSidechain": agent is not None,
            "userType": "external",
        }
        head |= {"cwd": "/app", "sessionId": run.session, "version": CLI_VERSION}
        head |= {"gitBranch": "main"} | ({"agentId": agent} if agent else {})
        when = millis(run.started + timedelta(seconds=number / 2))
        linked.append({**head, **event, "uuid": own, "timestamp": when})
        parent = own
    return linked


def millis(when: datetime) -> str:
    """Write a time as agents do: UTC with milliseconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
