"""Events in the words of the conventions: operations, models, providers, tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from evaltrace.agentlogs.tools import server_of
from evaltrace.otlp import names as n
from evaltrace.store import is_error
from evaltrace.trace import Event, Usage

_INTERNAL, _CLIENT = 1, 3
_WORDS = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Operation:
    """What an event is to the conventions: the name and the kind of its span, its attributes."""

    name: str
    kind: int
    attributes: dict[str, Any]


def operation_of(event: Event, model: str | None = None) -> Operation:
    """Give the operation that an event is; `model` is the one that the run was given."""
    if event.type == "tool_call":
        operation = _tool_call(event)
        problem = "tool_error"
    elif event.type == "llm_call" or (event.type == "message" and event.role == "assistant"):
        operation = _chat(event, model)
        problem = "_OTHER"
    else:
        operation = _other(event)
        problem = "_OTHER"
    if is_error(event):
        operation.attributes[n.ERROR_TYPE] = problem
    return operation


def _chat(event: Event, model: str | None) -> Operation:
    named = event.model or (model or "").rpartition("/")[2] or None
    attributes = {
        n.OPERATION: "chat",
        n.REQUEST_MODEL: named,
        n.PROVIDER: provider_of(event.provider, event.model or model),
    }
    return Operation(f"chat {named}" if named else "chat", _CLIENT, attributes)


def _tool_call(event: Event) -> Operation:
    facts = event.data or {}
    name = event.name or "tool"
    server = server_of(name)
    tool = name.removeprefix(f"mcp__{server}__") if server else name
    attributes: dict[str, Any] = {
        n.OPERATION: "execute_tool",
        n.TOOL_NAME: tool,
        n.CALL_ID: _text(facts.get("call_id")),
    }
    if server is None and facts.get("kind") != "mcp":
        return Operation(f"execute_tool {tool}", _INTERNAL, attributes | {n.TOOL_TYPE: "function"})
    attributes[n.MCP_METHOD] = "tools/call"
    return Operation(f"tools/call {tool}", _CLIENT, attributes)


def _other(event: Event) -> Operation:
    if event.type == "step" and event.data and "agent_task" in event.data:
        attributes = {n.OPERATION: "invoke_agent", n.AGENT_NAME: event.name}
        return Operation(f"invoke_agent {event.name or ''}".strip(), _INTERNAL, attributes)
    parts = (event.type, event.name or event.role)
    return Operation(" ".join(part for part in parts if part), _INTERNAL, {})


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def provider_of(provider: str | None, model: str | None) -> str | None:
    """Give a provider as the conventions spell it, from the name of a model where need be."""
    if provider is None and model and "/" in model:
        provider = model.partition("/")[0]
    if provider is not None:
        return n.PROVIDER_NAMES.get(provider.lower(), provider)
    words = _WORDS.match((model or "").lower())
    return n.MAKERS.get(words.group()) if words else None


def usage_attributes(usage: Usage | None) -> dict[str, Any]:
    """Write tokens as the conventions count them: their input includes the cache, ours does not."""
    if usage is None:
        return {}
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    given = usage.input_tokens
    return {
        n.INPUT_TOKENS: None if given is None else given + (read or 0) + (written or 0),
        n.OUTPUT_TOKENS: usage.output_tokens,
        n.CACHE_READ: read,
        n.CACHE_WRITE: written,
        n.CACHE_CREATION: written,
    }


def to_usage(
    given: int | None, made: int | None, read: int | None, written: int | None
) -> Usage | None:
    """Read tokens as the conventions count them; None where none of them is known.

    Input that is less than what came from the cache cannot include it, and stays as it is.
    """
    cached = (read or 0) + (written or 0)
    if (given, made, read, written) == (None, None, None, None):
        return None
    return Usage(
        input_tokens=given - cached if given is not None and given >= cached else given,
        output_tokens=made,
        cache_creation_input_tokens=written,
        cache_read_input_tokens=read,
    )
