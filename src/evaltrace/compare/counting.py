"""The denominators: trials of each arm by what became of them, and how the tasks pair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import fsum
from operator import attrgetter

from evaltrace.compare.reading.paths import jobs_of
from evaltrace.compare.sides import Pair, Pairing, Side, Trial
from evaltrace.comparison import (
    Arm,
    Arms,
    Attempts,
    BothAttempts,
    BothDenominators,
    Denominators,
    Outcomes,
    OutcomeTables,
    Pairs,
)
from evaltrace.trace import Input


def to_arms(baseline: Side, treatment: Side) -> Arms:
    """Describe both sides."""
    return Arms(baseline=_to_arm(baseline), treatment=_to_arm(treatment))


def _to_arm(side: Side) -> Arm:
    return Arm(
        label=side.label,
        jobs=jobs_of(side.trials),
        agent=_one_of(side, attrgetter("trace.agent_config.agent.name")),
        model=_one_of(side, attrgetter("trace.agent_config.model")),
    )


def _one_of(side: Side, read: Callable[[Trial], str | None]) -> str | None:
    values = set(map(read, side.trials))
    return values.pop() if len(values) == 1 else None


def count_trials(baseline: Side, treatment: Side, pairing: Pairing) -> BothDenominators:
    """Count the trials of both arms by what became of them."""
    paired = pairing.pairs
    return BothDenominators(
        baseline=_count(baseline, [trial for pair in paired for trial in pair.valid_baseline]),
        treatment=_count(treatment, [trial for pair in paired for trial in pair.valid_treatment]),
    )


def _count(side: Side, in_pairs: Sequence[Trial]) -> Denominators:
    states = Counter(trial.state for trial in side.trials)
    causes = Counter(
        trial.trace.error.cause
        for trial in side.trials
        if trial.state == "errored" and trial.trace.error is not None
    )
    return Denominators(
        planned=_planned(side),
        started=len(side.trials),
        finished=len(side.trials) - states["running"],
        errored=states["errored"],
        errored_by_cause=dict(sorted(causes.items())),
        cancelled=states["cancelled"],
        unscored=states["unscored"],
        running=states["running"],
        valid=states["valid"],
        in_pairs=len(in_pairs),
        set_aside=len(side.set_aside),
        tasks=len({trial.task for trial in side.trials}),
        valid_tasks=len({trial.task for trial in side.trials if trial.state == "valid"}),
    )


def _planned(side: Side) -> int | None:
    """Sum what the jobs of an arm planned for it; None where one of them does not tell."""
    jobs = {(row.job_name, row.job_id): row for row in side.inputs}
    trials = (*side.trials, *side.set_aside)
    started = Counter((row.trace.origin.job_name, row.trace.origin.job_id) for row in trials)
    planned = [_planned_of(jobs.get(key), number, side.whole) for key, number in started.items()]
    known = [number for number in planned if number is not None]
    return sum(known) if len(known) == len(planned) else None


def _planned_of(job: Input | None, started: int, whole: bool) -> int | None:
    if job is None:
        return None
    if whole and job.selected == job.found:
        return job.planned
    # A part of a job planned what it started only where nothing of the job is absent.
    if job.absent != 0:
        return None
    return job.selected if whole else started


def to_pairs(pairing: Pairing) -> Pairs:
    """Say how the tasks pair, and who won them."""
    pairs = pairing.pairs
    differences = [pair.difference for pair in pairs if pair.difference is not None]
    lonely = [pair for pair in pairing.tasks if pair.difference is None]
    only_baseline = [pair.task for pair in lonely if pair.valid_baseline]
    only_treatment = [pair.task for pair in lonely if pair.valid_treatment]
    wins = sum(difference > 0 for difference in differences)
    losses = sum(difference < 0 for difference in differences)
    return Pairs(
        tasks=len(pairs),
        only_baseline=len(only_baseline),
        only_treatment=len(only_treatment),
        in_neither=len(lonely) - len(only_baseline) - len(only_treatment),
        only_baseline_tasks=only_baseline,
        only_treatment_tasks=only_treatment,
        attempts=BothAttempts(
            baseline=_attempts([len(pair.valid_baseline) for pair in pairs]),
            treatment=_attempts([len(pair.valid_treatment) for pair in pairs]),
        ),
        wins=wins,
        ties=len(differences) - wins - losses,
        losses=losses,
        outcomes=_to_outcomes(pairs),
        paired_by=pairing.paired_by,
        renamed=pairing.renamed,
    )


def _attempts(numbers: list[int]) -> Attempts | None:
    if not numbers:
        return None
    return Attempts(fewest=min(numbers), most=max(numbers), mean=fsum(numbers) / len(numbers))


def _to_outcomes(pairs: Sequence[Pair]) -> OutcomeTables:
    passed = [
        ([trial.passed for trial in pair.valid_baseline], [t.passed for t in pair.valid_treatment])
        for pair in pairs
    ]
    return OutcomeTables(
        by_attempt=_table([match for pair in pairs for match in _matched(pair)]),
        by_task_any=_table([(any(before), any(after)) for before, after in passed]),
        by_task_all=_table([(all(before), all(after)) for before, after in passed]),
    )


def _matched(pair: Pair) -> list[tuple[bool, bool]]:
    """Put the attempts with the same number side by side, where both are valid."""
    after = {trial.number: trial for trial in pair.valid_treatment}
    return [
        (bool(trial.passed), bool(after[trial.number].passed))
        for trial in pair.valid_baseline
        if trial.number in after
    ]


def _table(rows: Sequence[tuple[bool, bool]]) -> Outcomes:
    counts = Counter(rows)
    return Outcomes(
        n=len(rows),
        both=counts[True, True],
        only_baseline=counts[True, False],
        only_treatment=counts[False, True],
        neither=counts[False, False],
    )
