"""Spending: cost, each kind of token, time, turns and calls of both arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pair, Pairing, Trial
from evaltrace.compare.spending.per_solved import measure_per_solved
from evaltrace.compare.spending.quantities import Asked, Meter
from evaltrace.comparison import PerSolved, Quantity, Time, Tokens

_TOKENS = ("input", "output", "cache_creation", "cache_read", "total", "total_with_cache")


def _tokens_name(kind: str) -> str:
    return f"{kind.replace('_', ' ')} tokens"


_ASKED = (
    Asked("cost", "usd", "cost.usd"),
    *(Asked(_tokens_name(kind), "tokens", f"tokens.{kind}") for kind in _TOKENS),
    Asked("agent time", "s", "durations.agent_execution_s"),
    Asked("total time", "s", "durations.total_s"),
    Asked("turns", "turns", "turns"),
    Asked("tool calls", "calls", "tool_calls"),
)


@dataclass(frozen=True, slots=True)
class Spending:
    """Everything that was spent, in the order of the report."""

    cost: Quantity
    tokens: Tokens
    time: Time
    turns: Quantity
    tool_calls: Quantity
    per_solved: PerSolved


def measure_spending(pairing: Pairing, options: CompareOptions) -> Spending:
    """Measure what both arms spent on the paired tasks."""
    meter = Meter(pairing.pairs, options)
    measured = {quantity.name: quantity for quantity in meter.measure(_ASKED)}
    cost = measured["cost"]
    cost.note = "; ".join(filter(None, (cost.note, _name_sources(pairing.pairs)))) or None
    return Spending(
        cost=cost,
        tokens=Tokens(**{kind: measured[_tokens_name(kind)] for kind in _TOKENS}),
        time=Time(agent=measured["agent time"], total=measured["total time"]),
        turns=measured["turns"],
        tool_calls=measured["tool calls"],
        per_solved=measure_per_solved(pairing.pairs, meter, options),
    )


def _name_sources(pairs: Sequence[Pair]) -> str | None:
    """Say where the costs come from, where it is not one source for all."""
    baseline = _count_sources(trial for pair in pairs for trial in pair.baseline)
    treatment = _count_sources(trial for pair in pairs for trial in pair.treatment)
    if len(baseline | treatment) < 2:
        return None
    told = f"baseline {_listed(baseline)}; treatment {_listed(treatment)}"
    return f"costs of different sources: {told}"


def _count_sources(trials: Iterable[Trial]) -> Counter[str]:
    costs = map(attrgetter("trace.metrics.cost"), trials)
    return Counter(cost.source or "of unknown source" for cost in costs if cost.usd is not None)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {source}" for source, number in sorted(counts.items())) or "none"
