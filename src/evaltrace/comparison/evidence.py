"""What stands behind the effect: each task in both arms, flips with their evidence, tools."""

from __future__ import annotations

import msgspec


class Attempt(msgspec.Struct, kw_only=True):
    """One trial of a task: what to open, and what became of it."""

    trace_id: str
    task_id: str
    status: str
    value: float | None
    error: str | None = None
    cost_usd: float | None = None
    tool_calls: int | None = None
    treatment_calls: int | None = None


class TaskRow(msgspec.Struct, kw_only=True):
    """A task in both arms: its attempts, the means of the metric, and of what it cost."""

    task: str
    baseline: list[Attempt]
    treatment: list[Attempt]
    baseline_mean: float | None
    treatment_mean: float | None
    difference: float | None
    baseline_cost: float | None = None
    treatment_cost: float | None = None
    groups: dict[str, str] = {}


class ChangedTests(msgspec.Struct, kw_only=True):
    """Tests of the verifier that changed side between two trials; the lists are cut at 20."""

    compared: int
    fixed: int
    broken: int
    fixed_tests: list[str] = []
    broken_tests: list[str] = []


class PatchSize(msgspec.Struct, kw_only=True):
    """What a trial changed in the code."""

    files: int
    added: int
    removed: int


class Patches(msgspec.Struct, kw_only=True):
    """The code changes of both trials; `overlap` is the share of changed lines in both, 0 to 1."""

    baseline: PatchSize | None
    treatment: PatchSize | None
    files_in_both: list[str] = []
    overlap: float | None = None


class Divergence(msgspec.Struct, kw_only=True):
    """The first tool call at which two trajectories part, counted from 1."""

    step: int
    baseline: str | None
    treatment: str | None


class Flip(msgspec.Struct, kw_only=True):
    """A task whose outcome differs, or wavers; the evidence is of one trial of each arm.

    `chance` is the probability that attempts of one and the same noise differ this much;
    `likelihood` that the treatment's pass rate is the higher one, both rates being unknown.
    """

    task: str
    passed_baseline: int
    of_baseline: int
    passed_treatment: int
    of_treatment: int
    chance: float | None
    likelihood: float | None
    baseline: Attempt
    treatment: Attempt
    tests: ChangedTests | None = None
    patches: Patches | None = None
    divergence: Divergence | None = None


class ChanceFlips(msgspec.Struct, kw_only=True):
    """Tasks that moved by `step` or more, and how many would by luck alone."""

    step: float
    observed: int
    expected: float
    false_share: float | None


class Flips(msgspec.Struct, kw_only=True):
    """Tasks whose pass rate moved by more than one half, and those that waver within an arm."""

    gained: list[Flip]
    lost: list[Flip]
    unstable: list[Flip]
    unchanged: int
    chance: ChanceFlips | None
    statement: str


class UseOfTool(msgspec.Struct, kw_only=True):
    """Calls of a tool in one arm; `passed` of the `trials` that called it and are valid."""

    calls: int
    errors: int
    trials: int
    valid: int
    passed: int


class ToolRow(msgspec.Struct, kw_only=True):
    """One tool in both arms; `server` is its MCP server, null for the agent's own."""

    server: str | None
    tool: str
    kind: str
    treated: bool
    baseline: UseOfTool
    treatment: UseOfTool
