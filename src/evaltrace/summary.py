"""A set of traces in a few numbers, each with the number of traces it stands on."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from math import fsum
from typing import get_args

from msgspec import Struct, structs
from msgspec import field as member

from evaltrace.errors import Problem
from evaltrace.measures import counts_reward
from evaltrace.source import Stamp
from evaltrace.trace import Input, Status, Tokens, Trace


@dataclass(frozen=True, slots=True)
class Total:
    """A sum (tokens, US dollars) over the traces that know the number; None if none does."""

    amount: float | None = None
    traces: int = 0


@dataclass(frozen=True, slots=True)
class JobReward:
    """The mean over the `valid` rewards of a job's traces; None where none is valid."""

    job: str | None
    mean: float | None
    valid: int
    traces: int


@dataclass(frozen=True, slots=True)
class ProblemCount:
    """How often a problem was met, and where first."""

    code: str
    count: int
    first_path: str


@dataclass(frozen=True, slots=True)
class MentionCount:
    """Shell calls that match a pattern, in how many traces, of how many that could tell."""

    pattern: str
    calls: int
    traces: int
    known: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a set of traces amounts to.

    `statuses` counts the traces of each status that occurs; `tokens` has the keys of
    `metrics.tokens`, `cost_usd` those of `metrics.cost.source` that occur (`unsourced` where a
    trace does not say), because what agents report and what tables give are no one number.
    `mean_reward` is over the `valid_rewards` that may be counted, whatever
    job they come from, and `job_rewards` has a mean for each job, by name.
    `planned`, `found`, `selected` and `absent` are trials, None where a job does not say.
    """

    traces: int
    statuses: dict[str, int]
    planned: int | None
    found: int | None
    selected: int | None
    absent: int | None
    tokens: dict[str, Total]
    cost_usd: dict[str, Total]
    mean_reward: float | None
    valid_rewards: int
    job_rewards: list[JobReward]
    problems: list[ProblemCount]
    output: str | None
    mentions: list[MentionCount] = field(default_factory=list)


_COST_SOURCES = ("reported", "computed", "unsourced")


class Facts(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a summary needs to know of one trace; `reward` only where it may be counted."""

    status: Status
    job: str | None = None
    tokens: Tokens = member(default_factory=Tokens)
    cost_usd: float | None = None
    cost_source: str | None = None
    reward: float | None = None
    mentions: list[tuple[str, int]] = []


class TrialRow(Struct, kw_only=True, omit_defaults=True):
    """What became of one trial: a trace of `length` bytes as JSON, or only problems.

    `looked_at` is what the trace depended on, where that was asked for.
    """

    label: str
    length: int | None = None
    facts: Facts | None = None
    problems: list[Problem] = []
    looked_at: dict[str, Stamp] | None = None


def to_facts(trace: Trace) -> Facts:
    """Take from a trace what a summary needs."""
    cost = trace.metrics.cost
    return Facts(
        status=trace.status,
        job=trace.origin.job_name,
        tokens=trace.metrics.tokens,
        cost_usd=cost.usd,
        cost_source=cost.source,
        reward=trace.test_reward if counts_reward(trace) else None,
        mentions=[(row.pattern, row.count) for row in trace.tools.mentions or ()],
    )


class Tally:
    """Counts traces as they pass, in memory that does not grow with their size."""

    def __init__(self) -> None:
        self._statuses: Counter[str] = Counter()
        self._tokens: Counter[str] = Counter()
        self._tokens_known: Counter[str] = Counter()
        # A sum of floats must not depend on their order: they are summed up at the end.
        self._costs: dict[str, array[float]] = {name: array("d") for name in _COST_SOURCES}
        self._jobs: Counter[str | None] = Counter()
        self._rewards: defaultdict[str | None, array[float]] = defaultdict(lambda: array("d"))
        self._problems: dict[str, tuple[int, str]] = {}
        self._mentions: dict[str, MentionCount] = {}

    def add(self, trace: Trace) -> None:
        """Count a trace, and the problems that it carries."""
        self.add_facts(to_facts(trace))
        for problem in trace.problems:
            self.add_problem(problem)

    def add_facts(self, facts: Facts) -> None:
        """Count a trace by what is known of it, without its problems."""
        self._statuses[facts.status] += 1
        for name in Tokens.__struct_fields__:
            amount = getattr(facts.tokens, name)
            if amount is not None:
                self._tokens[name] += amount
                self._tokens_known[name] += 1
        if facts.cost_usd is not None:
            self._costs[facts.cost_source or "unsourced"].append(facts.cost_usd)
        self._jobs[facts.job] += 1
        if facts.reward is not None:
            self._rewards[facts.job].append(facts.reward)
        for pattern, calls in facts.mentions:
            seen = self._mentions.get(pattern, MentionCount(pattern, 0, 0, 0))
            self._mentions[pattern] = MentionCount(
                pattern, seen.calls + calls, seen.traces + (calls > 0), seen.known + 1
            )

    @property
    def traces(self) -> int:
        """How many traces were counted."""
        return self._statuses.total()

    def add_row(self, row: TrialRow) -> None:
        """Count a trial, and all problems that were met with it."""
        if row.facts is not None:
            self.add_facts(row.facts)
        for problem in row.problems:
            self.add_problem(problem)

    def add_problem(self, problem: Problem) -> None:
        """Count a problem."""
        number, first_path = self._problems.get(problem.code, (0, problem.path))
        self._problems[problem.code] = (number + 1, first_path)

    def summary(self, inputs: Iterable[Input] = (), output: str | None = None) -> Summary:
        """Sum up what was counted; the trials of the jobs come from `inputs`.

        Several inputs with the same job name and id are one job.
        """
        jobs = _without_copies(inputs)
        return Summary(
            traces=self._statuses.total(),
            statuses={name: self._statuses[name] for name in _STATUSES if name in self._statuses},
            planned=_sum_if_known([job.planned for job in jobs]),
            found=_sum_if_known([job.found for job in jobs]),
            selected=_sum_if_known([job.selected for job in jobs]),
            absent=_sum_if_known([job.absent for job in jobs]),
            tokens={name: self._token_total(name) for name in Tokens.__struct_fields__},
            cost_usd={
                name: Total(fsum(known), len(known)) for name, known in self._costs.items() if known
            },
            mean_reward=_mean(*self._rewards.values()),
            valid_rewards=sum(map(len, self._rewards.values())),
            job_rewards=self._job_rewards(),
            problems=self._problem_counts(),
            output=output,
            mentions=list(self._mentions.values()),
        )

    def _token_total(self, name: str) -> Total:
        known = self._tokens_known[name]
        return Total(self._tokens[name], known) if known else Total()

    def _job_rewards(self) -> list[JobReward]:
        jobs = sorted(self._jobs, key=lambda job: (job is None, job))
        known = {job: self._rewards.get(job, ()) for job in jobs}
        return [JobReward(job, _mean(known[job]), len(known[job]), self._jobs[job]) for job in jobs]

    def _problem_counts(self) -> list[ProblemCount]:
        counts = [ProblemCount(code, *seen) for code, seen in self._problems.items()]
        return sorted(counts, key=lambda problem: (-problem.count, problem.code))


_STATUSES = get_args(Status)


def _mean(*rewards: Sequence[float]) -> float | None:
    number = sum(map(len, rewards))
    return fsum(chain.from_iterable(rewards)) / number if number else None


def _without_copies(inputs: Iterable[Input]) -> list[Input]:
    groups: dict[object, list[Input]] = {}
    for number, row in enumerate(inputs):
        key = number if row.job_id is None else (row.job_name, row.job_id)
        groups.setdefault(key, []).append(row)
    return [_one_job(rows) for rows in groups.values()]


def _one_job(rows: list[Input]) -> Input:
    """Count the trials of a job once, although it was met in several places."""
    if len(rows) == 1:
        return rows[0]
    planned = max((row.planned for row in rows if row.planned is not None), default=None)
    # A trial is selected in one of its places only.
    selected = sum(row.selected for row in rows)
    found = max(selected, *(row.found for row in rows))
    absent = None if planned is None else max(planned - found, 0)
    return structs.replace(rows[0], planned=planned, found=found, absent=absent, selected=selected)


def _sum_if_known(counts: list[int | None]) -> int | None:
    known = [number for number in counts if number is not None]
    return sum(known) if known and len(known) == len(counts) else None
