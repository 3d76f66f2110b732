"""Statistics of paired comparisons: arrays in, plain tuples out; knows no trace.

The task is the unit; differences are treatment minus baseline, ratios treatment to baseline.

    intervals       one arm's rate, a paired difference, a typical ratio: closed forms
    subsets         random-subset intervals: clusters, ratios of totals, cost per solved task
    signflip        the exact sign-flip test
    flips           tasks that changed sides, and how many would by luck
    passing         pass@k and pass^k
    multiplicity    Holm, Benjamini-Hochberg
    planning        noise, the smallest visible difference, designs that would do
    published       the classic methods by name: McNemar, Tango, Newcombe, Fieller, ...

NaN and infinity are refused with ValueError; degenerate data give a value, and an end that the
data do not bound is None. scipy.special is loaded by the functions that need it.
"""

from __future__ import annotations

from evaltrace.stats.flips import chance_flips, chance_of_difference, likelihood_higher
from evaltrace.stats.intervals import (
    Bounds,
    Ratio,
    effective_tasks,
    effective_wilson,
    fixed_tasks,
    geometric_ratio,
    mean_attempts,
    mean_t,
    plus_two,
    wilson,
)
from evaltrace.stats.multiplicity import benjamini_hochberg, holm
from evaltrace.stats.passing import all_of, any_of
from evaltrace.stats.planning import (
    Design,
    Parts,
    assume_parts,
    attempts_needed,
    parts_of_one_arm,
    simulated_power,
    smallest_margin,
    smallest_visible,
    tasks_needed,
    variance_parts,
)
from evaltrace.stats.signflip import SignFlip, sign_flip
from evaltrace.stats.subsets import (
    FEWEST_CLUSTERS,
    Subsets,
    subset_mean,
    subset_rate,
    subset_ratio,
    subset_ratio_of_ratios,
)

__all__ = [
    "FEWEST_CLUSTERS",
    "Bounds",
    "Design",
    "Parts",
    "Ratio",
    "SignFlip",
    "Subsets",
    "all_of",
    "any_of",
    "assume_parts",
    "attempts_needed",
    "benjamini_hochberg",
    "chance_flips",
    "chance_of_difference",
    "effective_tasks",
    "effective_wilson",
    "fixed_tasks",
    "geometric_ratio",
    "holm",
    "likelihood_higher",
    "mean_attempts",
    "mean_t",
    "parts_of_one_arm",
    "plus_two",
    "sign_flip",
    "simulated_power",
    "smallest_margin",
    "smallest_visible",
    "subset_mean",
    "subset_rate",
    "subset_ratio",
    "subset_ratio_of_ratios",
    "tasks_needed",
    "variance_parts",
    "wilson",
]
