"""The exporter for the OpenTelemetry SDK: an instrumented program is recorded into a store."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import Any

import pytest

from evaltrace.redact import Redactor
from evaltrace.store import Store
from evaltrace.trace import Trace
from planted_secrets import ALNUM, some

trace_sdk = pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry import trace as api  # noqa: E402
from opentelemetry.sdk.resources import Resource  # noqa: E402
from opentelemetry.sdk.trace.export import (  # noqa: E402
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from evaltrace.otlp import StoreSpanExporter  # noqa: E402


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store.db") as opened:
        yield opened


def provider_of(exporter: SpanExporter, *, batch: bool = False) -> Any:
    provider = trace_sdk.TracerProvider(resource=Resource({"service.name": "my-agent"}))
    processor = BatchSpanProcessor if batch else SimpleSpanProcessor
    provider.add_span_processor(processor(exporter))
    return provider


def run(tracer: Any, *, fail: bool = False) -> str:
    """A run of an agent: a call of a model, a call of a tool."""
    with tracer.start_as_current_span("invoke_agent coder") as root:
        root.set_attributes(
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "coder",
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 7,
            }
        )
        with tracer.start_as_current_span("chat claude-a") as call:
            call.set_attributes(
                {
                    "gen_ai.operation.name": "chat",
                    "gen_ai.request.model": "claude-a",
                    "gen_ai.usage.input_tokens": 100,
                    "gen_ai.usage.output_tokens": 7,
                }
            )
        with tracer.start_as_current_span("execute_tool grep") as call:
            call.set_attributes(
                {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "grep"}
            )
            if fail:
                call.set_status(api.StatusCode.ERROR, "no such file")
        return f"{root.get_span_context().trace_id:032x}"


@pytest.mark.parametrize("batch", [False, True], ids=["simple", "batch"])
def test_a_run_becomes_a_finished_session(batch: bool, store: Store) -> None:
    provider = provider_of(StoreSpanExporter(store), batch=batch)
    trace_id = run(provider.get_tracer("tests"), fail=True)
    provider.shutdown()
    trace = store.read(trace_id)
    assert trace is not None
    assert (trace.status, trace.origin.kind) == ("pass", "otlp")
    assert trace.agent_config.agent.name == "coder"
    assert [event.type for event in trace.events or []] == ["step", "llm_call", "tool_call"]
    step, call, tool = trace.events or []
    assert call.parent_id == tool.parent_id == step.id
    assert (tool.status, tool.error) == ("error", "no such file")
    # The agent's sum is that of its call: counted once.
    assert (trace.metrics.tokens.input, trace.metrics.tokens.output) == (100, 7)
    session = store.get_session(trace_id)
    assert session is not None
    assert (session.total_tokens, session.total_events) == (107, 3)


def test_a_run_that_has_not_ended_can_be_seen(store: Store) -> None:
    tracer = provider_of(StoreSpanExporter(store)).get_tracer("tests")
    with tracer.start_as_current_span("root") as root:
        with tracer.start_as_current_span("within"):
            pass
        session = store.get_session(f"{root.get_span_context().trace_id:032x}")
        assert session is not None
        assert (session.status, session.total_events) == ("running", 1)
        assert (session.task, session.kind) == ("my-agent", "otlp")


def test_a_span_that_ends_after_its_root_is_added(store: Store) -> None:
    tracer = provider_of(StoreSpanExporter(store)).get_tracer("tests")
    tokens = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 1}
    call = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **tokens}
    with tracer.start_as_current_span("root", attributes=tokens) as root:
        late = tracer.start_span("late", attributes=call)
    late.end()
    trace = store.read(f"{root.get_span_context().trace_id:032x}")
    assert trace is not None
    assert [event.name for event in trace.events or []] == ["root", "late"]
    # The root was told to have used them before anybody knew who had.
    assert [event.usage is None for event in trace.events or []] == [True, False]
    assert trace.status == "pass"


def test_a_run_of_another_process_goes_on_here(store: Store) -> None:
    tracer = provider_of(StoreSpanExporter(store)).get_tracer("tests")
    far = api.SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=api.TraceFlags(1))
    context = api.set_span_in_context(api.NonRecordingSpan(far))
    with tracer.start_as_current_span("here", context=context):
        pass
    trace = store.read(f"{0xABC:032x}")
    assert trace is not None
    assert trace.status == "pass"
    assert ((trace.events or [])[0].data or {})["parent_span_id"] == f"{0xDEF:016x}"


@pytest.mark.parametrize("batch", [False, True], ids=["simple", "batch"])
def test_threads_lose_nothing(batch: bool, store: Store) -> None:
    provider = provider_of(StoreSpanExporter(store), batch=batch)
    tracer = provider.get_tracer("tests")
    found: list[str] = []
    threads = [Thread(target=lambda: found.extend(run(tracer) for _ in range(5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    provider.shutdown()
    sessions = store.get_sessions(limit=100)
    assert {session.id for session in sessions} == set(found)
    assert {(session.status, session.total_events) for session in sessions} == {("pass", 3)}
    assert len(found) == 20


def test_a_store_that_cannot_be_opened_never_reaches_the_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "store.db"
    place.write_text("this is no store at all, and stays as it is")
    exporter = StoreSpanExporter(place)
    with caplog.at_level(logging.WARNING):
        provider = provider_of(exporter)
        run(provider.get_tracer("tests"))
        provider.shutdown()
    assert exporter.failures == 3
    assert sum("not recorded" in record.message for record in caplog.records) == 1
    assert place.read_text() == "this is no store at all, and stays as it is"


def spans_of(trace: Any) -> dict[str, str | None]:
    """The spans of a trace, each with the name of the one above it."""
    names = {event.id: event.name for event in trace.events}
    return {event.name: names.get(event.parent_id) for event in trace.events}


@pytest.mark.parametrize("is_late", [False, True])
def test_two_programs_of_one_trace_lose_nothing(is_late: bool, tmp_path: Path) -> None:
    here, there = (
        provider_of(StoreSpanExporter(tmp_path / "store.db")).get_tracer("tests") for _ in range(2)
    )
    tokens = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 4}

    def serve(context: Any) -> None:
        with (
            there.start_as_current_span("server", context=context),
            there.start_as_current_span("within", attributes=tokens),
        ):
            pass

    with here.start_as_current_span("root") as root:
        found = root.get_span_context()
        far = api.SpanContext(found.trace_id, found.span_id, True, api.TraceFlags(1))
        context = api.set_span_in_context(api.NonRecordingSpan(far))
        if not is_late:
            serve(context)
    if is_late:
        serve(context)
    with Store(tmp_path / "store.db") as store:
        trace = store.read(f"{found.trace_id:032x}")
    assert trace is not None
    assert spans_of(trace) == {"root": None, "server": "root", "within": "server"}
    assert (trace.status, trace.task.name, trace.metrics.tokens.input) == ("pass", "root", 4)


def test_a_trace_that_was_let_go_of_keeps_its_spans(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaltrace.otlp.exporter._MOST_SPANS", 4)
    tracer = provider_of(StoreSpanExporter(store)).get_tracer("tests")
    roots = [tracer.start_span(f"root {number}") for number in range(3)]
    for root in roots:
        for _ in range(3):
            tracer.start_span("within", context=api.set_span_in_context(root)).end()
    for root in roots:
        root.end()
    sessions = store.get_sessions()
    assert [(session.status, session.total_events) for session in sessions] == [("pass", 4)] * 3


def test_many_spans_that_come_late_are_all_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaltrace.otlp.exporter._MANY_SPANS", 5)
    provider = provider_of(StoreSpanExporter(store))
    tracer = provider.get_tracer("tests")
    tokens = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 1}
    with tracer.start_as_current_span("root") as root:
        context = api.set_span_in_context(root)
    for _ in range(31):
        tracer.start_span("late", context=context, attributes=tokens).end()
    provider.shutdown()
    trace = store.read(f"{root.get_span_context().trace_id:032x}")
    assert trace is not None
    assert len({event.id for event in trace.events or []}) == len(trace.events or []) == 32
    assert trace.metrics.tokens.input == 31


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_does_not_wait_for_a_thread_of_its_parent(tmp_path: Path) -> None:
    exporter = StoreSpanExporter(tmp_path / "store.db")
    tracer = provider_of(exporter).get_tracer("tests")
    is_held, may_end = Event(), Event()

    def hold() -> None:
        with exporter._lock:
            is_held.set()
            may_end.wait()

    thread = Thread(target=hold)
    thread.start()
    is_held.wait()
    child = os.fork()
    if child == 0:
        with tracer.start_as_current_span("child"):
            pass
        os._exit(0)
    os.waitpid(child, 0)
    may_end.set()
    thread.join()
    with tracer.start_as_current_span("parent"):
        pass
    with Store(tmp_path / "store.db") as store:
        assert {session.task for session in store.get_sessions()} == {"child", "parent"}


def test_what_could_not_be_written_is_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaltrace.store.connection._PATIENCE_S", 0.01)
    monkeypatch.setattr("evaltrace.otlp.exporter._PAUSE", 0)
    exporter = StoreSpanExporter(tmp_path / "store.db")
    provider = provider_of(exporter)
    run(provider.get_tracer("tests"))
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    kept = [run(provider.get_tracer("tests")) for _ in range(2)]
    assert not exporter.force_flush()
    other.execute("ROLLBACK")
    other.close()
    provider.shutdown()
    assert exporter.failures == 6
    with Store(tmp_path / "store.db") as store:
        found = [store.read(trace_id) for trace_id in kept]
    assert [trace and (trace.status, len(trace.events or [])) for trace in found] == [
        ("pass", 3)
    ] * 2


def test_a_store_that_makes_it_wait_is_left_alone_for_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("evaltrace.store.connection._PATIENCE_S", 0.05)
    monkeypatch.setattr("evaltrace.otlp.exporter._PAUSE", 10_000)
    exporter = StoreSpanExporter(tmp_path / "store.db")
    provider = provider_of(exporter)
    first = run(provider.get_tracer("tests"))
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    run(provider.get_tracer("tests"))
    other.execute("ROLLBACK")
    other.close()
    run(provider.get_tracer("tests"))
    provider.shutdown()
    assert "spans of 2 traces" in caplog.text
    with Store(tmp_path / "store.db") as store:
        assert [session.id for session in store.get_sessions()] == [first]
    assert exporter.failures == 6


def test_after_its_end_it_takes_nothing(tmp_path: Path) -> None:
    exporter = StoreSpanExporter(tmp_path / "store.db")
    provider = provider_of(exporter)
    run(provider.get_tracer("tests"))
    exporter.shutdown()
    exporter.shutdown()
    assert exporter.export([]) is SpanExportResult.FAILURE
    assert exporter.force_flush()
    with Store(tmp_path / "store.db") as store:
        assert len(store.get_sessions()) == 1


def test_spans_of_the_store_itself_do_not_go_round(tmp_path: Path) -> None:
    class Traced(Store):
        def add(self, trace: Any) -> bool:
            added.append(trace.trace_id)
            with tracer.start_as_current_span("INSERT"):
                return super().add(trace)

    added: list[str] = []
    with Traced(tmp_path / "store.db") as store:
        tracer = provider_of(StoreSpanExporter(store)).get_tracer("tests")
        trace_id = run(tracer)
        assert store.read(trace_id) is not None
    assert added == [trace_id]


def test_without_the_sdk_the_extra_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "import evaltrace.otlp.exporter\n"
        "from evaltrace.errors import MissingPackage\n"
        "try:\n    from evaltrace.otlp import StoreSpanExporter\n"
        "except MissingPackage as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "evaltrace[otel]" in done.stdout


TOKEN = "gh" + "p_" + some(Random(7), ALNUM, 36)
CALL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "Bash",
    "gen_ai.tool.call.arguments": json.dumps({"command": f"login {TOKEN}"}),
}


def kept_by(store: Store) -> str:
    """All that the file of a store holds, also what is not written to it yet."""
    with closing(sqlite3.connect(store.path)) as connection:
        return "\n".join(connection.iterdump())


def test_secrets_of_a_run_are_replaced_before_the_store_has_them(store: Store) -> None:
    exporter = StoreSpanExporter(store)
    provider = trace_sdk.TracerProvider(resource=Resource({"service.name": f"agent {TOKEN}"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span(f"run {TOKEN}") as root:
        with tracer.start_as_current_span("tool", attributes=CALL):
            pass
        assert TOKEN not in kept_by(store)
        [event] = running(store, root).events or []
        assert "[redacted:github-token:" in str(event.input)
    trace = running(store, root)
    assert TOKEN not in kept_by(store)
    assert trace.redaction is not None
    assert (trace.redaction.state, trace.status) == ("on", "pass")
    assert (trace.redaction.counts or {})["github-token"] >= 2
    assert exporter.failures == 0


def running(store: Store, root: Any) -> Trace:
    trace = store.read(f"{root.get_span_context().trace_id:032x}")
    assert trace is not None
    return trace


def test_secrets_are_left_to_who_asks_for_that(store: Store) -> None:
    tracer = provider_of(StoreSpanExporter(store, redact=False)).get_tracer("tests")
    with tracer.start_as_current_span("tool", attributes=CALL) as root:
        pass
    trace = running(store, root)
    assert trace.redaction is not None
    assert trace.redaction.state == "off"
    assert TOKEN in str((trace.events or [])[0].input)


def test_a_redactor_of_ones_own_is_used(store: Store) -> None:
    exporter = StoreSpanExporter(store, redact=Redactor(key=b"own", known=["zebra-crossing-4"]))
    with (
        provider_of(exporter)
        .get_tracer("tests")
        .start_as_current_span(
            "tool", attributes={**CALL, "gen_ai.tool.call.arguments": '{"a":"zebra-crossing-4"}'}
        ) as root
    ):
        pass
    assert "[redacted:known-value:" in str((running(store, root).events or [])[0].input)
