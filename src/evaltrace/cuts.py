"""Texts kept in part, and the record of what was left out."""

from __future__ import annotations

from typing import Literal

from evaltrace.source import Text
from evaltrace.trace import Truncation
from evaltrace.untrusted import digest, shorten


def cut_text(place: str, text: str, limit: int) -> tuple[str, list[Truncation]]:
    """Bound a text to about `limit` characters; also give the cut, if one was needed."""
    if len(text) <= limit:
        return text, []
    kept = shorten(text, limit)
    return kept, [to_truncation(place, text, kept, "characters")]


def cuts_of_file(place: str, text: Text) -> list[Truncation]:
    """Give the cut of a file that was read in part, an empty list for one read whole."""
    if text.digest is None:
        return []
    cut = Truncation(
        field=place,
        original_length=text.length,
        kept_length=len(text.text.encode()),
        unit="bytes",
        digest=text.digest,
    )
    return [cut]


def to_truncation(
    place: str, whole: str | bytes, kept: str | bytes, unit: Literal["characters", "bytes"]
) -> Truncation:
    """Record a cut by both lengths and the digest of the whole."""
    return Truncation(
        field=place,
        original_length=len(whole),
        kept_length=len(kept),
        unit=unit,
        digest=digest(whole.encode() if isinstance(whole, str) else whole),
    )
