"""Stretches of files, copied into an output without passing through Python where that can be."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import BinaryIO

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes of a file, from `offset` on."""

    path: str
    offset: int
    length: int

    def precedes(self, other: Span) -> bool:
        """Tell whether another span begins where this one ends."""
        return self.path == other.path and self.offset + self.length == other.offset

    def without(self, tail: int) -> Span:
        """Give the span without its last bytes."""
        return Span(self.path, self.offset, self.length - tail)


def copy_span(span: Span, out: BinaryIO) -> None:
    """Copy a span to the end of an output; raises OSError if the file is shorter."""
    # By descriptor: short spans are many, and a file object costs more than the copying.
    source = os.open(span.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        done = _copied_by_system(source, span, out)
        os.lseek(source, span.offset + done, os.SEEK_SET)
        while done < span.length:
            chunk = os.read(source, min(_CHUNK, span.length - done))
            if not chunk:
                raise OSError(errno.EIO, "a file that is copied ends too early", span.path)
            out.write(chunk)
            done += len(chunk)
    finally:
        os.close(source)


def _copied_by_system(source: int, span: Span, out: BinaryIO) -> int:
    """Have the system copy what it can; give how many bytes that were."""
    if not hasattr(os, "copy_file_range") or span.length < _CHUNK // 16:
        return 0
    try:
        target = out.fileno()
        out.flush()
    except (OSError, AttributeError):
        return 0
    done = 0
    try:
        while done < span.length:
            copied = os.copy_file_range(source, target, span.length - done, span.offset + done)
            if not copied:
                break
            done += copied
    except OSError:  # another file system, a pipe: the bytes are read and written instead
        pass
    return done
