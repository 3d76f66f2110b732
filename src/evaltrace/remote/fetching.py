"""Objects fetched, many at a time: small ones into memory, large ones in parts into files."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import BoundedSemaphore
from types import TracebackType
from typing import Any, Self

from evaltrace.errors import UnreadablePath
from evaltrace.remote.stores import Changed, Object, Refused, Store, Vanished
from evaltrace.remote.threads import Threads, interruptible

READS = 128
"""Reads in flight in a process: at 40 ms each, 64 are enough for 1,600 a second."""

AHEAD = 16 * 2**20
"""Bytes in memory that are fetched before they are asked for."""

PART = 4 * 2**20
"""Bytes of an object that comes into memory, and of a part of a larger one."""

_PARTS = 4
"""Parts of large objects that are read at a time, whatever the number of reads."""

_RUNNING = "If the job is still running, aggregate again when it has finished."
_RIGHTS = "Check that these credentials may read it."


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong with an object: a problem, whose path is still to be told."""

    code: str
    message: str
    hint: str


@dataclass(slots=True)
class File:
    """An object that becomes a file: its content, or a file on this disk at `place`.

    `coming` is what of it is on its way, None before it was begun to be fetched.
    """

    found: Object
    place: str
    coming: Sequence[Future[Any]] | None = None
    content: bytes | None = None
    settled: bool = False

    @property
    def held(self) -> int:
        """The bytes of it that are in memory, or will be."""
        size = self.found.size
        return size if self.coming is not None and size <= PART else 0

    @property
    def exists(self) -> bool:
        """Whether it is there, now that it was fetched."""
        return self.content is not None or Path(self.place).is_file()

    def whole(self) -> bytes | None:
        """Give all of it, None where there is nothing."""
        if self.content is None and self.exists:
            return Path(self.place).read_bytes()
        return self.content

    def forget(self) -> None:
        """Let go of the content: it is fetched again when it is wanted again."""
        self.coming, self.content, self.settled = None, None, False

    def remove(self) -> None:
        """Remove what is on the disk of it."""
        if self.coming is not None and self.content is None:
            with suppress(OSError):
                Path(self.place).unlink()


class Fetcher:
    """Fetches what is begun, in threads of its own, until the block ends."""

    def __init__(self, store: Store, reads: int = READS) -> None:
        self._store, self._reads = store, reads
        self._parts = BoundedSemaphore(_PARTS)
        self._pool = Threads(reads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.end()

    def begin(self, file: File) -> None:
        """Begin to fetch an object. Raises OSError where a large one has no room."""
        size = file.found.size
        if size <= PART:
            file.coming = [self._pool.submit(self._fetch_whole, file.found)]
            return
        with open(file.place, "xb") as made:
            made.truncate(size)
        starts = range(0, size, PART)
        file.coming = [self._pool.submit(self._fetch_part, file, start) for start in starts]

    def settle(self, file: File) -> Fault | None:
        """Wait for an object that was begun; tell what was wrong with it.

        An empty one may turn out to be a folder: then it does not exist, without a fault.
        Raises UnreadablePath where the store failed, or this disk.
        """
        coming, file.settled = file.coming or (), True
        if len(coming) > 1:
            wait(coming)
        errors = [error for part in coming if (error := part.exception())]
        if not errors:
            file.content = coming[0].result() if file.found.size <= PART else None
            return None
        for error in errors:
            if isinstance(error, OSError):
                raise _no_place(file, error) from error
            if not isinstance(error, Vanished | Changed | Refused):
                raise error
        return self._settle_fault(file, errors[0])

    def fetch(self, files: Iterable[File]) -> Iterator[tuple[File, Fault | None]]:
        """Fetch objects, some of them ahead; give them in order, each until the next."""
        coming: deque[File] = deque()
        held = 0
        for file in files:
            self.begin(file)
            coming.append(file)
            held += file.held
            while coming and (len(coming) > 2 * self._reads or held > AHEAD):
                first = coming.popleft()
                held -= first.held
                yield first, self.settle(first)
        for file in coming:
            yield file, self.settle(file)

    def _settle_fault(self, file: File, error: BaseException) -> Fault | None:
        file.remove()
        if isinstance(error, Changed):
            return self._fetch_again(file)
        if isinstance(error, Refused):
            return Fault("unreadable", str(error) or "not permitted", _RIGHTS)
        if file.found.size == 0:
            # Listed without its last slash: what some tools make for a folder.
            return None
        return Fault("changed_while_read", "removed after it was listed", _RUNNING)

    def _fetch_again(self, file: File) -> Fault:
        """Fetch what an object is now."""
        found = interruptible(self._store.look, file.found.key)
        if found is None:
            return Fault("changed_while_read", "removed after it was listed", _RUNNING)
        try:
            with open(file.place, "xb") as made:
                for start in range(0, found.size, PART):
                    made.write(self._read(found, start))
        except (Changed, Vanished):
            file.remove()
            return Fault("changed_while_read", "changed again and again; left out", _RUNNING)
        except Refused as error:
            file.remove()
            return Fault("unreadable", str(error) or "not permitted", _RIGHTS)
        except OSError as error:
            raise _no_place(file, error) from error
        return Fault("changed_while_read", "changed while it was read", _RUNNING)

    def _fetch_whole(self, found: Object) -> bytes:
        return bytes(self._read(found, 0))

    def _fetch_part(self, file: File, start: int) -> None:
        with self._parts:
            if self._pool.ended:
                raise CancelledError
            content = self._read(file.found, start)
            # Buffered: on a disk that fills up, a bare write may take a part and say nothing.
            with open(file.place, "r+b") as made:
                made.seek(start)
                made.write(content)

    def _read(self, found: Object, start: int) -> bytes | memoryview:
        stop = min(start + PART, found.size)
        limits = (0, 0) if stop - start == found.size else (start, stop)
        content = interruptible(self._store.read, found.key, *limits, found.tag)
        if len(content) != stop - start:
            raise Changed
        return content


def _no_place(file: File, error: OSError) -> UnreadablePath:
    reason = error.strerror or str(error)
    what = f"cannot be kept in the temporary folder ({reason})"
    hint = "Large files wait there: name a folder with more room by TMPDIR."
    return UnreadablePath(what, where=file.found.key, hint=hint)
