"""The recorder in hands that do not know it: nothing is raised, and nothing is lost unsaid."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from evaltrace import log_trace_event, recording, start_execution_trace
from evaltrace.record import Recording, RecordingWarning
from evaltrace.record.starting import find
from recorders import as_json, written

Rows = list[tuple[str, str | None]]


def rows(run: Recording) -> Rows:
    """Give each event by its name (or type) with that of its parent."""
    events = as_json(run.trace)["events"]
    names = {event["id"]: event.get("name", event["type"]) for event in events}
    return [(names[event["id"]], names.get(event.get("parent_id"))) for event in events]


def test_a_step_that_is_entered_again_is_a_further_step(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        step = run.step("s")
        with step:
            run.event("first")
        with step:
            run.event("second")
            with step:
                run.event("third")
            run.event("fourth")
        run.event("outside")
    events = as_json(run.trace)["events"]
    assert rows(run) == [
        ("s", None), ("first", "s"),
        ("s", None), ("second", "s"), ("s", "s"), ("third", "s"), ("fourth", "s"),
        ("outside", None),
    ]  # fmt: skip
    assert [event.get("parent_id") for event in events] == [
        None, "1", None, "3", "3", "5", "3", None,
    ]  # fmt: skip
    assert [e["status"] for e in events if e["type"] == "step"] == ["success"] * 3


def test_steps_that_end_in_another_order_keep_their_events(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        first, second = run.step("first"), run.step("second")
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        run.event("in second")
        second.__exit__(None, None, None)
        run.event("outside")
    assert rows(run) == [
        ("first", None), ("second", "first"), ("in second", "second"), ("outside", None),
    ]  # fmt: skip


def test_a_step_that_another_task_leaves_is_left(tmp_path: Path) -> None:
    async def program() -> Recording:
        with recording("a", "t", folder=tmp_path) as run:
            step = run.step("s")

            async def enter() -> None:
                step.__enter__()

            await asyncio.create_task(enter())
            step.__exit__(None, None, None)
            run.event("outside")
        return run

    assert rows(asyncio.run(program())) == [("s", None), ("outside", None)]


def test_a_recording_that_is_entered_twice_ends_with_the_outer_block(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        with run:
            run.event("inner")
        run.event("outer")
    assert rows(run) == [("inner", None), ("outer", None)]


def test_a_recording_that_is_left_but_was_not_entered_ends(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path)
    with ExitStack() as stack:
        stack.push(run)
    assert as_json(run.trace)["status"] == "pass"


@pytest.mark.parametrize("call", ["fail", "block", "summary", "exit"])
def test_a_step_outside_of_its_block_is_warned_of(tmp_path: Path, call: str) -> None:
    with recording("a", "t", folder=tmp_path) as run, run.step("s") as step:
        pass
    calls: dict[str, Callable[[], object]] = {
        "fail": lambda: step.fail("no"),
        "block": lambda: step.block("no"),
        "summary": lambda: step.summary("no"),
        "exit": lambda: step.__exit__(None, None, None),
    }
    with pytest.warns(RecordingWarning, match="the step s was used outside of its block"):
        calls[call]()


def test_a_step_that_is_open_at_the_end_says_so(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path)
    with run.step("first"):
        pass
    run.step("second").__enter__()
    trace = as_json(run.end())
    assert (trace["status"], trace["error"]["type"]) == ("partial", "unfinished")
    assert trace["error"]["message"] == "the step second had not ended"


def test_the_final_error_is_that_of_the_failure_not_of_what_it_cancelled(tmp_path: Path) -> None:
    async def work(run: Recording, name: str) -> None:
        with run.step(name):
            await asyncio.sleep(0)
            if name == "fails":
                raise ValueError("broken")
            await asyncio.sleep(60)

    async def program() -> Recording:
        with recording("a", "t", folder=tmp_path) as run:
            try:
                async with asyncio.TaskGroup() as group:
                    for name in ("fails", "waits"):
                        group.create_task(work(run, name))
            except* ValueError:
                pass
        return run

    trace = as_json(asyncio.run(program()).trace)
    assert [event["status"] for event in trace["events"]] == ["fail", "cancelled"]
    assert trace["error"]["message"] == "broken"


def test_an_option_that_nobody_knows_is_warned_of(tmp_path: Path) -> None:
    options: Any = {"triger": "manual"}
    with pytest.warns(RecordingWarning, match="options that nobody knows: triger"):
        run = recording("a", "t", folder=tmp_path, **options)
    assert as_json(run.end())["status"] == "pass"


@pytest.mark.parametrize("folder", [5, "a\0b", object()])
def test_what_is_no_folder_is_replaced_by_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Any
) -> None:
    monkeypatch.setenv("EVALTRACE_RECORDINGS", str(tmp_path))
    with pytest.warns(RecordingWarning, match="in the usual folder"):
        run = recording("a", "t", folder=folder)
    run.end()
    assert len(written(tmp_path)) == 1
    with pytest.warns(RecordingWarning, match="not being recorded"):
        log_trace_event(f"no-{type(folder).__name__}", "x", folder=folder)


def test_a_warning_names_the_line_of_the_program(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path)
    run.end()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run.event("late")
    with warnings.catch_warnings(record=True) as more:
        warnings.simplefilter("always")
        log_trace_event("nobody-knows-this-one", "x", folder=tmp_path)
    assert [found.filename for found in (*caught, *more)] == [__file__] * 2


def test_a_warning_has_no_control_sequences(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path)
    with pytest.warns(RecordingWarning, match="not red") as caught:
        run.reward("\x1b[31mred")  # type: ignore[arg-type]
    assert "\x1b" not in str(caught[0].message)
    run.end()


def test_keywords_of_any_name_are_kept(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"self": 1, "b": 2, "\ud800": 3}
    with recording("a", "t", folder=tmp_path) as run:
        run.event("x", {"b": 0}, **fields)
    assert as_json(run.trace)["events"][0]["data"] == {"b": 0, "self": 1, "b'": 2, "\ufffd": 3}


def test_a_parent_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        first = run.event("first")
        run.event("second", parent_id=first)
        run.event("third", parent_id="1")
        run.event("fourth", parent_id="\ud800")
    assert rows(run) == [("first", None), ("second", "first"), ("third", None), ("fourth", None)]
    (problem,) = as_json(run.trace)["problems"]
    assert (problem["code"], problem["message"]) == (
        "parent_unknown",
        "2 events with a parent that is not in the trace",
    )


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        (None, {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}),
        (None, {"usage": {"input_tokens": 10, "output_tokens": 5}}),
        ({"usage": {"input_tokens": 10, "output_tokens": 5}}, {}),
        (None, {"prompt_tokens": 10, "completion_tokens": 5}),
    ],
)
def test_tokens_are_found_as_providers_name_them(
    tmp_path: Path, data: Any, fields: dict[str, Any]
) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        run.event("llm_call", data, **fields)
    tokens = as_json(run.trace)["metrics"]["tokens"]
    assert (tokens["input"], tokens["output"]) == (10, 5)


def test_a_mirror_that_records_does_not_hear_itself(tmp_path: Path) -> None:
    runs: list[Recording] = []

    def mirror(event: dict[str, Any]) -> None:
        if runs and event["event_type"] == "x":
            runs[0].event("echo")

    with recording("a", "t", folder=tmp_path, mirror=mirror) as run:
        runs.append(run)
        run.event("x")
    assert rows(run) == [("x", None), ("echo", None)]


def test_the_share_of_time_is_no_more_than_all_of_it(tmp_path: Path) -> None:
    ticks = iter(range(0, 10**6, 7))
    trace_id = start_execution_trace("a", "t", folder=tmp_path, clock=lambda: float(next(ticks)))
    run = find(trace_id)
    assert run is not None
    run._spent = 10.0**6  # as of many threads that waited for each other
    run.event("x")
    trace = as_json(run.end())
    assert trace["metrics"]["manifest"]["recording"]["share_of_time"] == 1.0
