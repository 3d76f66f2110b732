"""What a path holds: recordings, or by a look at its first bytes Parquet, a database, or text."""

from __future__ import annotations

from pathlib import Path

MANIFEST = "_manifest.json"
"""The file of a data set that names all others."""

FORMAT = "evaltrace data set"
_RECORDED = "trace_*.json"
"""How recorded traces are called."""

_OPENING = 200
"""Bytes within which a manifest says what it is."""
_PARQUET = b"PAR1"
_SQLITE = b"SQLite format 3\x00"


def is_dataset(path: Path) -> bool:
    """Tell whether a path is a folder with a manifest of ours."""
    try:
        with (path / MANIFEST).open("rb") as file:
            return FORMAT.encode() in file.read(_OPENING)
    except OSError:
        return False


def recordings_in(path: Path) -> list[Path]:
    """List the recorded traces of a folder, by name; none for what is no such folder."""
    if not path.is_dir() or is_dataset(path):
        return []
    return sorted(file for file in path.glob(_RECORDED) if file.is_file())


def holds_traces(path: Path) -> bool:
    """Tell whether a folder is one of traces: a data set, or recordings."""
    return is_dataset(path) or bool(recordings_in(path))


def is_parquet(path: Path) -> bool:
    """Tell whether a path is a data set, or a Parquet file."""
    if path.is_dir():
        return is_dataset(path)
    return _begins_with(path, _PARQUET)


def is_database(path: Path) -> bool:
    """Tell whether a path is a file of SQLite; a store is one, opening it tells the others."""
    return _begins_with(path, _SQLITE)


def _begins_with(path: Path, magic: bytes) -> bool:
    # Not of a pipe: what is read of it is gone.
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False
