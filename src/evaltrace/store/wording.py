"""The words of events and runs: which texts a search looks into, and how much of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from evaltrace.trace import Event, Trace
from evaltrace.untrusted import clean

_HEAD, _TAIL = 8_000, 2_000
"""Characters of one text that a search looks into: errors stand at the end of an output."""

Words = list[tuple[str, str]]
"""Names of fields and their texts, in the order in which a hit is looked for."""


def words_of_event(event: Event) -> Words:
    """Give the texts of an event that a search looks into."""
    return _bounded(
        ("name", event.name),
        ("error", event.error),
        ("text", event.text),
        ("reasoning", event.reasoning),
        ("input", _flat(event.input)),
        ("output", event.output),
        ("data", _flat(event.data)),
        ("type", event.type),
    )


def words_of_trace(trace: Trace) -> Words:
    """Give the texts of a run, apart from its events, that a search looks into."""
    answer, error, trigger = trace.agent_response, trace.error, trace.trigger
    agent, files = trace.agent_config, trace.code_stats.files if trace.code_stats else ()
    return _bounded(
        ("task", f"{trace.task.name}\n{trace.task_id}"),
        ("task_instruction", trace.task_instruction),
        ("error", f"{error.type}\n{error.message or ''}" if error else None),
        ("answer", answer.result if answer else None),
        ("trigger", f"{trigger.source}\n{trigger.issue_key or ''}" if trigger else None),
        ("context", _flat(trace.context)),
        ("agent", "\n".join(filter(None, (agent.agent.name, agent.model, trace.arm)))),
        ("files", "\n".join(file.path for file in files)),
        ("test_output", trace.test_output),
    )


def joined(words: Words) -> str:
    """Give the text that is indexed."""
    return "\n".join(text for _, text in words)


def _bounded(*texts: tuple[str, str | None]) -> Words:
    return [(field, _cut(clean(text))) for field, text in texts if text]


def _cut(text: str) -> str:
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]}\n{text[-_TAIL:]}"


def _flat(value: Any) -> str | None:
    """Give the texts and numbers within a JSON value, a line each: enough of them to search."""
    if value is None or isinstance(value, str):
        return value
    lines, size = [], 0
    for leaf in _leaves(value):
        lines.append(leaf)
        size += len(leaf) + 1
        if size > _HEAD + _TAIL:
            break
    return "\n".join(lines)


def _leaves(value: Any) -> Iterator[str]:
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, dict):
            for key, part in reversed(item.items()):
                rest += (part, key)
        elif isinstance(item, list | tuple):
            rest += reversed(item)
        elif item is not None and not isinstance(item, bool):
            yield str(item)
