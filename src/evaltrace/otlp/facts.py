"""The facts of a trace as attributes of its root span, and back.

Each is named by its place in the trace: `evaltrace.task.name`, `evaltrace.rewards.reward`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from evaltrace.otlp.names import OWN
from evaltrace.trace import Trace

_PLAIN = ("task_id", "arm", "attempt", "status", "test_reward")
_BLOCKS = ("task", "origin", "trigger", "rewards")
_WITHIN = {
    "metrics": ("tokens", "cost", "durations", "turns", "tool_calls"),
    "agent_config": ("agent.name", "agent.version", "model", "timestamp"),
    "error": ("type", "cause", "phase", "reward_valid"),
}
_CONTENT = (
    "task_instruction", "code_changes", "error.message", "agent_response.result",
    "agent_request.prompt", "agent_request.system_prompt",
)  # fmt: skip
_OPEN = ("rewards",)
"""Blocks whose keys are anybody's, and may have dots."""


def to_facts(trace: Trace) -> dict[str, Any]:
    """Give what is known of a trace apart from its content; names are without a prefix."""
    return dict(_facts(msgspec.to_builtins(_without_events(trace))))


def to_content(trace: Trace) -> dict[str, str]:
    """Give the texts of a trace that are its content."""
    plain = msgspec.to_builtins(_without_events(trace))
    found = ((place, _at(plain, place)) for place in _CONTENT)
    return {place: text for place, text in found if isinstance(text, str)}


def from_facts(attributes: dict[str, Any]) -> dict[str, Any]:
    """Give the blocks of a trace, as plain values, that our attributes of a root tell."""
    plain: dict[str, Any] = {}
    places = {*_PLAIN, *_CONTENT}
    for name, value in attributes.items():
        place = name.removeprefix(OWN)
        block, _, rest = place.partition(".")
        known = place in places or (rest and (block in _BLOCKS or block in _WITHIN))
        if place == name or not known:
            continue
        if block in _OPEN:
            plain.setdefault(block, {})[rest] = value
        else:
            _put(plain, place.split("."), value)
    return plain


def _without_events(trace: Trace) -> Trace:
    # Most of a trace is its events and what the verifier printed: none of it is a fact here.
    return msgspec.structs.replace(trace, events=None, test_output=None, tests=None)


def _facts(plain: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in _PLAIN:
        yield name, plain[name]
    for block in _BLOCKS:
        yield from _leaves(block, plain[block])
    for block, names in _WITHIN.items():
        for name in names:
            yield from _leaves(f"{block}.{name}", _at(plain, f"{block}.{name}"))


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            # What the harness wrote of the task is an object of its own: not taken apart.
            if not (place == "origin" and isinstance(item, dict)):
                yield from _leaves(f"{place}.{key}", item)
    elif value is not None:
        yield place, value


def _at(plain: Any, place: str) -> Any:
    for key in place.split("."):
        plain = plain.get(key) if isinstance(plain, dict) else None
    return plain


def _put(plain: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        plain = plain.setdefault(key, {})
        if not isinstance(plain, dict):
            return
    plain[keys[-1]] = value
