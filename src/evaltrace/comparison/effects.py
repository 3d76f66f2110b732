"""What the comparison found: the effect, its robustness, groups, and what it could have shown."""

from __future__ import annotations

from typing import Literal

import msgspec

Finding = Literal["better", "leaning_better", "no_difference_shown", "leaning_worse", "worse"]
"""What may be said; for a metric that has no better side, `better` means higher."""


class Interval(msgspec.Struct, kw_only=True):
    """An estimate with its interval, its p where there is a test, and how both were made.

    `low` or `high` is null where the data do not bound it; `n` counts the tasks behind it.
    """

    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    n: int = 0
    method: str | None = None
    test: str | None = None
    note: str | None = None


class Verdict(msgspec.Struct, kw_only=True):
    """What the data allow to be said, in a sentence and as a word to script against.

    `robust` is false where another way to count missing rewards gives another finding;
    `blockers` counts the differences between the arms that forbid the conclusion.
    """

    finding: Finding | None
    sentence: str
    robust: bool | None = None
    blockers: int = 0
    caveats: list[str] = []


class ToolUse(msgspec.Struct, kw_only=True):
    """Trials of an arm by what became of the treatment's tool in them.

    `ran` are those whose agent started and whose calls are known. In the treatment used +
    never_used = ran; of a baseline only trials that were given the tool count as `never_used`.
    `answered` had at least one call without an error. `contaminated` are trials of the
    baseline in which the tool was connected or called.
    """

    trials: int
    ran: int
    unknown: int
    available: int
    connected: int
    not_connected: int
    used: int
    answered: int
    never_used: int
    contaminated: int
    calls: int
    failed_calls: int
    contaminated_trials: list[str] = []


class Compliance(msgspec.Struct, kw_only=True):
    """Whether the arms got what they were meant to get, and what that does to the effect.

    `among_compliant` pairs attempts whose treatment used the tool while the baseline was clean:
    not randomised. `complier` is the effect of using it, defined where use differs. `unused`
    is the difference of the tasks whose treatment never called the tool: it should be near 0.
    All but `statement` are null where the treatment is no tool.
    """

    baseline: ToolUse | None
    treatment: ToolUse | None
    use_rate: float | None = None
    as_run: Interval | None = None
    among_compliant: Interval | None = None
    complier: Interval | None = None
    unused: Interval | None = None
    statement: str


class ArmValue(msgspec.Struct, kw_only=True):
    """The metric in one arm: the mean of its tasks' means, over every task that has one.

    `paired_mean` is the same over the paired tasks only: those of both arms differ by
    `difference.estimate`.
    """

    mean: float | None
    low: float | None
    high: float | None
    n_tasks: int
    n_trials: int
    paired_mean: float | None
    method: str | None


class Effect(msgspec.Struct, kw_only=True):
    """The metric in both arms and the paired difference, the task being the unit.

    `alternatives` are other published methods on the same data; `smallest_visible` is the
    difference this design would have shown with 80 % power.
    """

    baseline: ArmValue
    treatment: ArmValue
    difference: Interval
    confidence: float
    assumption: str
    design_effect: float | None = None
    smallest_visible: float | None = None
    alternatives: list[Interval] = []


class Analysis(msgspec.Struct, kw_only=True):
    """The difference under another way to count what is missing."""

    name: Literal["valid_only", "as_run", "missing_as_fail", "worst_case", "best_case"]
    meaning: str
    primary: bool
    difference: Interval
    finding: Finding | None


class Missing(msgspec.Struct, kw_only=True):
    """Started trials without a valid value, and whether one arm lost more than the other."""

    baseline: int
    baseline_of: int
    treatment: int
    treatment_of: int
    p: float | None
    differential: bool
    statement: str


class Sensitivity(msgspec.Struct, kw_only=True):
    """Whether the finding survives other ways to count errors and missing rewards."""

    survives: bool | None
    analyses: list[Analysis]
    missing: Missing
    tipping_point: int | None = None
    statement: str


class GroupRow(msgspec.Struct, kw_only=True):
    """The effect among the tasks of one value; a lead, not a finding, where `lead`."""

    value: str
    difference: Interval
    p_holm: float | None
    p_bh: float | None
    lead: bool


class Group(msgspec.Struct, kw_only=True):
    """Effects by a field of the tasks; `ungrouped` pairs have no value of it."""

    field: str
    rows: list[GroupRow]
    ungrouped: int = 0


class PassAtK(msgspec.Struct, kw_only=True):
    """Any of k attempts passes (`any_of`) or all of them do (`all_of`), over `tasks` pairs."""

    k: int
    tasks: int
    dropped: int
    baseline_any_of: Interval
    treatment_any_of: Interval
    difference_any_of: Interval
    baseline_all_of: Interval
    treatment_all_of: Interval
    difference_all_of: Interval


class Noise(msgspec.Struct, kw_only=True):
    """Variances: of true task differences, and of attempts within each arm."""

    between_tasks: float | None
    baseline_attempts: float | None
    treatment_attempts: float | None
    difference: float
    assumed: str | None = None


class Need(msgspec.Struct, kw_only=True):
    """A design that would show a difference with the wanted power, as simulated."""

    difference: float
    tasks: int | None
    attempts: int
    power: float | None
    fixed: Literal["attempts", "tasks"]
    note: str | None = None


class Power(msgspec.Struct, kw_only=True):
    """What this design could have shown, and which one would do."""

    tasks: int
    attempts: float
    power: float
    smallest_visible: float | None
    smallest_margin: float | None
    noise: Noise | None
    needs: list[Need]
    statement: str


class Cell(msgspec.Struct, kw_only=True):
    """A difference between two of several arms: `treatment` minus `baseline`."""

    baseline: str
    treatment: str
    difference: Interval
    finding: Finding | None
