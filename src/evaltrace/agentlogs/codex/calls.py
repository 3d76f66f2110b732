"""What codex's rollout lines say of tool calls: inputs, outputs, and files that changed."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from evaltrace.agentlogs.codex.lines import Payload
from evaltrace.agentlogs.contents import FAILED_OUTPUT, text_of
from evaltrace.agentlogs.unified import edits_of_diff
from evaltrace.patches.edits import Edit

_ANY = msgspec.json.Decoder()


def input_of(payload: Payload) -> Any:
    """Give the input of a call; arguments come as a text that holds JSON."""
    value = payload.arguments if payload.arguments is not None else payload.input
    value = payload.action if value is None else value
    return _parsed(value) if payload.type == "function_call" else value


def _parsed(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("{"):
        return value
    try:
        return _ANY.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return value


def outcome_of(output: Any) -> tuple[str | None, bool]:
    """Give the text of a tool output, and whether the tool failed.

    Outputs are a text, a list of parts, or JSON (as such or in a text) with the text inside.
    """
    value = _parsed(output)
    if not isinstance(value, dict):
        text = text_of(value)
        return text, bool(text and FAILED_OUTPUT.match(text))
    metadata = value.get("metadata")
    if not {"output", "content"} & value.keys():
        return (output if isinstance(output, str) else text_of(value)), False
    exit_code = metadata.get("exit_code") if isinstance(metadata, dict) else None
    text = text_of(value.get("output", value.get("content")))
    if exit_code == 0:  # then the text is the program's own, whatever its words
        return text, value.get("success") is False
    failed = value.get("success") is False or exit_code is not None
    return text, failed or bool(text and FAILED_OUTPUT.match(text))


def edits_of_changes(changes: Any) -> list[Edit]:
    """Turn codex's map of changed files into edits: content, or a diff without file names."""
    edits = []
    for path, change in changes.items() if isinstance(changes, dict) else ():
        kind, given = _change(change)
        if kind == "add" and isinstance(given.get("content"), str):
            edits.append(Edit(path, created=True, after=given["content"]))
        elif kind == "delete":
            before = given.get("content")
            edits.append(
                Edit(path, before=before if isinstance(before, str) else None, deleted=True)
            )
        elif kind == "update" and isinstance(given.get("unified_diff"), str):
            moved = given.get("move_path")
            found = edits_of_diff(given["unified_diff"], path)
            edits += [
                replace(edit, moved_to=moved if isinstance(moved, str) else None) for edit in found
            ]
    return edits


def _change(change: Any) -> tuple[str, dict[str, Any]]:
    """Give kind and content of a change: `{"add": {...}}`, or `{"type": "add", ...}`."""
    given = change if isinstance(change, dict) else {}
    kind = given.get("type")
    if isinstance(kind, str):
        return kind, given
    name, inner = next(iter(given.items()), ("", None))
    return str(name), inner if isinstance(inner, dict) else {}
