"""An object as a stream: read in ranges, the next ones before they are asked for."""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import Future
from typing import Any, Protocol

from evaltrace.errors import UnreadablePath
from evaltrace.remote.stores import Changed, Object, Refused, Vanished
from evaltrace.remote.threads import Threads

_RANGE = 4 * 2**20
_AHEAD = 2
"""Ranges that are read before they are asked for: memory for speed."""


class _Readable(Protocol):
    def read(self, key: str, start: int, stop: int, tag: str | None) -> bytes | memoryview: ...


class Ranges(io.RawIOBase):
    """One object from its start to its end; what replaces it meanwhile is not mixed in."""

    def __init__(self, store: _Readable, found: Object, name: str) -> None:
        self.name = name
        self._store, self._object = store, found
        self._pool = Threads(_AHEAD)
        self._coming: deque[Future[bytes | memoryview]] = deque()
        self._asked = 0
        self._here = memoryview(b"")

    def readable(self) -> bool:
        """Say that this can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes, 0 at the end; raises UnreadablePath."""
        if not self._here:
            self._here = self._next()
        size = min(len(buffer), len(self._here))
        buffer[:size] = self._here[:size]
        self._here = self._here[size:]
        return size

    def _next(self) -> memoryview:
        while self._asked < self._object.size and len(self._coming) < _AHEAD:
            self._ask()
        if not self._coming:
            return memoryview(b"")
        try:
            return memoryview(self._coming.popleft().result())
        except (Changed, Vanished):
            what = "it was changed or removed while it was read"
            raise UnreadablePath(what, where=self.name, hint="Run the command again.") from None
        except Refused as error:
            hint = "Check that these credentials may read it."
            raise UnreadablePath(f"not permitted ({error})", where=self.name, hint=hint) from None

    def _ask(self) -> None:
        start, size = self._asked, self._object.size
        self._asked = min(start + _RANGE, size)
        limits = (0, 0) if self._asked - start == size else (start, self._asked)
        read = self._pool.submit(self._store.read, self._object.key, *limits, self._object.tag)
        self._coming.append(read)

    def close(self) -> None:
        """Stop reading ahead."""
        if not self.closed:
            self._pool.end()
        super().close()
