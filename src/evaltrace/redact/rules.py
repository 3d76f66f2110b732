"""What a rule is: how a kind of secret is found, as data."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["known", "format", "context", "personal"]

RANKS: dict[str, int] = {"known": 0, "format": 1, "context": 2, "personal": 3}
"""Of two rules that find the same place, the one with the lower number names it."""

START = (
    r"(?:(?<![A-Za-z0-9_\\])|(?<=\\[nrtbf])|(?<=\\u[0-9a-fA-F]{4})"
    r"|(?<=%[0-9A-Fa-f]{2})|(?<=\[[0-9;]m)|(?<=[0-9];[0-9]m)|(?<=[0-9][0-9]m))"
)
"""Where a token may begin: not inside a word, but after an escape of any kind."""

BEHIND_NAME = START.replace("0-9_", "0-9", 1)
"""Where a token with a telling beginning may begin: also behind a name, as in `mcp__ghp_…`."""

BEFORE = r"(?:^|[^A-Za-z0-9_]|\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9A-Fa-f]{2}|[0-9;]m)"
"""What stands there, for the quick look, which cannot look back."""

CUT = r"(?:\r?\n|\\{1,4}[nr])"
"""A line break, escaped or not, that may cut a token right behind its beginning."""

_SHORT = 4
_PLAIN = ("key-", "secret_")
"""Beginnings that many names have within: `cache_key-`."""


class Rule(msgspec.Struct, kw_only=True, frozen=True):
    """One kind of secret.

    `pattern` is a regular expression; its group `secret` is what is replaced, or all of it.
    `needles` are texts of which one stands in every match (in small letters where
    `ignore_case`). `sieve` is a simpler pattern without looking around that every match fits,
    also one whose end is missing; it is looked for where each character that is not ASCII has
    become DEL, but for `finder` own. `prefixes` are looked for in base64 too. `anchored` rules
    begin with a needle; `finder` names code that goes on where the pattern ends.
    """

    name: str
    title: str
    kind: Kind
    pattern: str
    needles: tuple[str, ...]
    sieve: str
    example: str
    prefixes: tuple[str, ...] = ()
    ignore_case: bool = False
    min_entropy: float = 0.0
    check: str | None = None
    finder: str | None = None
    anchored: bool = False


def token(  # noqa: PLR0913 - as many as columns of the tables that are made with it
    name: str,
    title: str,
    prefixes: str,
    body: str,
    *,
    example: str | None = None,
    check: str | None = None,
    sieve: str = "[A-Za-z0-9_-]{4}",
    min_entropy: float = 2.5,
) -> Rule:
    """Make the rule of tokens that begin with one of some prefixes, set apart by spaces."""
    begins = tuple(prefixes.split())
    heads = _heads(begins)
    telling = tuple(prefix for prefix in begins if _is_telling(prefix))
    plain = tuple(prefix for prefix in begins if prefix not in telling)
    ways = ((BEHIND_NAME, telling), (START, plain))
    starts = "|".join(f"{start}(?:{_heads(some)})" for start, some in ways if some)
    return Rule(
        name=name,
        title=title,
        kind="format",
        pattern=f"(?:{starts}){body}",
        needles=begins,
        sieve=f"{_sieve_start(begins)}(?:{heads})(?:{sieve}|[A-Za-z0-9_-]{{0,11}}{CUT})",
        example=example or f"{begins[0]}…",
        prefixes=tuple(prefix for prefix in begins if len(prefix) >= 3),
        min_entropy=min_entropy,
        check=check,
        anchored=True,
    )


def _sieve_start(prefixes: tuple[str, ...]) -> str:
    """Give what stands before a token, where its beginning alone stands in many words."""
    if max(map(len, prefixes)) > _SHORT:
        return ""
    return BEFORE.replace("0-9_", "0-9", 1) if any(map(_is_telling, prefixes)) else BEFORE


def _is_telling(prefix: str) -> bool:
    return len(prefix) >= _SHORT and prefix not in _PLAIN


def _heads(prefixes: tuple[str, ...]) -> str:
    return "|".join(map(_escaped, prefixes))


def _escaped(text: str) -> str:
    """Escape a text for Python's regular expressions and for those of the sieve."""
    return "".join(mark if mark.isalnum() or mark in "_-/:=" else "\\" + mark for mark in text)
