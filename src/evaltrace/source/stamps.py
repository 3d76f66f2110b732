"""What a path was when it was looked at: two equal stamps, and nothing has changed there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Literal, NamedTuple

Kind = Literal["file", "dir", "other", "absent", "unreadable"]
Seen = os.stat_result | Kind
"""The status that a path had, or why it had none."""


class Stamp(NamedTuple):
    """What a path was when it was looked at, links followed: the same stamp, the same content.

    An `absent` path had nothing; of what was `unreadable` nothing is known, and no fresh stamp
    is ever equal to it. Times are nanoseconds. A file that is changed twice within one tick of
    the file system's clock keeps its stamp: one as young as that proves nothing.
    """

    kind: Kind
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0


def stamp_of(path: str | Path) -> Stamp:
    """Look at a path as it is now, links followed."""
    return to_stamp(status_of(os.fspath(path)))


def status_of(path: str) -> Seen:
    """Give the status of a path, links followed; `absent` where there is none to have."""
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return "absent"


def to_stamp(seen: Seen) -> Stamp:
    """Keep of a status what changes with the content."""
    if isinstance(seen, str):
        return Stamp(seen)
    kind: Kind = "other"
    if stat.S_ISREG(seen.st_mode):
        kind = "file"
    elif stat.S_ISDIR(seen.st_mode):
        kind = "dir"
    return Stamp(kind, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino)
