"""The objects below a folder, listed in parallel and kept in a file: in little memory.

Keys in here begin with the name of the folder that was listed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Semaphore

from evaltrace.errors import Problem
from evaltrace.remote.names import why_unusable
from evaltrace.remote.stores import Object, Store
from evaltrace.remote.tables import read_only
from evaltrace.remote.threads import Threads
from evaltrace.source import readable

_PARALLEL = 32
"""Listings at a time."""

_WAITING = 2 * _PARALLEL
"""Pages that wait to be written down."""

_FEW = 64
"""Folders that get a listing each; more of them are listed in groups that follow each other."""

_AFTER_SLASH = "0"
"""The character after the slash: ends the range of keys below a folder."""

_TABLES = """
create table if not exists objects (key text primary key, size integer, tag text) without rowid;
create table if not exists folders (path text primary key) without rowid;
"""


class Listing:
    """A file of objects and folders; it can be opened again by its path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as table, table:
            table.executescript(_TABLES)

    def add(self, pages: Iterable[list[Object]]) -> list[Problem]:
        """Add pages of objects; give the problems of those that cannot be files."""
        problems: list[Problem] = []
        with closing(sqlite3.connect(self.path)) as table, table:
            # It is made anew when a run dies: no need to wait for the disk.
            table.execute("pragma synchronous = off")
            for page in pages:
                rows, folders = _sorted_out(page, problems)
                table.executemany("insert or replace into objects values (?, ?, ?)", rows)
                table.executemany("insert or ignore into folders values (?)", folders)
            problems += _without_clashes(table)
        return sorted(set(problems), key=lambda row: (row.path, row.message))

    def folders(self) -> Iterator[str]:
        """Give the paths of all folders, in order."""
        with closing(sqlite3.connect(self.path)) as table:
            yield from (path for (path,) in table.execute("select path from folders order by path"))

    def named(self, names: Iterable[str]) -> Iterator[Object]:
        """Give the objects whose path ends in one of these names, in order."""
        wanted = tuple(f"/{name}" for name in names)
        with closing(sqlite3.connect(self.path)) as table:
            for row in table.execute("select key, size, tag from objects order by key"):
                if row[0].endswith(wanted):
                    yield Object(*row)

    def below(self, folders: Iterable[str]) -> Iterator[tuple[Object, ...]]:
        """Give the objects below each of the folders, with keys from there on.

        Nothing is added any more.
        """
        query = "select key, size, tag from objects where key > ? and key < ? order by key"
        with closing(read_only(self.path)) as table:
            for folder in folders:
                start = len(folder) + 1
                rows = table.execute(query, (f"{folder}/", folder + _AFTER_SLASH))
                yield tuple(Object(key[start:], size, tag) for key, size, tag in rows)


Level = tuple[list[str], list[Object]]
"""The names of the folders at a place, and the objects there."""


def list_pages(store: Store, prefix: str, level: Level, top: str) -> Iterator[list[Object]]:
    """List everything below a prefix, several parts at a time; keys begin with `top`.

    Raises Refused.
    """
    names, objects = level
    pages = _Pages()
    with Threads(_PARALLEL) as pool:
        parts = _parts(store, prefix, names)
        futures = [pool.submit(pages.list_part, store, part) for part in parts]
        try:
            yield _renamed(objects, prefix, top)
            for page in pages.arriving(len(futures)):
                yield _renamed(page, prefix, top)
        finally:
            pages.end(len(futures))
        for future in futures:
            future.result()


class _Pages:
    """Pages of several listings, a few of which wait to be written down."""

    def __init__(self) -> None:
        self._arrived: SimpleQueue[list[Object] | None] = SimpleQueue()
        self._room, self._ended = Semaphore(_WAITING), Event()

    def list_part(self, store: Store, part: _Part) -> None:
        """List a part, until its end or that of all."""
        try:
            for page in () if self._ended.is_set() else store.pages(part.prefix, part.after):
                self._room.acquire()
                if self._ended.is_set():
                    break
                self._arrived.put([row for row in page if part.holds(row.key)])
                if part.before and page and page[-1].key >= part.before:
                    break
        except BaseException:
            self._ended.set()  # without this part the others are of no use
            raise
        finally:
            self._arrived.put(None)

    def arriving(self, parts: int) -> Iterator[list[Object]]:
        """Give pages as they come, until so many parts have ended."""
        while parts:
            page = self._arrived.get()
            if page is None:
                parts -= 1
            else:
                yield page
            self._room.release()

    def end(self, parts: int) -> None:
        """Let nobody list on who still does."""
        self._ended.set()
        self._room.release(parts + 1)


class _Part:
    """Keys that begin with a prefix, after one key and before another."""

    def __init__(self, prefix: str, after: str | None = None, before: str | None = None) -> None:
        self.prefix, self.after, self.before = prefix, after, before

    def holds(self, key: str) -> bool:
        return self.before is None or key < self.before


def _parts(store: Store, prefix: str, names: list[str]) -> list[_Part]:
    if any(why_unusable(name) for name in names):
        return [_Part(prefix)]
    if len(names) <= _FEW:
        return [_Part(f"{prefix}{name}/") for name in names]
    if not store.ordered:
        return [_Part(prefix)]
    # An object that is named as a bound is in no part: it is known from the level.
    starts = sorted(f"{prefix}{name}" for name in names)
    bounds = [starts[at * len(starts) // _PARALLEL] for at in range(1, _PARALLEL)]
    return [_Part(prefix, after, before) for after, before in pairwise([None, *bounds, None])]


def _renamed(page: list[Object], prefix: str, top: str) -> list[Object]:
    start = len(prefix)
    return [Object(f"{top}/{row.key[start:]}", row.size, row.tag) for row in page]


def _sorted_out(
    page: list[Object], problems: list[Problem]
) -> tuple[list[Object], dict[tuple[str], None]]:
    """Tell objects from folders, and from what can be neither."""
    rows: list[Object] = []
    folders: dict[tuple[str], None] = {}
    for row in page:
        # Some tools make an empty object for a folder.
        marker = row.key.endswith("/") and row.size == 0
        path = row.key[:-1] if marker else row.key
        reason = why_unusable(path)
        if reason:
            problems.append(_unusable(path, reason))
            continue
        if not marker:
            rows.append(row)
            path = path.rpartition("/")[0]
        while path and (path,) not in folders:
            folders[path,] = None
            path = path.rpartition("/")[0]
    return rows, folders


def _without_clashes(table: sqlite3.Connection) -> list[Problem]:
    """Take out objects that are folders too; an empty one stands for the folder."""
    clash = "from objects where key in (select path from folders)"
    found = table.execute(f"select key {clash} and size > 0").fetchall()
    table.execute(f"delete {clash}")
    return [_unusable(key, "it is a folder, too") for (key,) in found]


def _unusable(path: str, reason: str) -> Problem:
    return Problem(
        code="unusable_name",
        path=readable(path),
        message=f"an object cannot be a file here: {reason}",
        hint="It was left out; rename it if it belongs to a trial.",
    )
