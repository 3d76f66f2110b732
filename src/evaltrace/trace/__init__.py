"""The trace: one record for one benchmark trial or one live run.

`schemas/trace.schema.json` describes the same record for everybody else; a test holds
the two together key by key. Absent is None, never 0 and never an empty string.
Times are ISO 8601 in UTC, durations say their unit in their name, money is US dollars.
"""

from __future__ import annotations

from evaltrace.trace.findings import (
    Bottleneck,
    Cause,
    CodeStats,
    Event,
    Evidence,
    FileChange,
    Kind,
    McpServer,
    Mentions,
    Redaction,
    TestCase,
    TestFormat,
    Tests,
    TestSummary,
    ToolCalls,
    Tools,
    TraceError,
    Truncation,
)
from evaltrace.trace.record import (
    SCHEMA_VERSION,
    Input,
    Status,
    Tool,
    Trace,
)
from evaltrace.trace.run import (
    Agent,
    AgentConfig,
    AgentRequest,
    AgentResponse,
    Cost,
    Durations,
    Metrics,
    ModelUsage,
    Origin,
    PermissionDenial,
    Task,
    Timeouts,
    Tokens,
    Trigger,
    Usage,
)

__all__ = [
    "SCHEMA_VERSION",
    "Agent",
    "AgentConfig",
    "AgentRequest",
    "AgentResponse",
    "Bottleneck",
    "Cause",
    "CodeStats",
    "Cost",
    "Durations",
    "Event",
    "Evidence",
    "FileChange",
    "Input",
    "Kind",
    "McpServer",
    "Mentions",
    "Metrics",
    "ModelUsage",
    "Origin",
    "PermissionDenial",
    "Redaction",
    "Status",
    "Task",
    "TestCase",
    "TestFormat",
    "TestSummary",
    "Tests",
    "Timeouts",
    "Tokens",
    "Tool",
    "ToolCalls",
    "Tools",
    "Trace",
    "TraceError",
    "Trigger",
    "Truncation",
    "Usage",
]
