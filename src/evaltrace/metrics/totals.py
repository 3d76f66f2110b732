"""The sums that metrics are made of, read from a store by SQL in one moment."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from evaltrace.metrics.labels import Sums, fold
from evaltrace.store import default_place
from evaltrace.store.connection import Connection

STEP_BOUNDS_S = (0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""Upper bounds of the buckets of step durations, in seconds; a last one has no bound."""

_KINDS = ("input", "output", "cache_creation", "cache_read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What a store holds, in numbers; labels are bounded.

    By (intent_type, status): `runs`. By (kind, model): `tokens`. By model: `cost`, in dollars.
    By cause: `errors`. By type: `events`. By agent: `steps` as (steps, seconds, steps in the
    first bucket, in the second, ...).
    """

    runs: Sums
    running: int
    tokens: Sums
    cost: Sums
    errors: Sums
    events: Sums
    steps: Sums
    size_bytes: int


def read_totals(store: str | Path | None = None) -> Totals:
    """Read the totals of a store; None is the default one. Raises what opening it raises."""
    with open_store(store) as connection:
        place = connection.place
        with connection.snapshot() as cursor:
            return Totals(
                runs=_counts(cursor, _RUNS, 2),
                running=_number(cursor, _RUNNING),
                tokens=fold(_tokens(cursor)),
                cost=_counts(cursor, _COST, 1),
                errors=_counts(cursor, _ERRORS, 1),
                events=_counts(cursor, _EVENTS, 1),
                steps=_counts(cursor, _STEPS, 1),
                size_bytes=_size(place),
            )


def open_store(store: str | Path | None = None) -> closing[Connection]:
    """Open a store for reading, for a `with` block; None is the default one."""
    return closing(Connection(default_place() if store is None else store, read_only=True))


_RUNS = "SELECT intent, status, count(*) FROM sessions GROUP BY intent, status"
_RUNNING = "SELECT count(*) FROM sessions WHERE status = 'running'"
# Summed as floats: whole numbers that are too large would be an error.
_SUMS = ", ".join(f"sum({kind}_tokens + 0.0)" for kind in _KINDS)
_TOKENS = f"SELECT model, {_SUMS} FROM sessions GROUP BY 1"
_COST = (
    "SELECT model, sum(total_cost_usd) FROM sessions WHERE total_cost_usd IS NOT NULL GROUP BY 1"
)
_EVENTS = "SELECT type, sum(events) FROM totals GROUP BY type"
_ERRORS = "SELECT cause, count(*) FROM sessions WHERE error IS NOT NULL GROUP BY cause"


def _buckets() -> str:
    lower = [0, *STEP_BOUNDS_S]
    tests = [f"s > {a} AND s <= {b}" for a, b in zip(lower, STEP_BOUNDS_S, strict=False)]
    return ", ".join(f"sum({test})" for test in ["s <= 0.1", *tests[1:], f"s > {lower[-1]}"])


_STEPS = f"""
SELECT name, count(*), sum(s), {_buckets()}
FROM (SELECT name, duration_ms / 1000 AS s FROM events WHERE type = 'step')
WHERE s IS NOT NULL GROUP BY name
"""


def _counts(cursor: sqlite3.Connection, question: str, labels: int) -> Sums:
    return fold((row[:labels], row[labels:]) for row in cursor.execute(question))


def _tokens(cursor: sqlite3.Connection) -> Iterator[tuple[tuple[str, str | None], tuple[float]]]:
    for model, *sums in cursor.execute(_TOKENS):
        for kind, tokens in zip(_KINDS, sums, strict=True):
            if tokens is not None:
                yield (kind, model), (tokens,)


def _number(cursor: sqlite3.Connection, question: str) -> int:
    [number] = cursor.execute(question).fetchone()
    return int(number)


def _size(place: str) -> int:
    size = 0
    for path in (place, f"{place}-wal"):
        try:
            size += os.stat(path).st_size  # noqa: PTH116
        except FileNotFoundError:
            continue
    return size
