"""A store that is open, and where it lies."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from evaltrace.store import checking
from evaltrace.store.connection import Connection


def default_place() -> Path:
    """Find where the store lies that nobody named: EVALTRACE_STORE, or the user's data folder."""
    named = os.environ.get("EVALTRACE_STORE")
    if named:
        return Path(named)
    from platformdirs import user_data_dir

    return Path(user_data_dir("evaltrace")) / "store.db"


def _now() -> datetime:
    return datetime.now(UTC)


class Opened:
    """A store that is open; closed at the end of a `with` block, or by `close`."""

    def __init__(
        self,
        path: str | Path | None = None,
        *,
        read_only: bool = False,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        place = default_place() if path is None else path
        self._connection = Connection(place, read_only=read_only)
        self._clock = clock
        self.path = str(place)
        with self._connection.snapshot() as connection:
            self._searchable = checking.is_searchable(connection)

    def close(self) -> None:
        """Close the file; what was saved before is in it."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
