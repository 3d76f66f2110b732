"""The lines of a file as far as they are known: as they were at first, and as they are now.

What has not been seen is a gap: nothing in it ever changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from evaltrace.patches.lines import (
    INFINITE,
    Block,
    Gap,
    Span,
    closed,
    find_lines,
    find_overlap,
    gap_of,
    has,
    is_certain,
    is_closed,
    is_unchanged,
    joined,
    places,
    shared_head,
    shared_tail,
    size_of,
    to_lines,
    to_spans,
)

_MISFIT = "a change does not fit its content: something else changed it"
_AFLOAT = "the log does not say on which side of another change a change is"
_CHANCE = "a change may overlap lines that were seen of it, or only look like it"
_CROWDED = "it has too many changes between lines that the log does not have"

_MOST_STEPS = 3_000_000
"""Segments gone through, in all, from which on a file of many segments is given up."""

_CROWD = 200
"""Segments up to which no number of changes is too many."""

_SEARCH_STEPS = 8
"""Steps that looking through the lines of a segment counts for."""


class Conflict(ValueError):
    """A change does not fit what is known of the file; the text says why."""


@dataclass
class SparseLines:
    """The content of one file; begins as not seen at all."""

    segments: list[Gap | Block] = field(default_factory=lambda: [Gap()])
    _cursor: tuple[Block, int] | None = None
    _sighted: bool = False
    _steps: list[int] = field(default_factory=lambda: [0])
    """Segments gone through, shared with all copies."""

    @property
    def whole(self) -> bool:
        """Tell whether every line is known, then and now."""
        return len(self.segments) == 1 and isinstance(self.segments[0], Block)

    @property
    def seen(self) -> bool:
        """Tell whether any line is known."""
        return any(isinstance(segment, Block) for segment in self.segments)

    @property
    def old(self) -> list[str]:
        """The known lines of then."""
        return [line for block in self._blocks() for line in block.old]

    @property
    def new(self) -> list[str]:
        """The known lines of now."""
        return [line for block in self._blocks() for line in block.new]

    def _blocks(self) -> list[Block]:
        return [segment for segment in self.segments if isinstance(segment, Block)]

    def copy(self) -> SparseLines:
        """Give the same, to try a sighting on: blocks that it touches are replaced."""
        return SparseLines([*self.segments], _sighted=self._sighted, _steps=self._steps)

    def _step(self, count: int = 1) -> None:
        """Count what is done to a file of many segments, each of which is gone through."""
        if len(self.segments) > _CROWD:
            self._steps[0] += count * len(self.segments)
            if self._steps[0] > _MOST_STEPS:
                raise Conflict(_CROWDED)

    def overwrite(self, lines: list[str]) -> None:
        """Set the content of now; that of then must be known."""
        if not self.whole:
            raise Conflict("it was overwritten before all of its content was known")
        self.segments = [Block(self.old, lines)]

    # Learning the whole content of now.

    def learn(self, lines: list[str]) -> None:
        """Fill the gaps from the content of now."""
        known, was, at = closed(lines), list[str](), 0
        spots = self._spots(known)
        for start, block in spots:
            if start < at:
                raise Conflict("something else changed it")
            was += [*lines[at:start], *block.old]
            at = start + len(block.new)
        last = spots[-1][1] if spots else None
        if at < len(lines) and last is self.segments[-1]:
            raise Conflict("something else changed it")
        if known is not lines and last and at == len(lines) and last.old[-1:] == last.new[-1:]:
            was[-1] = lines[-1]
        self.segments = [Block(was + lines[at:], lines)]

    def _spots(self, lines: list[str]) -> list[tuple[int, Block]]:
        """Find where each block stands, in order of place."""
        spots: list[tuple[int, Block]] = []
        at: int | None = 0
        begin = 0
        for segment in self.segments:
            if isinstance(segment, Gap):
                at = None if at is None or segment.count is None else at + segment.count
                continue
            if at is None and segment is self.segments[-1]:
                at = len(lines) - len(segment.new)
            if at is None:
                at = next(places(lines, segment.new, begin), None)
                at = next(places(lines, segment.new), -1) if at is None else at
            begin = at + len(segment.new)
            if at < 0 or lines[at:begin] != closed(segment.new):
                raise Conflict("something else changed it")
            spots.append((at, segment))
            at = begin
        return sorted(spots, key=lambda spot: spot[0])

    # Changes whose place is numbered.

    def splice_at(self, at: int, old: list[str], new: list[str], *, at_end: bool) -> None:
        """Replace lines from the line with index `at` on."""
        if at + len(old) > self._counted():
            spot = self._search(old, None)
            if spot is not None:
                self._swap(*spot, old, new)
                return
            if self._extended(old, new):
                return
            raise Conflict(_AFLOAT)
        if self._fits(at, old):
            self._reveal(at, old, new)
        elif spot := self._nearest(at, old):
            self._swap(*spot, old, new)
        else:
            raise Conflict(_MISFIT)
        self._end(at_end)

    def _counted(self) -> float:
        """Count the lines whose number is known: those before a gap of unknown size.

        The last gap does not limit them, for nothing comes after it.
        """
        ends = [
            span.start
            for span in self._spans()[:-1]
            if isinstance(span.segment, Gap) and span.segment.count is None
        ]
        return min(ends, default=INFINITE)

    def _spans(self, anchor: Block | None = None) -> list[Span]:
        """Number the lines from the first one on, or from that of an anchor."""
        self._step()
        return to_spans(self.segments, anchor)

    def _fits(self, at: int, old: list[str], anchor: Block | None = None) -> bool:
        """Tell whether the lines may stand at `at`: known ones are the same, others unknown."""
        spans = self._spans(anchor)
        for span in spans:
            first, last = max(span.start, at), min(span.stop, at + len(old))
            if isinstance(span.segment, Gap) or first >= last:
                continue
            known = span.segment.new[int(first - span.start) : int(last - span.start)]
            if closed(known) != closed(old[int(first) - at : int(last) - at]):
                return False
        return spans[0].start <= at and at + len(old) <= spans[-1].stop

    def _nearest(self, at: int, old: list[str]) -> tuple[Block, int] | None:
        spots = [
            (abs(span.start + spot - at), number, span.segment, spot)
            for number, span in enumerate(self._spans())
            if isinstance(span.segment, Block)
            for spot in places(closed(span.segment.new), closed(old))
        ]
        return min(spots, key=lambda spot: spot[:2])[2:] if spots else None

    def _reveal(self, at: int, old: list[str], new: list[str], anchor: Block | None = None) -> None:
        """Make the old lines known, which stand at `at`, and replace them."""
        made: list[Span] = []
        end = at + len(old)
        for span in self._spans(anchor):
            first, last = max(span.start, at), min(span.stop, end)
            touched = first < last or (not old and span.start <= at <= span.stop)
            if isinstance(span.segment, Block) or not touched:
                made.append(span)
                continue
            seen = old[int(first) - at : int(last) - at]
            made.append(Span(span.start, first, gap_of(first - span.start)))
            made.append(Span(first, last, Block(seen, [*seen])))
            made.append(Span(last, span.stop, gap_of(span.stop - last)))
        parts = joined(made)
        self.segments = [span.segment for span in parts]
        for number, span in enumerate(parts):
            if isinstance(span.segment, Block) and span.start <= at and end <= span.stop:
                block = Block([*span.segment.old], [*span.segment.new])
                self.segments[number] = block
                self._swap(block, int(at - span.start), old, new)
                return
        raise Conflict(_MISFIT)

    def _swap(self, block: Block, spot: int, old: list[str], new: list[str]) -> None:
        """Replace the old lines, which stand at a spot of a block, by the new ones."""
        end = spot + len(old)
        open_end = block.new[-1:] if end == len(block.new) and not is_closed(block.new) else []
        if open_end and old and old[-1:] == new[-1:]:
            new = [*new[:-1], *open_end]  # context: what is known of its line end counts
        elif open_end and new and not old:
            block.new[-1] += "\n"
        block.new[spot:end] = new
        self._cursor = (block, spot + len(new))

    def _end(self, at_end: bool) -> None:
        """Forget the last gap when nothing comes after the last change."""
        if at_end and self._cursor is not None and len(self.segments) > 1:
            block, spot = self._cursor
            if self.segments[-2] is block and spot == len(block.new):
                self.segments.pop()

    # What was seen while nothing changed.

    def sight(self, at: int | None, lines: list[str], *, at_end: bool) -> None:
        """Learn lines of now from the one with index `at` on.

        Without an index they are the last ones, or overlap a change. Raises Conflict where
        they do not fit, or where it is not certain that they do.
        """
        if not lines:
            raise Conflict(_MISFIT)
        if at is not None and at + len(lines) <= self._counted():
            if not self._fits(at, lines):
                raise Conflict(_MISFIT)
            self._reveal(at, lines, lines)
        elif not self.seen and at is None and at_end:
            self._add_block(lines, lines, at_end)
        elif not self._extended(lines, lines):
            raise Conflict(_MISFIT)
        self._end(at_end)
        block, spot = self._cursor or (None, 0)
        if at_end and not (block is self.segments[-1] and spot == len(block.new)):
            raise Conflict(_MISFIT)
        if at is not None and block is not None:
            self._number(block, at + len(lines) - spot)
        self._sighted = True

    def _number(self, block: Block, at: int) -> None:
        """Size the gap before a block that begins at index `at`, if all before it is numbered."""
        here = next(n for n, segment in enumerate(self.segments) if segment is block)
        gap = self.segments[here - 1] if here else block
        before = sum(map(size_of, self.segments[: max(here - 1, 0)]))
        if isinstance(gap, Block) or gap.count is not None or before == INFINITE:
            return
        if at < before:
            raise Conflict(_MISFIT)
        self.segments[here - 1] = Gap(int(at - before))
        self.segments = [span.segment for span in joined(self._spans())]

    # Changes that have to be found by their lines.

    def rewind(self) -> None:
        """Look for the next change from the beginning."""
        self._cursor = None

    def splice_found(
        self, old: list[str], new: list[str], *, below: Sequence[str] = (), at_end: bool = False
    ) -> None:
        """Replace lines wherever they stand, after the last change and below certain lines."""
        spot = self._search(old, self._cursor, below, at_end)
        if spot is None and self._cursor is not None:
            spot = self._above(self._search(old, None, below, at_end))
        if spot is None and old[-1:] == ["\n"] and self.whole:
            cut = new[:-1] if new[-1:] == ["\n"] else new
            if len(old) > 1:
                self.splice_found(old[:-1], cut, below=below, at_end=at_end)
                return
        if spot is not None:
            self._swap(*spot, old, new)
        elif self.whole:
            raise Conflict(_MISFIT)
        elif not self._extended(old, new, onward=True):
            self._add_block(old, new, at_end or not old)
        self._end(at_end)

    def _above(self, spot: tuple[Block, int] | None) -> tuple[Block, int] | None:
        """Give a place that was found from the beginning, unless it is rather in a gap below."""
        if spot is None or self._cursor is None or spot[0] is not self._cursor[0]:
            return spot
        here = next(n for n, segment in enumerate(self.segments) if segment is spot[0])
        unseen = any(isinstance(segment, Gap) for segment in self.segments[here:])
        return None if unseen and spot[1] < self._cursor[1] else spot

    def _search(
        self,
        old: list[str],
        cursor: tuple[Block, int] | None,
        below: Sequence[str] = (),
        at_end: bool = False,
    ) -> tuple[Block, int] | None:
        self._step(_SEARCH_STEPS)
        blocks = self._blocks()
        if cursor is not None:
            first = next((n for n, block in enumerate(blocks) if block is cursor[0]), 0)
            blocks = blocks[first:]
        if not old:
            last = self.segments[-1]
            return (last, len(last.new)) if isinstance(last, Block) else None
        for block in blocks:
            if below and not self.whole and block is self.segments[0] and not has(block.new, below):
                continue  # from the first line on there is no such heading
            begin = cursor[1] if cursor is not None and block is cursor[0] else 0
            spot = find_lines(
                block.new, old, begin=begin, below=below, at_end=at_end, loosely=self.whole
            )
            if spot is not None:
                return block, spot
        return None

    def _extended(self, old: list[str], new: list[str], *, onward: bool = False) -> bool:
        """Join a change to a block that it overlaps in more than what neither changes."""
        self._step(_SEARCH_STEPS)
        stays = (shared_head(old, new), shared_tail(old, new))
        found = [(block, find_overlap(block, old, stays)) for block in self._blocks()]
        overlaps = [(block, at) for block, at in found if at is not None]
        if onward:
            overlaps = [spot for spot in overlaps if self._above(spot)]
        for block, at in overlaps:
            if not self._fits(at, old, block):
                continue
            near = [span.segment for span in self._spans(block) if abs(span.start) < INFINITE]
            if any(all(other is not segment for segment in near) for other, _ in overlaps):
                raise Conflict("a change overlaps two others, and the log has no lines between")
            loose = old is new or (self._sighted and is_unchanged(block, at, len(old)))
            if loose and not is_certain(block, old, at):
                raise Conflict(_CHANCE)
            self._reveal(at, old, new, block)
            return True
        return False

    def _add_block(self, old: list[str], new: list[str], at_end: bool) -> None:
        """Guess a place for a change: after the last one of the same edit, else at the end."""
        gaps = [
            number
            for number, gap in enumerate(self.segments)
            if isinstance(gap, Gap) and (gap.count is None or gap.count >= len(old))
        ]
        if not gaps or (at_end and gaps[-1] != len(self.segments) - 1):
            raise Conflict(_MISFIT)
        chosen = gaps[-1]
        if self._cursor is not None and not at_end:
            here = next((n for n, s in enumerate(self.segments) if s is self._cursor[0]), -1)
            at = bisect_left(gaps, here)
            chosen = gaps[min(at, len(gaps) - 1)]
        block = Block(list(old), list(new))
        self.segments[chosen : chosen + 1] = [Gap(), block] if at_end else [Gap(), block, Gap()]
        self._cursor = (block, len(new))

    # Changes of text within lines.

    def replace(self, old: str, new: str, *, every: bool) -> None:
        """Replace a text that lies within known lines, once or wherever it stands."""
        if every and not self.whole:
            raise Conflict("a text was replaced throughout, and not all of its content is known")
        for number, block in enumerate(self.segments):
            if not isinstance(block, Block):
                continue
            text = "".join(block.new)
            if old not in text if old else text:
                continue
            text = text.replace(old, new, -1 if every else 1) if old else new
            if number + 1 < len(self.segments) and not text.endswith("\n"):
                break
            block.new = to_lines(text)
            return
        if self.whole:
            raise Conflict("a replaced text is not in it: something else changed it")
        raise Conflict("the log does not show the lines around a replaced text")
