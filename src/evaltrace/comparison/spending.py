"""What was spent: cost, tokens, time, turns and calls, in both arms and as paired ratios."""

from __future__ import annotations

from typing import Literal

import msgspec

from evaltrace.comparison.effects import Interval


class Amount(msgspec.Struct, kw_only=True):
    """A quantity in one arm, over the trials in pairs that count: `known` of `trials` know it.

    `lost` is what the `uncounted` other trials of the pairs took, as far as the `lost_known` of
    them know it: 0 where there are none, null where none of them knows it.
    """

    total: float | None
    mean: float | None
    p90: float | None
    known: int
    trials: int
    lost: float | None = 0.0
    lost_known: int = 0
    uncounted: int = 0


class Quantity(msgspec.Struct, kw_only=True):
    """What was spent, in both arms and as paired ratios.

    `ratio` is of the sums of the tasks' means; `typical` is the geometric mean of the tasks'
    ratios; `solved_by_both` is `typical` over the tasks that pass in both arms. All are over
    the trials that count, and null without enough known pairs.
    """

    name: str
    unit: str
    baseline: Amount
    treatment: Amount
    ratio: Interval | None = None
    typical: Interval | None = None
    solved_by_both: Interval | None = None
    known_pairs: int = 0
    pairs: int = 0
    note: str | None = None


class Tokens(msgspec.Struct, kw_only=True):
    """Each kind of token; `total` = input + output, without the cache."""

    input: Quantity
    output: Quantity
    cache_creation: Quantity
    cache_read: Quantity
    total: Quantity
    total_with_cache: Quantity


class Time(msgspec.Struct, kw_only=True):
    """Seconds of the agent's phase, and of the whole trial."""

    agent: Quantity
    total: Quantity


class PerSolved(msgspec.Struct, kw_only=True):
    """US dollars for each solved task: of all trials in pairs, by the passes among them.

    Failures are paid for too, and so are trials that do not count, which solve nothing.
    """

    baseline: float | None
    treatment: float | None
    ratio: Interval | None
    per_extra_solved: float | None = None
    note: str | None = None


class Origin(msgspec.Struct, kw_only=True):
    """A part of a trial's text or tokens, per counting trial in pairs, that tells its cost."""

    name: str
    unit: Literal["tokens", "characters", "calls", "turns"]
    baseline: float | None
    treatment: float | None
    difference: float | None


class CostOrigins(msgspec.Struct, kw_only=True):
    """Where the extra cost comes from."""

    parts: list[Origin]
    statement: str
