"""The first bytes of a file: whether it is a store, and whether it may be opened as one."""

from __future__ import annotations

import os
import time
from pathlib import Path

from evaltrace.errors import StoreFailure

APPLICATION_ID = 0x45765472
"""How the header of the file says that it is ours: `EvTr`."""

_MAGIC = b"SQLite format 3\x00"
_LENGTH = 100
_PAGE_SIZE, _LOGGED, _PAGES, _VERSION, _APPLICATION = 16, 18, 28, 60, 68
"""Where the header has them; all are big-endian."""

_LOOKS, _PAUSE_S = 4, 0.05
_ELSEWHERE = "Name another file with --store PATH; this one was left as it is."


def is_store(path: str | Path) -> bool:
    """Tell by its first bytes whether a file is a store."""
    try:
        if not Path(path).is_file():  # what is read of a pipe is gone
            return False
        with Path(path).open("rb") as file:
            header = file.read(_LENGTH)
    except (OSError, ValueError):
        return False
    return header.startswith(_MAGIC) and _number(header, _APPLICATION) == APPLICATION_ID


def has_log(path: Path) -> bool:
    """Tell whether writes go to a log beside the file, so that others may read meanwhile."""
    header, _ = _read(path)
    return header[_LOGGED : _LOGGED + 1] == b"\x02"


def check_header(path: Path, newest: int) -> bool:
    """Tell whether a file is there that holds a store; raises StoreFailure for any other file.

    An empty file is none yet. Nothing is changed by looking.
    """
    header, size = _read(path)
    if not header:
        return False
    if not header.startswith(_MAGIC) or len(header) < _LENGTH:
        raise StoreFailure("Not a store", where=str(path), hint=_ELSEWHERE)
    if _number(header, _APPLICATION) != APPLICATION_ID:
        what = "A database of another program, not a store"
        raise StoreFailure(what, where=str(path), hint=_ELSEWHERE)
    check_version(path, _number(header, _VERSION), newest)
    for _ in range(_LOOKS):
        whole = _whole_size(header)
        if size >= whole or _is_being_written(path):
            return True
        time.sleep(_PAUSE_S)  # the last one who had it open may just be closing it
        header, size = _read(path)
    what = f"The store is damaged: {size:,} bytes of {whole:,} are there"
    hint = "Take it from a backup; the file was left as it is."
    raise StoreFailure(what, where=str(path), hint=hint)


def _read(path: Path) -> tuple[bytes, int]:
    try:
        with path.open("rb") as file:
            return file.read(_LENGTH), file.seek(0, 2)
    except FileNotFoundError:
        return b"", 0
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "Name a file with --store PATH."
        raise StoreFailure(
            f"Cannot read the store ({reason})", where=str(path), hint=hint
        ) from None


def _is_being_written(path: Path) -> bool:
    """Tell whether somebody writes to it, or did: then its size alone says nothing."""
    try:
        return os.path.lexists(f"{path}-journal") or Path(f"{path}-wal").stat().st_size > 0
    except OSError:
        return False


def check_version(path: Path, found: int, newest: int) -> None:
    """Refuse a store of a later version than the newest that is known. Raises StoreFailure."""
    if found > newest:
        what = f"The store has version {found}, this evaltrace knows up to {newest}"
        hint = "Update evaltrace, or name another file with --store PATH."
        raise StoreFailure(what, where=str(path), hint=hint)


def _whole_size(header: bytes) -> int:
    page = int.from_bytes(header[_PAGE_SIZE : _PAGE_SIZE + 2], "big")
    return (65536 if page == 1 else page) * _number(header, _PAGES)


def _number(header: bytes, at: int) -> int:
    return int.from_bytes(header[at : at + 4], "big")
