"""structlog and the recorder: each line an event, each event a line, and no echo."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from evaltrace.record import recording
from evaltrace.record.structured_logs import mirror_to_log, record_log_line, to_event, to_line
from evaltrace.schema import is_valid
from evaltrace.trace import Event, Trace, Trigger

structlog = pytest.importorskip("structlog")

Lines = list[MutableMapping[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Configure structlog with our processor, and give what is logged."""
    logged: Lines = []

    def keep(_logger: Any, _name: str, line: MutableMapping[str, Any]) -> Any:
        logged.append(dict(line))
        raise structlog.DropEvent

    levels = structlog.processors.add_log_level
    structlog.configure(processors=[levels, record_log_line, keep], cache_logger_on_first_use=False)
    yield logged
    structlog.reset_defaults()


def run_of(folder: Path, **options: Any) -> Any:
    return recording(agent="orchestrator", task_type="development_flow", folder=folder, **options)


def events_of(trace: Trace | None) -> list[Event]:
    assert trace is not None
    assert is_valid(msgspec.to_builtins(trace), "trace")
    return trace.events or []


def named(logged: Lines) -> list[str]:
    return [line["event"] for line in logged]


def test_a_line_becomes_an_event_and_goes_on(tmp_path: Path, lines: Lines) -> None:
    with run_of(tmp_path) as run:
        structlog.get_logger().info("cache_missed", key="PROJ-123", size=3)
    [event] = events_of(run.trace)
    assert event.type == "cache_missed"
    assert event.data == {"key": "PROJ-123", "size": 3, "level": "info"}
    assert lines == [{"event": "cache_missed", "key": "PROJ-123", "size": 3, "level": "info"}]


def test_a_line_within_a_step_is_its_child(tmp_path: Path, lines: Lines) -> None:
    with run_of(tmp_path) as run, run.step("review_agent", "Review"):
        structlog.get_logger().info("file.opened")
    step, event = events_of(run.trace)
    assert (event.type, event.parent_id) == ("file.opened", step.id)


def test_a_sentence_is_the_text_of_an_event(tmp_path: Path, lines: Lines) -> None:
    with run_of(tmp_path) as run:
        structlog.get_logger().info("Read 17 files in 3 s")
    [event] = events_of(run.trace)
    assert (event.type, event.text, event.status) == ("log", "Read 17 files in 3 s", None)


def test_errors_keep_their_exception(tmp_path: Path, lines: Lines) -> None:
    with run_of(tmp_path) as run:
        try:
            raise ValueError("no such branch")
        except ValueError:
            structlog.get_logger().exception("checkout_failed")
    [event] = events_of(run.trace)
    assert (event.status, event.error) == ("error", "ValueError: no such branch")


def test_outside_of_a_recording_a_line_is_only_a_line(lines: Lines) -> None:
    structlog.get_logger().info("nobody_records")
    assert named(lines) == ["nobody_records"]


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


@pytest.mark.parametrize(
    "value", [Unspeakable(), "\ud800\x00", float("nan"), {1: {2}}, 10**5000], ids=type
)
def test_odd_values_never_stop_a_line(tmp_path: Path, lines: Lines, value: Any) -> None:
    with run_of(tmp_path, strict=True) as run:
        structlog.get_logger().info(value, value=value)
        structlog.get_logger().info(
            "odd", event_type=value, status=value, level=value, exc_info=value
        )
    assert [event.type for event in events_of(run.trace)][-1] == "odd"
    assert len(lines) == 2


def test_fields_of_a_line_are_data_and_never_fields_of_the_event() -> None:
    line = {"event": "x", "parent_id": "7", "duration_ms": "long", "level": "warning"}
    assert to_event("warning", line) == (
        "x",
        {"parent_id": "7", "duration_ms": "long", "level": "warning"},
        {},
    )


def test_a_run_is_told_as_the_orchestrator_tells_it(tmp_path: Path, lines: Lines) -> None:
    trigger = Trigger(source="jira_webhook", intent_type="development_flow")
    with run_of(tmp_path, mirror=mirror_to_log(), trigger=trigger) as run:
        with run.step("development_agent", "Write it"):
            run.event("file_read", {"path": "a.py", "event": "odd", "name": "n"})
        with run.step("code_review_agent", "Review it") as step:
            step.block("Code review blocked")
    assert named(lines) == [
        "pipeline.started",
        "step.started",
        "file_read",
        "step.completed",
        "step.started",
        "step.completed",
        "pipeline.completed",
    ]
    assert {line["trace_id"] for line in lines} == {run.trace_id}
    assert lines[0]["agent"] == "orchestrator"
    assert lines[0]["intent_type"] == "development_flow"
    assert lines[0]["trigger_source"] == "jira_webhook"
    assert lines[2]["path"] == "a.py"
    assert lines[2]["data_event"] == "odd"
    blocked = lines[5]
    assert blocked["step_number"] == 2
    assert blocked["agent_name"] == "code_review_agent"
    assert (blocked["status"], blocked["level"]) == ("blocked", "warning")
    assert blocked["error"] == "Code review blocked"
    assert (lines[6]["status"], lines[6]["level"]) == ("partial", "warning")
    assert "duration_ms" in lines[6]


def test_step_numbers_are_those_of_the_trace(tmp_path: Path, lines: Lines) -> None:
    with run_of(tmp_path, mirror=mirror_to_log()) as run:
        with run.step("outer", "a"), run.step("inner", "b"):
            pass
        with run.step("last", "c"):
            pass
    told = {line["agent_name"]: line["step_number"] for line in lines if "step_number" in line}
    kept = {event.name: (event.data or {})["step_number"] for event in events_of(run.trace)}
    assert told == kept == {"outer": 1, "inner": 2, "last": 3}


def test_both_directions_at_once_make_no_echo(tmp_path: Path, lines: Lines) -> None:
    with run_of(tmp_path, mirror=mirror_to_log()) as run:
        structlog.get_logger().info("from_the_log")
        run.event("from_the_program")
    assert [event.type for event in events_of(run.trace)] == ["from_the_log", "from_the_program"]
    assert named(lines).count("from_the_log") == 1
    assert named(lines).count("from_the_program") == 1


def test_a_logger_that_fails_costs_no_event(tmp_path: Path) -> None:
    class Broken:
        def info(self, event: str, **fields: Any) -> None:
            raise OSError("the disk is full")

    mirror = mirror_to_log(Broken())
    with pytest.warns(UserWarning, match="mirror"), run_of(tmp_path, mirror=mirror) as run:
        run.event("file_read")
    assert [event.type for event in events_of(run.trace)] == ["file_read"]


def test_tasks_of_asyncio_do_not_silence_each_other(tmp_path: Path, lines: Lines) -> None:
    async def worker(number: int) -> None:
        for _ in range(5):
            structlog.get_logger().info(f"worker_{number}")
            await asyncio.sleep(0)

    async def all_workers() -> None:
        await asyncio.gather(*map(worker, range(4)))

    with run_of(tmp_path, mirror=mirror_to_log()) as run:
        asyncio.run(all_workers())
    types = [event.type for event in events_of(run.trace)]
    assert sorted(types) == sorted(f"worker_{n}" for n in range(4) for _ in range(5))
    assert len([name for name in named(lines) if name.startswith("worker_")]) == 20


def test_raw_output_is_not_logged() -> None:
    told = {"event_type": "llm_call", "trace_id": "t", "output": "secret", "model": "m"}
    assert to_line(told) == ("llm_call", "info", {"trace_id": "t", "model": "m"})


def test_the_documentation_shows_what_is_logged(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()
    part = page.partition("## structlog")[2]
    snippet, shown = re.findall(r"^```\w*\n(.*?)^```$", part, re.S | re.M)
    command = [sys.executable, "-c", snippet]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    varies = r"(?<=trace_id=)\S+|(?<=duration_ms=)\S+"
    assert re.sub(varies, "...", done.stdout) == re.sub(varies, "...", shown)


def test_the_processor_needs_no_structlog(tmp_path: Path) -> None:
    code = "import sys, evaltrace.record.structured_logs; print('structlog' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
