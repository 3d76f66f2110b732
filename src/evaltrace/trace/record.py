"""The trace itself, and what a file of traces has around them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from evaltrace.errors import Problem
from evaltrace.trace.findings import (
    Bottleneck,
    CodeStats,
    Event,
    Redaction,
    Tests,
    Tools,
    TraceError,
    Truncation,
)
from evaltrace.trace.run import (
    AgentConfig,
    AgentRequest,
    AgentResponse,
    Metrics,
    Origin,
    Task,
    Trigger,
)

SCHEMA_VERSION = "1.0"

Status = Literal["pass", "partial", "fail", "error", "cancelled", "running"]


class Trace(msgspec.Struct, kw_only=True):
    """One trial or one live run. See `schemas/trace.schema.json` for each field."""

    schema_version: str = SCHEMA_VERSION
    trace_id: str
    task_id: str
    task_instruction: str | None = None
    agent_config: AgentConfig
    agent_request: AgentRequest | None = None
    agent_response: AgentResponse | None = None
    code_changes: str | None = None
    test_reward: float | None = None
    rewards: dict[str, float] | None = None
    test_output: str | None = None
    metrics: Metrics
    status: Status
    origin: Origin
    task: Task
    arm: str | None = None
    attempt: int | None = None
    trigger: Trigger | None = None
    context: dict[str, Any] | None = None
    tools: Tools
    events: list[Event] | None = None
    code_stats: CodeStats | None = None
    tests: Tests | None = None
    error: TraceError | None = None
    bottlenecks: list[Bottleneck] | None = None
    sources: dict[str, str] = {}
    problems: list[Problem] = []
    truncated: list[Truncation] = []
    redaction: Redaction | None = None


class Input(msgspec.Struct, kw_only=True):
    """One job that was aggregated, with the denominators its traces need and how it was run.

    `attempts` are planned for each task, `concurrency` counts trials run at a time, `retry` is
    the harness's rule for trying a failed trial again.
    """

    job_name: str | None
    job_id: str | None = None
    harness: str
    harness_version: str | None = None
    harness_version_from: str | None = None
    planned: int | None = None
    found: int = 0
    absent: int | None = None
    selected: int = 0
    retries: int | None = None
    attempts: int | None = None
    concurrency: int | None = None
    retry: dict[str, Any] | None = None


class Tool(msgspec.Struct, kw_only=True):
    """The program that wrote a file."""

    name: str
    version: str
