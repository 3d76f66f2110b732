"""OTLP as protobuf, for receivers that take nothing else: bytes to and from the JSON form.

Only the messages of traces are here, by number and JSON name, as the protocol defines them.
Fields that it does not define are skipped, as it asks for.
"""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any

REQUEST, RESPONSE = "request", "response"

_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    REQUEST: {"resourceSpans": (1, "*resource_spans")},
    RESPONSE: {"partialSuccess": (1, "partial_success")},
    "partial_success": {"rejectedSpans": (1, "int64"), "errorMessage": (2, "string")},
    "resource_spans": {
        "resource": (1, "resource"),
        "scopeSpans": (2, "*scope_spans"),
        "schemaUrl": (3, "string"),
    },
    "resource": {"attributes": (1, "*key_value"), "droppedAttributesCount": (2, "varint")},
    "scope_spans": {"scope": (1, "scope"), "spans": (2, "*span"), "schemaUrl": (3, "string")},
    "scope": {
        "name": (1, "string"),
        "version": (2, "string"),
        "attributes": (3, "*key_value"),
        "droppedAttributesCount": (4, "varint"),
    },
    "span": {
        "traceId": (1, "hex"),
        "spanId": (2, "hex"),
        "traceState": (3, "string"),
        "parentSpanId": (4, "hex"),
        "name": (5, "string"),
        "kind": (6, "varint"),
        "startTimeUnixNano": (7, "fixed64"),
        "endTimeUnixNano": (8, "fixed64"),
        "attributes": (9, "*key_value"),
        "droppedAttributesCount": (10, "varint"),
        "events": (11, "*event"),
        "droppedEventsCount": (12, "varint"),
        "links": (13, "*link"),
        "droppedLinksCount": (14, "varint"),
        "status": (15, "status"),
        "flags": (16, "fixed32"),
    },
    "event": {
        "timeUnixNano": (1, "fixed64"),
        "name": (2, "string"),
        "attributes": (3, "*key_value"),
        "droppedAttributesCount": (4, "varint"),
    },
    "link": {
        "traceId": (1, "hex"),
        "spanId": (2, "hex"),
        "traceState": (3, "string"),
        "attributes": (4, "*key_value"),
        "droppedAttributesCount": (5, "varint"),
        "flags": (6, "fixed32"),
    },
    "status": {"message": (2, "string"), "code": (3, "varint")},
    "key_value": {"key": (1, "string"), "value": (2, "any")},
    "any": {
        "stringValue": (1, "string"),
        "boolValue": (2, "bool"),
        "intValue": (3, "int64"),
        "doubleValue": (4, "double"),
        "arrayValue": (5, "array"),
        "kvlistValue": (6, "kvlist"),
        "bytesValue": (7, "base64"),
    },
    "array": {"values": (1, "*any")},
    "kvlist": {"values": (1, "*key_value")},
}
"""Fields by message: number and kind; a star marks what is repeated."""

_NUMBERS = {
    message: {number: (name, kind) for name, (number, kind) in fields.items()}
    for message, fields in _MESSAGES.items()
}
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5
_WIRE = {
    "varint": _VARINT, "int64": _VARINT, "bool": _VARINT,
    "fixed64": _EIGHT, "double": _EIGHT, "fixed32": _FOUR,
}  # fmt: skip
_MAX_DEPTH = 100


class NotProtobuf(ValueError):
    """Bytes that are no OTLP message."""


def to_protobuf(message: dict[str, Any], kind: str = REQUEST) -> bytes:
    """Encode a message given in its JSON form."""
    out = bytearray()
    for name, (number, form) in _MESSAGES[kind].items():
        value = message.get(name)
        if value is None:
            continue
        for item in value if form[0] == "*" else (value,):
            _put(out, number, form.removeprefix("*"), item)
    return bytes(out)


def _put(out: bytearray, number: int, form: str, value: Any) -> None:
    wire = _WIRE.get(form, _LENGTH)
    _put_varint(out, number << 3 | wire)
    if wire == _VARINT:
        _put_varint(out, int(value) & 0xFFFF_FFFF_FFFF_FFFF)
    elif wire == _LENGTH:
        content = _content(form, value)
        _put_varint(out, len(content))
        out += content
    elif form == "double":
        out += struct.pack("<d", float(value))
    else:
        out += struct.pack("<Q" if wire == _EIGHT else "<I", int(value))


def _content(form: str, value: Any) -> bytes:
    if form == "string":
        return str(value).encode()
    if form == "hex":
        return bytes.fromhex(value)
    if form == "base64":
        return b64decode(value)
    return to_protobuf(value, form)


def _put_varint(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def from_protobuf(content: bytes | memoryview, kind: str = REQUEST, depth: int = 0) -> Any:
    """Decode a message into its JSON form. Raises NotProtobuf."""
    if depth > _MAX_DEPTH:
        raise NotProtobuf("nested too deeply")
    message: dict[str, Any] = {}
    fields = _NUMBERS[kind]
    for number, wire, raw in _fields(memoryview(content)):
        name, form = fields.get(number, ("", ""))
        plain = form.removeprefix("*")
        if not name or wire != _WIRE.get(plain, _LENGTH):
            continue
        value = _value(plain, raw, depth)
        if form[0] == "*":
            message.setdefault(name, []).append(value)
        else:
            message[name] = value
    return message


def _value(form: str, raw: Any, depth: int) -> Any:
    match form:
        case "string":
            return str(raw, "utf-8", "replace")
        case "hex":
            return raw.hex()
        case "base64":
            return b64encode(raw).decode()
        case "double":
            return struct.unpack("<d", raw)[0]
        case "fixed64":
            return str(int.from_bytes(raw, "little"))
        case "fixed32":
            return int.from_bytes(raw, "little")
        case "int64":
            return str(raw - (1 << 64) if raw >> 63 else raw)
        case "bool":
            return bool(raw)
        case "varint":
            return raw
    return from_protobuf(raw, form, depth + 1)


def _fields(content: memoryview) -> Iterator[tuple[int, int, Any]]:
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        wire = tag & 7
        if wire == _VARINT:
            value, place = _varint(content, place)
            yield tag >> 3, wire, value
            continue
        if wire == _LENGTH:
            length, place = _varint(content, place)
        elif wire in (_EIGHT, _FOUR):
            length = 8 if wire == _EIGHT else 4
        else:
            raise NotProtobuf(f"a field of the unknown wire type {wire}")
        if place + length > len(content):
            raise NotProtobuf("it ends within a field")
        yield tag >> 3, wire, content[place : place + length]
        place += length


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        if place >= len(content):
            raise NotProtobuf("it ends within a number")
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place
        shift += 7
    raise NotProtobuf("a number that is too long")
