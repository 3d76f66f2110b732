"""`evaltrace export otlp` and `evaltrace import otlp`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec
import pytest
from click.testing import CliRunner, Result

from evaltrace import trace as tr
from evaltrace.cli import main
from evaltrace.files import read_traces
from evaltrace.store import Store
from otlp_collector import Collector, running
from otlp_spans import request, span
from planted_secrets import ALNUM, some
from traces import distinct_trace, minimal_trace


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running() as server:
        yield server


def run(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    path = tmp_path / "traces.jsonl"
    both = (minimal_trace(), distinct_trace())
    path.write_bytes(b"\n".join(msgspec.json.encode(trace) for trace in both))
    return path


@pytest.mark.parametrize("suffix", ["json", "jsonl", "pb"])
def test_what_was_exported_is_imported(suffix: str, traces: Path, tmp_path: Path) -> None:
    spans, back = tmp_path / f"spans.{suffix}", tmp_path / "back.json"
    assert "4 spans" in run("export", "otlp", traces, "-o", spans, "--content").output
    assert "2 traces" in run("import", "otlp", spans, "-o", back, "--arm", "a").output
    for old, new in zip(read_traces(traces), read_traces(back), strict=True):
        assert (new.trace_id, new.events, new.arm) == (old.trace_id, old.events, "a")
    run("validate", back)


TOKEN = "gh" + "p_" + some(Random(8), ALNUM, 36)


@pytest.mark.parametrize(("flags", "state"), [((), "on"), (("--no-redact",), "off")])
def test_secrets_of_spans_are_replaced(flags: tuple[str, ...], state: str, tmp_path: Path) -> None:
    spans, back, place = (tmp_path / name for name in ("spans.json", "back.json", "store.db"))
    attributes = {"gen_ai.tool.call.result": TOKEN, "service.name": TOKEN}
    spans.write_text(json.dumps(request(span(1, name=f"run {TOKEN}", attributes=attributes))))
    done = run("import", "otlp", spans, "-o", back, "--store", place, *flags)
    assert ("redaction: off" in done.stderr) is (state == "off")
    [trace] = read_traces(back)
    assert trace.redaction is not None
    assert trace.redaction.state == state
    assert (TOKEN in back.read_text()) is (state == "off")
    with Store(place) as store:
        assert list(store.read_all()) == [trace]


def test_the_same_traces_give_the_same_bytes(traces: Path) -> None:
    first = run("export", "otlp", traces, "-o", "-").stdout
    assert first == run("export", "otlp", traces, "-o", "-").stdout
    assert [len(json.loads(line)["resourceSpans"]) for line in first.splitlines()] == [1, 1]


def test_spans_go_into_a_store_and_out_of_it(traces: Path, tmp_path: Path) -> None:
    spans, place, again = tmp_path / "a.jsonl", tmp_path / "store.db", tmp_path / "b.jsonl"
    run("export", "otlp", traces, "-o", spans)
    run("import", "otlp", spans, "--store", place)
    with Store(place) as store:
        assert len(store.get_sessions()) == 2
    run("export", "otlp", "--store", place, "--session", "t-1", "-o", again)
    assert again.read_bytes() in spans.read_bytes()
    run("export", "otlp", place, "-o", again)
    assert len(again.read_bytes().splitlines()) == 2


def test_a_session_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    Store(tmp_path / "store.db").close()
    options = ("--store", tmp_path / "store.db", "--session", "none", "-o", "-")
    assert "none" in run("export", "otlp", *options, code=1).output


def test_spans_are_sent_with_headers(
    traces: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-a=1%202,x-b=2")
    options = ("--endpoint", collector.endpoint, "--header", "x-b=3", "--resource", "team=x")
    assert "4 spans sent" in run("export", "otlp", traces, *options).output
    [(_, headers, _)] = collector.seen
    assert (headers["X-a"], headers["X-b"]) == ("1 2", "3")
    [first, *_] = collector.received()[0]["resourceSpans"]
    assert {"key": "team", "value": {"stringValue": "x"}} in first["resource"]["attributes"]


def test_spans_that_were_left_out_end_with_an_error(traces: Path, collector: Collector) -> None:
    reply = b'{"partialSuccess": {"rejectedSpans": "3", "errorMessage": "too \\u001b[31mold"}}'
    collector.answers = [(200, {"Content-Type": "application/json"}, reply)]
    result = run("export", "otlp", traces, "--endpoint", collector.endpoint, code=1)
    assert "too old" in result.output
    assert "left out 3 of 4 spans" in result.output


def test_a_header_is_not_shown_when_it_is_wrong(traces: Path) -> None:
    options = ("--endpoint", "http://localhost", "--header", "very-secret")
    result = run("export", "otlp", traces, *options, code=2)
    assert "very-secret" not in result.output


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("-o", "-", "--endpoint", "http://h"),
        ("-o", "x.txt"),
        ("-o", "-", "--session", "x"),
        ("-o", "-", "--store", "x"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: tuple[str, ...], traces: Path) -> None:
    run("export", "otlp", traces, *options, code=2)


def test_problems_are_told_and_kept(tmp_path: Path) -> None:
    spans, back = tmp_path / "spans.jsonl", tmp_path / "back.json"
    spans.write_bytes(msgspec.json.encode(request(span(1), {"name": "x"})) + b"\nno json\n")
    result = run("import", "otlp", spans, "-o", back)
    assert "malformed_span" in result.output
    assert "malformed_request: spans.jsonl:2" in result.output
    codes = {problem["code"] for problem in json.loads(back.read_bytes())["problems"]}
    assert codes == {"malformed_span", "malformed_request"}
    run("import", "otlp", spans, "-o", back, "--strict", code=1)


def test_of_many_problems_a_few_are_told(tmp_path: Path) -> None:
    spans = tmp_path / "spans.json"
    good = msgspec.json.encode(request(span(1)))
    spans.write_bytes(b"\n".join([good, *[b"{broken"] * 7]))
    result = run("import", "otlp", spans, "-o", tmp_path / "back.json")
    assert result.output.count("malformed_request") == 5
    assert "and 2 more problems" in result.output
    assert "1 trace in" in result.output


def test_problems_name_the_file_that_they_are_in(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(msgspec.json.encode(request(span(1))))
    bad.write_bytes(msgspec.json.encode(request({"name": "x"})))
    result = run("import", "otlp", good, bad, "-o", "-")
    assert "malformed_span: bad.json" in result.stderr


@pytest.mark.parametrize(
    ("options", "usd"), [((), 2.5), (("--prices", "none"), None), (("--prices", "PRICES"), 50.0)]
)
def test_calls_without_a_cost_are_priced(
    options: tuple[str, ...], usd: float | None, tmp_path: Path
) -> None:
    if not options:
        pytest.importorskip("genai_prices")
    spans, prices = tmp_path / "spans.json", tmp_path / "prices.json"
    prices.write_text('{"models": {"gpt-4o": {"input": 50, "output": 1}}}')
    call = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 1_000_000,
        "gen_ai.usage.output_tokens": 0,
        "gen_ai.usage.cache_read.input_tokens": 0,
    }
    spans.write_bytes(msgspec.json.encode(request(span(1), span(2, 1, attributes=call))))
    given = [str(prices) if option == "PRICES" else option for option in options]
    [line] = run("import", "otlp", spans, "-o", "-", *given).stdout.splitlines()
    assert json.loads(line)["metrics"]["cost"].get("usd") == usd


def test_prices_that_are_not_there_are_an_error(traces: Path, tmp_path: Path) -> None:
    spans = tmp_path / "spans.json"
    run("export", "otlp", traces, "-o", spans)
    run("import", "otlp", spans, "-o", "-", "--prices", tmp_path / "none.json", code=1)


def test_a_header_of_the_environment_is_checked_and_not_shown(
    traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-a=very-secret%0Ax")
    result = run("export", "otlp", traces, "--endpoint", "http://localhost", code=1)
    assert "x-a" in result.output
    assert "very-secret" not in result.output


def test_a_file_without_spans_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "spans.json").write_text("{}")
    result = run("import", "otlp", tmp_path / "spans.json", "-o", "-", code=1)
    assert "no spans of a trace" in result.output


def test_spans_of_a_run_become_a_trace_that_can_be_shown(tmp_path: Path) -> None:
    spans, back = tmp_path / "spans.json", tmp_path / "back.json"
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-a"}
    spans.write_bytes(msgspec.json.encode(request(span(1), span(2, 1, attributes=chat))))
    run("import", "otlp", spans, "-o", back)
    [trace] = read_traces(back)
    assert isinstance(trace, tr.Trace)
    assert trace.task_id in run("show", back).output
