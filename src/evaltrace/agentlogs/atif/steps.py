"""The parts of an ATIF trajectory, typed leniently, and what single steps say.

Versions 1.0 to 1.8 add fields and forbid unknown ones; here every field is optional.
Rules: Harbor format reference, section 3.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from evaltrace.agentlogs.contents import FAILED_OUTPUT, Dollars, text_of
from evaltrace.agentlogs.usage_shapes import add_by_model
from evaltrace.agentlogs.values import Count
from evaltrace.trace import ModelUsage, Usage

SYNTHETIC = "<synthetic>"
"""The model name of messages that Claude Code itself wrote, such as API errors."""

_FAILURE_MARK = "[error] tool reported failure"
_METADATA_MARK = "\n\n[metadata] {"
_OPENHANDS_MCP = "I am interacting with the MCP server"
_OPENHANDS_OWN = re.compile(
    r"execute_bash|execute_ipython_cell|str_replace_editor|edit_file|llm_based_edit|browser\w*|"
    r"think|finish|task_tracker|condensation_request|request_condensation|delegate\w*|"
    r"terminal|file_editor|grep|glob|view|search_code|planning_file_editor"
)


class RawResult(msgspec.Struct, gc=False):
    """A tool result as the agent's own log had it."""

    content: Any = None
    is_error: Any = None


class Outcome(msgspec.Struct, gc=False):
    """The untouched result that a converter keeps beside its text."""

    is_error: Any = None
    raw_tool_result: RawResult | None = None
    tool_use_result: Any = None


class ToolMetadata(msgspec.Struct, gc=False):
    """What codex says about a command that ended."""

    exit_code: int | None = None


class Extra(msgspec.Struct, gc=False):
    """What converters put beside a step or a result."""

    is_error: Any = None
    tool_result_is_error: Any = None
    tool_result_metadata: Outcome | None = None
    tool_metadata: ToolMetadata | None = None
    is_sidechain: Any = None
    cwd: str | None = None
    agent_id: str | None = None


class ToolCall(msgspec.Struct, gc=False):
    """A tool call of a step."""

    tool_call_id: str | None = None
    function_name: str | None = None
    arguments: Any = None


class Result(msgspec.Struct, gc=False):
    """One result of a step's observation."""

    source_call_id: str | None = None
    content: Any = None
    subagent_trajectory_ref: Any = None
    extra: Extra | None = None


class Observation(msgspec.Struct, gc=False):
    """What a step's tool calls gave back."""

    results: list[Result] | None = None


class MetricsExtra(msgspec.Struct, gc=False):
    """Counts that ATIF has no field for."""

    cache_creation_input_tokens: Count | None = None
    total_cache_creation_input_tokens: Count | None = None
    cost_source: str | None = None


class Metrics(msgspec.Struct, gc=False):
    """What a step used."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    cached_tokens: Count | None = None
    cost_usd: Dollars | None = None
    extra: MetricsExtra | None = None


class FinalMetrics(msgspec.Struct):
    """What a whole run used, its subagents and continuations included."""

    total_prompt_tokens: Count | None = None
    total_completion_tokens: Count | None = None
    total_cached_tokens: Count | None = None
    total_cost_usd: Dollars | None = None
    extra: MetricsExtra | None = None


class Step(msgspec.Struct, gc=False):
    """One step of a trajectory."""

    timestamp: str | None = None
    source: str | None = None
    model_name: str | None = None
    message: Any = None
    reasoning_content: Any = None
    tool_calls: list[ToolCall] | None = None
    observation: Observation | None = None
    metrics: Metrics | None = None
    is_copied_context: Any = None
    extra: Extra | None = None


class Agent(msgspec.Struct):
    """The agent as the trajectory names it."""

    name: str | None = None
    version: str | None = None
    model_name: str | None = None
    tool_definitions: Any = None
    extra: Any = None


class Frame(msgspec.Struct):
    """What is around the steps of a trajectory."""

    schema_version: Any = None
    session_id: str | None = None
    trajectory_id: str | None = None
    agent: Agent | None = None
    final_metrics: FinalMetrics | None = None
    continued_trajectory_ref: str | None = None
    subagent_trajectories: list[msgspec.Raw] | None = None


class Root(Frame):
    """A trajectory; its steps stay undecoded, so that a bad one costs no other."""

    steps: list[msgspec.Raw] | None = None


class Whole(Frame):
    """A trajectory all of whose steps are as they should be: decoded in one go."""

    steps: list[Step] | None = None


DOCUMENT = msgspec.json.Decoder(msgspec.Raw)
WHOLE = msgspec.json.Decoder(Whole, strict=False)
ROOT = msgspec.json.Decoder(Root, strict=False)
STEP = msgspec.json.Decoder(Step, strict=False)
_ANY = msgspec.json.Decoder()


class Tokens(NamedTuple):
    """Token counts as ATIF gives them: `prompt` includes the cache."""

    prompt: int | None
    output: int | None
    cached: int | None
    written: int | None


@dataclass(slots=True)
class Spent:
    """What one step used."""

    model: str | None
    tokens: Tokens
    cost: float | None
    estimated: bool
    main: bool


def tokens_of(metrics: Metrics) -> Tokens:
    """Collect the token counts of a step."""
    written = metrics.extra.cache_creation_input_tokens if metrics.extra else None
    return Tokens(metrics.prompt_tokens, metrics.completion_tokens, metrics.cached_tokens, written)


def total_tokens(final: FinalMetrics | None) -> Tokens | None:
    """Collect the token counts of a run; None when there are none.

    Some converters write zeros where they know nothing.
    """
    if final is None or not (final.total_prompt_tokens or final.total_completion_tokens):
        return None
    extra = final.extra or MetricsExtra()
    written = extra.total_cache_creation_input_tokens
    return Tokens(
        final.total_prompt_tokens,
        final.total_completion_tokens,
        final.total_cached_tokens,
        extra.cache_creation_input_tokens if written is None else written,
    )


def lacks_writes(tokens: Tokens) -> bool:
    """Tell whether `prompt` can not include the cache writes, as in old converters."""
    least = (tokens.cached or 0) + (tokens.written or 0)
    return bool(tokens.written) and tokens.prompt is not None and tokens.prompt < least


def to_usage(tokens: Tokens, *, writes_apart: bool) -> Usage:
    """Turn counts that include the cache into counts that do not."""
    written = 0 if writes_apart else tokens.written or 0
    rest = None if tokens.prompt is None else tokens.prompt - (tokens.cached or 0) - written
    return Usage(
        input_tokens=None if rest is None else max(rest, 0),
        output_tokens=tokens.output,
        cache_creation_input_tokens=tokens.written,
        cache_read_input_tokens=tokens.cached,
    )


def usage_of(step: Step) -> Usage | None:
    """Give what a step used; None when it does not say."""
    if step.metrics is None:
        return None
    tokens = tokens_of(step.metrics)
    return to_usage(tokens, writes_apart=lacks_writes(tokens))


def spent_by_model(
    spent: list[Spent], fallback: str | None, writes_apart: bool
) -> dict[str, ModelUsage]:
    """Sum what steps used, by model; the name is empty where none is known."""
    totals: dict[str, ModelUsage] = {}
    for row in spent:
        name = row.model or fallback or ""
        usage = to_usage(row.tokens, writes_apart=writes_apart)
        add_by_model(totals, name, usage)
    return dict(sorted(totals.items()))


def counts_of(usage: Usage | None) -> list[int] | None:
    """Give the four token counts for a comparison, unknown ones as 0."""
    return [count or 0 for count in msgspec.structs.astuple(usage)[:4]] if usage else None


def is_estimate(extra: MetricsExtra | None) -> bool:
    """Tell whether a cost was computed by the harness."""
    return extra is not None and "estimate" in (extra.cost_source or "")


def own_text(step: Step) -> str | None:
    """Give what the step's author wrote; converters fill silent steps with a phrase."""
    text = text_of(step.message)
    for tool in step.tool_calls or []:
        if text == f"Executed {tool.function_name} {tool.tool_call_id}":
            return None
    return text or None


def mcp_tools(agent: Agent, available: list[str]) -> set[str]:
    """Give the tools of MCP servers among those offered; OpenHands puts no mark on them."""
    if not (agent.name or "").startswith("openhands"):
        return set()
    return {name for name in available if not _OPENHANDS_OWN.fullmatch(name)}


def speaks_to_mcp(step: Step) -> bool:
    """Tell whether the step's call goes to an MCP server; OpenHands says so only in words."""
    return len(step.tool_calls or []) == 1 and (text_of(step.message) or "").startswith(
        _OPENHANDS_MCP
    )


def outcome_of(result: Result, step: Step, *, alone: bool, codex: bool) -> tuple[str | None, bool]:
    """Give the text of a result, and whether the tool failed.

    Old converters describe the result beside the step; that holds if the call is `alone`.
    """
    extras = [extra for extra in (result.extra, step.extra if alone else None) if extra]
    raws = [
        extra.tool_result_metadata.raw_tool_result
        for extra in extras
        if extra.tool_result_metadata and extra.tool_result_metadata.raw_tool_result
    ]
    text = text_of(result.content)
    failed = any(raw.is_error is True for raw in raws) or any(map(_is_failure, extras))
    if text is not None and not failed:
        failed = text.rstrip().endswith((_FAILURE_MARK, '"isError": true}'))
        failed = failed or (codex and FAILED_OUTPUT.match(text) is not None)
    untouched = next((raw.content for raw in raws if isinstance(raw.content, str)), None)
    return (_stripped(text) if untouched is None else untouched), failed


def structured_result(result: Result, step: Step, *, alone: bool) -> Any:
    """Give what Claude Code's edit tools say they did; None where a converter dropped it."""
    extras = [extra for extra in (result.extra, step.extra if alone else None) if extra]
    kept = (extra.tool_result_metadata for extra in extras)
    found = next((row.tool_use_result for row in kept if row and row.tool_use_result), None)
    return _appended(result.content) if found is None else found


def _appended(content: Any) -> Any:
    """Give what some converters append to the text of a result, as JSON."""
    text = content if isinstance(content, str) else ""
    start = text.find(_METADATA_MARK)
    if start < 0:
        return None
    end = text.rfind("}") + 1
    try:
        return _ANY.decode(text[start + len(_METADATA_MARK) - 1 : end])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _is_failure(extra: Extra) -> bool:
    flags = (
        extra.is_error,
        extra.tool_result_is_error,
        extra.tool_result_metadata and extra.tool_result_metadata.is_error,
    )
    exit_code = extra.tool_metadata.exit_code if extra.tool_metadata else None
    return True in flags or bool(exit_code)


def _stripped(text: str | None) -> str | None:
    """Take off what a converter appended to a result's text."""
    if text is None:
        return None
    if text.rstrip().endswith("}"):
        start = text.rfind(_METADATA_MARK)
        text = text[:start] if start >= 0 else text
    return text.removesuffix(f"\n\n{_FAILURE_MARK}")
