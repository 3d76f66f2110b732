"""A store as a file of traces: read one at a time, what started last first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from evaltrace.trace import Trace


def read_stored(path: Path, watch: Callable[[bytes], object] | None = None) -> Iterator[Trace]:
    """Read the traces of a store; `watch` sees the JSON of each. Raises StoreFailure."""
    from evaltrace.store import Store

    with Store(path, read_only=True) as store:
        for trace in store.read_all():
            if watch is not None:
                watch(_encoded(trace))
            yield trace


def stored_documents(path: Path) -> Iterator[tuple[str, str, Any]]:
    """Read what is wrong with a store, then its traces: (place, kind, document) to validate."""
    from evaltrace.store import Store

    with Store(path, read_only=True) as store:
        for problem in store.check():
            yield "$", "malformed", problem.message
        for trace in store.read_all():
            yield f"session {trace.trace_id}", "trace", msgspec.to_builtins(trace)


def _encoded(trace: Trace) -> bytes:
    try:
        return msgspec.json.encode(trace) + b"\n"
    except UnicodeEncodeError:  # a lone surrogate in a text
        return repr(trace).encode("utf-8", "backslashreplace") + b"\n"
