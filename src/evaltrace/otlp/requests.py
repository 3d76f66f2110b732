"""Files of requests: OTLP/JSON, one request or one a line, and protobuf; gzip is undone."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from evaltrace.errors import Problem, UnreadablePath
from evaltrace.jsontext import Malformed, decode
from evaltrace.otlp.protobuf import NotProtobuf, from_protobuf, to_protobuf

FORMS = ("json", "jsonl", "protobuf")

_ANY = msgspec.json.Decoder(Any)
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_FRAMED, _REQUEST = b"\x00", b"\x0a"
_MAX_LENGTH = 1 << 30
"""Bytes of an unpacked file: more than this is a trap, or belongs into several files."""


def read_requests(path: str | Path) -> Iterator[dict[str, Any] | Problem]:
    """Read the requests of a file in their JSON form; one that is broken is a problem.

    The file holds one document, several, one a line as the collector writes them, or protobuf.
    Raises UnreadablePath.
    """
    name = Path(path).name
    try:
        content = _unpacked(Path(path).read_bytes(), str(path))
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Check the name, and that you may read it."
        raise UnreadablePath(f"Cannot read ({reason})", where=str(path), hint=hint) from None
    head = content[:1]
    if head == _FRAMED or (head == _REQUEST and not content.lstrip().startswith((b"{", b"["))):
        yield from _protobuf(content, name)
    else:
        yield from _json(content, name)


def _unpacked(content: bytes, path: str) -> bytes:
    if content.startswith(_ZSTD):
        hint = "Unpack it first: zstd -d FILE"
        raise UnreadablePath("It is compressed with zstd", where=path, hint=hint)
    if not content.startswith(_GZIP):
        return content
    unpacker = zlib.decompressobj(wbits=31)
    unpacked = unpacker.decompress(content, _MAX_LENGTH)
    if unpacker.unconsumed_tail:
        raise UnreadablePath("It unpacks to more than 1 GB", where=path, hint="Split it.")
    if not unpacker.eof:
        raise EOFError("it ends within the compressed part")
    return unpacked


def _json(content: bytes, name: str) -> Iterator[Any]:
    try:
        # One document, over however many lines.
        value, _ = decode(content, _ANY)
    except Malformed:
        for number, line in enumerate(content.splitlines(), 1):
            if line.strip():
                yield from _json_line(line, f"{name}:{number}")
        return
    yield from value if isinstance(value, list) else [value]


def _json_line(line: bytes, place: str) -> Iterator[Any]:
    try:
        value, _ = decode(line, _ANY)
    except Malformed as fault:
        yield _problem(place, f"no JSON: {fault}")
        return
    yield value


def _protobuf(content: bytes, name: str) -> Iterator[dict[str, Any] | Problem]:
    try:
        for message in _messages(memoryview(content)):
            yield from_protobuf(message)
    except NotProtobuf as fault:
        yield _problem(name, f"no OTLP protobuf: {fault}")


def _messages(content: memoryview) -> Iterator[memoryview]:
    """Give the messages of a file: the whole, or each after its length as the collector writes."""
    if bytes(content[:1]) != _FRAMED:
        yield content
        return
    place = 0
    while place < len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        place += 4
        if place + length > len(content):
            raise NotProtobuf("it ends within a message")
        yield content[place : place + length]
        place += length


def _problem(place: str, message: str) -> Problem:
    hint = "Write it with the OTLP/JSON or the protobuf encoding; the rest was read."
    return Problem(code="malformed_request", path=place, message=message, hint=hint)


def write_requests(out: BinaryIO, requests: Iterable[dict[str, Any]], form: str) -> int:
    """Write requests and give the number of spans: one document, one request a line, protobuf."""
    spans = 0
    separator = b'{"resourceSpans":['
    for request in requests:
        spans += sum(1 for _ in _spans(request))
        if form == "protobuf":
            out.write(to_protobuf(request))
        elif form == "jsonl":
            out.write(msgspec.json.encode(request) + b"\n")
        else:
            for group in request["resourceSpans"]:
                out.write(separator + b"\n" + msgspec.json.encode(group))
                separator = b","
    if form == "json":
        out.write((separator if len(separator) > 1 else b"") + b"\n]}\n")
    return spans


def _spans(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for group in request["resourceSpans"]:
        for scoped in group["scopeSpans"]:
            yield from scoped["spans"]


def batches(requests: Iterable[dict[str, Any]], most: int, weight: int) -> Iterator[dict[str, Any]]:
    """Split and join requests into some of at most `most` spans and about `weight` bytes."""
    held: list[dict[str, Any]] = []
    spans = size = 0
    for group in (group for request in requests for group in request["resourceSpans"]):
        for piece, length in _pieces(group, most, weight):
            count = len(piece["scopeSpans"][0]["spans"])
            if held and (spans + count > most or size + length > weight):
                yield {"resourceSpans": held}
                held, spans, size = [], 0, 0
            held.append(piece)
            spans, size = spans + count, size + length
    if held:
        yield {"resourceSpans": held}


def _pieces(group: dict[str, Any], most: int, weight: int) -> Iterator[tuple[dict[str, Any], int]]:
    for scoped in group["scopeSpans"]:
        taken: list[dict[str, Any]] = []
        size = 0
        for span in scoped["spans"]:
            length = len(msgspec.json.encode(span))
            if taken and (len(taken) >= most or size + length > weight):
                yield {**group, "scopeSpans": [{**scoped, "spans": taken}]}, size
                taken, size = [], 0
            taken.append(span)
            size += length
        yield {**group, "scopeSpans": [{**scoped, "spans": taken}]}, size


def packed(content: bytes) -> bytes:
    """Compress a body; the same content gives the same bytes."""
    return gzip.compress(content, compresslevel=6, mtime=0)
