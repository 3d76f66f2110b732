"""What stands in the place of a secret, and the key that it is made with."""

from __future__ import annotations

import hmac
import re
from bisect import bisect_right
from collections import Counter

SHORT = 8
"""Hexadecimal digits: of a thousand secrets, two have the same ones in 1 of 10,000 cases."""

OPENING = "[redacted:"
MARKER = re.compile(rf"\[redacted:([a-z0-9-]{{1,40}}):([0-9a-f]{{{SHORT}}})\]")
"""`[redacted:RULE:xxxxxxxx]`."""

_REST = re.compile(r"[^A-Za-z0-9]+")
_LEAST = 4


def digest_of(secret: str, key: bytes) -> str:
    """Name a secret by a short digest: equal for equal secrets, unlinkable without the key."""
    message = secret.encode("utf-8", "surrogatepass")
    return hmac.digest(key, message, "sha256").hex()[:SHORT]


def to_marker(rule: str, secret: str, key: bytes) -> str:
    """Make what stands in the place of a secret."""
    return f"{OPENING}{rule}:{digest_of(secret, key)}]"


def marked_spans(text: str) -> list[tuple[int, int]]:
    """List where markers stand."""
    return [match.span() for match in MARKER.finditer(text)] if OPENING in text else []


def new_markers(before: str, after: str, counts: Counter[str]) -> list[tuple[str, str]]:
    """List the markers (rule, digest) of the secrets that were replaced and counted.

    A secret in several lines has a marker in each, and is listed once.
    """
    more = sorted((Counter(MARKER.findall(after)) - Counter(MARKER.findall(before))).elements())
    found = []
    for rule, number in sorted(counts.items()):
        own = [marker for marker in more if marker[0] == rule]
        found += [*sorted(set(own)), *own][:number]
    return found


def is_replaced(text: str, start: int, end: int, markers: list[tuple[int, int]]) -> bool:
    """Tell whether a place holds nothing but markers, given in order, and what joins them."""
    left, place = [], start
    for number in range(max(0, bisect_right(markers, (start, start)) - 1), len(markers)):
        first, last = markers[number]
        if first >= end:
            break
        if last <= start:
            continue
        left.append(text[place : max(first, place)])
        place = last
    left.append(text[place:end])
    if len(left) == 1:
        return False
    return len(_REST.sub("", "".join(left))) < _LEAST
