"""What a store of objects can do.

Reading has three outcomes beside bytes: the object is gone, is another one than was
listed, or may not be read. They are exceptions in here and values outside. Everything
else that goes wrong ends the command: it is no property of the trials.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol


class Object(NamedTuple):
    """An object as it was listed; the tag changes with the content, None where none is kept."""

    key: str
    size: int
    tag: str | None


class Vanished(Exception):
    """There is no such object (any more)."""


class Changed(Exception):
    """The object is not the one that was listed."""


class Refused(Exception):
    """The object may not be read."""


class Store(Protocol):
    """A bucket; keys are those of its objects. Raises UnreadablePath and OutputFailure."""

    ordered: bool
    """Whether a listing can begin after any key without being made from the start."""

    def pages(self, prefix: str, after: str | None = None) -> Iterator[list[Object]]:
        """List everything whose key begins with the prefix, after a key if one is given."""

    def level(self, prefix: str) -> tuple[list[str], list[Object]]:
        """List the names of the folders at the prefix, and the objects there."""

    def look(self, key: str) -> Object | None:
        """Give what an object is, None where there is none."""

    def read(self, key: str, start: int, stop: int, tag: str | None) -> bytes | memoryview:
        """Read a range, from 0 to 0 all of it, of the object with this tag.

        Raises Vanished, Changed or Refused.
        """

    def open(self, key: str) -> BinaryIO:
        """Open an object as a stream; raises FileNotFoundError."""

    def put(self, key: str, source: Path, *, create: bool) -> bool:
        """Upload a file whole or not at all; False if `create` and the key is taken."""

    def remove(self, key: str) -> None:
        """Remove an object, if it is there."""
