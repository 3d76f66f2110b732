"""Secrets in a trace: every text of it but what names it is redacted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from evaltrace.redact.documents import Names
from evaltrace.redact.markers import new_markers
from evaltrace.redact.redactor import Redactor
from evaltrace.trace import Event, Task, TestCase, Trace, Truncation

_KEPT: dict[Any, set[str]] = {
    Trace: {"schema_version", "trace_id", "task_id", "status"},
    Task: {"checksum", "digest"},
    Truncation: {"digest", "unit"},
    Event: {"id", "type", "parent_id", "started_at"},
}
"""What names a trace or an event, or is a digest: links between records must hold."""

_STREAMED = ("text", "reasoning", "output")
_DEEPEST = 64
_LARGE = (dict, list, msgspec.Struct)

Seen = Callable[[str, str, str, Counter[str]], object]


class TraceFinding(NamedTuple):
    """A secret in a trace: in which field, by which rule, and its keyed digest."""

    trace_id: str
    field: str
    rule: str
    digest: str


def redact_trace(
    redactor: Redactor, trace: Trace, encoded: bytes | None = None
) -> tuple[Trace, Counter[str]]:
    """Redact all texts of a trace, keys of dictionaries too; count what was replaced, by rule.

    A trace without secrets is given back as it is. Ids, digests and the status are left.
    `encoded` is the JSON of the trace, if it is at hand.
    """
    counts: Counter[str] = Counter()
    if is_clean(redactor, trace, encoded):
        return trace, counts
    return _Pass(redactor, counts, _unseen).trace(trace), counts


def redact_value(redactor: Redactor, value: Any, counts: Counter[str]) -> Any:
    """Redact all texts in a record, list or dictionary, and add to the counts."""
    return _Pass(redactor, counts, _unseen).value(value, "", "")


def find_in_trace(
    redactor: Redactor, trace: Trace, encoded: bytes | None = None
) -> Iterator[TraceFinding]:
    """Find the secrets of a trace, field by field; `encoded` is its JSON, if at hand."""
    if is_clean(redactor, trace, encoded):
        return
    seen: list[tuple[str, list[tuple[str, str]]]] = []

    def note(field: str, before: str, after: str, counts: Counter[str]) -> None:
        markers = new_markers(before, after, counts)
        seen.append((field, markers or [(rule, "") for rule in sorted(counts)]))

    _Pass(redactor, Counter(), note).trace(trace)
    for field, secrets in seen:
        for rule, digest in secrets:
            yield TraceFinding(trace.trace_id, field, rule, digest)


def is_clean(redactor: Redactor, trace: Trace, encoded: bytes | None = None) -> bool:
    """Tell whether a trace surely has nothing to replace; `encoded` is its JSON, if at hand."""
    if not redactor.is_clean(msgspec.json.encode(trace) if encoded is None else encoded):
        return False
    return all(
        redactor.is_clean("".join(getattr(trace.events[number], field) for number in numbers))  # type: ignore[index]
        for field, numbers in _streams(trace.events or [])
    )


def _streams(events: list[Event]) -> Iterator[tuple[str, list[int]]]:
    """Give the fields that streams leave in pieces, with the events that follow each other."""
    for field in _STREAMED:
        groups: dict[tuple[str, str | None], list[int]] = {}
        for number, event in enumerate(events):
            if getattr(event, field):
                groups.setdefault((event.type, event.parent_id), []).append(number)
        yield from ((field, numbers) for numbers in groups.values() if len(numbers) > 1)


def _unseen(_field: str, _before: str, _after: str, _counts: Counter[str]) -> None:
    pass


class _Pass:
    """One walk over a trace; what has not changed is shared with the original."""

    def __init__(self, redactor: Redactor, counts: Counter[str], seen: Seen) -> None:
        self.redactor = redactor
        self.counts = counts
        self.seen = seen

    def trace(self, trace: Trace) -> Trace:
        events = trace.events
        if events is not None and len(events) > 1:
            trace = msgspec.structs.replace(trace, events=self.across(events))
        whole: Trace = self.record(trace, "")
        return whole

    def across(self, events: list[Event]) -> list[Event]:
        """Redact what is spread over events that follow each other, as streams leave it."""
        changed: dict[int, dict[str, str]] = {}
        for field, numbers in _streams(events):
            before = [getattr(events[number], field) for number in numbers]
            for number, old, (new, counts) in zip(
                numbers, before, self.redactor.pieces(before), strict=True
            ):
                if old != new:
                    self.note(f"events[{number}].{field}", old, new, counts)
                    changed.setdefault(number, {})[field] = new
        if not changed:
            return events
        return [
            msgspec.structs.replace(event, **changed[number]) if number in changed else event
            for number, event in enumerate(events)
        ]

    def value(self, value: Any, name: str, path: str, depth: int = 0) -> Any:
        if isinstance(value, str):
            after, counts = self.redactor.text(value, name)
            if after != value:
                self.note(path, value, after, counts)
            return after
        if isinstance(value, dict) and depth < _DEEPEST:
            return self.fields(value, path, depth + 1)
        if isinstance(value, list) and depth < _DEEPEST:
            return self.items(value, name, path, depth + 1)
        if isinstance(value, Event | TestCase) and self.is_clean(value):
            return value
        if isinstance(value, msgspec.Struct) or dataclasses.is_dataclass(value):
            return self.record(value, path)
        return value

    def record(self, value: Any, path: str) -> Any:
        kept = _KEPT.get(type(value), set())
        names = (
            value.__struct_fields__
            if isinstance(value, msgspec.Struct)
            else [field.name for field in dataclasses.fields(value)]
        )
        changed = {}
        for name in names:
            before = getattr(value, name)
            if before is None or name in kept:
                continue
            if isinstance(before, _LARGE) and self.is_clean(before):
                continue
            after = self.value(before, "", f"{path}.{name}" if path else name)
            if after is not before:
                changed[name] = after
        if not changed:
            return value
        if isinstance(value, msgspec.Struct):
            return msgspec.structs.replace(value, **changed)
        return dataclasses.replace(value, **changed)

    def note(self, path: str, before: str, after: str, counts: Counter[str]) -> None:
        """Count what was replaced in a text."""
        self.counts.update(counts)
        self.seen(path, before, after, counts)

    def is_clean(self, value: Any) -> bool:
        """Tell by its JSON whether a part of the trace can be left."""
        return self.redactor.is_clean(msgspec.json.encode(value))

    def fields(self, value: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        beside = value.get("name", value.get("key")) if "value" in value else None
        after: dict[str, Any] = {}
        same = True
        for key, item in value.items():
            key_after, counts = self.redactor.text(key)
            place = f"{path}.{key_after}"
            if key_after != key:
                self.note(place, key, key_after, counts)
            named = beside if key == "value" and isinstance(beside, str) else key
            after[key_after] = self.value(item, named, place, depth)
            same = same and key_after == key and after[key_after] is item
        return value if same else after

    def items(self, value: list[Any], name: str, path: str, depth: int) -> list[Any]:
        names = Names()
        names.key = name
        after = []
        for number, item in enumerate(value):
            named = names.of(item, "") if isinstance(item, str) else name
            after.append(self.value(item, named, f"{path}[{number}]", depth))
        same = all(new is old for new, old in zip(after, value, strict=True))
        return value if same else after
