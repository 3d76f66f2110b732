"""Cost origins: which tokens, texts and calls a trial has more of in the treatment."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from math import fsum
from typing import Literal

import numpy as np

from evaltrace.compare.reading.reduction import BUILT_IN
from evaltrace.compare.sides import Pairing, Trial
from evaltrace.compare.spending.measurement import Spending
from evaltrace.compare.spending.quantities import to_amounts
from evaltrace.compare.wording import compact, counted
from evaltrace.comparison import CostOrigins, Origin, Quantity
from evaltrace.untrusted import one_line

_NAME_WIDTH = 80
_MOST_SERVERS = 20
_WORTH_SAYING = 0.005
_OWN_TEXTS = ("reasoning", "answers")

Unit = Literal["tokens", "characters", "calls", "turns"]
Read = Callable[[Trial], float | None]


def find_cost_origins(pairing: Pairing, spending: Spending) -> CostOrigins:
    """Average tokens by kind, characters by source, calls and turns over the trials that count.

    Of the paired tasks, each part over the trials that know it; characters are known where a
    trace has events. Of many servers those with the most characters stand alone.
    """
    baseline = [trial for pair in pairing.pairs for trial in pair.valid_baseline]
    treatment = [trial for pair in pairing.pairs for trial in pair.valid_treatment]
    tokens = spending.tokens
    kinds = (tokens.input, tokens.output, tokens.cache_creation, tokens.cache_read)
    parts = [_of_quantity(kind, "tokens") for kind in kinds]
    texts: list[tuple[str, Read]] = [(name, partial(_text, (name,))) for name in _OWN_TEXTS]
    texts += _results(_lengths((*baseline, *treatment)))
    parts += [_compare(name, baseline, treatment, read) for name, read in texts]
    parts += [_of_quantity(spending.tool_calls, "calls"), _of_quantity(spending.turns, "turns")]
    return CostOrigins(parts=parts, statement=_statement(parts))


def _of_quantity(quantity: Quantity, unit: Unit) -> Origin:
    return _origin(quantity.name, unit, quantity.baseline.mean, quantity.treatment.mean)


def _lengths(trials: Iterable[Trial]) -> dict[str, int]:
    """Add up the characters of the results of each server, and of the built-in tools."""
    lengths: dict[str, int] = {}
    for trial in trials:
        for name, length in (trial.texts or {}).items():
            lengths[name] = lengths.get(name, 0) + length
    return {name: length for name, length in lengths.items() if name not in _OWN_TEXTS}


def _results(lengths: dict[str, int]) -> Iterator[tuple[str, Read]]:
    """Give a row for each source of results, the rest of many servers in one."""
    servers = sorted(lengths.keys() - {BUILT_IN}, key=lambda name: (-lengths[name], name))
    alone, rest = servers[:_MOST_SERVERS], servers[_MOST_SERVERS:]
    for name in sorted([*alone, *(lengths.keys() & {BUILT_IN})]):
        yield name, partial(_text, (name,))
    if rest:
        name = f"results of {counted(len(rest), 'more server')}"
        yield name, partial(_text, frozenset(rest))


def _text(names: Collection[str], trial: Trial) -> float | None:
    """Count the characters of some sources in a trial."""
    if trial.texts is None:
        return None
    if len(names) == 1:
        return sum(trial.texts.get(name, 0) for name in names)
    return sum(length for name, length in trial.texts.items() if name in names)


def _compare(
    name: str, baseline: Sequence[Trial], treatment: Sequence[Trial], read: Read
) -> Origin:
    return _origin(name, "characters", _mean(baseline, read), _mean(treatment, read))


def _origin(name: str, unit: Unit, baseline: float | None, treatment: float | None) -> Origin:
    return Origin(
        name=one_line(name, _NAME_WIDTH),
        unit=unit,
        baseline=baseline,
        treatment=treatment,
        difference=None if baseline is None or treatment is None else treatment - baseline,
    )


def _mean(trials: Sequence[Trial], read: Read) -> float | None:
    amounts = to_amounts(map(read, trials))
    known = amounts[~np.isnan(amounts)].tolist()
    return fsum(known) / len(known) if known else None


def _statement(parts: Sequence[Origin]) -> str:
    """Name the biggest change in tokens, in results of tools, and in what the agent wrote."""
    tokens = _biggest(part for part in parts if part.unit == "tokens")
    texts = [part for part in parts if part.unit == "characters"]
    results = _biggest(part for part in texts if part.name not in _OWN_TEXTS)
    told = []
    if tokens is not None:
        told.append(f"{_change(tokens)} {tokens.name} a trial")
    if results is not None:
        told.append(f"{results.name} {_change(results)} characters")
    told += [
        f"{part.name} {100 * change:+.0f} %"
        for part in texts
        if part.name in _OWN_TEXTS and abs(change := _relative(part)) >= _WORTH_SAYING
    ]
    if not told:
        return "Nothing is known of what the trials spent their tokens on."
    return f"Biggest changes in the treatment: {', '.join(told)}."


def _biggest(parts: Iterable[Origin]) -> Origin | None:
    known = [part for part in parts if part.difference is not None]
    return max(known, key=lambda part: abs(part.difference or 0.0), default=None)


def _relative(part: Origin) -> float:
    return (part.difference or 0.0) / part.baseline if part.baseline else 0.0


def _change(part: Origin) -> str:
    return compact(part.difference or 0.0)
