"""Traces to OTLP and back: which fields survive, for any events."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace import trace as tr
from evaltrace.errors import Problem
from evaltrace.otlp import from_otlp, to_otlp
from evaltrace.otlp.protobuf import from_protobuf, to_protobuf
from evaltrace.schema import violations
from traces import distinct_trace, minimal_trace

CONTENT = {"text", "reasoning", "input", "output", "error", "data"}
"""Fields of an event that are written only with its content."""

texts = st.text(st.characters(codec="utf-8"), max_size=12)
counts = st.none() | st.integers(0, 10**9)
numbers = st.floats(0, 1e9, allow_nan=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
times = st.none() | texts | st.datetimes().map(lambda time: time.isoformat() + "Z")
usages = st.none() | st.builds(
    tr.Usage,
    input_tokens=counts,
    output_tokens=counts,
    cache_creation_input_tokens=counts,
    cache_read_input_tokens=counts,
)
ids = st.sampled_from(["1", "2", "e3", "0123456789abcdef", "0" * 16, "", "ids of any kind"])
events = st.builds(
    tr.Event,
    id=ids,
    type=st.sampled_from(["message", "tool_call", "llm_call", "step", "file_read", "my own"]),
    parent_id=st.none() | ids,
    name=st.none() | st.sampled_from(["Bash", "mcp__search__find", "a b"]) | texts,
    status=st.none() | st.sampled_from(["ok", "error", "started"]),
    started_at=times,
    duration_ms=st.none() | numbers,
    role=st.none() | st.sampled_from(["assistant", "user", "system"]),
    text=st.none() | texts,
    reasoning=st.none() | texts,
    input=plain,
    output=st.none() | texts,
    error=st.none() | texts,
    usage=usages,
    model=st.none() | st.sampled_from(["claude-x", "gpt-y", "m"]),
    provider=st.none() | st.sampled_from(["anthropic", "google", "own"]),
    cost_usd=st.none() | numbers,
    data=st.none() | st.dictionaries(texts, plain, max_size=3),
)


def there_and_back(trace: tr.Trace, **options: Any) -> tr.Trace:
    document = msgspec.json.decode(msgspec.json.encode(to_otlp(trace, **options)))
    [back] = from_otlp(document)
    assert isinstance(back, tr.Trace)
    return back


@settings(max_examples=40)
@given(st.lists(events, min_size=1, max_size=5))
def test_every_field_of_an_event_survives_with_its_content(given: list[tr.Event]) -> None:
    trace = minimal_trace(events=given)
    assert there_and_back(trace, content=True).events == given


@settings(max_examples=40)
@given(st.lists(events, min_size=1, max_size=5))
def test_without_content_all_other_fields_survive(given: list[tr.Event]) -> None:
    back = there_and_back(minimal_trace(events=given)).events or []
    for event, other in zip(given, back, strict=True):
        for field in set(tr.Event.__struct_fields__) - CONTENT:
            assert getattr(other, field) == getattr(event, field), field


@settings(max_examples=40)
@given(st.lists(events, max_size=4))
def test_protobuf_holds_the_same_as_json(given: list[tr.Event]) -> None:
    document = to_otlp(minimal_trace(events=given), content=True)
    assert from_protobuf(to_protobuf(document)) == document


def test_events_that_share_an_identifier_keep_their_times() -> None:
    stamps = [None, "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"]
    given = [tr.Event(id="1", type="message", started_at=stamp) for stamp in stamps]
    assert there_and_back(minimal_trace(events=given)).events == given


def test_facts_of_a_trace_survive() -> None:
    trace = distinct_trace()
    back = there_and_back(trace, content=True)
    assert back.trace_id == trace.trace_id
    for field in ("task_id", "task", "arm", "attempt", "status", "trigger", "rewards"):
        assert getattr(back, field) == getattr(trace, field), field
    for field in ("test_reward", "task_instruction", "code_changes", "events", "truncated"):
        assert getattr(back, field) == getattr(trace, field), field
    assert msgspec.structs.replace(back.metrics, manifest=None) == msgspec.structs.replace(
        trace.metrics, manifest=None
    )
    assert back.origin == msgspec.structs.replace(trace.origin, task_ref=None)
    assert back.error == msgspec.structs.replace(trace.error, evidence=[])
    assert back.agent_config.model == trace.agent_config.model
    assert back.agent_config.agent.name == trace.agent_config.agent.name


def test_what_comes_back_is_valid() -> None:
    for trace in (minimal_trace(), distinct_trace()):
        assert violations(msgspec.to_builtins(there_and_back(trace))) == []


def test_a_cut_is_recorded_and_read_back() -> None:
    event = tr.Event(id="1", type="tool_call", name="Bash", output="x" * 5000)
    back = there_and_back(minimal_trace(events=[event]), content=True, limit=1000)
    [cut] = back.truncated
    assert (cut.field, cut.original_length) == ("events[1].output", 5000)
    assert cut.kept_length == len((back.events or [])[0].output or "") <= 1000


def test_exporting_what_was_imported_gives_the_same_spans() -> None:
    trace = minimal_trace(events=[tr.Event(id="1", type="step", started_at="2026-01-01T00:00:00Z")])
    document = to_otlp(trace, content=True)
    assert to_otlp(there_and_back(trace, content=True), content=True) == document


def test_odd_facts_leave_the_rest_readable() -> None:
    document = to_otlp(minimal_trace())
    root = document["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    for item in root["attributes"]:
        if item["key"] == "evaltrace.status":
            item["value"] = {"stringValue": "no such status"}
    [back] = from_otlp(document)
    assert not isinstance(back, Problem)
    assert (back.status, back.task_id) == ("running", "tidy-up__a1")
