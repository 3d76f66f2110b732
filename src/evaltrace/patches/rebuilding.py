"""A unified diff rebuilt from the edits that tools reported.

What only a shell command changed is not in it, unless an edit shows it afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from evaltrace.patches.edits import Edit, Hunk
from evaltrace.patches.gitdiff import FileDiff, render_file, unfit
from evaltrace.patches.lines import Block, Gap, shared_head, shared_tail, to_lines
from evaltrace.patches.sparse import Conflict, SparseLines
from evaltrace.patches.worktree import Place, Worktree
from evaltrace.trace import FileChange

_UNSAID = "the log does not say what changed"
_UNSEEN = "the log does not have all of its first content"
_UNKNOWN = "the log does not have all of its content"
_UNANCHORED = "the log does not show the line below a change"
_ROUNDS = 4
"""How often the edits are followed, with less of what was sighted each time, until all fits."""

_MOST_PARTS = 200
"""Sightings of parts of one file that are taken in: the last ones."""

_UNLIKE = "its content is not what was seen of it"
_SAME_NAME = "a file in the working directory has the same name in the diff"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A diff of first original against last content; `left_out` says why by path.

    `files` has those left out too, with counts where the changed lines are all known.
    """

    diff: str
    files: list[FileChange]
    left_out: dict[str, str] = field(default_factory=dict)


def rebuild(edits: Iterable[Edit], *, cwd: str | None = None, unanchored: bool = False) -> Rebuilt:
    """Rebuild one valid unified diff, paths relative to `cwd`.

    `git apply` accepts it on the original files. A file that was written whole, with no word
    on whether it existed, counts as new. Files in places for scratch and in the agents' own
    folders are passed over. With `unanchored` the diff also has changes of which the log does
    not show the line below: `git apply` takes these with `--unidiff-zero` only.

    What was sighted of a file that an edit changes fills in the lines around the changes. It
    never counts against an edit: where both cannot be true, that file's sightings up to there
    are passed over. A false sighting that nothing contradicts cannot be told from a true one.
    """
    worktree = Worktree(cwd)
    given = _worth_following(list(edits), worktree)
    begins: dict[Place, int] = {}
    for _ in range(_ROUNDS):
        tree = _followed(given, worktree, begins)
        misled = tree.misled()
        for place, number in misled.items():
            begins[place] = len(given) if place in begins else number
        if misled:
            continue
        rebuilt = _Outcome(tree, unanchored).rebuilt()
        vain = tree.in_vain(rebuilt.left_out)
        if not vain:
            return rebuilt
        begins.update(dict.fromkeys(vain, len(given)))
    told = [edit for edit in given if not edit.sighted]
    return _Outcome(_followed(told, worktree, {}), unanchored).rebuilt()


def _followed(edits: list[Edit], worktree: Worktree, begins: dict[Place, int]) -> _Tree:
    tree = _Tree(worktree, begins)
    for number, edit in enumerate(edits):
        tree.take(edit, number)
    return tree


def _worth_following(edits: list[Edit], worktree: Worktree) -> list[Edit]:
    """Leave out sightings of files that no edit changes, and of too many parts of one."""
    if not any(edit.sighted for edit in edits):
        return edits
    paths = [(edit.path, edit.moved_to) for edit in edits if not edit.sighted]
    changed = {worktree.place(path) for pair in paths for path in pair if path is not None}
    kept: list[Edit] = []
    parts: Counter[Place] = Counter()
    for edit in reversed(edits):
        if edit.sighted:
            place = worktree.place(edit.path)
            parts[place] += edit.before is None
            if place not in changed or (edit.before is None and parts[place] > _MOST_PARTS):
                continue
        kept.append(edit)
    return kept[::-1]


# Following the files.


@dataclass(eq=False, slots=True)
class _File:
    """One file: where it lay at first and lies now (None: nowhere), and its lines.

    `lost` says why its content of now is not known, `other` is what else it may hold.
    `sighted_at` are the places where something was learned from sightings, `misled` is the
    number of the edit that showed one of them to be wrong.
    """

    first: Place | None
    place: Place | None
    _lines: SparseLines
    _text: str | None = None
    lost: str | None = None
    other: str | None = None
    sighted_at: set[Place] = field(default_factory=set)
    misled: int | None = None

    @property
    def lines(self) -> SparseLines:
        """Its lines; most of what it was overwritten with is overwritten in turn, unread."""
        if self._text is not None:
            self._lines.overwrite(to_lines(self._text))
            self._text = None
        return self._lines

    @property
    def whole(self) -> bool:
        """Tell whether every line is known, then and now."""
        return self._lines.whole

    def see(self, edit: Edit, place: Place) -> None:
        """Learn from a sighting; one that does not fit what is known is passed over."""
        if self.whole:
            if edit.before is not None and self.lost is not None:
                self.overwrite(edit.before)
            elif edit.before is not None:
                self.other = edit.before
            return
        if self.lost is not None:
            return
        lines = self.lines.copy()
        try:
            if edit.before is not None:
                lines.learn(to_lines(edit.before))
            for hunk in edit.hunks:
                at = hunk.at
                lines.sight(at, hunk.sides()[1], at_end=hunk.ends_file)
        except Conflict:
            return
        self._lines = lines
        self.sighted_at.add(place)

    def follow(self, edit: Edit) -> None:
        """Make the change of an edit, if need be of what was seen after a shell's change."""
        try:
            self.change(edit)
        except Conflict:
            if self.other is None:
                raise
            self.overwrite(self.other)
            self.change(edit)
        self.other = None

    def learn(self, text: str) -> None:
        """Take over what it holds, whatever changed it; but what was only sighted may be wrong."""
        if self.sighted_at and self.whole and "".join(self.lines.new) != text:
            raise Conflict(_UNLIKE)
        if self.lost is None and not self.whole:
            self.lines.learn(to_lines(text))
        else:
            self.overwrite(text)

    def overwrite(self, text: str) -> None:
        """Set what it holds."""
        if self.first is None:
            self._lines = SparseLines([Block([], [])])
        if self.whole:
            self._text, self.lost = text, None
        elif self.lost is None:
            raise Conflict(_UNSEEN)

    def change(self, edit: Edit) -> None:
        """Make the change that an edit tells of."""
        if edit.before is not None:
            self.learn(edit.before)
        if edit.after is not None and (not edit.hunks or self.lost or self.whole):
            self.overwrite(edit.after)
            return
        if self.lost is None:
            _splice(self.lines, edit.hunks)
        if edit.after is not None:
            self.learn(edit.after)
        elif self.lost is None:
            for part in edit.replacements:
                self.lines.replace(part.old, part.new, every=part.every)


class _Tree:
    """All files that edits told of."""

    def __init__(self, worktree: Worktree, begins: dict[Place, int]) -> None:
        self.files: list[_File] = []
        self.first: dict[Place, _File] = {}
        self.last: dict[Place, _File] = {}
        self._worktree = worktree
        self._begins = begins
        self._sighted: dict[Place, list[Edit]] = {}

    def take(self, edit: Edit, number: int) -> None:
        """Follow one edit."""
        place = self._worktree.place(edit.path)
        if edit.sighted:
            self._see(place, edit, number)
            return
        file = self.last.get(place) or self._appear(place, edit)
        try:
            file.follow(edit)
            if not edit.tells:
                file.lost = _UNSAID
        except Conflict as conflict:
            file.lost = str(conflict)
            if file.misled is None:
                file.misled = number
        if edit.deleted:
            self._leave(file)
        elif edit.moved_to is not None:
            self._settle(file, self._worktree.place(edit.moved_to))

    def misled(self) -> dict[Place, int]:
        """Give the places whose sightings did not fit an edit, and the number of that edit."""
        files = [file for file in self.files if file.misled is not None]
        return {place: file.misled or 0 for file in files for place in file.sighted_at}

    def in_vain(self, left_out: Iterable[str]) -> set[Place]:
        """Give the places whose sightings did not save a file from being left out."""
        names = set(left_out)
        return {
            place
            for file in self.files
            for place in file.sighted_at
            if any(spot and spot.name in names for spot in (file.first, file.place))
        }

    def _see(self, place: Place, sighting: Edit, number: int) -> None:
        if number < self._begins.get(place, 0):
            return
        if (file := self.last.get(place)) is not None:
            file.see(sighting, place)
        else:
            self._sighted.setdefault(place, []).append(sighting)

    def _appear(self, place: Place, edit: Edit) -> _File:
        sighted = self._sighted.pop(place, [])
        known = any(sighting.before is not None for sighting in sighted)
        new = edit.creates and (edit.created is True or not known)
        first = None if new or place in self.first else place
        lines = SparseLines([Block([], [])]) if new else SparseLines()
        file = _File(first, place, lines)
        self.files.append(file)
        self.last[place] = file
        if first is not None:
            self.first[place] = file
        for sighting in sighted if not new else ():
            file.see(sighting, place)
        return file

    def _leave(self, file: _File) -> None:
        if file.place is not None:
            del self.last[file.place]
        file.place = None

    def _settle(self, file: _File, place: Place) -> None:
        """Move a file to a place, onto whatever lies there."""
        there = self.last.get(place)
        if there is file:
            return
        if there is not None:
            self._leave(there)
        self._leave(file)
        file.place = place
        self.last[place] = file


# Hunks.


def _splice(lines: SparseLines, hunks: Sequence[Hunk]) -> None:
    numbered = [hunk for hunk in hunks if hunk.start is not None]
    if len(numbered) == len(hunks):
        # From the last to the first: all are numbered as the file was before.
        shown = any(_shows_below(hunk) for hunk in numbered)
        for hunk in sorted(numbered, key=lambda hunk: hunk.start or 0, reverse=True):
            old, new = hunk.sides()
            at_end = hunk.ends_file or (shown and shared_tail(old, new) == 0)
            lines.splice_at(max(hunk.at or 0, 0), old, new, at_end=at_end)
        return
    lines.rewind()
    for hunk in hunks:
        lines.splice_found(*hunk.sides(), below=hunk.below, at_end=hunk.ends_file)


def _shows_below(hunk: Hunk) -> bool:
    """Tell whether a numbered hunk seems to have context: then none below means the end."""
    return shared_head(*hunk.sides()) > 0 or (hunk.start or 0) <= 1


# Showing what came out.


class _Outcome:
    """The diff in the making."""

    def __init__(self, tree: _Tree, unanchored: bool) -> None:
        self._tree = tree
        self._unanchored = unanchored
        self._files: dict[str, FileChange] = {}
        self._parts: dict[str, str] = {}
        self._left_out: dict[str, str] = {}

    def rebuilt(self) -> Rebuilt:
        """Put the files' diffs together, in order of path."""
        places = {*self._tree.first, *self._tree.last}
        for file in self._tree.files:
            if file.first and file.place and self._is_renamed(file.first, file.place):
                places -= {file.first, file.place}
                reason = file.lost or self._barred(file.first)
                row = FileChange(path=file.place.name, change="renamed")
                self._show(file.place, row, file.lines.segments, reason, file.first.name)
        for place in places:
            if not place.scratch:
                self._settle(place)
        names = sorted(self._files)
        diff = "".join(self._parts.get(name, "") for name in names)
        left_out = {name: self._left_out[name] for name in sorted(self._left_out)}
        return Rebuilt(diff, [self._files[name] for name in names], left_out)

    def _is_renamed(self, first: Place, place: Place) -> bool:
        """Tell whether a file only changed its place, no other one being concerned."""
        if first == place or first.scratch or place.scratch or place.barred or first.barred:
            return False
        return place not in self._tree.first and first not in self._tree.last

    def _settle(self, place: Place) -> None:
        """Show what became of a place."""
        was, now = self._tree.first.get(place), self._tree.last.get(place)
        if was is now and was is not None:
            row = FileChange(path=place.name, change="modified")
            self._show(place, row, was.lines.segments, was.lost, place.name)
            return
        reason = None
        if was is not None and not was.whole:
            reason = _UNSEEN
        elif now is not None and (now.lost or not now.whole):
            reason = now.lost or _UNKNOWN
        row = FileChange(path=place.name, change="modified")
        if was is None or now is None:
            row.change = "deleted" if now is None else "added"
        block = Block(was.lines.old if was else [], now.lines.new if now else [])
        self._show(place, row, [block], reason, place.name if was else None)

    def _barred(self, place: Place) -> str | None:
        if place.barred or place.below:
            return place.barred
        twin = Place(place.name)
        return _SAME_NAME if twin in self._tree.first or twin in self._tree.last else None

    def _show(
        self,
        place: Place,
        row: FileChange,
        segments: list[Gap | Block],
        reason: str | None,
        old: str | None,
    ) -> None:
        reason = reason or self._barred(place) or unfit(segments)
        diff: FileDiff | None = None
        if reason is None:
            new = None if row.change == "deleted" else place.name
            diff = render_file(old, new, segments)
            if diff is None:
                return
            row.added, row.removed = diff.added, diff.removed
            if not diff.anchored and not self._unanchored:
                reason = _UNANCHORED
        if reason is not None:
            if reason == _SAME_NAME:
                row.path = f"/{row.path}"
            self._left_out.setdefault(row.path, reason)
            self._files.setdefault(row.path, row)
        elif diff is not None:
            self._files[place.name], self._parts[place.name] = row, diff.text
