"""What people, models and tools said, as attributes: written only where it is asked for."""

from __future__ import annotations

from typing import Any

import msgspec

from evaltrace.cuts import cut_text
from evaltrace.otlp import names as n
from evaltrace.otlp.operations import Operation
from evaltrace.trace import Event, Truncation


def event_content(event: Event, operation: Operation, limit: int) -> dict[str, Any]:
    """Give the content of an event; what was cut is told beside it."""
    cuts: list[Truncation] = []

    def kept(field: str, text: str | None) -> str | None:
        if text is None:
            return None
        short, cut = cut_text(f"events[{event.id}].{field}", text, limit)
        cuts.extend(cut)
        return short

    is_tool = operation.attributes.get(n.OPERATION) == "execute_tool"
    fields = {
        n.ARGUMENTS if is_tool else n.EVENT + "input": kept("input", _json(event.input)),
        n.RESULT if is_tool else n.EVENT + "output": kept("output", event.output),
        n.EVENT + "error": kept("error", event.error),
        n.EVENT + "data": kept("data", _json(event.data)),
    }
    fields |= _message(
        event, operation, kept("text", event.text), kept("reasoning", event.reasoning)
    )
    if cuts:
        fields[n.CUTS] = msgspec.json.encode(cuts).decode()
    return fields


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _message(
    event: Event, operation: Operation, text: str | None, reasoning: str | None
) -> dict[str, Any]:
    """Give what was said: of a model as the conventions have it, of others as it is.

    Receivers take any span with messages for a call of a model.
    """
    if operation.attributes.get(n.OPERATION) != "chat":
        return {n.EVENT + "text": text, n.EVENT + "reasoning": reasoning}
    parts = [
        {"type": kind, "content": content}
        for kind, content in (("reasoning", reasoning), ("text", text))
        if content is not None
    ]
    # The conventions require a reason why a model stopped; logs seldom tell one.
    reason = "error" if event.error else "stop"
    message = {"role": event.role or "assistant", "parts": parts, "finish_reason": reason}
    return {n.OUTPUT_MESSAGES: _json([message])} if parts else {}


def conversation(prompt: str | None, result: str | None) -> dict[str, Any]:
    """Give what a run was asked for and what it answered, as the conventions have it."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": prompt}]}]
    parts = [{"type": "text", "content": result}]
    answered = [{"role": "assistant", "parts": parts, "finish_reason": "stop"}]
    return {
        n.INPUT_MESSAGES: _json(asked) if prompt else None,
        n.OUTPUT_MESSAGES: _json(answered) if result else None,
    }
