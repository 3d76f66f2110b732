"""The file of a store: several programs at once, versions, damage, copies."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evaltrace.errors import StoreFailure
from evaltrace.store import Store, default_place, is_store
from evaltrace.store.creation import create_store
from evaltrace.store.migrations import STEPS, VERSION, migrate
from evaltrace.trace import Event, TraceError, Usage
from traces import minimal_trace

WRITERS, EVENTS = 8, 120


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with two traces, closed."""
    path = tmp_path / "store.db"
    with Store(path) as store:
        store.add(minimal_trace(events=[Event(id=str(n), type="x", text="word") for n in range(9)]))
        store.add(minimal_trace(trace_id="t-2", task_instruction="do it", events=None))
    return path


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


# Several at once.


def _event(writer: int, number: int) -> Event:
    return Event(
        id=f"{writer}-{number}",
        type="tool_called",
        status="error" if number % 10 == 0 else "ok",
        output="hello",
        usage=Usage(input_tokens=1),
        cost_usd=0.25,
    )


def _write(path: Path, writer: int) -> None:
    """Write events to an own session, or to one of all odd writers: one by one, and many."""
    session = f"own-{writer}" if writer % 2 == 0 else "shared"
    with Store(path) as store:
        number = 0
        while number < EVENTS:
            if number % 40 < 20:
                store.save_trace(_event(writer, number), session)
                number += 1
            else:
                some = [_event(writer, n) for n in range(number, number + 20)]
                number += store.save_traces(some, session)


def _look(path: Path, stop: Callable[[], bool]) -> None:
    """Look at everything all the time: each answer must fit itself."""
    with Store(path) as store:
        while not stop():
            for session in store.get_sessions():
                totals = store.summary(session.id)
                assert totals is not None
                assert sum(row.events for row in totals.by_type) == totals.session.total_events
                store.search("hello", session_id=session.id, limit=2)
            trace = store.read("own-0")
            events = trace.events or [] if trace else []
            assert [event.id for event in events] == [f"0-{n}" for n in range(len(events))]


def test_eight_programs_write_while_two_read(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    stop = context.Event()
    writers = [context.Process(target=_write, args=(path, n)) for n in range(WRITERS)]
    readers = [context.Process(target=_look, args=(path, stop.is_set)) for _ in range(2)]
    for process in writers + readers:
        process.start()
    for process in writers:
        process.join()
    stop.set()
    for process in readers:
        process.join()
    assert [process.exitcode for process in writers + readers] == [0] * 10
    with Store(path) as store:
        assert store.check() == []
        shared = [event.id for event in store.get_traces("shared", limit=None)]
        for writer in range(1, WRITERS, 2):
            own = [name for name in shared if name.startswith(f"{writer}-")]
            assert own == [f"{writer}-{number}" for number in range(EVENTS)]
        sums = {
            s.id: (s.total_events, s.total_errors, s.total_tokens, s.total_cost_usd)
            for s in store.get_sessions()
        }
    one = (EVENTS, EVENTS // 10, EVENTS, EVENTS / 4)
    assert sums.pop("shared") == tuple(4 * number for number in one)
    assert sums == {f"own-{n}": one for n in range(0, WRITERS, 2)}


def test_threads_share_a_store(tmp_path: Path) -> None:
    with Store(tmp_path / "store.db") as store:

        def write(writer: int) -> None:
            for number in range(25):
                store.save_trace(_event(writer, number), f"s-{writer % 2}")
                store.get_traces(f"s-{writer % 2}", limit=2)

        threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(s.total_events for s in store.get_sessions()) == [75, 75]
        assert store.check() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_opens_the_file_itself(tmp_path: Path) -> None:
    with Store(tmp_path / "store.db") as store:
        store.save_trace(_event(0, 0), "s")
        child = os.fork()
        if child == 0:
            try:
                store.save_trace(_event(0, 1), "s")
                store.close()
                os._exit(0)
            finally:
                os._exit(1)
        store.save_trace(_event(0, 2), "s")
        assert os.waitpid(child, 0)[1] == 0
        assert {event.id for event in store.get_traces("s")} == {"0-0", "0-1", "0-2"}
        assert store.check() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_store_in_memory_says_that_it_is_not_shared() -> None:
    store = Store(":memory:")
    child = os.fork()
    if child == 0:
        try:
            store.save_trace(_event(0, 1), "s")
        except StoreFailure:
            os._exit(7)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_the_log_stays_short_while_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaltrace.store.connection._LONG_LOG", 200_000)
    monkeypatch.setattr("evaltrace.store.connection._WAIT_MS", 1)
    log = tmp_path / "store.db-wal"

    def save(number: int) -> int:
        longest = 0
        for _ in range(number):
            store.save_trace(Event(id="1", type="x", text="word " * 2000), "s")
            longest = max(longest, log.stat().st_size)
        return longest

    with Store(tmp_path / "store.db") as store, Store(store.path, read_only=True) as reader:
        assert save(60) < 400_000
        with reader._connection.snapshot() as connection:
            [seen] = connection.execute("SELECT total_events FROM sessions").fetchone()
            assert save(60) > 400_000  # the reader's moment is kept for it
            assert connection.execute("SELECT count(*) FROM events").fetchone() == (seen,)
        assert save(60) > 0
        assert log.stat().st_size < 400_000
        assert store.stats().events == 180
        assert store.check() == []


def test_a_killed_writer_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from evaltrace.store import Store\n"
        "from evaltrace.trace import Event\n"
        "store = Store(sys.argv[1])\n"
        "for n in range(50):\n"
        "    store.save_trace(Event(id=str(n), type='x'), 's')\n"
        "with store._connection.transaction() as connection:\n"
        "    connection.execute('DELETE FROM events')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    path = tmp_path / "store.db"
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -9
    with Store(path) as store:
        assert [event.id for event in store.get_traces("s")] == [str(n) for n in range(50)]
        assert store.check() == []


def _remove_and_fail(store: Store) -> None:
    with store._connection.transaction() as connection:
        connection.execute("DELETE FROM events")
        raise ZeroDivisionError


def test_a_failure_in_the_middle_leaves_everything_as_it_was(place: Path) -> None:
    with Store(place) as store:
        before = store.read("t-1")
        with pytest.raises(ZeroDivisionError):
            _remove_and_fail(store)
        assert store.read("t-1") == before
        assert store.check() == []


def test_an_event_without_its_session_is_refused(place: Path) -> None:
    with Store(place) as store:
        with pytest.raises(StoreFailure, match="FOREIGN KEY"):
            _insert_stray(store)
        assert store.check() == []


def _insert_stray(store: Store) -> None:
    with store._connection.transaction() as connection:
        connection.execute(
            "INSERT INTO events (key, session_key, id, type, is_error) VALUES (1, 77, 'a', 'b', 0)"
        )


# Files of others, versions, damage.


def test_a_store_is_known_by_its_first_bytes(place: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    change(other, "CREATE TABLE x (y)")
    empty = tmp_path / "empty.db"
    empty.touch()
    found = {path.name: is_store(path) for path in (place, other, empty, tmp_path, Path("none"))}
    assert found.pop("store.db") is True
    assert set(found.values()) == {False}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_looking_takes_nothing_out_of_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert is_store(pipe) is False


def untouched(path: Path, message: str) -> None:
    """Opening it fails, for reading and for writing, and not one byte is changed."""
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreFailure, match=message) as caught:
            Store(path, read_only=read_only)
        assert caught.value.where == str(path)
        assert caught.value.hint
    assert path.read_bytes() == before
    assert [found.name for found in path.parent.glob("*.db-*")] == []


def test_a_file_that_is_no_database_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_text("Dear diary")
    untouched(path, "Not a store")


def test_a_database_of_another_program_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    change(path, "CREATE TABLE sessions (id)", "PRAGMA user_version = 1")
    untouched(path, "another program")


def test_a_newer_store_stays_as_it_is_and_both_versions_are_named(place: Path) -> None:
    change(place, f"PRAGMA user_version = {VERSION + 41}")
    untouched(place, f"version {VERSION + 41}, this evaltrace knows up to {VERSION}")


@pytest.mark.parametrize("kept", [150, 4096, 20_000])
def test_a_truncated_store_stays_as_it_is(place: Path, kept: int) -> None:
    place.write_bytes(place.read_bytes()[:kept])
    untouched(place, "damaged")


def test_damage_within_the_file_is_told_and_nothing_is_changed(place: Path) -> None:
    content = bytearray(place.read_bytes())
    for page in range(4096, len(content), 4096):
        content[page : page + 200] = b"\xff" * 200
    place.write_bytes(content)
    with pytest.raises(StoreFailure, match="damaged"):
        Store(place)
    with pytest.raises(StoreFailure, match="damaged"):
        Store(place, read_only=True)
    assert place.read_bytes() == content


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with Store(path) as store:
        store.add(minimal_trace())
    assert is_store(path)
    assert [found.name for found in tmp_path.iterdir()] == ["empty.db"]


def test_creating_keeps_the_store_that_another_made_meanwhile(place: Path) -> None:
    before = place.read_bytes()
    create_store(place)
    assert place.read_bytes() == before


def test_an_older_store_is_brought_up_in_one_go(place: Path) -> None:
    connection = sqlite3.connect(place, isolation_level=None)

    def add_column(given: sqlite3.Connection) -> None:
        given.execute("ALTER TABLE sessions ADD COLUMN extra TEXT")

    def fail(given: sqlite3.Connection) -> None:
        given.execute("CREATE TABLE half (made)")
        raise RuntimeError

    connection.execute("BEGIN")
    with pytest.raises(RuntimeError):
        migrate(connection, [*STEPS, add_column, fail])
    connection.execute("ROLLBACK")
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    connection.execute("BEGIN")
    migrate(connection, [*STEPS, add_column])
    migrate(connection, [*STEPS, add_column])  # another program did it meanwhile
    connection.execute("COMMIT")
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)
    assert connection.execute("SELECT id, extra FROM sessions").fetchone() == ("t-1", None)
    connection.close()


def test_reading_needs_a_store_and_never_makes_one(tmp_path: Path) -> None:
    with pytest.raises(StoreFailure, match="There is no store"):
        Store(tmp_path / "none.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_for_reading_refuses_to_write(place: Path) -> None:
    before = place.read_bytes()
    with Store(place, read_only=True) as store:
        assert store.read("t-2") is not None
        assert store.check() == []
        for act in (
            lambda: store.add(minimal_trace()),
            lambda: store.save_trace(Event(id="1", type="x"), "t-1"),
            lambda: store.cleanup_old_traces(0, benchmark=True) or store.set_retention_days(1),
        ):
            with pytest.raises(StoreFailure, match="for reading only"):
                act()
    assert place.read_bytes() == before
    assert [path.name for path in place.parent.iterdir()] == ["store.db"]


@pytest.fixture
def offered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store that others may only read, in a folder that they may write to."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    folder = Path(tempfile.mkdtemp())  # not in pytest's own, which others may not enter
    with Store(folder / "store.db") as store:
        store.save_trace(_event(0, 0), "s")
    (folder / "store.db").chmod(0o444)
    folder.chmod(0o777)
    yield folder / "store.db"
    folder.chmod(0o700)
    shutil.rmtree(folder)


def as_another(act: Callable[[], object]) -> int:
    """Act in a child, as somebody who is not root; give the exit code: 0 where all went well."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            act()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("folder", [0o777, 0o555])
def test_who_may_only_read_a_store_leaves_its_folder_alone(offered: Path, folder: int) -> None:
    def read() -> None:
        with Store(offered, read_only=True) as store:
            assert len(store.get_traces("s")) == 1
            assert store.stats().journal == "wal"
            assert store.check() == []
            assert os.listdir(offered.parent) == ["store.db"]
        with pytest.raises(StoreFailure, match="may not be written to"):
            Store(offered)

    offered.parent.chmod(folder)
    assert as_another(read) == 0
    assert os.listdir(offered.parent) == ["store.db"]


def test_who_may_only_read_sees_what_is_written_meanwhile(offered: Path) -> None:
    begun, written = os.pipe(), os.pipe()

    def wait_for_a_write() -> None:
        os.write(begun[1], b"!")
        os.read(written[0], 1)

    def read_too_long(store: Store) -> None:
        with store._connection.snapshot() as connection:
            connection.execute("SELECT 1 FROM events").fetchone()
            wait_for_a_write()

    def follow() -> None:
        with Store(offered, read_only=True) as store:
            for number in (2, 3):
                wait_for_a_write()
                assert len(store.get_traces("s")) == number
        with (
            Store(offered, read_only=True) as store,
            pytest.raises(StoreFailure, match="while it was read"),
        ):
            read_too_long(store)

    def write() -> None:
        for number in (1, 2, 3):
            os.read(begun[0], 1)
            with Store(offered) as store:
                store.save_trace(_event(0, number), "s")
            os.write(written[1], b"!")

    offered.chmod(0o644)
    threading.Thread(target=write, daemon=True).start()
    assert as_another(follow) == 0


def test_the_folder_of_a_store_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b c?#%" / "store.db"
    with Store(path) as store:
        store.add(minimal_trace())
    assert is_store(path)


def test_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "store.db", tmp_path):
        with pytest.raises(StoreFailure) as caught:
            Store(path)
        assert str(path) in str(caught.value)


def test_the_store_of_nobody_in_particular(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALTRACE_STORE", str(tmp_path / "mine.db"))
    assert default_place() == tmp_path / "mine.db"
    with Store() as store:
        store.add(minimal_trace())
    assert is_store(tmp_path / "mine.db")
    monkeypatch.delenv("EVALTRACE_STORE")
    assert default_place().name == "store.db"


# Looking for damage, copies, others who read it.


@pytest.mark.parametrize(
    ("statement", "code", "message"),
    [
        ("UPDATE sessions SET total_events = 3", "store_totals_wrong", "counts 3 events"),
        ("UPDATE totals SET errors = errors + 1", "store_totals_wrong", "by type 9 and 1"),
        ("DELETE FROM documents WHERE session_key = 2", "store_orphan", "t-2 has no document"),
        ("DELETE FROM sessions WHERE key = 2", "store_orphan", "belongs to no row"),
        ("DELETE FROM texts_docsize WHERE id > 5 << 32", None, ""),
        ("DELETE FROM texts_docsize", "store_search_wrong", "cannot be found"),
        ("DELETE FROM texts_data WHERE id > 10", "store_search_wrong", ""),
    ],
)
def test_check_finds_what_is_wrong(
    place: Path, statement: str, code: str | None, message: str
) -> None:
    change(place, statement)
    with Store(place) as store, Store(place, read_only=True) as reading:
        problems = store.check()
        assert reading.check() == problems
    if code is None:
        assert problems == []
    else:
        assert code in {problem.code for problem in problems}
        assert any(message in problem.message for problem in problems)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE documents SET document = '{'",
        "UPDATE documents SET document = '{}'",
        "UPDATE documents SET exact = x'ff00'",
        "UPDATE events SET raw_input = '{', input_is_json = 1",
        "UPDATE events SET data = x'ff'",
        "UPDATE events SET exact = x'7b7d'",
        "UPDATE events SET duration_ms = 'long'",
        "UPDATE sessions SET task = x'ff'",
        "UPDATE totals SET type = x'ff'",
    ],
)
def test_what_nobody_can_read_is_told(place: Path, statement: str) -> None:
    change(place, statement, "UPDATE sessions SET live = 1")
    with Store(place, read_only=True) as store:
        with pytest.raises(StoreFailure, match=r"nobody can read") as caught:
            _ask_everything(store)
        assert caught.value.where == str(place)
        assert "store_unreadable" in {problem.code for problem in store.check()}


def _ask_everything(store: Store) -> None:
    for session in store.get_sessions():
        store.get_traces(session.id)
        store.search("word")
        store.read(session.id)


def test_events_of_no_session_are_not_shown(place: Path) -> None:
    change(place, "DELETE FROM sessions WHERE id = 't-1'")
    with Store(place, read_only=True) as store:
        assert store.get_traces() == []
        assert store.search("word") == []
        assert {problem.code for problem in store.check()} >= {"store_orphan"}


def test_a_retention_that_is_no_number_removes_nothing(place: Path) -> None:
    change(place, "INSERT INTO settings VALUES ('retention_days', 'some')")
    with Store(place) as store:
        with pytest.raises(StoreFailure, match="no number"):
            store.cleanup_old_traces(benchmark=True)
        store.set_retention_days(3)
        assert store.get_retention_days() == 3


def test_check_finds_a_damaged_page(place: Path) -> None:
    connection = sqlite3.connect(place)
    question = "SELECT rootpage FROM sqlite_master WHERE name = 'events_by_id'"
    [root] = connection.execute(question).fetchone()
    connection.close()
    content = bytearray(place.read_bytes())
    content[(root - 1) * 4096 + 8 : (root - 1) * 4096 + 60] = b"\x00" * 52
    place.write_bytes(content)
    with Store(place, read_only=True) as store:
        assert {problem.code for problem in store.check()} == {"store_damaged"}
    assert place.read_bytes() == content


def test_a_copy_is_whole_and_never_replaces_a_file(place: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "one.db"
    with Store(place) as store, Store(place) as other:
        other.save_trace(Event(id="new", type="x"), "t-1")
        store.backup(copy)
        other.save_trace(Event(id="newer", type="x"), "t-1")
        with Store(copy) as copied:
            trace = copied.read("t-1")
            assert trace is not None
            assert [event.id for event in trace.events or []][-1] == "new"
            assert copied.check() == []
        before = copy.read_bytes()
        with pytest.raises(StoreFailure, match="already"):
            store.backup(copy)
    assert copy.read_bytes() == before
    assert [path.name for path in copy.parent.iterdir()] == ["one.db"]


def test_the_views_open_without_evaltrace(place: Path) -> None:
    broken = TraceError(type="Boom", message="it broke", cause="sandbox_failed")
    with Store(place) as store:
        store.add(minimal_trace(trace_id="t-3", status="error", error=broken))
    connection = sqlite3.connect(place)
    for view in ("runs", "event_list", "failures", "tool_calls"):
        connection.execute(f"SELECT * FROM {view}").fetchall()
    assert connection.execute("SELECT id, total_events FROM runs").fetchall() == [
        ("t-1", 9),
        ("t-2", 0),
        ("t-3", 0),
    ]
    assert connection.execute("SELECT id, cause FROM failures").fetchall() == [
        ("t-3", "sandbox_failed")
    ]
    found = connection.execute(
        "SELECT session_id, seq FROM event_list"
        " WHERE key IN (SELECT rowid FROM texts WHERE texts MATCH 'word') AND id = '3'"
    ).fetchall()
    assert found == [("t-1", 4)]
    connection.close()
