"""What a trace looks like as spans."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from evaltrace import trace as tr
from evaltrace.otlp import to_otlp
from evaltrace.otlp.values import from_attributes
from traces import distinct_trace, minimal_trace


def spans_of(trace: tr.Trace, **options: Any) -> list[dict[str, Any]]:
    [group] = to_otlp(trace, **options)["resourceSpans"]
    [scoped] = group["scopeSpans"]
    return [{**span, "attributes": from_attributes(span["attributes"])} for span in scoped["spans"]]


def span_of(**given: Any) -> dict[str, Any]:
    """The span of one event."""
    event = tr.Event(**{"id": "1", "type": "message", **given})
    return spans_of(minimal_trace(events=[event]))[1]


def test_a_call_of_a_model_is_a_chat() -> None:
    span = span_of(role="assistant", model="claude-x", text="hi")
    assert (span["name"], span["kind"]) == ("chat claude-x", 3)
    assert span["attributes"]["gen_ai.operation.name"] == "chat"
    assert span["attributes"]["gen_ai.provider.name"] == "anthropic"


def test_a_call_of_a_tool_is_an_execution() -> None:
    span = span_of(type="tool_call", name="Bash", status="error", data={"call_id": "c1"})
    assert span["name"] == "execute_tool Bash"
    assert span["attributes"]["gen_ai.tool.call.id"] == "c1"
    assert span["attributes"]["error.type"] == "tool_error"
    assert span["status"] == {"code": 2}


def test_a_call_over_mcp_says_so() -> None:
    span = span_of(type="tool_call", name="mcp__search__find", status="ok")
    assert (span["name"], span["kind"]) == ("tools/call find", 3)
    assert span["attributes"]["mcp.method.name"] == "tools/call"
    assert span["attributes"]["gen_ai.tool.name"] == "find"
    assert span["status"] == {"code": 1}


def test_a_step_of_an_agent_is_an_invocation_below_a_workflow() -> None:
    event = tr.Event(id="1", type="step", name="reviewer", data={"agent_task": "look"})
    trace = minimal_trace(events=[event], origin=tr.Origin(kind="recorder"))
    root, step = spans_of(trace)
    assert (root["name"], step["name"]) == ("invoke_workflow tidy-up", "invoke_agent reviewer")
    assert step["parentSpanId"] == root["spanId"]


def test_input_tokens_include_the_cache() -> None:
    usage = tr.Usage(
        input_tokens=10, output_tokens=5, cache_creation_input_tokens=3, cache_read_input_tokens=200
    )
    attributes = span_of(role="assistant", usage=usage)["attributes"]
    assert attributes["gen_ai.usage.input_tokens"] == 213
    assert attributes["gen_ai.usage.output_tokens"] == 5
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == 200
    assert attributes["gen_ai.usage.cache_write.input_tokens"] == 3


def test_the_sums_of_a_run_are_no_usage_where_its_calls_have_theirs() -> None:
    """Receivers add up all spans."""
    tokens = tr.Tokens(input=10, output=5, total=15)
    metrics = tr.Metrics(tokens=tokens, cost=tr.Cost(usd=0.5), durations=tr.Durations())
    call = tr.Event(id="1", type="llm_call", usage=tr.Usage(input_tokens=10, output_tokens=5))
    bare = spans_of(minimal_trace(metrics=metrics))[0]["attributes"]
    told = spans_of(minimal_trace(metrics=metrics, events=[call]))[0]["attributes"]
    assert bare["gen_ai.usage.input_tokens"] == 10
    assert "gen_ai.usage.input_tokens" not in told
    assert told["evaltrace.metrics.tokens.total"] == 15
    assert told["evaltrace.metrics.cost.usd"] == 0.5


def test_rewards_are_evaluations_of_the_run() -> None:
    root = spans_of(minimal_trace(rewards={"reward": 1.0, "style": 0.5}))[0]
    found = [from_attributes(event["attributes"]) for event in root["events"]]
    scores = {
        facts["gen_ai.evaluation.name"]: facts["gen_ai.evaluation.score.value"] for facts in found
    }
    assert scores == {"reward": 1.0, "style": 0.5}
    assert root["status"] == {"code": 1}


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        ("pass", None, 1),
        ("fail", None, None),
        ("fail", tr.TraceError(type="Timeout"), 2),
        ("error", tr.TraceError(type="Timeout"), 2),
        ("cancelled", None, 2),
    ],
)
def test_a_low_reward_alone_is_no_error(
    status: Any, error: tr.TraceError | None, code: int | None
) -> None:
    root = spans_of(minimal_trace(status=status, error=error))[0]
    assert root["status"].get("code") == code


def test_an_event_without_a_time_gets_that_of_what_is_above_it() -> None:
    above = tr.Event(id="1", type="step", started_at="2026-01-01T00:00:01Z", duration_ms=1500.0)
    below = tr.Event(id="2", type="tool_call", parent_id="1")
    _, step, call = spans_of(minimal_trace(events=[above, below]))
    assert step["startTimeUnixNano"] == call["startTimeUnixNano"] == "1767225601000000000"
    assert step["endTimeUnixNano"] == "1767225602500000000"
    assert call["parentSpanId"] == step["spanId"]
    assert call["attributes"]["evaltrace.event.untimed"] is True
    assert "evaltrace.event.untimed" not in step["attributes"]


def test_identifiers_are_the_same_each_time_and_differ_from_each_other() -> None:
    trace = minimal_trace(events=[tr.Event(id="1", type="a"), tr.Event(id="1", type="b")])
    spans = spans_of(trace)
    assert spans == spans_of(trace)
    assert len({span["spanId"] for span in spans}) == 3
    other = spans_of(minimal_trace(trace_id="t-2"))[0]
    assert other["traceId"] != spans[0]["traceId"]


def test_a_name_that_is_an_identifier_already_is_kept() -> None:
    uuid = "0b6ad1b4-62a5-4bb9-ae8a-8a4a3b7e1f00"
    assert spans_of(minimal_trace(trace_id=uuid))[0]["traceId"] == uuid.replace("-", "")
    assert spans_of(minimal_trace(trace_id="ab" * 16))[0]["traceId"] == "ab" * 16


SECRET = "what somebody said"


def test_nothing_that_was_said_is_written_unless_asked_for() -> None:
    event = tr.Event(
        id="1",
        type="tool_call",
        name="Bash",
        role="assistant",
        text=SECRET,
        reasoning=SECRET,
        input={"command": SECRET},
        output=SECRET,
        error=SECRET,
        data={"any": SECRET},
    )
    trace = minimal_trace(
        events=[event],
        task_instruction=SECRET,
        code_changes=SECRET,
        test_output=SECRET,
        context={"any": SECRET},
        agent_request=tr.AgentRequest(prompt=SECRET, argv=[SECRET], system_prompt=SECRET),
        agent_response=tr.AgentResponse(result=SECRET),
        error=tr.TraceError(type="Timeout", message=SECRET),
        status="error",
    )
    assert SECRET not in msgspec.json.encode(to_otlp(trace)).decode()
    written = msgspec.json.encode(to_otlp(trace, content=True)).decode()
    # Instruction and result twice: by our names, and as messages of the run.
    assert written.count(SECRET) == 16


def test_answers_have_the_form_of_the_conventions() -> None:
    event = tr.Event(id="1", type="llm_call", text="hi", reasoning="hm")
    asked = tr.Event(id="2", type="message", role="user", text="please")
    trace = minimal_trace(events=[event, asked], task_instruction="do it")
    root, call, message = (span["attributes"] for span in spans_of(trace, content=True))
    [answer] = msgspec.json.decode(call["gen_ai.output.messages"])
    assert answer["parts"] == [
        {"type": "reasoning", "content": "hm"},
        {"type": "text", "content": "hi"},
    ]
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    [order] = msgspec.json.decode(root["gen_ai.input.messages"])
    assert order["parts"] == [{"type": "text", "content": "do it"}]
    # Receivers take any span with messages for a call of a model.
    assert not any(name.startswith("gen_ai.") for name in message)


def test_a_trace_with_everything_keeps_its_content_to_itself() -> None:
    trace = distinct_trace()
    written = msgspec.json.encode(to_otlp(trace)).decode()
    for event in trace.events or []:
        for text in (event.text, event.reasoning, event.output, event.error):
            assert text
            assert text not in written


def test_texts_are_bounded() -> None:
    trace = minimal_trace(events=[tr.Event(id="1", type="llm_call", text="x" * 10**6)])
    assert len(msgspec.json.encode(to_otlp(trace, content=True))) < 100_000


def test_numbers_and_identifiers_are_spelled_as_the_protocol_asks() -> None:
    event = tr.Event(id="1", type="llm_call", usage=tr.Usage(input_tokens=2**40))
    [group] = to_otlp(minimal_trace(events=[event]), resource={"team": "x"})["resourceSpans"]
    span = group["scopeSpans"][0]["spans"][1]
    [tokens] = [a for a in span["attributes"] if a["key"] == "gen_ai.usage.input_tokens"]
    assert tokens["value"] == {"intValue": str(2**40)}
    assert len(span["traceId"]) == 32
    assert len(span["spanId"]) == 16
    assert span["kind"] in range(6)
    assert from_attributes(group["resource"]["attributes"])["team"] == "x"
