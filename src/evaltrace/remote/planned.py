"""What planning reads of a remote folder: names in a table, contents in one file.

Thousands of small files and folders would take longer to make than to fetch.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from evaltrace.remote.tables import read_only
from evaltrace.source import Tell

_FOLDER, _NOT_KEPT = -1, -2
_MAKE = """
create table names (parent text, name text, at integer, size integer, primary key (parent, name))
without rowid
"""


class Planned:
    """A tree of folders and small files, kept in a folder of this disk; supplies that tree."""

    def __init__(self, folder: Path, table: sqlite3.Connection | None = None) -> None:
        self._folder = folder
        self._table = table or read_only(folder / "planned.sqlite")
        self._descriptor = os.open(folder / "planned.contents", os.O_RDWR | os.O_CREAT, 0o600)
        self._end = 0
        self._asked: tuple[str, dict[str, tuple[int, int]]] = "/", {}

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Begin with an empty tree, which is read when it has been closed."""
        table = sqlite3.connect(folder / "planned.sqlite")
        # It is made anew when a run dies: no need to wait for the disk.
        table.execute("pragma synchronous = off")
        table.execute("pragma journal_mode = memory")
        table.execute(_MAKE)
        return cls(folder, table)

    @classmethod
    def found(cls, folder: str) -> Self | None:
        """Open what was made in a folder, None where nothing was: on another machine."""
        path = Path(folder)
        return cls(path) if (path / "planned.sqlite").is_file() else None

    def close(self) -> None:
        """Keep what was added."""
        self._table.commit()
        self._table.close()
        os.close(self._descriptor)

    def add_folders(self, paths: Iterable[str]) -> None:
        """Add folders."""
        rows = ((*_split(path), _FOLDER) for path in paths)
        self._table.executemany("insert or ignore into names values (?, ?, ?, 0)", rows)

    def add(self, path: str, content: bytes) -> None:
        """Add a file; its folder is there."""
        written = os.pwrite(self._descriptor, content, self._end)
        while written < len(content):
            written += os.pwrite(self._descriptor, content[written:], self._end + written)
        self._insert(path, self._end, len(content))
        self._end += len(content)

    def add_size(self, path: str, size: int) -> None:
        """Add a file that nobody will read to its end; it has a size only."""
        self._insert(path, _NOT_KEPT, size)

    def _insert(self, path: str, at: int, size: int) -> None:
        row = (*_split(path), at, size)
        self._table.execute("insert or replace into names values (?, ?, ?, ?)", row)

    def content(self, path: str) -> bytes | None:
        """Give the content of a file, None where there is none."""
        at, size = self._where(path)
        return os.pread(self._descriptor, size, at) if at >= 0 else None

    def names(self, path: str) -> dict[str, str]:
        """Give the names in a folder, in order."""
        rows = self._table.execute("select name, at from names where parent = ?", (path,))
        return {name: "dir" if at == _FOLDER else "file" for name, at in sorted(rows)}

    def size(self, path: str) -> int:
        """Give the bytes of a file."""
        return self._where(path)[1]

    def take(self, path: str, _: Tell) -> bytes | str | None:
        """Give the content of a file, or the place of one as long."""
        content = self.content(path)
        if content is not None:
            return content
        place = self._folder / "as-long"
        with place.open("wb") as file:
            file.truncate(self.size(path))
        return str(place)

    def _where(self, path: str) -> tuple[int, int]:
        # Whoever asks for a file asks for the others in its folder next.
        folder, name = _split(path)
        if folder != self._asked[0]:
            query = "select name, at, size from names where parent = ? and at <> ?"
            rows = self._table.execute(query, (folder, _FOLDER))
            self._asked = folder, {name: (at, size) for name, at, size in rows}
        return self._asked[1].get(name, (_FOLDER, 0))


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name
