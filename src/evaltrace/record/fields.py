"""What a caller says of an event, turned into a line of the journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from evaltrace.record.clocks import to_seconds
from evaltrace.record.lines import Line
from evaltrace.record.totals import usage_in
from evaltrace.record.values import Room, to_count, to_number, to_plain, to_raw, to_text
from evaltrace.trace import Usage

ALIASES = {
    "parent_trace_id": "parent_id",
    "raw_input": "input",
    "raw_output": "output",
    "model_used": "model",
    "provider_used": "provider",
    "estimated_cost_usd": "cost_usd",
    "timestamp": "started_at",
}
"""Other names that some fields of an event have; `input_tokens` and such go to `usage`."""

_TOKENS = tuple(Usage.__struct_fields__)
_TEXTS = {"name": "name", "status": "status", "role": "role", "text": "text"} | {
    name: name for name in ("reasoning", "error", "model", "provider")
}


def fill(line: Line, data: Any, given: Mapping[str, Any], raw_limit: int) -> None:
    """Put the data and the fields of an event into its line.

    What is not the name of a field, or no value for it, goes to the data under its own name.
    """
    room = Room()
    more: dict[str, Any] = {}
    for key, value in given.items():
        if value is None:
            continue
        name = ALIASES.get(key, key)
        room.field = name
        put = _PUT.get(name)
        if put is None or not _is_put(put, line, value, room, raw_limit):
            more[key] = value
    room.field = "data"
    line.data = _data(data, more, room)
    if room.cuts:
        line.cuts = room.cuts


def _data(data: Any, more: dict[str, Any], room: Room) -> dict[str, Any] | None:
    if data is None and not more:
        return None
    plain = to_plain(data, room) if data is not None else {}
    if not isinstance(plain, dict):
        plain = {"value": plain}
    for key, value in more.items():
        name = to_text(key, room, 200)
        while name in plain:
            name += "'"
        plain[name] = to_plain(value, room)
    return plain


_Put = Callable[[Line, Any, Room, int], bool]


def _is_put(put: _Put, line: Line, value: Any, room: Room, limit: int) -> bool:
    try:
        return put(line, value, room, limit)
    except Exception:  # of the value's own methods: it is no value for the field
        return False


def _text(field: str) -> _Put:
    def put(line: Line, value: Any, room: Room, _limit: int) -> bool:
        setattr(line, field, to_text(value, room))
        return True

    return put


def _input(line: Line, value: Any, room: Room, limit: int) -> bool:
    line.input = to_raw(value, room, limit)
    return True


def _output(line: Line, value: Any, room: Room, limit: int) -> bool:
    line.output = to_text(value, room, limit)
    return True


def _parent(line: Line, value: Any, _room: Room, _limit: int) -> bool:
    name = value if isinstance(value, str) else getattr(value, "id", None)  # a step
    line.parent = to_text(name, Room(), 200) if isinstance(name, str) else None
    return line.parent is not None


def _started(line: Line, value: Any, _room: Room, _limit: int) -> bool:
    line.started = to_seconds(value)
    return line.started is not None


def _duration(line: Line, value: Any, _room: Room, _limit: int) -> bool:
    line.duration_ms = to_number(value)
    return line.duration_ms is not None


def _cost(line: Line, value: Any, _room: Room, _limit: int) -> bool:
    line.cost_usd = to_number(value)
    return line.cost_usd is not None


def _usage(line: Line, value: Any, _room: Room, _limit: int) -> bool:
    if isinstance(value, Usage):
        value = msgspec.structs.asdict(value)
    if not isinstance(value, Mapping):
        return False
    usage = usage_in(value)
    if usage is None:
        return False
    counts = msgspec.structs.asdict(usage)
    line.usage = {**(line.usage or {}), **{k: v for k, v in counts.items() if v is not None}}
    return True


def _tokens(field: str) -> _Put:
    def put(line: Line, value: Any, _room: Room, _limit: int) -> bool:
        count = to_count(value)
        if count is not None:
            line.usage = {**(line.usage or {}), field: count}
        return count is not None

    return put


_PUT: dict[str, _Put] = {
    **{name: _text(field) for name, field in _TEXTS.items()},
    **{name: _tokens(name) for name in _TOKENS},
    "input": _input,
    "output": _output,
    "parent_id": _parent,
    "started_at": _started,
    "duration_ms": _duration,
    "cost_usd": _cost,
    "usage": _usage,
}
