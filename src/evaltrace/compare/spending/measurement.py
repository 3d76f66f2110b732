"""Spending: cost, each kind of token, time, turns and calls of both arms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pair, Pairing, Trial
from evaltrace.compare.spending.per_solved import measure_per_solved
from evaltrace.compare.spending.quantities import Meter
from evaltrace.comparison import PerSolved, Quantity, Time, Tokens
from evaltrace.trace import Tokens as TraceTokens


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
    cost = meter.measure("cost", "usd", lambda metrics: metrics.cost.usd)
    cost.note = "; ".join(filter(None, (cost.note, _name_sources(pairing.pairs)))) or None
    return Spending(
        cost=cost,
        tokens=_measure_tokens(meter),
        time=Time(
            agent=meter.measure(
                "agent time", "s", lambda metrics: metrics.durations.agent_execution_s
            ),
            total=meter.measure("total time", "s", lambda metrics: metrics.durations.total_s),
        ),
        turns=meter.measure("turns", "turns", lambda metrics: metrics.turns),
        tool_calls=meter.measure("tool calls", "calls", lambda metrics: metrics.tool_calls),
        per_solved=measure_per_solved(pairing.pairs, meter, options),
    )


def _measure_tokens(meter: Meter) -> Tokens:
    def of(kind: str, read: Callable[[TraceTokens], int | None]) -> Quantity:
        return meter.measure(f"{kind} tokens", "tokens", lambda metrics: read(metrics.tokens))

    return Tokens(
        input=of("input", lambda tokens: tokens.input),
        output=of("output", lambda tokens: tokens.output),
        cache_creation=of("cache creation", lambda tokens: tokens.cache_creation),
        cache_read=of("cache read", lambda tokens: tokens.cache_read),
        total=of("total", lambda tokens: tokens.total),
        total_with_cache=of("total with cache", lambda tokens: tokens.total_with_cache),
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
    costs = (trial.trace.metrics.cost for trial in trials)
    return Counter(cost.source or "of unknown source" for cost in costs if cost.usd is not None)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {source}" for source, number in sorted(counts.items())) or "none"
