"""Claude Code: the stream-json output (`claude-code.txt`) and the session files.

The stream has the start, the ending, cost and MCP status; the sessions have times, the
prompt and whole subagents. Either may be missing or cut, so each fills the other's gaps.
Source of the rules: Harbor format reference, section 4.1.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

import msgspec

from evaltrace.agentlogs.claude_lines import DECODER, Line, Scan, model_totals
from evaltrace.agentlogs.transcript import (
    Breakdown,
    LineFaults,
    Spending,
    Transcript,
    add_usage,
    total_usage,
)
from evaltrace.jsontext import Malformed, decode
from evaltrace.source import Source
from evaltrace.trace import AgentResponse, ModelUsage, PermissionDenial, Usage
from evaltrace.untrusted import bounded, clean

STREAM = "claude-code.txt"
_CONFIGS = ("sessions/.claude.json", "sessions/.mcp.json", ".mcp.json")
_INPUT_LIMIT = 8192


class _Config(msgspec.Struct):
    mcpServers: dict[str, Any] | None = None


_CONFIG = msgspec.json.Decoder(_Config)


def read(
    source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read what Claude Code left in `folder`; None when it left no log."""
    stream_path = _join(folder, STREAM)
    sessions = _session_files(source, _join(folder, "sessions/projects"))
    if not source.has(stream_path) and not sessions:
        return None
    stream = Scan(Transcript(prefix=prefix, keep_events=keep_events))
    sound = _scan_stream(source, stream_path, stream)
    session = Scan(Transcript(prefix=prefix, keep_events=keep_events))
    if keep_events or not (sound and stream.result):
        _scan_sessions(source, sessions, session)
    transcript = _joined(stream, session, stream_path, _join(folder, "sessions/projects"))
    _read_configs(source, folder, transcript)
    return transcript


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _session_files(source: Source, projects: str) -> list[str]:
    return [path for path in source.walk(projects) if path.endswith(".jsonl")]


def _scan_stream(source: Source, path: str, scan: Scan) -> bool:
    """Scan the stream; False when a line of it could not be used."""
    faults = LineFaults(path)
    for number, line in _lines(source, path, faults):
        scan.take(line, path, number)
    scan.close()
    faults.report(source)
    return not set(faults.found) - {"mended_lines"}


def _scan_sessions(source: Source, paths: list[str], scan: Scan) -> None:
    """Scan all session files together, in order of time."""
    faults = [LineFaults(path) for path in paths]
    streams = [_timed(source, fault, rank) for rank, fault in enumerate(faults)]
    for _, rank, number, line in heapq.merge(*streams, key=lambda item: item[:3]):
        scan.take(line, paths[rank], number)
    scan.close()
    for fault in faults:
        fault.report(source)


def _timed(source: Source, faults: LineFaults, rank: int) -> Iterator[tuple[str, int, int, Line]]:
    # A line without a time, or with one that goes back, stays where it stands.
    latest = ""
    for number, line in _lines(source, faults.path, faults):
        latest = max(latest, line.timestamp or "")
        yield latest, rank, number, line


def _lines(source: Source, path: str, faults: LineFaults) -> Iterator[tuple[int, Line]]:
    for number, data in source.lines(path):
        faults.lines += 1
        try:
            line, mended = decode(data, DECODER)
        except Malformed as fault:
            faults.malformed(number, fault)
            continue
        if mended:
            faults.add("mended_lines", number, mended)
        yield number, line


def _joined(stream: Scan, session: Scan, stream_path: str, projects: str) -> Transcript:
    """Make one transcript of both logs; the one that knows more calls gives the events."""
    fuller = session.lines and len(session.transcript.calls) >= len(stream.transcript.calls)
    main, other = (session, stream) if fuller else (stream, session)
    transcript = main.transcript
    transcript.sources["events"] = projects if fuller else stream_path
    transcript.sources["tools"] = "each tool use id once, in " + " and ".join(
        path for path, scan in ((stream_path, stream), (projects, session)) if scan.lines
    )
    _fill(transcript, other.transcript)
    _set_usage(transcript, stream, session, stream_path, projects)
    _set_response(transcript, stream, session, stream_path)
    return transcript


def _fill(transcript: Transcript, other: Transcript) -> None:
    for call_id, call in other.calls.items():
        known = transcript.calls.setdefault(call_id, call)
        known.failed = call.failed if known.failed is None else known.failed
    for server in other.mcp_servers.values():
        for place in server.configured_in:
            transcript.saw_server(server.name, server.status, place)
    transcript.prompt = transcript.prompt or other.prompt
    transcript.agent_version = transcript.agent_version or other.agent_version
    transcript.model = transcript.model or other.model
    transcript.available = transcript.available or other.available


def _set_usage(
    transcript: Transcript, stream: Scan, session: Scan, stream_path: str, projects: str
) -> None:
    by_message = _by_model({**stream.usage, **_larger(session.usage, stream.usage)})
    totals = model_totals(stream.result) if stream.result else {}
    if _spent(total_usage(totals)):
        transcript.model_usage = totals
        transcript.usage = total_usage(totals)
        rule = "modelUsage of the last result event, subagents included"
        transcript.sources["usage"] = f"{stream_path}: {rule}"
    elif by_message:
        transcript.model_usage = by_message
        transcript.usage = total_usage(by_message)
        places = [path for path, scan in ((stream_path, stream), (projects, session)) if scan.usage]
        rule = "usage once per message id, subagents included"
        transcript.sources["usage"] = f"{' and '.join(places)}: {rule}"
    elif stream.result and stream.result.usage:
        transcript.usage = stream.result.usage
        transcript.sources["usage"] = f"{stream_path}: usage of the last result event"


def _larger(
    one: dict[str, tuple[str, Usage]], other: dict[str, tuple[str, Usage]]
) -> dict[str, tuple[str, Usage]]:
    return {
        key: max(row, other.get(key, row), key=lambda pair: pair[1].output_tokens or 0)
        for key, row in one.items()
    }


def _by_model(rows: dict[str, tuple[str, Usage]]) -> dict[str, ModelUsage]:
    totals: dict[str, Usage] = {}
    for model, usage in rows.values():
        totals[model] = add_usage(totals.get(model), usage)
    return {
        clean(model): ModelUsage(**msgspec.structs.asdict(usage))
        for model, usage in sorted(totals.items())
    }


def _spent(usage: Usage | None) -> bool:
    return usage is not None and any(msgspec.structs.astuple(usage))


def _set_response(transcript: Transcript, stream: Scan, session: Scan, stream_path: str) -> None:
    result = stream.result
    last = stream.last_error if stream.lines else session.last_error
    # Model responses of the main loop; the agent's own num_turns counts error messages too.
    transcript.turns = len(stream.main_messages | session.main_messages)
    if result is None:
        transcript.breakdown = last
        return
    where = f"{stream_path}: last of {stream.results} result events"
    transcript.sources["response"] = where
    transcript.response = AgentResponse(
        subtype=result.subtype,
        is_error=result.is_error,
        result=transcript.cut("agent_response.result", result.result) if result.result else None,
        permission_denials=_denials(result.permission_denials),
        num_turns=result.num_turns,
        duration_ms=result.duration_ms,
        duration_api_ms=result.duration_api_ms,
        session_id=result.session_id or result.sessionId,
    )
    # A start-up failure reports zero cost; so does a run on a subscription: unknown, not free.
    if result.total_cost_usd:
        transcript.spending = Spending(result.total_cost_usd, "reported")
        transcript.sources["cost"] = f"{where}, total_cost_usd"
    failed = result.is_error or (result.subtype or "").startswith("error")
    if failed:
        transcript.breakdown = Breakdown(
            kind=last.kind if last else result.subtype or "error",
            message=result.result
            or _first_error(result.errors)
            or (last.message if last else None),
            http_status=result.api_error_status,
            path=stream_path,
            line=last.line if last else None,
        )


def _first_error(errors: Any) -> str | None:
    return str(errors[0]) if isinstance(errors, list) and errors else None


def _denials(rows: Any) -> list[PermissionDenial] | None:
    if not isinstance(rows, list):
        return None
    return [
        PermissionDenial(
            tool_name=clean(str(row.get("tool_name", "unknown"))),
            tool_use_id=row["tool_use_id"] if isinstance(row.get("tool_use_id"), str) else None,
            tool_input=bounded(row.get("tool_input"), _INPUT_LIMIT),
        )
        for row in rows
        if isinstance(row, dict)
    ]


def _read_configs(source: Source, folder: str, transcript: Transcript) -> None:
    """Note the MCP servers of the configuration files; their secrets are left where they are."""
    for name in _CONFIGS:
        path = _join(folder, name)
        if source.has(path):
            config = source.read_json(path, _CONFIG)
            for server in sorted((config.mcpServers if config else None) or {}):
                transcript.saw_server(clean(server), None, path)
