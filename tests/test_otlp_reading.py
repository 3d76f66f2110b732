"""Spans of other programs become traces, whatever names they use."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace import trace as tr
from evaltrace.errors import Problem
from evaltrace.otlp import from_otlp
from evaltrace.schema import violations
from otlp_spans import TRACE, request, span


def only(*documents: Any) -> tr.Trace:
    [trace] = from_otlp(list(documents))
    assert isinstance(trace, tr.Trace)
    assert violations(msgspec.to_builtins(trace)) == []
    return trace


def event(attributes: dict[str, Any], **given: Any) -> tr.Event:
    """The event of one span below a root."""
    trace = only(request(span(1), span(2, 1, attributes=attributes, **given)))
    assert trace.events is not None
    return trace.events[1]


CURRENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-a",
    "gen_ai.response.model": "claude-a-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.cache_read.input_tokens": 60,
    "gen_ai.usage.cache_write.input_tokens": 30,
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "think"},
                    {"type": "text", "content": "hello"},
                    {"type": "tool_call", "id": "c1", "name": "grep", "arguments": {}},
                ],
            }
        ]
    ),
}
OLDER = {
    "gen_ai.system": "anthropic",
    "llm.request.type": "chat",
    "gen_ai.response.model": "claude-a-1",
    "gen_ai.usage.prompt_tokens": 100,
    "gen_ai.usage.completion_tokens": 7,
    "gen_ai.usage.cache_read_input_tokens": 60,
    "gen_ai.usage.cache_creation_input_tokens": 30,
    "gen_ai.prompt.0.role": "user",
    "gen_ai.prompt.0.content": "hi",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "hello",
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "anthropic",
    "llm.model_name": "claude-a-1",
    "llm.token_count.prompt": 100,
    "llm.token_count.completion": 7,
    "llm.token_count.prompt_details.cache_read": 60,
    "llm.token_count.prompt_details.cache_write": 30,
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "hi",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.contents.0.message_content.type": "text",
    "llm.output_messages.0.message.contents.0.message_content.text": "hello",
}
LOGFIRE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "anthropic",
    "gen_ai.response.model": "claude-a-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.details.cache_read_tokens": 60,
    "gen_ai.usage.details.cache_write_tokens": 30,
    "final_result": "hello",
}
SENTRY = {
    "sentry.op": "gen_ai.chat",
    "gen_ai.system": "anthropic",
    "gen_ai.response.model": "claude-a-1",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 7,
    "gen_ai.usage.input_tokens.cached": 60,
    "gen_ai.usage.input_tokens.cache_write": 30,
    "gen_ai.response.text": '["hello"]',
}
DIALECTS = {
    "current": CURRENT,
    "older": OLDER,
    "openinference": OPENINFERENCE,
    "logfire": LOGFIRE,
    "sentry": SENTRY,
}


@pytest.mark.parametrize("attributes", DIALECTS.values(), ids=DIALECTS)
def test_a_call_of_a_model_is_read_in_every_dialect(attributes: dict[str, Any]) -> None:
    found = event(attributes)
    assert (found.type, found.role, found.text) == ("llm_call", "assistant", "hello")
    assert (found.model, found.provider) == ("claude-a-1", "anthropic")
    assert found.usage == tr.Usage(
        input_tokens=10,
        output_tokens=7,
        cache_creation_input_tokens=30,
        cache_read_input_tokens=60,
    )
    assert (found.parent_id, found.duration_ms) == (f"{1:016x}", 1000.0)
    assert found.started_at == "2026-01-01T00:00:02Z"


def test_reasoning_is_told_apart_from_text() -> None:
    assert event(CURRENT).reasoning == "think"


TOOLS: dict[str, dict[str, Any]] = {
    "current": {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "grep",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.call.arguments": '{"q": 1}',
        "gen_ai.tool.call.result": "found",
    },
    "openinference": {
        "openinference.span.kind": "TOOL",
        "tool.name": "grep",
        "tool_call.id": "c1",
        "input.value": '{"q": 1}',
        "output.value": "found",
    },
    "traceloop": {
        "traceloop.span.kind": "tool",
        "traceloop.entity.name": "grep",
        "tool.id": "c1",
        "traceloop.entity.input": '{"q": 1}',
        "traceloop.entity.output": "found",
    },
    "logfire": {
        "gen_ai.tool.name": "grep",
        "gen_ai.tool.call.id": "c1",
        "tool_arguments": '{"q": 1}',
        "tool_response": "found",
    },
}


@pytest.mark.parametrize("attributes", TOOLS.values(), ids=TOOLS)
def test_a_call_of_a_tool_is_read_in_every_dialect(attributes: dict[str, Any]) -> None:
    found = event(attributes)
    assert (found.type, found.name, found.output) == ("tool_call", "grep", "found")
    assert found.input == {"q": 1}
    facts = found.data or {}
    assert (facts["call_id"], facts["kind"]) == ("c1", "search")


def test_a_call_over_mcp_is_of_that_kind() -> None:
    trace = only(
        request(
            span(1),
            span(2, 1, attributes={"mcp.method.name": "tools/call", "gen_ai.tool.name": "find"}),
        )
    )
    assert trace.tools.calls == [tr.ToolCalls(name="find", kind="mcp", count=1)]


def test_messages_in_events_of_a_span_are_read() -> None:
    told = [
        {"name": "gen_ai.user.message", "attributes": _text("content", "hi")},
        {"name": "gen_ai.choice", "attributes": _text("message", '{"content": "hello"}')},
    ]
    found = event({"gen_ai.operation.name": "chat"}, events=told)
    assert found.input == [{"role": "user", "content": "hi"}]
    assert found.text == "hello"


def _text(key: str, value: str) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": value}}]


def test_attributes_that_nobody_knows_stay_in_the_data() -> None:
    found = event({"gen_ai.operation.name": "chat", "my.own": [1, "a"], "http.status": 200})
    facts = found.data or {}
    assert (facts["my.own"], facts["http.status"]) == ([1, "a"], 200)


# Tokens and money.

AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "coder"}


def chat(given: int, made: int, **more: Any) -> dict[str, Any]:
    tokens = {"gen_ai.usage.input_tokens": given, "gen_ai.usage.output_tokens": made}
    return {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **tokens, **more}


def tokens_of(*spans: dict[str, Any]) -> tuple[int | None, int | None]:
    tokens = only(request(*spans)).metrics.tokens
    return tokens.input, tokens.output


def test_the_sum_that_an_agent_reports_is_not_added_to_its_calls() -> None:
    sums = {**chat(30, 3), **AGENT}
    children = [span(2, 1, attributes=chat(10, 1)), span(3, 1, attributes=chat(20, 2))]
    assert tokens_of(span(1, attributes=sums), *children) == (30, 3)


def test_one_call_told_by_two_layers_counts_once() -> None:
    outer, inner = span(2, 1, attributes=chat(10, 1)), span(3, 2, attributes=chat(10, 1))
    assert tokens_of(span(1, attributes=AGENT), outer, inner) == (10, 1)


def test_what_an_agent_reports_beyond_the_calls_that_show_counts_too() -> None:
    sums = {**chat(30, 3), **AGENT}
    assert tokens_of(span(1, attributes=sums), span(2, 1, attributes=chat(10, 1))) == (30, 3)


def test_calls_below_each_other_of_which_only_the_outer_counts_tokens() -> None:
    inner = {"gen_ai.operation.name": "chat"}
    assert tokens_of(span(1), span(2, 1, attributes=chat(10, 1)), span(3, 2, attributes=inner)) == (
        10,
        1,
    )


trees = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=7
)


@given(trees)
def test_calls_add_up_to_the_sums_above_them(tree: list[tuple[int, int, int]]) -> None:
    """Spans that report the exact sum of what is below them change nothing."""
    parents = [min(parent, number) for number, (parent, _, _) in enumerate(tree)]
    totals = [[given, made] for _, given, made in tree]
    leaves = set(range(len(tree) + 1)) - set(parents)
    for number in reversed(range(len(tree))):
        if number + 1 not in leaves:
            totals[number] = [0, 0]
    for number in reversed(range(len(tree))):
        above = parents[number] - 1
        if above >= 0:
            totals[above] = [a + b for a, b in zip(totals[above], totals[number], strict=True)]
    spans = [
        span(number + 2, parents[number] + 1, attributes=chat(*totals[number]))
        for number in range(len(tree))
    ]
    expected = [sum(totals[n][i] for n in range(len(tree)) if n + 1 in leaves) for i in (0, 1)]
    assert list(tokens_of(span(1), *spans)) == expected


@pytest.mark.parametrize(
    "name", ["gen_ai.usage.cost", "llm.cost.total", "operation.cost", "gen_ai.usage.cost.amount"]
)
def test_costs_are_added_up_where_all_calls_have_one(name: str) -> None:
    calls = [span(2, 1, attributes=chat(1, 1, **{name: 0.1}))]
    calls.append(span(3, 1, attributes=chat(1, 1, **{name: 0.2})))
    assert only(request(span(1), *calls)).metrics.cost == tr.Cost(usd=0.3, source="reported")


def test_a_cost_known_in_part_is_unknown() -> None:
    calls = [span(2, 1, attributes=chat(1, 1, **{"operation.cost": 0.1}))]
    calls.append(span(3, 1, attributes=chat(1, 1)))
    assert only(request(span(1), *calls)).metrics.cost == tr.Cost()


def test_input_that_leaves_out_the_cache_is_not_made_negative() -> None:
    found = event(chat(5, 1, **{"gen_ai.usage.cache_read.input_tokens": 60}))
    assert found.usage == tr.Usage(input_tokens=5, output_tokens=1, cache_read_input_tokens=60)


# The trace as a whole.


def test_a_run_without_an_error_passed_and_one_with_it_failed() -> None:
    assert only(request(span(1, attributes=AGENT))).status == "pass"
    failed = only(
        request(
            span(
                1, attributes={**AGENT, "error.type": "Timeout"}, status={"code": 2, "message": "x"}
            )
        )
    )
    assert failed.status == "fail"
    assert failed.error == tr.TraceError(
        type="Timeout", message="x", cause="agent_failed", reward_valid=True
    )


def test_an_evaluation_of_the_root_is_the_reward() -> None:
    told = {
        "name": "gen_ai.evaluation.result",
        "attributes": [
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": "tests"}},
            {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.5}},
        ],
    }
    trace = only(request(span(1, attributes=AGENT, events=[told])))
    assert (trace.test_reward, trace.rewards, trace.status) == (0.5, {"tests": 0.5}, "partial")


def test_who_ran_is_told_by_the_first_that_knows() -> None:
    trace = only(request(span(1, attributes=AGENT), span(2, 1, attributes=CURRENT)))
    assert trace.agent_config.agent.name == "coder"
    assert trace.agent_config.model == "anthropic/claude-a-1"
    assert trace.trace_id == TRACE
    assert trace.origin.kind == "otlp"
    assert trace.metrics.durations.total_s == 1.0
    assert (trace.metrics.turns, trace.metrics.tool_calls) == (1, 0)


def test_spans_of_a_trace_may_come_in_several_requests_and_in_any_order() -> None:
    first, second = span(1, attributes=AGENT), span(2, 1, attributes=CURRENT)
    one, other = only(request(first, second)), only(request(second), request(first))
    assert one == other


def test_two_traces_stay_two() -> None:
    found = from_otlp(request(span(1), span(1, traceId="a" * 32)))
    assert [item.trace_id for item in found if isinstance(item, tr.Trace)] == [TRACE, "a" * 32]


def test_a_parent_that_is_elsewhere_is_kept_in_the_data() -> None:
    [event] = only(request(span(2, 1))).events or []
    assert event.parent_id is None
    assert (event.data or {})["parent_span_id"] == f"{1:016x}"


def test_spans_in_a_circle_are_read() -> None:
    trace = only(request(span(1, 2, attributes=chat(1, 1)), span(2, 1, attributes=chat(1, 1))))
    assert len(trace.events or []) == 2


# What is broken.


def test_identifiers_in_base64_are_read() -> None:
    given = span(1)
    given["traceId"] = b64encode(bytes.fromhex(TRACE)).decode()
    given["spanId"] = b64encode(bytes.fromhex(f"{7:016x}")).decode()
    trace = only(request(given))
    assert (trace.trace_id, (trace.events or [])[0].id) == (TRACE, f"{7:016x}")


@pytest.mark.parametrize(
    "broken",
    [None, "x", [], {"spanId": "1"}, {"traceId": "0" * 32, "spanId": f"{1:016x}"}, {"traceId": 5}],
)
def test_what_is_no_span_is_a_problem_beside_the_others(broken: Any) -> None:
    found = from_otlp(request(span(1), broken))
    assert [type(item) for item in found] == [tr.Trace, Problem]
    assert isinstance(found[1], Problem)
    assert found[1].code == "malformed_span"


@pytest.mark.parametrize("document", [None, 5, [], {}, {"resourceSpans": 1}])
def test_what_is_no_request_is_a_problem(document: Any) -> None:
    [problem] = from_otlp([document])
    assert isinstance(problem, Problem)


def test_a_span_that_comes_twice_is_read_once() -> None:
    trace = only(request(span(1)), request(span(1)))
    assert (len(trace.events or []), trace.problems) == (1, [])
    changed = only(request(span(1)), request(span(1, name="another")))
    assert [problem.code for problem in changed.problems] == ["span_twice"]


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    leaves, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3)
)
keys = st.sampled_from(
    ["name", "attributes", "status", "events", "links", "startTimeUnixNano", "endTimeUnixNano"]
)


@settings(max_examples=40)
@given(st.dictionaries(keys, values))
def test_no_value_of_a_span_breaks_the_reading(odd: dict[str, Any]) -> None:
    [trace] = from_otlp(request(span(1) | odd))
    assert isinstance(trace, tr.Trace)
    assert violations(msgspec.to_builtins(trace)) == []


names = st.sampled_from(
    [key for dialect in (*DIALECTS.values(), *TOOLS.values()) for key in dialect]
)


@settings(max_examples=40)
@given(st.dictionaries(names, values, max_size=6))
def test_no_value_of_an_attribute_breaks_the_reading(odd: dict[str, Any]) -> None:
    [trace] = from_otlp(request(span(1), span(2, 1, attributes=odd)))
    assert isinstance(trace, tr.Trace)
    assert violations(msgspec.to_builtins(trace)) == []


DEEP = "[" * 100_000 + "]" * 100_000
OWN = {"evaltrace.event.type": "x"}
HUGE = {"intValue": "9" * 60}


@pytest.mark.parametrize(
    "document",
    [
        {"resourceSpans": [7]},
        {"resourceSpans": [{"scopeSpans": 7}]},
        {"resourceSpans": [{"scopeSpans": ["x"]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": 7}]}]},
        {"resourceSpans": [{"scopeSpans": [{"spans": {"a": 1}}]}]},
    ],
)
def test_what_is_no_group_of_spans_is_a_problem(document: dict[str, Any]) -> None:
    [problem] = from_otlp(document)
    assert isinstance(problem, Problem)
    assert problem.code == "malformed_span"


@pytest.mark.parametrize(
    "attributes",
    [
        OWN | {"evaltrace.event.data": DEEP},
        OWN | {"evaltrace.event.input": DEEP},
        OWN | {"evaltrace.truncated": DEEP},
        OWN | {"gen_ai.output.messages": '[{"parts": 5}]'},
        OWN | {"gen_ai.usage.input_tokens": -5, "evaltrace.event.cost_usd": -1.5},
        OWN | {"evaltrace.event.duration_ms": True, "gen_ai.usage.output_tokens": True},
        {"gen_ai.tool.name": "t", "gen_ai.tool.call.arguments": DEEP},
        {f"gen_ai.prompt.{'9' * 5000}.role": "user", "gen_ai.prompt.\u00b2": "x"},
        {"operation.cost": -5.0},
        {"operation.cost": True},
        {"gen_ai.usage.input_tokens": 1 << 63, "operation.cost": 1.7e308},
    ],
)
def test_odd_attributes_make_a_valid_trace(attributes: dict[str, Any]) -> None:
    trace = only(request(span(1), span(2, 1, attributes=attributes), span(3, 1, **attributes)))
    assert msgspec.json.decode(msgspec.json.encode(trace), type=tr.Trace) == trace


def test_numbers_beyond_64_bits_are_unknown() -> None:
    many = {"key": "gen_ai.usage.input_tokens", "value": HUGE}
    trace = only(request({**span(1), "attributes": [many], "startTimeUnixNano": 10**99}))
    assert trace.metrics.tokens.input is None
    assert trace.origin.started_at is None


def test_names_are_bounded_and_their_cuts_are_told() -> None:
    attributes = {"gen_ai.request.model": "m" * 5000, "gen_ai.operation.name": "Z" * 5000}
    trace = only(request(span(1, name="n" * 5000, attributes=attributes)))
    [event] = trace.events or []
    assert max(len(text or "") for text in (event.name, event.model, event.type)) <= 1000
    assert {cut.field.rpartition(".")[2] for cut in trace.truncated} == {"name", "model"}


def test_facts_of_ours_that_cannot_be_are_left_out_and_told() -> None:
    facts = {
        "evaltrace.trace_id": "t-1",
        "evaltrace.task.name": "fix",
        "evaltrace.metrics.tokens.input": "many",
        "evaltrace.rewards.reward": "high",
        "evaltrace.attempt": -1,
        "evaltrace.status": "odd",
    }
    trace = only(request(span(1, attributes=facts)))
    assert (trace.trace_id, trace.task.name, trace.status) == ("t-1", "fix", "running")
    assert trace.rewards is None
    told = " ".join(problem.message for problem in trace.problems)
    assert all(name in told for name in ("metrics", "rewards", "status"))


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 5000, 7])
def test_an_identifier_that_cannot_be_one_is_not_taken_over(name: Any) -> None:
    assert only(request(span(1, attributes={"evaltrace.trace_id": name}))).trace_id == TRACE
