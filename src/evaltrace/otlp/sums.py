"""Sums over the events of a trace: tokens, money, calls of tools."""

from __future__ import annotations

from math import isfinite
from typing import Any, get_args

from evaltrace.agentlogs.tools import kind_of, server_of
from evaltrace.store import is_error
from evaltrace.trace import Cost, Event, Kind, ModelUsage, ToolCalls, Usage

_KINDS = get_args(Kind)
_COUNTS = (
    "input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
)  # fmt: skip


def all_usage(events: list[Event]) -> Usage | None:
    """Add up the tokens of events; None where none reports any.

    A cache that no event mentions is unknown; one that some do counts 0 with the others.
    """
    spent = [event.usage for event in events if event.usage is not None]
    if not spent:
        return None
    whole = Usage()
    for usage in spent:
        _add(whole, usage)
    return whole


def model_usage(events: list[Event]) -> dict[str, ModelUsage] | None:
    """Add up the tokens of events by model."""
    by_model: dict[str, ModelUsage] = {}
    for event in events:
        if event.usage is not None and event.model is not None:
            whole = by_model.setdefault(event.model, ModelUsage())
            _add(whole, event.usage)
            if event.cost_usd is not None:
                whole.cost_usd = (whole.cost_usd or 0) + event.cost_usd
    return dict(sorted(by_model.items())) or None


def _add(whole: Usage, usage: Usage) -> None:
    for name in _COUNTS:
        count = getattr(usage, name)
        if count is not None:
            setattr(whole, name, (getattr(whole, name) or 0) + count)


def cost_of(events: list[Event]) -> Cost:
    """Add up what events cost; unknown where one that used tokens does not say."""
    if any(event.usage is not None and event.cost_usd is None for event in events):
        return Cost()
    costs = [event.cost_usd for event in events if event.cost_usd is not None]
    whole = sum(costs)
    return Cost(usd=round(whole, 9), source="reported") if costs and isfinite(whole) else Cost()


def calls_of(events: list[Event]) -> list[ToolCalls] | None:
    """Count the calls of each tool."""
    calls: dict[str, ToolCalls] = {}
    for event in events:
        if event.type != "tool_call" or event.name is None:
            continue
        server = server_of(event.name)
        told: Any = (event.data or {}).get("kind")
        kind: Kind = told if told in _KINDS else kind_of(event.name, server)
        call = calls.setdefault(event.name, ToolCalls(name=event.name, server=server, kind=kind))
        call.count += 1
        call.errors += is_error(event)
    return sorted(calls.values(), key=lambda call: call.name) or None
