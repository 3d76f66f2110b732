"""The events of a run as a tree: parents before children, many siblings folded."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec

from evaltrace.viewer.rows import Row, RowMaker
from evaltrace.viewer.runs import EVERY, Chosen, EventsRun, Placed, Run

MOST_CHOSEN = 2000
"""Chosen events that a tree is made of."""

_FAILURES = Chosen(errors=True)

_PAGE = 500


class Branch(msgspec.Struct, kw_only=True, gc=False):
    """A line of a tree: an event, or `folded` siblings that are not shown.

    `guides` says of each level above, and of the line itself, whether more siblings follow.
    `before` says that the folded siblings are those that an offset leaves out. `cut` ends a tree
    that lacks events: more were `chosen` than it is made of, or the `parents` of some are missing.
    """

    guides: tuple[bool, ...]
    row: Row | None = None
    folded: int = 0
    or_more: bool = False
    before: bool = False
    cut: Literal["chosen", "parents"] | None = None


def tree_branches(
    run: Run,
    chosen: Chosen = EVERY,
    root: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Iterator[Branch]:
    """Give the tree of a run, or of what is below an event, each parent before its children.

    Of each event `limit` children are shown (None: all), and those on the way to a failure.
    `offset` leaves out the first children of the root. Chosen events come with their parents.
    """
    whole = True
    if not chosen.all():
        run, whole = chosen_with_parents(run, chosen)
    yield from _Walk(run, limit).branches(root, offset)
    if not whole:
        yield Branch(guides=(False,), cut="chosen")
    if root is None and run.lacks_events:
        yield Branch(guides=(False,), cut="parents")


def chosen_with_parents(run: Run, chosen: Chosen) -> tuple[EventsRun, bool]:
    """Give the chosen events and all events above them as a run, and whether these are all."""
    kept: dict[int, Placed] = {}
    found = run.placed(chosen)
    for placed in islice(found, MOST_CHOSEN):
        above: Placed | None = placed
        while above is not None and above[0] not in kept:
            kept[above[0]] = above
            parent = above[1].parent_id
            above = run.find(parent) if parent is not None else None
    events = (kept[place] for place in sorted(kept))
    return EventsRun(events, run.started_at, run.duration_s), next(found, None) is None


def to_document(run: Run, branches: Iterator[Branch]) -> dict[str, Any]:
    """Convert a tree to plain data: its lines in order, each with its depth.

    A line with `folded` stands for siblings that are not shown, one with `cut` for events that
    the tree lacks.
    """
    lines: list[dict[str, Any]] = []
    for branch in branches:
        depth = len(branch.guides) - 1
        if branch.cut:
            lines.append({"depth": depth, "cut": branch.cut})
        elif branch.row is None:
            names = ("folded", "or_more", "before")
            lines.append({"depth": depth, **{name: getattr(branch, name) for name in names}})
        else:
            lines.append(msgspec.to_builtins(branch.row) | {"depth": depth})
    title = msgspec.to_builtins(run.title) if run.title else {}
    return {**title, "tree": lines}


class _Folded(NamedTuple):
    """Siblings that are not shown: those that an offset leaves out, or others."""

    number: int
    before: bool = False


class _Walk:
    def __init__(self, run: Run, limit: int | None) -> None:
        self._run, self._limit = run, limit
        self._make = RowMaker(run)
        self._paths = {} if limit is None else _paths_to_failures(run)

    def branches(self, root: str | None, offset: int) -> Iterator[Branch]:
        # Not by calling itself: events are nested as deeply as a trace says.
        levels = [_with_more(self._below(root, offset))]
        guides: list[bool] = []
        while levels:
            item, more = next(levels[-1], (None, False))
            if item is None:
                levels.pop()
                if guides:
                    guides.pop()
                continue
            if isinstance(item, _Folded):
                number, before = item
                or_more = number == self._run.counts_to
                yield Branch(guides=(*guides, more), folded=number, or_more=or_more, before=before)
                continue
            yield Branch(guides=(*guides, more), row=self._make.row(item))
            found = self._run.find(item[1].id)
            # Of two events with one id, the first has the children.
            if found is not None and found[0] == item[0]:
                levels.append(_with_more(self._below(item[1].id, 0)))
                guides.append(more)

    def _below(self, parent: str | None, offset: int) -> Iterator[Placed | _Folded]:
        """Give the children of an event, or how many are not shown between them."""
        after = 0
        if offset:
            skipped = _pages(self._run, parent, 0)
            after = max((place for place, _ in islice(skipped, offset)), default=0)
            yield _Folded(self._run.count_children(parent, 0, after + 1), before=True)
        if self._limit is None:
            yield from _pages(self._run, parent, after)
            return
        # Folding one or two would not be shorter.
        first = self._run.children(parent, after, self._limit + 3)
        if len(first) < self._limit + 3:
            yield from first
            return
        yield from first[: self._limit]
        yield from self._folded(parent, first[self._limit - 1][0])

    def _folded(self, parent: str | None, after: int) -> Iterator[Placed | _Folded]:
        for place in sorted(self._paths.get(parent, ())):
            found = _child(self._run, parent, place) if place > after else None
            if found is not None:
                yield _Folded(self._run.count_children(parent, after, place))
                yield found
                after = place
        yield _Folded(self._run.count_children(parent, after))


def _pages(run: Run, parent: str | None, after: int) -> Iterator[Placed]:
    while page := run.children(parent, after, _PAGE):
        yield from page
        after = page[-1][0]


def _child(run: Run, parent: str | None, place: int) -> Placed | None:
    """Give the child of an event at a place; None where it is no child of it."""
    found = run.children(parent, place - 1, 1)
    return found[0] if found and found[0][0] == place else None


def _with_more(items: Iterator[Placed | _Folded]) -> Iterator[tuple[Placed | _Folded, bool]]:
    """Say of each item whether another follows."""
    shown = (item for item in items if not isinstance(item, _Folded) or item.number)
    item = next(shown, None)
    while item is not None:
        following = next(shown, None)
        yield item, following is not None
        item = following


def _paths_to_failures(run: Run) -> dict[str | None, set[int]]:
    """Give for each parent the places of those children that failed, or hold what failed."""
    paths: dict[str | None, set[int]] = {}
    for placed in islice(run.placed(_FAILURES), run.most_paths):
        at: Placed | None = placed
        while at is not None:
            parent = at[1].parent_id
            above = run.find(parent) if parent is not None else None
            known = paths.setdefault(parent if above else None, set())
            if at[0] in known:
                break
            known.add(at[0])
            at = above
    return paths
