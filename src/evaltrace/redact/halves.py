"""Halves of secrets on both sides of the note that tells of a cut.

Texts are cut between words; where a word was too long for that, its halves fit no rule.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from evaltrace.redact.encoded import spellings
from evaltrace.redact.rules import RANKS, START, Rule
from evaltrace.redact.sieve import Look, sieve_for
from evaltrace.redact.spans import Span

NOTED = " cut ...]"
"""Stands in every note."""

_NOTE = re.compile(
    r"(?:\n|\\{1,8}n)\[\.\.\. \d{1,20} (?:characters|bytes) cut \.\.\.\](?:\n|\\{1,8}n)"
)
_LONGEST = 600
_RUN = re.compile(r"[A-Za-z0-9_.%+/=~-]{8,600}")
_LEAST = 8
"""Characters of half a secret that are worth replacing."""
Forms = dict[str, list[str]]
_RANDOM = re.compile(r"(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])")


def is_noted(plain: str) -> bool:
    """Tell whether an ASCII text has what stands in every note of a cut."""
    return _noted()(plain)


@cache
def _noted() -> Look:
    # Faster than to search for it in Python, where the text is long.
    return sieve_for((re.escape(NOTED),))


def find_halves(text: str, rules: Sequence[Rule], known: tuple[str, ...]) -> Iterator[Span]:
    """Find what a cut left of tokens with a known beginning, and of known values."""
    if NOTED not in text:
        return
    notes = [match.span() for match in _NOTE.finditer(text)]
    # Only up to the next note: time grows with the text, however many there are.
    firsts = [0, *(end for _, end in notes)]
    lasts = [*(start for start, _ in notes[1:]), len(text)]
    for (end, start), first, last in zip(notes, firsts, lasts, strict=False):
        half = _of_token(text, first, end, tuple(rules))
        if half:
            yield half
        if known:
            longest, heads, tails = _ends(known)
            yield from _head_of_known(text, max(first, end - longest), end, heads)
            yield from _tail_of_known(text, start, min(last, start + longest), tails)


def _of_token(text: str, first: int, end: int, rules: tuple[Rule, ...]) -> Span | None:
    """Find the beginning of a token that ends where the note stands."""
    run = _RUN.match(text[max(end - _LONGEST, first) : end][::-1])
    if run is None:
        return None
    pattern, names = _beginnings(rules)
    for match in pattern.finditer(text, end - run.end(), end):
        rest = text[match.end() : end]
        if len(rest) >= _LEAST and _RANDOM.match(rest):
            whole = text[match.start() : end]
            return Span(match.start(), end, names[match[0]], RANKS["format"], whole)
    return None


def _head_of_known(text: str, first: int, end: int, heads: Forms) -> Iterator[Span]:
    for place in range(first, end - _LEAST + 1):
        forms = heads.get(text[place : place + _LEAST])
        if forms and any(form.startswith(text[place:end]) for form in forms):
            yield Span(place, end, "known-value", RANKS["known"], text[place:end])
            return


def _tail_of_known(text: str, start: int, last: int, tails: Forms) -> Iterator[Span]:
    for place in range(last, start + _LEAST - 1, -1):
        forms = tails.get(text[place - _LEAST : place])
        if forms and any(form.endswith(text[start:place]) for form in forms):
            yield Span(start, place, "known-value", RANKS["known"], text[start:place])
            return


@lru_cache(maxsize=16)
def _beginnings(rules: tuple[Rule, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    names = {prefix: rule.name for rule in rules if rule.anchored for prefix in rule.prefixes}
    heads = "|".join(re.escape(prefix) for prefix in sorted(names, key=lambda p: (-len(p), p)))
    return re.compile(f"{START}(?:{heads})" if heads else r"(?!)"), names


# The sets of the last trials: their sizes have a bound.
@lru_cache(maxsize=8)
def _ends(known: tuple[str, ...]) -> tuple[int, Forms, Forms]:
    """Give the length of the longest spelling, and all spellings by how they begin and end."""
    heads: Forms = {}
    tails: Forms = {}
    longest = 0
    for form in (form for value in known for form in spellings(value)):
        longest = max(longest, min(len(form), _LONGEST))
        heads.setdefault(form[:_LEAST], []).append(form)
        tails.setdefault(form[-_LEAST:], []).append(form)
    return longest, heads, tails
