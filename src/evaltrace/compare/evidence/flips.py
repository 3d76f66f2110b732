"""Flips: tasks whose outcome differs between the arms, how sure that is, and what stands behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil, fsum, lcm
from typing import Literal

from evaltrace.compare.evidence.dossiers import (
    compare_patches,
    compare_tests,
    find_divergence,
    known_cost,
    to_attempt,
    typical_trial,
)
from evaltrace.compare.sides import Pair, Pairing, Trial
from evaltrace.compare.treatment.treated import Treated
from evaltrace.compare.wording import counted, percent
from evaltrace.comparison import ChanceFlips, Flip, Flips, TaskRow
from evaltrace.stats.flips import chance_flips, chance_of_difference, likelihood_higher

_HALF = Fraction(1, 2)
_MOST_FALSE = 0.2
"""Of the tasks that moved by a step, the share that luck may explain for the step to be named."""
_MOST_STEPS = 50

Movement = Literal["gained", "lost", "unstable", "unchanged"]


Counts = tuple[int, int, int, int]
"""Passes and attempts of the baseline, and those of the treatment."""


# Tasks have few outcomes between them: each is worked out once.
@lru_cache(maxsize=4096)
def _difference(counts: Counts) -> Fraction:
    passed_before, before, passed_after, after = counts
    return Fraction(passed_after, after) - Fraction(passed_before, before)


@lru_cache(maxsize=4096)
def _movement(counts: Counts) -> Movement:
    difference = _difference(counts)
    if abs(difference) > _HALF:
        return "gained" if difference > 0 else "lost"
    passed_before, before, passed_after, after = counts
    steady = passed_before in (0, before) and passed_after in (0, after)
    return "unchanged" if steady and not difference else "unstable"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The attempts of a task in both arms that passed or failed."""

    task: str
    baseline: list[Trial]
    treatment: list[Trial]
    counts: Counts

    @property
    def difference(self) -> Fraction:
        return _difference(self.counts)

    @property
    def movement(self) -> Movement:
        return _movement(self.counts)

    @property
    def is_repeated(self) -> bool:
        return min(self.counts[1], self.counts[3]) > 1


def find_flips(pairing: Pairing, treated: Treated) -> Flips:
    """Sort the paired tasks by what became of their pass rate, the largest movement first.

    Gained or lost: it moved by more than one half. Unstable: it moved less, or the attempts of
    an arm disagree. A chance is given unless both arms have a single attempt, which says
    nothing of their noise.
    """
    outcomes = [outcome for pair in pairing.pairs if (outcome := _outcome(pair))]
    moved: dict[Movement, list[Flip]] = {"gained": [], "lost": [], "unstable": []}
    for outcome in outcomes:
        if outcome.movement != "unchanged":
            moved[outcome.movement].append(_flip(outcome, treated))
    for flips in moved.values():
        flips.sort(key=_order)
    chance = _chance([outcome for outcome in outcomes if outcome.is_repeated])
    unchanged = len(outcomes) - sum(map(len, moved.values()))
    return Flips(
        gained=moved["gained"],
        lost=moved["lost"],
        unstable=moved["unstable"],
        unchanged=unchanged,
        chance=chance,
        statement=_statement(moved, unchanged, chance, outcomes),
    )


def _outcome(pair: Pair) -> _Outcome | None:
    before = [trial for trial in pair.valid_baseline if trial.passed is not None]
    after = [trial for trial in pair.valid_treatment if trial.passed is not None]
    if not before or not after:
        return None
    passed = [sum(trial.passed is True for trial in trials) for trials in (before, after)]
    return _Outcome(pair.task, before, after, (passed[0], len(before), passed[1], len(after)))


def _flip(outcome: _Outcome, treated: Treated) -> Flip:
    before, after = typical_trial(outcome.baseline), typical_trial(outcome.treatment)
    passed_before, of_before, passed_after, of_after = outcome.counts
    single = of_before == of_after == 1
    return Flip(
        task=outcome.task,
        passed_baseline=passed_before,
        of_baseline=of_before,
        passed_treatment=passed_after,
        of_treatment=of_after,
        chance=None if single else chance_of_difference(*outcome.counts),
        likelihood=likelihood_higher(*outcome.counts),
        baseline=to_attempt(before, treated),
        treatment=to_attempt(after, treated),
        tests=compare_tests(before, after),
        patches=compare_patches(before, after),
        divergence=find_divergence(before, after),
    )


def _order(flip: Flip) -> tuple[Fraction, float, str]:
    """Put the largest movement first, then the surest one."""
    moved = _difference(
        (flip.passed_baseline, flip.of_baseline, flip.passed_treatment, flip.of_treatment)
    )
    sure = abs((0.5 if flip.likelihood is None else flip.likelihood) - 0.5)
    return -abs(moved), -sure, flip.task


def _chance(outcomes: Sequence[_Outcome]) -> ChanceFlips | None:
    """Count by luck alone, for the smallest step of which luck explains few enough.

    Where there is no such step, for the one that makes a flip: more than one half. The share is
    a little too small, as the step is chosen by what was seen.
    """
    if not outcomes:
        return None
    counts = [outcome.counts for outcome in outcomes]
    steps = sorted({abs(outcome.difference) for outcome in outcomes} - {Fraction(0)})
    for step in steps[:: ceil(len(steps) / _MOST_STEPS) or 1]:
        found = _by_luck(counts, step)
        if found.false_share is not None and found.false_share <= _MOST_FALSE:
            return found
    return _by_luck(counts, min(map(_smallest_flip, set(counts))))


def _by_luck(counts: Sequence[Counts], step: Fraction) -> ChanceFlips:
    observed, expected = chance_flips(counts, float(step))
    share = min(1.0, expected / observed) if observed else None
    return ChanceFlips(step=float(step), observed=observed, expected=expected, false_share=share)


def _smallest_flip(counts: Counts) -> Fraction:
    """Give the smallest difference above one half that so many attempts can have."""
    whole = lcm(counts[1], counts[3])
    return Fraction(whole // 2 + 1, whole)


def _statement(
    moved: dict[Movement, list[Flip]],
    unchanged: int,
    chance: ChanceFlips | None,
    outcomes: Sequence[_Outcome],
) -> str:
    text = ", ".join(f"{len(flips)} {name}" for name, flips in moved.items())
    text += f", {unchanged} unchanged."
    if not any(moved.values()):
        return text
    if chance is None:
        return f"{text} With one attempt nothing can be said about a single task: repeat these."
    by = f"{chance.step * 100:.0f} points{' or more' * (chance.step < 1)}"
    repeated = sum(outcome.is_repeated for outcome in outcomes)
    of = "" if repeated == len(outcomes) else f"Of {counted(repeated, 'repeated task')}, "
    text += f" {of}{counted(chance.observed, 'task')} moved by {by}; chance alone would give"
    text += f" {chance.expected:.1f}"
    if chance.false_share is None:
        return f"{text}."
    if chance.false_share >= 1:
        return f"{text}: no more than luck explains."
    return f"{text}, so about {percent(chance.false_share)} of these are noise."


def to_task_rows(pairing: Pairing, treated: Treated) -> list[TaskRow]:
    """Give each task of either arm with all its attempts.

    Costs are means over the valid attempts whose cost is known.
    """
    return [
        TaskRow(
            task=pair.task,
            baseline=[to_attempt(trial, treated) for trial in pair.baseline],
            treatment=[to_attempt(trial, treated) for trial in pair.treatment],
            baseline_mean=pair.baseline_mean,
            treatment_mean=pair.treatment_mean,
            difference=pair.difference,
            baseline_cost=_mean_cost(pair.valid_baseline),
            treatment_cost=_mean_cost(pair.valid_treatment),
            groups=pair.groups,
        )
        for pair in pairing.tasks
    ]


def _mean_cost(trials: Sequence[Trial]) -> float | None:
    costs = [cost for trial in trials if (cost := known_cost(trial)) is not None]
    return fsum(costs) / len(costs) if costs else None
