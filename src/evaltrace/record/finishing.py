"""The end of a journal: its trace is written, and only then is it removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from evaltrace.errors import OutputFailure
from evaltrace.files import whole_file
from evaltrace.record.events import Gathered
from evaltrace.record.folding import to_trace
from evaltrace.record.journal import Journal, read_lines
from evaltrace.record.lines import Head, Line
from evaltrace.record.places import release
from evaltrace.record.redacting import without_secrets
from evaltrace.trace import Trace

_ENDING = ".ending"
_EVENTS_AT_ONCE = 1000


@dataclass(frozen=True)
class Ending:
    """A run that ends: where, what it was, its journal, and how it ended."""

    folder: Path
    head: Head
    journal: Journal
    line: Line


Failures = list[tuple[str, BaseException]]


def finish(ending: Ending) -> tuple[Trace | None, Failures]:
    """Write the trace of a run, remove its journal, and give the trace with what went wrong.

    None without a failure for one that another process has ended meanwhile.
    """
    journal = ending.journal
    with journal.lock:
        if journal.ended:
            return None, []
        journal.ended = True
    try:
        lock = _wait_alone(journal.path)
        try:
            if journal.is_finished():
                return None, []
            return _write(ending)
        finally:
            _unlock(lock, journal.path)
    finally:
        journal.close()


def _write(ending: Ending) -> tuple[Trace | None, Failures]:
    journal, failures = ending.journal, Failures()
    found = Gathered(ending.head)
    place = gather_lines(found, journal.descriptor)
    for record in journal.spare:
        found.take(record)
    found.end = found.end or ending.line
    try:
        trace = finished_trace(found, ending.head)
    except Exception as error:  # such as no file left to open: its secrets may still be in it
        return None, [("the trace cannot be made, its journal stays", error)]
    try:
        write_trace(trace, ending.folder, ending.head)
    except OutputFailure as error:
        return trace, [("the trace cannot be written, its journal stays", error)]
    remove_journal(journal.path, ending.folder, ending.head)
    # What others wrote while this was being written, they wrote in time.
    if journal.descriptor is not None and _gather_late(found, journal.descriptor, place):
        try:
            trace = finished_trace(found, ending.head)
            write_trace(trace, ending.folder, ending.head)
        except Exception as error:
            failures.append(("late events could not be added", error))
    return trace, failures


def finished_trace(found: Gathered, head: Head, *, abandoned: bool = False) -> Trace:
    """Make the trace of what was gathered, without its secrets. Raises SecretsLeft."""
    return without_secrets(to_trace(found, abandoned=abandoned), head, _pieces)


def gather_lines(found: Gathered, descriptor: int | None) -> int:
    """Take the lines that a journal has by now, but for the first; give the place of its end."""
    if descriptor is None:
        return 0
    end = os.fstat(descriptor).st_size
    for number, (record, _) in enumerate(read_lines(descriptor, 0, end)):
        if number:
            found.take(record)
    return end


def _gather_late(found: Gathered, descriptor: int, place: int) -> bool:
    """Take the lines from a place on, of a journal that is removed; tell whether there are any.

    Its writers see that it is removed, and stop.
    """
    late = False
    for record, _ in read_lines(descriptor, place):
        found.take(record)
        late = True
    return late


def write_trace(trace: Trace, folder: Path, head: Head) -> Path:
    """Write a trace to its file, whole or not at all. Raises OutputFailure."""
    path = folder / head.file
    with whole_file(path) as file:
        file.writelines(_pieces(trace))
    return path


def _pieces(trace: Trace) -> Iterator[bytes]:
    """Encode a trace bit by bit: the text of a million events is never there as a whole."""
    opening = b"{"
    for name in trace.__struct_fields__:
        yield opening + msgspec.json.encode(name) + b":"
        value = getattr(trace, name)
        if name == "events" and value:
            yield b"["
            for start in range(0, len(value), _EVENTS_AT_ONCE):
                rows = msgspec.json.encode(value[start : start + _EVENTS_AT_ONCE])
                yield (b"," if start else b"") + rows[1:-1]
            yield b"]"
        else:
            yield msgspec.json.encode(value)
        opening = b","
    yield b"}\n"


def remove_journal(path: Path, folder: Path, head: Head) -> None:
    """Remove a journal whose trace is written, and the mark that holds its name."""
    with suppress(OSError):
        path.unlink()
    release(folder, head.file)


def _wait_alone(path: Path) -> int | None:
    """Wait until no other process ends the same run."""
    try:
        import fcntl

        lock = os.open(path.with_suffix(_ENDING), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (ImportError, OSError):
        return None
    with suppress(OSError):  # a file system without locks
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def _unlock(lock: int | None, path: Path) -> None:
    if lock is None:
        return
    with suppress(OSError):
        path.with_suffix(_ENDING).unlink()
    os.close(lock)
