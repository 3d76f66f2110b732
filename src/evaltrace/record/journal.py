"""The journal of a running trace: one appended line an event, by any number of writers.

Each line is one `write` to a descriptor opened for appending, and begins with the line feed
that ends what stands before it: a line that was cut short by a full disk or a kill costs
itself and no other. A writer holds a shared lock on the file while it lives, its forked
children included; who gets the lock alone knows that nobody writes any more.
"""

from __future__ import annotations

import errno
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system: then nobody can know whether a writer lives
    fcntl = None  # type: ignore[assignment]

import msgspec

from evaltrace.record.clocks import is_time
from evaltrace.record.identity import writer_name
from evaltrace.record.lines import Head, decode_head, decode_line
from evaltrace.record.places import file_name, is_file_name

_SPARE_BYTES = 16 * 2**20
_CHUNK = 2**20
_ALL: weakref.WeakSet[Journal] = weakref.WeakSet()


class Journal:
    """An open journal, or none: what cannot be written is kept in memory, up to 16 MiB."""

    def __init__(self, path: Path, descriptor: int | None, fsync: bool = False) -> None:
        self.path = path
        self.descriptor = descriptor
        self.ended = False
        self.lost = 0
        self.spare: list[bytes] = []
        self._fsync = fsync
        self._spare_bytes = 0
        self._gone = False
        # Reentrant: a signal's handler may record while its own thread does.
        self.lock = threading.RLock()
        _ALL.add(self)

    def append(self, record: bytes) -> OSError | None:
        """Append one line; give the error where it could only be kept in memory, or is lost."""
        with self.lock:
            if self.ended:
                return None
            error = self._write(b"\n" + record)
            if error is not None:
                self._keep(record)
            elif self.spare:
                self._write_spare()
            return error

    def close(self) -> None:
        """Let go of the file; what comes later is refused."""
        with self.lock:
            self.ended = True
            descriptor, self.descriptor = self.descriptor, None
            if descriptor is not None:
                os.close(descriptor)

    def was_ended(self) -> bool:
        """Tell whether the trace was ended, here or by another process; if so, let go of it."""
        if not (self.ended or self._gone) and self.is_finished():
            with self.lock:
                if not self.ended:  # else a thread is at it, and still reads
                    self.close()
        return self.ended

    def is_finished(self) -> bool:
        """Tell whether another process wrote the trace, and removed the journal."""
        if self.descriptor is None:
            return False
        try:
            if os.fstat(self.descriptor).st_nlink:
                return False
            finished = _has_end(self.descriptor)
        except OSError:
            return False
        # Without an end somebody clears folders away: the journal is still good to write to.
        self._gone = not finished
        return finished

    def _write(self, record: bytes) -> OSError | None:
        if self.descriptor is None:
            return OSError(errno.EBADF, "there is no journal")
        try:
            written = os.write(self.descriptor, record)
            if written < len(record):
                return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._fsync:
                os.fsync(self.descriptor)
        except OSError as error:
            return error
        return None

    def _keep(self, record: bytes) -> None:
        if self._spare_bytes + len(record) > _SPARE_BYTES:
            self.lost += 1
            return
        self._spare_bytes += len(record)
        self.spare.append(record)

    def _write_spare(self) -> None:
        if self._write(b"\n" + b"\n".join(self.spare)) is None:
            self.spare, self._spare_bytes = [], 0


def create_journal(path: Path, head: bytes, fsync: bool) -> Journal:
    """Make a journal with its first line; it appears with that line or not at all.

    Raises OSError.
    """
    new = path.with_suffix(".new")
    descriptor = os.open(
        new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
    try:
        if os.write(descriptor, head) < len(head):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        lock_shared(descriptor)
        new.rename(path)
        if fsync:
            os.fsync(descriptor)
            sync_folder(path.parent)
    except BaseException:
        os.close(descriptor)
        with suppress(OSError):
            new.unlink()
        raise
    return Journal(path, descriptor, fsync)


def open_journal(path: Path) -> int:
    """Open a journal that is there, as one more writer; give its descriptor.

    Raises OSError; FileNotFoundError also when somebody is finishing the trace.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    lock_shared(descriptor)
    if os.fstat(descriptor).st_nlink == 0:
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return descriptor


def lock_shared(descriptor: int) -> None:
    """Be known as a writer; waits while somebody looks whether there is one."""
    if fcntl is not None:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)


def lock_alone(descriptor: int) -> bool | None:
    """Take a journal that nobody writes; False where somebody does, None where none can know."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def sync_folder(folder: Path) -> None:
    """See to it that the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_lines(
    descriptor: int, start: int = 0, end: int | None = None
) -> Iterator[tuple[bytes, int]]:
    """Give each line that is not empty, with the place in the file where the next begins.

    Reads at places of its own: writers of the same descriptor are not disturbed. What is
    appended after `end` is not read: who appends all the time would keep the reader for ever.
    """
    held, place, size = b"", start, _CHUNK
    while True:
        if end is not None:
            size = min(_CHUNK, end - place - len(held))
        chunk = os.pread(descriptor, size, place + len(held)) if size > 0 else b""
        if not chunk:
            break
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            place += len(line) + 1
            if line:
                yield line, place
    if held:
        yield held, place + len(held)


def read_head(descriptor: int) -> Head | None:
    """Give the first line of a journal; None where it is no journal."""
    for line, _ in read_lines(descriptor):
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            head = decode_head(line)
            if not is_time(head.started):
                return None
            # Anybody may have put the journal there: the trace stays in the folder.
            if not is_file_name(head.file):
                head.file = file_name(head.agent, head.task_type, head.started)
            return head
        return None
    return None


def _has_end(descriptor: int) -> bool:
    """Tell whether a journal has an end that another process wrote."""
    for line, _ in read_lines(descriptor):
        if line.startswith(b'{"kind":"end"'):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                if decode_line(line).id.partition("-")[0] != writer_name():
                    return True
    return False


def _after_fork() -> None:
    # A thread that had the lock does not live on in the child.
    for journal in list(_ALL):
        journal.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
