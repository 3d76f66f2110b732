"""Mutated inputs for everything that reads what comes from outside: a seeded part of the fuzzing.

`benchmarks/fuzzing.py` tries as many as it is given time for.
"""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

import msgspec
import pytest

from evaltrace import EvaltraceError, Event, Store, Trace
from evaltrace.compare.pairing import read_task_map
from evaltrace.patches import Edit, Hunk, rebuild
from evaltrace.quantities import compact, counted, grouped, plain
from evaltrace.record import recover
from evaltrace.source import MAX_LINE, Source
from evaltrace.untrusted import one_line, printable
from fuzz_targets import (
    Target,
    file_targets,
    job_targets,
    log_targets,
    seeded,
    test_log_targets,
    text_targets,
)
from mutations import mutate
from recorders import quick_folder
from traces import minimal_trace


class TooSlow(BaseException):
    """Something took more CPU time than it may."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TooSlow in what takes more seconds of CPU time; what is tested takes milliseconds."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TooSlow

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fault_of(target: Target, number: int) -> str | None:
    """Try one mutant; give what was raised, if it is none of our errors."""
    random, chosen = seeded(target, number)
    content = mutate(target.seeds[chosen], random, target.seeds)
    try:
        with within(5):
            target.attempt(chosen, content)
    except EvaltraceError:
        return None
    except (Exception, TooSlow):
        return f"{target.name} --first {number} --count 1\n{traceback.format_exc()}"
    return None


SLOW = 6
GROUPS: dict[str, tuple[Callable[[Path], list[Target]], int]] = {
    "texts": (lambda _: text_targets(), 25),
    "files": (file_targets, 15),
    "agent logs": (log_targets, 12),
    "test logs": (test_log_targets, 10),
    "jobs": (job_targets, 4),
}


@pytest.mark.parametrize("group", GROUPS)
def test_mutated_inputs_raise_nothing_but_our_errors(group: str) -> None:
    targets, count = GROUPS[group]
    with quick_folder() as folder:
        found = targets(folder)
        faults = [
            fault_of(target, number)
            for target in found
            for number in range(SLOW if target.name in ("validate", "used", "gate") else count)
        ]
    assert len(faults) > 100 or group == "jobs"
    assert [fault for fault in faults if fault] == []


def test_a_mutant_follows_from_its_number() -> None:
    target = Target("x", [b'{"a": [1, 2, {"b": "c"}]}', b"text\nof lines\n"], lambda *_: None)

    def made(numbers: range) -> list[bytes]:
        drawn = (seeded(target, number) for number in numbers)
        return [mutate(target.seeds[chosen], random) for random, chosen in drawn]

    assert made(range(200)) == made(range(200))
    assert len(set(made(range(200)))) > 150


# What the fuzzing found, each in its smallest form.


@pytest.mark.parametrize("unit", ["\x9d", "\x90", "\x9da\x9d", "\x1b]", "\x1b_", "\x9b0", "\x1b "])
def test_control_strings_that_nobody_ends_are_cleaned_in_linear_time(unit: str) -> None:
    text = unit * 300_000 + "\x1bq\nend"
    with within(10):
        assert printable(text).endswith("end")
        one_line(text, 80)


def test_counts_that_no_float_can_hold_are_written() -> None:
    huge = 10**400
    assert len(grouped(huge)) == 401
    assert counted(huge, "call").endswith(",000 calls")
    assert compact(huge).endswith("B")
    assert plain(-huge) == "-1e+300"


def test_numbers_that_no_float_can_hold_pass_through_pages_and_exports() -> None:
    from evaltrace.otlp import to_otlp
    from evaltrace.reports.webpage.tables import number

    assert number(10**400, "many").value == 10**400
    assert number(float("nan"), "none").value is None
    event = Event(id="1", type="x", started_at="2026-01-05T10:00:00Z", duration_ms=1e308)
    assert to_otlp(minimal_trace(events=[event]))["resourceSpans"]


def test_a_task_map_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.json"
    path.write_text('{"a":' * 100_000)
    with pytest.raises(EvaltraceError, match="task map"):
        read_task_map(str(path))


def test_a_hunk_at_a_line_that_no_file_has_is_placed_somewhere() -> None:
    first = Edit("a.py", before="a\nb\nc\n", after="a\nX\nc\n")
    far = Edit("a.py", hunks=(Hunk((" a", "-X", "+Y"), start=10**400),))
    assert rebuild([first, far], cwd="/app").diff is not None
    assert rebuild([far, first], cwd="/app").diff is not None


def test_what_is_asked_of_a_damaged_footer_ends_no_process() -> None:
    # Arrow's C++ ends the process where it is asked about the columns of this one.
    script = Path(__file__).parents[1] / "benchmarks" / "fuzzing.py"
    command = [sys.executable, str(script), "parquet", "--first", "5000044", "--count", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("parquet: 1 tried"), done.stderr
    assert done.returncode == 0


def test_parquet_with_names_that_are_no_text_is_refused(tmp_path: Path) -> None:
    from evaltrace.files import read_documents, read_traces
    from evaltrace.files.dataset import write_dataset
    from evaltrace.trace import Tool

    write_dataset(tmp_path, [minimal_trace()], tool=Tool(name="evaltrace", version="0"))
    path = next(tmp_path.glob("trials/**/*.parquet"))
    path.write_bytes(path.read_bytes().replace(b"task_id", b"\xf3ask_id"))
    with pytest.raises(EvaltraceError):
        list(read_traces(path))
    assert [kind for _, kind, _ in read_documents(path)] == ["malformed"]


def test_a_line_without_end_in_a_file_of_traces_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaltrace.files import read_traces, reading

    monkeypatch.setattr(reading, "MAX_LINE", 1000)
    path = tmp_path / "traces.json"
    path.write_bytes(b"{" + b" " * 2000)
    with pytest.raises(EvaltraceError, match="line 1: longer than"):
        list(read_traces(path))


def test_parents_in_a_circle_do_not_hold_up_the_recovery(tmp_path: Path) -> None:
    from evaltrace.record import recording

    with recording("a", "t", folder=tmp_path) as run:
        with run.step("one", "x"):
            run.event("x")
        [journal] = (tmp_path / ".journals").glob("*.jsonl")
        content = journal.read_bytes()
    head, step, event = (msgspec.json.decode(line) for line in content.splitlines()[:3])
    assert event["parent"] == step["id"]
    step["parent"], step["spent"] = event["id"], 10**400
    (tmp_path / ".journals").mkdir(exist_ok=True)
    lines = (head, step, event)
    journal.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    with within(10):
        [made] = recover(tmp_path, dry_run=True)
    assert isinstance(made, Trace)
    assert len(made.events or []) == 2


@pytest.mark.parametrize("size", [1_000, MAX_LINE + 10])
def test_a_file_that_is_written_to_all_the_time_is_read_to_where_it_ended(
    size: int, tmp_path: Path
) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 9 * 2**20 + b"\n" + b"y" * size)
    source = Source(tmp_path)
    with within(20):
        lines = source.lines("log.txt")
        seen = [next(lines)]
        for number, line in lines:
            seen.append((number, line))
            with path.open("ab") as file:
                file.write(b"z" * 100 + b"\nmore\n")
            assert len(seen) < 5
    assert [number for number, _ in seen] == ([1, 2] if size < MAX_LINE else [1])
    assert {problem.code for problem in source.problems} <= {"changed_while_read", "line_too_long"}


def test_a_store_whose_damage_sqlite_cannot_put_into_words_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store(path) as store:
        store.add(minimal_trace())
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE events", b"CREATE TABL\xe9 events"))
    with pytest.raises(EvaltraceError, match="damaged"):
        Store(path, read_only=True)


def test_a_session_that_only_an_index_knows_is_damage(tmp_path: Path) -> None:
    from evaltrace.store import reading
    from evaltrace.store.rows import Unreadable

    path = tmp_path / "store.db"
    with Store(path) as store:
        store.add(minimal_trace())
    with closing(sqlite3.connect(path)) as connection:
        for read in (reading.trace_of, lambda lines, key: reading.sessions_of(lines, [key])):
            with pytest.raises(Unreadable, match="index"):
                read(connection, 10**6)


QUOTES = ("'; DROP TABLE events; --", '"', "''", "%", "_", "*", "a OR 1=1", 'x" NEAR("', "(", "\\")


@pytest.mark.parametrize("evil", QUOTES)
def test_no_text_is_part_of_a_statement_of_the_store(evil: str, tmp_path: Path) -> None:
    with Store(tmp_path / "store.db") as store:
        store.add(minimal_trace(trace_id=evil, task_id=evil, arm=evil))
        store.add(minimal_trace(trace_id="other"))
        assert [session.id for session in store.get_sessions(arm=evil)] == [evil]
        assert store.get_session(evil) is not None
        for text in (store.get_sessions(task=evil), store.get_traces(evil, event_type=evil)):
            assert isinstance(text, list)
        store.get_traces(search_text=evil)
        store.search(evil)
        store.get_event(evil, evil)
        store.summary(evil)
        store.start_session(evil, agent=evil, trace_id=evil + "2", model=evil)
        store.end_session(evil + "2", "pass")
        assert len(store.get_sessions()) == 3
        assert store.check() == []
