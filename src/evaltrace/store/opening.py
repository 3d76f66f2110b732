"""The file opened by SQLite, so that who only reads it leaves it and its folder as they were."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from evaltrace.errors import StoreFailure

MEMORY = ":memory:"
"""The name of a store that lives in this process only."""

_SETTINGS = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",
    # SQLite's own way never gets to the end of the log while there are readers at all times.
    "PRAGMA wal_autocheckpoint = 0",
    "PRAGMA cache_size = -8000",
    # A store may come from anybody: what is in its schema must not do anything.
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)
_NOT_WRITABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY}
_NO_ROOM = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}

Stamp = tuple[int, int, int]
"""What of a file changes when somebody writes to it."""

Connect = Callable[[str], sqlite3.Connection]


def connect(place: str) -> sqlite3.Connection:
    """Open a file by its URI, or a store in memory; raises the errors of SQLite."""
    # Several threads may use it: one at a time, which a lock sees to.
    connection = sqlite3.connect(
        place, timeout=0, isolation_level=None, check_same_thread=False, uri=place != MEMORY
    )
    try:
        for setting in _SETTINGS:
            connection.execute(setting)
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_write(path: Path, patient: Connect) -> sqlite3.Connection:
    """Open a store that is there for writing; raises StoreFailure where that is not allowed."""
    if not os.access(path, os.W_OK):
        # SQLite would open it for reading, and leave files that hinder those who may write.
        hint = "It can be read; to write, name another file with --store PATH."
        raise StoreFailure("The store may not be written to", where=str(path), hint=hint)
    return patient(f"{path.as_uri()}?mode=rw")


def open_to_read(path: Path, patient: Connect) -> tuple[sqlite3.Connection, Stamp | None]:
    """Open a store that is there for reading.

    With a stamp, SQLite takes the file for one that nobody changes: what was read counts only
    as long as `stamp_of` gives the same. Raises StoreFailure.
    """
    if os.access(path, os.W_OK):
        try:
            # So that the files beside it go when the last one closes it.
            connection = patient(f"{path.as_uri()}?mode=rw")
            connection.execute("PRAGMA query_only = ON")
            return connection, None
        except sqlite3.OperationalError as error:
            if code_of(error) not in _NOT_WRITABLE | _NO_ROOM:
                raise
    stamp = stamp_of(path)
    if not any(_is_beside(path, ending) for ending in ("-wal", "-journal")):
        return patient(f"{path.as_uri()}?mode=ro&immutable=1"), stamp
    try:
        return patient(f"{path.as_uri()}?mode=ro"), None
    except sqlite3.OperationalError as error:
        if code_of(error) not in _NOT_WRITABLE:
            raise
    hint = f"Copy it with {path.name}-wal into a folder that may be written to."
    what = "The store was not closed, and its folder may not be written to"
    raise StoreFailure(what, where=str(path), hint=hint)


def _is_beside(path: Path, ending: str) -> bool:
    try:
        return path.with_name(path.name + ending).stat().st_size > 0
    except OSError:
        return False


def stamp_of(path: Path) -> Stamp | None:
    """Give what tells whether a file was written to; None for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def code_of(error: sqlite3.Error) -> int:
    """Give the primary result code; -1 for an error of Python's module itself."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF
