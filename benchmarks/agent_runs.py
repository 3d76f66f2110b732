"""Runs of a coding agent, made up from a seed, and the three records that Harbor keeps of each.

A `Run` is a list of turns with tool calls, their results and the tokens spent. `to_stream`,
`to_session` and `to_trajectory` write it as Claude Code's stream, as its session transcript and
as the ATIF trajectory that Harbor's converter makes of the session: same calls, same tokens.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from written_text import Texts

Json = dict[str, Any]

MODEL = "claude-sonnet-4-5"
CLI_VERSION = "2.1.0"
PRICES = (3.0, 3.75, 0.3, 15.0)
"""US dollars for a million tokens of input, cache creation, cache reads and output."""

_KINDS = ("Bash", "Read", "Grep", "Glob", "Edit", "Write")
_WEIGHTS = (35, 25, 12, 5, 18, 3)
_MCP = ("mcp__codesearch__find", "mcp__codesearch__read_file")
_LARGEST_OUTPUT = 30_000
"""Claude Code cuts the output of a command there."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call with its answer: as the model sees it, and as Claude Code keeps it."""

    id: str
    name: str
    given: Json
    content: Any
    structured: Any

    @property
    def result(self) -> Json:
        """Give the block that answers the call."""
        return {"tool_use_id": self.id, "type": "tool_result", "content": self.content}


@dataclass(frozen=True, slots=True)
class Turn:
    """One response of the model; `tokens` in the order of PRICES."""

    id: str
    text: str
    calls: list[Call]
    tokens: tuple[int, int, int, int]


@dataclass(slots=True)
class Run:
    """What the agent did, and the files it left: path, before, after."""

    session: str
    instruction: str
    started: datetime
    servers: tuple[str, ...]
    turns: list[Turn] = field(default_factory=list)
    before: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def tokens(self) -> tuple[int, ...]:
        """Sum the tokens of all turns."""
        return tuple(map(sum, zip(*(turn.tokens for turn in self.turns), strict=True)))


def cost_of(tokens: tuple[int, ...]) -> float:
    """Price tokens in US dollars."""
    return sum(n * price for n, price in zip(tokens, PRICES, strict=True)) / 1e6


def made_up_id(rng: Random) -> str:
    """Draw a random uuid."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def make_run(
    rng: Random,
    texts: Texts,
    started: datetime,
    *,
    turns: float,
    answer: float,
    servers: tuple[str, ...],
) -> Run:
    """Make up a run of about `turns` turns whose answers have about `answer` characters."""
    run = Run(made_up_id(rng), texts.prose(rng, 1200), started, servers)
    for number in range(rng.randint(3, 9)):
        path = f"/app/src/{texts.word(rng)}_{number}.py"
        run.files[path] = texts.code(rng, _skewed(rng, answer, 0.5))
    run.before = dict(run.files)
    seen = 12_000
    for number in range(max(2, round(_skewed(rng, turns, 0.65)))):
        calls = [_call(rng, texts, run, answer) for _ in range(2 if rng.random() < 0.15 else 1)]
        text = texts.prose(rng, _skewed(rng, 220, 0.8)) if rng.random() < 0.5 else ""
        fresh = sum(len(str(call.content)) for call in calls) // 4 + len(text) // 4
        tokens = (rng.randint(3, 20), fresh + 20, seen if number else 0, rng.randint(60, 700))
        run.turns.append(Turn(f"msg_{rng.getrandbits(96):024x}", text, calls, tokens))
        seen += fresh
    last = (5, 300, seen, rng.randint(100, 500))
    text = texts.prose(rng, _skewed(rng, 600, 0.5))
    run.turns.append(Turn(f"msg_{rng.getrandbits(96):024x}", text, [], last))
    return run


def _skewed(rng: Random, mean: float, sigma: float) -> int:
    """Draw from a log-normal distribution with that mean."""
    return int(mean * rng.lognormvariate(-sigma * sigma / 2, sigma))


def _call(rng: Random, texts: Texts, run: Run, answer: float) -> Call:
    own = f"toolu_{rng.getrandbits(96):024x}"
    if run.servers and rng.random() < 0.12:
        found = [{"type": "text", "text": texts.code(rng, _skewed(rng, 1.5 * answer, 1.0))}]
        return Call(own, rng.choice(_MCP), {"query": texts.word(rng)}, found, found)
    kind = rng.choices(_KINDS, _WEIGHTS)[0]
    made = {"Bash": _bash, "Read": _read, "Grep": _grep, "Glob": _glob, "Edit": _edit}
    return Call(own, kind, *made.get(kind, _write)(rng, texts, run, answer))


def _bash(rng: Random, texts: Texts, run: Run, answer: float) -> tuple[Json, Any, Any]:
    command = rng.choice(("python -m pytest -q", "ls -la src", "git status", "git diff --stat"))
    output = texts.output(rng, min(_skewed(rng, answer, 1.3), _LARGEST_OUTPUT))
    kept: Json = {"stdout": output, "stderr": "", "interrupted": False, "isImage": False}
    return {"command": command, "description": texts.prose(rng, 40)}, output, kept


def _read(rng: Random, texts: Texts, run: Run, answer: float) -> tuple[Json, Any, Any]:
    path = rng.choice(list(run.files))
    lines = run.files[path].splitlines()
    shown = "\n".join(f"{number:6}→{line}" for number, line in enumerate(lines, 1))
    file: Json = {"filePath": path, "content": run.files[path], "numLines": len(lines)}
    file |= {"startLine": 1, "totalLines": len(lines)}
    return {"file_path": path}, shown, {"type": "text", "file": file}


def _grep(rng: Random, texts: Texts, run: Run, answer: float) -> tuple[Json, Any, Any]:
    found = texts.output(rng, _skewed(rng, answer / 2, 1.0))
    kept: Json = {"mode": "content", "numFiles": 0, "filenames": [], "content": found}
    kept["numLines"] = found.count("\n")
    return {"pattern": texts.word(rng), "output_mode": "content"}, found, kept


def _glob(rng: Random, texts: Texts, run: Run, answer: float) -> tuple[Json, Any, Any]:
    names = list(run.files)
    kept: Json = {"filenames": names, "durationMs": 12, "numFiles": len(names), "truncated": False}
    return {"pattern": "src/**/*.py"}, "\n".join(names), kept


def _edit(rng: Random, texts: Texts, run: Run, answer: float) -> tuple[Json, Any, Any]:
    path = rng.choice(list(run.files))
    lines = run.files[path].split("\n")
    at = rng.randrange(len(lines) - 1)
    first, last = max(at - 3, 0), min(at + 4, len(lines) - 1)
    old, new = lines[at], f"    value_{rng.getrandbits(48):012x} = {texts.word(rng)}"
    after = [*lines[:at], new, *lines[at + 1 :]]
    around = [f" {line}" for line in lines[first:at]], [f" {line}" for line in lines[at + 1 : last]]
    hunk: Json = {"oldStart": first + 1, "oldLines": last - first, "newStart": first + 1}
    hunk |= {"newLines": last - first, "lines": [*around[0], f"-{old}", f"+{new}", *around[1]]}
    given: Json = {"file_path": path, "old_string": "\n".join(lines[first:last])}
    given["new_string"] = "\n".join(after[first:last])
    kept: Json = {"filePath": path, "oldString": given["old_string"]}
    kept |= {"newString": given["new_string"], "originalFile": run.files[path]}
    kept["structuredPatch"] = [hunk]
    kept |= {"userModified": False, "replaceAll": False}
    run.files[path] = "\n".join(after)
    return given, f"The file {path} has been updated.", kept


def _write(rng: Random, texts: Texts, run: Run, answer: float) -> tuple[Json, Any, Any]:
    path = f"/app/tests/test_{rng.getrandbits(48):012x}.py"
    run.files[path] = content = texts.code(rng, _skewed(rng, answer, 0.6))
    kept: Json = {"type": "create", "filePath": path, "content": content, "structuredPatch": []}
    given: Json = {"file_path": path, "content": content}
    return given, f"File created successfully at: {path}", kept


def _usage(tokens: tuple[int, ...]) -> Json:
    kinds = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    usage: Json = dict(zip((*kinds, "output_tokens"), tokens, strict=True))
    return usage | {"service_tier": "standard"}


def _blocks(turn: Turn) -> list[Json]:
    said = [{"type": "text", "text": turn.text}] if turn.text else []
    return said + [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.given}
        for call in turn.calls
    ]


def _messages(turn: Turn) -> Iterator[Json]:
    """Give a message for each block: the id and the usage repeat, early output is stale."""
    blocks = _blocks(turn)
    head: Json = {"model": MODEL, "id": turn.id, "type": "message", "role": "assistant"}
    for number, block in enumerate(blocks, 1):
        usage = _usage(turn.tokens)
        if number < len(blocks):
            usage["output_tokens"] = number
        message: Json = {**head, "content": [block], "stop_reason": None, "stop_sequence": None}
        yield message | {"usage": usage}


def to_stream(run: Run, *, ended: bool = True) -> list[bytes]:
    """Write the run as the lines of claude-code.txt; `ended` adds the result."""
    servers = [{"name": name, "status": "connected"} for name in run.servers]
    tools = [*_KINDS, "Task", "TodoWrite", *(_MCP if run.servers else ())]
    init: Json = {"type": "system", "subtype": "init", "cwd": "/app", "session_id": run.session}
    init |= {"tools": tools, "mcp_servers": servers, "model": MODEL}
    init |= {"permissionMode": "bypassPermissions", "slash_commands": ["compact", "cost"]}
    init |= {"apiKeySource": "ANTHROPIC_API_KEY", "claude_code_version": CLI_VERSION}
    rng, events = Random(run.session), [init]
    for turn in run.turns:
        events += [{"type": "assistant", "message": message} for message in _messages(turn)]
        for call in turn.calls:
            message: Json = {"role": "user", "content": [call.result]}
            events.append({"type": "user", "message": message, "tool_use_result": call.structured})
    for event in events[1:]:
        event |= {"parent_tool_use_id": None, "session_id": run.session, "uuid": made_up_id(rng)}
    return [msgspec.json.encode(event) for event in [*events, *([_ending(run)] if ended else [])]]


def _ending(run: Run) -> Json:
    tokens, cost = run.tokens, cost_of(run.tokens)
    event: Json = {"type": "result", "subtype": "success", "is_error": False}
    event |= {"duration_ms": 4000 * len(run.turns), "duration_api_ms": 3900 * len(run.turns)}
    event |= {"num_turns": len(run.turns), "result": run.turns[-1].text}
    event |= {"session_id": run.session, "total_cost_usd": cost, "usage": _usage(tokens)}
    names = ("inputTokens", "cacheCreationInputTokens", "cacheReadInputTokens", "outputTokens")
    spent: Json = dict(zip(names, tokens, strict=True))
    event["modelUsage"] = {MODEL: spent | {"webSearchRequests": 0, "costUSD": cost}}
    return event | {"permission_denials": []}


def to_session(run: Run) -> list[bytes]:
    """Write the run as the lines of the session transcript, each linked to the one before."""
    events: list[Json] = [{"type": "user", "message": {"role": "user", "content": run.instruction}}]
    for turn in run.turns:
        for message in _messages(turn):
            events.append({"type": "assistant", "message": message, "requestId": "req" + turn.id})
        for call in turn.calls:
            answer: Json = {"role": "user", "content": [call.result]}
            events.append({"type": "user", "message": answer, "toolUseResult": call.structured})
    rng, parent, lines = Random(run.session + "/session"), None, []
    for number, event in enumerate(events):
        head: Json = {"parentUuid": parent, "isSidechain": False, "userType": "external"}
        head |= {"cwd": "/app", "sessionId": run.session, "version": CLI_VERSION}
        parent = made_up_id(rng)
        when = millis(run.started + timedelta(seconds=2 * number))
        own: Json = {"uuid": parent, "timestamp": when}
        lines.append(msgspec.json.encode({**head, "gitBranch": "main", **event, **own}))
    return lines


def millis(when: datetime) -> str:
    """Write a time as agents do: UTC with milliseconds."""
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"


def to_trajectory(run: Run) -> bytes:
    """Write the run as trajectory.json, the way Harbor converts the session."""
    steps: list[Json] = [
        {"source": "user", "message": run.instruction, "extra": {"is_sidechain": False}}
    ]
    steps += [_step(turn) for turn in run.turns]
    for number, step in enumerate(steps):
        when = millis(run.started + timedelta(seconds=4 * number))
        steps[number] = {"step_id": number + 1, "timestamp": when, **step}
    about: Json = {"name": "claude-code", "version": CLI_VERSION, "model_name": MODEL}
    about |= {"extra": {"cwds": ["/app"], "git_branches": ["main"]}}
    fresh, made, read, output = run.tokens
    final: Json = {"total_prompt_tokens": fresh + made + read, "total_completion_tokens": output}
    final |= {"total_cached_tokens": read, "total_cost_usd": cost_of(run.tokens)}
    kinds: Json = {"total_cache_creation_input_tokens": made, "total_cache_read_input_tokens": read}
    final |= {"total_steps": len(steps), "extra": {"service_tiers": ["standard"], **kinds}}
    whole: Json = {"schema_version": "ATIF-v1.7", "session_id": run.session, "agent": about}
    return indented(whole | {"steps": steps, "final_metrics": final}, 2)


def _step(turn: Turn) -> Json:
    step: Json = {"source": "agent", "model_name": MODEL, "message": turn.text}
    if turn.calls:
        step["tool_calls"] = [_called(call) for call in turn.calls]
        step["observation"] = {"results": [_answered(call) for call in turn.calls]}
    fresh, made, read, output = turn.tokens
    extra: Json = {"cache_creation_input_tokens": made, "cache_read_input_tokens": read}
    extra |= {"service_tier": "standard", "cost_source": "litellm_estimate"}
    step["metrics"] = {
        "prompt_tokens": fresh + made + read,
        "completion_tokens": output,
        "cached_tokens": read,
        "cost_usd": cost_of(turn.tokens),
        "extra": extra,
    }
    return step | {"llm_call_count": 1, "extra": {"is_sidechain": False, "cwd": "/app"}}


def _called(call: Call) -> Json:
    own: Json = {"tool_call_id": call.id, "function_name": call.name, "arguments": call.given}
    return own | {"extra": {"raw_arguments": call.given, "tool_use_name": call.name}}


def _answered(call: Call) -> Json:
    plain = call.content
    if not isinstance(plain, str):
        plain = "\n".join(part["text"] for part in plain)
    said = f"{plain.strip()}\n\n[metadata] {json.dumps(call.structured, ensure_ascii=False)}"
    both: Json = {"tool_use_result": call.structured, "raw_tool_result": call.result}
    extra: Json = {"tool_result_metadata": both}
    return {"source_call_id": call.id, "content": said, "extra": extra}


def indented(document: Any, width: int) -> bytes:
    """Write JSON over several lines."""
    return msgspec.json.format(msgspec.json.encode(document), indent=width)
