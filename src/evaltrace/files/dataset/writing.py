"""Traces into a data set: written aside, then made part of it at once."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec

from evaltrace.errors import OutputFailure, Problem
from evaltrace.files.dataset.arrow import require_pyarrow, require_utf8
from evaltrace.files.dataset.manifest import (
    JobEntry,
    Manifest,
    in_order,
    read_manifest,
    write_manifest,
)
from evaltrace.files.dataset.partitions import Partitions, StagedFile
from evaltrace.files.forms import MANIFEST
from evaltrace.files.removal import remove_folder
from evaltrace.files.spans import Span, copy_span
from evaltrace.files.writing import SEPARATOR
from evaltrace.jsontext import decode
from evaltrace.tables import TABLES
from evaltrace.trace import Input, Tool, Trace

_TRACE = msgspec.json.Decoder(Trace)
_LOCK = ".lock"
_NEW = ".new-"
_ALIVE = "alive"
_JobKey = tuple[str | None, str | None]


def write_dataset(
    folder: str | Path,
    traces: Iterable[Trace | bytes | Span],
    *,
    tool: Tool,
    inputs: Sequence[Input] = (),
    problems: Sequence[Problem] = (),
    compression: str = "zstd",
    tables: Sequence[str] = tuple(TABLES),
) -> int:
    """Write traces, or their JSON, into a data set of Parquet files, and give their number.

    A Span is of one trace and the SEPARATOR after it, as for write_traces. Jobs that are there
    already (same name and id), be it in another arm, are replaced, all others stay. `problems`
    is read last: it may grow until `traces` ends. Whatever goes wrong, also within `traces`,
    leaves the data set as it was. Without `trials` among the `tables` the traces cannot be read
    back. Raises OutputFailure, MissingPackage, UnreadablePath for a name that is no UTF-8, and
    NotATraceFile when the manifest that is there is damaged.
    """
    require_pyarrow()
    place = Path(folder)
    require_utf8(place)
    try:
        with _staging(place) as staging:
            partitions = Partitions(staging, compression, tables)
            try:
                written = _add_all(partitions, traces)
                staged = partitions.finish()
            finally:
                partitions.close()
            with _locked(place):
                _commit(place, _entries(staged, inputs, problems), staged, tool)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "Check that the folder may be written to and has space left, or name another one."
        raise OutputFailure(
            f"Cannot write the data set ({reason})", where=str(place), hint=hint
        ) from error
    return written


def _add_all(partitions: Partitions, traces: Iterable[Trace | bytes | Span]) -> int:
    written = 0
    for item in traces:
        written += 1
        if isinstance(item, Trace):
            partitions.add(*_encoded(item))
        else:
            text = _text_of(item) if isinstance(item, Span) else item
            partitions.add(_TRACE.decode(text), text)
    return written


def _text_of(span: Span) -> bytes:
    text = BytesIO()
    copy_span(span.without(len(SEPARATOR)), text)
    return text.getvalue()


def _encoded(trace: Trace) -> tuple[Trace, bytes]:
    try:
        return trace, msgspec.json.encode(trace)
    except UnicodeEncodeError:  # a lone surrogate in a text: replaced when it is read again
        text = json.dumps(msgspec.to_builtins(trace)).encode()
        clean, _ = decode(text, _TRACE)
        return clean, msgspec.json.encode(clean)


def _entries(
    staged: Sequence[StagedFile], inputs: Sequence[Input], problems: Sequence[Problem]
) -> tuple[dict[_JobKey, JobEntry], list[Problem]]:
    """Sort files, inputs and problems by job; also give the problems that belong to none."""
    entries: dict[_JobKey, JobEntry] = {}

    def entry(name: str | None, job_id: str | None) -> JobEntry:
        new = JobEntry(job_name=name, job_id=job_id)
        return entries.setdefault((name, job_id), new)

    for row in inputs:
        entry(row.job_name, row.job_id).inputs.append(row)
    for partition, _, file in staged:
        entry(partition.job_name, partition.job_id).files.append(file)
    # The first part of a problem's path is the job's folder, after which the job is named.
    by_name = {job.job_name: job for job in reversed(entries.values())}
    others: list[Problem] = []
    for problem in problems:
        job = by_name.get(problem.path.split("/")[0])
        (others if job is None else job.problems).append(problem)
    return entries, others


def _commit(
    place: Path,
    written: tuple[dict[_JobKey, JobEntry], list[Problem]],
    staged: Sequence[StagedFile],
    tool: Tool,
) -> None:
    """Put the new files to their places, then the manifest, then take away what is dead."""
    entries, others = written
    old = _present(place)
    before = old.jobs if old else []
    kept = [job for job in before if job.key not in entries]
    known = old.problems if old else []
    new = Manifest(
        tool=tool,
        jobs=in_order([*kept, *entries.values()]),
        problems=list(dict.fromkeys([*known, *others])),
    )
    try:
        for _, source, file in staged:
            target = place / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        for folder in sorted({(place / file.path).parent for _, _, file in staged}):
            _sync(folder)
        write_manifest(place, new)
        _sync(place)
    except BaseException:
        _sweep(place, old)
        raise
    _sweep(place, new)


def _present(place: Path) -> Manifest | None:
    return read_manifest(place) if (place / MANIFEST).exists() else None


def _sync(folder: Path) -> None:
    """Make the names within a folder survive a loss of power."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _sweep(place: Path, manifest: Manifest | None) -> None:
    """Remove the files that the manifest does not name; what cannot be removed is no failure."""
    jobs = manifest.jobs if manifest else []
    live = {place / file.path for job in jobs for file in job.files}
    found = [place.glob(f"{table}/arm=*/job=*/part-*.parquet") for table in TABLES]
    # A manifest that was not finished lies under a name of its own.
    for path in sorted({*chain(*found), *place.glob(".evaltrace-*.tmp")} - live):
        with suppress(OSError):
            path.unlink()
    for table in TABLES:
        for pattern in (f"{table}/arm=*/job=*", f"{table}/arm=*", table):
            for folder in sorted(place.glob(pattern)):
                with suppress(OSError):  # not empty
                    folder.rmdir()


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Be the only one who changes the data set; the lock leaves no file behind."""
    path = place / _LOCK
    while True:
        with path.open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # Whoever had it before took the name away: then this is the lock of nothing.
            if not _is_at(file, path):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


@contextmanager
def _staging(place: Path) -> Iterator[Path]:
    """Make a folder for new files; it goes again, and so do those of writers that died."""
    made = not place.exists()
    with suppress(FileNotFoundError):  # also a lock is not written into what is not ours
        _refuse_foreign(place)
    try:
        place.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            with _locked(place):
                _refuse_foreign(place)
                _clear_dead(place)
                folder = _new_folder(place)
                opened.callback(remove_folder, folder)
                alive = opened.enter_context((folder / _ALIVE).open("wb"))
                fcntl.flock(alive, fcntl.LOCK_EX)
            yield folder
    except BaseException:
        if made:
            with suppress(OSError):  # somebody else may use it by now
                place.rmdir()
        raise


def _new_folder(place: Path) -> Path:
    number = 0
    while True:
        folder = place / f"{_NEW}{os.getpid()}-{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        except BaseException:  # an interrupt may come as soon as it is there
            remove_folder(folder)
            raise
        else:
            return folder


def _refuse_foreign(place: Path) -> None:
    """Refuse a file, and a folder that holds something else than a data set."""
    if place.is_file():
        hint = "A data set is a folder: name a new one, or one that holds a data set already."
        raise OutputFailure("Cannot write the data set (a file)", where=str(place), hint=hint)
    if (place / MANIFEST).exists():
        read_manifest(place)
        return
    ours = {MANIFEST, *TABLES}  # the manifest of who is faster
    if any(e.name not in ours and not e.name.startswith(".") for e in place.iterdir()):
        hint = "Name a new folder, or one that holds a data set already."
        raise OutputFailure("the folder holds other files", where=str(place), hint=hint)


def _clear_dead(place: Path) -> None:
    for folder in sorted(place.glob(f"{_NEW}*")):
        with suppress(OSError):
            if not _lives(folder):
                remove_folder(folder)


def _lives(folder: Path) -> bool:
    """Tell whether the writer of a folder still holds its lock; made with it, it has one."""
    try:
        with (folder / _ALIVE).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
