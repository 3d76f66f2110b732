"""The files of one directory, read: bytes, texts, JSON documents, lines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

import msgspec

from evaltrace.jsontext import Malformed, decode
from evaltrace.source.listing import RUNNING, Listing
from evaltrace.source.stamps import status_of
from evaltrace.source.texts import (
    Text,
    read_apart,
    read_head_and_tail,
    read_whole,
    skip_line,
    split,
    to_text,
)

T = TypeVar("T")
D = TypeVar("D")

MAX_DOCUMENT = 256 * 2**20
"""Bytes of a single JSON document that is read whole."""

MAX_LINE = 16 * 2**20
"""Bytes of one line of a JSONL file; a longer one is passed over and reported."""

_WHOLE = 8 * 2**20
_BUFFER = 2**18
_FEW = 2**14
_LEFT_OUT = "The file was left out; the trial's other files were read."
_HINTS = {"malformed_json": RUNNING}


class Source(Listing):
    """A directory below a boundary; `label` is how problems name it."""

    def read(self, path: str, limit: int = MAX_DOCUMENT) -> bytes | None:
        """Read a whole file; None (and a problem) when it is unreadable or over the limit."""
        return self._read(path, read_whole, limit)

    def read_document(self, path: str) -> bytes | memoryview | None:
        """Read a whole file to decode it at once; None (and a problem) as read."""
        return self._read(path, read_apart, MAX_DOCUMENT)

    def _read(
        self, path: str, how: Callable[[int | bytes, int], D], limit: int | None = None
    ) -> D | None:
        """Read a file by its descriptor and size, and see that it did not change meanwhile."""
        opened = self._open(path)
        if opened is None:
            return None
        if isinstance(opened, bytes):
            return how(opened, len(opened)) if self._fits(path, len(opened), limit) else None
        descriptor, before = opened
        try:
            if not self._fits(path, before.st_size, limit):
                return None
            data = how(descriptor, before.st_size)
            self._compare(path, before, os.fstat(descriptor))
        except OSError as error:
            self._unreadable(path, error)
            return None
        finally:
            os.close(descriptor)
        return data

    def _fits(self, path: str, size: int, limit: int | None) -> bool:
        if limit is None or size <= limit:
            return True
        hint = "Cut the file down, or rely on the other sources of the trial."
        self.report("too_large", path, f"{size} bytes; at most {limit} are read", hint)
        return False

    def read_text(self, path: str, limit: int) -> Text | None:
        """Read a text of about `limit` bytes at most: all of it, or its head and its tail."""

        def take(file: int | bytes, size: int) -> Text:
            if size <= limit:
                return to_text(read_whole(file, size))
            return read_head_and_tail(file, size, limit)

        return self._read(path, take)

    def read_json(self, path: str, decoder: msgspec.json.Decoder[T]) -> T | None:
        """Read one JSON document; None (and a problem) when it cannot be used."""
        data = self.read_document(path)
        return None if data is None else self.to_value(path, data, decoder)

    def to_value(
        self, path: str, data: bytes | memoryview, decoder: msgspec.json.Decoder[T]
    ) -> T | None:
        """Decode a document that was read from `path`; None (and a problem) as read_json."""
        try:
            value, mended = decode(data, decoder)
        except Malformed as fault:
            if not bytes(data).strip():
                self.report("empty_json", path, "the file is empty", RUNNING)
                return None
            code = "malformed_json" if fault.code == "not_json" else fault.code
            self.report(code, path, str(fault), _HINTS.get(code, _LEFT_OUT))
            return None
        if mended:
            hint = "The rest was read; what is named was replaced or left out."
            self.report("mended_json", path, f"read in spite of: {mended}", hint)
        return value

    def lines(self, path: str, *, few: bool = False) -> Iterator[tuple[int, memoryview | bytes]]:
        """Give the numbered, non-blank lines of a file, without their line feeds.

        If a `few` of the first are wanted, little more is read than these.
        """
        opened = self._open(path)
        if isinstance(opened, bytes):
            yield from split(opened)
        elif opened is not None:
            yield from self._lines_of(path, *opened, few=few)

    def _lines_of(
        self, path: str, descriptor: int, before: os.stat_result, *, few: bool
    ) -> Iterator[tuple[int, memoryview | bytes]]:
        if few or before.st_size > _WHOLE:
            with os.fdopen(descriptor, "rb", buffering=_FEW if few else _BUFFER) as file:
                try:
                    yield from self._streamed(path, file, before.st_size)
                    self._compare(path, before, os.fstat(descriptor))
                except OSError as error:
                    self._unreadable(path, error)
            return
        try:
            data = read_whole(descriptor, before.st_size)
        except OSError as error:
            self._unreadable(path, error)
            return
        finally:
            # Logs that are read side by side do not use up the open files.
            os.close(descriptor)
        yield from split(data)
        self._compare(path, before, status_of(self._place(path)))

    def _streamed(self, path: str, file: BinaryIO, left: int) -> Iterator[tuple[int, bytes]]:
        # No more is read than was there: who writes all the time would keep the reader for ever.
        number = 0
        while left > 0 and (line := file.readline(min(MAX_LINE, left))):
            number += 1
            left -= len(line)
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                skipped = skip_line(file, left)
                left -= skipped
                length = len(line) + skipped
                hint = "The rest of the file was read; look at this line by hand."
                self.report("line_too_long", path, f"line {number} has {length} bytes", hint)
            elif line.strip():
                yield number, line.removesuffix(b"\n")
