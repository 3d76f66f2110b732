"""Programs that are killed while they record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import recorders
from evaltrace import end_execution_trace, log_trace_event, start_execution_trace
from evaltrace.record import recordings, recover
from evaltrace.trace import Trace
from recorders import as_json, forked, written

KILLS = 200


def test_what_was_recorded_before_a_kill_is_in_the_trace() -> None:
    # In a small process of its own: forks of the whole test run would take most of the time.
    command = [sys.executable, recorders.__file__, "kills", str(KILLS), "20260121"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) == KILLS
    reported = 0
    for row in rows:
        (trace,) = row["traces"]
        assert (trace["trace_id"], trace["status"]) == (row["trace_id"], "cancelled")
        found = [(event["data"]["writer"], event["data"]["number"]) for event in trace["events"]]
        assert len(found) == len(set(found))
        assert {(writer, number) for writer, number in row["reported"]} <= set(found)
        reported += len(row["reported"])
    assert reported > KILLS


def killed(folder: Path, *, torn: bytes = b"", ended: bool = False) -> str:
    """Record three events and be killed, perhaps within a line or right after the end."""
    reading, writing = os.pipe()

    def program() -> None:
        trace_id = start_execution_trace("a", "t", {"k": 1}, folder=folder)
        os.write(writing, trace_id.encode())
        for number in range(3):
            log_trace_event(trace_id, "x", {"number": number})
        if ended:
            (folder / ".journals").chmod(0o700)
            end_line = b'\n{"kind":"end","id":"w-9","at":1e9,"outcome":"success"}'
            (journal,) = (folder / ".journals").glob("*.jsonl")
            with journal.open("ab") as file:
                file.write(end_line)
        if torn:
            (journal,) = (folder / ".journals").glob("*.jsonl")
            with journal.open("ab") as file:
                file.write(torn)
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(forked(program), 0)
    name = os.read(reading, 36).decode()
    os.close(reading)
    os.close(writing)
    return name


@pytest.mark.parametrize(
    "torn", [b'\n{"id":"w-1","at":17', b"\n\x00\x00\x00", b"\n{}garbage", b'\n{"id":5}']
)
def test_a_torn_line_costs_itself_and_is_told(tmp_path: Path, torn: bytes) -> None:
    killed(tmp_path, torn=torn)
    (trace,) = recover(tmp_path)
    assert isinstance(trace, Trace)
    assert len(trace.events or ()) == 3
    assert [problem.code for problem in trace.problems] == ["journal_torn"]


def test_an_abandoned_trace_says_why_it_is_cancelled(tmp_path: Path) -> None:
    trace_id = killed(tmp_path)
    (trace,) = recover(tmp_path)
    assert isinstance(trace, Trace)
    assert trace.error is not None
    assert trace.error.message == "the program ended without ending the trace"
    document = as_json(trace)
    assert (document["status"], document["test_reward"]) == ("cancelled", None)
    assert document["context"] == {"k": 1}
    assert written(tmp_path) == [document]
    assert document["trace_id"] == trace_id
    assert recover(tmp_path) == []
    assert list((tmp_path / ".journals").iterdir()) == []


def test_a_program_killed_while_it_ended_has_the_outcome_that_it_gave(tmp_path: Path) -> None:
    killed(tmp_path, ended=True)
    (trace,) = recover(tmp_path)
    assert isinstance(trace, Trace)
    assert (trace.status, trace.error) == ("pass", None)


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    killed(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (trace,) = recover(tmp_path, dry_run=True)
    assert isinstance(trace, Trace)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_what_is_still_being_recorded_is_left_alone(tmp_path: Path) -> None:
    trace_id = start_execution_trace("a", "t", folder=tmp_path)
    assert recover(tmp_path) == []
    assert [(row.trace_id, row.state) for row in recordings(tmp_path)] == [(trace_id, "running")]
    log_trace_event(trace_id, "x")
    trace = as_json(end_execution_trace(trace_id, "success"))
    assert len(trace["events"]) == 1


def test_a_child_that_lives_on_keeps_the_trace_running(tmp_path: Path) -> None:
    reading, writing = os.pipe()

    def program() -> None:
        trace_id = start_execution_trace("a", "t", folder=tmp_path)

        def child() -> None:
            os.read(reading, 1)
            log_trace_event(trace_id, "by the child")

        forked(child)
        os.kill(os.getpid(), signal.SIGKILL)

    os.waitpid(forked(program), 0)
    assert recover(tmp_path) == []
    os.write(writing, b".")
    found: list[object] = []
    while not found:  # until the orphan has ended
        found = list(recover(tmp_path))
    (trace,) = found
    assert isinstance(trace, Trace)
    assert [event.type for event in trace.events or ()] == ["by the child"]
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("head", [b"", b"{}", b"\x00\x01", b'{"trace_id":"x"', b"[" * 100_000])
def test_what_is_no_journal_is_a_problem_and_stays(tmp_path: Path, head: bytes) -> None:
    journals = tmp_path / ".journals"
    journals.mkdir()
    (journals / "odd.jsonl").write_bytes(head)
    (problem,) = recover(tmp_path)
    assert not isinstance(problem, Trace)
    assert (problem.code, problem.path) == ("journal_unreadable", ".journals/odd.jsonl")
    assert (journals / "odd.jsonl").read_bytes() == head
    assert recordings(tmp_path) == []


HEAD = {"trace_id": "t-1", "agent": "a", "task_type": "t", "started": 1e9, "file": "trace_x.json"}
LINE = {"id": "w-1", "at": 1e9, "type": "x"}


def written_journal(folder: Path, head: dict[str, Any], *lines: dict[str, Any]) -> Path:
    """Put a journal into a folder as another program might; give its place."""
    path = folder / ".journals" / "t-1.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(json.dumps(line) for line in ({**HEAD, **head}, *lines)))
    return path


@pytest.mark.parametrize(
    "name", ["../outside.json", "/outside.json", "", "x.json", "trace_\0.json"]
)
def test_a_journal_cannot_name_a_file_elsewhere(tmp_path: Path, name: str) -> None:
    written_journal(tmp_path / "r", {"file": name}, LINE)
    (trace,) = recover(tmp_path / "r")
    assert isinstance(trace, Trace)
    assert [path.name for path in tmp_path.rglob("*.json")] == [
        "trace_a_t_2001-09-09T01-46-40.json"
    ]
    assert len(written(tmp_path / "r")) == 1


def test_a_trace_of_another_run_is_not_overwritten(tmp_path: Path) -> None:
    written_journal(tmp_path, {}, LINE)
    (tmp_path / "trace_x.json").write_text("another's")
    recover(tmp_path)
    assert (tmp_path / "trace_x.json").read_text() == "another's"
    assert len((tmp_path / "trace_x-2.json").read_bytes()) > 0


def test_a_trace_that_was_written_just_before_a_kill_is_written_again(tmp_path: Path) -> None:
    written_journal(tmp_path, {}, LINE)
    recover(tmp_path)
    (before,) = written(tmp_path)
    (tmp_path / ".journals" / "t-1.jsonl").write_text(json.dumps(HEAD) + "\n" + json.dumps(LINE))
    recover(tmp_path)
    assert written(tmp_path) == [before]


@pytest.mark.parametrize(
    "line",
    [{"at": 1e300}, {"started": -1e300}, {"usage": {"bogus": 1}}, {"at": "soon"}, {"data": []}],
)
def test_a_line_of_odd_values_costs_itself(tmp_path: Path, line: dict[str, Any]) -> None:
    written_journal(tmp_path, {}, LINE, {**LINE, "id": "w-2", **line}, {"kind": "newer"})
    (trace,) = recover(tmp_path)
    assert isinstance(trace, Trace)
    assert len(as_json(trace)["events"]) == 1
    assert [problem.code for problem in trace.problems] == ["journal_torn"]


def test_a_journal_of_an_odd_time_is_a_problem(tmp_path: Path) -> None:
    path = written_journal(tmp_path, {"started": 1e300}, LINE)
    (problem,) = recover(tmp_path)
    assert not isinstance(problem, Trace)
    assert problem.code == "journal_unreadable"
    assert path.exists()
    assert recordings(tmp_path) == []
