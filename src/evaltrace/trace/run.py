"""What was run, with which settings, what was sent and answered, and what it took."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


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
