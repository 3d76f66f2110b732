"""Unified diffs as git writes them: lines compared, hunks numbered, path names quoted."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from evaltrace.patches.lines import (
    Block,
    Gap,
    is_closed,
    longest_seam,
    shared_head,
    shared_tail,
    to_lines,
)
from evaltrace.untrusted import clean

CONTEXT = 3
"""Unchanged lines shown around a change."""

_MOST_STEPS = 300
"""Changed lines between two anchors up to which the least change is looked for."""

_GUESS = 1
"""Lines that a gap of unknown size counts for: the nearest place below is tried first."""

_MOST_CLAIMS = 300

_HEADING = re.compile("[A-Za-z_$]")
_HEADING_BYTES = 80
_WORD_GOES_ON = re.compile("[A-Za-z0-9_]")
_MAYBE_SECRET = re.compile(r"(?<![\w.+/=-])(?=[^\d\s]*\d)[\w.+/=-]{8,80}\Z")

Change = tuple[int, int, int, int]
"""Lines `i1:i2` of then became lines `j1:j2` of now."""

_LETTERS = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}


def quoted(path: str) -> str:
    r"""Write a path as git does: unusual ones in quotes (`"caf\303\251.md"`)."""
    if path.isascii() and path.isprintable() and not ('"' in path or "\\" in path):
        return path
    octets = path.encode("utf-8", "replace")
    return '"' + "".join(map(_escaped, octets)) + '"'


def _escaped(octet: int) -> str:
    if octet in _LETTERS:
        return "\\" + _LETTERS[octet]
    return chr(octet) if 32 <= octet < 127 else f"\\{octet:03o}"


def unfit(segments: list[Gap | Block]) -> str | None:
    """Say why lines cannot be shown in a diff that can be applied."""
    for segment in segments:
        if isinstance(segment, Gap):
            continue
        for lines in filter(None, (segment.old, segment.new)):
            text = "".join(lines)
            if "\0" in text:
                return "its content is binary"
            if clean(text) != text:
                return "its content is not text"
            if to_lines(text) != lines or not (segment is segments[-1] or is_closed(lines)):
                return "the end of a line is not where it has to be"
    return None


@dataclass(slots=True)
class FileDiff:
    """The part of a diff about one file, and its counts.

    `anchored` is False where the lines after a change are not known: git takes such a hunk
    for the end of the file, unless it is told otherwise (`--unidiff-zero`).
    """

    text: str
    added: int = 0
    removed: int = 0
    anchored: bool = True


def render_file(old: str | None, new: str | None, segments: list[Gap | Block]) -> FileDiff | None:
    """Render the change of one file; a path is None where the file does not exist.

    None when nothing changed.
    """
    made = _Hunks()
    for segment in _settled(segments):
        made.take(segment)
    made.close(at_end=True)
    header = _header(old, new)
    if not made.parts and header.count("\n") == 1:
        return None
    names = ""
    if made.parts:
        names = f"--- {_name('a/', old)}\n+++ {_name('b/', new)}\n"
    return FileDiff(header + names + "".join(made.parts), made.added, made.removed, made.anchored)


def _header(old: str | None, new: str | None) -> str:
    before, after = old or new or "", new or old or ""
    lines = [f"diff --git {quoted(f'a/{before}')} {quoted(f'b/{after}')}"]
    if old is None:
        lines.append("new file mode 100644")
    elif new is None:
        lines.append("deleted file mode 100644")
    elif old != new:
        lines += [f"rename from {quoted(old)}", f"rename to {quoted(new)}"]
    return "\n".join([*lines, ""])


def _name(side: str, path: str | None) -> str:
    if path is None:
        return "/dev/null"
    # A tab ends a name that has a blank in it.
    return quoted(side + path) + ("\t" if " " in path else "")


@dataclass
class _Hunks:
    """Hunks in the making; numbers count the lines before, from 0."""

    parts: list[str] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    anchored: bool = True
    _at: tuple[int, int] = (0, 0)
    _guessed: bool = False
    _open: bool = False
    """A hunk ended without context, which is right only at the end of the file."""

    def take(self, segment: Gap | Block) -> None:
        """Take in the next lines of the file."""
        old, new = self._at
        if isinstance(segment, Gap):
            self.close(at_end=False)
            self._guessed = self._guessed or segment.count is None
            size = _GUESS if segment.count is None else segment.count
            self._at = (old + size, new + size)
            return
        heading, searched = "", 0
        for group in _groups(compare(segment.old, segment.new)):
            start = max(group[0][0] - CONTEXT, 0)
            heading = _heading(segment.old[searched:start]) or heading
            self._hunk(segment, group, heading)
            searched = start
        self._at = (old + len(segment.old), new + len(segment.new))

    def close(self, *, at_end: bool) -> None:
        """Note whether the last hunk ends where its file does, if it has to."""
        if self._open and not at_end:
            self.anchored = False
        self._open = False

    def _hunk(self, block: Block, group: list[Change], heading: str) -> None:
        first, last = group[0], group[-1]
        before = min(CONTEXT, first[0])
        after = min(CONTEXT, len(block.old) - last[1])
        start, stop = first[0] - before, last[1] + after
        self.parts.append(
            f"@@ -{self._range(self._at[0] + start, stop - start)}"
            f" +{self._range(self._at[1] + first[2] - before, last[3] + after - first[2] + before)}"
            f" @@{heading}\n"
        )
        at = start
        for i1, i2, j1, j2 in group:
            self._add(" ", block.old[at:i1])
            self._add("-", block.old[i1:i2])
            self._add("+", block.new[j1:j2])
            self.removed, self.added, at = self.removed + i2 - i1, self.added + j2 - j1, i2
        self._add(" ", block.old[at:stop])
        self._open = after == 0

    def _range(self, start: int, count: int) -> str:
        if count == 0:
            # git looks for what is numbered 0 or 1 at the beginning only.
            return f"{max(start, 2) if self._guessed else start},0"
        return str(start + 1) if count == 1 else f"{start + 1},{count}"

    def _add(self, mark: str, lines: Sequence[str]) -> None:
        # Only the last line of a file may have no end.
        if lines:
            self.parts += [mark, mark.join(lines)]
            if not lines[-1].endswith("\n"):
                self.parts.append(f"\n{_NO_END}")


def _heading(lines: Sequence[str]) -> str:
    """Give what git writes behind the numbers of a hunk below these lines, with a blank before.

    A character that would be cut in two, of which git keeps the first part, is left out, and so
    is a word that may be a secret: half of it is no longer known as one.
    """
    line = next((line for line in reversed(lines) if _HEADING.match(line)), None)
    if line is None:
        return ""
    shown = line.encode("utf-8", "replace")[:_HEADING_BYTES].decode("utf-8", "ignore")
    if _WORD_GOES_ON.match(line, len(shown)):
        shown = _MAYBE_SECRET.sub("", shown)
    return " " + shown.rstrip(" \t\r\n")


_NO_END = "\\ No newline at end of file\n"


def _groups(changes: list[Change]) -> Iterator[list[Change]]:
    """Put changes together whose context would meet."""
    group: list[Change] = []
    for change in changes:
        if group and change[0] - group[-1][1] > 2 * CONTEXT:
            yield group
            group = []
        group.append(change)
    if group:
        yield group


def _settled(segments: list[Gap | Block]) -> list[Gap | Block]:
    """Give the segments, such that no two blocks claim the same unchanged lines.

    git does not take a line for the context of two hunks.
    """
    changed = [s for s in segments if isinstance(s, Block) and s.old != s.new]
    guessed = any(isinstance(s, Gap) and s.count is None for s in segments[:-1])
    many = len(changed) > _MOST_CLAIMS
    settled: list[Gap | Block] = []
    for segment in segments:
        if isinstance(segment, Gap):
            settled.append(segment)
        elif segment.old == segment.new:
            settled.append(Gap(len(segment.old)))
        else:
            size = _claimed(segment, changed) if guessed and not many else 0
            settled += [Gap(size)] * (size > 0)
            settled.append(Block(segment.old[size:], segment.new[size:]))
    return settled


def _claimed(block: Block, blocks: list[Block]) -> int:
    """Count the unchanged first lines of a block with which another one ends."""
    head, longest = shared_head(block.old, block.new), 0
    for other in blocks:
        if other is block or head == 0:
            continue
        tail = min(head, shared_tail(other.old, other.new))
        if tail > longest:
            seam = longest_seam(other.new[-tail:], block.new[:tail])
            longest = max(longest, seam)
    return longest


# Comparing lines.


def compare(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    """Find what changed between two lists of lines: little, and fast.

    Lines that stand once in both are anchors; between two of them the least change is
    looked for, and where there would be too much of it, all lines are replaced.
    """
    if not old or not new:
        return [(0, len(old), 0, len(new))] if old or new else []
    head = shared_head(old, new)
    tail = shared_tail(old[head:], new[head:])
    one, other = _middle(old, new, head, tail)
    if set(one).isdisjoint(other):  # a change of few lines, mostly: all of them
        return [(head, head + len(one), head, head + len(other))] if one or other else []
    anchors = [(head + i, head + j) for i, j in _anchors(one, other)]
    changes: list[Change] = []
    at = (head, head)
    for i, j in [*anchors, (len(old) - tail, len(new) - tail)]:
        if at != (i, j):  # most anchors follow each other
            for i1, i2, j1, j2 in _least(old[at[0] : i], new[at[1] : j]):
                changes.append((at[0] + i1, at[0] + i2, at[1] + j1, at[1] + j2))
        at = (i + 1, j + 1)
    return _merged(changes)


def _middle(
    old: Sequence[str], new: Sequence[str], head: int, tail: int
) -> tuple[Sequence[str], Sequence[str]]:
    return old[head : len(old) - tail], new[head : len(new) - tail]


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Give the longest run of pairs of lines that stand once in both, in order."""
    counts, places = Counter(new), {line: at for at, line in enumerate(new)}
    once = Counter(old)
    pairs = [
        (at, places[line]) for at, line in enumerate(old) if once[line] == counts.get(line) == 1
    ]
    ends: list[int] = []
    last: list[int] = []
    previous: list[int] = []
    for number, (_, at) in enumerate(pairs):
        length = bisect_left(ends, at)
        previous.append(last[length - 1] if length else -1)
        ends[length : length + 1] = [at]
        last[length : length + 1] = [number]
    run, number = [], last[-1] if last else -1
    while number >= 0:
        run.append(pairs[number])
        number = previous[number]
    return run[::-1]


def _least(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    """Find the least change between two short lists (Myers' greedy algorithm)."""
    head = shared_head(old, new)
    tail = shared_tail(old[head:], new[head:])
    one, other = _middle(old, new, head, tail)
    if not one or not other:
        everything = (head, head + len(one), head, head + len(other))
        return [everything] if one or other else []
    trace = _reached(one, other)
    if trace is None:
        return [(head, head + len(one), head, head + len(other))]
    steps = []
    i, j = len(one), len(other)
    for depth in range(len(trace) - 1, 0, -1):
        k, reached = i - j, trace[depth - 1]
        down = k == -depth or (k != depth and reached.get(k - 1, -1) < reached.get(k + 1, -1))
        k += 1 if down else -1
        i = reached[k]
        j = i - k
        steps.append((head + i, head + i + (not down), head + j, head + j + down))
    return _merged(steps[::-1])


def _reached(old: Sequence[str], new: Sequence[str]) -> list[dict[int, int]] | None:
    """Give for each number of steps how far each diagonal got; None for too many steps."""
    trace: list[dict[int, int]] = []
    reached = {1: 0}
    last, final = len(old), len(new)
    for depth in range(_MOST_STEPS + 1):
        now: dict[int, int] = {}
        for k in range(-depth, depth + 1, 2):
            if k == -depth or (k != depth and reached[k - 1] < reached[k + 1]):
                i = reached[k + 1]
            else:
                i = reached[k - 1] + 1
            j = i - k
            while i < last and j < final and old[i] == new[j]:
                i += 1
                j += 1
            now[k] = i
            if i >= last and j >= final:
                return [*trace, now]
        trace.append(now)
        reached = now
    return None


def _merged(changes: list[Change]) -> list[Change]:
    made: list[Change] = []
    for change in changes:
        if made and made[-1][1] == change[0] and made[-1][3] == change[2]:
            made[-1] = (made[-1][0], change[1], made[-1][2], change[3])
        else:
            made.append(change)
    return made
