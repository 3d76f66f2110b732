"""Arms as the analyses see them: trials reduced to what counts, and tasks in both arms."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import fsum
from typing import Literal

import msgspec

from evaltrace.compare.shelf import Cases, Moves, Patch, Shelved
from evaltrace.comparison import ComparedInput
from evaltrace.errors import Problem
from evaltrace.trace import Input, Trace

State = Literal["valid", "errored", "cancelled", "unscored", "running"]


# Thousands are made: as a record of msgspec each takes a third of the time.
class Trial(msgspec.Struct, gc=False):
    """A trace without what is long or never looked at, and what a comparison counts of it.

    `value` is the metric where it may be counted, `recorded` whatever the trial's error;
    `number` is the attempt within its arm, from 1;
    `instruction` is a digest; `moves` are the tool calls in order ("Read archive/core.py", at
    most 200 of them); `cases` are the verifier's tests by name; `texts` counts characters:
    "reasoning", "answers", "results of SERVER", "results of built-in tools". `moves` and `texts`
    are None where the trace has no events; `asks_servers` is false where no tool it called is
    known to be of an MCP server. `moves`, `cases` and the diff of a trial that was read from a
    path are `shelved`: `read_moves`, `read_cases` and `read_patch` find them.
    """

    trace: Trace
    task: str
    state: State
    value: float | None = None
    recorded: float | None = None
    passed: bool | None = None
    instruction: str | None = None
    moves: tuple[str, ...] | None = None
    cases: dict[str, str] | None = None
    texts: dict[str, int] | None = None
    number: int = 0
    asks_servers: bool = True
    shelved: Shelved | None = None

    def read_moves(self) -> tuple[str, ...] | None:
        """Give the tool calls in order."""
        return self.moves if self.shelved is None else self.shelved.read(Moves).moves

    def read_cases(self) -> dict[str, str] | None:
        """Give the status of the verifier's tests by name."""
        return self.cases if self.shelved is None else self.shelved.read(Cases).cases

    def read_patch(self) -> Patch:
        """Give the diff, None where it was cut, and the paths of the files in it."""
        if self.shelved is not None:
            return self.shelved.read(Patch)
        trace = self.trace
        cut = trace.truncated
        is_cut = bool(cut) and any(row.field == "code_changes" for row in cut)
        paths = None if trace.code_stats is None else [row.path for row in trace.code_stats.files]
        return Patch(None if is_cut else trace.code_changes, paths)


@dataclass(slots=True)
class Side:
    """One arm: its trials by task and attempt, those left out, and where they come from.

    `whole` is false where it shares its jobs with another arm.
    """

    label: str
    trials: list[Trial]
    set_aside: list[Trial] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
    sources: list[ComparedInput] = field(default_factory=list)
    whole: bool = True


@dataclass
class Pair:
    """A task with all its trials in both arms; either list may be empty."""

    task: str
    baseline: list[Trial]
    treatment: list[Trial]
    cluster: str | None = None
    groups: dict[str, str] = field(default_factory=dict)

    @cached_property
    def valid_baseline(self) -> list[Trial]:
        """The trials of the baseline that count."""
        return [trial for trial in self.baseline if trial.value is not None]

    @cached_property
    def valid_treatment(self) -> list[Trial]:
        """The trials of the treatment that count."""
        return [trial for trial in self.treatment if trial.value is not None]

    @cached_property
    def baseline_mean(self) -> float | None:
        """The mean of the metric over the valid attempts of the baseline."""
        return mean_value(self.valid_baseline)

    @cached_property
    def treatment_mean(self) -> float | None:
        """The mean of the metric over the valid attempts of the treatment."""
        return mean_value(self.valid_treatment)

    @cached_property
    def difference(self) -> float | None:
        """Treatment minus baseline; None unless both have a valid attempt."""
        if self.baseline_mean is None or self.treatment_mean is None:
            return None
        return without_rounding(self.treatment_mean - self.baseline_mean, self.baseline_mean)


def without_rounding(difference: float, level: float) -> float:
    """Give 0 for a difference that is no more than the rounding of numbers of this level."""
    return 0.0 if abs(difference) <= 1e-12 * max(1.0, abs(level)) else difference


def mean_value(trials: list[Trial]) -> float | None:
    """Average the metric over trials that have it; None without any."""
    values = [trial.value for trial in trials if trial.value is not None]
    return fsum(values) / len(values) if values else None


@dataclass
class Pairing:
    """All tasks of both arms by name; `pairs` are those with a valid attempt in both."""

    tasks: list[Pair]
    paired_by: str
    renamed: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @cached_property
    def pairs(self) -> list[Pair]:
        """The tasks with a valid attempt in both arms."""
        return [pair for pair in self.tasks if pair.difference is not None]
