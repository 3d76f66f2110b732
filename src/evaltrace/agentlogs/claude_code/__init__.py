"""Claude Code: the stream-json output (`claude-code.txt`) and the session files.

The stream has the start, the ending, cost and MCP status; the sessions have times, the
prompt and whole subagents. Either may be missing or cut, so each fills the other's gaps.
Source of the rules: Harbor format reference, section 4.1.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from evaltrace.agentlogs.claude_code.lines import Scan
from evaltrace.agentlogs.claude_code.shapes import Line, Numbered, Turn, turns
from evaltrace.agentlogs.faults import NOT_JSON, LineFaults
from evaltrace.agentlogs.outputs import find_output
from evaltrace.agentlogs.transcript import (
    Breakdown,
    Spending,
    Transcript,
    add_usage,
    known_contents,
    sum_usage,
    total_usage,
)
from evaltrace.agentlogs.usage_shapes import to_model_usage
from evaltrace.source import Source, path_in
from evaltrace.trace import AgentResponse, ModelUsage, PermissionDenial, Usage
from evaltrace.untrusted import bounded, clean

STREAM = "claude-code.txt"
_CONFIGS = ("sessions/.claude.json", "sessions/.mcp.json", ".mcp.json")
_INIT = '"subtype":"init"'
_CACHE = ("cache_creation_input_tokens", "cache_read_input_tokens")
_INPUT_LIMIT = 8192
_BARE = 8 * 2**20
"""Bytes of a stream that is first scanned without events; a larger one is read once."""
_CONTENTS = 3
"""What can be known of an edit: both contents, and whether the file is new."""
_MARKS = re.compile(r"[^\w-]", re.ASCII)


class _Project(msgspec.Struct):
    mcpServers: dict[str, Any] | None = None


class _Config(_Project):
    projects: dict[str, _Project] | None = None


_CONFIG = msgspec.json.Decoder(_Config)


def read(
    source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read what Claude Code left in `folder`; None when it left no log."""
    stream_path = find_output(source, folder, STREAM, _INIT)
    projects = path_in(folder, "sessions/projects")
    sessions = _session_files(source, projects)
    if not source.exists(stream_path) and not sessions:
        return None
    session = Scan(Transcript(prefix=prefix, keep_events=keep_events))
    twice = keep_events and sessions and source.size(stream_path) <= _BARE
    stream = _scan_bare(source, stream_path, prefix) if twice else None
    if stream is None:
        stream = _scan_stream(source, stream_path, prefix, keep_events)
    enough = stream.sound and not keep_events and len(sessions) <= 1 and _tells_all(stream)
    _scan_sessions(source, sessions, session, prompt_only=enough)
    if not (stream.lines or session.lines):
        return None
    if stream.bare and _lacks_events(stream, session):
        stream = _scan_stream(source, stream_path, prefix, keep_events)
    elif stream.bare:
        _add_edits(stream, session)
    by_message = _by_model(_spent_by_message(stream, session))
    transcript = _joined(stream, session, by_message, (stream_path, projects))
    _report_unmatched(source, stream_path, stream, by_message)
    _read_configs(source, folder, transcript)
    _name_servers(transcript)
    return transcript


def _session_files(source: Source, projects: str) -> list[str]:
    # Subagents last: what has no time is read in this order.
    paths = [path for path in source.walk(projects) if path.endswith(".jsonl")]
    return sorted(paths, key=lambda path: (path.rpartition("/")[2].startswith("agent-"), path))


def _scan_bare(source: Source, path: str, prefix: str) -> Scan | None:
    """Scan the stream without events and edits; None where a line of it is odd.

    Sessions most often have the same ones, with their times: then these would be dropped.
    """
    scan, faults = Scan(Transcript(prefix=prefix, keep_events=False), bare=True), LineFaults(path)
    _take_all(scan, faults, turns(source, faults, sound=True))
    if set(faults.found) - {NOT_JSON}:
        return None
    faults.report(source)
    return scan


def _scan_stream(source: Source, path: str, prefix: str, keep_events: bool) -> Scan:
    before = len(source.problems)
    scan = Scan(Transcript(prefix=prefix, keep_events=keep_events))
    faults = LineFaults(path)
    _take_all(scan, faults, turns(source, faults))
    faults.report(source)
    scan.sound = len(source.problems) == before
    return scan


def _take_all(scan: Scan, faults: LineFaults, lines: Iterator[Numbered]) -> None:
    for number, line in lines:
        scan.take(line, faults, number)
    scan.close()


def _lacks_events(stream: Scan, session: Scan) -> bool:
    """Tell whether events are needed that were left out when the stream was scanned."""
    known = session.transcript.calls
    return not _is_fuller(session, stream) or any(
        call_id not in known or (known[call_id].failed is None and call.failed is not None)
        for call_id, call in stream.transcript.calls.items()
    )


def _add_edits(stream: Scan, session: Scan) -> None:
    """Work out the edits that were left out, where the stream may know more of them."""
    known = session.transcript.calls
    for call_id, line in stream.put_off.items():
        if known_contents(known[call_id].edits) < _CONTENTS:
            stream.take_edit(call_id, line)


def _is_fuller(session: Scan, stream: Scan) -> bool:
    return session.lines > 0 and len(session.transcript.calls) >= len(stream.transcript.calls)


def _tells_all(stream: Scan) -> bool:
    """Tell whether a session could add nothing but times and the prompt."""
    if stream.result is None or not (stream.settled and stream.answered) or stream.bare_edits:
        return False
    return _spent(total_usage(stream.totals().by_model))


def _scan_sessions(
    source: Source, paths: list[str], scan: Scan, *, prompt_only: bool = False
) -> None:
    """Scan all session files together, in order of time."""
    faults = [LineFaults(path) for path in paths]
    logs = [turns(source, fault, few=prompt_only, beside=len(paths) - 1) for fault in faults]
    if len(logs) == 1:
        rows: Iterator[tuple[int, int, Turn]] = ((0, *row) for row in logs[0])
    else:
        # No two have the same rank and number: the lines themselves are never compared.
        timed = heapq.merge(*map(_timed, range(len(logs)), logs))
        rows = (row[1:] for row in timed)
    for rank, number, line in rows:
        scan.take(line, faults[rank], number)
        if prompt_only and scan.transcript.prompt is not None:
            break
    scan.close()
    for fault in faults:
        fault.report(source)


def _timed(rank: int, lines: Iterator[Numbered]) -> Iterator[tuple[str, int, int, Turn]]:
    # A line without a time, or with one that goes back, stays where it stands.
    latest = ""
    for number, line in lines:
        if line.timestamp and line.timestamp > latest:
            latest = line.timestamp
        yield latest, rank, number, line


def _joined(
    stream: Scan, session: Scan, by_message: dict[str, ModelUsage], paths: tuple[str, str]
) -> Transcript:
    """Make one transcript of both logs; the one that knows more calls gives the events."""
    stream_path, projects = paths
    fuller = _is_fuller(session, stream)
    transcript = (session if fuller else stream).transcript
    transcript.sources["events"] = projects if fuller else stream_path
    transcript.sources["tools"] = "each tool use id once, in " + " and ".join(
        path for path, scan in ((stream_path, stream), (projects, session)) if scan.lines
    )
    _fill(transcript, stream.transcript, session.transcript)
    _set_usage(transcript, stream, session, by_message, paths)
    _set_response(transcript, stream, session, stream_path)
    return transcript


def _fill(transcript: Transcript, stream: Transcript, session: Transcript) -> None:
    other = stream if transcript is session else session
    transcript.adopt_calls(other)
    for server in other.mcp_servers.values():
        for place in server.configured_in:
            transcript.saw_server(server.name, server.status, place)
    # The stream seldom has the prompt; what it has may be a note to the agent.
    transcript.prompt = session.prompt or stream.prompt
    transcript.agent_version = transcript.agent_version or other.agent_version
    transcript.model = transcript.model or other.model
    transcript.cwd = transcript.cwd or other.cwd
    if transcript.available is None:
        transcript.available = other.available


def _name_servers(transcript: Transcript) -> None:
    """Give calls the names of servers as configured; a tool's name spells them with `_`."""
    if not transcript.mcp_servers:
        return
    names = {f"mcp__{_MARKS.sub('_', name)}__": name for name in transcript.mcp_servers}
    for call in transcript.calls.values():
        if call.server is not None:
            known = [start for start in names if call.name.startswith(start)]
            call.server = names[max(known, key=len)] if known else call.server


def _set_usage(
    transcript: Transcript,
    stream: Scan,
    session: Scan,
    by_message: dict[str, ModelUsage],
    paths: tuple[str, str],
) -> None:
    stream_path, _ = paths
    finals = stream.totals()
    totals, last = finals.by_model, _last_results(stream)
    # Totals that leave out the last messages are worth less than the messages.
    if _spent(total_usage(totals)) and (stream.settled or not by_message):
        transcript.model_usage = totals
        transcript.usage = total_usage(totals)
        rule = f"modelUsage of {last}, subagents included"
        transcript.sources["usage"] = f"{stream_path}: {rule}"
    elif by_message:
        transcript.model_usage = by_message
        transcript.usage = total_usage(by_message)
        places = [path for path, scan in zip(paths, (stream, session), strict=True) if scan.usage]
        rule = "usage once per message id, subagents included"
        transcript.sources["usage"] = f"{' and '.join(places)}: {rule}"
    elif _spent(finals.usage):
        transcript.usage = finals.usage
        transcript.sources["usage"] = f"{stream_path}: usage of {last}"


def _last_results(stream: Scan) -> str:
    many = len(stream.finals)
    return "the last result event" + (f" of each of {many} sessions" if many > 1 else "")


def _report_unmatched(
    source: Source, path: str, stream: Scan, by_message: dict[str, ModelUsage]
) -> None:
    """Report totals that are less than the messages add up to.

    More is usual: small calls of the program's own leave no message.
    """
    totals = total_usage(stream.totals().by_model)
    messages = total_usage(by_message)
    if totals is None or messages is None or not (stream.settled and _spent(totals)):
        return
    rows = [
        f"{name} {told:,} in the result and {found:,} in the messages"
        for name in ("input_tokens", "output_tokens", *_CACHE)
        if (found := getattr(messages, name) or 0) > (told := getattr(totals, name) or 0)
    ]
    if rows:
        hint = "The result's modelUsage counts; it may leave out a session before."
        source.report("usage_parts_differ", path, "; ".join(rows), hint)


def _spent_by_message(stream: Scan, session: Scan) -> dict[str, tuple[str, Usage]]:
    """Join the usage of both logs by message id; messages without one count in one log."""
    rows = dict(stream.usage)
    for key, row in session.usage.items():
        if not (stream.unnamed and key in session.unnamed):
            known = rows.get(key, row)
            more = (row[1].output_tokens or 0) >= (known[1].output_tokens or 0)
            rows[key] = row if more else known
    return rows


def _by_model(rows: dict[str, tuple[str, Usage]]) -> dict[str, ModelUsage]:
    parts: dict[str, list[Usage]] = {}
    for model, usage in rows.values():
        parts.setdefault(model, []).append(usage)
    totals: dict[str, Usage] = {}
    for model, usages in parts.items():
        totals[clean(model)] = add_usage(totals.get(clean(model)), sum_usage(usages))
    return {model: to_model_usage(usage) for model, usage in sorted(totals.items())}


def _spent(usage: Usage | None) -> bool:
    return usage is not None and any(msgspec.structs.astuple(usage))


def _set_response(transcript: Transcript, stream: Scan, session: Scan, stream_path: str) -> None:
    result = stream.result
    # Model responses of the main loop; the agent's own num_turns counts error messages too.
    unmatched = session.unnamed if stream.unnamed else set()
    transcript.turns = len(stream.main_messages | (session.main_messages - unmatched))
    last = _last_error(stream, session)
    if result is None:
        transcript.breakdown = last
        _set_denials(transcript, stream, session)
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
    cost = stream.totals().cost_usd
    if cost:
        transcript.spending = Spending(cost, "reported")
        doubt = "" if stream.settled else ", without the messages after it"
        many = f" of each of {len(stream.finals)} sessions" if len(stream.finals) > 1 else ""
        transcript.sources["cost"] = f"{where}{many}, total_cost_usd{doubt}"
    # Older versions end with an API error and call it a success.
    if result.is_error or (result.subtype or "").startswith("error") or last:
        transcript.breakdown = _breakdown(result, last, stream_path, stream.result_line)


def _set_denials(transcript: Transcript, stream: Scan, session: Scan) -> None:
    """Collect the denials of a run that was stopped: only its tool results tell them."""
    denied = {**session.denied, **stream.denied}
    if not denied:
        return
    transcript.response = AgentResponse(
        permission_denials=[
            PermissionDenial(tool_name=clean(name), tool_use_id=clean(call_id))
            for call_id, name in denied.items()
        ]
    )
    transcript.sources["response"] = "no result event: denials from tool results"


def _last_error(stream: Scan, session: Scan) -> Breakdown | None:
    """Give the error that the run ended with, from the log that reaches further."""
    if len(stream.main_messages) == len(session.main_messages):
        return stream.last_error or session.last_error
    longer = max(stream, session, key=lambda scan: len(scan.main_messages))
    return longer.last_error


def _breakdown(
    result: Line, last: Breakdown | None, stream_path: str, number: int | None
) -> Breakdown:
    errors = result.errors if isinstance(result.errors, list) else []
    return Breakdown(
        kind=last.kind if last else result.subtype or "error",
        message=result.result
        or (str(errors[0]) if errors else None)
        or (last.message if last else None),
        http_status=result.api_error_status,
        path=last.path if last else stream_path,
        line=last.line if last else number,
    )


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
        path = path_in(folder, name)
        if source.has(path):
            config = source.read_json(path, _CONFIG) or _Config()
            parts: list[_Project] = [config, *(config.projects or {}).values()]
            for part in parts:
                for server in sorted(part.mcpServers or {}):
                    transcript.saw_server(clean(server), None, path)
