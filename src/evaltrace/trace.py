"""The trace: one record for one benchmark trial or one live run.

`schemas/trace.schema.json` describes the same record for everybody else; a test holds
the two together key by key. Absent is None, never 0 and never an empty string.
Times are ISO 8601 in UTC, durations say their unit in their name, money is US dollars.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from evaltrace.errors import Problem

SCHEMA_VERSION = "1.0"

Status = Literal["pass", "partial", "fail", "error", "cancelled", "running"]
Kind = Literal["read", "search", "edit", "shell", "mcp", "subagent", "web", "plan", "other"]
Cause = Literal[
    "sandbox_failed", "model_provider_failed", "harness_failed", "verifier_failed",
    "agent_failed", "agent_exhausted_budget", "agent_refused_task", "cancelled", "unclassified",
]  # fmt: skip


class Usage(msgspec.Struct, kw_only=True, gc=False):
    """Tokens as the model provider counts them; `input_tokens` excludes the cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class ModelUsage(Usage, kw_only=True, gc=False):
    """The usage of one model within a run, and what it cost."""

    cost_usd: float | None = None


class Agent(msgspec.Struct, kw_only=True):
    """The agent as it was configured."""

    name: str | None = None
    version: str | None = None
    import_path: str | None = None
    kwargs: dict[str, Any] | None = None
    env: dict[str, Any] | None = None
    skills: list[Any] | None = None
    mcp_servers: list[Any] | None = None


class Timeouts(msgspec.Struct, kw_only=True):
    """Time limits set by the run; those of the task apply where one is null."""

    agent_override_s: float | None = None
    agent_max_s: float | None = None
    agent_setup_override_s: float | None = None
    verifier_override_s: float | None = None
    verifier_max_s: float | None = None
    multiplier: float | None = None
    agent_multiplier: float | None = None
    agent_setup_multiplier: float | None = None
    verifier_multiplier: float | None = None
    environment_build_multiplier: float | None = None


class AgentConfig(msgspec.Struct, kw_only=True):
    """Everything that configured the run apart from the task."""

    agent: Agent
    model: str | None = None
    timestamp: str | None = None
    timeouts: Timeouts | None = None
    environment: dict[str, Any] | None = None
    verifier: dict[str, Any] | None = None


class AgentRequest(msgspec.Struct, kw_only=True):
    """What was sent to the agent."""

    prompt: str | None = None
    argv: list[str] | None = None
    system_prompt: str | None = None


class PermissionDenial(msgspec.Struct, kw_only=True):
    """A tool call that the agent's permission rules refused."""

    tool_name: str
    tool_use_id: str | None = None
    tool_input: Any = None


class AgentResponse(msgspec.Struct, kw_only=True):
    """How the agent ended, in the shape of Claude Code's result event, for every agent."""

    type: str = "result"
    subtype: str | None = None
    is_error: bool | None = None
    result: str | None = None
    usage: Usage | None = None
    model_usage: dict[str, ModelUsage] | None = None
    permission_denials: list[PermissionDenial] | None = None
    num_turns: int | None = None
    duration_ms: float | None = None
    duration_api_ms: float | None = None
    total_cost_usd: float | None = None
    session_id: str | None = None


class Tokens(msgspec.Struct, kw_only=True):
    """Token sums of a run: `total` = input + output, `total_with_cache` = all four."""

    input: int | None = None
    output: int | None = None
    cache_creation: int | None = None
    cache_read: int | None = None
    total: int | None = None
    total_with_cache: int | None = None


class Cost(msgspec.Struct, kw_only=True):
    """Money: reported by the agent, or computed by a price table that is named."""

    usd: float | None = None
    source: Literal["reported", "computed"] | None = None
    price_table: str | None = None


class Durations(msgspec.Struct, kw_only=True):
    """Seconds of the whole trial and of its phases; a phase not reached is null."""

    total_s: float | None = None
    environment_setup_s: float | None = None
    agent_setup_s: float | None = None
    agent_execution_s: float | None = None
    verifier_s: float | None = None


class Metrics(msgspec.Struct, kw_only=True):
    """What the run took."""

    tokens: Tokens
    cost: Cost
    durations: Durations
    turns: int | None = None
    tool_calls: int | None = None
    manifest: dict[str, Any] | None = None


class Origin(msgspec.Struct, kw_only=True):
    """Where a trace comes from."""

    kind: Literal["harness", "recorder", "workflow", "otlp"]
    harness: str | None = None
    harness_version: str | None = None
    harness_version_from: str | None = None
    job_name: str | None = None
    job_id: str | None = None
    path: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    clock: Literal["utc", "naive_local"] | None = None
    task_ref: dict[str, Any] | None = None


class Task(msgspec.Struct, kw_only=True):
    """The task: what pairing and grouping use."""

    name: str
    org: str | None = None
    checksum: str | None = None
    digest: str | None = None
    source: str | None = None
    category: str | None = None
    difficulty: str | None = None
    tags: list[str] | None = None


class Trigger(msgspec.Struct, kw_only=True):
    """What started a live run."""

    source: str
    issue_key: str | None = None
    issue_status: str | None = None
    intent_type: str | None = None
    timestamp: str | None = None


class McpServer(msgspec.Struct, kw_only=True):
    """An MCP server the run was given: its connection status, and where it was seen."""

    name: str
    status: str | None = None
    configured_in: list[str] = []


class ToolCalls(msgspec.Struct, kw_only=True, gc=False):
    """All calls of one tool in a run, those of subagents included."""

    name: str
    server: str | None = None
    kind: Kind = "other"
    count: int = 0
    errors: int = 0


class Mentions(msgspec.Struct, kw_only=True):
    """Shell calls whose command matches a pattern: how the use of a command-line tool shows."""

    pattern: str
    count: int = 0
    errors: int = 0


class Tools(msgspec.Struct, kw_only=True):
    """Which tools the run had, and which it called; `mentions` only where asked for."""

    available: list[str] | None = None
    mcp_servers: list[McpServer] | None = None
    calls: list[ToolCalls] | None = None
    mentions: list[Mentions] | None = None


class Event(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """One thing that happened: a message, a tool call, a step. Absent fields are left out."""

    id: str
    type: str
    parent_id: str | None = None
    name: str | None = None
    status: str | None = None
    started_at: str | None = None
    duration_ms: float | None = None
    role: str | None = None
    text: str | None = None
    reasoning: str | None = None
    input: Any = None
    output: str | None = None
    error: str | None = None
    usage: Usage | None = None
    model: str | None = None
    provider: str | None = None
    cost_usd: float | None = None
    data: dict[str, Any] | None = None


class FileChange(msgspec.Struct, kw_only=True):
    """One file of the code changes."""

    path: str
    change: Literal["added", "modified", "deleted", "renamed"]
    added: int | None = None
    removed: int | None = None


class CodeStats(msgspec.Struct, kw_only=True):
    """Counts of the code changes, and how far they can be trusted."""

    source: Literal["artifact", "agent_patch", "reconstructed"]
    complete: bool
    files: list[FileChange]
    files_changed: int
    lines_added: int
    lines_removed: int


class TestSummary(msgspec.Struct, kw_only=True):
    """Counts of the verifier's tests."""

    total: int | None = None
    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    other: int | None = None


class TestCase(msgspec.Struct, kw_only=True, gc=False):
    """One test of the verifier."""

    name: str
    status: Literal["passed", "failed", "skipped", "other"]
    duration_ms: float | None = None
    message: str | None = None


TestFormat = Literal[
    "ctrf", "junit", "jest_json", "go_json",
    "pytest_text", "unittest_text", "cargo_text", "go_text", "jest_text",
]  # fmt: skip


class Tests(msgspec.Struct, kw_only=True):
    """What the verifier's tests say, one by one; `doubt` says why they may not be all."""

    summary: TestSummary
    cases: list[TestCase]
    source: TestFormat
    doubt: str | None = None


class Evidence(msgspec.Struct, kw_only=True):
    """A place in the trial's files that supports a statement."""

    path: str
    line: int | None = None
    text: str | None = None


class TraceError(msgspec.Struct, kw_only=True):
    """What went wrong with a trial, and whether its reward may still be counted."""

    type: str
    message: str | None = None
    cause: Cause = "unclassified"
    phase: str | None = None
    reward_valid: bool = False
    evidence: list[Evidence] = []


class Bottleneck(msgspec.Struct, kw_only=True):
    """A stage and its share of the total time."""

    stage: str
    time_spent_s: float
    percentage_of_total: float


class Truncation(msgspec.Struct, kw_only=True):
    """A text that was cut: where, how long it was, and the digest of the original."""

    field: str
    original_length: int
    kept_length: int
    unit: Literal["characters", "bytes"]
    digest: str


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
