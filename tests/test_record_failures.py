"""Disks that fail, folders that go, programs that break: nothing is raised, little is lost."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest

from evaltrace import EvaltraceError, Trace, log_trace_event, recording
from evaltrace.record import Recording, RecordingFailure, RecordingWarning, recover
from evaltrace.record.journal import Journal, create_journal, read_lines
from recorders import as_json, forked, quick_folder, written

RUNS = 1000


@contextmanager
def full_disk(size: int = 0) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(trace: Any) -> list[str]:
    return [event["type"] for event in as_json(trace)["events"]]


def test_events_on_a_full_disk_are_kept_and_warned_of_once(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        run.event("before")
        with full_disk():
            with pytest.warns(RecordingWarning, match="File too large"):
                run.event("first")
            run.event("second")  # a second warning would be an error
        run.event("after")
    assert names(run.trace) == ["before", "first", "second", "after"]
    assert as_json(run.trace)["problems"] == []


def test_a_line_cut_short_by_a_full_disk_is_written_again(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path)
    (path,) = (tmp_path / ".journals").glob("*.jsonl")
    with full_disk(path.stat().st_size + 20), pytest.warns(RecordingWarning):
        run.event("torn", text="x" * 1000)
    run.event("after")
    trace = as_json(run.end())
    assert [event["type"] for event in trace["events"]] == ["torn", "after"]
    assert [problem["code"] for problem in trace["problems"]] == ["journal_torn"]


def test_a_trace_that_cannot_be_written_is_given_and_recovered_later(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path)
    run.event("x")
    (path,) = (tmp_path / ".journals").glob("*.jsonl")
    with full_disk(path.stat().st_size + 400), pytest.warns(RecordingWarning, match="stays"):
        trace = run.end("failure")
    assert names(trace) == ["x"]
    assert written(tmp_path) == []
    (recovered,) = recover(tmp_path)
    assert isinstance(recovered, Trace)
    assert (recovered.status, recovered.events) == ("fail", trace.events if trace else None)
    assert len(written(tmp_path)) == 1


def test_a_folder_that_cannot_be_made_leaves_the_program_alone(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.warns(RecordingWarning, match="Not a directory"):
        run = recording("a", "t", folder=blocked / "folder")
    run.event("x")
    assert names(run.end()) == ["x"]


def test_a_folder_that_comes_back_has_the_trace(tmp_path: Path) -> None:
    blocked = tmp_path / "folder"
    blocked.write_text("")
    with pytest.warns(RecordingWarning):
        run = recording("a", "t", folder=blocked)
    run.event("x")
    blocked.unlink()
    run.end()
    assert [len(trace["events"]) for trace in written(blocked)] == [1]


def test_a_folder_that_is_removed_costs_nothing(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path / "r") as run:
        run.event("before")
        shutil.rmtree(tmp_path / "r")
        run.event("after")
    assert names(run.trace) == ["before", "after"]
    assert len(written(tmp_path / "r")) == 1


def test_a_folder_that_is_removed_before_the_end_costs_nothing(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path / "r") as run:
        run.event("before")
        shutil.rmtree(tmp_path / "r")
    assert names(run.trace) == ["before"]
    assert len(written(tmp_path / "r")) == 1


def test_a_working_directory_that_is_gone_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.warns(RecordingWarning, match="cannot be written"):
        run = recording("a", "t", folder="here", store="store.db")
    run.event("x")
    monkeypatch.chdir(tmp_path)
    assert names(run.end()) == ["x"]


def test_what_memory_cannot_hold_is_counted_as_lost(tmp_path: Path) -> None:
    big = {str(n): "x" * 60_000 for n in range(16)}
    run = recording("a", "t", folder=tmp_path)
    with full_disk():
        with pytest.warns(RecordingWarning):
            run.event("big", big)
        for _ in range(29):
            run.event("big", big)
    run.end()
    trace = as_json(run.trace)
    lost = trace["metrics"]["manifest"]["recording"]["lost"]
    assert lost > 0
    assert lost + len(trace["events"]) == 30
    assert [problem["code"] for problem in trace["problems"]] == ["events_lost"]


def test_strict_raises_instead(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path, strict=True)
    with full_disk(), pytest.raises(RecordingFailure, match="File too large"):
        run.event("x")
    run.end()
    with pytest.raises(EvaltraceError, match="after its end"):
        run.event("late")


def test_warnings_that_are_errors_do_not_reach_the_program(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = recording("a", "t", folder=tmp_path)
    run.end()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.event("late")
    assert "after its end" in caplog.text


@pytest.mark.parametrize("broken", ["clock", "mirror", "store"])
def test_what_the_caller_gives_may_break(tmp_path: Path, broken: str) -> None:
    calls = iter(range(1000))

    def breaks(*_: object) -> float:
        if next(calls):
            raise OSError(errno.EIO, "broken")
        return 1e9

    class Store:
        def add(self, trace: Trace, /) -> object:
            return breaks() + breaks()

    options: Any = {broken: Store() if broken == "store" else breaks}

    def program() -> Trace | None:
        run = recording("a", "t", folder=tmp_path, **options)
        run.event("x")
        with run.step("s"):
            pass
        return run.end("success")

    with pytest.warns(RecordingWarning, match="broken"):
        trace = program()
    assert names(trace) == ["x", "step"]


def test_a_finished_trace_goes_to_the_store(tmp_path: Path) -> None:
    class Store:
        def __init__(self) -> None:
            self.traces: list[Trace] = []

        def add(self, trace: Trace, /) -> object:
            return self.traces.append(trace)

    store = Store()
    with recording("a", "t", folder=tmp_path, store=store) as run:
        pass
    assert store.traces == [run.trace]


def test_a_write_that_only_seemed_to_fail_counts_once(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        run.event("x")
        (path,) = (tmp_path / ".journals").glob("*.jsonl")
        last = path.read_bytes().rpartition(b"\n")[2]
        run._journal.append(last)
    assert names(run.trace) == ["x"]


def test_lines_of_any_length_are_read_whole(tmp_path: Path) -> None:
    lines = [b"x" * size for size in (1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20, 5)]
    journal: Journal = create_journal(tmp_path / "j.jsonl", b"head", fsync=True)
    for line in lines:
        assert journal.append(line) is None
    assert journal.descriptor is not None
    found = list(read_lines(journal.descriptor))
    assert [line for line, _ in found] == [b"head", *lines]
    content = (tmp_path / "j.jsonl").read_bytes()
    assert all(content[:after].rstrip(b"\n").endswith(line) for line, after in found)
    journal.close()


# The capture rate.


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def _raises(run: Recording, random: Random) -> None:
    with run.step("s"):
        raise random.choice([ValueError, KeyError, RecursionError, MemoryError])("no")


def _is_stopped(run: Recording, random: Random) -> None:
    with run.step("s"):
        raise random.choice([KeyboardInterrupt, SystemExit, GeneratorExit])


def _odd_values(run: Recording, random: Random) -> None:
    odd = [Broken(), float("nan"), "\ud800", 10**400, b"\xff", {1: {2: {3}}}, object(), run]
    run.event(random.choice(odd), random.choice(odd), **{"input": random.choice(odd)})
    run.end("success", metrics={"odd": random.choice(odd)})


def _full_disk(run: Recording, random: Random) -> None:
    with full_disk(random.randrange(2000)):
        for _ in range(5):
            run.event("x", text="y" * random.randrange(1000))


def _no_end(run: Recording, random: Random) -> None:
    run.event("x")
    run._journal.close()  # as the end of the program does


def _lost_folder(run: Recording, random: Random) -> None:
    shutil.rmtree(run.folder / ".journals")
    run.event("x")


def _ends_in_a_child(run: Recording, random: Random) -> None:
    child = forked(lambda: run.end("success"))
    os.waitpid(child, 0)


def _strange_end(run: Recording, random: Random) -> None:
    run.end(random.choice(["success", "", "?", "\ud800"]))
    run.end("failure")


FAILURES: list[Callable[[Recording, Random], None]] = [
    _raises, _is_stopped, _odd_values, _full_disk, _no_end, _lost_folder, _strange_end,
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::evaltrace.record.RecordingWarning")
def test_every_run_has_its_trace_whatever_fails() -> None:
    with quick_folder() as place:
        started = run_with_failures(place, Random(3))
        captured = {}
        for folder in place.iterdir():
            recover(folder)
            captured |= {trace["trace_id"]: trace for trace in written(folder)}
    assert sorted(captured) == sorted(started)
    assert all(trace["events"][0]["type"] == "first" for trace in captured.values())
    assert len(captured) == RUNS


def run_with_failures(place: Path, random: Random) -> list[str]:
    """Record runs that fail in all ways, and give the ids of their traces."""
    started = []
    for number in range(RUNS):
        fails = _ends_in_a_child if number % 100 == 0 else random.choice(FAILURES)
        with (
            suppress(Exception, KeyboardInterrupt, SystemExit, GeneratorExit),
            recording("agent", fails.__name__, folder=place / fails.__name__) as run,
        ):
            started.append(run.trace_id)
            log_trace_event(run.trace_id, "first")
            fails(run, random)
    return started


_NO_FILES_LEFT = """
import os, resource, sys
from evaltrace import recording
run = recording("a", "t", folder=sys.argv[1])
run.event("kept")
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
print(run.end() is None)
"""


def test_a_program_without_files_to_open_keeps_its_journal(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _NO_FILES_LEFT, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n")
    assert "its journal stays" in done.stderr
    [trace] = recover(tmp_path)
    assert isinstance(trace, Trace)
    assert [event.type for event in trace.events or ()] == ["kept"]
