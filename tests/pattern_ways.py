"""Whether two ways lead through a repetition of a regular expression, and texts that would tell.

A pattern becomes an automaton of its characters (Glushkov's). Where one text leads from a place
back to it in two ways, a search takes time that doubles with each round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

_ALPHABET = frozenset([*range(256), 0x130, 0x17F, 0x2026, 0x212A, 0xD800])
_EXACT = 8
"""Repetitions up to which a bound counts; a higher one is as none."""
_PUMPED = 4
"""Places of a loop through which a text is led: others are led to by the same round."""
_CATEGORIES = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s",
    "CATEGORY_NOT_SPACE": r"\S", "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip


class Part(NamedTuple):
    """A part of a pattern: whether it can be empty, where it begins and where it ends."""

    empty: bool
    first: list[int]
    last: list[int]


class Ways:
    """The automaton of a pattern: the characters of each place, and the places that follow it."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.marks: list[frozenset[int]] = []
        self.following: list[list[int]] = []
        self._ignore_case = bool(pattern.flags & re.IGNORECASE)
        self.whole = self._sequence(_parser.parse(pattern.pattern, pattern.flags))

    def in_loops(self) -> list[set[int]]:
        """Give the sets of places that lead to each other and so back to themselves."""
        reach = [self._reach(place) for place in range(len(self.marks))]
        loops = {
            frozenset(there for there in reach[place] if place in reach[there])
            for place in range(len(self.marks))
            if place in reach[place]
        }
        return [set(loop) for loop in sorted(loops, key=min)]

    def doubled(self) -> bool:
        """Tell whether a text leads from some place back to it in two ways."""
        return any(self._is_doubled(loop) for loop in self.in_loops())

    def pumped(self, size: int) -> Iterator[str]:
        """Make texts that go round each loop very often and then fit no more."""
        for loop in self.in_loops():
            for place in sorted(loop)[:_PUMPED]:
                round_ = self._path(self.following[place], place)
                before = self._path(self.whole.first, place)
                yield before + round_ * (size // len(round_)) + "\0"
                if round_ != "\n" and ord("\n") in self.marks[place] and len(round_) == 1:
                    yield before + "\n" * size + "\0"

    def _is_doubled(self, loop: set[int]) -> bool:
        if any(self.following[place].count(there) > 1 for place in loop for there in loop):
            return True
        leads: dict[tuple[int, int], set[tuple[int, int]]] = {}
        todo = [(place, place) for place in loop]
        while todo:
            pair = todo.pop()
            if pair in leads:
                continue
            leads[pair] = {
                (one, other)
                for one in self.following[pair[0]]
                for other in self.following[pair[1]]
                if one in loop and other in loop and self.marks[one] & self.marks[other]
            }
            todo += leads[pair]
        back: dict[tuple[int, int], list[tuple[int, int]]] = {}
        for pair, after in leads.items():
            for there in after:
                back.setdefault(there, []).append(pair)
        todo, seen = [pair for pair in leads if pair[0] == pair[1]], set()
        while todo:
            pair = todo.pop()
            if pair not in seen:
                seen.add(pair)
                todo += back.get(pair, [])
        return any(one != other for one, other in seen)

    def _reach(self, place: int) -> set[int]:
        seen: set[int] = set()
        todo = list(self.following[place])
        while todo:
            there = todo.pop()
            if there not in seen:
                seen.add(there)
                todo += self.following[there]
        return seen

    def _path(self, starts: list[int], end: int) -> str:
        """Spell the shortest way to a place."""
        ways = [(start, self._mark(start)) for start in starts]
        seen = set(starts)
        for place, text in ways:
            if place == end:
                return text
            new = [there for there in dict.fromkeys(self.following[place]) if there not in seen]
            seen.update(new)
            ways += [(there, text + self._mark(there)) for there in new]
        return ""

    def _mark(self, place: int) -> str:
        telling = [code for code in self.marks[place] if chr(code).isalnum()] or self.marks[place]
        return chr(min(telling, default=0))

    def _sequence(self, parsed: Any) -> Part:
        whole = Part(True, [], [])
        for code, value in parsed:
            whole = self._joined(whole, self._part(str(code), value))
        return whole

    def _joined(self, one: Part, other: Part) -> Part:
        for place in one.last:
            self.following[place] += other.first
        first = [*one.first, *other.first] if one.empty else one.first
        last = [*other.last, *one.last] if other.empty else other.last
        return Part(one.empty and other.empty, first, last)

    def _part(self, code: str, value: Any) -> Part:
        if code in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
            items = tuple(value) if code == "IN" else ((code, value),)
            self.marks.append(_class(code, items, self._ignore_case))
            self.following.append([])
            place = [len(self.marks) - 1]
            return Part(False, place, place)
        if code == "SUBPATTERN":
            return self._sequence(value[3])
        if code == "ATOMIC_GROUP":
            return self._sequence(value)
        if code == "BRANCH":
            parts = [self._sequence(part) for part in value[1]]
            first = [place for part in parts for place in part.first]
            last = [place for part in parts for place in part.last]
            return Part(any(part.empty for part in parts), first, last)
        if code.endswith("_REPEAT"):
            return self._repeated(*value)
        return Part(True, [], [])  # what looks around takes no character

    def _repeated(self, least: int, most: Any, parsed: Any) -> Part:
        if str(most) == "MAXREPEAT" or most > _EXACT:
            part = self._sequence(parsed)
            for place in part.last:
                self.following[place] += part.first
            return part._replace(empty=part.empty or least == 0)
        whole = Part(True, [], [])
        for number in range(most, 0, -1):  # from the end: x(x(x)?)?
            one = self._joined(self._sequence(parsed), whole)
            whole = one._replace(empty=one.empty or number > least)
        return whole


@cache
def _class(code: str, items: tuple[Any, ...], ignore_case: bool) -> frozenset[int]:
    """List the characters of the alphabet that fit one place of a pattern."""
    marks = _ALPHABET if code == "ANY" else _listed(items)
    if ignore_case:
        marks |= {mark for mark in _ALPHABET if marks & _cases(mark)}
    negated = code == "NOT_LITERAL" or str(items[0][0]) == "NEGATE"
    return _ALPHABET - marks if negated else marks


@cache
def _cases(mark: int) -> frozenset[int]:
    return frozenset(ord(case) for case in chr(mark).lower() + chr(mark).upper())


def _listed(items: tuple[Any, ...]) -> frozenset[int]:
    marks: set[int] = set()
    for kind, what in items:
        if str(kind) == "CATEGORY":
            fits = re.compile(_CATEGORIES[str(what)]).match
            marks |= {mark for mark in _ALPHABET if fits(chr(mark))}
        elif str(kind) != "NEGATE":
            low, high = what if str(kind) == "RANGE" else (what, what)
            marks |= {mark for mark in _ALPHABET if low <= mark <= high}
    return frozenset(marks)
