"""What is compared: the two arms, their trials counted, how they pair and how they differ."""

from __future__ import annotations

from typing import Literal

import msgspec

Grade = Literal["blocker", "warning", "note"]
TreatmentKind = Literal["mcp", "tool", "model", "agent", "config"]


class Arm(msgspec.Struct, kw_only=True):
    """One side of the comparison; `agent` and `model` are null where its trials differ in them."""

    label: str
    jobs: list[str] = []
    agent: str | None = None
    model: str | None = None


class Arms(msgspec.Struct, kw_only=True):
    """The two sides."""

    baseline: Arm
    treatment: Arm


class Metric(msgspec.Struct, kw_only=True):
    """What is compared: `field` of a trace; `kind` says which values were seen."""

    name: str
    field: str
    kind: Literal["binary", "fraction", "number"]
    better: Literal["higher", "lower"]
    pass_threshold: float
    unit: str | None = None


class Treatment(msgspec.Struct, kw_only=True):
    """What is meant to differ between the arms; `guessed` from what does."""

    kind: TreatmentKind
    name: str | None
    guessed: bool
    statement: str


class Denominators(msgspec.Struct, kw_only=True):
    """Trials of an arm. started = valid + errored + cancelled + unscored + running.

    `errored` is by cause in `errored_by_cause`; `unscored` ended without an error and without
    a value of the metric; `set_aside` were started and left out by --on-duplicate; `in_pairs`
    count in a pair (valid ones, and with --on-missing as-fail all that were started).
    """

    planned: int | None = None
    started: int = 0
    finished: int = 0
    errored: int = 0
    errored_by_cause: dict[str, int] = {}
    cancelled: int = 0
    unscored: int = 0
    running: int = 0
    valid: int = 0
    in_pairs: int = 0
    set_aside: int = 0
    tasks: int = 0
    valid_tasks: int = 0


class BothDenominators(msgspec.Struct, kw_only=True):
    """Of both sides."""

    baseline: Denominators
    treatment: Denominators


class Outcomes(msgspec.Struct, kw_only=True):
    """A table of two by two: who passed of `n` units in both arms."""

    n: int
    both: int
    only_baseline: int
    only_treatment: int
    neither: int


class OutcomeTables(msgspec.Struct, kw_only=True):
    """Attempt i against attempt i; tasks where any valid attempt passed; where all did."""

    by_attempt: Outcomes
    by_task_any: Outcomes
    by_task_all: Outcomes


class Attempts(msgspec.Struct, kw_only=True):
    """Valid attempts a paired task has."""

    fewest: int
    most: int
    mean: float


class BothAttempts(msgspec.Struct, kw_only=True):
    """Of both sides; null without pairs."""

    baseline: Attempts | None
    treatment: Attempts | None


class Pairs(msgspec.Struct, kw_only=True):
    """Tasks with a valid value in both arms, and those with one in a single arm.

    `wins`, `ties` and `losses` of the treatment are by the means of the metric over attempts,
    whatever side of it is better: a win is a higher mean.
    """

    tasks: int
    only_baseline: int
    only_treatment: int
    in_neither: int
    only_baseline_tasks: list[str] = []
    only_treatment_tasks: list[str] = []
    attempts: BothAttempts
    wins: int
    ties: int
    losses: int
    outcomes: OutcomeTables
    paired_by: str
    renamed: dict[str, str] = {}


class AuditItem(msgspec.Struct, kw_only=True):
    """Something in which the arms differ besides the treatment; secrets are masked."""

    grade: Grade
    code: str
    field: str
    message: str
    baseline: str | None = None
    treatment: str | None = None
    tasks: list[str] = []


class ComparedInput(msgspec.Struct, kw_only=True):
    """What was read for an arm; the digest is of the bytes of its traces."""

    arm: str
    name: str
    form: Literal["file", "jobs"]
    traces: int
    digest: str
    jobs: list[str] = []
    harness: str | None = None
