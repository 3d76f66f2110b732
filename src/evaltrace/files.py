"""Files of traces: written whole or not at all, read line by line.

The layout we write is one valid JSON document that is also a stream: a head line, one
trace a line, and a tail. Whatever was re-serialised since is read as well.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeGuard

import msgspec

from evaltrace.errors import NotATraceFile, OutputFailure, Problem, UnreadablePath
from evaltrace.jsontext import Malformed, decode
from evaltrace.trace import SCHEMA_VERSION, Input, Tool, Trace

ARCHIVE = Path("history/runs")
"""Where earlier outputs are moved to, a folder a day."""

_TRACE = msgspec.json.Decoder(Trace)
_ANY = msgspec.json.Decoder(Any)
_HEAD_END = b'"traces":['
_MAKE_ONE = "Make one from a job directory: evaltrace aggregate JOB -o FILE"


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that appears complete when the block ends, or not at all.

    A link is written through, an existing file keeps its permissions. What cannot be
    replaced, such as /dev/null or a named pipe, is written directly.
    Raises OutputFailure; any other exception leaves an existing file as it was.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise IsADirectoryError("it is a directory")
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with _replacement(target) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _output_failure("Cannot write the output", path, error) from error


@contextmanager
def _replacement(target: Path) -> Iterator[BinaryIO]:
    temporary, file = _new_file(target.parent)
    try:
        with file:
            yield file
            file.flush()
            if target.exists():
                os.fchmod(file.fileno(), stat.S_IMODE(target.stat().st_mode))
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _new_file(folder: Path) -> tuple[Path, BinaryIO]:
    # Not tempfile: its files are closed to everybody else, whatever the umask says.
    for number in count(1):
        path = folder / f".evaltrace-{os.getpid()}-{number}.tmp"
        try:
            return path, path.open("xb")
        except FileExistsError:
            continue
    raise AssertionError


def _output_failure(what: str, path: Path, error: OSError) -> OutputFailure:
    reason = error.strerror or str(error)
    hint = "Check that the folder may be written to and has space left, or name another file."
    return OutputFailure(f"{what} ({reason})", where=str(path), hint=hint)


def archive(path: Path, day: date, root: Path = ARCHIVE) -> Path | None:
    """Move an existing file to `root/YYYY-MM-DD/` and give its new path; None if there is none.

    A name that is taken there gets -2, -3 and so on before its suffix.
    """
    if not path.is_file():
        return None
    folder = root / day.isoformat()
    names = chain([path.name], (f"{path.stem}-{number}{path.suffix}" for number in count(2)))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = next(folder / name for name in names if not os.path.lexists(folder / name))
        shutil.move(path, target)
    except OSError as error:
        raise _output_failure("Cannot move the earlier output", path, error) from error
    return target


def write_traces(
    out: BinaryIO,
    *,
    tool: Tool,
    inputs: list[Input],
    traces: Iterable[bytes],
    problems: list[Problem],
) -> int:
    """Write a file of traces and give their number.

    Each trace is encoded already. `problems` is read last: it may grow until `traces` ends.
    """
    head = {"schema_version": SCHEMA_VERSION, "tool": tool, "inputs": inputs}
    out.write(msgspec.json.encode(head)[:-1] + b"," + _HEAD_END)
    written = _write_items(out, traces)
    out.write(b'\n],"problems":[')
    if _write_items(out, map(msgspec.json.encode, problems)):
        out.write(b"\n")
    out.write(b"]}\n")
    return written


def _write_items(out: BinaryIO, items: Iterable[bytes]) -> int:
    number = 0
    for number, item in enumerate(items, start=1):
        out.write((b"\n" if number == 1 else b",\n") + item)
    return number


def write_jsonl(out: BinaryIO, traces: Iterable[bytes]) -> int:
    """Write encoded traces one a line and give their number."""
    written = 0
    for trace in traces:
        out.write(trace + b"\n")
        written += 1
    return written


def read_traces(path: str | Path) -> Iterator[Trace]:
    """Read the traces of a file: a file of traces, JSONL, an array, or one trace.

    Files as evaltrace writes them are read in the memory of one trace. Raises
    UnreadablePath, and NotATraceFile at the first thing that is no trace.
    """
    path = Path(path)
    for piece in _read_pieces(path):
        if piece.form == "fault":
            raise _no_trace_file(path, piece.place, piece.text.decode())
        try:
            yield from _traces_in(piece, path)
        except Malformed as fault:
            raise _no_trace_file(path, piece.place, _reason(fault)) from None


def read_documents(path: Path) -> Iterator[tuple[str, str, Any]]:
    """Read what a file holds as plain values to validate: (place, kind, document).

    `kind` is "trace", "traces" (what surrounds the traces, without them), or "malformed"
    with a message as the document. A place is like "$", "$.traces[3]" or "line 7".
    """
    for piece in _read_pieces(path):
        if piece.form == "fault":
            yield piece.place, "malformed", piece.text.decode()
            continue
        try:
            value, mended = decode(piece.text, _ANY)
        except Malformed as fault:
            yield piece.place, "malformed", _reason(fault)
            continue
        if mended:
            yield piece.place, "malformed", f"not strict JSON: {mended}"
        if piece.form == "frame":
            yield piece.place, "traces", value
            continue
        yield from ((place, "trace", item) for place, item in _unfold(piece.place, value))
        if _holds_traces(value):
            yield piece.place, "traces", {**value, "traces": []}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a file: JSON text, or (a fault) the reason why there is none."""

    place: str
    form: Literal["value", "frame", "fault"]
    text: bytes


_Line = tuple[int, bytes]


def _read_pieces(path: Path) -> Iterator[_Piece]:
    try:
        with path.open("rb") as file:
            # Nothing seeks: the file may be a pipe.
            yield from _pieces(
                (number, line) for number, line in enumerate(file, 1) if line.strip()
            )
    except OSError as error:
        hint = _MAKE_ONE if isinstance(error, IsADirectoryError) else None
        reason = error.strerror or str(error)
        raise UnreadablePath(f"Cannot read ({reason})", where=str(path), hint=hint) from None


def _pieces(lines: Iterator[_Line]) -> Iterator[_Piece]:
    opening = list(islice(lines, 2))
    lines = chain(opening, lines)
    if not opening:
        yield _Piece("$", "fault", b"the file is empty")
    elif _is_framed(opening):
        yield from _framed(lines)
    elif len(opening) == 2 and _is_json(opening[0][1]):
        yield from (_Piece(f"line {number}", "value", line) for number, line in lines)
    else:
        yield from _whole(list(lines))


def _is_framed(opening: list[_Line]) -> bool:
    if len(opening) < 2:
        return False
    head, first = (line.strip() for _, line in opening)
    whole = first.startswith(b"{") and first.rstrip(b",").endswith(b"}") and len(first) > 2
    if not head.endswith(_HEAD_END) or not (whole or first.startswith(b"]")):
        return False
    return _is_json(head + b"]}")


def _framed(lines: Iterator[_Line]) -> Iterator[_Piece]:
    _, head = next(lines)
    continues = False
    for index, (number, line) in enumerate(lines):
        text = line.strip()
        closing = text.startswith(b"]")
        if index and continues is closing:
            fault = b"a comma too many before this" if closing else b"no comma before this"
            yield _Piece(f"line {number}", "fault", fault)
        if closing:
            tail = b"".join(chain([line], (rest for _, rest in lines)))
            yield _Piece("$", "frame", head + tail)
            return
        continues = text.endswith(b",")
        yield _Piece(f"$.traces[{index}]", "value", text.removesuffix(b","))
    yield _Piece("$", "fault", b"cut off: the list of traces does not end")


def _whole(lines: list[_Line]) -> Iterator[_Piece]:
    text = b"".join(line for _, line in lines)
    if len(lines) == 1 or _is_json(text):
        yield _Piece("$", "value", text)
        return
    documents = _documents(lines)
    if any(_is_json(document) for _, document in documents):
        yield from (_Piece(f"line {number}", "value", document) for number, document in documents)
    else:
        yield _Piece("$", "value", text)


def _documents(lines: list[_Line]) -> list[_Line]:
    """Separate documents that follow each other, one a line or indented as jq does."""
    if any(line.startswith(b"{") and len(line) > 4 and _is_json(line) for _, line in lines):
        return lines
    documents: list[_Line] = []
    start = 0
    for end, (_, line) in enumerate(lines, start=1):
        if line.rstrip() in (b"}", b"]") or end == len(lines):
            text = b"".join(line for _, line in lines[start:end])
            documents.append((lines[start][0], text))
            start = end
    return documents


def _is_json(text: bytes) -> bool:
    try:
        decode(text, _ANY)
    except Malformed:
        return False
    return True


def _traces_in(piece: _Piece, path: Path) -> Iterator[Trace]:
    try:
        yield _TRACE.decode(piece.text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value, _ = decode(piece.text, _ANY)
        if piece.form == "frame":
            return
        for place, item in _unfold(piece.place, value):
            yield _to_trace(item, path, place)


def _to_trace(value: Any, path: Path, place: str) -> Trace:
    try:
        return msgspec.convert(value, Trace)
    except msgspec.ValidationError as error:
        raise _no_trace_file(path, place, str(error)) from None


def _unfold(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _holds_traces(value):
        place, value = f"{place}.traces", value["traces"]
    if isinstance(value, list):
        yield from ((f"{place}[{index}]", item) for index, item in enumerate(value))
    else:
        yield place, value


def _holds_traces(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and isinstance(value.get("traces"), list)


def _reason(fault: Malformed) -> str:
    return f"not JSON: {fault}" if fault.code == "not_json" else str(fault)


def _no_trace_file(path: Path, place: str, reason: str) -> NotATraceFile:
    return NotATraceFile(
        "Not a file of traces", where=f"{path} at {place}: {reason}", hint=_MAKE_ONE
    )
