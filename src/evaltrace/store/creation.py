"""A new store and a copy: made aside, then put in place whole or not at all."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from evaltrace.errors import StoreFailure
from evaltrace.store.migrations import migrate


def create_store(path: Path) -> None:
    """Create an empty store, unless another program does so first. Raises StoreFailure."""
    with published(path) as aside:
        connection = sqlite3.connect(aside, isolation_level=None)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("BEGIN")
            migrate(connection)
            connection.execute("COMMIT")
            # Stays with the file. Where a file system cannot, one program at a time gets in.
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        finally:
            connection.close()


@contextmanager
def published(path: Path, *, new: bool = False) -> Iterator[Path]:
    """Give a file to write, which gets its name at the end; one that is there already stays.

    Raises StoreFailure where it cannot be written, and with `new` if there is one already.
    """
    # Not the process alone: a killed one may have had its number, in containers they all have.
    number = int.from_bytes(os.urandom(6))
    aside = path.with_name(f".evaltrace-{os.getpid()}-{number}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # For the user alone, and so what SQLite puts beside it: what is added keeps its secrets.
        os.close(os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        _put(aside, path)
    except FileExistsError:
        if new:
            hint = "Name a new file."
            raise StoreFailure("There is a file already", where=str(path), hint=hint) from None
    except (OSError, sqlite3.OperationalError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        hint = "Check that the folder may be written to, or name another file."
        raise StoreFailure(
            f"Cannot write the file ({reason})", where=str(path), hint=hint
        ) from None
    finally:
        try:
            _clear(aside)
        finally:  # again: an interrupt may have come while it was cleared away
            _clear(aside)


def _clear(aside: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        with suppress(OSError):  # what was to be done is done, or has its own error
            aside.with_name(aside.name + suffix).unlink(missing_ok=True)


def _put(aside: Path, path: Path) -> None:
    """Give the file its name; raises FileExistsError if another has it, unless that is empty."""
    try:
        os.link(aside, path)
    except FileExistsError:
        _replace_empty(aside, path)
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError from None
        aside.rename(path)


def _replace_empty(aside: Path, path: Path) -> None:
    with path.open("rb") as file:
        with suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        found = path.stat()
        if found.st_size:
            raise FileExistsError
        aside.chmod(stat.S_IMODE(found.st_mode))  # as somebody wants it to be
        aside.replace(path)
