"""Every text of a trace that can be searched, with the name of its field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evaltrace.trace import Event, Trace


def texts_of_trace(trace: Trace) -> Iterator[tuple[str, str]]:
    """Give the texts of a trace outside its events, by the names that a search for words uses."""
    response, error, trigger = trace.agent_response, trace.error, trace.trigger
    agent = trace.agent_config
    parts = (
        ("task", trace.task.name),
        ("task", trace.task_id),
        ("task_instruction", trace.task_instruction),
        ("error", f"{error.type}: {error.message or ''}" if error else None),
        ("answer", response.result if response else None),
        ("trigger", f"{trigger.source} {trigger.issue_key or ''}" if trigger else None),
        ("agent", " ".join(filter(None, (agent.agent.name, agent.model, trace.arm)))),
        ("test_output", trace.test_output),
        ("code_changes", trace.code_changes),
    )
    yield from ((name, text) for name, text in parts if text)
    yield from texts_of_value("context", trace.context)
    for file in trace.code_stats.files if trace.code_stats else ():
        yield "files", file.path


def texts_of_event(event: Event) -> Iterator[tuple[str, str]]:
    """Give the texts of an event."""
    for name in ("name", "text", "reasoning", "error", "output"):
        text = getattr(event, name)
        if text:
            yield name, text
    yield from texts_of_value("input", event.input)
    yield from texts_of_value("data", event.data)


def texts_of_value(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Give the texts and numbers within a JSON value, each by its path: `input.command`."""
    waiting = [(name, value)]
    while waiting:
        path, item = waiting.pop()
        if isinstance(item, dict):
            waiting += [(f"{path}.{key}", below) for key, below in reversed(item.items())]
        elif isinstance(item, list):
            below = [(f"{path}[{index}]", part) for index, part in enumerate(item)]
            waiting += reversed(below)
        elif item is not None:
            yield path, item if isinstance(item, str) else str(item)
