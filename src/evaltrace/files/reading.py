"""Files of traces, read a trace at a time in whatever spelling they have."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, TypeGuard

import msgspec

from evaltrace.errors import NotATraceFile, Problem, StoreFailure, UnreadablePath
from evaltrace.files.forms import is_database, is_dataset, is_parquet, recordings_in
from evaltrace.files.stored import read_stored, stored_documents
from evaltrace.files.writing import HEAD_END
from evaltrace.jsontext import Malformed, decode
from evaltrace.remote import url_of
from evaltrace.trace import Input, Trace

STANDARD_INPUT = Path("-")
"""The path that is read from standard input."""

MAX_LINE = 512 * 2**20
"""Bytes of one line: a trace, or a whole document; more is a trap."""

_TRACE = msgspec.json.Decoder(Trace)
_ANY = msgspec.json.Decoder(Any)
_TRIES = 10
_BUFFER = 1 << 16
_POSITION = re.compile(r"line (\d+) column (\d+)(?: \(char \d+\))?")
_MAKE_ONE = "Make one from a job directory: evaltrace aggregate JOB -o FILE"
_HINTS: dict[type[OSError], str] = {
    FileNotFoundError: f"Check the name. {_MAKE_ONE}",
    PermissionError: "Check that you may read it and the folders above it.",
    IsADirectoryError: _MAKE_ONE,
}


class Frame(msgspec.Struct, kw_only=True):
    """What stands around the traces of a file: the jobs they come from, and their problems."""

    inputs: list[Input] = []
    problems: list[Problem] = []


def read_traces(path: str | Path) -> Iterator[Trace]:
    """Read the traces of a file: a file of traces, JSONL, an array, one trace, Parquet, a store.

    A data set is named by its folder, and so are recordings. Files as evaltrace writes them and
    stores are read in the memory of one trace, Parquet in that of a few. Raises UnreadablePath,
    StoreFailure, and NotATraceFile at the first thing that is no trace. The path "-" is standard
    input; files may follow each other, as `cat` joins them.
    """
    return (item for item in read_items(path) if isinstance(item, Trace))


def read_items(
    path: str | Path, watch: Callable[[bytes], object] | None = None
) -> Iterator[Trace | Frame]:
    """Read the traces of a file as read_traces does, and after them what surrounds them.

    `watch` sees every line as it passes, so that a pipe can be digested too; of Parquet and
    of a store, the JSON of each trace.
    """
    path = Path(path)
    if path != STANDARD_INPUT and is_database(path):
        yield from read_stored(path, watch)
        return
    recorded = recordings_in(path)
    if recorded:
        for file in recorded:
            yield from read_items(file, watch)
        return
    name = _name(path)
    for piece in _read_pieces(path, watch):
        if piece.form == "fault":
            raise _no_trace_file(name, piece.place, bytes(piece.text).decode())
        try:
            yield from _traces_in(piece, name)
        except Malformed as fault:
            raise _no_trace_file(name, piece.place, _reason(fault, piece)) from None


def read_documents(path: Path) -> Iterator[tuple[str, str, Any]]:
    """Read what a file holds as plain values to validate: (place, kind, document).

    The files of a data set are held against their digests first, a store is checked. `kind` is
    "trace", "traces" (what surrounds the traces, without them), or "malformed" with a message
    as the document. A place is like "$", "$.traces[3]", "line 7", "line 7: $[0]" or "session ID".
    """
    try:
        if path != STANDARD_INPUT and is_database(path):
            yield from stored_documents(path)
        else:
            yield from _all_documents(path)
    except NotATraceFile as error:  # Parquet that is damaged as a whole
        yield "$", "malformed", error.where or error.what
    except StoreFailure as error:
        yield "$", "malformed", error.what


def _all_documents(path: Path) -> Iterator[tuple[str, str, Any]]:
    recorded = recordings_in(path)
    if recorded:
        for file in recorded:
            found = read_documents(file)
            yield from ((f"{file.name}: {place}", kind, item) for place, kind, item in found)
        return
    if path != STANDARD_INPUT and is_dataset(path):
        from evaltrace.files.dataset import verify_files

        yield from ((place, "malformed", reason) for place, reason in verify_files(path))
    for piece in _read_pieces(path):
        if piece.form == "fault":
            yield piece.place, "malformed", bytes(piece.text).decode()
            continue
        try:
            value, mended = decode(piece.text, _ANY)
        except Malformed as fault:
            yield piece.place, "malformed", _reason(fault, piece)
            continue
        if mended:
            yield piece.place, "malformed", f"not strict JSON: {mended}"
        if piece.form == "frame":
            yield piece.place, "traces", value
            continue
        yield from ((place, "trace", item) for place, item in _unfold(piece.place, value))
        if _holds_traces(value):
            yield piece.place, "traces", {**value, "traces": []}


class _Piece(NamedTuple):
    """A part of a file: JSON text, or (a fault) the reason why there is none."""

    place: str
    form: Literal["value", "frame", "fault"]
    text: bytes | memoryview
    numbers: Sequence[int] = ()
    """Which lines of the file those of the text are."""


_Line = tuple[int, bytes]


def _read_pieces(path: Path, watch: Callable[[bytes], object] | None = None) -> Iterator[_Piece]:
    if path != STANDARD_INPUT and is_parquet(path):
        yield from _pieces_of_parquet(path, watch)
        return
    try:
        with _opened(path) as file:
            # Nothing seeks: the file may be a pipe.
            lines = _lines(file, _name(path))
            given = lines if watch is None else _watched(lines, watch)
            yield from _pieces(
                (number, line) for number, line in enumerate(given, 1) if not line.isspace()
            )
    except OSError as error:
        reason = error.strerror or str(error)
        hint = _HINTS.get(type(error))
        raise UnreadablePath(f"Cannot read ({reason})", where=_name(path), hint=hint) from None


def _pieces_of_parquet(path: Path, watch: Callable[[bytes], object] | None) -> Iterator[_Piece]:
    from evaltrace.files.dataset import read_frame, read_texts

    for place, text in read_texts(path):
        if watch is not None:
            watch(text + b"\n")
        yield _Piece(place, "value", text)
    frame = read_frame(path)
    if frame is not None:
        yield _Piece("$", "frame", frame)


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise _no_trace_file(name, f"line {number}", f"longer than {MAX_LINE >> 20} MB")
        yield line


def _watched(file: Iterable[bytes], watch: Callable[[bytes], object]) -> Iterator[bytes]:
    for line in file:
        watch(line)
        yield line


def _opened(path: Path) -> AbstractContextManager[BinaryIO]:
    url = url_of(path)
    if url is not None:
        from evaltrace.remote import open_input

        return open_input(url)
    if path != STANDARD_INPUT:
        return path.open("rb", buffering=_BUFFER)
    if sys.stdin is None:
        raise OSError("it is closed")
    return nullcontext(sys.stdin.buffer)


def _name(path: Path) -> str:
    return "standard input" if path == STANDARD_INPUT else url_of(path) or str(path)


def _pieces(lines: Iterator[_Line]) -> Iterator[_Piece]:
    opening = list(islice(lines, 2))
    if not opening:
        yield _Piece("$", "fault", b"the file is empty")
    before = ""
    while opening:
        rest = chain(opening, lines)
        if _is_framed(opening):
            yield from _framed(rest, before)
        elif len(opening) == 2 and _is_json(opening[0][1]):
            yield from (_value(f"line {number}", [(number, line)]) for number, line in rest)
        else:
            yield from _whole(list(rest), before)
        opening = list(islice(lines, 2))
        # Another file follows the first one: what it holds is named by the line it begins on.
        before = f"line {opening[0][0]}: " if opening else ""


def _value(place: str, lines: list[_Line]) -> _Piece:
    text = b"".join(line for _, line in lines)
    return _Piece(place, "value", text, [number for number, _ in lines])


def _is_framed(opening: list[_Line]) -> bool:
    if len(opening) < 2:
        return False
    head, first = (line.strip() for _, line in opening)
    whole = first.startswith(b"{") and first.rstrip(b",").endswith(b"}") and len(first) > 2
    if not head.endswith(HEAD_END) or not (whole or first.startswith(b"]")):
        return False
    return _is_json(head + b"]}")


def _framed(lines: Iterator[_Line], before: str) -> Iterator[_Piece]:
    head = next(lines)
    continues = False
    for index, (number, line) in enumerate(lines):
        text, comma = _item(line)
        closing = text[:1] == b"]"
        if index and continues is closing:
            fault = b"a comma too many before this" if closing else b"no comma before this"
            yield _Piece(f"line {number}", "fault", fault)
        continues = comma
        if closing:
            frame = [head, *_tail(head[1], (number, line), lines)]
            yield _value(f"{before}$", frame)._replace(form="frame")
            return
        place = f"{before}$.traces[{index}]"
        yield _Piece(place, "value", text, [number])
    yield _Piece(f"{before}$", "fault", b"cut off: the list of traces does not end")


def _item(line: bytes) -> tuple[bytes | memoryview, bool]:
    """Give an item of a list without the space and the comma around it, and whether it had one."""
    if line[:1] == b"{" and line[-3:] == b"},\n":
        return memoryview(line)[:-2], True  # as we write it: not copied
    text = line.strip()
    return text.removesuffix(b","), text.endswith(b",")


def _tail(head: bytes, first: _Line, lines: Iterator[_Line]) -> list[_Line]:
    """Take the lines up to the end of the document, all of them if it does not end."""
    tail: list[_Line] = []
    tries = 0
    for number, line in chain([first], lines):
        tail.append((number, line))
        # A broken tail is not parsed again and again.
        if tries < _TRIES and (line.rstrip().endswith(b"]}") or line.strip() == b"}"):
            tries += 1
            if _is_json(head + b"".join(part for _, part in tail)):
                break
    return tail


def _whole(lines: list[_Line], before: str) -> Iterator[_Piece]:
    whole = _value(f"{before}$", lines)
    if len(lines) == 1 or _is_json(whole.text):
        yield whole
        return
    documents = _documents(lines)
    if any(_is_json(_value("", document).text) for document in documents):
        yield from (_value(f"line {document[0][0]}", document) for document in documents)
    else:
        yield whole


def _documents(lines: list[_Line]) -> list[list[_Line]]:
    """Separate documents that follow each other, one a line or indented as jq does."""
    if any(line.startswith(b"{") and len(line) > 4 and _is_json(line) for _, line in lines):
        return [[line] for line in lines]
    documents: list[list[_Line]] = []
    start = 0
    for end, (_, line) in enumerate(lines, start=1):
        if line.rstrip() in (b"}", b"]") or end == len(lines):
            documents.append(lines[start:end])
            start = end
    return documents


def _is_json(text: bytes | memoryview) -> bool:
    try:
        decode(text, _ANY)
    except Malformed:
        return False
    return True


def _traces_in(piece: _Piece, name: str) -> Iterator[Trace | Frame]:
    try:
        yield _TRACE.decode(piece.text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value, _ = decode(piece.text, _ANY)
        if piece.form != "frame":
            for place, item in _unfold(piece.place, value):
                yield _to_trace(item, name, place)
        if _holds_traces(value):
            yield _to_frame(value)


def _to_frame(value: dict[str, Any]) -> Frame:
    """Take what is known of the surroundings; rows that are none of ours are left out."""
    parts: dict[str, list[Any]] = {}
    for key, kind in (("inputs", Input), ("problems", Problem)):
        rows = value.get(key)
        parts[key] = [
            row
            for item in (rows if isinstance(rows, list) else ())
            if (row := _converted(item, kind))
        ]
    return Frame(**parts)


def _converted(item: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(item, kind)
    except msgspec.ValidationError:
        return None


def _to_trace(value: Any, name: str, place: str) -> Trace:
    try:
        return msgspec.convert(value, Trace)
    except msgspec.ValidationError as error:
        raise _no_trace_file(name, place, str(error)) from None


def _unfold(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    below = place if place.endswith("$") else f"{place}: $"
    if _holds_traces(value):
        below, value = f"{below}.traces", value["traces"]
    if isinstance(value, list):
        yield from ((f"{below}[{index}]", item) for index, item in enumerate(value))
    else:
        yield place, value


def _holds_traces(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and isinstance(value.get("traces"), list)


def _reason(fault: Malformed, piece: _Piece) -> str:
    """Say why a piece is no JSON, with the place in the file rather than in the piece."""

    def in_file(match: re.Match[str]) -> str:
        line = min(int(match[1]), len(piece.numbers)) - 1
        return f"line {piece.numbers[line]} column {match[2]}"

    reason = _POSITION.sub(in_file, str(fault)) if piece.numbers else str(fault)
    return f"not JSON: {reason}" if fault.code == "not_json" else reason


def _no_trace_file(name: str, place: str, reason: str) -> NotATraceFile:
    return NotATraceFile(
        "Not a file of traces", where=f"{name} at {place}: {reason}", hint=_MAKE_ONE
    )
