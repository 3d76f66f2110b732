"""Metrics of a store, as Prometheus gets to read them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from evaltrace.cli import main
from evaltrace.errors import ServingFailure, StoreFailure
from evaltrace.metrics import address_of, open_server, read_totals, render_exposition
from evaltrace.metrics.labels import REST, fold
from evaltrace.metrics.totals import STEP_BOUNDS_S
from evaltrace.record import recording
from evaltrace.store import Store
from evaltrace.trace import (
    Agent,
    AgentConfig,
    Cost,
    Durations,
    Event,
    Metrics,
    Origin,
    Tokens,
    Trace,
    TraceError,
    Trigger,
)
from traces import minimal_trace

parser = pytest.importorskip("prometheus_client.parser")

Samples = dict[str, float]


def live_run(number: int, status: str, intent: str = "development_flow", **more: Any) -> Trace:
    """A finished pipeline as the recorder leaves it."""
    steps = [
        Event(id="1", type="step", name="development_agent", status="success", duration_ms=2000),
        Event(id="2", type="step", name="review_agent", status="blocked", duration_ms=90_000),
        Event(id="3", type="file_read", parent_id="1"),
    ]
    fields: dict[str, Any] = {
        "trace_id": f"run-{number}",
        "status": status,
        "origin": Origin(kind="recorder"),
        "agent_config": AgentConfig(agent=Agent(name="orchestrator"), model="acme/large"),
        "trigger": Trigger(source="jira_webhook", intent_type=intent),
        "metrics": Metrics(
            tokens=Tokens(input=100, output=20, cache_read=5, total=120),
            cost=Cost(usd=0.25, source="reported"),
            durations=Durations(total_s=92.0),
        ),
        "events": steps,
    }
    return minimal_trace(**{**fields, **more})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store of three finished pipelines, a benchmark trial, and a run that goes on."""
    stuck = TraceError(type="Timeout", message="too slow", cause="agent_exhausted_budget")
    path = tmp_path / "runs.db"
    with Store(path) as store:
        store.add(live_run(1, "pass"))
        store.add(live_run(2, "pass"))
        store.add(live_run(3, "partial", "review_code", error=stuck))
        store.add(minimal_trace(trace_id="trial-1"))
        store.start_session("nightly", trace_id="run-4")
    return path


def samples_in(text: str) -> Samples:
    """Give each sample as `name{label="value",...}`; what is no exposition does not parse."""
    found = {}
    for family in parser.text_string_to_metric_families(text):
        assert family.documentation
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


@contextmanager
def serving(place: Path, said: list[str] | None = None) -> Iterator[str]:
    """Serve a store on a free port, and give the address."""
    report = (lambda line: None) if said is None else said.append
    with open_server(place, 0, report=report) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield address_of(server)
        server.shutdown()
        thread.join()


@pytest.fixture
def address(place: Path) -> Iterator[str]:
    with serving(place) as address:
        yield address


def scrape(address: str) -> Samples:
    with urlopen(address) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return samples_in(answer.read().decode())


def test_a_scrape_tells_what_the_store_holds(address: str) -> None:
    samples = scrape(address)
    assert address.startswith("http://127.0.0.1:")
    assert samples.pop("evaltrace_store_size_bytes") > 10_000
    assert {key: value for key, value in samples.items() if "_bucket" not in key} == {
        "evaltrace_up": 1,
        'evaltrace_runs{intent_type="development_flow",status="pass"}': 2,
        'evaltrace_runs{intent_type="review_code",status="partial"}': 1,
        'evaltrace_runs{intent_type="",status="pass"}': 1,
        'evaltrace_runs{intent_type="",status="running"}': 1,
        "evaltrace_running_runs": 1,
        'evaltrace_tokens{kind="input",model="acme/large"}': 300,
        'evaltrace_tokens{kind="output",model="acme/large"}': 60,
        'evaltrace_tokens{kind="cache_read",model="acme/large"}': 15,
        'evaltrace_cost_dollars{model="acme/large"}': 0.75,
        'evaltrace_errors{cause="agent_exhausted_budget"}': 1,
        'evaltrace_events{type="step"}': 6,
        'evaltrace_events{type="file_read"}': 3,
        'evaltrace_step_duration_seconds_count{agent_name="development_agent"}': 3,
        'evaltrace_step_duration_seconds_sum{agent_name="development_agent"}': 6,
        'evaltrace_step_duration_seconds_count{agent_name="review_agent"}': 3,
        'evaltrace_step_duration_seconds_sum{agent_name="review_agent"}': 270,
    }  # fmt: skip


def test_buckets_count_up_to_their_bound(place: Path) -> None:
    samples = samples_in(render_exposition(place))
    bucket = 'evaltrace_step_duration_seconds_bucket{{agent_name="review_agent",le="{}"}}'
    counts = [samples[bucket.format(le)] for le in ("0.1", "60.0", "120.0", "3600.0", "+Inf")]
    assert counts == [0, 0, 3, 3, 3]


def test_every_duration_is_in_one_bucket(tmp_path: Path) -> None:
    durations = [0, 99.9, *(1000 * bound for bound in STEP_BOUNDS_S), 3_600_000.1, 1e12]
    steps = [
        Event(id=str(n), type="step", name="a", duration_ms=d) for n, d in enumerate(durations)
    ]
    endless = Event(id="x", type="step", name="a", status="started")
    path = tmp_path / "steps.db"
    with Store(path) as store:
        store.add(live_run(1, "pass", events=[*steps, endless]))
    [(number, seconds, *counts)] = read_totals(path).steps.values()
    assert counts == [3, *[1] * (len(STEP_BOUNDS_S) - 1), 2]
    assert number == len(durations)
    assert seconds == pytest.approx(sum(durations) / 1000)


def test_the_next_scrape_sees_what_was_stored_meanwhile(address: str, place: Path) -> None:
    key = 'evaltrace_runs{intent_type="development_flow",status="fail"}'
    before = scrape(address)
    with Store(place) as store:
        store.add(live_run(9, "fail"))
        store.end_session("run-4", "success")
        after = scrape(address)
    assert key not in before
    assert after[key] == 1
    assert after["evaltrace_running_runs"] == 0


def test_a_recorded_pipeline_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    trigger = Trigger(source="jira_webhook", intent_type="development_flow")
    with recording(
        "orchestrator", "development_flow", folder=tmp_path, store=path, trigger=trigger
    ) as run:
        with run.step("development_agent", "Write it"):
            run.event("llm_call", model="acme/large", input_tokens=70, output_tokens=7)
        with run.step("code_review_agent", "Review it") as step:
            step.block("Code review blocked")
    samples = samples_in(render_exposition(path))
    assert samples['evaltrace_runs{intent_type="development_flow",status="partial"}'] == 1
    for agent in ("development_agent", "code_review_agent"):
        count = f'evaltrace_step_duration_seconds_count{{agent_name="{agent}"}}'
        assert samples[count] == 1
    assert sum(n for key, n in samples.items() if key.startswith("evaltrace_tokens")) == 77


def test_totals_fall_when_runs_are_removed(place: Path) -> None:
    with Store(place) as store:
        store.end_session("run-4", "success")
        store.cleanup_old_traces(0, benchmark=True)
        left = len(store.get_sessions())
    samples = samples_in(render_exposition(place))
    assert sum(value for key, value in samples.items() if key.startswith("evaltrace_runs")) == left


def test_types_are_those_of_numbers_that_may_fall(place: Path) -> None:
    text = render_exposition(place)
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    histograms = [name for name, kind in types.items() if kind == "histogram"]
    assert histograms == ["evaltrace_step_duration_seconds"]
    assert {kind for name, kind in types.items() if name not in histograms} == {"gauge"}


def test_a_store_that_vanished_is_down_and_said_once(place: Path) -> None:
    said: list[str] = []
    with serving(place, said) as address:
        place.rename(place.with_name("elsewhere.db"))
        down = [scrape(address) for _ in range(2)]
        place.with_name("elsewhere.db").rename(place)
        again = scrape(address)
    assert down == [{"evaltrace_up": 0}] * 2
    assert again["evaltrace_up"] == 1
    assert len(said) == 1


def test_a_store_may_come_later(tmp_path: Path) -> None:
    path, said = tmp_path / "later.db", list[str]()
    with serving(path, said) as address:
        assert "There is no store" in said[0]
        assert scrape(address) == {"evaltrace_up": 0}
        with Store(path) as store:
            store.add(live_run(1, "pass"))
        assert scrape(address)["evaltrace_up"] == 1
    assert len(said) == 1


def test_scrapes_at_once_while_runs_are_stored_each_see_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "busy.db"
    steps = 'evaltrace_step_duration_seconds_count{agent_name="review_agent"}'

    def consistent(_: int) -> bool:
        samples = scrape(address)
        runs = sum(value for key, value in samples.items() if key.startswith("evaltrace_runs{"))
        return samples.get(steps, 0) == runs == samples.get('evaltrace_events{type="file_read"}', 0)

    with Store(path) as store, serving(path) as address, ThreadPoolExecutor(4) as pool:
        scrapes = pool.map(consistent, range(24))
        for number in range(100):
            store.add(live_run(number, "pass"))
        assert all(scrapes)


def test_reading_changes_nothing(place: Path) -> None:
    before = place.read_bytes()
    render_exposition(place)
    assert place.read_bytes() == before


# Labels.


def test_numbers_of_equal_labels_are_summed() -> None:
    rows = [(("fix", "pass"), (1.0, 2.0)), (("fix", "pass"), (3.0, 4.0)), (("fix", "fail"), (1, 1))]
    assert fold(rows) == {("fix", "fail"): (1, 1), ("fix", "pass"): (4.0, 6.0)}


def test_only_the_most_frequent_values_are_named() -> None:
    rows = [((name,), (number,)) for name, number in (("a", 1), ("b", 5), ("c", 1), ("d", 3))]
    assert fold(rows, most=2) == {("b",): (5,), ("d",): (3,), (REST,): (2,)}


def test_labels_are_one_short_printable_line() -> None:
    [(name,)] = fold([(("\x1b[31mred\x1b[0m\nalert \ud800" + "x" * 500,), (1,))])
    assert name.startswith("red alert \ufffdxx")
    assert len(name) <= 100


@given(st.lists(st.tuples(st.tuples(st.text(), st.text()), st.tuples(st.integers(0, 9)))))
def test_nothing_is_lost_and_labels_are_bounded(
    rows: list[tuple[tuple[str, str], tuple[int]]],
) -> None:
    sums = fold(rows, most=3)
    assert sum(number for (number,) in sums.values()) == sum(number for _, (number,) in rows)
    for position in range(2):
        assert len({values[position] for values in sums}) <= 4


def test_absurd_numbers_do_not_hide_the_others(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    metrics = Metrics(tokens=Tokens(input=2**62), cost=Cost(), durations=Durations())
    with Store(path) as store:
        store.add_all(live_run(n, "pass", metrics=metrics) for n in range(3))
    samples = samples_in(render_exposition(path))
    assert samples['evaltrace_tokens{kind="input",model="acme/large"}'] == 3 * 2.0**62
    assert sum(value for key, value in samples.items() if "_runs{" in key) == 3


def test_hostile_names_neither_break_the_exposition_nor_flood_it(tmp_path: Path) -> None:
    path = tmp_path / "odd.db"
    names = [
        'a"}\n# TYPE x counter\nx 1',
        "back\\slash",
        "\x1b[2J",
        "é\u2028ü",
        *map(str, range(99)),
    ]
    with Store(path) as store:
        store.add_all(live_run(n, "pass", intent=name) for n, name in enumerate(names))
    runs = {k: v for k, v in samples_in(render_exposition(path)).items() if "_runs{" in k}
    assert len(runs) == 51
    assert sum(runs.values()) == len(names)


# The command.


def test_once_prints_what_a_scrape_gets(place: Path) -> None:
    result = CliRunner().invoke(main, ["metrics", "--store", str(place), "--once"])
    assert result.exit_code == 0
    assert result.stdout == render_exposition(place)


def test_the_store_may_be_named_by_the_environment(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALTRACE_STORE", str(place))
    result = CliRunner().invoke(main, ["metrics", "--once"])
    assert result.stdout == render_exposition()


def test_no_store_is_an_error_with_advice(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["metrics", "--store", str(tmp_path / "none.db"), "--once"])
    assert result.exit_code == 1
    assert "There is no store" in result.stderr
    with pytest.raises(StoreFailure):
        read_totals(tmp_path / "none.db")


def test_a_port_that_is_taken_is_our_error(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServingFailure, match="in use"):
            open_server(place, port)
        result = CliRunner().invoke(main, ["metrics", "--store", str(place), "--port", str(port)])
    assert result.exit_code == 1
    assert "--port 0" in result.stderr


def test_a_host_that_nobody_knows_is_our_error(place: Path) -> None:
    with pytest.raises(ServingFailure):
        open_server(place, 0, host="256.256.256.256")


def test_a_missing_package_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    result = CliRunner().invoke(main, ["metrics", "--store", str(place), "--once"])
    assert result.exit_code == 1
    assert "pip install 'evaltrace[metrics]'" in result.stderr


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_command_serves_until_it_is_stopped(place: Path, stop: int, code: int) -> None:
    command = [sys.executable, "-m", "evaltrace", "metrics", "--store", str(place), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as running:
        assert running.stderr is not None
        [address] = re.findall(r"http://\S+", running.stderr.readline())
        assert scrape(address)["evaltrace_up"] == 1
        running.send_signal(stop)
        rest = running.stderr.read()
    assert running.returncode == code
    assert "Traceback" not in rest
