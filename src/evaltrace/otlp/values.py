"""Values, identifiers and times as OTLP/JSON writes them."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from evaltrace.times import parse_time
from evaltrace.untrusted import clean

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT64 = 1 << 63
_MAX_DEPTH = 32

LAST_NANO = (1 << 64) - 1
_HEX = frozenset("0123456789abcdef")


def to_attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write attributes; those that are None or no finite number are left out."""
    written = ((key, to_value(value)) for key, value in values.items())
    return [{"key": clean(key), "value": value} for key, value in written if value is not None]


def to_value(value: Any) -> dict[str, Any] | None:
    """Write one value; an integer beyond 64 bits becomes text."""
    match value:
        case None:
            return None
        case str():
            return {"stringValue": clean(value)}
        case bool():
            return {"boolValue": value}
        case int():
            within = -_INT64 <= value < _INT64
            return {"intValue": str(value)} if within else {"stringValue": str(value)}
        case float():
            return {"doubleValue": value} if math.isfinite(value) else None
        case list() | tuple():
            items = [item for item in map(to_value, value) if item is not None]
            return {"arrayValue": {"values": items}}
        case dict():
            return {"kvlistValue": {"values": to_attributes(value)}}
    return {"stringValue": clean(str(value))}


def from_attributes(items: Any, depth: int = 0) -> dict[str, Any]:
    """Read attributes; what is no attribute is left out, the last of two with one key counts."""
    if not isinstance(items, list) or depth > _MAX_DEPTH:
        return {}
    return {
        clean(item["key"]): from_value(item.get("value"), depth)
        for item in items
        if isinstance(item, dict) and isinstance(item.get("key"), str)
    }


def from_value(value: Any, depth: int = 0) -> Any:
    """Read one value; what cannot be read is None. 64-bit integers may be texts or numbers."""
    if not isinstance(value, dict) or depth > _MAX_DEPTH:
        return None
    for name, given in value.items():
        match name, given:
            case "stringValue" | "bytesValue", str():
                return clean(given)
            case "boolValue", bool():
                return given
            case "intValue", _:
                return to_integer(given)
            case "doubleValue", _:
                return _float(given)
            case "arrayValue", {"values": list(items)}:
                return [from_value(item, depth + 1) for item in items]
            case "arrayValue", _:
                return []
            case "kvlistValue", _:
                pairs = given.get("values") if isinstance(given, dict) else None
                return from_attributes(pairs, depth + 1)
    return None


def to_integer(value: Any) -> int | None:
    """Read an integer, written as a number or as text; None for one beyond 64 bits."""
    if isinstance(value, bool):
        return None
    try:
        number = int(value) if not isinstance(value, str) or len(value) <= 20 else None
    except (TypeError, ValueError, OverflowError):
        return None
    return number if number is not None and -_INT64 <= number <= LAST_NANO else None


def _float(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def to_amount(value: Any) -> float | None:
    """Read an amount of something, such as money: None for one below 0."""
    number = None if isinstance(value, bool | str) else _float(value)
    return number if number is not None and number >= 0 else None


# Identifiers.


def trace_id_of(name: str) -> str:
    """Give the 16 bytes, as hex, that stand for a trace: its own where its name is some."""
    if is_id(name, 32):
        return name
    with suppress(ValueError):
        if is_id(UUID(name).hex, 32):
            return UUID(name).hex
    return sha256(f"evaltrace:{name}".encode()).hexdigest()[:32]


def span_id_of(trace_name: str, place: str) -> str:
    """Give the 8 bytes, as hex, that stand for a place in a trace; the same each time."""
    return sha256(f"evaltrace:{trace_name}:{place}".encode()).hexdigest()[:16]


def is_id(text: str, length: int) -> bool:
    """Tell whether a text is an identifier of `length` lower-case hex digits, not all zero."""
    return len(text) == length and set(text) <= _HEX and set(text) != {"0"}


def read_id(value: Any, length: int) -> str | None:
    """Read an identifier: hex as the protocol asks for, or base64 as others write bytes."""
    if not isinstance(value, str) or not value:
        return None
    text = value.lower()
    if is_id(text, length):
        return text
    try:
        text = b64decode(value, validate=True).hex()
    except ValueError:
        return None
    return text if is_id(text, length) else None


# Times.


def to_nanos(stamp: str | None) -> int | None:
    """Give the nanoseconds since 1970 of a time; one without a zone counts as UTC.

    None for one that the protocol cannot write: before 1970, or after 2554.
    """
    time = parse_time(stamp)
    if time is None:
        return None
    since = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
    nanos = since // _MICROSECOND * 1000
    return nanos if 0 <= nanos <= LAST_NANO else None


def from_nanos(nanos: int | None) -> str | None:
    """Give the time of nanoseconds since 1970, whole microseconds in UTC; 0 is no time."""
    if not nanos or nanos < 0:
        return None
    try:
        time = _EPOCH + timedelta(microseconds=nanos // 1000)
    except OverflowError:
        return None
    return time.isoformat().replace("+00:00", "Z")
