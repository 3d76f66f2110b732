"""Cost per solved task: what all attempts cost, by how many of them passed."""

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
    Arm,
    Meter,
    Places,
    Vector,
    describe_known,
    is_enough,
    known_in_both,
)
from evaltrace.comparison import Interval, PerSolved

_FEWEST_SOLVED = 5


class _Bill(NamedTuple):
    """What the trials of one arm cost and solved, task by task; not a number where unknown.

    `costs` and `passes` are means over all trials whose cost is known; a trial that does not
    count passes nothing. `rates` are the passes of the trials that count.
    """

    costs: Vector
    passes: Vector
    rates: Vector

    def at(self, places: Places) -> _Bill:
        return _Bill(self.costs[places], self.passes[places], self.rates[places])

    @property
    def per_solved(self) -> float | None:
        """Divide dollars by passes; None where nothing was solved."""
        passes = fsum(self.passes)
        return fsum(self.costs) / passes if passes else None


class _Bills(NamedTuple):
    """Both arms, over the pairs at `places` that know both."""

    places: Places
    baseline: _Bill
    treatment: _Bill


def measure_per_solved(pairs: Sequence[Pair], meter: Meter, options: CompareOptions) -> PerSolved:
    """Divide what all trials of the paired tasks cost by how many of them passed.

    A task costs the mean of all its trials whose cost is known, and is solved by the share of
    the same trials that pass: failures are paid for, and so are trials that do not count, which
    solve nothing. None where an arm solved nothing, no interval below 5 solved tasks.
    """
    bills = _to_bills(meter)
    known = len(bills.places)
    if not is_enough(known, len(pairs)):
        note = describe_known("cost and outcome", known, len(pairs))
        return PerSolved(baseline=None, treatment=None, ratio=None, note=note)
    ratio, note = _ratio(bills, meter, options)
    extra, further = _per_extra([pairs[place] for place in bills.places], bills, options)
    return PerSolved(
        baseline=bills.baseline.per_solved,
        treatment=bills.treatment.per_solved,
        ratio=ratio,
        per_extra_solved=extra,
        note="; ".join(filter(None, (note, further))) or None,
    )


def _to_bills(meter: Meter) -> _Bills:
    baseline, treatment = _to_bill(meter.baseline), _to_bill(meter.treatment)
    places = known_in_both(baseline.costs + baseline.rates, treatment.costs + treatment.rates)
    return _Bills(places, baseline.at(places), treatment.at(places))


def _to_bill(arm: Arm) -> _Bill:
    amounts = arm.amounts(attrgetter("cost.usd"))
    paid = ~np.isnan(amounts)
    decided = arm.counts & np.array([trial.passed is not None for trial in arm.trials], dtype=bool)
    passed = np.array(list(map(_solves, arm.trials)), dtype=np.float64)
    return _Bill(
        costs=arm.means(amounts, paid),
        passes=arm.means(passed, paid),
        rates=arm.means(passed, paid & decided),
    )


def _solves(trial: Trial) -> float:
    """Count 1 for a trial that counts and passed, whatever became of the others."""
    return float(trial.value is not None and trial.passed is True)


def _ratio(
    bills: _Bills, meter: Meter, options: CompareOptions
) -> tuple[Interval | None, str | None]:
    baseline, treatment = bills.baseline, bills.treatment
    first, second = baseline.per_solved, treatment.per_solved
    if first is None or second is None:
        arms = [
            name for name, value in (("baseline", first), ("treatment", second)) if value is None
        ]
        return None, f"not defined: nothing solved in the {' and the '.join(arms)}"
    if not first:
        return None, "not defined: the baseline cost nothing"
    found = Interval(estimate=second / first, n=len(bills.places))
    if min(fsum(baseline.rates), fsum(treatment.rates)) < _FEWEST_SOLVED:
        found.note = "no interval: an arm solved fewer than 5 tasks"
        return found, None
    found.method = meter.method("ratio of the costs per solved task")
    found.low, found.high = meter.subsets(bills.places).ratio_of_ratios(
        treatment.costs, treatment.passes, baseline.costs, baseline.passes, options.alpha
    )
    return found, None


def _per_extra(
    pairs: Sequence[Pair], bills: _Bills, options: CompareOptions
) -> tuple[float | None, str | None]:
    """Divide the extra cost by the extra tasks solved, where more of them is shown."""
    chosen = to_differences(pairs, options, _solves)
    solved = paired_interval(chosen.values, chosen.attempts, "binary", options, chosen.clusters)
    more = fsum(bills.treatment.passes) - fsum(bills.baseline.passes)
    if solved.low is None or solved.low <= 0 or more <= 0:
        return None, None
    extra = fsum(bills.treatment.costs) - fsum(bills.baseline.costs)
    if extra <= 0:
        return None, "the treatment solves more at no higher cost"
    return extra / more, None
