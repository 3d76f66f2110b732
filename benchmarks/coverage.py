"""How often the default interval of a paired difference holds the truth, by simulation.

    python benchmarks/coverage.py [--sets 5000] [--seed 1]

Nine kinds of benchmark, tasks and attempts drawn anew for every data set; each data set is
judged by `evaltrace.stats.plus_two` itself. Prints a Markdown table: of each number of attempts k
and tasks n the mean coverage in percent over the nine, [the worst], and the mean width. Exits 1
if a cell lies below 94.5 % by more than three Monte-Carlo standard errors.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr

from evaltrace.stats import plus_two

TASKS = (10, 25, 50, 100)
ATTEMPTS = (1, 3, 5)
LEAST = 0.945
STEPS = 65_536


class Scenario(NamedTuple):
    """Pass rates of tasks: beta with two means and one concentration, tied by a Gaussian copula."""

    name: str
    mean_a: float
    mean_b: float
    concentration: float
    correlation: float


SCENARIOS = (
    Scenario("spread, helps", 0.50, 0.60, 1.0, 0.85),
    Scenario("spread, no effect", 0.50, 0.50, 1.0, 0.95),
    Scenario("nearly solved", 0.85, 0.92, 1.0, 0.85),
    Scenario("nearly hopeless", 0.08, 0.15, 1.0, 0.85),
    Scenario("alike tasks", 0.50, 0.55, 10.0, 0.90),
    Scenario("all or nothing", 0.50, 0.53, 0.3, 0.98),
    Scenario("large effect", 0.20, 0.70, 1.0, 0.60),
    Scenario("huge effect", 0.05, 0.95, 1.0, 0.30),
    Scenario("regression", 0.95, 0.85, 1.0, 0.90),
)


class Cell(NamedTuple):
    """One scenario at one size: how many intervals hold the truth, and how wide they are."""

    scenario: str
    tasks: int
    attempts: int
    coverage: float
    width: float


def quantiles(mean: float, concentration: float) -> NDArray[np.float64]:
    """Tabulate a beta distribution in steps of equal probability."""
    levels = (np.arange(STEPS) + 0.5) / STEPS
    return np.asarray(betaincinv(mean * concentration, (1 - mean) * concentration, levels))


def cells(scenario: Scenario, tasks: int, sets: int, seed: int) -> Iterator[Cell]:
    """Draw tasks once, and attempts at them for each number of attempts."""
    rng = np.random.default_rng([seed, SCENARIOS.index(scenario), tasks])
    first, fresh = rng.standard_normal((2, sets, tasks))
    rho = scenario.correlation
    second = rho * first + math.sqrt(1 - rho * rho) * fresh
    table_a = quantiles(scenario.mean_a, scenario.concentration)
    table_b = quantiles(scenario.mean_b, scenario.concentration)
    p_a = table_a[np.minimum(ndtr(first) * STEPS, STEPS - 1).astype(int)]
    p_b = table_b[np.minimum(ndtr(second) * STEPS, STEPS - 1).astype(int)]
    truth = float(table_b.mean() - table_a.mean())
    for attempts in ATTEMPTS:
        d = (rng.binomial(attempts, p_b) - rng.binomial(attempts, p_a)) / attempts
        bounds = np.array([plus_two(row, attempts) for row in d], dtype=np.float64)
        held = (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])
        width = float((bounds[:, 1] - bounds[:, 0]).mean())
        yield Cell(scenario.name, tasks, attempts, float(held.mean()), width)


def error(coverage: float, sets: int) -> float:
    """Give the Monte-Carlo standard error of a coverage."""
    return math.sqrt(coverage * (1 - coverage) / sets)


def table(found: list[Cell]) -> str:
    """Lay out mean [worst] coverage and mean width as Markdown."""
    lines = ["| | " + " | ".join(f"n = {n}" for n in TASKS) + " |", "|---" * (len(TASKS) + 1) + "|"]
    for attempts in ATTEMPTS:
        row = []
        for tasks in TASKS:
            here = [cell for cell in found if (cell.tasks, cell.attempts) == (tasks, attempts)]
            held = [100 * cell.coverage for cell in here]
            width = np.mean([cell.width for cell in here])
            row.append(f"{np.mean(held):.1f} [{min(held):.1f}] {width:.3f}")
        lines.append(f"| k = {attempts} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def main() -> int:
    """Run every cell; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=5000, help="data sets per cell")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    found = [
        cell
        for scenario in SCENARIOS
        for tasks in TASKS
        for cell in cells(scenario, tasks, given.sets, given.seed)
    ]
    print(table(found))
    worst = min(found, key=lambda cell: cell.coverage)
    single = error(LEAST, given.sets)
    print(
        f"\n{given.sets} data sets per cell; Monte-Carlo standard error of one cell "
        f"{100 * single:.2f} points, of a mean of nine {100 * single / 3:.2f}. "
        f"Worst cell: {100 * worst.coverage:.1f} % ({worst.scenario}, n = {worst.tasks}, "
        f"k = {worst.attempts})."
    )
    below = [cell for cell in found if cell.coverage < LEAST - 3 * single]
    for cell in below:
        print(f"below {100 * LEAST:.1f} %: {cell}", file=sys.stderr)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
