from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregated import EXAMPLES, aggregate
from evaltrace import trace as tr
from evaltrace.store import Store, is_error
from evaltrace.trace import Event, Trace
from evaltrace.viewer import (
    filter_by_duration,
    filter_by_type,
    filter_errors,
    format_summary,
    format_timeline,
    format_tree,
    get_session_summary,
    get_session_timeline,
    get_trace_detail,
    search_traces,
)
from evaltrace.viewer.detail import detail_lines, detail_of
from evaltrace.viewer.events import to_json
from evaltrace.viewer.runs import Chosen, EventsRun
from evaltrace.viewer.tree import to_document, tree_branches
from evaltrace.viewer.tree_text import tree_lines
from test_terminal import HOSTILE, WIDE, widest
from traces import minimal_trace


def at(second: float) -> str:
    minutes, rest = divmod(second, 60)
    return f"2026-01-26T{18 + int(minutes) // 60}:{int(minutes) % 60:02}:{rest:09.6f}Z"


def a_run(*events: Event, **changes: Any) -> Trace:
    origin = tr.Origin(kind="recorder", started_at=at(0), finished_at=at(100))
    return minimal_trace(**{"origin": origin, "events": list(events), **changes})


def call(number: int, **changes: Any) -> Event:
    fields = {"id": f"e{number}", "type": "tool_call", "name": "Bash", "started_at": at(number)}
    return Event(**{**fields, **changes})


# --- the summary


def step(number: int, name: str, status: str, **more: Any) -> Event:
    data = {"step_number": number, "agent_task": "its task"}
    return Event(id=str(number), type="step", name=name, status=status, data=data, **more)


PIPELINE = a_run(
    step(1, "development_agent", "success"),
    step(2, "code_review_agent", "blocked", error="Code review blocked"),
    trace_id="test-summary",
    status="partial",
    trigger=tr.Trigger(source="jira_webhook", intent_type="development_flow"),
    error=tr.TraceError(type="blocked", message="Pipeline stopped at code review"),
    origin=tr.Origin(
        kind="recorder",
        started_at="2026-01-26T18:16:54.808827",
        finished_at="2026-01-26T18:16:54.808833",
    ),
)


def test_the_summary_of_a_pipeline_has_the_layout_its_users_know() -> None:
    assert format_summary(PIPELINE) == (
        "Trace ID: test-summary\n"
        "Intent: development_flow\n"
        "Status: PARTIAL\n"
        "Started: 2026-01-26T18:16:54.808827\n"
        "Completed: 2026-01-26T18:16:54.808833\n"
        "\n"
        "Execution Steps (2):\n"
        "  1. ✅ development_agent: SUCCESS\n"
        "  2. 🚫 code_review_agent: BLOCKED\n"
        "     Error: Code review blocked\n"
        "\n"
        "Final Error: Pipeline stopped at code review\n"
    )


def test_the_summary_is_plain_data() -> None:
    summary = get_session_summary(PIPELINE)
    assert msgspec.json.decode(msgspec.json.encode(summary)) == summary
    assert (summary["total_events"], summary["total_errors"]) == (2, 1)
    assert [s["agent_name"] for s in summary["steps"]] == ["development_agent", "code_review_agent"]
    assert summary["steps"][1]["error_message"] == "Code review blocked"
    assert summary["first_failure"]["id"] == "2"


def test_a_failure_within_a_step_is_named_before_the_step() -> None:
    inner = call(9, parent_id="1", status="error", output="Exit code 1\nhint\nKeyError: 'x'\nbye")
    failed = a_run(step(1, "tests", "fail", error="tests failed"), inner)
    first = get_session_summary(failed)["first_failure"]
    assert (first["id"], first["error"]) == ("e9", "KeyError: 'x' (exit code 1)")


def test_steps_within_steps_are_indented_and_numbered_by_their_recorder() -> None:
    nested = a_run(
        step(1, "outer", "success"),
        Event(id="x", type="phase", parent_id="1"),
        step(2, "inner", "started", parent_id="x"),
    )
    assert "  1. ✅ outer: SUCCESS\n    2. ⏳ inner: STARTED\n" in format_summary(nested)


def test_without_steps_the_summary_says_what_the_run_took_and_what_failed() -> None:
    run = a_run(call(1, status="ok"), call(70, status="error", error="denied"), status="fail")
    text = format_summary(run)
    assert "Execution Steps" not in text
    assert "Cost: unknown\n" in text
    assert "Events: 2 (tool_call 2)\nErrors: 1 (tool_call 1)\n" in text
    assert "  First: +0:01:10.0 e70 tool_call Bash\n    denied\n" in text
    assert "Last:" not in text


def test_tests_that_failed_are_named() -> None:
    cases = [tr.TestCase(name=f"test_{n}", status="failed") for n in range(7)]
    tests = tr.Tests(
        summary=tr.TestSummary(total=9, passed=2, failed=7), cases=cases, source="ctrf"
    )
    text = format_summary(a_run(tests=tests))
    assert "Tests: 2 of 9 passed, 7 failed\n  failed: test_0\n" in text
    assert "  … 2 more\n" in text


def test_a_running_pipeline_is_not_completed_yet() -> None:
    live = a_run(status="running", origin=tr.Origin(kind="recorder", started_at=at(0)))
    assert "Status: RUNNING\n" in format_summary(live)
    assert "Completed: not yet\n" in format_summary(live)


def test_a_trace_without_its_events_says_so() -> None:
    bare = a_run(events=None)
    assert "Events: left out of this trace\n" in format_summary(bare)
    assert get_session_summary(bare)["total_events"] is None
    assert get_session_timeline(bare) == []


# --- filters


def test_filters_choose_by_type_failure_and_duration() -> None:
    events = [
        Event(id="1", type="file_read", duration_ms=5.0),
        Event(id="2", type="tests_run", status="fail", duration_ms=20.0),
        Event(id="3", type="error"),
        Event(id="4", type="step", status="blocked"),
        Event(id="5", type="llm_call", error="overloaded", duration_ms=10.0),
    ]
    assert [e.id for e in filter_by_type(events, ["file_read", "error"])] == ["1", "3"]
    assert [e.id for e in filter_by_type(events, "step")] == ["4"]
    assert [e.id for e in filter_errors(events)] == ["2", "3", "4", "5"]
    assert [e.id for e in filter_by_duration(events, 10)] == ["2", "5"]


# --- the timeline


def test_events_are_told_in_the_order_of_time_and_without_a_time_in_their_place() -> None:
    run = a_run(call(5), call(2), Event(id="x", type="note"), call(9), call(1))
    assert [row["id"] for row in get_session_timeline(run)] == ["e1", "e2", "x", "e5", "e9"]


@given(st.lists(st.none() | st.integers(0, 3599), max_size=60))
def test_times_that_are_known_never_go_back(seconds: list[int | None]) -> None:
    events = [
        Event(id=str(n), type="note", started_at=None if s is None else at(s))
        for n, s in enumerate(seconds)
    ]
    rows = get_session_timeline(a_run(*events))
    assert sorted(row["id"] for row in rows) == sorted(event.id for event in events)
    offsets = [row["offset_ms"] for row in rows if row["offset_ms"] is not None]
    assert all(before <= after for before, after in pairwise(offsets))


def test_a_duration_nobody_knows_gives_way_to_the_time_until_the_next_event() -> None:
    run = a_run(call(1), call(4, duration_ms=20.0), call(6))
    rows = get_session_timeline(run)
    assert [row["until_next_ms"] for row in rows] == [3000.0, None, None]
    text = format_timeline(run)
    assert re.search(r"~3\.0 s +e1 ", text)
    assert re.search(r" 20 ms +e4 ", text)


def test_where_events_are_chosen_no_time_until_the_next_is_made_up() -> None:
    run = a_run(call(1), Event(id="x", type="note", started_at=at(2)), call(4))
    rows = get_session_timeline(run, event_type="tool_call")
    assert [(row["id"], row["until_next_ms"]) for row in rows] == [("e1", None), ("e4", None)]


@pytest.mark.parametrize(("limit", "offset"), [(3, 0), (2, 4), (None, 7), (5, 4000), (None, 5998)])
def test_pages_are_parts_of_the_whole(limit: int | None, offset: int) -> None:
    # Every seventh event was recorded a little late.
    run = a_run(
        *(call(0, id=str(n), started_at=at((n - 9 * (n % 7 == 0)) / 2)) for n in range(6000))
    )
    whole = [row["id"] for row in get_session_timeline(run)]
    assert whole != [event.id for event in run.events or []]
    page = get_session_timeline(run, limit=limit, offset=offset)
    assert [row["id"] for row in page] == whole[offset:][:limit]


def test_what_failed_is_marked_and_told() -> None:
    run = a_run(
        call(1, status="ok", input={"command": "pwd"}),
        call(2, status="error", input={"command": "make"}, output="Exit code 2\nmake: *** Error"),
        call(3, type="step", name="review", status="blocked", error="too risky"),
    )
    assert format_timeline(run).splitlines()[1:] == [
        "  +0:00:01.0   ~1.0 s  e1  tool_call  Bash: pwd",
        "✗ +0:00:02.0   ~1.0 s  e2  tool_call  Bash: make",
        "                       └ make: *** Error (exit code 2)",
        "✗ +0:00:03.0        -  e3  step       review [blocked]",
        "                       └ too risky",
    ]


def test_what_repeats_is_folded_and_does_not_hide_what_failed() -> None:
    polls = [call(n, input={"command": "sleep 1"}) for n in range(1, 31)]
    failed = call(31, status="error", input={"command": "sleep 1"}, error="killed")
    lines = format_timeline(a_run(*polls, failed, call(32))).splitlines()[1:]
    assert len(lines) == 6
    assert "28 more events like this" in lines[1]
    assert " e30 " in lines[2]
    assert lines[3].startswith("✗ ")


def test_pairs_that_repeat_are_folded() -> None:
    polls = [call(n, input={"command": "sleep 1" if n % 2 else "ls"}) for n in range(1, 32)]
    lines = format_timeline(a_run(*polls, call(32, name="Edit"))).splitlines()[1:]
    assert re.findall(r"\be\d+\b", " ".join(lines)) == ["e1", "e2", "e30", "e31", "e32"]
    assert "27 more events like these two" in lines[2]
    few = format_timeline(a_run(*polls[:7]))
    assert "like these" not in few
    assert len(few.splitlines()) == 8


def test_ids_that_grow_longer_are_still_told_apart() -> None:
    events = [Event(id=str(n), type=f"kind-{n % 9}") for n in range(12_000)]
    for text in (format_timeline(a_run(*events)), format_tree(a_run(*events))):
        assert " 11999  " in text
        assert "…" not in text


def test_long_ids_leave_the_columns_straight() -> None:
    phase = Event(id="phase.verifier", type="phase", name="verifier", started_at=at(3))
    long = Event(id="0017964b-b639-99c3", type="message", text="long", started_at=at(4))
    run = a_run(*(call(number, input={"command": "make"}) for number in range(9)), phase, long)
    lines = format_timeline(run).splitlines()
    assert {line.index("what") for line in lines[:1]} == {
        line.index("Bash") for line in calls(lines)
    }
    assert next(line for line in lines if "phase" in line).endswith("  phase.verifier")
    shown = next(line for line in lines if "long" in line)
    assert shown.index("0017964…  message") == lines[0].index("id")
    tree = format_tree(run).splitlines()
    assert {line.index("tool_call") for line in calls(tree)} == {tree[0].index("event")}
    assert next(line for line in tree if "phase" in line).endswith("  phase.verifier")
    assert "0017964…  message long" in tree[-1]


def calls(lines: list[str]) -> list[str]:
    return [line for line in lines if "tool_call" in line]


def test_a_phase_tells_its_words_behind_its_id() -> None:
    phase = Event(id="phase.setup", type="phase", name="setup", status="error", text="no network")
    assert format_timeline(a_run(phase)).splitlines()[1].endswith("  phase.setup  no network")


def test_an_event_on_another_clock_stays_where_it_was_recorded() -> None:
    local = Event(id="local", type="phase", started_at="2026-01-26T02:00:00")
    rows = get_session_timeline(a_run(call(1), local, call(2)))
    assert [row["id"] for row in rows] == ["e1", "local", "e2"]


def test_offsets_of_a_short_run_have_milliseconds() -> None:
    events = [Event(id="1", type="note", started_at=at(0.438))]
    short = tr.Metrics(
        tokens=tr.Tokens(), cost=tr.Cost(), durations=tr.Durations(total_s=0.9), manifest=None
    )
    assert "+0:00:00.438" in format_timeline(a_run(*events, metrics=short))
    assert "+0:00:00.4 " in format_timeline(a_run(*events))


@pytest.mark.parametrize("start", ["2026-01-26T20:00:00", None, "yesterday"])
def test_a_start_on_another_clock_is_left_for_the_first_event(start: str | None) -> None:
    run = a_run(call(3), call(5), origin=tr.Origin(kind="harness", started_at=start))
    assert [row["offset_ms"] for row in get_session_timeline(run)] == [0.0, 2000.0]


def test_an_event_before_the_start_has_a_negative_offset() -> None:
    run = a_run(call(2), origin=tr.Origin(kind="harness", started_at=at(63.5)))
    assert "-0:01:01.5" in format_timeline(run)


def test_the_timeline_of_an_example_reads_as_before(golden: Callable[[str, str], None]) -> None:
    golden("viewer_timeline_80.txt", format_timeline(an_example()))
    golden("viewer_tree_80.txt", format_tree(an_example()))


def an_example() -> Trace:
    [found] = [
        trace
        for trace in aggregate(EXAMPLES / "with-codesearch")["traces"]
        if trace["task_id"] == "bundler-nested-lists__yvNJgmS"
    ]
    return msgspec.convert(found, Trace)


# --- the tree


def shape(events: list[Event], **asked: Any) -> list[tuple[int, str | int]]:
    branches = tree_branches(EventsRun(events), **asked)
    return [(len(b.guides) - 1, b.row.id if b.row else b.folded) for b in branches]


def node(key: str, parent: str | None = None, **more: Any) -> Event:
    return Event(id=key, type="note", parent_id=parent, **more)


def test_children_stand_below_their_parents_in_their_order() -> None:
    events = [node("c", "a"), node("a"), node("b"), node("d", "c"), node("e", "a")]
    assert shape(events) == [(0, "a"), (1, "c"), (2, "d"), (1, "e"), (0, "b")]


def test_an_event_whose_parent_is_missing_is_a_root() -> None:
    assert shape([node("b", "gone"), node("c", "b")]) == [(0, "b"), (1, "c")]


def test_parents_that_go_round_are_opened_at_the_first() -> None:
    events = [node("a", "c"), node("b", "a"), node("c", "b"), node("me", "me"), node("z")]
    assert shape(events) == [(0, "a"), (1, "b"), (2, "c"), (0, "me"), (0, "z")]


IDS = st.sampled_from("abcdefgh")


@given(st.lists(st.tuples(IDS, st.none() | IDS), max_size=14))
@example([("a", "b"), ("a", "a"), ("b", "a")])
def test_every_event_is_in_the_tree_once_whatever_its_parents(
    pairs: list[tuple[str, str | None]],
) -> None:
    events = [node(name, parent, name=str(n)) for n, (name, parent) in enumerate(pairs)]
    branches = tree_branches(EventsRun(events))
    assert sorted(int(b.row.name or "") for b in branches if b.row) == list(range(len(pairs)))


def test_nesting_as_deep_as_it_likes_is_shown_within_the_width() -> None:
    chain = [node(str(n), str(n - 1)) for n in range(3000)]
    text = format_tree(chain)
    assert len(text.splitlines()) == 3001
    assert widest(text) <= 80
    assert "⋯2991 " in text


def test_many_siblings_are_folded_but_for_those_that_hold_a_failure() -> None:
    events = [node("root"), *(node(str(n), "root") for n in range(100))]
    events.append(Event(id="bad", type="tool_call", parent_id="50", error="no"))
    assert shape(events, limit=3) == [
        *((0, "root"), (1, "0"), (1, "1"), (1, "2")),
        *((1, 47), (1, "50"), (2, "bad"), (1, 49)),
    ]
    assert len(shape(events)) == 102
    assert shape(events, limit=3, root="root", offset=97) == [
        (0, 97),
        (0, "97"),
        (0, "98"),
        (0, "99"),
    ]


def test_a_few_more_than_the_limit_are_not_folded() -> None:
    assert shape([node(str(n)) for n in range(5)], limit=3) == [(0, str(n)) for n in range(5)]


def test_siblings_that_an_offset_leaves_out_are_told_from_the_rest() -> None:
    run = EventsRun(call(number) for number in range(20))
    text = "\n".join(tree_lines(tree_branches(run, limit=3, offset=5)))
    assert "… 5 before, left out by --offset" in text
    assert "… 12 more: --limit 0 shows all" in text
    lines = to_document(run, tree_branches(run, limit=3, offset=5))["tree"]
    assert [(line.get("id"), line.get("before")) for line in lines] == [
        *((None, True), ("e5", None), ("e6", None), ("e7", None), (None, False)),
    ]


def test_events_of_several_sessions_make_a_tree() -> None:
    with Store(":memory:") as store:
        for session in ("a", "b"):
            store.save_trace(call(1, id=f"{session}1"), session)
            store.save_traces(
                (call(n, id=f"{session}{n}", parent_id=f"{session}1") for n in (2, 3)), session
            )
        # Of all sessions, the latest events come first: their places go down, and repeat.
        events = store.get_traces()
    tree = [line.split()[1] for line in format_tree(events).splitlines()[1:]]
    assert tree == ["b1", "b3", "b2", "a1", "a3", "a2"]


def test_chosen_events_come_with_the_events_above_them() -> None:
    events = [node("a"), node("b", "a"), node("c", "b", error="no"), node("d", "b"), node("e")]
    assert shape(events, chosen=Chosen(errors=True)) == [(0, "a"), (1, "b"), (2, "c")]


# --- one event


def test_the_detail_has_all_fields_and_what_stands_around() -> None:
    cut = tr.Truncation(
        field="events.e2.output", original_length=9000, kept_length=3, unit="characters", digest="d"
    )
    run = a_run(
        call(1), call(2, parent_id="e1", output="abc"), call(3, parent_id="e2"), truncated=[cut]
    )
    detail = get_trace_detail("e2", run)
    assert detail is not None
    assert set(Event.__struct_fields__) < set(detail)
    assert (detail["output"], detail["children"], detail["offset_ms"]) == ("abc", 1, 2000.0)
    assert detail["parent"]["id"] == "e1"
    assert detail["truncated"][0]["original_length"] == 9000
    assert get_trace_detail("e9", run) is None


def test_a_long_output_is_shown_by_both_ends_and_given_whole_as_data() -> None:
    output = "\n".join(f"line {n}" for n in range(1000))
    run = a_run(call(1, output=output, input={"command": "a\nb", "n": 1}))
    shown = list(detail_lines(detail_of(EventsRun(run.events or []), (1, (run.events or [])[0]))))
    assert "  line 0" in shown
    assert "  line 999" in shown
    assert "  … 960 more lines: --format json has them …" in shown
    assert shown[shown.index("input") + 1 :][:4] == ["  command:", "    a", "    b", "  n: 1"]
    detail = get_trace_detail("e1", run)
    assert detail is not None
    assert detail["output"] == output


# --- search in a trace


def test_a_search_finds_events_and_marks_the_words() -> None:
    run = a_run(call(1, output="all is well"), call(7, input={"command": "cat the-FILE.txt"}))
    [hit] = search_traces("file", run)
    assert (hit["event_id"], hit["offset_ms"], hit["task_id"]) == ("e7", 7000.0, "tidy-up__a1")
    assert [hit["text"][a:b] for a, b in hit["marks"]] == ["FILE"]


@pytest.mark.parametrize(
    "word", ["fix_it", "fix_it__1", "jira", "claude", "told", "done", "ENOENT"]
)
def test_a_regular_expression_names_the_fields_of_a_run_as_words_do(word: str) -> None:
    run = a_run(
        task=tr.Task(name="fix_it"),
        task_id="fix_it__1",
        trigger=tr.Trigger(source="jira"),
        agent_config=tr.AgentConfig(agent=tr.Agent(name="claude")),
        task_instruction="told",
        agent_response=tr.AgentResponse(result="done"),
        test_output="ENOENT",
    )
    fields = {hit["field"] for hit in search_traces(word, run, regex=True)}
    assert fields == {hit["field"] for hit in search_traces(word, run)} != set()


def test_a_regular_expression_finds_each_field() -> None:
    run = a_run(call(1, output="E0425: no\nE0999: no", input={"args": ["x", "see E0425:"]}))
    hits = search_traces(r"E\d{4}:", run, regex=True)
    assert [(hit["field"], len(hit["marks"])) for hit in hits] == [
        ("output", 2),
        ("input.args[1]", 1),
    ]


LETTERS = st.text("qz \n", max_size=30)


@given(LETTERS, st.text("qz", min_size=1, max_size=4), LETTERS)
def test_marks_are_where_the_text_is(before: str, word: str, after: str) -> None:
    run = a_run(call(1, output=f"{before}{word}{after}", name=None))
    [hit] = search_traces(word, run, regex=True)
    marked = [hit["text"][start:end] for start, end in hit["marks"]]
    assert marked
    assert set(marked) == {word}
    assert hit["text"] == re.sub(r"\s+", " ", f"{before}{word}{after}")


# --- whatever a trace says


@pytest.mark.parametrize("text", [HOSTILE, WIDE, "word " * 100, "x" * 500, "", "\n\n", "a\tb"])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_view_is_wider_than_asked_for_nor_drives_the_terminal(text: str, width: int) -> None:
    event = Event(
        id=text, type=text, name=text, status=text, role=text, text=text, reasoning=text,
        input={text: text, "b": [text]}, output=text, error=text, model=text, provider=text,
        data={text: {text: text}}, started_at=at(1),
    )  # fmt: skip
    child = msgspec.structs.replace(event, id=text + "c", parent_id=text, status="fail")
    good = msgspec.structs.replace(event, id="a-longer-id", type="note", status="ok", error=None)
    run = a_run(
        event, child, good, step(1, text, text, error=text), trace_id=text, task=tr.Task(name=text)
    )
    views = [
        format_timeline(run, width),
        format_tree(run, width),
        format_tree(run, width, limit=1),
        "\n".join(detail_lines(detail_of(EventsRun([event]), (1, event)), width)),
    ]
    for view in views:
        assert widest(view) <= width
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", view)
    summary = format_summary(run, totals=True, width=width)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", summary)


def test_values_that_no_json_has_break_no_view() -> None:
    odd = Event(
        id="a\ud800",
        type="t\x00",
        text="x\udfff",
        input={"n": 10**40, "f": float("nan"), "k\ud800": "v"},
        data={"x": float("inf")},
        duration_ms=float("nan"),
        started_at="never",
    )
    run = a_run(odd, call(2, parent_id="a\ud800", duration_ms=1e300, started_at="9999-12-31"))
    for view in (format_timeline, format_tree, format_summary):
        view(run).encode()
    detail = json.loads(to_json(get_trace_detail("a\ud800", run)))
    assert (detail["input"]["n"], detail["duration_ms"], detail["children"]) == (10**40, None, 1)
    assert json.loads(to_json(get_session_timeline(run)))[1]["duration_ms"] == 1e300


def test_colour_adds_nothing_but_colour() -> None:
    run = a_run(call(1), call(2, status="error", error="no"))
    for view in (format_timeline, format_tree):
        coloured = view(run, 80, True)
        assert "\x1b[31m" in coloured
        assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == view(run)


def test_the_store_and_the_views_agree_what_failed() -> None:
    run = a_run(call(1, status="ok"), call(2, status="failure"), call(3, type="error"))
    rows = get_session_timeline(run)
    assert [row["failed"] for row in rows] == [is_error(event) for event in run.events or []]
    assert [row["failed"] for row in rows] == [False, True, True]
