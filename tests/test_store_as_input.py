"""A store stands wherever a file of traces does: shown, validated, queried, compared."""

from __future__ import annotations

import json
import os
import sqlite3
import tracemalloc
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from evaltrace.cli import main
from evaltrace.errors import StoreFailure
from evaltrace.files import read_items, read_traces
from evaltrace.store import Store
from evaltrace.trace import Event, Task, Trace
from traces import distinct_trace, minimal_trace


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def stored(path: Path, *traces: Trace) -> Path:
    with Store(path) as store:
        store.add_all(traces)
    return path


def arm(name: str, rewards: dict[str, float]) -> list[Trace]:
    return [
        minimal_trace(
            trace_id=f"{name}-{task}",
            task_id=f"{task}__{name}",
            task=Task(name=task),
            arm=name,
            test_reward=reward,
            rewards={"reward": reward},
            status="pass" if reward == 1 else "fail",
        )
        for task, reward in rewards.items()
    ]


BASELINE = arm("baseline", {"a": 0.0, "b": 0.0, "c": 1.0, "d": 1.0})
TREATED = arm("treated", {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0})


def as_file(path: Path, traces: list[Trace]) -> Path:
    path.write_bytes(b"".join(msgspec.json.encode(trace) + b"\n" for trace in traces))
    return path


def by_id(traces: Any) -> dict[str, Trace]:
    return {trace.trace_id: trace for trace in traces}


def test_traces_are_read_as_they_were_stored(tmp_path: Path) -> None:
    odd = minimal_trace(trace_id="odd", task_instruction="\ud800", context={"x": float("inf")})
    traces = [distinct_trace(), odd, *BASELINE]
    path = stored(tmp_path / "a.db", *traces)
    assert by_id(read_traces(path)) == by_id(traces)


def test_the_name_of_the_file_does_not_matter(tmp_path: Path) -> None:
    path = stored(tmp_path / "traces.json", *BASELINE)
    assert len(list(read_traces(path))) == 4


def test_what_is_watched_is_the_same_each_time(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.db", minimal_trace(task_instruction="\ud800"), *BASELINE)
    digests = []
    for _ in range(2):
        running = sha256()
        for _ in read_items(path, running.update):
            pass
        digests.append(running.hexdigest())
    assert digests[0] == digests[1] != sha256().hexdigest()


def test_reading_leaves_the_store_and_its_folder_alone(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.db", *BASELINE)
    before = path.read_bytes()
    assert len(list(read_traces(path))) == 4
    assert run("validate", path).exit_code == 0
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]


def open_files_below(folder: Path) -> list[str]:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("this system does not list open files")
    targets = [os.readlink(found) for found in descriptors.iterdir() if found.is_symlink()]
    return [target for target in targets if target.startswith(str(folder))]


def test_a_reader_that_stops_early_lets_go_of_the_store(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.db", *BASELINE)
    traces = read_traces(path)
    assert next(traces).arm == "baseline"
    assert open_files_below(tmp_path)
    traces.close()  # type: ignore[attr-defined]
    assert not open_files_below(tmp_path)


def test_a_live_session_is_a_trace_like_others(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Store(path) as store:
        store.start_session("nightly", trace_id="s-1", agent="orchestrator")
        store.save_trace(Event(id="1", type="file_read"), "s-1")
        [trace] = read_traces(path)  # while somebody writes
    assert (trace.trace_id, trace.status) == ("s-1", "running")
    assert [event.type for event in trace.events or []] == ["file_read"]
    assert run("validate", path).exit_code == 0


def test_memory_is_that_of_one_trace(tmp_path: Path) -> None:
    large = [Event(id=str(n), type="message", text="x" * 1000) for n in range(200)]
    path = stored(
        tmp_path / "a.db", *(minimal_trace(trace_id=f"t-{n}", events=large) for n in range(30))
    )
    next(iter(read_traces(path)))  # loads what it needs
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_traces(path)) == 30
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3e6 < path.stat().st_size


# Commands.


def test_show_lists_and_shows_them(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.db", *BASELINE)
    assert "baseline-a" in run("show", path).stdout
    found = run("show", path, "baseline-a", "--format", "json")
    assert json.loads(found.stdout)["trace_id"] == "baseline-a"


def test_validate_counts_them(tmp_path: Path) -> None:
    result = run("validate", stored(tmp_path / "a.db", distinct_trace(), *BASELINE))
    assert (result.stdout, result.stderr) == ("", "0 errors in 5 traces of 1 file\n")


def test_validate_names_the_session(tmp_path: Path) -> None:
    wrong = minimal_trace(trace_id="s-7", attempt=-3)
    path = stored(tmp_path / "a.db", *BASELINE, wrong)
    result = run("validate", path)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}: session s-7: $.attempt: ")
    assert result.stderr == "1 error in 5 traces of 1 file\n"


def test_validate_finds_damage_in_the_store_itself(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.db", *BASELINE)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE sessions SET total_events = 77 WHERE id = 'baseline-a'")
    result = run("validate", path)
    assert result.exit_code == 1
    assert "baseline-a" in result.stdout


def test_validate_reports_a_damaged_file(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.db", *BASELINE)
    path.write_bytes(path.read_bytes()[:9000])
    result = run("validate", path)
    assert result.exit_code == 1
    assert "damaged" in result.stdout


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (x)")
    before = path.read_bytes()
    with pytest.raises(StoreFailure, match="another program"):
        list(read_traces(path))
    assert run("validate", path).exit_code == 1
    assert run("show", path).exit_code == 1
    assert path.read_bytes() == before


def test_query_unites_stores_and_files(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    one = stored(tmp_path / "a.db", *BASELINE)
    two = as_file(tmp_path / "b.jsonl", TREATED)
    sql = (
        "SELECT source_file, arm, sum(passed::INT) AS passed FROM trials GROUP BY ALL ORDER BY ALL"
    )
    rows = json.loads(run("query", sql, one, two, "--format", "json").stdout)
    assert rows == [
        {"source_file": str(one), "arm": "baseline", "passed": 2},
        {"source_file": str(two), "arm": "treated", "passed": 3},
    ]


def numbers_of(*arguments: object) -> dict[str, Any]:
    """Give what a comparison found, without the places that it read it from."""
    result = run("compare", *arguments, "--format", "json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    return {key: found[key] for key in ("denominators", "effect", "flips") if key in found}


def test_arms_in_stores_compare_as_those_in_files(tmp_path: Path) -> None:
    stores = [stored(tmp_path / "a.db", *BASELINE), stored(tmp_path / "b.db", *TREATED)]
    files = [as_file(tmp_path / "a.jsonl", BASELINE), as_file(tmp_path / "b.jsonl", TREATED)]
    of_stores = numbers_of(f"base={stores[0]}", f"with={stores[1]}")
    assert of_stores == numbers_of(f"base={files[0]}", f"with={files[1]}")
    assert of_stores


def test_a_store_that_holds_both_arms_is_split(tmp_path: Path) -> None:
    both = stored(tmp_path / "both.db", *BASELINE, *TREATED)
    apart = as_file(tmp_path / "both.jsonl", [*BASELINE, *TREATED])
    assert numbers_of(both) == numbers_of(apart)
    assert numbers_of(both)


def test_an_empty_store_is_no_arm(tmp_path: Path) -> None:
    empty, full = stored(tmp_path / "empty.db"), stored(tmp_path / "full.db", *BASELINE)
    result = run("compare", full, empty)
    assert result.exit_code == 1
    assert "holds no trace" in result.stderr
    assert "evaltrace store add" in result.stderr
