"""Bytes of a file as text and as lines, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from mmap import mmap
from typing import BinaryIO

from evaltrace.untrusted import BESIDE, REACH, head_end, tail_start

_CHUNK = 2**20
_LARGE = 2**20
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Text:
    """A text file, or its head and tail: original length in bytes, and digest when cut."""

    text: str
    length: int
    digest: str | None


def read_whole(file: int | bytes, size: int) -> bytes:
    """Read up to `size` bytes, which is all of a file that does not change.

    A file is a descriptor, or its content where that was read elsewhere.
    """
    if isinstance(file, bytes):
        return file[:size]
    data = os.read(file, size)
    if len(data) == size:
        return data
    parts = [data]
    while parts[-1]:
        size -= len(parts[-1])
        parts.append(os.read(file, size))
    return b"".join(parts)


def read_apart(file: int | bytes, size: int) -> bytes | memoryview:
    """Read a whole file; a large one into memory of its own, free again when the view is."""
    # What malloc has given out once in such pieces, it keeps for later ones.
    if isinstance(file, bytes) or size < _LARGE:
        return read_whole(file, size)
    view = memoryview(mmap(-1, size))
    filled = 0
    while filled < size and (count := os.readv(file, [view[filled:]])):
        filled += count
    return view[:filled]


def _chunks(file: int | bytes, start: int, size: int) -> Iterator[bytes]:
    """Give the rest of a file that was read up to `start`, and that had so many bytes."""
    if isinstance(file, bytes):
        yield file[start:size]
        return
    while chunk := os.read(file, min(_CHUNK, size - start)):
        start += len(chunk)
        yield chunk


def to_text(data: bytes) -> Text:
    """Decode a whole file leniently."""
    return Text(_decoded(data), len(data), None)


def read_head_and_tail(file: int | bytes, size: int, limit: int) -> Text:
    """Read head and tail of so many bytes, and the digest of the whole, in bounded memory."""
    half = max(limit // 2, 1)
    head = read_whole(file, half)
    hasher, length = sha256(head), len(head)
    before, after = head[-BESIDE:], b""
    tail = before
    for chunk in _chunks(file, half, size):
        hasher.update(chunk)
        length += len(chunk)
        after = after or chunk[:1]
        tail = (tail + chunk)[-half - BESIDE :]
    start = max(len(tail) - half, len(before))
    head, tail = _until_word(head, after), tail[_word_start(tail, start) :]
    cut = f"\n[... {length - len(head) - len(tail)} bytes cut ...]\n"
    return Text(_decoded(head) + cut + _decoded(tail), length, f"sha256:{hasher.hexdigest()}")


def split(data: bytes) -> Iterator[tuple[int, memoryview]]:
    """Give the numbered, non-blank lines of a file that was read whole."""
    # Slices of one buffer: a line that is skipped costs nothing.
    view = memoryview(data)
    start, number, end = 0, 0, len(data)
    while start < end:
        stop = data.find(b"\n", start)
        stop = end if stop < 0 else stop
        number += 1
        if data[start] > 32 or data[start:stop].strip():
            yield number, view[start:stop]
        start = stop + 1


def skip_line(file: BinaryIO, most: int) -> int:
    """Read on to the end of a line, so many bytes at most, and count them."""
    skipped = 0
    while chunk := file.readline(min(_CHUNK, most - skipped)):
        skipped += len(chunk)
        if chunk.endswith(b"\n"):
            break
    return skipped


def _decoded(data: bytes) -> str:
    return data.removeprefix(_MARK).decode("utf-8", "replace")


def _until_word(head: bytes, after: bytes) -> bytes:
    """Leave out a word, or at least a character, of which only the first bytes are there."""
    window = head[-REACH - BESIDE :]
    # Each byte as a character: places are the same, and no word has one that is not ASCII.
    end = head_end((window + after).decode("latin-1"), len(window), len(head))
    return _until_character(head[: len(head) - len(window) + end])


def _word_start(tail: bytes, start: int) -> int:
    """Give the place of the first byte from `start` on that may begin a word."""
    start = tail_start(tail.decode("latin-1"), start)
    return start + _character_start(tail[start : start + 4])


def _character_start(data: bytes) -> int:
    """Give the place of the first byte that may begin a character; a character has up to four."""
    return next((at for at, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)


def _until_character(data: bytes) -> bytes:
    """Leave out a character of which only the first bytes are there."""
    for size in range(1, min(4, len(data) + 1)):
        byte = data[-size]
        if byte & 0xC0 != 0x80:
            needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
            return data[:-size] if needed > size else data
    return data
