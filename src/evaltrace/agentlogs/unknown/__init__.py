"""The last resort for agents that nobody knows: JSON of any shape that looks like a log.

It looks for the shapes that providers and libraries share: usage objects, messages with a
role, tool calls and their results, totals of money. All of them come from one file, the
one that has most of them, since files tend to repeat each other. Whether counts add up or
are running totals can only be guessed: what is found is of low confidence, and doubted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from evaltrace.agentlogs.edit_calls import edits_of_call
from evaltrace.agentlogs.transcript import LineFaults, Spending, Transcript
from evaltrace.agentlogs.unknown.shapes import MAX_PARTS, Finding, findings
from evaltrace.agentlogs.unknown.totals import total_cost, total_usage_of
from evaltrace.jsontext import Malformed, decode
from evaltrace.source import Source
from evaltrace.trace import AgentResponse
from evaltrace.untrusted import clean

MAX_FILES = 50
MAX_BYTES = 64 * 2**20
MAX_DEPTH = 4

_LOW = "(low confidence)"
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".txt", ".log")
_DOCUMENT = 16 * 2**20
_NO_LOGS = (
    "package", "config", "settings", "tsconfig", "credentials", "auth", "manifest", "mcp",
    "schema", "requirements", "instruction", "prompt", "plugin",
)  # fmt: skip
"""What names of files begin or end with, up to the suffix, that are no logs of a run."""
_NO_LOG_FOLDERS = {"setup", "skills", "plugins", "node_modules"}
_VALUE: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


@dataclass
class _Log:
    """What one file has of a log."""

    path: str
    faults: LineFaults
    found: list[Finding] = field(default_factory=list)

    def of(self, kind: str) -> list[Finding]:
        """Give the findings of a kind."""
        return [row for row in self.found if row.kind == kind]


def read(
    source: Source, folder: str, *, prefix: str = "", keep_events: bool = True
) -> Transcript | None:
    """Read what looks like a log in `folder`; None when nothing does."""
    logs = [log for path in _paths(source, folder) if (log := _read_log(source, path)).found]
    logs = [log for log in logs if _is_log(log)]
    if not logs:
        return None
    log = max(logs, key=lambda row: len(row.found))
    log.faults.report(source)
    transcript = Transcript(prefix=prefix, keep_events=keep_events)
    others = f", and {len(logs) - 1} more files that look like logs" if len(logs) > 1 else ""
    transcript.doubt = f"unknown log format: read by shapes from {clean(log.path)}{others}"
    _fill(transcript, log)
    _set_numbers(transcript, log)
    return transcript


def _paths(source: Source, folder: str) -> Iterator[str]:
    """List the files that may be logs, a bounded number and size of them."""
    count = total = 0
    for path in _walk(source, folder, MAX_DEPTH):
        size = source.size(path)
        if count >= MAX_FILES or total + size > MAX_BYTES:
            message = f"{count} files ({total} bytes) were looked at for a log; the rest was not"
            hint = "Remove from the agent's folder what is no log."
            source.report("too_many_files", path, message, hint)
            return
        count, total = count + 1, total + size
        yield path


def _walk(source: Source, folder: str, depth: int) -> Iterator[str]:
    above = f"{folder}/" if folder else ""
    yield from (above + name for name in source.files(folder) if _may_be_log(name))
    if depth > 0:
        for name in source.folders(folder):
            if name not in _NO_LOG_FOLDERS:
                yield from _walk(source, above + name, depth - 1)


def _may_be_log(name: str) -> bool:
    stem, dot, suffix = name.lower().rpartition(".")
    if not stem or f"{dot}{suffix}" not in _SUFFIXES:
        return False
    return not stem.strip(".").startswith(_NO_LOGS) and not stem.endswith(_NO_LOGS)


def _is_log(log: _Log) -> bool:
    """Tell whether a file has the counts, the calls or the answers of a run."""
    answers = (row for row in log.of("message") if row.role == "assistant")
    return bool(log.of("usage") or log.of("call")) or next(answers, None) is not None


def _read_log(source: Source, path: str) -> _Log:
    log = _Log(path, LineFaults(path))
    if path.endswith(".json") and source.size(path) <= _DOCUMENT:
        data = source.read(path, _DOCUMENT)
        value = _decoded(log, data) if data and data.strip() else None
        if value is not None:
            log.found = list(findings(value))
            return log
        log.faults = LineFaults(path)
    for number, row in log.faults.objects(source.lines(path)):
        try:
            value, mended = decode(row, _VALUE)
        except Malformed as fault:
            log.faults.malformed(number, fault, row)
            continue
        if mended:
            log.faults.add("mended_lines", number, mended)
        log.found += findings(value)
        if len(log.found) > MAX_PARTS:
            message = f"more than {MAX_PARTS} parts; those after line {number} were not read"
            source.report("log_cut", path, message, "Counts and sums are lower bounds.")
            break
    return log


def _decoded(log: _Log, data: bytes) -> Any:
    log.faults.lines = 1
    try:
        value, mended = decode(data, _VALUE)
    except Malformed:
        return None
    if mended:
        log.faults.add("mended_lines", 1, mended)
    return value


def _fill(transcript: Transcript, log: _Log) -> None:
    """Put messages, calls and results into the transcript."""
    last: str | None = None
    turns: dict[str, None] = {}
    for number, row in enumerate(log.found):
        if row.kind == "message" and row.role == "assistant":
            turns[row.id or f"#{number}"] = None
            last = row.text or last
        if row.kind == "message" and row.text:
            _take_message(transcript, row)
        elif row.kind == "call":
            _take_call(transcript, row)
        elif row.kind == "result" and row.id is not None:
            _take_result(transcript, row)
    transcript.turns = len(turns) or None
    transcript.sources["events"] = f"{log.path}: messages and calls by their shape {_LOW}"
    transcript.sources["tools"] = f"{log.path}: calls by their shape, each id once {_LOW}"
    transcript.sources["response"] = f"{log.path}: last message of the assistant {_LOW}"
    transcript.response = AgentResponse(
        result=transcript.cut("agent_response.result", last) if last else None,
        num_turns=transcript.turns,
    )


def _take_message(transcript: Transcript, row: Finding) -> None:
    model = clean(row.model) if row.model and row.role == "assistant" else None
    transcript.add("message", role=row.role, text=row.text, started_at=row.time, model=model)
    transcript.model = transcript.model or model
    if row.text and row.role == "user" and transcript.prompt is None:
        transcript.prompt = clean(row.text)
    if row.text and row.role == "system" and transcript.system_prompt is None:
        transcript.system_prompt = clean(row.text)


def _take_call(transcript: Transcript, row: Finding) -> None:
    call_id = row.id or f"call-{len(transcript.calls) + 1}"
    if call_id in transcript.calls:
        return
    name = row.name or "unknown"
    call = transcript.call(call_id, name, input=row.value, started_at=row.time)
    if call.kind == "edit":
        for edit in edits_of_call(name, row.value):
            transcript.edited(call_id, edit)


def _take_result(transcript: Transcript, row: Finding) -> None:
    transcript.returned(row.id or "", failed=row.failed, output=row.text)


def _set_numbers(transcript: Transcript, log: _Log) -> None:
    transcript.usage, by_model, rule = total_usage_of(log.of("usage"))
    transcript.model_usage = {clean(model): usage for model, usage in by_model.items()}
    if transcript.usage is not None:
        transcript.sources["usage"] = f"{log.path}: {rule} {_LOW}"
    usd, rule = total_cost(log.of("cost"))
    if usd:
        transcript.spending = Spending(usd, "reported")
        transcript.sources["cost"] = f"{log.path}: {rule} {_LOW}"
    if transcript.response is not None:
        transcript.response.usage = transcript.usage
        transcript.response.model_usage = transcript.model_usage or None
        transcript.response.total_cost_usd = usd
