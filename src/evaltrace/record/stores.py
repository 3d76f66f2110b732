"""Stores that get the finished traces of live runs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from evaltrace.trace import Trace


class TraceStore(Protocol):
    """Something that takes finished traces, such as `evaltrace.store.Store`."""

    def add(self, trace: Trace, /) -> object:
        """Take a trace."""
        ...


StoreChoice = TraceStore | str | os.PathLike[str] | None
"""A store that is open, or the path of one."""


def divided(store: StoreChoice) -> tuple[TraceStore | None, str | None]:
    """Divide a choice into the store that is open, and the absolute path of one to be opened."""
    if isinstance(store, str | os.PathLike):
        with suppress(OSError):  # where the working directory is gone
            store = Path(store).absolute()
        return None, str(store)
    return store, None


def add_to_store(trace: Trace, store: TraceStore | None, path: str | None) -> None:
    """Give a trace to a store that is open, or to the one at a path."""
    if store is not None:
        store.add(trace)
    elif path is not None:
        from evaltrace.store import Store

        with Store(path) as opened:
            opened.add(trace)
