"""What was said, out of the shapes in which instrumentations write messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from evaltrace.otlp.decoding import Mark
from evaltrace.otlp.names import FLATTENED

_MAX_DEPTH = 8
_MARKS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
    "gen_ai.content.prompt": "user",
    "gen_ai.choice": "",
    "gen_ai.content.completion": "",
}
"""Roles by the names of events within a span that held messages earlier; empty: an answer."""
_CONTENTS = ("content", "gen_ai.prompt", "gen_ai.completion", "message", "gen_ai.event.content")


def gather(attributes: dict[str, Any]) -> dict[str, Any]:
    """Put lists of messages together that were written as one attribute for each leaf."""
    kept: dict[str, Any] = {}
    for key, value in attributes.items():
        prefix = next((name for name in FLATTENED if key.startswith(f"{name}.")), None)
        if prefix is None:
            kept[key] = value
            continue
        steps = key.removeprefix(f"{prefix}.").split(".")
        if len(steps) <= _MAX_DEPTH:
            _put(kept.setdefault(f"{prefix} ", {}), steps, value)
    for name in FLATTENED:
        parts = kept.pop(f"{name} ", None)
        if parts and name not in kept:
            kept[name] = _as_lists(parts)
    return kept


def _put(place: dict[str, Any], steps: list[str], value: Any) -> None:
    for step in steps[:-1]:
        below = place.setdefault(step, {})
        if not isinstance(below, dict):
            return
        place = below
    place[steps[-1]] = value


def _as_lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(key.isdecimal() for key in value):
        # By length first: numbers of any length, without making numbers of them.
        ordered = sorted(value, key=lambda key: (len(key.lstrip("0")), key.lstrip("0")))
        return [_as_lists(value[key]) for key in ordered]
    return {key: _as_lists(item) for key, item in value.items()}


def parsed(value: Any) -> Any:
    """Read JSON where a text is an object or a list; any other value stays as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


def said(messages: Any) -> tuple[str | None, str | None]:
    """Give the text and the reasoning of messages; each is joined with line feeds."""
    messages = parsed(messages)
    if isinstance(messages, str):
        return messages, None
    parts = list(_parts(messages, 0))
    texts = [text for kind, text in parts if kind == "text"]
    thoughts = [text for kind, text in parts if kind == "reasoning"]
    return "\n".join(texts) if texts else None, "\n".join(thoughts) if thoughts else None


def _parts(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        yield "text", value
    elif isinstance(value, list):
        for item in value:
            yield from _parts(item, depth + 1)
    elif isinstance(value, dict):
        kind = "reasoning" if value.get("type") in ("reasoning", "thinking") else "text"
        for name in ("message", "message_content", "parts", "contents", "content", "text"):
            if value.get(name):
                found = _parts(value[name], depth + 1)
                yield from ((kind if part == "text" else part, text) for part, text in found)
                return
        if isinstance(value.get("thinking"), str):
            yield "reasoning", value["thinking"]


def messages_of(marks: list[Mark]) -> tuple[list[Any], list[Any], list[Mark]]:
    """Give the questions and the answers that events within a span hold, and the other events."""
    asked: list[Any] = []
    answered: list[Any] = []
    others = []
    for mark in marks:
        role = _MARKS.get(mark.name)
        content = next((mark.attributes[k] for k in _CONTENTS if mark.attributes.get(k)), None)
        if role is None or content is None:
            others.append(mark)
        elif role:
            asked.append({"role": role, "content": parsed(content)})
        else:
            answered.append({"role": "assistant", "content": parsed(content)})
    return asked, answered, others
