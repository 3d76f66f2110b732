"""Values that stand behind a name: in code, JSON, YAML, environment files and command lines."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import NamedTuple

from evaltrace.redact.contexts import NEEDLES, SUFFIX, WEAK_NEEDLES, WEAK_WORDS, WORDS
from evaltrace.redact.markers import MARKER, OPENING, marked_spans
from evaltrace.redact.values import (
    entropy,
    is_random,
    is_reference,
    is_stand_in,
    is_words,
)

_LONGEST = 4000
_BEFORE, _SUFFIX = 16, 24
"""Characters of a name before and behind the part of it that is looked for."""
_NAME_BEFORE = re.compile(r"[\w.-]{0,60}\Z")
_AFTER = re.compile(
    r"(?P<close>\\*[\"'`])?\]?(?P<gap>[ \t]{0,8})"
    r"(?:(?P<typed>:[ \t]?[A-Za-z_][\w.\[\]| ]{0,30}?[ \t]?=)|(?P<sign>=>|:=|={1,3}|:|,)|(?=[ \t]))"
    r"(?P<space>[ \t]{0,8})(?:\b[bfru]{1,2}(?=[\"']))?(?P<open>\\*[\"'`])?"
)
_BARE = re.compile(r"[^\s\"'`\\,;&|<>(){}\[\]]{4,500}")
_CODE_FOLLOWS = re.compile(r"[(\[{)]|\s*(?:[+*/]|if\b|or\b|and\b|for\b)|\\?[\"'`]")
_SCHEME = re.compile(r"(?:bearer|basic|token|key)\s{1,4}", re.I)
_NOT_SECRET = re.compile(
    r"(?:next|page|continuation|pad|eos|bos|unk|mask|cls|sep|special|stop|end|start|first|last|prev"
    r"|public|cache|primary|foreign|partition|sort|object|row|idempotency|dedup\w*|sync|change|resume"
    r"|max|min|num|per|s3|storage[_-]?object|known|host|ssh[_-]?host|group|index|lookup|dict|map"
    r"|translation|i18n|label|hash|etag|is|has|no|tool|use|message|event|request|trace|span|cursor)"
    r"[_.-]?\Z",
    re.I,
)
_DIGEST = re.compile(
    r"(?<![A-Za-z0-9])(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{128}"
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![A-Za-z0-9])",
    re.I,
)
_PARTS = re.compile(r"[-_.:/]")
_LOGIN = re.compile(r"pass|pwd", re.I)
_MIXED = re.compile(r"[^a-z_.:/+-]")
"""What every random value has one of."""
_SPACE = re.compile(r"\s")
_NESTED = 8
"""Names within the value of another, without a secret, after which only the last is looked at."""
_IDENTIFIER = re.compile(r"[a-z]+(?:_[a-z0-9]+)+|[a-z]{1,5}\d?|[a-z]+(?:[A-Z][a-z]+)+\d?")


class Named(NamedTuple):
    """Where a value stands in a text."""

    start: int
    end: int


@cache
def _names(weak: bool) -> re.Pattern[str]:
    words = WEAK_WORDS if weak else f"{WORDS}|(?<![A-Za-z])pass"
    return re.compile(rf"(?:{words}){SUFFIX}(?![A-Za-z0-9_])", re.I)


def _name_ends(text: str, weak: bool) -> Iterator[list[tuple[int, int]]]:
    """Find the words that say secret; looking for a part of each is quicker than for all.

    Those of one part come together, in order. Names in markers are left.
    """
    small = text.lower()
    if len(small) != len(text):  # a letter has become two
        small = text
    markers = marked_spans(text)
    for needle in WEAK_NEEDLES if weak else NEEDLES:
        ends = []
        place = small.find(needle)
        while place != -1:
            number = bisect_right(markers, (place, len(text))) - 1
            if number >= 0 and place < markers[number][1]:
                place = small.find(needle, markers[number][1])
                continue
            start, end = max(0, place - _BEFORE), place + len(needle) + _SUFFIX
            for match in _names(weak).finditer(text, start, end):
                if match.start() <= place < match.end():
                    ends.append(match.span())
            place = small.find(needle, place + len(needle))
        yield ends


def find_named(text: str, weak: bool) -> Iterator[Named]:
    """Find the secret values behind names; `weak` ones are those of WEAK_WORDS."""
    for ends in _name_ends(text, weak):
        yield from _secrets_behind(text, ends, weak)


def _secrets_behind(text: str, ends: list[tuple[int, int]], weak: bool) -> Iterator[Named]:
    """Find the secret values behind names that are given in order.

    A value without quotes may hold the next name. A name in a secret is not judged: its value
    is a part of that. In what is none, only some are: else time would grow with each letter.
    """
    secret = reach = nested = 0
    last_of_all = (len(text) + 1, 0)
    for (first, last), (following, _) in pairwise([*ends, last_of_all]):
        value, quoted = _value_behind(text, first, last)
        if value is None:
            continue
        if not quoted and value.start < secret:
            secret = max(secret, value.end)
            yield value
            continue
        nested = nested + 1 if first < reach else 0
        reach = max(reach, value.end)
        if nested > _NESTED and following < value.end:
            continue
        if is_secret(text[value.start : value.end], text[first:last], weak=weak):
            secret = secret if quoted else value.end
            yield value


def _value_behind(text: str, first: int, last: int) -> tuple[Named | None, bool]:
    """Find the value behind the end of a name, and tell whether it is in quotes."""
    after = _AFTER.match(text, last)
    if after is None:
        return None, False
    before = _NAME_BEFORE.search(text, max(0, first - 60), first)
    name = (before[0] if before else "") + text[first:last]
    prefix = name[: len(name) - (last - first)]
    if _NOT_SECRET.search(prefix) or not _joined(after, name.startswith("-")):
        return None, False
    if after["open"]:
        return _quoted(text, after), True
    return _bare(text, after, name), False


def _joined(after: re.Match[str], flag: bool) -> bool:
    """Tell whether what stands between name and value makes it the value."""
    if after["sign"] == ",":  # arguments of a call or a list: both are in quotes
        return bool(after["close"] and after["open"] and (flag or len(after["gap"]) == 0))
    if after["sign"] or after["typed"]:
        return True
    return flag and bool(after["gap"] or after["space"])


def _quoted(text: str, after: re.Match[str]) -> Named | None:
    """Find the end of a value in quotes, however often its quotes are escaped."""
    mark = after["open"]
    start, depth, quote = after.end(), len(mark) - 1, mark[-1]
    period = 2 * (depth + 1)
    end = text.find(quote, start, start + _LONGEST)
    while end != -1:
        slashes = end - len(text[start:end].rstrip("\\")) - start
        if slashes % period == depth % period:
            break
        end = text.find(quote, end + 1, start + _LONGEST)
    if end == -1:
        return None
    value = text[start : end - depth]
    if "\n" in value:
        return None
    scheme = _SCHEME.match(value)
    return Named(start + (scheme.end() if scheme else 0), end - depth)


def _bare(text: str, after: re.Match[str], name: str) -> Named | None:
    """Find a value without quotes: of a shell variable, YAML, a parameter or a flag."""
    if after["close"] and after["sign"] != ":":
        return None
    match = _BARE.match(text, after.end())
    if match is None:
        return None
    if "..." in match[0]:
        return None
    value = match[0].rstrip(".:")
    loud = name.upper() == name
    code = _CODE_FOLLOWS.match(text, match.end()) is not None
    named = _IDENTIFIER.fullmatch(value) is not None
    if not loud and (code or after["typed"] or (named and after["gap"])):
        return None
    if named and not (loud and any(c.isdigit() for c in value)):
        return None if not _LOGIN.search(name) or "_" in value else Named(*match.span())
    return Named(match.start(), match.start() + len(value))


def is_secret(value: str, name: str, *, weak: bool = False) -> bool:
    """Tell whether a value is secret, given the end of the name that it stands behind."""
    if OPENING in value:
        value = MARKER.sub("", value)
    if not 4 <= len(value) <= _LONGEST or _SPACE.search(value):
        return False
    login = not weak and _LOGIN.search(name)
    if not (login or _MIXED.search(value)):
        return False
    if is_stand_in(value) or is_reference(value):
        return False
    if weak:
        rest = _DIGEST.sub("", value).strip("-_.:")
        return any(len(part) >= 16 and is_random(part, 3.3) for part in _PARTS.split(rest))
    if login:
        return len(value) >= 6 and not is_words(value) and not value.isdigit()
    return len(value) >= 8 and entropy(value) >= 2.5 and is_random(value, 2.5)


def names_secret(name: str) -> bool | None:
    """Tell whether a field's name says secret: True surely, None perhaps, False no."""
    return _end_names_secret(name[-100:])


# The names of settings are few, and each is asked about more than once.
@lru_cache(maxsize=1024)
def _end_names_secret(end: str) -> bool | None:
    for weak in (False, True):
        for match in _names(weak).finditer(end):
            if match.end() == len(end) and not _NOT_SECRET.search(end[: match.start()]):
                return None if weak else True
    return False


def field_value(name: str, value: str) -> Named | None:
    """Find the secret in the value of a field, None where it has none."""
    sure = names_secret(name)
    if sure is False:
        return None
    scheme = _SCHEME.match(value)
    start = scheme.end() if scheme else 0
    if is_secret(value[start:], name, weak=sure is None):
        return Named(start, len(value))
    return None
