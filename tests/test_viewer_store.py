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
from evaltrace.viewer.sources import Chosen, StoredRun, run_of
from evaltrace.viewer.tree import tree_branches
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


def test_the_summary_out_of_a_store_has_the_same_steps_failures_and_counts(store: Store) -> None:
    trace = long_trace()
    stored, whole = get_session_summary((store, trace.trace_id)), get_session_summary(trace)
    for name in (
        *("trace_id", "task_id", "intent", "status", "started_at", "completed_at", "steps"),
        *("total_events", "total_errors", "events_by_type", "errors_by_type", "final_error"),
        *("first_failure", "last_failure", "reward"),
    ):
        assert stored[name] == whole[name], name
    assert format_summary((store, trace.trace_id)) == format_summary(trace)


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
