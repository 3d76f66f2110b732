"""Several writers of one trace: threads, tasks, forked and spawned processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import recorders
from evaltrace import end_execution_trace, log_trace_event, recording, start_execution_trace
from evaltrace.record import RecordingWarning
from evaltrace.record.events import Gathered
from evaltrace.record.lines import Head, Line, encode_line
from evaltrace.record.starting import find
from recorders import as_json, forked, written


def parents(trace: dict[str, Any]) -> list[tuple[str, str | None]]:
    names = {event["id"]: event.get("name", event["type"]) for event in trace["events"]}
    return sorted((names[e["id"]], names.get(e.get("parent_id"))) for e in trace["events"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 9)), max_size=10))
def test_events_are_in_order_of_time_and_parents_make_no_circle(
    rows: list[tuple[int, int]],
) -> None:
    found = Gathered(Head(trace_id="t", agent="a", task_type="t", started=0.0, file="f"))
    for number, (at, parent) in enumerate(rows):
        line = Line(id=f"w-{number}", type=str(number), at=float(at))
        line.parent = f"w-{parent}" if parent >= 0 else None
        found.take(encode_line(line))
    events = [moment.event for moment in found.moments()]
    expected = sorted(range(len(rows)), key=lambda number: rows[number][0])
    assert [int(event.type) for event in events] == expected
    parents = {event.id: event.parent_id for event in events}
    for event in events:
        name, steps = event.parent_id, 0
        if name is not None:
            assert int(events[int(name) - 1].type) == rows[int(event.type)][1]
        while name is not None and steps <= len(rows):
            name, steps = parents[name], steps + 1
        assert name is None


def test_threads_lose_nothing(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:

        def work(thread: int) -> None:
            for index in range(200):
                run.event("work", thread=thread, index=index)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    trace = as_json(run.trace)
    found = [(event["data"]["thread"], event["data"]["index"]) for event in trace["events"]]
    assert sorted(found) == [(thread, index) for thread in range(4) for index in range(200)]
    for thread in range(4):
        assert [index for of, index in found if of == thread] == list(range(200))


def test_a_thread_belongs_to_a_step_where_it_is_told(tmp_path: Path) -> None:
    with (
        recording("a", "t", folder=tmp_path) as run,
        ThreadPoolExecutor(1) as pool,
        run.step("outer"),
    ):
        pool.submit(run.event, "alone").result()
        pool.submit(copy_context().run, run.event, "within").result()
    assert parents(as_json(run.trace)) == [("alone", None), ("outer", None), ("within", "outer")]


def test_tasks_that_run_at_once_do_not_mix(tmp_path: Path) -> None:
    async def work(run: Any, name: str) -> None:
        with run.step(name):
            await asyncio.sleep(0)
            run.event(f"in {name}")
            await asyncio.gather(asyncio.create_task(child(run, name)), asyncio.sleep(0))

    async def child(run: Any, name: str) -> None:
        await asyncio.sleep(0)
        run.event(f"below {name}")

    async def program() -> Any:
        with recording("a", "t", folder=tmp_path) as run, run.step("all"):
            await asyncio.gather(*(work(run, f"step {n}") for n in range(3)))
        return run.trace

    names = [f"step {n}" for n in range(3)]
    assert parents(as_json(asyncio.run(program()))) == sorted(
        [("all", None)]
        + [(name, "all") for name in names]
        + [(f"{place} {name}", name) for name in names for place in ("in", "below")]
    )


def test_a_cancelled_task_cancels_its_step_alone(tmp_path: Path) -> None:
    async def slow(run: Any) -> None:
        with run.step("slow"):
            await asyncio.sleep(60)

    async def program() -> Any:
        with recording("a", "t", folder=tmp_path) as run:
            task = asyncio.create_task(slow(run))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            run.end("success")
        return run.trace

    trace = as_json(asyncio.run(program()))
    assert (trace["status"], trace["events"][0]["status"]) == ("pass", "cancelled")


def test_forked_and_spawned_processes_write_to_one_trace(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run, run.step("outer"):
        command = [sys.executable, recorders.__file__, run.trace_id, str(tmp_path), "0", "50"]
        spawned = subprocess.Popen(command)
        children = [
            forked(lambda n=n: recorders.spawned_writer(run.trace_id, "", n, 50)) for n in (1, 2)
        ]
        run.event("own")
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
        assert spawned.wait() == 0
    trace = as_json(run.trace)
    work = [event for event in trace["events"] if event["type"] == "work"]
    found = sorted((event["data"]["writer"], event["data"]["index"]) for event in work)
    assert found == [(writer, index) for writer in range(3) for index in range(50)]
    assert trace["metrics"]["manifest"]["recording"]["writers"] == 4
    assert len({event["id"] for event in trace["events"]}) == len(trace["events"])
    # A forked child is still in the step; a program of its own is not.
    inside = {event["data"]["writer"] for event in work if event.get("parent_id")}
    assert inside == {1, 2}


def test_a_trace_is_ended_by_another_process_than_started_it(tmp_path: Path) -> None:
    trace_id = start_execution_trace("a", "t", folder=tmp_path)
    log_trace_event(trace_id, "first")
    child = forked(lambda: end_execution_trace(trace_id, "failure", error="no"))
    assert os.waitpid(child, 0)[1] == 0
    (trace,) = written(tmp_path)
    assert (trace["status"], len(trace["events"])) == ("fail", 1)
    with pytest.warns(RecordingWarning, match="after its end"):
        log_trace_event(trace_id, "late")
    assert end_execution_trace(trace_id, "success") is None
    assert [trace["status"] for trace in written(tmp_path)] == ["fail"]


def test_of_two_processes_that_end_it_one_does(tmp_path: Path) -> None:
    for _ in range(5):
        trace_id = start_execution_trace("a", "t", folder=tmp_path)
        for _ in range(100):
            log_trace_event(trace_id, "x")

        def end(trace_id: str = trace_id) -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RecordingWarning)
                end_execution_trace(trace_id, "success")

        children = [forked(end), forked(end)]
        assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
        run = find(trace_id)
        assert run is not None
        with pytest.warns(RecordingWarning):
            run.end("success")
    traces = written(tmp_path)
    assert [len(trace["events"]) for trace in traces] == [100] * 5
    assert list((tmp_path / ".journals").iterdir()) == []


def test_of_two_threads_that_end_it_one_does(tmp_path: Path) -> None:
    with warnings.catch_warnings(), ThreadPoolExecutor(4) as pool:
        warnings.simplefilter("ignore", RecordingWarning)
        for _ in range(20):
            run = recording("a", "t", folder=tmp_path)
            run.event("x")
            ends = list(pool.map(lambda _, run=run: run.end("success"), range(4)))
            assert sum(trace is not None for trace in ends) == 1
    assert [len(trace["events"]) for trace in written(tmp_path)] == [1] * 20


def test_a_child_that_leaves_the_block_does_not_end_the_run(tmp_path: Path) -> None:
    child = 0
    with recording("a", "t", folder=tmp_path) as run:
        run.event("before")
        child = os.fork()
        if child == 0:
            run.event("in the child")
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    assert len(written(tmp_path)) == 1


def test_a_worker_lets_go_of_traces_that_others_have_ended(tmp_path: Path) -> None:
    ids, ids_in = os.pipe()
    counts, counts_in = os.pipe()

    def worker() -> None:
        while trace_id := os.read(ids, 36).decode():
            log_trace_event(trace_id, "x", folder=tmp_path)
            os.write(counts_in, len(os.listdir("/dev/fd")).to_bytes(2, "little"))

    child = forked(lambda: os.close(ids_in) or worker())  # type: ignore[func-returns-value]
    opened = []
    for _ in range(150):
        trace_id = start_execution_trace("a", "t", folder=tmp_path)
        os.write(ids_in, trace_id.encode())
        opened.append(int.from_bytes(os.read(counts, 2), "little"))
        end_execution_trace(trace_id, "success")
    os.close(ids_in)
    os.waitpid(child, 0)
    assert max(opened) - opened[0] < 70
    assert [len(trace["events"]) for trace in written(tmp_path)] == [1] * 150
    for descriptor in (ids, counts, counts_in):
        os.close(descriptor)


def test_what_is_recorded_while_it_is_ended_is_kept_or_warned_of(tmp_path: Path) -> None:
    """A child writes all the while; what it was not warned of is in the trace."""
    reading, writing = os.pipe()

    def write(trace_id: str) -> None:
        warnings.simplefilter("error", RecordingWarning)
        log_trace_event(trace_id, "ready")
        os.write(writing, b".")
        run = find(trace_id)
        assert run is not None
        run._head.strict = True
        for number in range(1_000_000):
            try:
                run.event("tick", number=number)
            except Exception:
                break
        os.write(writing, number.to_bytes(4, "little"))

    for _ in range(5):
        trace_id = start_execution_trace("a", "t", folder=tmp_path)
        child = forked(lambda trace_id=trace_id: write(trace_id))
        os.read(reading, 1)
        end_execution_trace(trace_id, "success")
        assert os.waitpid(child, 0)[1] == 0
        accepted = int.from_bytes(os.read(reading, 4), "little")
        trace = next(trace for trace in written(tmp_path) if trace["trace_id"] == trace_id)
        found = [e["data"]["number"] for e in trace["events"] if e["type"] == "tick"]
        assert found[:accepted] == list(range(accepted))
    os.close(reading)
    os.close(writing)
