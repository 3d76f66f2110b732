"""The quick look that tells which texts cannot hold a secret.

The patterns of all rules, without what their ends look like, are one regular expression for the
engine of the schema checker: an automaton, so that its time grows with the text alone, whatever
the text. What it lets through is looked at again; what it holds back has no find of any rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from evaltrace.redact.outlines import OTHER
from evaltrace.untrusted import clean

CHUNK = 4096
MARGIN = 4096
_KEY_MARGIN = 24_000
_SMALL = 3 * CHUNK
_OVERLAP = 1024
"""More than what any pattern of the sieve has to match."""
_TO_ASCII = bytes(range(128)) + OTHER.encode() * 128
_GOING_ON = bytes(range(128, 192))

Look = Callable[[str], bool]


def to_ascii(text: str | bytes) -> str:
    """Put DEL in the place of each character that is not ASCII; bytes are UTF-8."""
    if text.isascii():
        return text if isinstance(text, str) else text.decode("ascii")
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return raw.translate(_TO_ASCII, _GOING_ON).decode("ascii")


@lru_cache(maxsize=256)
def sieve_for(patterns: tuple[str, ...]) -> Look:
    """Compile patterns into a test: True where a text can have a match of one."""
    import jsonschema_rs

    if not patterns:
        return lambda text: False
    options = jsonschema_rs.RegexOptions(size_limit=1 << 27, dfa_size_limit=1 << 25)
    schema = {"not": {"pattern": "|".join(f"(?:{pattern})" for pattern in patterns)}}
    check = jsonschema_rs.Draft202012Validator(schema, pattern_options=options).is_valid

    def may_match(text: str) -> bool:
        try:
            return not check(text)
        except ValueError:  # half of a surrogate pair
            return not check(clean(text))

    return may_match


def windows(text: str, may_match: Look) -> list[tuple[int, int]]:
    """List the parts of a text that have to be looked at, wide enough for the longest find."""
    if not may_match(text):
        return []
    if len(text) <= _SMALL:
        return [(0, len(text))]
    found: list[tuple[int, int]] = []
    for start in range(0, len(text), CHUNK):
        chunk = text[max(0, start - _OVERLAP) : start + CHUNK + _OVERLAP]
        if may_match(chunk):
            margin = _KEY_MARGIN if _may_be_long(chunk) else MARGIN
            found.append((max(0, start - margin), min(len(text), start + CHUNK + margin)))
    return _joined(found)


def _may_be_long(text: str) -> bool:
    return "PRIVATE KEY" in text or "LS0tLS1CRUdJTi" in text


def _joined(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in places:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
