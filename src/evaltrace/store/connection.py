"""The connection to the file: opened once a process, locked with patience, errors made ours."""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TypeVar

from evaltrace.errors import StoreFailure
from evaltrace.store.creation import create_store
from evaltrace.store.header import check_header, check_version
from evaltrace.store.migrations import VERSION, migrate
from evaltrace.store.opening import (
    MEMORY,
    Stamp,
    code_of,
    connect,
    open_to_read,
    open_to_write,
    stamp_of,
)
from evaltrace.store.rows import Unreadable

T = TypeVar("T")

_PATIENCE_S = 120.0
"""How long another program's write is waited for; one takes milliseconds."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.0005, 0.02

_LONG_LOG, _MUCH_LOG = 8 << 20, 64 << 20
"""Bytes of the log of writes after which it is begun anew; more of them to try that again."""
_WAIT_MS = 250

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_HINTS = {
    sqlite3.SQLITE_FULL: "Make space on the disk; what was stored before is safe.",
    sqlite3.SQLITE_READONLY: "It can be read; to write, name another file with --store PATH.",
    sqlite3.SQLITE_CANTOPEN: "Check that the folder is there and may be written to.",
    sqlite3.SQLITE_PERM: "Check that you may read the file and its folder.",
    sqlite3.SQLITE_IOERR: "Is the disk full? A network file system? What was stored is safe.",
}
_CHECK = "`evaltrace store check` says where; take it from a backup."
_left_by_fork: list[sqlite3.Connection] = []
"""A parent's connections: closing one in a child would take the file from under the parent."""


class Connection:
    """A connection for all threads of one process; a forked child opens its own."""

    def __init__(self, place: str | Path, *, read_only: bool) -> None:
        self.place, self.read_only = str(place), read_only
        self._lock = RLock()
        self._process = os.getpid()
        # Absolute: the program may go elsewhere before it opens the file again.
        self._path = Path(place).absolute()
        self._log = self._path.with_name(f"{self._path.name}-wal")
        self._longest_log = _LONG_LOG
        self._stamp: Stamp | None = None
        self._open: sqlite3.Connection | None = self._connected()

    def close(self) -> None:
        """Close the connection; closing twice does nothing."""
        with self._lock:
            if self._open is not None and self._process == os.getpid():
                self._open.close()
            self._open = None

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """Open the store for reading: all statements see the same moment."""
        self._notice_fork()
        with self._lock, self._unchanged(), self._our_errors():
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                self._patiently(connection.execute, "SELECT 1 FROM settings")
                yield connection
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")

    @contextmanager
    def _unchanged(self) -> Iterator[None]:
        """See to it that a file which SQLite takes for one that nobody changes is none."""
        if self._stamp is None:
            yield
            return
        if self._is_changed():
            before, self._open = self._connection(), self._connected()
            before.close()
        try:
            yield
        finally:
            if self._stamp is not None and stamp_of(self._path) != self._stamp:
                hint = "Read it again."
                what = "The store was written to while it was read"
                raise StoreFailure(what, where=self.place, hint=hint)

    def _is_changed(self) -> bool:
        return stamp_of(self._path) != self._stamp or _size(self._log) > 0

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open the store for writing: all of it happens, or on an exception nothing."""
        self._notice_fork()
        if self.read_only:
            raise StoreFailure("The store is open for reading only", where=self.place)
        with self._lock, self._our_errors():
            connection = self._connection()
            self._patiently(connection.execute, "BEGIN IMMEDIATE")
            try:
                yield connection
                self._patiently(connection.execute, "COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            self._shorten_log(connection)

    def _shorten_log(self, connection: sqlite3.Connection) -> None:
        """Begin the write-ahead log anew when it is long: with readers at all times, nobody would.

        Readers of the old part are waited for; where one stays, later and later.
        """
        size = _size(self._log)  # 0 for a store in memory, or a journal of another kind
        if size < self._longest_log:
            return
        self._longest_log = size + min(size, _MUCH_LOG)
        connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
        try:
            [kept, _, _] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not kept:
                self._longest_log = _LONG_LOG
        except sqlite3.Error:
            pass  # what was committed is safe in either place
        finally:
            connection.execute("PRAGMA busy_timeout = 0")

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Give the connection outside of a transaction, for what SQLite wants so."""
        self._notice_fork()
        with self._lock, self._unchanged(), self._our_errors():
            yield self._connection()

    @contextmanager
    def rehearsal(self) -> Iterator[sqlite3.Connection]:
        """Open the store for what counts as writing, and take it back: nothing is changed."""
        self._notice_fork()
        with self._lock, self._our_errors():
            connection = self._connection()
            connection.execute("PRAGMA query_only = OFF")
            try:
                self._patiently(connection.execute, "BEGIN IMMEDIATE")
                yield connection
            finally:
                with suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                if self.read_only:
                    connection.execute("PRAGMA query_only = ON")

    def _notice_fork(self) -> None:
        if self._process == os.getpid():
            return
        if self._open is not None:
            _left_by_fork.append(self._open)
            self._open = None
            self._lock = RLock()  # another thread of the parent may have had it
            self._process = os.getpid()
            if self.place == MEMORY:
                raise StoreFailure("A store in memory stays in the process that made it")
            self._open = self._connected()

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            raise StoreFailure("The store is closed", where=self.place)
        return self._open

    def _connected(self) -> sqlite3.Connection:
        with self._our_errors():
            if self.place == MEMORY:
                connection = connect(MEMORY)
                migrate(connection)
                return connection
            path = self._path
            there = check_header(path, VERSION)
            if self.read_only:
                return self._reading(path, there)
            return self._writing(path, there)

    def _reading(self, path: Path, there: bool) -> sqlite3.Connection:
        if not there:
            hint = "`evaltrace store add JOB` makes one."
            raise StoreFailure("There is no store", where=str(path), hint=hint)
        connection, self._stamp = open_to_read(path, self._patient)
        try:
            [version] = connection.execute("PRAGMA user_version").fetchone()
            if version < VERSION:
                what = f"The store has version {version}, this evaltrace reads {VERSION}"
                hint = "Open it once for writing: `evaltrace store add` brings it up to date."
                raise StoreFailure(what, where=str(path), hint=hint)
            check_version(path, version, VERSION)
        except BaseException:
            connection.close()
            raise
        return connection

    def _writing(self, path: Path, there: bool) -> sqlite3.Connection:
        if not there:
            create_store(path)
        connection = open_to_write(path, self._patient)
        try:
            [version] = self._patiently(connection.execute, "PRAGMA user_version").fetchone()
            check_version(path, version, VERSION)
            if version < VERSION:
                self._bring_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _bring_up(self, connection: sqlite3.Connection) -> None:
        self._patiently(connection.execute, "BEGIN IMMEDIATE")
        try:
            migrate(connection)
            self._patiently(connection.execute, "COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise

    def _patient(self, place: str) -> sqlite3.Connection:
        return self._patiently(connect, place)

    def _patiently(self, act: Callable[[str], T], text: str) -> T:
        """Act until the file is not locked by others.

        SQLite's own waiting lets some wait forever: its pauses grow, and are all alike.
        """
        wait, until = _FIRST_WAIT_S, time.monotonic() + _PATIENCE_S
        while True:
            try:
                return act(text)
            except sqlite3.OperationalError as error:
                if code_of(error) not in _BUSY or time.monotonic() > until:
                    raise
            time.sleep(random.uniform(0, wait))
            wait = min(wait * 1.5, _LONGEST_WAIT_S)

    @contextmanager
    def _our_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._failure(error) from error
        except UnicodeDecodeError as error:  # in what SQLite says about a damaged name
            raise StoreFailure("The store is damaged", where=self.place, hint=_CHECK) from error
        except Unreadable as error:
            what = f"The store holds what nobody can read ({error})"
            raise StoreFailure(what, where=self.place, hint=_CHECK) from error

    def _failure(self, error: sqlite3.Error) -> StoreFailure:
        code = code_of(error)
        if code in _DAMAGED:
            return StoreFailure(f"The store is damaged ({error})", where=self.place, hint=_CHECK)
        if code in _BUSY:
            hint = "Another program has been writing to it all the time: is one stuck?"
            what = f"The store was locked for {_PATIENCE_S:.0f} s"
            return StoreFailure(what, where=self.place, hint=hint)
        advice = _HINTS.get(code)
        if "no such module" in str(error):
            advice = "The SQLite of this Python has no FTS5; use one that has."
        what = "read" if self.read_only else "use"
        return StoreFailure(f"Cannot {what} the store ({error})", where=self.place, hint=advice)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
