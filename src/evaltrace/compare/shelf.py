"""What is looked at of few trials only, kept out of memory: a file without a name."""

from __future__ import annotations

import io
import tempfile
import weakref
from typing import TypeVar

import msgspec

_IN_MEMORY = 1 << 17
"""Bytes up to which no file is made."""


class Evidence(msgspec.Struct, kw_only=True):
    """What stands behind an outcome: tool calls, tests by name, the diff and its files.

    `diff` is None where it was cut: half of it is nothing to compare.
    """

    moves: tuple[str, ...] | None = None
    cases: dict[str, str] | None = None
    diff: str | None = None
    paths: list[str] | None = None


class Moves(msgspec.Struct):
    """The part of the evidence that `Trial.moves` is."""

    moves: tuple[str, ...] | None = None


class Cases(msgspec.Struct):
    """The part of the evidence that `Trial.cases` is."""

    cases: dict[str, str] | None = None


class Patch(msgspec.Struct):
    """The part of the evidence that is about the code changes."""

    diff: str | None = None
    paths: list[str] | None = None


_ENCODER = msgspec.msgpack.Encoder()

P = TypeVar("P", bound=msgspec.Struct)


class Shelf:
    """Evidence of many trials: the last of it in memory, what came before in a temporary file.

    The file has no name where the system allows that, and ends with the shelf. Without room for
    it nothing more is taken.
    """

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._in_memory = in_memory
        self._last = bytearray()
        self._file: io.FileIO | None = None
        self._in_file = 0
        self._is_full = False
        self._found = -1, b""

    def put(self, evidence: Evidence) -> Shelved | None:
        """Put evidence down; None where there is no room, or it cannot be written."""
        if self._is_full:
            return None
        start = len(self._last)
        try:
            _ENCODER.encode_into(evidence, self._last, start)
        except UnicodeEncodeError:  # a lone surrogate
            del self._last[start:]
            return None
        found = Shelved(self, self._in_file + start, len(self._last) - start)
        if len(self._last) > self._in_memory:
            self._write()
        return found

    def _write(self) -> None:
        """Move what is in memory to the file; where that fails it stays, and is the last."""
        try:
            if self._file is None:
                # Without a buffer: what does not fit says so at once.
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - see finalize
                weakref.finalize(self, self._file.close)
            self._file.seek(self._in_file)
            written = 0
            while written < len(self._last):
                with memoryview(self._last) as rest:
                    written += self._file.write(rest[written:])
        except OSError:
            self._is_full = True
            return
        self._in_file += written
        self._last.clear()

    def read(self, start: int, length: int) -> bytes:
        """Read so many bytes."""
        if self._file is None or start >= self._in_file:
            start -= self._in_file
            return bytes(self._last[start : start + length])
        # The parts of one trial's evidence are asked for one after the other.
        if self._found[0] != start:
            self._file.seek(start)
            self._found = start, self._file.read(length)
        return self._found[1]


class Shelved(msgspec.Struct, frozen=True, gc=False):
    """Where the evidence of one trial lies."""

    shelf: Shelf
    start: int
    length: int

    def read(self, part: type[P]) -> P:
        """Read a part of the evidence."""
        return msgspec.msgpack.decode(self.shelf.read(self.start, self.length), type=part)
