"""The comparison: plain values that every report shows, in the order of the fields.

`schemas/comparison.schema.json` describes the same for everybody else; a test holds the two
together key by key. Absent is None, never 0. Every number stands beside the number of tasks,
trials or pairs it rests on. Differences are treatment minus baseline, ratios treatment to
baseline.
"""

from __future__ import annotations

import msgspec

from evaltrace.comparison.arms import (
    Arm,
    Arms,
    Attempts,
    AuditItem,
    BothAttempts,
    BothDenominators,
    ComparedInput,
    Denominators,
    Grade,
    Metric,
    Outcomes,
    OutcomeTables,
    Pairs,
    Treatment,
    TreatmentKind,
)
from evaltrace.comparison.effects import (
    Analysis,
    ArmValue,
    Cell,
    Compliance,
    Effect,
    Finding,
    Group,
    GroupRow,
    Interval,
    Missing,
    Need,
    Noise,
    PassAtK,
    Power,
    Sensitivity,
    ToolUse,
    Verdict,
)
from evaltrace.comparison.evidence import (
    Attempt,
    ChanceFlips,
    ChangedTests,
    Divergence,
    Flip,
    Flips,
    Patches,
    PatchSize,
    TaskRow,
    ToolRow,
    UseOfTool,
)
from evaltrace.comparison.spending import (
    Amount,
    CostOrigins,
    Origin,
    PerSolved,
    Quantity,
    Time,
    Tokens,
)
from evaltrace.errors import Problem
from evaltrace.trace import Tool

COMPARISON_VERSION = "1.0"


class Method(msgspec.Struct, kw_only=True):
    """What is needed to get the same numbers again."""

    seed: int
    alpha: float
    subsets: int
    on_duplicate: str
    on_missing: str
    cluster_by: str | None
    clusters: int | None
    versions: dict[str, str]
    notes: list[str]


class Comparison(msgspec.Struct, kw_only=True):
    """A baseline arm against a treatment arm; `further` are more treatments, each alike."""

    schema_version: str = COMPARISON_VERSION
    tool: Tool
    arms: Arms
    metric: Metric
    treatment: Treatment
    verdict: Verdict
    denominators: BothDenominators
    pairs: Pairs
    audit: list[AuditItem]
    compliance: Compliance
    reward: Effect
    sensitivity: Sensitivity
    flips: Flips
    cost: Quantity
    tokens: Tokens
    time: Time
    turns: Quantity
    tool_calls: Quantity
    per_solved: PerSolved
    cost_origins: CostOrigins
    tools: list[ToolRow]
    groups: list[Group]
    pass_at_k: list[PassAtK]
    power: Power
    method: Method
    tasks: list[TaskRow]
    inputs: list[ComparedInput]
    problems: list[Problem]
    further: list[Comparison] = []
    matrix: list[Cell] = []


__all__ = [
    "COMPARISON_VERSION",
    "Amount",
    "Analysis",
    "Arm",
    "ArmValue",
    "Arms",
    "Attempt",
    "Attempts",
    "AuditItem",
    "BothAttempts",
    "BothDenominators",
    "Cell",
    "ChanceFlips",
    "ChangedTests",
    "ComparedInput",
    "Comparison",
    "Compliance",
    "CostOrigins",
    "Denominators",
    "Divergence",
    "Effect",
    "Finding",
    "Flip",
    "Flips",
    "Grade",
    "Group",
    "GroupRow",
    "Interval",
    "Method",
    "Metric",
    "Missing",
    "Need",
    "Noise",
    "Origin",
    "OutcomeTables",
    "Outcomes",
    "Pairs",
    "PassAtK",
    "PatchSize",
    "Patches",
    "PerSolved",
    "Power",
    "Quantity",
    "Sensitivity",
    "TaskRow",
    "Time",
    "Tokens",
    "ToolRow",
    "ToolUse",
    "Treatment",
    "TreatmentKind",
    "UseOfTool",
    "Verdict",
]
