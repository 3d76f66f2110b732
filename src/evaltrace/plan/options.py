"""How trials are chosen and read."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from evaltrace.cache import prices_digest
from evaltrace.mentions import check_pattern
from evaltrace.pricing import AUTO


@dataclass(frozen=True, slots=True)
class Options:
    """How trials are chosen and read; `arm` labels all of them.

    `prices` names the table for costs that no agent reported: `auto`, `none`, `genai-prices`
    or the path of a file. `tool_patterns` are regular expressions to count in shell commands.
    `task_dirs` are folders of tasks, looked into for what the recorded places no longer have.
    `stamped` asks for what each trace depended on besides.
    Raises ValueError for a threshold that is not above 0, a blank arm, a pattern that is none.
    """

    tasks: tuple[str, ...] = ()
    arm: str | None = None
    events: bool = True
    pass_threshold: float = 1.0
    strict: bool = False
    prices: str = AUTO
    tool_patterns: tuple[str, ...] = ()
    task_dirs: tuple[str, ...] = ()
    stamped: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.pass_threshold) and self.pass_threshold > 0):
            raise ValueError("the pass threshold must be a finite number above 0")
        if self.arm is not None and not (self.arm.strip() and self.arm.isprintable()):
            raise ValueError("the arm must be a printable label on one line")
        for pattern in self.tool_patterns:
            check_pattern(pattern)


def reading_key(options: Options) -> str:
    """Name how trials are read: with another key, their traces may be others."""
    read = (
        options.arm,
        options.events,
        options.pass_threshold,
        prices_digest(options.prices),
        options.tool_patterns,
        [os.path.realpath(folder) for folder in options.task_dirs],
        # Where some tasks are looked for; Path fails where there is no home.
        os.path.expanduser("~"),  # noqa: PTH111
    )
    return sha256(msgspec.json.encode(read)).hexdigest()
