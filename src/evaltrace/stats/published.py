"""Published methods by the names they are known by, beside our defaults: to check and to compare.

None of them is the default of a comparison; most cover too seldom for few tasks, and the tables
of two by two know single attempts only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from evaltrace.stats.intervals import Bounds
from evaltrace.stats.paired_means import (
    ClusteredErrors,
    Equivalence,
    PairedT,
    SignedRank,
    clustered_errors,
    delta_log,
    fieller,
    paired_t,
    tost,
    wilcoxon,
)
from evaltrace.stats.tpower import (
    detectable_difference,
    needed_tasks,
    needed_tasks_of_proportions,
    needed_tasks_of_t,
    t_power,
)
from evaltrace.stats.two_by_two import (
    Estimate,
    McNemar,
    StratifiedTest,
    bonett_price,
    clopper_pearson,
    cochran_mantel_haenszel,
    fisher_exact,
    mcnemar,
    newcombe,
    tango,
    wald,
)

__all__ = [
    "ClusteredErrors",
    "Equivalence",
    "Estimate",
    "McNemar",
    "MissingBounds",
    "PairedT",
    "SignedRank",
    "StratifiedTest",
    "bonett_price",
    "clopper_pearson",
    "clustered_errors",
    "cochran_mantel_haenszel",
    "complier_effect",
    "delta_log",
    "detectable_difference",
    "fieller",
    "fisher_exact",
    "mcnemar",
    "missing_bounds",
    "needed_tasks",
    "needed_tasks_of_proportions",
    "needed_tasks_of_t",
    "newcombe",
    "not_worse",
    "paired_t",
    "t_power",
    "tango",
    "tost",
    "wald",
    "wilcoxon",
]

Rows = Sequence[Sequence[float | None]]
"""The rewards of every planned attempt, task by task; None where there is none."""


class MissingBounds(NamedTuple):
    """The difference with missing rewards as failures, at their worst and best for b, and left out.

    The first three are over all tasks; `common_difference` is over the `common_tasks` that have
    a reward in both arms, None without any.
    """

    as_failures: float
    worst: float
    best: float
    common_tasks: int
    common_difference: float | None


def missing_bounds(a: Rows, b: Rows) -> MissingBounds:
    """Bound the difference of mean rewards between 0 and 1 by what is missing.

    Worst for b: its missing rewards are 0 and those of a are 1; best: the reverse. Assumes
    nothing about why they are missing. Source: Horowitz & Manski 2000.
    """
    if len(a) != len(b) or not a or not all(a) or not all(b):
        raise ValueError("both arms must hold the same tasks, with an attempt planned at each")

    def difference(missing_a: float, missing_b: float) -> float:
        return _mean([_filled(row, missing_b) for row in b]) - _mean(
            [_filled(row, missing_a) for row in a]
        )

    known_a = [[value for value in row if value is not None] for row in a]
    known_b = [[value for value in row if value is not None] for row in b]
    common = [(x, y) for x, y in zip(known_a, known_b, strict=True) if x and y]
    gaps = [_mean(y) - _mean(x) for x, y in common]
    seen = _mean(gaps) if gaps else None
    return MissingBounds(difference(0, 0), difference(1, 0), difference(0, 1), len(gaps), seen)


def _filled(row: Sequence[float | None], missing: float) -> float:
    return _mean([missing if value is None else value for value in row])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def complier_effect(difference: float, use_b: float, use_a: float = 0.0) -> float | None:
    """Give the effect of using a tool, from the effect of offering it and the difference in use.

    difference/(use_b - use_a); None where use does not differ. Assumes that merely having the
    tool changes nothing. Interval: `subset_ratio`. Source: Bloom 1984; Angrist, Imbens & Rubin
    1996.
    """
    return difference / (use_b - use_a) if use_b != use_a else None


def not_worse(bounds: Bounds, margin: float) -> Literal["pass", "fail", "inconclusive"]:
    """Judge "not worse by more than the margin" by the interval at twice the one-sided alpha.

    Pass: it lies above minus the margin. Fail: it lies below 0 and reaches minus the margin.
    Source: Lakens 2017.
    """
    low = -math.inf if bounds.low is None else bounds.low
    high = math.inf if bounds.high is None else bounds.high
    if low > -margin:
        return "pass"
    return "fail" if high < 0 else "inconclusive"
