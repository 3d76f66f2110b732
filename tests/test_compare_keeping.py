"""What a comparison keeps of each trial: little, whatever the trace holds, and all it needs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace import trace as tr
from evaltrace.compare import compare_traces
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.reading.keeping import Keeping, copied
from evaltrace.compare.reading.metric import find_metric
from evaltrace.compare.reading.reduction import to_trial
from evaltrace.compare.shelf import Cases, Evidence, Moves, Patch, Shelf
from evaltrace.compare.sides import Trial
from evaltrace.compare.treatment.servers import by_servers, seen_servers
from traces import minimal_trace

MANY = 3000


def _long_trace(name: str = "a", size: int = MANY) -> tr.Trace:
    """A trace in which everything that may be long is."""
    lines = [f"a line of {name}, number {number}" for number in range(size)]
    text = "\n".join(lines)
    diff = f"--- a/x\n+++ b/x\n@@ -0,0 +1,{size} @@\n" + "".join(f"+{line}\n" for line in lines)
    return minimal_trace(
        trace_id=name,
        task_id=name,
        task_instruction=text,
        agent_request=tr.AgentRequest(prompt=text),
        agent_response=tr.AgentResponse(
            result=text, permission_denials=[tr.PermissionDenial(tool_name=text)]
        ),
        code_changes=diff,
        code_stats=tr.CodeStats(
            source="artifact", complete=True, files_changed=size, lines_added=1, lines_removed=0,
            files=[tr.FileChange(path=line, change="modified") for line in lines],
        ),
        test_output=text,
        tests=tr.Tests(
            summary=tr.TestSummary(total=size),
            cases=[tr.TestCase(name=line, status="passed", message=text[:99]) for line in lines],
            source="ctrf",
        ),
        events=[
            tr.Event(id=line, type="tool_call", name="Bash", input={"command": line}, output=line)
            for line in lines
        ],
        context=dict.fromkeys(lines, "x"),
        sources=dict.fromkeys(lines, "x"),
        bottlenecks=[
            tr.Bottleneck(stage=line, time_spent_s=1, percentage_of_total=1) for line in lines
        ],
        error=tr.TraceError(
            type="x", message=text, evidence=[tr.Evidence(path=line) for line in lines]
        ),
    )  # fmt: skip


def _to_trial(trace: tr.Trace, keeping: Keeping | None = None, **options: Any) -> Trial:
    return to_trial(
        copied(trace), find_metric("reward"), CompareOptions(**options), keeping=keeping
    )


def _bytes_of(value: Any, counted: set[int]) -> int:
    """Add up the memory of a value and of all it holds, but for the shelf that trials share."""
    if id(value) in counted or isinstance(value, Shelf):
        return 0
    counted.add(id(value))
    parts: list[Any] = []
    if isinstance(value, dict):
        parts = [*value, *value.values()]
    elif isinstance(value, list | tuple | set):
        parts = [*value]
    elif hasattr(value, "__slots__") or isinstance(value, msgspec.Struct):
        names = getattr(value, "__struct_fields__", None) or value.__slots__
        parts = [getattr(value, name) for name in names]
    return sys.getsizeof(value) + sum(_bytes_of(part, counted) for part in parts)


def test_what_is_kept_of_a_trial_does_not_grow_with_its_trace() -> None:
    assert len(msgspec.json.encode(_long_trace())) > 1_000_000
    kept = _bytes_of(_to_trial(_long_trace()), set())
    assert kept < 5000
    assert kept < _bytes_of(_to_trial(_long_trace(size=10)), set()) + 100


def test_trials_that_say_the_same_share_what_they_say() -> None:
    keeping = Keeping(CompareOptions())
    first, second = (_to_trial(_long_trace(name, 2), keeping).trace for name in "ab")
    assert first.trace_id != second.trace_id
    assert first.agent_config is second.agent_config
    assert first.task is second.task


def test_a_trial_tells_whether_it_called_a_tool_of_a_server() -> None:
    asked = {}
    for server in (None, "search"):
        trace = minimal_trace(tools=tr.Tools(calls=[tr.ToolCalls(name="find", server=server)]))
        asked[server] = _to_trial(trace).asks_servers
    assert asked == {None: False, "search": True}


def test_trials_of_the_same_servers_are_looked_into_once() -> None:
    keeping = Keeping(CompareOptions())
    seen = [None, "search", None, "search", "search"]
    trials = [
        _to_trial(minimal_trace(tools=tr.Tools(mcp_servers=name and [tr.McpServer(name=name)])),
                  keeping)
        for name in seen
    ]  # fmt: skip
    found = by_servers(trials)
    assert {number: seen_servers(one) for one, number in found} == {2: set(), 3: {"search"}}


def test_what_no_comparison_reads_of_the_models_is_let_go() -> None:
    usage = {"one": tr.ModelUsage(input_tokens=5)}
    trace = minimal_trace(agent_response=tr.AgentResponse(model_usage=usage))
    kept = _to_trial(trace).trace.agent_response
    assert kept is not None
    assert [*(kept.model_usage or ())] == ["one"]
    usage["two"] = tr.ModelUsage(input_tokens=7)
    kept = _to_trial(trace).trace.agent_response
    assert kept is not None
    assert kept.model_usage == usage


def test_traces_that_are_compared_in_memory_stay_as_they_were() -> None:
    traces = [_long_trace("a", 20)]
    before = msgspec.json.encode(traces)
    compare_traces(traces, traces)
    assert msgspec.json.encode(traces) == before


@pytest.mark.parametrize("field", ["context.branch", "context", "bottlenecks", "error.message"])
def test_a_part_that_an_option_names_is_kept(field: str) -> None:
    trace = _long_trace(size=2)
    trace.context = {"branch": "main"}
    kept = _to_trial(trace, group_by=(field,)).trace
    name = field.partition(".")[0]
    assert getattr(kept, name) == getattr(trace, name)
    assert kept.sources == {}


def test_a_comparison_is_the_same_without_room_for_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    arms = [[_long_trace(f"{arm}-{n}", MANY + n) for n in range(3)] for arm in "ab"]
    for arm, reward in zip(arms, (0.0, 1.0), strict=True):
        for trace in arm:
            trace.test_reward, trace.error, trace.status = reward, None, "pass"
    usual = msgspec.json.encode(compare_traces(*arms))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    assert msgspec.json.encode(compare_traces(*arms)) == usual
    assert b'"compared":0' in usual  # its evidence was looked at


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
_EVIDENCE = st.builds(
    Evidence,
    moves=st.none() | st.lists(_TEXTS, max_size=4).map(tuple),
    cases=st.none() | st.dictionaries(_TEXTS, _TEXTS, max_size=4),
    diff=st.none() | _TEXTS,
    paths=st.none() | st.lists(_TEXTS, max_size=4),
)


@given(st.lists(_EVIDENCE, max_size=8), st.integers(0, 200))
def test_what_is_put_on_a_shelf_comes_back(rows: list[Evidence], in_memory: int) -> None:
    shelf = Shelf(in_memory)
    places = [shelf.put(row) for row in rows]
    for row, place in reversed(list(zip(rows, places, strict=True))):
        assert place is not None
        assert place.read(Moves).moves == row.moves
        assert place.read(Cases).cases == row.cases
        assert place.read(Patch) == Patch(row.diff, row.paths)


def test_evidence_that_cannot_be_written_stays_in_memory() -> None:
    trace = _long_trace(size=2)
    trace.code_changes = "+\ud83d"
    kept = _to_trial(trace)
    assert kept.shelved is None
    assert kept.read_patch().diff == trace.code_changes
    assert kept.read_cases() == {case.name: "passed" for case in trace.tests.cases}  # type: ignore[union-attr]


# What is loaded.


def _printed(code: str) -> list[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()


_LIBRARY = "import sys; from evaltrace.stats.quantiles import t_quantile; t_quantile(0.9, 3);"
_OURS = "from evaltrace.stats import compiled; compiled.in_parts = True;"
_LOAD = f"{_OURS} {_LIBRARY}"


def test_statistics_load_the_compiled_functions_alone() -> None:
    heavy = "{'scipy.special', 'numpy.f2py', 'numpy.testing'}"
    code = f"{_LOAD} print('scipy.special._ufuncs' in sys.modules, *{heavy} & {{*sys.modules}})"
    assert _printed(code) == ["True"]


def test_the_package_is_whole_for_whoever_asks_for_it_later() -> None:
    code = (
        f"{_LOAD} import scipy.special; from evaltrace.stats import compiled;"
        "print(scipy.special.logsumexp([0.0]), scipy.special.ndtri is compiled.special().ndtri)"
    )
    assert _printed(code) == ["0.0", "True"]


def test_the_whole_package_serves_where_its_compiled_part_does_not() -> None:
    code = (
        f"{_OURS} compiled._FUNCTIONS = ('logsumexp',);"
        "whole = compiled.special();"
        "print(whole.logsumexp([0.0]), round(whole.stdtrit(10, 0.975), 3))"
    )
    assert _printed(code) == ["0.0", "2.228"]


@pytest.mark.parametrize(
    "before",
    [
        "",
        f"{_OURS} from threading import Event, Thread;"
        "Thread(target=Event().wait, daemon=True).start();",
    ],
    ids=["in another program", "beside a thread"],
)
def test_nothing_empty_stands_where_others_may_look(before: str) -> None:
    code = (
        f"import sys; {before} from evaltrace.stats.compiled import raw_stream; {_LIBRARY}"
        "raw_stream(1); print('scipy.special' in sys.modules);"
        "import numpy as np; print(hasattr(np.random, 'bit_generator'))"
    )
    assert _printed(code) == ["True", "True"]
