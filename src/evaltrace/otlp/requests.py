"""Files of requests: OTLP/JSON, one request or one a line, and protobuf; gzip is undone."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from evaltrace.errors import Problem, UnreadablePath
from evaltrace.jsontext import Malformed, decode
from evaltrace.otlp.protobuf import NotProtobuf, from_protobuf, to_protobuf

_ANY = msgspec.json.Decoder(Any)
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_FRAMED, _REQUEST = b"\x00", b"\x0a"
_LONGEST = 1 << 28
"""Bytes of one document: more than this is a trap, or belongs into several."""
_MOST_VALUES = 1 << 24
"""Values in one document: each takes some 70 bytes, were it only two brackets in the file."""
_PIECE = 1 << 20
_MOST_BROKEN = 1000
"""Broken lines, with no good one among them, after which a file is something else."""
_File = BufferedReader | gzip.GzipFile


def read_requests(path: str | Path) -> Iterator[Any | Problem]:
    """Read the requests of a file in their JSON form; one that is broken is a problem.

    The file holds one document, several, one a line as the collector writes them, or protobuf.
    Of a file of lines or of messages, one at a time is in memory. Raises UnreadablePath.
    """
    try:
        with Path(path).open("rb") as raw:
            yield from _requests(_unpacked(raw), Path(path).name)
    except _Refused as refusal:
        what, hint = refusal.args
        raise UnreadablePath(what, where=str(path), hint=hint) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        yield _problem(Path(path).name, f"the compressed file is broken: {error}")
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "Check the name, and that you may read it."
        raise UnreadablePath(f"Cannot read ({reason})", where=str(path), hint=hint) from None


class _Refused(Exception):
    """A file that is not read on: what is wrong with it, and what to do."""


def _unpacked(raw: BufferedReader) -> _File:
    head = raw.peek(4)
    if head.startswith(_ZSTD):
        raise _Refused("It is compressed with zstd", "Unpack it first: zstd -d FILE")
    # Several compressed parts after one another are one file.
    return gzip.GzipFile(fileobj=raw) if head.startswith(_GZIP) else raw


def _requests(file: _File, name: str) -> Iterator[Any]:
    head = file.peek(1)[:1]
    if head == _FRAMED:
        yield from _framed(file, name)
    elif head == _REQUEST:
        yield from _line_feed_first(_bounded(file.read(_LONGEST + 1)), name)
    else:
        yield from _json(file, name)


def _bounded(content: bytes) -> bytes:
    _check_length(len(content))
    return content


def _check_length(length: int) -> None:
    if length > _LONGEST:
        hint = "Split it: one request a line, or several files."
        raise _Refused(f"A document in it is longer than {_LONGEST >> 20} MB", hint)


# Into one buffer that grows: pieces that are joined are there twice.


def _line_of(file: _File | BytesIO) -> bytearray:
    line = bytearray()
    while piece := file.readline(_PIECE):
        line += piece
        _check_length(len(line))
        if piece.endswith(b"\n"):
            break
    _check_values(line)
    return line


def _add_rest(content: bytearray, file: _File | BytesIO) -> None:
    while piece := file.read(_PIECE):
        content += piece
        _check_length(len(content))
    _check_values(content)


def _check_values(content: bytearray) -> None:
    # Looked for only where there is room for so many.
    if len(content) > _MOST_VALUES and sum(map(content.count, b"[{,")) > _MOST_VALUES:
        hint = "Split it: one request a line, or several files."
        raise _Refused(f"A document in it has more than {_MOST_VALUES:,} values", hint)


def _lines_within(content: bytearray) -> Iterator[bytearray]:
    start = 0
    while start < len(content):
        end = content.find(b"\n", start) + 1 or len(content)
        yield content[start:end]
        start = end


def _line_feed_first(content: bytes, name: str) -> Iterator[Any]:
    """Read what begins with a line feed: protobuf does, and JSON may."""
    try:
        yield from_protobuf(content)
    except NotProtobuf as fault:
        # Not by its looks alone: protobuf of 123 bytes goes on with a brace.
        if content.lstrip().startswith((b"{", b"[")):
            yield from _json(BytesIO(content), name)
        else:
            yield _problem(name, f"no OTLP protobuf: {fault}")


def _json(file: _File | BytesIO, name: str) -> Iterator[Any]:
    content = _line_of(file)
    try:
        value, _ = decode(content, _ANY)
    except Malformed:
        # One document over several lines, or lines of which the first is blank or broken.
        _add_rest(content, file)
        try:
            value, _ = decode(content, _ANY)
        except Malformed:
            yield from _lines(_lines_within(content), name)
            return
    del content
    yield from _of_document(value)
    del value
    yield from _lines(iter(lambda: _line_of(file), b""), name, 1)


def _of_document(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _lines(lines: Iterable[bytearray], name: str, good: int = 0) -> Iterator[Any]:
    """Read a request a line, after `good` ones that were read."""
    broken = 0
    for number, line in enumerate(lines, good + 1):
        if not line.strip():
            continue
        try:
            value, _ = decode(line, _ANY)
        except Malformed as fault:
            yield _problem(f"{name}:{number}", f"no JSON: {fault}")
            broken += 1
            if broken == _MOST_BROKEN and not good:
                raise _Refused("It is no file of requests", "See docs/otlp.md.") from None
            continue
        good += 1
        yield from _of_document(value)


def _framed(file: _File, name: str) -> Iterator[dict[str, Any] | Problem]:
    """Read messages that each come after their length, as the collector writes them."""
    while head := file.read(4):
        length = int.from_bytes(head, "big")
        content = file.read(min(length, _LONGEST))
        if not length or len(content) < length:
            yield _problem(name, "no OTLP protobuf: it ends within a message")
            return
        try:
            yield from_protobuf(content)
        except NotProtobuf as fault:
            yield _problem(name, f"no OTLP protobuf: {fault}")


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
