"""How long sessions are kept, and the removal of those that are older."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from evaltrace.errors import StoreFailure
from evaltrace.store.connection import Connection
from evaltrace.store.rows import to_us
from evaltrace.untrusted import one_line

_DEFAULT_DAYS = 30
_PAGES = 1_000
"""Pages that are given back at a time, while others wait."""


def days(connection: sqlite3.Connection) -> int:
    """Read for how many days sessions are kept."""
    found = connection.execute("SELECT value FROM settings WHERE name = 'retention_days'")
    row = found.fetchone()
    try:
        return _DEFAULT_DAYS if row is None else int(row[0])
    except ValueError:
        hint = "`evaltrace store prune --set-days N` sets it."
        what = f"The store is kept for {one_line(str(row[0]), 40)} days, which is no number"
        raise StoreFailure(what, hint=hint) from None


def set_days(connection: sqlite3.Connection, number: int) -> None:
    """Write for how many days sessions are kept."""
    if number < 0:
        raise ValueError("traces are kept for 0 days or more")
    connection.execute("REPLACE INTO settings VALUES ('retention_days', ?)", (str(number),))


def expired_keys(
    connection: sqlite3.Connection,
    now: datetime,
    kept_days: int | None,
    benchmark: bool,
    only: int | None = None,
) -> list[int]:
    """List the sessions that ended (else began) longer ago than they are kept, oldest first.

    Those that are running, or have no time at all, never are among them.
    """
    length = days(connection) if kept_days is None else kept_days
    if length < 0:
        raise ValueError("traces are kept for 0 days or more")
    try:
        before = to_us(now - timedelta(days=length))
    except OverflowError:
        return []
    rows = connection.execute(
        "SELECT key FROM sessions WHERE coalesce(completed_us, started_us) <= ?"
        " AND status <> 'running' AND (? OR kind <> 'harness') AND (? IS NULL OR key = ?)"
        " ORDER BY coalesce(completed_us, started_us), key",
        (before, benchmark, only, only),
    )
    return [key for (key,) in rows]


def give_back(store: Connection) -> None:
    """Give space that is not used any more back to the disk, a little at a time."""
    while True:
        with store.transaction() as connection:
            [free] = connection.execute("PRAGMA freelist_count").fetchone()
            if not free:
                break
            connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
            [left] = connection.execute("PRAGMA freelist_count").fetchone()
            if left >= free:
                break
    with store.alone() as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
