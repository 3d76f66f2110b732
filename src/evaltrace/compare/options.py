"""How arms are compared: every choice in one value."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Literal, get_args

from evaltrace.mentions import check_pattern

TREATMENTS = "mcp:NAME, tool:REGEX, model, agent or config"

PairBy = Literal["name", "full-name", "checksum", "digest"]
OnDuplicate = Literal["all", "latest", "first", "error"]
OnMissing = Literal["valid", "as-fail", "bounds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How arms are read, paired and compared.

    `metric` is a reward key or a field of the trace (`metrics.cost.usd`); `treatment` is like
    `mcp:NAME`, `tool:REGEX`, `model`, `agent` or `config`, guessed when None; `task_map` is a
    file of names or a regular expression; `arm_by` splits one path into arms; `alpha` is the
    two-sided error. `prices`, `tool_patterns` and `task_dirs` are those of an aggregation, for
    arms that are jobs. Raises ValueError for values outside their range.
    """

    metric: str = "reward"
    pass_threshold: float = 1.0
    treatment: str | None = None
    pair_by: PairBy = "name"
    task_map: str | None = None
    on_duplicate: OnDuplicate = "all"
    on_missing: OnMissing = "valid"
    cluster_by: str | None = None
    group_by: tuple[str, ...] = ()
    arm_by: str | None = None
    alpha: float = 0.05
    seed: int = 1
    subsets: int = 20_000
    prices: str = "auto"
    tool_patterns: tuple[str, ...] = ()
    task_dirs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("group_by", "tool_patterns", "task_dirs"):
            # Lists are given too; what was measured is found again by its options.
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not 0 < self.alpha < 0.5:
            raise ValueError("alpha must lie between 0 and 0.5")
        if not (math.isfinite(self.pass_threshold) and self.pass_threshold > 0):
            raise ValueError("the pass threshold must be a finite number above 0")
        if self.seed < 0:
            raise ValueError("the seed must not be negative")
        for value, allowed in (
            (self.pair_by, PairBy),
            (self.on_duplicate, OnDuplicate),
            (self.on_missing, OnMissing),
        ):
            if value not in get_args(allowed):
                raise ValueError(f"{value!r} is none of {', '.join(get_args(allowed))}")
        if self.treatment is not None:
            _check_treatment(self.treatment)
        if self.task_map is not None:
            check_task_map(self.task_map)


def _check_treatment(treatment: str) -> None:
    kind, _, name = treatment.partition(":")
    if kind == "tool" and name:
        check_pattern(name)
    elif treatment not in ("model", "agent", "config") and not (kind == "mcp" and name):
        raise ValueError(f"the treatment {treatment[:80]!r} is none of {TREATMENTS}")


def check_task_map(task_map: str) -> None:
    """Raise ValueError for what is neither a file nor a regular expression that can be used."""
    if os.path.isfile(task_map):  # noqa: PTH113 - a pattern may be no path at all
        return
    try:
        check_pattern(task_map)
    except ValueError as error:
        reason = str(error).removeprefix("the tool pattern ")
        raise ValueError(f"the task map is no file that exists, and {reason}") from None
