"""Secrets in other spellings: in base64, escaped, broken over lines or over two events."""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from urllib.parse import quote

from evaltrace.redact.rules import RANKS, Rule
from evaltrace.redact.spans import Span, compiled, is_accepted

WRAP = re.compile(r"(?<=[A-Za-z0-9_./+=-])(?:\r?\n|(?:\\{1,4}r)?\\{1,4}n)(?=[A-Za-z0-9_./+=-])")
"""A line break in the middle of what may be one word."""

_WIDE = 60
"""Columns from which on a line may have been broken for its length."""

_OWN_WORD = re.compile(r"[A-Z]?[a-z]+(?:[_-][A-Za-z][a-z]*)*|[A-Z]{2,}(?:_[A-Z0-9]+)*")
_NEXT_WORD = re.compile(r"[A-Z]?[a-z]*(?:[_-][A-Za-z][a-z]*)*|[A-Z]{2,}(?:_[A-Z0-9]+)*|\d{1,3}")
"""What a text may begin with on its own: a word, a name, a small number."""
_IN_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*")
_REACH = 6000
_HEAD = 24
"""Characters of half a known value that are looked for: more would only take memory."""
_FEW = 32
"""Known values up to which each is looked for in each text."""


# Base64.


@lru_cache(maxsize=1024)
def base64_cores(text: str) -> tuple[tuple[int, str], ...]:
    """Give what a text becomes in base64 wherever it stands: (bytes before it, sure digits)."""
    raw = text.encode()
    cores = []
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        first = (offset * 8 + 5) // 6
        last = (offset + len(raw)) * 8 // 6
        cores.append((offset, coded[first:last]))
    return tuple(cores)


def base64_needles(text: str) -> list[str]:
    """List what a text looks like in base64, of both alphabets."""
    cores = [core for _, core in base64_cores(text)]
    return sorted({*cores, *(core.replace("+", "-").replace("/", "_") for core in cores)})


def find_in_base64(text: str, rules: Sequence[Rule]) -> Iterator[Span]:
    """Find tokens with a known beginning in the base64 of a text; what covers them is replaced."""
    for rule in rules:
        for prefix in rule.prefixes:
            for offset, core in base64_cores(prefix):
                place = text.find(core)
                while place != -1:
                    span = _decoded_span(text, place, offset, rule)
                    if span:
                        yield span
                    place = text.find(core, span.end if span else place + 1)


def _decoded_span(text: str, place: int, offset: int, rule: Rule) -> Span | None:
    begin = place - (offset * 8 + 5) // 6
    if begin < 0:
        return None
    run = _IN_BASE64.match(text, begin, begin + _REACH)
    coded = run[0] if run else ""
    try:
        raw = base64.urlsafe_b64decode(_padded(coded.replace("+", "-").replace("/", "_")))
    except (ValueError, binascii.Error):
        return None
    decoded = raw[offset:].decode("latin-1")
    match = compiled(rule).match(decoded)
    if match is None or not is_accepted(match[0], rule):
        return None
    end = begin + ((offset + match.end()) * 8 + 5) // 6
    return Span(place, min(end, begin + len(coded)), rule.name, RANKS[rule.kind], match[0])


def _padded(coded: str) -> str:
    whole = coded[:-1] if len(coded) % 4 == 1 else coded
    return whole + "=" * (-len(whole) % 4)


# Known values.


def spellings(value: str) -> list[str]:
    """List the spellings that a known value can have: as it is, escaped, in base64."""
    once = json.dumps(value)[1:-1]
    plain = json.dumps(value, ensure_ascii=False)[1:-1]
    twice = json.dumps(once)[1:-1]
    forms = {value, once, plain, twice, quote(value, safe=""), quote(value)}
    forms |= {form for form in base64_needles(value) if len(form) >= 8}
    return sorted(forms, key=lambda form: (-len(form), form))


# The sets of the last trials: their sizes have a bound, those of single values add up.
@lru_cache(maxsize=8)
def _spelled(values: tuple[str, ...]) -> tuple[int, dict[str, list[tuple[str, str]]]]:
    """Give the spellings, each with its value, by how they begin, and the length of that."""
    forms = [(form, value) for value in values for form in spellings(value)]
    size = min((len(form) for form, _ in forms), default=1)
    begun: dict[str, list[tuple[str, str]]] = {}
    for form, value in forms:
        begun.setdefault(form[:size], []).append((form, value))
    return size, begun


def find_known(text: str, values: Iterable[str]) -> Iterator[Span]:
    """Find known values in any of their spellings; the places of several may overlap."""
    known = tuple(values)
    size, begun = _spelled(known)
    heads: Iterable[str] = begun
    if len(known) > _FEW:
        starts = range(len(text) - size + 1)
        heads = sorted({text[n : n + size] for n in starts if text[n : n + size] in begun})
    for head in heads:
        for form, value in begun[head]:
            place = text.find(form)
            while place != -1:
                end = place + len(form)
                yield Span(place, end, "known-value", RANKS["known"], value)
                place = text.find(form, end)


def outside(spans: Iterable[Span], markers: list[tuple[int, int]]) -> Iterator[Span]:
    """Leave out what reaches into a marker, given in order: a part of that is no secret.

    Else a value such as `]abc` would be found behind each marker that it was replaced by.
    """
    for span in spans:
        number = bisect_left(markers, (span.end,)) - 1
        if number < 0 or markers[number][1] <= span.start:
            yield span


def known_sieve(value: str) -> str:
    """Give a pattern that any part of a known value fits which is half of it or more."""
    halves = set()
    for form in spellings(value):
        half = min(_HEAD, max(4, len(form) // 2))
        halves |= {form[:half], form[-half:]}
    return "|".join(sorted(map(_escaped, halves)))


def _escaped(text: str) -> str:
    return "".join(mark if mark.isalnum() else f"\\x{{{ord(mark):x}}}" for mark in text)


# Texts in pieces.


Find = Callable[[str], list[Span]]
Believed = Callable[[Span, Sequence[str], Sequence[int]], bool]
"""Tells of a find over pieces, given these and where they start, whether it is one secret."""


def find_across(
    pieces: Sequence[str], find: Find, believed: Believed | None = None
) -> list[list[Span]]:
    """Find the secrets that lie in more than one piece of a text; give the part in each piece."""
    found: list[list[Span]] = [[] for _ in pieces]
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + len(piece))
    for span in find("".join(pieces)):
        first = bisect_right(starts, span.start) - 1
        if believed is not None and not believed(span, pieces, starts):
            continue
        for number in range(first, len(pieces)):
            start, end = starts[number], starts[number + 1]
            if start >= span.end:
                break
            if end >= span.end and number == first:
                break  # within one piece
            part = span._replace(
                start=max(span.start, start) - start,
                end=min(span.end, end) - start,
                first=number == first,
            )
            if part.start < part.end:
                found[number].append(part)
    return found


def find_split(pieces: Sequence[str], find: Find) -> list[list[Span]]:
    """Find the secrets that lie in more than one text; give the part in each.

    A token that is whole in its own text does not go on with a word of the next.
    """

    def is_one(span: Span, pieces: Sequence[str], starts: Sequence[int]) -> bool:
        first = bisect_right(starts, span.start) - 1
        end = starts[first + 1]
        if span.rank == RANKS["known"] or span.end <= end:
            return True
        last = bisect_right(starts, span.end - 1) - 1
        rest = (
            pieces[number][: span.end - starts[number]]
            for number in range(first + 1, last + 1)
            if pieces[number]
        )
        if not all(_NEXT_WORD.fullmatch(part) for part in rest):
            return True
        start = span.start - starts[first]
        return all((s.start, s.end) != (start, len(pieces[first])) for s in find(pieces[first]))

    return find_across(pieces, find, is_one)


def find_wrapped(text: str, plain: Sequence[Span], find: Find) -> list[Span]:
    """Find the secrets that a line break cuts in two, and give the part in each line.

    `plain` is what was found within the lines: a word below a whole token is no part of it,
    unless the line is so long that the token was broken.
    """
    wraps = [match.span() for match in WRAP.finditer(text)]
    if not wraps:
        return []
    edges = [0, *(place for wrap in wraps for place in wrap), len(text)]
    lines = list(zip(edges[::2], edges[1::2], strict=True))
    pieces = [text[start:end] for start, end in lines]
    groups: list[list[Span]] = []
    for (start, _), parts in zip(lines, find_across(pieces, find), strict=True):
        for part in parts:
            placed = part._replace(start=part.start + start, end=part.end + start)
            if part.first:
                groups.append([])
            groups[-1].append(placed)
    whole = {span.end for span in plain}
    return [part for group in groups for part in _believed(group, text, whole)]


def _believed(parts: list[Span], text: str, whole: set[int]) -> list[Span]:
    if parts[0].rank == RANKS["known"]:
        return parts
    kept = parts[:1]
    for before, part in pairwise(parts):
        needed = len(kept) == 1 and before.end not in whole
        wide = before.end - _line_start(text, before.end) >= _WIDE
        # The next line may begin with a word of its own, or a name: `OTHER_KEY=`.
        own = _OWN_WORD.fullmatch(text, part.start, part.end)
        odd = own is None and text[part.end : part.end + 1] != "="
        if not needed and not (wide and odd):
            break
        kept.append(part)
    return kept if len(kept) > 1 else []


def _line_start(text: str, place: int) -> int:
    return max(text.rfind("\n", 0, place) + 1, text.rfind("\\n", 0, place) + 2)
