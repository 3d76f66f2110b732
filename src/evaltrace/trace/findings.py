"""What happened in a run, and what was found out about it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from evaltrace.trace.run import Usage

Kind = Literal["read", "search", "edit", "shell", "mcp", "subagent", "web", "plan", "other"]
Cause = Literal[
    "sandbox_failed", "model_provider_failed", "harness_failed", "verifier_failed",
    "agent_failed", "agent_exhausted_budget", "agent_refused_task", "cancelled", "unclassified",
]  # fmt: skip


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


class Redaction(msgspec.Struct, kw_only=True):
    """Whether secrets were replaced: by which rules, and how many by each.

    `rules` is a digest of the rules; `counts` has those that replaced something. Both are None
    where it is off.
    """

    state: Literal["on", "off"]
    rules: str | None = None
    counts: dict[str, int] | None = None
