"""Secrets in a trace: every text of it but what names it is redacted."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from evaltrace.redact.documents import Names
from evaltrace.redact.kept import is_left, is_name, names_of
from evaltrace.redact.markers import new_markers
from evaltrace.redact.redactor import Redactor
from evaltrace.redact.values import is_random
from evaltrace.trace import Event, TestCase, Trace

_STREAMED = ("text", "reasoning", "output")
_DEEPEST = 64
_EDGE = 2048
"""Characters of a text that may be part of a token which the text beside it has, too."""
_TOGETHER = 16
_PARTS, _PART = 64, 8
"""Parts of secrets that are looked for in all of a trace, and the characters of one."""
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
    if is_clean(redactor, trace, encoded):
        return trace, Counter()
    return redact_doubtful(redactor, trace)


def redact_doubtful(redactor: Redactor, trace: Trace) -> tuple[Trace, Counter[str]]:
    """Redact a trace of which is known that it is not surely clean; count what was replaced."""
    counts: Counter[str] = Counter()
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
        redactor.is_clean_across(_joined(texts)) for _, _, texts in _streams(trace.events or [])
    )


def _joined(texts: list[str]) -> str:
    """Join texts without the middle of long ones: what lies within one is found in it."""
    return "".join(
        text if len(text) <= 2 * _EDGE else f"{text[:_EDGE]} {text[-_EDGE:]}" for text in texts
    )


def _streams(events: list[Event]) -> Iterator[tuple[str, list[int], list[str]]]:
    """Give the fields that streams leave in pieces, with the events that follow each other."""
    for field in _STREAMED:
        groups: dict[tuple[str, str | None, str], tuple[list[int], list[str]]] = {}
        roles: dict[tuple[str, str | None], str] = {}
        for number, event in enumerate(events):
            text = getattr(event, field)
            if text:
                place = event.type, event.parent_id
                # A stream may say only at its beginning who speaks.
                role = roles[place] = event.role or roles.get(place, "")
                numbers, texts = groups.setdefault((*place, role), ([], []))
                numbers.append(number)
                texts.append(text)
        yield from ((field, *group) for group in groups.values() if len(group[0]) > 1)


def _is_telling(part: str) -> bool:
    """Tell whether a part of a secret is known by its looks wherever it stands."""
    return len(part) >= _PART and is_random(part, 2.5)


def _is_large(value: Any) -> bool:
    """Tell whether to look at a value as a whole first; events are looked at some at a time."""
    return isinstance(value, _LARGE) and not (isinstance(value, list) and _are_events(value))


def _are_events(value: list[Any]) -> bool:
    return bool(value) and isinstance(value[0], Event)


def _numbered(key: str, taken: dict[str, Any], before: dict[str, Any]) -> str:
    """Number a key that there is already: two spellings of one secret have one marker."""
    number, free = 1, key
    while free in taken or free in before:
        number += 1
        free = f"{key} {number}"
    return free


def _unseen(_field: str, _before: str, _after: str, _counts: Counter[str]) -> None:
    pass


class _Pass:
    """One walk over a trace; what has not changed is shared with the original."""

    def __init__(self, redactor: Redactor, counts: Counter[str], seen: Seen) -> None:
        self.redactor = redactor
        self.counts = counts
        self.seen = seen

    @cached_property
    def unknowing(self) -> _Pass:
        """The same walk without known values."""
        if not self.redactor.known:
            return self
        return _Pass(self.redactor.knowing_only(()), self.counts, self.seen)

    def trace(self, trace: Trace) -> Trace:
        # What is part of a name is no secret, and would be left there alone.
        names = names_of(trace)
        self.redactor = self.redactor.knowing_only(v for v in self.redactor.known if v not in names)
        events = trace.events
        if events is not None and len(events) > 1:
            trace = msgspec.structs.replace(trace, events=self.across(events))
        whole: Trace = self.record(trace, "")
        return whole

    def across(self, events: list[Event]) -> list[Event]:
        """Redact what is spread over events that follow each other, as streams leave it."""
        changed: dict[int, dict[str, str]] = {}
        parts: set[str] = set()
        for field, numbers, before in _streams(events):
            if self.redactor.is_clean_across(_joined(before)):
                continue
            for number, old, (new, counts, gone) in zip(
                numbers, before, self.redactor.pieces(before), strict=True
            ):
                if old != new:
                    self.note(f"events[{number}].{field}", old, new, counts)
                    changed.setdefault(number, {})[field] = new
                    parts.update(part for part in gone if _is_telling(part))
        if not changed:
            return events
        # A part may stand elsewhere again: what the last event says is the result, too.
        self.redactor = self.redactor.knowing(
            sorted(parts, key=lambda part: (len(part), part))[-_PARTS:]
        )
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
        kind = type(value)
        names = (
            value.__struct_fields__
            if isinstance(value, msgspec.Struct)
            else [field.name for field in dataclasses.fields(value)]
        )
        changed = {}
        for name in names:
            before = getattr(value, name)
            if before is None or is_left(kind, name, before):
                continue
            walk = self.unknowing if is_name(kind, name) else self
            if _is_large(before) and walk.is_clean(before):
                continue
            after = walk.value(before, "", f"{path}.{name}" if path else name)
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
            item_after = self.value(item, named, place, depth)
            same = same and key_after == key and item_after is item
            after[_numbered(key_after, after, value) if key_after != key else key] = item_after
        return value if same else after

    def items(self, value: list[Any], name: str, path: str, depth: int) -> list[Any]:
        names = Names()
        names.key = name
        after = []
        clean = self.clean_events(value)
        for number, item in enumerate(value):
            if number in clean:
                after.append(item)
                continue
            named = names.of(item, "") if isinstance(item, str) else name
            after.append(self.value(item, named, f"{path}[{number}]", depth))
        same = all(new is old for new, old in zip(after, value, strict=True))
        return value if same else after

    def clean_events(self, value: list[Any]) -> set[int]:
        """List the numbers of events that can be left, looking at several of them together."""
        if not _are_events(value):
            return set()
        starts = range(0, len(value), _TOGETHER)
        return {
            number
            for start in starts
            if self.is_clean(value[start : start + _TOGETHER])
            for number in range(start, start + _TOGETHER)
        }
