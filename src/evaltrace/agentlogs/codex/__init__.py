"""Codex: `codex exec --json` output (`codex.txt`) and the rollout files of its sessions.

The rollouts have times, models and subagents; `codex.txt` has the ending, and the server
of each MCP call. Either may be missing: a trajectory that the harness made of rollouts it
did not keep stands in for them. Rules: Harbor format reference, section 4.2.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from evaltrace.agentlogs import atif
from evaltrace.agentlogs.codex.lines import (
    EXEC,
    Counts,
    ExecLine,
    Fault,
    Item,
)
from evaltrace.agentlogs.codex.rollout import Rollouts
from evaltrace.agentlogs.configured import note_codex_servers
from evaltrace.agentlogs.contents import http_status, read_lines, text_of
from evaltrace.agentlogs.outputs import find_output
from evaltrace.agentlogs.plain_text import read_plain
from evaltrace.agentlogs.responses import to_response
from evaltrace.agentlogs.transcript import Breakdown, Call, Transcript, add_usage
from evaltrace.agentlogs.values import cleaned
from evaltrace.patches.edits import Edit
from evaltrace.source import Source, path_in
from evaltrace.trace import Usage

STREAM = "codex.txt"

_MARKS = re.compile(r"[^\w-]")
_STARTED = '"type":"thread.started"'
_CONFIGS = ("config.toml", "sessions/config.toml")


@dataclass
class _Exec:
    """What the lines of `codex.txt` add up to."""

    transcript: Transcript
    path: str
    lines: int = 0
    threads: list[str] = field(default_factory=list)
    counts: dict[str, list[Counts]] = field(default_factory=dict)
    completed: bool = False
    last_text: str | None = None
    _seen: set[str] = field(default_factory=set)

    def take(self, line: ExecLine, number: int) -> None:
        """Take in one line."""
        self.lines += 1
        if line.type == "thread.started":
            self.threads.append(line.thread_id or "")
        elif line.type == "turn.started":
            self.completed = False
        elif line.type == "turn.completed":
            self.completed, self.transcript.breakdown = True, None
            if line.usage and (line.usage.input_tokens or line.usage.output_tokens):
                thread = self.threads[-1] if self.threads else ""
                self.counts.setdefault(thread, []).append(line.usage)
        elif line.type in ("turn.failed", "error"):
            self._failure(line, number)
        elif line.item is not None and (line.type or "").startswith("item."):
            self._item(line.item, done=line.type == "item.completed", number=number)

    def _failure(self, line: ExecLine, number: int) -> None:
        error = line.error.message if isinstance(line.error, Fault) else line.error
        message = error or line.message
        kind = (line.type or "").replace(".", "_")
        self.transcript.add("error", name=line.type, error=message)
        status = http_status(message)
        self.transcript.breakdown = Breakdown(kind, message, status, self.path, number)
        self.completed = False

    def _item(self, item: Item, *, done: bool, number: int) -> None:
        # A second process numbers its items from the start again.
        name = item.id or f"line-{number}"
        key = name if len(self.threads) <= 1 else f"{len(self.threads)}:{name}"
        if item.type == "error":
            self.transcript.add("error", name=item.type, error=item.message or item.text)
            return
        last = self.transcript.breakdown
        if last is not None and last.kind == "error":
            # Codex reports each attempt to reconnect; what follows shows that it worked.
            self.transcript.breakdown = None
        if item.type in _INPUTS:
            self._call(item, key, done=done)
        elif done or item.text:
            self._spoken(item, key)

    def _spoken(self, item: Item, key: str) -> None:
        if key in self._seen:
            return
        self._seen.add(key)
        if item.type == "agent_message":
            self.transcript.add("message", role="assistant", text=item.text)
            self.last_text = item.text or self.last_text
        elif item.type == "reasoning":
            self.transcript.add("reasoning", reasoning=item.text)
        else:
            self.transcript.add(item.type or "unknown", text=item.text)

    def _call(self, item: Item, key: str, *, done: bool) -> None:
        name = item.tool or item.type or "unknown"
        server = cleaned(item.server)
        call = self.transcript.call(key, name, server)
        value = _INPUTS[item.type or ""](item)
        # Most items are told twice, when they begin and when they end.
        if value is not None and (call.command is None or call.command != item.command):
            self.transcript.given(call, value)
        if done:
            failed = (
                item.status in ("failed", "declined")
                or item.exit_code not in (None, 0)
                or bool(item.error)
            )
            self.transcript.returned(key, failed=failed, output=_output(item))
            for edit in _changed(item) if not failed else ():
                self.transcript.edited(key, edit)

    def usage(self) -> tuple[Usage | None, str]:
        """Sum the usage of all threads; newer versions count up within a thread."""
        total, rules = None, set()
        for rows in self.counts.values():
            known = list(accumulate(rows, lambda earlier, row: row.filled(earlier)))
            grows = all(later.covers(earlier) for earlier, later in pairwise(known))
            for row in known[-1:] if grows else rows:
                total = add_usage(total, row.usage())
            rules.add("last turn.completed" if grows else "sum of turn.completed")
        many = " of each thread" if len(self.counts) > 1 else ""
        return total, " or ".join(sorted(rules)) + many


_INPUTS: dict[str, Any] = {
    "command_execution": lambda item: {"command": item.command},
    "file_change": lambda item: item.changes,
    "mcp_tool_call": lambda item: item.arguments,
    "web_search": lambda item: {"query": item.query, "action": item.action},
    "todo_list": lambda item: item.items,
    "collab_tool_call": lambda item: {"prompt": item.prompt},
}
"""The item types that are tool calls, and what their input is."""


def _changed(item: Item) -> Iterator[Edit]:
    """Give the files of a `file_change`: this log has their paths only."""
    rows = item.changes if item.type == "file_change" and isinstance(item.changes, list) else []
    for row in rows:
        path = row.get("path") if isinstance(row, dict) else None
        if isinstance(path, str) and path:
            kind = row.get("kind")
            yield Edit(path, created=True if kind == "add" else None, deleted=kind == "delete")


def _output(item: Item) -> str | None:
    if item.error:
        message = item.error.get("message") if isinstance(item.error, dict) else item.error
        return text_of(message)
    if isinstance(item.result, dict) and "content" in item.result:
        return text_of(item.result["content"])
    return item.aggregated_output or text_of(item.result)


def read(
    source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read what codex left in `folder`; None when it left no log."""
    stream = find_output(source, folder, STREAM, _STARTED)
    paths = _rollout_paths(source, path_in(folder, "sessions"))
    if not source.exists(stream) and not paths:
        return None
    run = _Exec(Transcript(prefix=prefix, keep_events=keep_events), stream)
    for number, line in read_lines(source, stream, EXEC):
        run.take(line, number)
    rollouts = Rollouts(Transcript(prefix=prefix, keep_events=keep_events))
    rollouts.read(source, paths)
    fuller: Transcript | None = rollouts.transcript
    events = path_in(folder, "sessions")
    if not rollouts.lines:
        fuller, events = _of_trajectory(source, folder, run.transcript)
    transcript = fuller or run.transcript
    if fuller is None and not run.lines:
        read_plain(source, stream, transcript)
    else:
        _join(transcript, run, rollouts, events if fuller else stream)
    for name in _CONFIGS:
        note_codex_servers(source, path_in(folder, name), transcript)
    return transcript


def _join(transcript: Transcript, run: _Exec, rollouts: Rollouts, events: str) -> None:
    """Add to the fuller log what only `codex.txt` tells, the usage and the ending."""
    transcript.sources["events"] = events
    transcript.sources["tools"] = f"{events}: each call id once"
    if transcript is not run.transcript and run.lines:
        _add_servers(transcript, run.transcript)
        transcript.breakdown = run.transcript.breakdown
        transcript.sources["tools"] += f", and the server of MCP calls from {run.path}"
    _set_usage(transcript, run, rollouts, events)
    _set_response(transcript, run, rollouts, events)


def _of_trajectory(source: Source, folder: str, run: Transcript) -> tuple[Transcript | None, str]:
    """Read the trajectory that was made of the rollouts, unless it knows less than the run."""
    path = path_in(folder, "trajectory.json")
    trajectory = atif.read(source, folder, prefix=run.prefix, keep_events=run.keep_events)
    if trajectory is None or len(trajectory.calls) < len(run.calls):
        return None, path
    return trajectory, path


def _rollout_paths(source: Source, sessions: str) -> list[str]:
    names = [(path.rpartition("/")[2], path) for path in source.walk(sessions, depth=4)]
    return [path for name, path in sorted(names) if re.fullmatch(r"rollout-.*\.jsonl", name)]


def _add_servers(transcript: Transcript, run: Transcript) -> None:
    """Give MCP calls of the rollouts their server; add those that only `codex.txt` has."""
    free = _Unmatched(transcript)
    for call_id, seen in run.calls.items():
        if seen.server is None:
            continue
        call = free.pop(seen.server, seen.name)
        if call is None:
            event = seen.event
            fields = {"input": event.input} if event else {}
            call = transcript.call(f"{STREAM}:{call_id}", seen.name, seen.server, **fields)
            if seen.failed is not None:
                output = event.output if event else None
                transcript.returned(f"{STREAM}:{call_id}", failed=seen.failed, output=output)
            continue
        call.server, call.kind = seen.server, "mcp"
        call.failed = True if seen.failed else call.failed
        if call.event is not None and call.event.data is not None:
            call.event.data["kind"] = "mcp"
            call.event.status = "error" if call.failed else call.event.status


class _Unmatched:
    """Calls of the rollouts that are no call of `codex.txt` yet, in order by name and server."""

    def __init__(self, transcript: Transcript) -> None:
        self._queues: dict[tuple[str, str | None], deque[tuple[int, Call]]] = {}
        for place, call in enumerate(transcript.calls.values()):
            self._queues.setdefault((call.name, call.server), deque()).append((place, call))
        self._servers: dict[str, list[str | None]] = {}
        for name, server in self._queues:
            self._servers.setdefault(name, []).append(server)
        self._matching: dict[tuple[str, str], list[deque[tuple[int, Call]]]] = {}

    def pop(self, server: str, tool: str) -> Call | None:
        """Take out the first call that may be one of this tool."""
        if (server, tool) not in self._matching:
            self._matching[server, tool] = self._find(server, tool)
        queues = [queue for queue in self._matching[server, tool] if queue]
        first = min(queues, key=lambda queue: queue[0][0], default=None)
        return first.popleft()[1] if first else None

    def _find(self, server: str, tool: str) -> list[deque[tuple[int, Call]]]:
        plain_server, plain_tool = (_MARKS.sub("_", name) for name in (server, tool))
        start = f"{plain_server}__{plain_tool}"
        whole = dict.fromkeys((f"mcp__{start}", start))
        keys = [(name, place) for name in whole for place in self._servers.get(name, ())]
        for name in dict.fromkeys((tool, plain_tool)):
            keys += [(name, place) for place in dict.fromkeys((None, server, plain_server))]
        return [self._queues[key] for key in dict.fromkeys(keys) if key in self._queues]


def _set_usage(transcript: Transcript, run: _Exec, rollouts: Rollouts, events: str) -> None:
    if rollouts.transcript.usage is not None:
        rule = "last total_token_usage of each session"
        if any(session.restarted for session in rollouts.sessions.values()):
            rule += ", and the last before it began again"
        if any(session.copied for session in rollouts.sessions.values()):
            rule += ", without what was copied"
        transcript.sources["usage"] = f"{events}: {rule}"
        return
    usage, rule = run.usage()
    if usage is not None:
        transcript.usage = usage
        transcript.sources["usage"] = f"{run.path}: {rule}"


def _set_response(transcript: Transcript, run: _Exec, rollouts: Rollouts, events: str) -> None:
    failed = transcript.breakdown is not None
    completed = run.completed if run.lines else rollouts.completed
    known = failed or completed
    text = run.last_text or rollouts.last_text
    main = rollouts.main()
    thread = next((name for name in run.threads if name), None)
    transcript.response = to_response(
        transcript,
        text,
        failed if known else None,
        session_id=thread or (main.id if main else None),
    )
    # Codex names no cost: what a trajectory has is the estimate of a harness.
    transcript.response.total_cost_usd = None
    place = run.path if run.lines else events
    transcript.sources["response"] = f"{place}: last agent message, and how the turn ended"
