"""Journals whose program is gone, made into traces; and what lies in a folder of recordings."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from evaltrace.errors import EvaltraceError, OutputFailure, Problem, UnreadablePath
from evaltrace.record.clocks import to_stamp
from evaltrace.record.events import Gathered
from evaltrace.record.finishing import finished_trace, gather_lines, remove_journal, write_trace
from evaltrace.record.journal import lock_alone, read_head, read_lines
from evaltrace.record.lines import Head
from evaltrace.record.places import HIDDEN, SUFFIX, release, reserve, reserved
from evaltrace.record.stores import StoreChoice, add_to_store, divided
from evaltrace.trace import Trace
from evaltrace.untrusted import clean

State = Literal["running", "abandoned", "finished"]

_DEAD_AFTER = 86_400
"""Seconds without a write after which a journal is abandoned where nobody can lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A recording in a folder: what it is, how far it is, and the file it has or will have."""

    state: State
    trace_id: str
    agent: str | None
    task_type: str | None
    started_at: str | None
    status: str
    events: int
    file: str


def recover(
    folder: str | os.PathLike[str],
    *,
    dry_run: bool = False,
    store: StoreChoice = None,
) -> list[Trace | Problem]:
    """Finish the traces whose programs ended without ending them, in order of their start.

    They are cancelled, unless the program said how it ended before it was stopped. What is
    still being recorded is left alone. `dry_run` gives the traces and writes nothing.
    Raises UnreadablePath where there is no such folder.
    """
    found: list[tuple[str, Trace | Problem]] = []
    for path in _journals(Path(folder)):
        for result in _recovered(path, dry_run, store):
            at = result.origin.started_at if isinstance(result, Trace) else None
            found.append((at or "", result))
    if not dry_run:
        _clear(Path(folder))
    return [result for _, result in sorted(found, key=lambda pair: pair[0])]


def recordings(folder: str | os.PathLike[str]) -> list[Recorded]:
    """List what a folder holds: running, abandoned and finished recordings, by their start.

    Raises UnreadablePath where there is no such folder.
    """
    found = [row for path in _journals(Path(folder)) for row in _unfinished(path)]
    waiting = {row.trace_id for row in found}
    for path in sorted(Path(folder).glob("trace_*.json")):
        found += [row for row in _finished(path) if row.trace_id not in waiting]
    return sorted(found, key=lambda row: (row.started_at or "", row.trace_id))


def _journals(folder: Path) -> list[Path]:
    if not folder.is_dir():
        hint = "Name the folder that was given to the recorder, or artifacts/recordings."
        raise UnreadablePath("no such directory", where=str(folder), hint=hint)
    return sorted((folder / HIDDEN).glob(f"*{SUFFIX}"))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_abandoned(descriptor: int) -> bool:
    """Tell whether nobody records any more; if so, nobody begins to while it stays open."""
    state = os.fstat(descriptor)
    alone = lock_alone(descriptor)
    if alone is None:
        alone = time.time() - state.st_mtime > _DEAD_AFTER
    return alone and os.fstat(descriptor).st_nlink > 0


def _recovered(path: Path, dry_run: bool, store: StoreChoice) -> Iterator[Trace | Problem]:
    try:
        with _opened(path) as descriptor:
            if _is_abandoned(descriptor):
                yield from _made(path, descriptor, dry_run, store)
    except FileNotFoundError:
        return  # ended meanwhile
    except OSError as error:
        yield _problem("journal_unreadable", path, error.strerror or str(error))


def _made(
    path: Path,
    descriptor: int,
    dry_run: bool,
    store: StoreChoice,
) -> Iterator[Trace | Problem]:
    head = read_head(descriptor)
    if head is None:
        yield _problem("journal_unreadable", path, "its first line is no head of a journal")
        return
    folder = path.parent.parent
    if not dry_run:
        _claim_name(folder, head)
    found = Gathered(head)
    gather_lines(found, descriptor)
    try:
        trace = finished_trace(found, head, abandoned=True)
    except EvaltraceError as error:
        yield _problem("trace_unwritable", path, error.what)
        return
    if not dry_run:
        try:
            write_trace(trace, folder, head)
        except OutputFailure as error:
            yield _problem("trace_unwritable", path, error.what)
            return
        remove_journal(path, folder, head)
        yield from _stored(trace, path, store if store is not None else head.store)
    yield trace


def _claim_name(folder: Path, head: Head) -> None:
    """See to it that the file that the trace gets is not another's. Raises OSError."""
    taken = os.path.lexists(folder / head.file)
    if taken and head.trace_id not in {row.trace_id for row in _finished(folder / head.file)}:
        head.file = reserve(folder, head.file, head.trace_id)


def _stored(trace: Trace, path: Path, store: StoreChoice) -> Iterator[Problem]:
    try:
        add_to_store(trace, *divided(store))
    except Exception as error:
        # The trace is in its file: what the store lacks can be added from there.
        yield _problem("store_failed", path, str(error))


def _problem(code: str, path: Path, message: str) -> Problem:
    hint = "The journal was left as it is; look at it by hand."
    return Problem(
        code=code, path=f"{HIDDEN}/{clean(path.name)}", message=clean(message), hint=hint
    )


def _clear(folder: Path) -> None:
    """Remove what killed programs left beside their journals, a day later."""
    for name, trace_id in list(reserved(folder)):
        mark = folder / HIDDEN / f"{trace_id}{SUFFIX}"
        if not mark.exists() and _is_old(folder / HIDDEN):
            release(folder, name)
    for pattern in ("*.new", "*.ending"):
        for path in (folder / HIDDEN).glob(pattern):
            if _is_old(path):
                with suppress(OSError):
                    path.unlink()


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > _DEAD_AFTER
    except OSError:
        return False


def _unfinished(path: Path) -> Iterator[Recorded]:
    with suppress(OSError), _opened(path) as descriptor:
        head = read_head(descriptor)
        if head is None:
            return
        # The lock is let go of at once: who only looks keeps nobody from recording.
        state: State = "abandoned" if _is_abandoned(descriptor) else "running"
        yield Recorded(
            state=state,
            trace_id=head.trace_id,
            agent=head.agent,
            task_type=head.task_type,
            started_at=to_stamp(head.started),
            status="running",
            events=sum(line.startswith(b'{"id"') for line, _ in read_lines(descriptor)),
            file=head.file,
        )


class _Agent(msgspec.Struct):
    name: str | None = None


class _Config(msgspec.Struct):
    agent: _Agent


class _Origin(msgspec.Struct):
    started_at: str | None = None


class _Outline(msgspec.Struct):
    trace_id: str
    task_id: str
    status: str
    agent_config: _Config
    origin: _Origin
    events: list[msgspec.Raw] | None = None


def _finished(path: Path) -> Iterator[Recorded]:
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        trace = msgspec.json.decode(path.read_bytes(), type=_Outline)
        yield Recorded(
            state="finished",
            trace_id=trace.trace_id,
            agent=trace.agent_config.agent.name,
            task_type=trace.task_id.rpartition("__")[0],
            started_at=trace.origin.started_at,
            status=trace.status,
            events=len(trace.events or ()),
            file=path.name,
        )
