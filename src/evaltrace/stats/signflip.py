"""The exact sign-flip test: are paired differences as likely to be up as down?"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaltrace.stats.arrays import Clusters, Vector, to_vector, unit_sums
from evaltrace.stats.bits import kept_sums, random_subsets

_DENOMINATOR = 10_000
_CELLS = 50_000_000
_ENUMERATED = 36
_FLIPS = 20_000


class SignFlip(NamedTuple):
    """Both two-sided p; not `exact` where they are by random flips. None without tasks."""

    p: float | None
    mid_p: float | None
    exact: bool


def sign_flip(d: ArrayLike, clusters: Clusters | None = None, seed: int = 1) -> SignFlip:
    """Test whether the labels of the two arms mean nothing, by flipping signs of differences.

    Under the null hypothesis each task (each cluster as a whole) may swap its labels, so every
    sign of every d is as likely. p = P(|S| >= |s|) and mid-p = P(|S| > |s|) + P(|S| = |s|)/2 for
    the sum S of the flipped differences. Exact, without a seed, where the d are multiples of a
    common step, as means of 0 and 1 are (by dynamic programming), or up to 36 are not 0 (by
    enumeration); else by 20,000 random flips, p = (1 + hits)/(1 + flips). With one attempt per
    task this is McNemar's exact test and its mid-p. All d = 0: p = 1.

    Assumes independent tasks (clusters). Source: Fisher 1935, section 21; Lancaster 1961 and
    Fagerland, Lydersen & Laake 2013 (mid-p); Cameron, Gelbach & Miller 2008 (clusters).
    """
    vector = to_vector(d, "d")
    if not len(vector):
        return SignFlip(None, None, True)
    steps = _steps(vector, clusters)
    if steps:
        return _by_convolution(steps)
    sizes = np.abs(unit_sums(vector[:, None], clusters)[:, 0])
    sizes = np.sort(sizes[sizes > 0])
    if steps is not None or not len(sizes):
        return SignFlip(1.0, 1.0, True)
    total = abs(math.fsum(vector))
    if len(sizes) <= _ENUMERATED:
        return _by_enumeration(sizes, total)
    return _by_random_flips(sizes, total, seed)


def _steps(vector: Vector, clusters: Clusters | None) -> list[int] | None:
    """Write the units' sums as whole numbers of a common step; None where that is too costly.

    Sums of 0 are left out.
    """
    nearest = {x: Fraction(x).limit_denominator(_DENOMINATOR) for x in set(vector.tolist())}
    slack = 1e-9 * min(1.0, float(np.abs(vector).max()))
    if any(abs(float(fraction) - x) > slack for x, fraction in nearest.items()):
        return None
    common = math.lcm(*(fraction.denominator for fraction in nearest.values()))
    whole = {x: int(fraction * common) for x, fraction in nearest.items()}
    if max(map(abs, whole.values())) > _CELLS:
        return None
    counts = np.array([whole[x] for x in vector.tolist()], dtype=np.float64)
    steps = [int(value) for value in unit_sums(counts[:, None], clusters)[:, 0] if value]
    divisor = math.gcd(*steps) or 1
    steps = [step // divisor for step in steps]
    return steps if len(steps) * sum(map(abs, steps)) <= _CELLS else None


def _by_convolution(steps: list[int]) -> SignFlip:
    """Build the distribution of the sum of those flipped up, step by step."""
    total = sum(map(abs, steps))
    chances = np.zeros(total + 1)
    chances[0] = 1.0
    filled = 1
    for size in sorted(map(abs, steps)):
        halves = chances[:filled] / 2
        chances[:filled] = halves
        chances[size : size + filled] += halves
        filled += size
    # The flipped sum is 2 T - total for the sum T of those that stay up.
    distance = np.abs(2 * np.arange(total + 1) - total)
    seen = abs(sum(steps))
    return _both(float(chances[distance > seen].sum()), float(chances[distance == seen].sum()))


def _both(beyond: float, equal: float) -> SignFlip:
    return SignFlip(min(1.0, beyond + equal), min(1.0, beyond + equal / 2), True)


def _half_sums(sizes: Vector) -> Vector:
    sums = np.zeros(1)
    for size in sizes:
        sums = np.concatenate([sums - size, sums + size])
    return np.sort(sums)


def _by_enumeration(sizes: Vector, total: float) -> SignFlip:
    """Count all sums of signs: each of one half of the units against the sorted other half."""
    left, right = _half_sums(sizes[::2]), _half_sums(sizes[1::2])
    slack = 1e-12 * float(sizes.sum())

    def beyond(limit: float) -> float:
        """Count |sum| >= limit; the sums lie symmetrically about 0."""
        return 2.0 * float((len(right) - np.searchsorted(right, limit - left)).sum())

    every = float(len(left) * len(right))
    if total <= slack:
        p_beyond = beyond(slack) / every
        return _both(p_beyond, 1 - p_beyond)
    at_least, above = beyond(total - slack) / every, beyond(total + slack) / every
    return _both(above, at_least - above)


def _by_random_flips(sizes: Vector, total: float, seed: int) -> SignFlip:
    kept = random_subsets(len(sizes), _FLIPS, seed)
    sums: NDArray[np.float64] = np.abs(2 * kept_sums(kept, sizes[:, None])[0] - sizes.sum())
    slack = 1e-12 * float(sizes.sum())
    at_least = int((sums >= total - slack).sum())
    above = int((sums > total + slack).sum())
    return SignFlip(
        (1 + at_least) / (1 + _FLIPS), (1 + (at_least + above) / 2) / (1 + _FLIPS), False
    )
