"""Lists of lines: split, compared at their ends, and looked for in one another.

Lines keep their line end (a line feed; a carriage return before it is part of the line).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import accumulate
from typing import NamedTuple

INFINITE = float("inf")

_TELLING = 3
"""Letters and digits of a line that hardly stands in two places by chance."""

_LONG = 20
"""Letters and digits of a line that, with another one next to it, tells its place."""

_FEW = 64
"""Lines up to which trying each place is faster than counting matches."""


@dataclass(slots=True)
class Gap:
    """Lines not seen and not changed; None where their number is unknown, and may be 0."""

    count: int | None = None


@dataclass(slots=True)
class Block:
    """Consecutive lines that are known, then and now."""

    old: list[str]
    new: list[str]


class Span(NamedTuple):
    """A segment, with the indexes of its first line and of the one after its last."""

    start: float
    stop: float
    segment: Gap | Block


def to_lines(text: str) -> list[str]:
    """Split a text after each line feed, and nowhere else."""
    return list(StringIO(text, newline="\n"))


def shared_head(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the lines that both begin with."""
    most = min(len(one), len(other))
    at = 0
    while at < most and one[at] == other[at]:
        at += 1
        # Slices are compared much faster than lines one by one.
        stop = min(at + 1, most)
        while at < stop and one[at:stop] == other[at:stop]:
            at, stop = stop, min(3 * stop - 2 * at, most)
    return at


def shared_tail(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the lines that both end with."""
    return shared_head(one[::-1], other[::-1])


def closed(lines: list[str]) -> list[str]:
    """Give the last line a line end, if it has none: hunks seldom say."""
    return lines if is_closed(lines) else [*lines[:-1], lines[-1] + "\n"]


def is_closed(lines: list[str]) -> bool:
    """Tell whether the last line has a line end."""
    return not lines or lines[-1].endswith("\n")


def places(lines: list[str], wanted: list[str], begin: int = 0) -> Iterator[int]:
    """Give each place from `begin` on where the wanted lines stand, in order."""
    trials = _FEW + 4 * len(lines) // (len(wanted) + 1)
    while wanted and trials:
        try:
            begin = lines.index(wanted[0], begin)
        except ValueError:
            return
        if lines[begin : begin + len(wanted)] == wanted:
            yield begin
        begin += 1
        trials -= 1
    if wanted:  # lines that repeat themselves: trying each place would take the square of time
        sizes = _shared_heads(wanted, lines[begin:])
        yield from (begin + at for at, size in enumerate(sizes) if size == len(wanted))


def _shared_heads(wanted: Sequence[str], lines: Sequence[str]) -> list[int]:
    """Count for each place of the lines how many wanted ones stand there on (Z algorithm)."""
    text = [*wanted, None, *lines]
    sizes = [0] * len(text)
    left = right = 0
    for at in range(1, len(text)):
        size = max(min(right - at, sizes[at - left]), 0)
        while at + size < len(text) and text[size] == text[at + size]:
            size += 1
        sizes[at] = size
        if at + size > right:
            left, right = at, at + size
    return sizes[len(wanted) + 1 :]


def longest_seam(lines: Sequence[str], others: Sequence[str]) -> int:
    """Count the last lines that are the first ones of others; the most there can be."""
    most = min(len(lines), len(others))
    if most <= _FEW:
        return next((n for n in range(most, 0, -1) if lines[-n:] == others[:n]), 0)
    sizes = _shared_heads(others[:most], lines[-most:])
    return next((size for at, size in enumerate(sizes) if size == most - at), 0)


def _letters(line: str) -> int:
    return sum(map(str.isalnum, line))


def tells(line: str) -> bool:
    """Tell whether a line hardly stands in two places by chance."""
    return _letters(line) >= _TELLING


_LOOSER: tuple[Callable[[str], str], ...] = (str.rstrip, str.strip)
"""How agents compare lines where an exact comparison finds nothing."""


def find_lines(
    lines: list[str],
    old: list[str],
    *,
    begin: int = 0,
    below: Sequence[str] = (),
    at_end: bool = False,
    loosely: bool = False,
) -> int | None:
    """Find the old lines below certain others, as agents look for them."""
    lines, old = closed(lines), closed(old)
    start = _after(lines, begin, below)
    last = len(lines) - len(old)
    starts = [*([last] if at_end and last >= begin else []), start, begin]
    for loose in (None, *_LOOSER) if loosely else (None,):
        seen = [loose(line) for line in lines] if loose else lines
        wanted = [loose(line) for line in old] if loose else old
        for first in starts:
            spot = next(places(seen, wanted, first), None)
            if spot is not None:
                return spot
    return None


def _after(lines: list[str], begin: int, below: Sequence[str]) -> int:
    """Go on to below each heading that can be found."""
    for heading in map(str.strip, below):
        rest = range(begin, len(lines))
        begin = next((n + 1 for n in rest if lines[n].strip() == heading), begin)
    return begin


def has(lines: Sequence[str], headings: Sequence[str]) -> bool:
    """Tell whether all headings are among the lines, blanks around them aside."""
    seen = {line.strip() for line in lines}
    return all(heading.strip() in seen for heading in headings)


def find_overlap(block: Block, old: list[str], stays: tuple[int, int]) -> int | None:
    """Give where the old lines begin, counted from the block's first line, if they overlap it.

    The longest overlap counts, if its lines tell something, and either side changed some of
    them; unchanged lines that two blocks may share are settled when they are shown. `stays`
    counts the first and the last old lines that stay.
    """
    lines, best = block.new, (0, 0)
    kept = (shared_head(block.old, lines), shared_tail(block.old, lines))
    telling = [0, *accumulate(map(tells, old))]
    for at in _overlaps(lines, old):
        first, last = max(at, 0), min(at + len(old), len(lines))
        if last - first <= best[0] or telling[first - at] == telling[last - at]:
            continue
        if not (
            _outside(first, last, kept, len(lines))
            and _outside(first - at, last - at, stays, len(old))
        ):
            best = (last - first, at)
    return best[1] if best[0] else None


def _overlaps(lines: Sequence[str], old: Sequence[str]) -> Iterator[int]:
    """Give each place where the old lines are the same as all lines that they overlap."""
    sizes = _shared_heads(lines, old)
    for at in range(1 - len(old), 0):
        if sizes[-at] == min(at + len(old), len(lines)):
            yield at
    sizes = _shared_heads(old, lines)
    yield from (at for at, size in enumerate(sizes) if size == min(len(old), len(lines) - at))


def is_certain(block: Block, old: list[str], at: int) -> bool:
    """Tell whether old lines that overlap a block at `at` hardly do so by chance."""
    shared = block.new[max(at, 0) : at + len(old)]
    telling = sum(map(tells, shared))
    if len(shared) != 2:
        return len(shared) > 2 and telling > 1
    long = (line for line in shared if _letters(line) >= _LONG)
    return any(block.new.count(line) == old.count(line) == 1 for line in long)


def is_unchanged(block: Block, at: int, size: int) -> bool:
    """Tell whether the lines of a block that a change at `at` overlaps are as they were."""
    lines = block.new
    kept = (shared_head(block.old, lines), shared_tail(block.old, lines))
    return _outside(max(at, 0), min(at + size, len(lines)), kept, len(lines))


def _outside(first: int, last: int, stays: tuple[int, int], size: int) -> bool:
    """Tell whether the lines from `first` to before `last` are among those that stay."""
    return last <= stays[0] or first >= size - stays[1]


def size_of(segment: Gap | Block) -> float:
    """Count the lines of now."""
    if isinstance(segment, Block):
        return len(segment.new)
    return INFINITE if segment.count is None else segment.count


def to_spans(segments: list[Gap | Block], anchor: Block | None = None) -> list[Span]:
    """Number the lines from the first one on, or from that of an anchor."""
    first = 0
    if anchor is not None:
        first = next(n for n, segment in enumerate(segments) if segment is anchor)
    above, at = list[Span](), 0.0
    for segment in reversed(segments[:first]):
        above.append(Span(at - size_of(segment), at, segment))
        at = above[-1].start
    below, at = list[Span](), 0.0
    for segment in segments[first:]:
        below.append(Span(at, at + size_of(segment), segment))
        at = below[-1].stop
    return above[::-1] + below


def gap_of(size: float) -> Gap:
    """Give a gap of a size that may be infinite."""
    return Gap(None if size == INFINITE else int(size))


def joined(spans: list[Span]) -> list[Span]:
    """Leave out empty gaps, and join blocks that have none between them."""
    made: list[Span] = []
    for span in spans:
        last = made[-1] if made else None
        if isinstance(span.segment, Gap):
            if span.segment.count != 0:
                made.append(span)
        elif last is not None and isinstance(last.segment, Block):
            one, other = last.segment, span.segment
            block = Block([*one.old, *other.old], [*one.new, *other.new])
            made[-1] = Span(last.start, span.stop, block)
        else:
            made.append(span)
    return made
