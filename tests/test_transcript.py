from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace.agentlogs.tools import kind_of, server_of
from evaltrace.agentlogs.transcript import (
    TEXT_LIMIT,
    Call,
    LineFaults,
    Transcript,
    add_usage,
    tally,
    total_usage,
)
from evaltrace.jsontext import Malformed
from evaltrace.source import Source
from evaltrace.trace import McpServer, ModelUsage, ToolCalls, Truncation, Usage

# Names of tools.


@pytest.mark.parametrize(
    ("name", "server"),
    [
        ("mcp__sourcegraph__search", "sourcegraph"),
        ("mcp__a_b__c__d", "a_b"),
        ("mcp__x", None),
        ("mcp____x", None),
        ("mcp__a__", None),
        ("Bash", None),
        ("my_mcp__a__b", None),
    ],
)
def test_the_server_stands_in_the_name_of_an_mcp_tool(name: str, server: str | None) -> None:
    assert server_of(name) == server


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Read", "read"),
        ("Grep", "search"),
        ("MultiEdit", "edit"),
        ("apply_patch", "edit"),
        ("Bash", "shell"),
        ("exec_command", "shell"),
        ("Task", "subagent"),
        ("Agent", "subagent"),
        ("WebFetch", "web"),
        ("TodoWrite", "plan"),
        ("Skill", "other"),
        ("mcp__sourcegraph__read", "mcp"),
        ("ListMcpResourcesTool", "mcp"),
        ("something new", "other"),
        ("", "other"),
    ],
)
def test_tools_are_sorted_by_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind
    assert kind_of(name.upper()) == kind or name.startswith("mcp__")


def test_a_tool_of_a_server_is_an_mcp_tool_whatever_its_name() -> None:
    assert kind_of("Bash", "sandbox") == "mcp"


# Events.


def test_events_are_numbered_behind_the_prefix() -> None:
    transcript = Transcript(prefix="s1.")
    first = transcript.add("message", role="user", text="hello")
    call = transcript.call("c1", "Bash", input={"command": "ls"})
    assert call.event is not None
    assert [event.id for event in transcript.events] == ["s1.e1", "s1.e2"]
    assert (first.role, first.text) == ("user", "hello")
    assert call.event.data == {"call_id": "c1", "kind": "shell"}
    assert call.event.input == {"command": "ls"}


def test_without_events_all_else_is_collected() -> None:
    transcript = Transcript(keep_events=False)
    transcript.add("message", text="x" * 10**6)
    transcript.call("c1", "Bash", input="x" * 10**6)
    transcript.returned("c1", failed=True, output="x" * 10**6)
    assert transcript.events == transcript.truncated == []
    assert tally(transcript.calls.values()) == [
        ToolCalls(name="Bash", kind="shell", count=1, errors=1)
    ]


def test_a_call_counts_once_and_its_last_result_counts() -> None:
    transcript = Transcript()
    call = transcript.call("c1", "Read")
    assert transcript.call("c1", "Write", "server") is call
    assert (call.name, call.server, call.failed) == ("Read", None, None)
    transcript.returned("c1", failed=True, output="no")
    transcript.returned("c1", failed=False, output="yes", duration_ms=5.0)
    assert (call.failed, len(transcript.events)) == (False, 1)
    event = transcript.events[0]
    assert (event.status, event.output, event.duration_ms) == ("ok", "yes", 5.0)


def test_a_result_of_an_unknown_call_is_no_call() -> None:
    transcript = Transcript()
    transcript.returned("c1", failed=True, output="no")
    assert (transcript.calls, transcript.events) == ({}, [])


# What is cut.


def test_a_long_text_is_cut_and_recorded() -> None:
    transcript = Transcript(prefix="s1.")
    text = "é" * (TEXT_LIMIT + 1)
    event = transcript.add("message", text=text)
    assert event.text is not None
    assert len(event.text) <= TEXT_LIMIT
    assert transcript.truncated == [
        Truncation(
            field="events.s1.e1.text",
            original_length=TEXT_LIMIT + 1,
            kept_length=len(event.text),
            unit="characters",
            digest="sha256:" + hashlib.sha256(text.encode()).hexdigest(),
        )
    ]


@pytest.mark.parametrize(
    "value",
    [
        {"content": "x" * (TEXT_LIMIT + 1)},
        {"rows": list(range(5000))},
        [[[[json.loads("[" * 40 + "]" * 40)]]]],
    ],
)
def test_an_input_that_is_cut_is_recorded_too(value: Any) -> None:
    transcript = Transcript()
    event = transcript.call("c1", "Write", input=value).event
    whole = json.dumps(value, separators=(",", ":")).encode()
    (cut,) = transcript.truncated
    assert event is not None
    assert event.input != value
    assert (cut.field, cut.unit, cut.original_length) == ("events.e1.input", "bytes", len(whole))
    assert cut.digest == "sha256:" + hashlib.sha256(whole).hexdigest()


def test_what_fits_is_not_recorded() -> None:
    transcript = Transcript()
    transcript.add("message", text="x" * TEXT_LIMIT, input={"a": ["x" * TEXT_LIMIT, 1, None]})
    assert transcript.truncated == []
    assert transcript.cut("anywhere", "x" * TEXT_LIMIT) == "x" * TEXT_LIMIT


def test_an_input_nested_without_end_is_cut() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    transcript = Transcript()
    transcript.call("c1", "Write", input=deep)
    assert transcript.truncated[0].field == "events.e1.input"


def test_texts_are_cleaned() -> None:
    transcript = Transcript()
    event = transcript.add("message", text="a\ud800", input={"k\ud800": "v\udfff"})
    assert (event.text, event.input) == ("a\ufffd", {"k\ufffd": "v\ufffd"})
    assert transcript.call("c1", "t\ud800").name == "t\ufffd"


def test_all_that_a_call_and_its_result_say_is_cleaned_and_bounded() -> None:
    transcript, long = Transcript(), "x" * (TEXT_LIMIT + 1)
    call = transcript.call(
        "id\ud800", "t\ud800", input="in\ud800", started_at="now", parent_id="e0"
    )
    transcript.returned("id\ud800", failed=False, output="out\ud800", duration_ms=2.5)
    event = call.event
    assert event is not None
    assert (event.name, event.input, event.output) == ("t\ufffd", "in\ufffd", "out\ufffd")
    assert (event.started_at, event.parent_id, event.duration_ms) == ("now", "e0", 2.5)
    assert event.data == {"call_id": "id\ufffd", "kind": "other"}
    transcript.call("c2", long, input=long)
    transcript.returned("c2", failed=True, output=long)
    assert [(cut.field, cut.unit) for cut in transcript.truncated] == [
        ("events.e1.data", "bytes"),
        ("events.e2.name", "characters"),
        ("events.e2.input", "characters"),
        ("events.e2.output", "characters"),
    ]


def test_what_a_model_says_is_cleaned_and_bounded() -> None:
    transcript = Transcript()
    event = transcript.spoke("m\ud800", "e0", None)
    transcript.says(event, ["a\ud800", "b"], ["x" * (TEXT_LIMIT + 1)])
    assert (event.id, event.role, event.parent_id) == ("e1", "assistant", "e0")
    assert (event.model, event.text) == ("m\ufffd", "a\ufffd\nb")
    assert [cut.field for cut in transcript.truncated] == ["events.e1.reasoning"]
    silent = transcript.spoke(None, None, None)
    transcript.says(silent, [], [])
    assert (silent.text, silent.reasoning) == (None, None)


def test_the_server_that_a_log_names_makes_a_call_one_of_mcp() -> None:
    calls = [
        Transcript().call("1", name, server)
        for name, server in [
            ("Read", "docs"),
            ("mcp__a__b", None),
            ("mcp__a__b", "z"),
            ("Read", ""),
        ]
    ]
    found = [(call.server, call.kind) for call in calls]
    assert found == [("docs", "mcp"), ("a", "mcp"), ("z", "mcp"), (None, "read")]


# Two logs of one run.


def test_calls_and_results_of_another_log_are_taken_over() -> None:
    one, other = Transcript(), Transcript()
    for transcript in (one, other):
        transcript.add("message", text="hi")
        transcript.call("c1", "Read")
    other.returned("c1", failed=True, output="no")
    long = "x" * (TEXT_LIMIT + 1)
    other.call("c2", "Bash", parent_id="e1", input={"command": long})
    other.returned("c2", failed=False, output=long)
    one.adopt_calls(other)
    assert [event.id for event in one.events] == ["e1", "e2", "e3"]
    read, bash = one.events[1:]
    assert (read.status, read.output) == ("error", "no")
    assert (bash.name, bash.status, bash.parent_id) == ("Bash", "ok", None)
    assert one.calls["c2"].event is bash
    assert [cut.field for cut in one.truncated] == ["events.e3.input", "events.e3.output"]
    assert other.events[2].id == "e3"


def test_what_is_known_is_not_overwritten_by_another_log() -> None:
    one, other = Transcript(), Transcript()
    for transcript, failed in ((one, False), (other, True)):
        transcript.call("c1", "Read")
        transcript.returned("c1", failed=failed, output=str(failed))
    one.adopt_calls(other)
    assert (one.calls["c1"].failed, one.events[0].output) == (False, "False")


# MCP servers.


def test_the_latest_known_status_of_a_server_counts_and_places_add_up() -> None:
    transcript = Transcript()
    transcript.saw_server("sg", None, "config.json")
    transcript.saw_server("sg", "pending", "log: init")
    transcript.saw_server("sg", "connected", "log: init")
    transcript.saw_server("sg", None, ".mcp.json")
    transcript.saw_server("docs", None, ".mcp.json")
    assert transcript.mcp_servers == {
        "sg": McpServer(
            name="sg", status="connected", configured_in=["config.json", "log: init", ".mcp.json"]
        ),
        "docs": McpServer(name="docs", configured_in=[".mcp.json"]),
    }


# Sums.


def test_calls_are_tallied_by_tool_and_server() -> None:
    calls = [
        Call("Read", kind="read", failed=True),
        Call("Read", kind="read", failed=False),
        Call("Read", kind="read"),
        Call("search", "sg", "mcp", failed=True),
        Call("search", "docs", "mcp"),
        Call("Bash", kind="shell"),
    ]
    assert tally(calls) == [
        ToolCalls(name="Bash", kind="shell", count=1, errors=0),
        ToolCalls(name="Read", kind="read", count=3, errors=1),
        ToolCalls(name="search", server="docs", kind="mcp", count=1, errors=0),
        ToolCalls(name="search", server="sg", kind="mcp", count=1, errors=1),
    ]
    assert tally([]) == []


COUNTS = st.none() | st.integers(0, 10**12)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cache_creation_input_tokens=COUNTS,
    cache_read_input_tokens=COUNTS,
)


@given(USAGES, USAGES)
def test_adding_usage_knows_what_either_part_knows(one: Usage, other: Usage) -> None:
    total = add_usage(one, other)
    assert total == add_usage(other, one)
    parts = [one.output_tokens, other.output_tokens]
    known = [part for part in parts if part is not None]
    assert total.output_tokens == (sum(known) if known else None)
    assert add_usage(None, one) == one


def test_the_usage_of_all_models_is_summed() -> None:
    one = ModelUsage(input_tokens=1, output_tokens=2, cost_usd=0.5)
    other = ModelUsage(input_tokens=10, cache_read_input_tokens=4)
    assert total_usage({"a": one, "b": other}) == Usage(
        input_tokens=11, output_tokens=2, cache_read_input_tokens=4
    )
    assert total_usage({}) is None


# Faulty lines.


def test_faulty_lines_are_counted_with_the_first_of_each_kind(tmp_path: Path) -> None:
    source = Source(tmp_path, label="trial")
    faults = LineFaults("agent/log", lines=10)
    faults.malformed(3, Malformed("not_json", "Expecting value"))
    faults.malformed(7, Malformed("not_json", "Extra data"))
    faults.add("mended_lines", 4, "NaN")
    faults.report(source)
    assert [(p.code, p.path, p.message) for p in source.problems] == [
        ("mended_lines", "trial/agent/log", "1 of 10 lines were mended (first: line 4, NaN)"),
        (
            "not_json_lines",
            "trial/agent/log",
            "2 of 10 lines are not JSON (first: line 3, Expecting value)",
        ),
    ]
    assert all(problem.hint for problem in source.problems)


def test_a_log_without_faults_is_no_problem(tmp_path: Path) -> None:
    source = Source(tmp_path)
    LineFaults("log", lines=10).report(source)
    assert source.problems == []
