"""Tokens and money that spans report, each counted once.

Agents report the sum of their calls, and instrumentations of two layers the same call twice:
adding up all spans would count double. So a span counts with what it reports beyond the spans
below it, and nothing where these report as much.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from evaltrace.otlp.decoding import Span
from evaltrace.otlp.foreign import Spent, spent_by
from evaltrace.otlp.operations import to_usage
from evaltrace.trace import Usage

_DIGITS = 9

Counted = tuple[Usage | None, float | None]


def counted(spans: list[Span]) -> dict[str, Counted]:
    """Give by span identifier the usage and the cost that count."""
    parents = {span.span_id: span.parent_id for span in spans}
    own = {span.span_id: spent_by(span) for span in spans}
    below: dict[str, Spent] = {}
    found: dict[str, Counted] = {}
    for span_id in _deepest_first(parents):
        spent, under = own[span_id], below.get(span_id, Spent())
        found[span_id] = _beyond(spent, under)
        whole = _each(_larger, spent, under)
        parent = parents[span_id]
        if parent in own:
            below[parent] = _each(_sum, below.get(parent, Spent()), whole)
    return found


def _deepest_first(parents: dict[str, str | None]) -> list[str]:
    """Order spans by their depth; those of a circle are as deep as it is long."""
    depths: dict[str, int] = {}
    for span_id in parents:
        chain: list[str] = []
        place: str | None = span_id
        seen: set[str] = set()
        while place in parents and place not in depths and place not in seen:
            seen.add(place)
            chain.append(place)
            place = parents[place]
        depth = depths.get(place or "", 0)
        for step in reversed(chain):
            depth += 1
            depths[step] = depth
    return sorted(parents, key=lambda span_id: -depths[span_id])


def _beyond(spent: Spent, below: Spent) -> Counted:
    given, made = _rest(spent.given, below.given), _rest(spent.made, below.made)
    usage = None
    if spent and not below:
        usage = to_usage(spent.given, spent.made, spent.read, spent.written)
    elif given or made:
        # The parts from the cache may be told on one level only: they are part of `given`.
        read = min(_rest(spent.read, below.read) or 0, given or 0)
        written = min(_rest(spent.written, below.written) or 0, (given or 0) - read)
        usage = to_usage(given or 0, made or 0, read, written)
    if spent.usd is None or below.usd is None:
        return usage, spent.usd
    # Sums of binary fractions differ in their last digits.
    return usage, round(max(spent.usd - below.usd, 0), _DIGITS) or None


def _rest(spent: int | None, below: int | None) -> int | None:
    return None if spent is None else max(spent - (below or 0), 0)


def _larger(one: Any, other: Any) -> Any:
    return max((count for count in (one, other) if count is not None), default=None)


def _sum(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one + other


def _each(rule: Callable[[Any, Any], Any], one: Spent, other: Spent) -> Spent:
    return Spent(
        rule(one.given, other.given),
        rule(one.made, other.made),
        rule(one.read, other.read),
        rule(one.written, other.written),
        rule(one.usd, other.usd),
    )
