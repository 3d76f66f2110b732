"""`evaltrace store`: what people type, and what they see."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from aggregated import EXAMPLES, aggregate_bytes
from evaltrace.cli import main
from evaltrace.files import read_traces
from evaltrace.store import Store, is_store
from evaltrace.trace import Event, Origin, Task
from traces import minimal_trace

JOB = EXAMPLES / "with-codesearch"
OLD = Origin(kind="recorder", started_at="2020-01-01T00:00:00Z", finished_at="2020-01-01T01:00:00Z")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with a trial that failed, and a live run that is old."""
    path = tmp_path / "runs.db"
    events = [
        Event(id="1", type="message", text="Look at \x1b[31mthis\x1b[0m"),
        Event(id="2", type="tool_call", name="Bash", status="error", output="Permission denied",
              started_at="2026-02-03T12:00:01Z", duration_ms=2500.0),
    ]  # fmt: skip
    with Store(path) as store:
        store.add(minimal_trace(trace_id="abc-1", status="fail", events=events))
        store.add(
            minimal_trace(trace_id="abd-2", origin=OLD, task=Task(name="\x1b]0;evil\x07task"))
        )
    return path


def run(*arguments: str | Path, store: Path | None = None) -> Result:
    environment = None if store is None else {"EVALTRACE_STORE": str(store)}
    return CliRunner().invoke(main, ["store", *map(str, arguments)], env=environment)


def said(*arguments: str | Path, store: Path) -> str:
    done = run(*arguments, store=store)
    assert done.exit_code == 0, done.output
    return done.stdout


def lines(*arguments: str | Path, store: Path) -> list[dict[str, object]]:
    text = said(*arguments, "--format", "json", store=store)
    return [json.loads(line) for line in text.splitlines()]


def test_a_job_and_a_file_of_its_traces_are_added_once(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    file = tmp_path / "traces.json"
    file.write_bytes(aggregate_bytes(JOB))
    first = run("add", JOB, "--arm", "mcp", "--prices", "none", "--store", path)
    assert first.exit_code == 0, first.output
    assert "12 new traces, 0 replaced" in first.stderr
    assert first.stdout == ""
    again = run("add", file, "--store", path)
    assert "0 new traces, 12 replaced" in again.stderr
    assert run("add", file, "--store", path, "-q").output == ""
    with Store(path) as store:
        stored = sorted(store.read_all(), key=lambda trace: trace.trace_id)
    expected = sorted(read_traces(file), key=lambda trace: trace.trace_id)
    assert stored == expected


def test_what_cannot_be_added_is_told_and_the_rest_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_bytes(msgspec.json.encode(minimal_trace()) + b'\n{"no": "trace"}\n')
    done = run("add", file, store=tmp_path / "runs.db")
    assert done.exit_code == 1
    assert "Not a file of traces" in done.stderr
    assert [row["id"] for row in lines("sessions", store=tmp_path / "runs.db")] == ["t-1"]
    missing = run("add", tmp_path / "none.json", store=tmp_path / "runs.db")
    assert missing.exit_code == 1
    assert "none.json" in missing.stderr


def test_another_store_is_added_whole(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    assert run("add", place, store=other).exit_code == 0
    assert lines("sessions", store=other) == lines("sessions", store=place)


def test_sessions_are_listed(place: Path) -> None:
    text = said("sessions", store=place)
    assert [line.split()[0] for line in text.splitlines()[2:]] == ["abd-2", "abc-1"]
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "\x1b" not in text
    assert [row["id"] for row in lines("sessions", "--status", "fail", store=place)] == ["abc-1"]
    assert [row["id"] for row in lines("sessions", "--until", "7d", store=place)] == ["abd-2"]
    assert lines("sessions", "--since", "2021-01-01", store=place) == []
    assert [r["id"] for r in lines("sessions", "--offset", "1", store=place)] == ["abc-1"]
    nothing = run("sessions", "--kind", "otlp", store=place)
    assert (nothing.stdout, nothing.stderr) == ("", "None found.\n")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_session_is_named_in_full_in_a_table_of_any_width(place: Path, width: int) -> None:
    names = [f"the-same-long-beginning-of-a-name-{letter}__3f-88ab" for letter in "xy"]
    with Store(place) as store:
        store.add_all(
            minimal_trace(trace_id=name, events=[Event(id="1", type="x")]) for name in names
        )
    for command in ("sessions", "events"):
        text = said(command, "--width", str(width), store=place)
        shown = [line.split()[0] for line in text.splitlines() if line.startswith("the-same")]
        assert sorted(shown) == [name[:35] for name in names]
        assert all(len(line) <= width for line in text.splitlines())
        assert said("events", shown[0], store=place)


def test_numbers_may_be_as_large_as_people_write_them(place: Path) -> None:
    many = "9" * 40
    assert len(lines("sessions", "--limit", many, store=place)) == 2
    assert lines("sessions", "--offset", many, store=place) == []
    assert lines("events", "abc", "--after", many, store=place) == []


def test_events_are_listed(place: Path) -> None:
    text = said("events", "abc", store=place)
    assert "Look at this" in text
    assert "\x1b" not in text
    failed = lines("events", "abc", "--errors", store=place)
    assert [(row["id"], row["seq"]) for row in failed] == [("2", 2)]
    for chosen in (
        ["--type", "tool_call"], ["--min-duration", "2s"], ["--text", "denied"], ["--after", "1"],
        ["--since", "2026-02-03T12:00:01"],
    ):  # fmt: skip
        assert [row["id"] for row in lines("events", "abc-1", *chosen, store=place)] == ["2"]
    assert said("events", store=place).startswith("session")
    assert run("events", "--after", "1", store=place).exit_code == 2


def test_a_search_shows_where_the_words_stand(place: Path) -> None:
    [title, hit] = said("search", "permission", store=place).splitlines()
    assert title.split()[0] == "FAIL"
    assert hit.endswith("  2   output  «Permission» denied")
    [found] = lines("search", "denied", "--session", "abc", store=place)
    assert (found["session_id"], found["field"], found["marks"]) == ("abc-1", "output", [[11, 17]])
    nothing = run("search", "absent", store=place)
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", 'No hit for "absent".\n')


@pytest.mark.parametrize(
    ("name", "hint"), [("abx", "Nearest: abc-1, abd-2"), ("ab", "so begin"), ("zz", "lists them")]
)
def test_a_session_that_is_not_there_has_near_ones(place: Path, name: str, hint: str) -> None:
    done = run("events", name, store=place)
    assert done.exit_code == 1
    assert hint in done.stderr


def test_pruning_says_first_what_would_go(place: Path) -> None:
    told = run("prune", store=place)
    assert "abd-2" in told.stdout
    assert "1 session older than 30 days; --yes removes them" in told.stderr
    assert len(lines("sessions", store=place)) == 2
    done = run("prune", "--yes", store=place)
    assert "Removed 1 session " in done.stderr
    assert [row["id"] for row in lines("sessions", store=place)] == ["abc-1"]
    assert "0 sessions older than 7 days" in run("prune", "--set-days", "7", store=place).stderr
    assert "kept for   7 days" in said("stats", store=place)


def test_stats_count(place: Path) -> None:
    text = said("stats", store=place)
    assert "sessions   2 (fail 1, pass 1)" in text
    assert "passed     1 of 2, without an arm" in text
    [counts] = lines("stats", store=place)
    assert (counts["events"], counts["journal"], counts["searchable"]) == (2, "wal", True)


@pytest.mark.parametrize("name", ["out.json", "out.jsonl"])
def test_an_export_is_a_file_of_traces(place: Path, tmp_path: Path, name: str) -> None:
    odd = minimal_trace(trace_id="odd", task_instruction="a\ud800", origin=Origin(kind="recorder"))
    with Store(place) as store:
        store.add(odd)
        stored = list(store.read_all())
    assert run("export", "-o", tmp_path / name, store=place).exit_code == 0
    read = list(read_traces(tmp_path / name))
    assert [trace.trace_id for trace in read] == ["abd-2", "odd", "abc-1"]
    assert read[0].redaction is not None
    assert msgspec.structs.replace(read[0], redaction=None) == stored[0]
    assert read[1].task_instruction == "a\ufffd"
    chosen = tmp_path / f"few-{name}"
    assert run("export", "abc", "-o", chosen, store=place).exit_code == 0
    assert [trace.trace_id for trace in read_traces(chosen)] == ["abc-1"]


def test_an_export_never_replaces_a_store(place: Path) -> None:
    done = run("export", "-o", place, store=place)
    assert done.exit_code == 1
    assert is_store(place)


def test_check_and_backup(place: Path, tmp_path: Path) -> None:
    assert run("check", store=place).exit_code == 0
    assert run("backup", tmp_path / "copy.db", store=place).exit_code == 0
    assert lines("sessions", store=tmp_path / "copy.db") == lines("sessions", store=place)
    assert run("backup", tmp_path / "copy.db", store=place).exit_code == 1
    with Store(place) as store, store._connection.transaction() as connection:
        connection.execute("UPDATE sessions SET total_events = 9")
    done = run("check", store=place)
    assert done.exit_code == 1
    assert "store_totals_wrong" in done.stdout


def test_without_a_store_it_says_how_to_make_one(tmp_path: Path) -> None:
    done = run("sessions", store=tmp_path / "none.db")
    assert done.exit_code == 1
    assert "evaltrace store add" in done.stderr
    assert not (tmp_path / "none.db").exists()
