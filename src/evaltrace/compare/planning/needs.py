"""Designs that would do: the tasks, or the attempts, that show a difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, fsum

from evaltrace.compare.options import CompareOptions
from evaltrace.compare.wording import amount, counted
from evaltrace.comparison import Metric, Need
from evaltrace.stats.planning import (
    FEWEST_GROUPS,
    MOST_ATTEMPTS,
    MOST_TASKS,
    Parts,
    attempts_needed,
    tasks_needed,
)

FEWEST_PLANNED = 5
"""Tasks that it takes to say how many would do."""

_DIFFERENCES = (0.05, 0.10)
_SHARES = (0.10, 0.20)
_NO_ROOM = "the baseline leaves no room for this difference"

Values = list[list[float]]
"""The values of every attempt, task by task."""


@dataclass(frozen=True, slots=True)
class Design:
    """What is known of a design: the baseline's values, its noise, what was assumed of it.

    `effect` is the design effect of clusters, 1 at least: so many times more tasks are needed.
    `groups` is None where tasks stand alone.
    """

    baseline: Values
    attempts: float
    parts: Parts
    assumed: str | None
    visible: float | None
    margin: float | None
    effect: float = 1.0
    groups: int | None = None

    @property
    def has_few_groups(self) -> bool:
        """Tell whether the groups are too few to know their noise."""
        return self.groups is not None and self.groups < FEWEST_GROUPS


def find_needs(design: Design, metric: Metric, options: CompareOptions, power: float) -> list[Need]:
    """Find what shows 5 and 10 points, or 10 and 20 % of the baseline's mean of a number.

    Nothing from fewer than 5 tasks or 10 groups: their noise is hardly known.
    """
    few = len(design.baseline) < FEWEST_PLANNED or design.has_few_groups
    if few or design.parts.total is None:
        return []
    # Sorted: the tasks drawn at random are the same whatever the order they came in.
    rates = sorted(fsum(row) / len(row) for row in design.baseline)
    if metric.kind == "number":
        mean = abs(fsum(rates)) / len(rates)
        search = _Search(None, design, options, power)
        wanted = [share * mean for share in _SHARES if mean]
    else:
        search = _Search(rates, design, options, power)
        wanted = [value if metric.better == "higher" else -value for value in _DIFFERENCES]
    return [need for value in wanted for need in (search.tasks(value), search.attempts(value))]


@dataclass(frozen=True, slots=True)
class _Search:
    """Looks for designs; `rates` are the baseline's by task, None without limits."""

    rates: list[float] | None
    design: Design
    options: CompareOptions
    power: float

    def tasks(self, difference: float) -> Need:
        """Look for the tasks at the present attempts."""
        attempts, options = max(1, round(self.design.attempts)), self.options
        found = tasks_needed(
            self.rates, self.design.parts, difference, attempts,
            self.power, options.alpha, options.seed,
        )  # fmt: skip
        note = None
        if found.tasks is None:
            note = _NO_ROOM if found.power is None else f"more than {MOST_TASKS:,} tasks"
        return Need(
            difference=abs(difference),
            tasks=None if found.tasks is None else ceil(found.tasks * self.design.effect),
            attempts=attempts,
            power=found.power,
            fixed="attempts",
            note=note,
        )

    def attempts(self, difference: float) -> Need:
        """Look for the attempts at the present tasks."""
        tasks, options = len(self.design.baseline), self.options
        found = attempts_needed(
            self.rates, self.design.parts, difference, max(2, round(tasks / self.design.effect)),
            self.power, options.alpha, options.seed,
        )  # fmt: skip
        note = None
        if found.attempts is None:
            note = _NO_ROOM if found.power is None else f"more than {MOST_ATTEMPTS} attempts"
        return Need(
            difference=abs(difference),
            tasks=tasks,
            attempts=MOST_ATTEMPTS if found.attempts is None else found.attempts,
            power=found.power,
            fixed="tasks",
            note=note,
        )


def describe_needs(needs: Sequence[Need], metric: Metric) -> Iterator[str]:
    """Put the designs into words, those for one difference in a sentence."""
    for more_tasks, more_attempts in zip(needs[::2], needs[1::2], strict=True):
        wanted = amount(more_tasks.difference, metric)
        if _NO_ROOM in (more_tasks.note, more_attempts.note):
            yield f"For {wanted} the baseline leaves no room."
            continue
        tasks = (
            f"{more_tasks.note} at {counted(more_tasks.attempts, 'attempt')} each"
            if more_tasks.tasks is None
            else f"{counted(more_tasks.tasks, 'task')} x {more_tasks.attempts}"
        )
        attempts = more_attempts.note or counted(more_attempts.attempts, "attempt")
        yield f"For {wanted}: {tasks}, or {attempts} at each of the present tasks."
