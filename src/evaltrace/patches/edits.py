"""One change of one file, as an edit tool reported it: what a diff is rebuilt from.

Also what was seen of a file while nothing changed: a sighting.
"""

from __future__ import annotations

import msgspec

_FARTHEST = 2**53


class Hunk(msgspec.Struct, frozen=True, gc=False):
    """Consecutive lines of a file, each beginning with a blank, `-` or `+`, without line ends.

    `start` is the number of the first old line, from 1; None where the log does not say.
    `at_end` tells that nothing comes after it; `ends_open` that its last new line has no
    line end, `ended_open` the same of its last old line. `below` are lines that come somewhere
    before it, in order: where to look for a hunk without a number.
    """

    lines: tuple[str, ...]
    start: int | None = None
    at_end: bool = False
    ended_open: bool = False
    ends_open: bool = False
    below: tuple[str, ...] = ()

    @property
    def at(self) -> int | None:
        """The index of the first old line; a number that no file has is cut to one."""
        return None if self.start is None else min(self.start - 1, _FARTHEST)

    @property
    def ends_file(self) -> bool:
        """Whether its last line is the last of the file."""
        return self.at_end or self.ended_open or self.ends_open

    def sides(self) -> tuple[list[str], list[str]]:
        """Give the old and the new lines, with their line ends."""
        marks = {line[:1] for line in self.lines}
        if "+" in marks or "-" in marks:
            old = [f"{line[1:]}\n" for line in self.lines if line[:1] != "+"]
            new = [f"{line[1:]}\n" for line in self.lines if line[:1] != "-"]
        else:
            old = [f"{line[1:]}\n" for line in self.lines]
            new = [*old]
        open_ends = [self.ended_open, self.ends_open]
        if any(open_ends) and self.lines[-1:] and self.lines[-1][:1] not in ("+", "-"):
            open_ends = [True, True]  # the last line is on both sides
        for side, is_open in zip((old, new), open_ends, strict=True):
            if side and is_open:
                side[-1] = side[-1][:-1]
        return old, new


class Replacement(msgspec.Struct, frozen=True, gc=False):
    """A text that was replaced by another, once or wherever it stood."""

    old: str
    new: str
    every: bool = False


class Edit(msgspec.Struct, frozen=True, gc=False):
    """One successful change of one file; as much of it as the log knows.

    `before` and `after` are the whole content, None where the log does not have it;
    `created` tells whether the file was new, None where the log does not say. Hunks and
    replacements count where `after` is unknown, hunks first. A file that was moved keeps
    its content, changed by the rest of the edit.

    With `sighted` nothing changed: the file was read, and `before`, or hunks that have nothing
    but context, hold what was seen of it.
    """

    path: str
    created: bool | None = None
    before: str | None = None
    after: str | None = None
    hunks: tuple[Hunk, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    deleted: bool = False
    moved_to: str | None = None
    sighted: bool = False

    @property
    def size(self) -> int:
        """Characters that it holds, about."""
        size = len(self.before or "") + len(self.after or "")
        for hunk in self.hunks:
            size += sum(map(len, hunk.lines))
        for part in self.replacements:
            size += len(part.old) + len(part.new)
        return size

    @property
    def tells(self) -> bool:
        """Whether it says what changed."""
        if self.deleted or self.moved_to is not None or self.after is not None:
            return True
        return bool(self.hunks or self.replacements)

    @property
    def creates(self) -> bool:
        """Whether it creates its file; in doubt it does when it was written whole."""
        if self.before or self.created is False:
            return False
        if self.created:
            return True
        if self.before is not None or self.deleted or self.moved_to is not None:
            return False
        if self.replacements:
            return self.replacements[0].old == ""
        added = all(line.startswith("+") for hunk in self.hunks for line in hunk.lines)
        return self.after is not None and added
