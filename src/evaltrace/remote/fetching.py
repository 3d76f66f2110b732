"""Objects into files: many at a time, large ones in parts, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from types import TracebackType
from typing import NamedTuple, Self

from evaltrace.remote.stores import Changed, Object, Refused, Store, Vanished

READS = 128
"""Reads in flight in a process: at 40 ms each, 64 are enough for 1,600 a second."""

PART = 4 * 2**20
"""Bytes of a file that are read at a time."""

_IN_FLIGHT = 16 * 2**20
"""Bytes that are asked for at a time, whatever the number of reads."""

_RUNNING = "If the job is still running, aggregate again when it has finished."
_RIGHTS = "Check that these credentials may read it."


class Wanted(NamedTuple):
    """An object to fetch, and the path of the file that it becomes."""

    found: Object
    path: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What was wrong with an object: a problem, whose path is still to be told."""

    code: str
    message: str
    hint: str


class Pending(NamedTuple):
    """An object on its way."""

    wanted: Wanted
    parts: list[Future[None]]


class Fetcher:
    """Fetches what is submitted, in threads of its own, until the block ends."""

    def __init__(self, store: Store, reads: int = READS) -> None:
        self._store = store
        self._gate = _Gate(_IN_FLIGHT)
        self._pool = ThreadPoolExecutor(reads, thread_name_prefix="evaltrace-fetch")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, wanted: Wanted) -> Pending:
        """Begin to fetch an object; the folder of its file is there."""
        size = wanted.found.size
        if size <= PART:
            return Pending(wanted, [self._pool.submit(self._fetch_whole, wanted)])
        with open(wanted.path, "xb") as file:
            file.truncate(size)
        starts = range(0, size, PART)
        parts = [self._pool.submit(self._fetch_part, wanted, start) for start in starts]
        return Pending(wanted, parts)

    def settle(self, pending: Pending) -> Fault | None:
        """Wait for an object; tell what was wrong with it.

        Raises UnreadablePath where the store failed.
        """
        if len(pending.parts) > 1:
            wait(pending.parts)
        errors = [error for part in pending.parts if (error := part.exception())]
        if not errors:
            return None
        for error in errors:
            if not isinstance(error, Vanished | Changed | Refused):
                raise error
        return self._settle_fault(pending.wanted, errors[0])

    def fetch(self, wanted: Iterable[Wanted]) -> Iterator[tuple[Wanted, Fault]]:
        """Fetch some objects; give those that something was wrong with."""
        for pending in [self.submit(row) for row in wanted]:
            fault = self.settle(pending)
            if fault:
                yield pending.wanted, fault

    def _settle_fault(self, wanted: Wanted, error: BaseException) -> Fault | None:
        if isinstance(error, Changed):
            return self._fetch_again(wanted)
        Path(wanted.path).unlink(missing_ok=True)
        if isinstance(error, Refused):
            return Fault("unreadable", str(error) or "not permitted", _RIGHTS)
        if wanted.found.size == 0:
            # Listed without its last slash: what some tools make for a folder.
            Path(wanted.path).mkdir()
            return None
        return Fault("changed_while_read", "removed after it was listed", _RUNNING)

    def _fetch_again(self, wanted: Wanted) -> Fault:
        """Fetch what an object is now."""
        found = self._store.look(wanted.found.key)
        Path(wanted.path).unlink(missing_ok=True)
        if found is None:
            return Fault("changed_while_read", "removed after it was listed", _RUNNING)
        try:
            with open(wanted.path, "xb") as file:
                for start in range(0, found.size, PART):
                    file.write(self._read(found, start))
        except (Changed, Vanished):
            Path(wanted.path).unlink()
            return Fault("changed_while_read", "changed again and again; left out", _RUNNING)
        except Refused as error:
            Path(wanted.path).unlink()
            return Fault("unreadable", str(error) or "not permitted", _RIGHTS)
        return Fault("changed_while_read", "changed while it was read", _RUNNING)

    def _fetch_whole(self, wanted: Wanted) -> None:
        with self._gate.passed(wanted.found.size):
            content = self._read(wanted.found, 0)
            # Buffered: on a disk that fills up, a bare write may take a part and say nothing.
            with open(wanted.path, "xb") as file:
                file.write(content)

    def _fetch_part(self, wanted: Wanted, start: int) -> None:
        with self._gate.passed(min(PART, wanted.found.size - start)):
            content = self._read(wanted.found, start)
            with open(wanted.path, "r+b") as file:
                file.seek(start)
                file.write(content)

    def _read(self, found: Object, start: int) -> bytes | memoryview:
        stop = min(start + PART, found.size)
        limits = (0, 0) if stop - start == found.size else (start, stop)
        content = self._store.read(found.key, *limits, found.tag)
        if len(content) != stop - start:
            raise Changed
        return content


class _Gate:
    """Lets reads pass as long as the bytes that they ask for fit."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._changed = Condition()

    @contextmanager
    def passed(self, size: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
