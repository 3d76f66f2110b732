"""Cost per solved task: what all attempts cost, for each task that was solved."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from evaltrace.compare.effects.differences import to_differences
from evaltrace.compare.effects.effect import paired_interval
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.sides import Pair, Trial
from evaltrace.compare.spending.quantities import (
    Meter,
    Places,
    Vector,
    describe_known,
    is_enough,
    known_in_both,
)
from evaltrace.comparison import Interval, PerSolved

_FEWEST_SOLVED = 5
_BASELINE, _TREATMENT = 0, 1


class _Totals(NamedTuple):
    """Dollars and solved tasks of both arms, over the pairs at `places` that know both."""

    places: Places
    costs: tuple[Vector, Vector]
    rates: tuple[Vector, Vector]

    def cost(self, arm: int) -> float:
        """Add up what the tasks of an arm cost."""
        return fsum(self.costs[arm])

    def solved(self, arm: int) -> float:
        """Add up the shares of attempts that passed."""
        return fsum(self.rates[arm])

    def per_solved(self, arm: int) -> float | None:
        """Divide the one by the other; None where nothing was solved."""
        return self.cost(arm) / self.solved(arm) if self.solved(arm) else None


def measure_per_solved(pairs: Sequence[Pair], meter: Meter, options: CompareOptions) -> PerSolved:
    """Divide the cost of the paired tasks by how many were solved, failures being paid for too.

    A task counts as solved by the share of its attempts that pass. None where an arm solved
    nothing, no interval below 5 solved tasks.
    """
    totals = _total(pairs, meter)
    known = len(totals.places)
    if not is_enough(known, len(pairs)):
        note = describe_known("cost and outcome", known, len(pairs))
        return PerSolved(baseline=None, treatment=None, ratio=None, note=note)
    ratio, note = _ratio(totals, meter, options)
    extra, further = _per_extra([pairs[place] for place in totals.places], totals, options)
    return PerSolved(
        baseline=totals.per_solved(_BASELINE),
        treatment=totals.per_solved(_TREATMENT),
        ratio=ratio,
        per_extra_solved=extra,
        note="; ".join(filter(None, (note, further))) or None,
    )


def _total(pairs: Sequence[Pair], meter: Meter) -> _Totals:
    baseline, treatment = (spent.bill for spent in meter.read(attrgetter("cost.usd")))
    passed_baseline = np.array([_pass_rate(pair.baseline) for pair in pairs], dtype=np.float64)
    passed_treatment = np.array([_pass_rate(pair.treatment) for pair in pairs], dtype=np.float64)
    places = known_in_both(baseline + passed_baseline, treatment + passed_treatment)
    return _Totals(
        places,
        (baseline[places], treatment[places]),
        (passed_baseline[places], passed_treatment[places]),
    )


def _passed(trial: Trial) -> float | None:
    return None if trial.passed is None else float(trial.passed)


def _pass_rate(trials: Sequence[Trial]) -> float | None:
    outcomes = [passed for trial in trials if (passed := _passed(trial)) is not None]
    return fsum(outcomes) / len(outcomes) if outcomes else None


def _ratio(
    totals: _Totals, meter: Meter, options: CompareOptions
) -> tuple[Interval | None, str | None]:
    first, second = totals.per_solved(_BASELINE), totals.per_solved(_TREATMENT)
    if first is None or second is None:
        arms = [
            name for name, value in (("baseline", first), ("treatment", second)) if value is None
        ]
        return None, f"not defined: nothing solved in the {' and the '.join(arms)}"
    if not first:
        return None, "not defined: the baseline cost nothing"
    found = Interval(estimate=second / first, n=len(totals.places))
    if min(totals.solved(_BASELINE), totals.solved(_TREATMENT)) < _FEWEST_SOLVED:
        found.note = "no interval: an arm solved fewer than 5 tasks"
        return found, None
    found.method = meter.method("ratio of the costs per solved task")
    found.low, found.high = meter.subsets(totals.places).ratio_of_ratios(
        totals.costs[_TREATMENT],
        totals.rates[_TREATMENT],
        totals.costs[_BASELINE],
        totals.rates[_BASELINE],
        options.alpha,
    )
    return found, None


def _per_extra(
    pairs: Sequence[Pair], totals: _Totals, options: CompareOptions
) -> tuple[float | None, str | None]:
    """Divide the extra cost by the extra tasks solved, where more of them is shown."""
    chosen = to_differences(pairs, options, _passed)
    solved = paired_interval(chosen.values, chosen.attempts, "binary", options, chosen.clusters)
    if solved.low is None or solved.low <= 0:
        return None, None
    extra = totals.cost(_TREATMENT) - totals.cost(_BASELINE)
    if extra <= 0:
        return None, "the treatment solves more at no higher cost"
    return extra / (totals.solved(_TREATMENT) - totals.solved(_BASELINE)), None
