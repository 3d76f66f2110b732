"""A real receiver: Phoenix takes our spans, and shows them as they were meant.

EVALTRACE_TEST_PHOENIX names its command (python -m pip install arize-phoenix brings it).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from evaltrace import trace as tr
from evaltrace.files import read_traces
from evaltrace.otlp import Receiver, to_otlp

PHOENIX = os.environ.get("EVALTRACE_TEST_PHOENIX") or shutil.which("phoenix")
EXAMPLES = Path(__file__).parents[1] / "examples" / "jobs" / "with-codesearch"
START_S = 120

pytestmark = pytest.mark.skipif(
    not PHOENIX, reason="no Phoenix: name its command in EVALTRACE_TEST_PHOENIX"
)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("phoenix")
    ports = [str(_free_port()), str(_free_port())]
    environment = {
        **os.environ,
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": ports[0],
        "PHOENIX_GRPC_PORT": ports[1],
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    log = (folder / "log").open("wb")
    server = subprocess.Popen([str(PHOENIX), "serve"], env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{ports[0]}"
        _wait_for(server, f"{url}/healthz", folder / "log")
        yield url
    finally:
        server.terminate()
        server.wait(30)
        log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.poll() is None:
        try:
            urlopen(url, timeout=5).close()
        except (URLError, OSError):
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"Phoenix did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> list[tr.Trace]:
    from evaltrace import aggregate_jobs

    path = tmp_path_factory.mktemp("traces") / "traces.json"
    aggregate_jobs([str(EXAMPLES)], path)
    return list(read_traces(path))


@pytest.fixture(scope="module")
def spans(endpoint: str, traces: list[tr.Trace]) -> list[dict[str, Any]]:
    """The spans as Phoenix gives them back."""
    sent = Receiver(endpoint).send(to_otlp(trace, content=True) for trace in traces)
    assert sent.rejected == 0
    found: list[dict[str, Any]] = []
    until = time.monotonic() + START_S
    while len(found) < sent.spans and time.monotonic() < until:
        time.sleep(0.2)
        with urlopen(f"{endpoint}/v1/projects/default/spans?limit=1000", timeout=30) as reply:
            found = json.load(reply)["data"]
    assert len(found) == sent.spans
    return found


def test_every_span_has_its_parent(spans: list[dict[str, Any]], traces: list[tr.Trace]) -> None:
    known = {span["context"]["span_id"] for span in spans}
    roots = [span for span in spans if not span["parent_id"]]
    assert len(roots) == len(traces)
    assert all(span["parent_id"] in known for span in spans if span["parent_id"])
    assert {span["span_kind"] for span in roots} == {"AGENT"}


def test_calls_are_taken_for_what_they_are(
    spans: list[dict[str, Any]], traces: list[tr.Trace]
) -> None:
    events = [event for trace in traces for event in trace.events or []]
    tools = [span for span in spans if span["span_kind"] == "TOOL"]
    models = [span for span in spans if span["span_kind"] == "LLM"]
    assert len(tools) == sum(event.type == "tool_call" for event in events) > 0
    assert len(models) == sum(event.role == "assistant" for event in events) > 0
    failed = sum(event.type == "tool_call" and event.status == "error" for event in events)
    assert sum(span["status_code"] == "ERROR" for span in tools) == failed > 0


def test_tokens_are_those_of_the_traces(endpoint: str, traces: list[tr.Trace], spans: Any) -> None:
    query = "{ projects { edges { node { tokenCountPrompt tokenCountCompletion traceCount } } } }"
    asked = Request(f"{endpoint}/graphql", json.dumps({"query": query}).encode())
    asked.add_header("Content-Type", "application/json")
    with urlopen(asked, timeout=30) as reply:
        [edge] = json.load(reply)["data"]["projects"]["edges"]
    usages = [event.usage for trace in traces for event in trace.events or [] if event.usage]
    given = sum(
        (usage.input_tokens or 0)
        + (usage.cache_creation_input_tokens or 0)
        + (usage.cache_read_input_tokens or 0)
        for usage in usages
    )
    made = sum(usage.output_tokens or 0 for usage in usages)
    told = edge["node"]
    assert (told["tokenCountPrompt"], told["tokenCountCompletion"]) == (given, made)
    assert told["traceCount"] == len(traces)
