"""Views of a store: the same rows as of the trace itself, for short and for long sessions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aggregated import CORPUS, aggregate
from evaltrace import trace as tr
from evaltrace.errors import UnknownName
from evaltrace.files import read_traces
from evaltrace.record import recording
from evaltrace.store import Store, is_error
from evaltrace.trace import Event, Trace
from evaltrace.viewer import (
    format_summary,
    format_timeline,
    format_tree,
    get_session_summary,
    get_session_timeline,
    get_trace_detail,
    list_sessions,
    search_traces,
)
from evaltrace.viewer.runs import Chosen
from evaltrace.viewer.sources import Source, run_of
from evaltrace.viewer.stored import StoredRun
from evaltrace.viewer.tree import to_document, tree_branches
from test_terminal import widest
from traces import minimal_trace

LONG = 2500


def stamp(number: int) -> str:
    # Out of order here and there, as writers side by side leave it.
    second = number - 2 * (number % 7 == 0)
    return f"2026-03-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def an_event(number: int) -> Event:
    step = number - number % 100
    if number % 100 == 0:
        return Event(
            id=str(number),
            type="step",
            name=f"agent_{number}",
            status="fail" if number == 700 else "success",
            error="tests failed" if number == 700 else None,
            started_at=stamp(number),
            duration_ms=90_000.0,
            data={"step_number": number // 100 + 1, "agent_task": "its part"},
        )
    failed = number % 333 == 0
    return Event(
        id=str(number),
        type="tool_called" if number % 2 else "llm_call",
        parent_id=str(step),
        name="run",
        status="error" if failed else None,
        error=f"ValueError: {number} is odd" if failed else None,
        started_at=stamp(number),
        duration_ms=None if number % 5 == 0 else float(number),
        input={"command": f"make part-{number}"},
    )


def long_trace(events: int = LONG) -> Trace:
    return minimal_trace(
        trace_id=f"run-of-{events}",
        task_id=f"long__{events}",
        status="fail",
        origin=tr.Origin(kind="recorder", started_at=stamp(1), finished_at=stamp(events)),
        events=[an_event(number) for number in range(events)],
        error=tr.TraceError(type="failed", message="a step failed"),
        test_reward=0.5,
        metrics=tr.Metrics(
            tokens=tr.Tokens(input=20, output=5, total=25),
            cost=tr.Cost(usd=0.5),
            durations=tr.Durations(total_s=90.0, verifier_s=3.0),
            tool_calls=7,
            turns=4,
        ),
        tests=tr.Tests(
            summary=tr.TestSummary(total=4, passed=3, failed=1), cases=[], source="ctrf"
        ),
        truncated=[
            tr.Truncation(
                field="events.701.input",
                unit="characters",
                kept_length=9,
                original_length=99,
                digest="00",
            )
        ],
    )


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store(":memory:") as opened:
        opened.add_all([long_trace(), long_trace(40)])
        yield opened


def test_a_long_session_is_not_read_whole(store: Store) -> None:
    assert isinstance(run_of((store, "run-of-2500")), StoredRun)
    assert not isinstance(run_of((store, "run-of-40")), StoredRun)


@pytest.mark.parametrize("events", [LONG, 40])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"limit": 7, "offset": 3},
        {"limit": 5, "offset": 2300},
        {"event_type": "step"},
        {"event_type": ["step", "llm_call"], "limit": 50, "offset": 10},
        {"errors": True},
        {"min_duration_ms": 2400.0},
        {"errors": True, "event_type": "llm_call", "min_duration_ms": 1.0},
        {"event_type": "none"},
    ],
)
def test_a_timeline_out_of_a_store_is_that_of_the_trace(
    store: Store, events: int, asked: dict[str, Any]
) -> None:
    trace = long_trace(events)
    rows = get_session_timeline((store, trace.trace_id), **asked)
    assert rows == get_session_timeline(trace, **asked)
    assert rows or events == 40 or asked == {"event_type": "none"}


def test_a_tree_out_of_a_store_is_that_of_the_trace(store: Store) -> None:
    trace = long_trace()
    assert format_tree((store, trace.trace_id)) == format_tree(trace)
    for chosen in (Chosen(errors=True), Chosen(types=("llm_call",), min_duration_ms=2300)):
        trees = [list(tree_branches(run_of(s), chosen)) for s in (trace, (store, trace.trace_id))]
        assert trees[0] == trees[1] != []


def test_a_folded_tree_out_of_a_store_shows_the_failures_too(store: Store) -> None:
    lines = format_tree((store, "run-of-2500"), limit=3).splitlines()
    assert sum("ValueError" in line for line in lines) == 7
    assert any("… 95 more" in line for line in lines)


def test_the_detail_out_of_a_store_is_that_of_the_trace(store: Store) -> None:
    trace = long_trace()
    for event_id in ("700", "701", "999", "gone"):
        detail = get_trace_detail(event_id, (store, trace.trace_id))
        assert detail == get_trace_detail(event_id, trace)
        assert detail is None or bool(detail["truncated"]) == (event_id == "701")


def test_the_summary_out_of_a_store_is_that_of_the_trace(store: Store) -> None:
    trace = long_trace()
    stored, whole = get_session_summary((store, trace.trace_id)), get_session_summary(trace)
    assert stored == whole
    assert whole["tests"]["passed"] == 3
    assert whole["tool_calls"] == 7
    for totals in (True, False):
        text = format_summary((store, trace.trace_id), totals=totals)
        assert text == format_summary(trace, totals=totals)


def test_a_short_session_has_the_very_same_summary(store: Store) -> None:
    trace = long_trace(40)
    assert get_session_summary((store, trace.trace_id)) == get_session_summary(trace)


def test_a_failure_long_ago_is_the_last_of_a_long_session() -> None:
    trace = long_trace()
    for event in (trace.events or [])[700:]:
        event.error = event.status = None
    with Store(":memory:") as store:
        store.add(trace)
        stored = get_session_summary((store, trace.trace_id))
    assert stored["last_failure"]["id"] == "666"
    assert stored["last_failure"] == get_session_summary(trace)["last_failure"]


def test_events_whose_parents_are_missing_are_roots_in_a_store_too() -> None:
    trace = long_trace()
    trace.trace_id = "orphans"
    for event in trace.events or []:
        if event.parent_id is None and event.id != "700":
            event.parent_id = f"gone-{event.id}"
    with Store(":memory:") as store:
        store.add(trace)
        assert format_tree((store, "orphans")) == format_tree(trace)
        shown = [row["id"] for row in roots((store, "orphans"))]
    assert shown == [str(number) for number in range(0, LONG, 100)]


def roots(source: Source) -> list[dict[str, Any]]:
    tree = to_document(run_of(source), tree_branches(run_of(source)))["tree"]
    return [row for row in tree if row["depth"] == 0]


def test_a_tree_says_when_it_may_lack_events() -> None:
    trace = long_trace()
    trace.trace_id = "lost"
    for event in trace.events or []:
        event.parent_id = f"gone-{event.id}"
    with Store(":memory:") as store:
        store.add(trace)
        assert [row.get("cut") for row in roots((store, "lost"))][-2:] == [None, "parents"]
        assert "maybe more whose parents are missing" in format_tree((store, "lost"), limit=3)


def test_the_beginning_of_an_event_id_is_enough_in_a_store_too(store: Store) -> None:
    for source in ((store, "run-of-2500"), long_trace()):
        assert get_trace_detail("249…", source) is None
        for name, whole in (("2499…", "2499"), ("249", "249")):
            found = get_trace_detail(name, source)
            assert found is not None
            assert found["id"] == whole


def test_sessions_are_listed_as_plain_data(store: Store) -> None:
    listed = list_sessions(store, limit=1)
    assert [(s["id"], s["status"], s["total_events"]) for s in listed] == [
        ("run-of-40", "fail", 40)
    ]
    assert [s["id"] for s in list_sessions(store)] == ["run-of-40", "run-of-2500"]


def test_the_beginning_of_an_id_is_enough(store: Store) -> None:
    assert len(get_session_timeline((store, "run-of-4"))) == 40


def test_a_session_that_is_not_there_names_the_nearest(store: Store) -> None:
    with pytest.raises(UnknownName, match="Nearest: run-of-2500, run-of-40"):
        get_session_timeline((store, "run-of-x"))


def test_the_session_of_a_search_is_named_as_for_other_views(store: Store) -> None:
    assert search_traces("part-12", (store, "run-of-4")) == search_traces(
        "part-12", (store, "run-of-40")
    )
    assert search_traces("part-12", (store, "run-of-4")) != []
    with pytest.raises(UnknownName):
        search_traces("part-12", (store, "run-of-x"))


def test_two_traces_are_no_session() -> None:
    found = search_traces("part-12", (long_trace(20), long_trace(40)))
    assert [hit["session_id"] for hit in found] == ["run-of-20", "run-of-40"]


def test_a_search_finds_the_same_in_a_store_and_in_the_trace(store: Store) -> None:
    trace = long_trace()
    stored = search_traces("part-1998", (store, trace.trace_id))
    assert stored == search_traces("part-1998", trace)
    assert [hit["event_id"] for hit in stored] == ["1998"]
    assert {hit["session_id"] for hit in search_traces("part-12", store)} == {
        "run-of-2500",
        "run-of-40",
    }


# --- real runs


# The longest of the corpus has 309 events: the same agent at work twice makes more than 500.
@pytest.mark.skipif(not CORPUS.is_dir(), reason="needs the corpus beside the project")
def test_the_longest_run_of_the_corpus_is_readable_at_80_columns() -> None:
    job = CORPUS / "tool-ab-2026-08" / "codex-stock"
    [trial] = job.glob("dynamodb-toolbox-conditional-att__*")
    [document] = aggregate(trial)["traces"]
    trace = msgspec.convert(document, Trace)
    again = [
        msgspec.structs.replace(event, id=f"{event.id}.2", parent_id=f"{event.parent_id}.2")
        for event in trace.events or []
    ]
    trace.events = [*(trace.events or []), *again]
    assert len(trace.events) == 618
    for text in (format_timeline(trace), format_tree(trace), format_tree(trace, limit=20)):
        assert widest(text) <= 80
    lines = format_timeline(trace).splitlines()
    assert len(lines) <= 1 + len(trace.events) + sum(map(is_error, trace.events))
    assert sum(line.startswith("✗ ") for line in lines) == sum(map(is_error, trace.events)) > 0
    # Every line of an event says when it was, and what.
    told = [line for line in lines[1:] if "└" not in line and "like this" not in line]
    assert all(re.match(r"[ ✗] [+]\d:\d\d:\d\d\.\d  ", line) for line in told)
    assert sum(len(line) > 60 for line in told) > len(told) / 2


# --- live runs


def test_a_live_run_is_viewed_like_any_other(tmp_path: Path) -> None:
    with recording(agent="orchestrator", task_type="mend", folder=tmp_path) as run:
        with run.step("development_agent", "write it"):
            run.event("file_read", {"path": "a.py"})
        with run.step("code_review_agent", "review it") as step:
            step.block("Code review blocked")
    [trace] = [trace for path in tmp_path.glob("trace_*.json") for trace in read_traces(path)]
    text = format_summary(trace)
    assert "Intent: mend\nStatus: PARTIAL\n" in text
    assert "Execution Steps (2):\n  1. ✅ development_agent: SUCCESS\n" in text
    assert "  2. 🚫 code_review_agent: BLOCKED\n     Error: Code review blocked\n" in text
    tree = format_tree(trace)
    assert re.search(r"└─ file_read path=a\.py\n", tree)
    assert re.search(r"^✗ .* step code_review_agent \[blocked\]: review it\n", tree, re.MULTILINE)
