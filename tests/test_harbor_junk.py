"""Any value of any JSON file of a job may be anything: no trial is lost by it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from aggregated import aggregate, codes
from job_dirs import CODESEARCH, Step, write_job

JUNK: list[Any] = [
    None,
    [],
    {},
    "",
    "x",
    -1,
    0,
    1.5,
    True,
    10**400,
    float("nan"),
    float("inf"),
    "\ud800",
    "2026-99-99T00:00:00Z",
    ["x"],
    {"a": {"b": [1]}},
]
JOBS: dict[str, dict[str, Any]] = {
    "whole": {
        "trials": [
            {
                "task": "acme/add-flag",
                "exception": "AgentTimeoutError",
                "mcp_servers": [CODESEARCH],
                "artifacts": {"/tmp/agent.patch": ""},
            }
        ]
    },
    "steps": {"trials": [{"task": "x", "steps": [Step(name="a"), Step(name="b")]}]},
    "old": {"trials": ["x"], "version": "0.1.18"},
    "running": {"trials": [{"task": "x", "state": "running"}], "finished": False},
}
NAMES = {"result.json", "config.json", "lock.json", "ctrf.json", "manifest.json", ".claude.json"}

Place = tuple[str | int, ...]


def places(value: Any, above: Place = ()) -> Iterator[Place]:
    yield above
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], (*above, key))


def replaced(value: Any, place: Place, junk: Any) -> Any:
    if not place:
        return junk
    whole = copy.deepcopy(value)
    inner = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = junk
    return whole


@pytest.fixture(scope="module", params=JOBS)
def job(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("junk")
    fields = dict(JOBS[request.param])
    return write_job(root, request.param, fields.pop("trials"), **fields)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
@example(data=None)
def test_no_value_costs_a_trial(job: Path, data: st.DataObject | None) -> None:
    files = sorted(path for path in job.rglob("*.json") if path.name in NAMES)
    if data is None:
        assert len(aggregate(job)["traces"]) == 1
        return
    path = data.draw(st.sampled_from(files))
    text = path.read_text()
    document = json.loads(text)
    place = data.draw(st.sampled_from(list(places(document))))
    junk = data.draw(st.sampled_from(JUNK))
    try:
        path.write_text(json.dumps(replaced(document, place, junk)))
        found = aggregate(job)
        assert len(found["traces"]) == 1
        assert not codes(found) & {"reader_failed", "invalid_trace"}
    finally:
        path.write_text(text)
