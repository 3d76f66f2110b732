"""A set of traces in a few numbers, each with the number of traces it stands on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import get_args

from evaltrace.errors import Problem
from evaltrace.trace import Input, Status, Tokens, Trace


@dataclass(frozen=True, slots=True)
class Total:
    """A sum (tokens, US dollars) over the traces that know the number; None if none does."""

    amount: float | None = None
    traces: int = 0


@dataclass(frozen=True, slots=True)
class ProblemCount:
    """How often a problem was met, and where first."""

    code: str
    count: int
    first_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a set of traces amounts to.

    `statuses` counts the traces of each status that occurs; `tokens` has the keys of
    `metrics.tokens`; `mean_reward` is over the `valid_rewards` that may be counted.
    `planned`, `found`, `selected` and `absent` are trials, None where a job does not say.
    """

    traces: int
    statuses: dict[str, int]
    planned: int | None
    found: int | None
    selected: int | None
    absent: int | None
    tokens: dict[str, Total]
    cost_usd: Total
    mean_reward: float | None
    valid_rewards: int
    problems: list[ProblemCount]
    output: str | None


class Tally:
    """Counts traces as they pass, in memory that does not grow with their size."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._tokens: dict[str, list[int]] = {name: [] for name in Tokens.__struct_fields__}
        self._costs: list[float] = []
        self._rewards: list[float] = []
        self._problems: dict[str, tuple[int, str]] = {}

    def add(self, trace: Trace) -> None:
        """Count a trace, and the problems that it carries."""
        self._statuses[trace.status] += 1
        for name, known in self._tokens.items():
            amount = getattr(trace.metrics.tokens, name)
            if amount is not None:
                known.append(amount)
        if trace.metrics.cost.usd is not None:
            self._costs.append(trace.metrics.cost.usd)
        valid = trace.error is None or trace.error.reward_valid
        if valid and trace.test_reward is not None:
            self._rewards.append(trace.test_reward)
        for problem in trace.problems:
            self.add_problem(problem)

    def add_problem(self, problem: Problem) -> None:
        """Count a problem that no trace carries."""
        number, first_path = self._problems.get(problem.code, (0, problem.path))
        self._problems[problem.code] = (number + 1, first_path)

    def summary(self, inputs: Iterable[Input] = (), output: str | None = None) -> Summary:
        """Sum up what was counted; the trials of the jobs come from `inputs`."""
        jobs = list(inputs)
        return Summary(
            traces=self._statuses.total(),
            statuses={name: self._statuses[name] for name in _STATUSES if name in self._statuses},
            planned=_sum_if_known([job.planned for job in jobs]),
            found=_sum_if_known([job.found for job in jobs]),
            selected=_sum_if_known([job.selected for job in jobs]),
            absent=_sum_if_known([job.absent for job in jobs]),
            tokens={name: _total(sum(known), known) for name, known in self._tokens.items()},
            cost_usd=_total(fsum(self._costs), self._costs),
            mean_reward=fsum(self._rewards) / len(self._rewards) if self._rewards else None,
            valid_rewards=len(self._rewards),
            problems=self._problem_counts(),
            output=output,
        )

    def _problem_counts(self) -> list[ProblemCount]:
        counts = [ProblemCount(code, *seen) for code, seen in self._problems.items()]
        return sorted(counts, key=lambda problem: (-problem.count, problem.code))


_STATUSES = get_args(Status)


def _total(amount: float, known: Sequence[float]) -> Total:
    return Total(amount, len(known)) if known else Total()


def _sum_if_known(counts: list[int | None]) -> int | None:
    known = [number for number in counts if number is not None]
    return sum(known) if known and len(known) == len(counts) else None
