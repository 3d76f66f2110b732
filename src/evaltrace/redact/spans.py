"""Where secrets stand in a text: what the rules find, and what is left of overlapping finds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from evaltrace.redact.markers import is_replaced, marked_spans
from evaltrace.redact.named import find_named
from evaltrace.redact.pem import find_runs
from evaltrace.redact.rules import RANKS, Rule
from evaltrace.redact.values import CHECKS, entropy, is_stand_in

_LOOKED_AT = 24


class Span(NamedTuple):
    """A place to be replaced, and the secret it is a part of."""

    start: int
    end: int
    rule: str
    rank: int
    secret: str
    first: bool = True
    """False where an earlier span is of the same secret: of its first lines, say."""


@lru_cache(maxsize=1024)
def compiled(rule: Rule) -> re.Pattern[str]:
    """Compile the pattern of a rule."""
    return re.compile(rule.pattern, re.IGNORECASE if rule.ignore_case else 0)


def find_spans(text: str, rules: Sequence[Rule]) -> list[Span]:
    """Find what the rules find in a text, overlapping or not; what is replaced is left."""
    small = text.lower()
    found = [
        span
        for rule in rules
        if rule.finder == "named"
        or any(needle in (small if rule.ignore_case else text) for needle in rule.needles)
        for span in _spans_of(text, rule)
    ]
    markers = marked_spans(text)
    if markers:
        found = [s for s in found if not is_replaced(text, s.start, s.end, markers)]
    return found


def _spans_of(text: str, rule: Rule) -> Iterator[Span]:
    rank = RANKS[rule.kind]
    if rule.finder == "named":
        for start, end in find_named(text, rule.name == "uncertain-value"):
            yield Span(start, end, rule.name, rank, text[start:end])
        return
    if rule.finder == "pem":
        yield from _keys(text, rule, rank)
        return
    for match in _matches(text, rule):
        start, end = secret_of(match)
        if is_accepted(text[start:end], rule):
            yield Span(start, end, rule.name, rank, text[start:end])


def _keys(text: str, rule: Rule, rank: int) -> Iterator[Span]:
    for match in compiled(rule).finditer(text):
        runs = find_runs(text, *match.span())
        secret = "".join(text[start:end] for start, end in runs)
        for number, (start, end) in enumerate(runs):
            yield Span(start, end, rule.name, rank, secret, number == 0)


def _matches(text: str, rule: Rule) -> Iterator[re.Match[str]]:
    pattern = compiled(rule)
    if not rule.anchored:
        yield from pattern.finditer(text)
        return
    for needle in rule.needles:
        place = text.find(needle)
        while place != -1:
            match = pattern.match(text, place)
            if match:
                yield match
            place = text.find(needle, match.end() if match else place + 1)


def secret_of(match: re.Match[str]) -> tuple[int, int]:
    """Give the place of the secret in a match: its first named group that took part, or all."""
    for name in match.re.groupindex:
        if match.start(name) != -1:
            return match.span(name)
    return match.span()


def is_accepted(secret: str, rule: Rule) -> bool:
    """Tell whether what a pattern found can be a secret of the rule."""
    if rule.kind == "known":
        return True
    if rule.kind == "format" and _is_shown(secret):
        return False
    if rule.kind == "context" and is_stand_in(secret):
        return False
    if rule.min_entropy and entropy(secret) < rule.min_entropy:
        return False
    return rule.check is None or CHECKS[rule.check](secret)


def _is_shown(secret: str) -> bool:
    """Tell whether a token is one that a manual shows."""
    tail = secret[-_LOOKED_AT:]
    return is_stand_in(tail) or is_stand_in(secret[4:]) or "EXAMPLE" in secret


def merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that overlap; the rule of lowest rank, then the longest find, names them."""
    kept: list[Span] = []
    for span in sorted(spans):
        joined = span
        if kept and span.start < kept[-1].end:
            before = kept.pop()
            first = min(before, span, key=lambda s: (s.rank, -len(s.secret), s.rule, s.start))
            joined = first._replace(
                start=before.start,
                end=max(before.end, span.end),
                first=before.first or span.first,
            )
        kept.append(joined)
    return kept
