"""Directories whose files come from elsewhere: listed at once, each fetched when it is opened.

Whoever supplies a directory says so before it is read; a Source of that path then asks the
supply, and never the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

Tell = Callable[[str, str, str], None]
"""Reports what is wrong with a file: code, message, hint."""


class Supply(Protocol):
    """The files of one directory; paths in it are relative, "" is the directory itself."""

    def names(self, path: str) -> dict[str, str]:
        """Give the names in a folder, in order, each with `file` or `dir`."""

    def size(self, path: str) -> int:
        """Give the bytes of a file that is there."""

    def take(self, path: str, tell: Tell) -> bytes | str | None:
        """Give the content of a file, or the place of a plain file that has it.

        None where it cannot be had, and then why is told.
        """


@contextmanager
def supplied(top: str, supply: Supply) -> Iterator[None]:
    """Let sources of a directory, and of what lies in it, be supplied until the block ends."""
    _SUPPLIES[top] = supply
    try:
        yield
    finally:
        del _SUPPLIES[top]


def supply_of(top: str) -> Supply | None:
    """Give what supplies a directory, None where its files lie on the disk."""
    # Looked up, not gone through: other threads of a worker add theirs meanwhile.
    place = top if _SUPPLIES else ""
    while place:
        supply = _SUPPLIES.get(place)
        if supply is not None:
            return supply if place == top else _Below(supply, top[len(place) + 1 :])
        place = place.rpartition("/")[0]
    return None


class _Below:
    """A directory in one that is supplied."""

    def __init__(self, supply: Supply, folder: str) -> None:
        self._supply, self._folder = supply, folder

    def names(self, path: str) -> dict[str, str]:
        return self._supply.names(self._in_it(path))

    def size(self, path: str) -> int:
        return self._supply.size(self._in_it(path))

    def take(self, path: str, tell: Tell) -> bytes | str | None:
        return self._supply.take(self._in_it(path), tell)

    def _in_it(self, path: str) -> str:
        return f"{self._folder}/{path}" if path else self._folder


_SUPPLIES: dict[str, Supply] = {}
