"""What an event says in a few words, and which events failed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from evaltrace.quantities import compact
from evaltrace.store import is_error
from evaltrace.trace import Event, Trace
from evaltrace.untrusted import one_line

E = TypeVar("E", bound=Event)

GOOD = frozenset({"ok", "success", "succeeded", "completed", "pass"})
"""Status words that say nothing new of an event that did not fail."""

WORDS = 300
"""Characters that are kept of a text for a row."""

_TELLING = (
    *("command", "cmd", "file_path", "path", "pattern", "query", "url", "skill", "prompt"),
    *("notebook_path", "input", "patch", "chars", "description", "script", "code", "name"),
)
"""Arguments of a tool that tell most, the best first."""

_REASONS = ("error", "error_message", "message", "reason")
"""Where a caller's own data says why."""

_ENDS = 4000
"""Characters of both ends of a text in which the reason of a failure is looked for."""

_TELLS = re.compile(
    "error|exception|fail|fatal|panic|denied|refused|no such|not found|cannot|timed out|timeout",
    re.IGNORECASE,
)

_NOISE = re.compile("(chunk id|wall time|original token count|output):", re.IGNORECASE)
"""What harnesses write before the output of a command."""

_OPENING = 5
"""Lines among which the exit code stands."""

_CODE = re.compile(r"(process )?exit(ed)?( with)?( code| status)?:? -?\d+", re.IGNORECASE)


def filter_by_type(events: Iterable[E], types: Iterable[str]) -> list[E]:
    """Keep the events of the given types."""
    wanted = {types} if isinstance(types, str) else set(types)
    return [event for event in events if event.type in wanted]


def filter_errors(events: Iterable[E]) -> list[E]:
    """Keep the events that failed."""
    return [event for event in events if is_error(event)]


def filter_by_duration(events: Iterable[E], min_ms: float) -> list[E]:
    """Keep the events that took at least `min_ms`; one of unknown duration is left out."""
    return [e for e in events if e.duration_ms is not None and e.duration_ms >= min_ms]


def words_of(event: Event) -> str:
    """Say in one line what an event was about; empty when it holds nothing to say."""
    said = _first_line(event.text or event.reasoning)
    if not said and event.input is not None:
        said = _first_line(_words_of_input(event.input))
    if not said and event.data and event.type not in ("tool_call", "phase"):
        said = _first_line(_words_of_data(event))
    if not said and not is_error(event):
        said = _first_line(event.output)
    return said or _words_of_usage(event)


def error_of(event: Event) -> str | None:
    """Say in one line how an event failed: the first line of what it printed, and a telling one."""
    if not is_error(event):
        return None
    told = event.error or event.output or (event.text if event.type == "error" else None)
    told = told or _told_by_data(event)
    if len(told) > 2 * _ENDS:
        told = f"{told[:_ENDS]}\n{told[-_ENDS:]}"
    lines = [line for line in map(_line, told.split("\n")) if line and not _NOISE.match(line)]
    code = next((line for line in lines[:_OPENING] if _CODE.fullmatch(line)), None)
    if code is not None:
        lines.remove(code)
    first = lines[0] if lines else ""
    telling = next((line for line in reversed(lines) if _TELLS.search(line)), "")
    telling = telling or (lines[-1] if lines else "")
    if code is not None:
        return f"{telling} ({code.lower()})" if telling else code
    return first if telling == first else f"{first} … {telling}"


def final_error(trace: Trace) -> str | None:
    """Say what ended a run, if an error did: what the log said comes before the harness's word."""
    error = trace.error
    if error is None:
        return None
    told = next((row.text for row in error.evidence if row.text), None) or error.message
    # "failed" and "blocked" are no names of an exception, and the text says as much.
    return told if told and error.type.islower() else ": ".join(filter(None, (error.type, told)))


def _told_by_data(event: Event) -> str:
    data = event.data or {}
    return next((_plain(data[key]) for key in _REASONS if data.get(key)), "")


def _line(text: str) -> str:
    return one_line(text, WORDS)


def _first_line(text: str | None) -> str:
    """Join the first words of a text, whatever its lines."""
    return one_line(text, WORDS) if text else ""


def _words_of_input(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        for key in _TELLING:
            if isinstance(value.get(key), str) and value[key].strip():
                return str(value[key])
            if isinstance(value.get(key), list):
                return " ".join(map(str, value[key][:50]))
    return to_json(value)


def _words_of_data(event: Event) -> str:
    data = dict(event.data or {})
    if event.type == "step":
        data.pop("step_number", None)
        task = data.pop("agent_task", None)
        return " · ".join(str(part) for part in (task, event.output) if part)
    return " ".join(f"{key}={_plain(value)}" for key, value in list(data.items())[:20])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)


def to_json(value: Any) -> str:
    """Write plain data as JSON text, whatever a live run put into it."""
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeError, OverflowError, ValueError):
        # Lone surrogates, and whole numbers of more than 64 bits.
        text = json.dumps(msgspec.to_builtins(value), default=str)
        return json.dumps(json.loads(text, parse_constant=lambda _: None))
    except RecursionError:
        return '"[nested too deeply]"'


def _words_of_usage(event: Event) -> str:
    usage = event.usage
    if usage is None:
        return ""
    known = [n for n in (usage.input_tokens, usage.cache_read_input_tokens) if n is not None]
    written = [n for n in (usage.cache_creation_input_tokens,) if n is not None]
    read = compact(sum(known + written), "?") if known else "?"
    return f"{read} tokens in, {compact(usage.output_tokens, '?')} out"
