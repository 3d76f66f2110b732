"""Sessions, events and questions about them; what is told to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace.errors import StoreFailure, UnknownName
from evaltrace.schema import violations
from evaltrace.store import Store, StoredEvent, hits_in, is_error
from evaltrace.trace import (
    AgentResponse,
    Cost,
    Durations,
    Event,
    Metrics,
    Origin,
    Tokens,
    TraceError,
    Trigger,
    Usage,
)
from traces import minimal_trace

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(":memory:", clock=clock)


def event(number: int, **fields: Any) -> Event:
    at = NOON + timedelta(seconds=number)
    given = {"type": "tool_called", "started_at": at.isoformat().replace("+00:00", "Z")}
    return Event(**{"id": str(number), **given, **fields})


def ids(events: list[StoredEvent]) -> list[str]:
    return [event.id for event in events]


def filled(store: Store) -> str:
    """A session of 100 events: every tenth failed, every seventh a model's, children of 5."""
    session = store.start_session("tidy up")
    store.save_traces(
        (
            event(
                number,
                type="llm_call" if number % 7 == 0 else "tool_called",
                status="error" if number % 10 == 0 else "ok",
                duration_ms=float(number),
                parent_id="5" if 50 < number <= 60 else None,
                output="needle" if number == 33 else "hay",
            )
            for number in range(1, 101)
        ),
        session.id,
    )
    return session.id


# Live sessions.


def test_a_session_lives_and_ends(store: Store, clock: Clock) -> None:
    trigger = Trigger(source="jira_webhook", issue_key="ABC-1", intent_type="bug_fix")
    begun = store.start_session("fix it", agent="claude", trigger=trigger, context={"branch": "x"})
    assert (begun.status, begun.live, begun.intent) == ("running", True, "bug_fix")
    assert begun.started_at == "2026-02-03T12:00:00Z"
    store.save_trace(event(1, usage=Usage(input_tokens=5, output_tokens=7), cost_usd=0.5), begun.id)
    store.save_traces(
        [event(2, error="no such file"), event(3, usage=Usage(input_tokens=1))], begun.id
    )
    clock.now += timedelta(hours=1, minutes=27, seconds=3)
    ended = store.end_session(begun.id, "failure")
    assert (ended.status, ended.duration_s, ended.error) == ("fail", 5223.0, "no such file")
    assert (ended.total_events, ended.total_errors, ended.total_tokens) == (3, 1, 13)
    assert ended.total_cost_usd == 0.5
    assert store.get_session(begun.id) == ended


def test_a_live_session_reads_as_a_valid_trace(store: Store, clock: Clock) -> None:
    session = store.start_session("fix it", agent="claude", context={"branch": "x"})
    usage = Usage(input_tokens=5, cache_read_input_tokens=2)
    store.save_trace(event(1, usage=usage), session.id)
    running = store.read(session.id)
    clock.now += timedelta(minutes=1)
    store.end_session(session.id, "success")
    ended = store.read(session.id)
    for trace in (running, ended):
        assert trace is not None
        assert violations(msgspec.to_builtins(trace)) == []
        assert trace.metrics.tokens == Tokens(input=5, cache_read=2, total=5, total_with_cache=7)
        assert trace.origin.kind == "recorder"
        assert (trace.metrics.tool_calls, trace.metrics.turns) == (1, None)
        assert [event.id for event in trace.events or []] == ["1"]
    assert running is not None
    assert ended is not None
    assert (running.status, running.test_reward) == ("running", None)
    assert (ended.status, ended.test_reward, ended.rewards) == ("pass", 1.0, {"outcome": 1.0})
    assert ended.metrics.durations.total_s == 60


@pytest.mark.parametrize(
    ("word", "status", "reward"),
    [
        ("success", "pass", 1.0), ("completed", "pass", 1.0), ("failed", "fail", 0.0),
        ("failure", "fail", 0.0), ("partial", "partial", None), ("cancelled", "cancelled", None),
    ],
)  # fmt: skip
def test_outcomes_are_the_statuses_of_a_trace(
    store: Store, word: str, status: str, reward: float | None
) -> None:
    session = store.start_session("fix it")
    assert store.end_session(session.id, word).status == status
    trace = store.read(session.id)
    assert trace is not None
    assert trace.test_reward == reward
    assert violations(msgspec.to_builtins(trace)) == []


def test_an_unknown_outcome_or_session_is_refused(store: Store) -> None:
    session = store.start_session("fix it")
    with pytest.raises(UnknownName, match="success"):
        store.end_session(session.id, "excellent")
    with pytest.raises(UnknownName):
        store.end_session("nobody", "success")
    store.add(minimal_trace())
    with pytest.raises(UnknownName, match="not a live session"):
        store.end_session("t-1", "success")
    with pytest.raises(UnknownName, match="begun already"):
        store.start_session("again", trace_id=session.id)


def test_events_before_the_start_and_after_the_end_are_kept(store: Store) -> None:
    store.save_trace(event(1), "early")
    found = store.get_session("early")
    assert found is not None
    assert (found.status, found.task, found.kind) == ("running", "unknown", "recorder")
    begun = store.start_session("fix it", trace_id="early", agent="claude")
    assert (begun.task, begun.agent, begun.total_events) == ("fix it", "claude", 1)
    store.end_session("early", "success")
    store.save_trace(event(2, error="late"), "early")
    late = store.get_session("early")
    assert late is not None
    assert (late.status, late.total_events, late.total_errors) == ("pass", 2, 1)
    assert ids(store.get_traces("early")) == ["1", "2"]
    assert store.search("unknown") == []
    assert store.check() == []


def test_a_whole_trace_says_itself_what_it_used(store: Store) -> None:
    metrics = Metrics(tokens=Tokens(total=99), cost=Cost(usd=2.0), durations=Durations(total_s=7.0))
    events = [event(1, usage=Usage(input_tokens=1), cost_usd=0.1)]
    store.add(minimal_trace(metrics=metrics, events=events))
    [session] = store.get_sessions()
    assert (session.total_tokens, session.total_cost_usd, session.duration_s) == (99, 2.0, 7.0)
    assert session.live is False


def test_adding_again_replaces_all_of_a_trace(store: Store) -> None:
    assert store.add(minimal_trace(events=[event(1, text="before"), event(2)])) is True
    assert store.add(minimal_trace(events=[event(9, text="after")])) is False
    assert [session.total_events for session in store.get_sessions()] == [1]
    assert store.search("before") == []
    assert len(store.search("after")) == 1
    assert store.check() == []


def test_many_are_added_and_counted(store: Store) -> None:
    traces = [minimal_trace(trace_id=f"t-{n % 150}", events=[event(n)]) for n in range(250)]
    traces.append(minimal_trace(trace_id="big", events=[event(n) for n in range(2500)]))
    counts = store.add_all(iter(traces))
    assert (counts.added, counts.replaced) == (151, 100)
    assert store.stats().events == 2650
    assert store.check() == []
    assert len(list(store.read_all())) == 151


def test_of_two_with_one_id_the_later_one_stays(store: Store) -> None:
    long = [event(n) for n in range(1500)]
    for one, other in (([event(1)], long), (long, [event(1)])):
        counts = store.add_all(minimal_trace(events=events) for events in (one, other))
        assert counts.added + counts.replaced == 2
        assert [session.total_events for session in store.get_sessions()] == [len(other)]


# Events.


def test_events_are_filtered(store: Store) -> None:
    session = filled(store)
    assert ids(store.get_traces(session, limit=3)) == ["1", "2", "3"]
    assert ids(store.get_traces(session, "llm_call", limit=2)) == ["7", "14"]
    assert ids(store.get_traces(session, ["llm_call", "tool_called"], limit=2)) == ["1", "2"]
    assert ids(store.get_traces(session, errors=True)) == [str(n) for n in range(10, 101, 10)]
    assert ids(store.get_traces(session, min_duration_ms=99)) == ["99", "100"]
    assert ids(store.get_traces(session, parent_id="5", limit=2)) == ["51", "52"]
    assert len(store.get_traces(session, roots=True)) == 90
    assert ids(store.get_traces(session, search_text="needle")) == ["33"]
    assert store.get_traces(session, search_text='"') == []
    assert ids(store.get_traces(session, "llm_call", errors=True)) == ["70"]
    assert store.get_traces("nobody") == []
    assert store.get_traces(session, []) == []


def test_events_are_found_by_time(store: Store) -> None:
    session = filled(store)
    start, end = "2026-02-03T12:00:03Z", NOON + timedelta(seconds=5)
    assert ids(store.get_traces(session, start_time=start, end_time=end)) == ["3", "4", "5"]
    # Fractions sort after the whole second, which as texts they would not.
    store.save_trace(Event(id="x", type="y", started_at="2026-02-03T12:00:05.5Z"), session)
    assert ids(store.get_traces(start_time=end, end_time=end)) == ["5"]
    zone = "2026-02-03T13:00:05.500001+01:00"
    assert ids(store.get_traces(start_time=end, end_time=zone)) == ["x", "5"]


def test_a_text_that_is_no_time_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="yesterday"):
        store.get_traces(start_time="yesterday")
    with pytest.raises(ValueError, match="soon"):
        store.get_sessions(until="soon")


def test_pages_of_a_session_follow_each_other(store: Store) -> None:
    session = filled(store)
    found: list[str] = []
    after = None
    while page := store.get_traces(session, "tool_called", limit=17, after=after):
        found += ids(page)
        after = page[-1].seq
    assert found == [str(n) for n in range(1, 101) if n % 7]


def test_events_of_all_sessions_come_newest_first(store: Store) -> None:
    store.add(minimal_trace(trace_id="a", events=[event(1), event(2)]))
    store.add(minimal_trace(trace_id="b", events=[event(3)]))
    assert [(e.session_id, e.seq) for e in store.get_traces()] == [("b", 1), ("a", 2), ("a", 1)]


def test_an_event_is_found_by_its_id(store: Store) -> None:
    store.add(minimal_trace(events=[event(1, text="first"), event(1, text="second")]))
    found = store.get_event("t-1", "1")
    assert found is not None
    assert (found.text, found.seq, found.session_id) == ("first", 1, "t-1")
    assert store.get_event("t-1", "2") is None
    assert store.get_event("nobody", "1") is None


@pytest.mark.parametrize("session", [None, "big"])
def test_large_sessions_are_filtered_by_the_index_as_by_looking(
    store: Store, session: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_traces(
        (event(n, duration_ms=float(n % 97), type=f"t{n % 3}") for n in range(3000)), "big"
    )
    filters: list[dict[str, Any]] = [
        {"min_duration_ms": 96},
        {"min_duration_ms": 90, "event_type": "t1"},
        {"start_time": NOON + timedelta(seconds=2990)},
        {"end_time": NOON + timedelta(seconds=5), "event_type": ["t0", "t2"]},
        {"min_duration_ms": 1000},
    ]
    looking = [store.get_traces(session, limit=20, **given) for given in filters]
    monkeypatch.setattr("evaltrace.store.choosing._GLANCE", 10)
    assert [store.get_traces(session, limit=20, **given) for given in filters] == looking
    assert [len(found) for found in looking] == [20, 20, 10, 4, 0]


# Totals.


def test_totals_are_kept_up_to_date(store: Store) -> None:
    session = filled(store)
    totals = store.summary(session)
    assert totals is not None
    kinds = {(row.type, row.status): row.events for row in totals.by_type}
    assert kinds == {
        ("tool_called", "ok"): 77, ("llm_call", "ok"): 13,
        ("tool_called", "error"): 9, ("llm_call", "error"): 1,
    }  # fmt: skip
    assert sum(row.duration_ms or 0 for row in totals.by_type) == 5050
    assert totals.session.total_errors == 10
    assert totals.by_type[0].cost_usd is None
    assert store.summary("nobody") is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False), ({"status": "ok"}, False), ({"status": "success"}, False),
        ({"error": ""}, True), ({"status": "blocked"}, True), ({"status": "fail"}, True),
        ({"type": "error"}, True),
    ],
)  # fmt: skip
def test_what_counts_as_an_error(fields: dict[str, str], expected: bool) -> None:
    assert is_error(Event(**{"id": "1", "type": "x", **fields})) is expected


def test_arms_are_counted(store: Store) -> None:
    for number, arm in enumerate(["b", "a", "b", None]):
        status = "pass" if number else "fail"
        store.add(minimal_trace(trace_id=str(number), arm=arm, status=status))
    rows = [(row.arm, row.sessions, row.passed) for row in store.arms()]
    assert rows == [(None, 1, 1), ("a", 1, 1), ("b", 2, 1)]


# Sessions.


def test_sessions_are_chosen_and_paged(store: Store) -> None:
    for number in range(5):
        started = NOON + timedelta(days=number)
        store.add(
            minimal_trace(
                trace_id=f"{number}-run",
                task=msgspec.structs.replace(minimal_trace().task, name=f"task {number % 2}"),
                origin=Origin(kind="harness", started_at=started.isoformat()),
                status="pass" if number % 2 else "fail",
            )
        )
    names = [session.id for session in store.get_sessions()]
    assert names == ["4-run", "3-run", "2-run", "1-run", "0-run"]
    assert [s.id for s in store.get_sessions(2, 1)] == ["3-run", "2-run"]
    assert [s.id for s in store.get_sessions(status="pass")] == ["3-run", "1-run"]
    assert [s.id for s in store.get_sessions(task="task 1")] == ["3-run", "1-run"]
    assert len(store.get_sessions(task="task*")) == 5
    since = NOON + timedelta(days=3)
    assert [s.id for s in store.get_sessions(since=since)] == ["4-run", "3-run"]
    assert [s.id for s in store.get_sessions(until="2026-02-04", kind="harness")] == ["0-run"]


def test_a_session_is_found_by_the_beginning_of_its_id(store: Store) -> None:
    for name in ("abcd-1", "abcd-2", "abX", "%", "zz\ufffd"):
        store.add(minimal_trace(trace_id=name))
    found = {text: store.get_session(text) for text in ("abX", "ab", "abcd-1", "%", "z", "", "_")}
    assert {text: session.id for text, session in found.items() if session} == {
        "abX": "abX", "abcd-1": "abcd-1", "%": "%", "z": "zz\ufffd",
    }  # fmt: skip
    assert store.near_sessions("abcx") == ["abcd-1", "abcd-2"]
    assert store.short_ids(["abcd-1", "%"]) == ["abcd-1", "%"]


def test_short_ids_name_their_sessions(store: Store) -> None:
    names = ["tidy-up__a1-99", "tidy-up__a2-98", "tidy-up__b"]
    for name in names:
        store.add(minimal_trace(trace_id=name))
    shown = store.short_ids(names)
    assert shown == ["tidy-up__a1", "tidy-up__a2", "tidy-up__b"]
    for short, name in zip(shown, names, strict=True):
        session = store.get_session(short)
        assert session is not None
        assert session.id == name


# Words.


def test_a_search_finds_runs_and_events(store: Store) -> None:
    store.add(
        minimal_trace(
            task_instruction="Make the Ärger go away",
            agent_response=AgentResponse(result="It is gone"),
            error=TraceError(type="ToolFailure", message="it broke"),
            test_output="1 failed: test_login",
            events=[
                event(1, input={"command": "grep -rn frobnicate\nsrc/main.py"}),
                event(2, output="x" * 50_000 + " Segmentation fault"),
                event(3, data={"deep": [{"key": "hidden-treasure"}]}),
            ],
        )
    )
    found = {
        text: [(hit.event_id, hit.field) for hit in store.search(text)]
        for text in (
            "arger", "GONE", "broke", "test_login", "frobnicate", '"segmentation fault"',
            "treasure", "frob*", "src/main.py", "absent", '"grep frobnicate"', "",
        )
    }  # fmt: skip
    assert found == {
        "arger": [(None, "task_instruction")], "GONE": [(None, "answer")],
        "broke": [(None, "error")], "test_login": [(None, "test_output")],
        "frobnicate": [("1", "input")], '"segmentation fault"': [("2", "output")],
        "treasure": [("3", "data")], "frob*": [("1", "input")], "src/main.py": [("1", "input")],
        "absent": [], '"grep frobnicate"': [], "": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ['"', '""', "AND", "OR NOT", "NEAR(", "a^b", "col:x", "-x", "(", "*", "'", "\x00", "\ud800",
     'x"y', "text : word", "word" * 5000, "a " * 500],
)  # fmt: skip
def test_no_text_is_a_wrong_question(store: Store, text: str) -> None:
    store.add(minimal_trace(events=[event(1, text="plain words")]))
    assert store.search(text) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Первый шаг: Ёлка", ["первый", "ПЕРВЫЙ", "ёлка", "перв*"]),
        ("한국어 텍스트", ["한국어", "한국*"]),
        ("Ελληνικά, ΣΊΣΥΦΟΣ", ["ελληνικά", "σίσυφος"]),
        ("日本語テスト です", ["日本語テスト", "日本*"]),
        ("İstanbul; naïve Ångström", ["istanbul", "NAIVE", "angstrom", "naïv*"]),
        ("straße", ["STRAßE", "stra*"]),
        ("हिन्दी में लिखना", ["हिन्दी", "लिखना"]),
        ("snake_case_name don't re-run", ["snake_case", "case_na*", "don't", '"re run"']),
    ],
)
def test_words_of_all_alphabets_are_found_in_a_store_and_out_of_it(
    store: Store, text: str, words: list[str]
) -> None:
    trace = minimal_trace(events=[event(1, text=text)])
    store.add(trace)
    for word in words:
        hits = store.search(word)
        assert hits == list(hits_in(trace, word))
        assert [hit.seq for hit in hits] == [1], word


LETTERS = st.characters(max_codepoint=0xFFFF, categories=("L", "Nd", "P", "Zs"))


@given(st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=4), st.booleans())
@settings(max_examples=150, deadline=None)
def test_an_index_finds_what_reading_finds(words: list[str], beginning: bool) -> None:
    trace = minimal_trace(events=[event(1, text=" ".join(words))])
    with Store(":memory:") as store:
        store.add(trace)
        for word in words:
            text = f"{word[:2]}*" if beginning else word
            assert store.search(text, session_id="t-1") == list(hits_in(trace, text))


@pytest.mark.parametrize(
    "text", ["w*", "w* hay", "w1*", "w* x9*", "w* absent", '"hay w"*', "q* w*", "z*"]
)
@pytest.mark.parametrize("session", [None, "big"])
def test_a_beginning_of_many_words_finds_what_its_words_find(
    store: Store, text: str, session: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_traces((event(n, text=f"hay w{n} x{n % 10}", error="") for n in range(200)), "big")
    store.save_traces((event(n, text=f"hay q{n} x{n % 10}") for n in range(20)), "small")

    def found(limit: int, offset: int) -> object:
        return (
            store.search(text, session_id=session, limit=limit, offset=offset),
            store.get_traces(session, search_text=text, limit=limit, errors=True),
        )

    pages = [(5, 0), (5, 12), (300, 0)]
    by_index = [found(*page) for page in pages]
    monkeypatch.setattr("evaltrace.store.matching._MANY_WORDS", 3)
    for glance in (1000, 30):
        monkeypatch.setattr("evaltrace.store.matching._GLANCE", glance)
        assert [found(*page) for page in pages] == by_index


def test_sums_of_absurd_numbers_stay_numbers(store: Store) -> None:
    absurd = [event(n, usage=Usage(input_tokens=2**62, output_tokens=1)) for n in range(3)]
    for _ in range(3):
        store.save_traces(absurd, "s")
    trace, totals = store.read("s"), store.summary("s")
    assert trace is not None
    assert totals is not None
    assert violations(msgspec.to_builtins(trace)) == []
    assert (totals.by_type[0].input_tokens, totals.by_type[0].output_tokens) == (2**63 - 1, 9)
    assert store.check() == []


def test_limits_may_be_larger_than_any_number_of_rows(store: Store) -> None:
    session, many = filled(store), 10**30
    assert len(store.get_sessions(many)) == 1
    assert store.get_sessions(many, many) == []
    assert len(store.search("hay", limit=many)) == 99
    assert store.search("hay", limit=many, offset=many) == []
    assert len(store.get_traces(session, limit=many)) == 100
    assert store.get_traces(session, after=many) == []
    assert store.get_traces(session, min_duration_ms=many) == []


def test_hits_say_where_the_words_stand(store: Store) -> None:
    text = "long before. " * 30 + "The Café\x1b[31m closed\x1b[0m early; the cafe closed."
    store.add(minimal_trace(events=[event(1, text=text)]))
    [hit] = store.search("cafe closed")
    marked = [hit.text[first:last] for first, last in hit.marks]
    assert marked == ["Café", "closed", "cafe", "closed"]
    assert "\x1b" not in hit.text
    assert len(hit.text) <= 170
    assert (hit.type, hit.seq, hit.started_at) == ("tool_called", 1, "2026-02-03T12:00:01Z")


def test_searching_a_trace_in_memory_finds_the_same(store: Store) -> None:
    session = filled(store)
    trace = store.read(session)
    assert trace is not None
    for text in ("hay", "needle", "tidy", "tool* hay"):
        assert list(hits_in(trace, text))[:20] == store.search(text, session_id=session)


def test_pages_of_hits_follow_each_other(store: Store) -> None:
    session = filled(store)
    pages = [store.search("hay", session_id=session, limit=40, offset=n) for n in (0, 40, 80)]
    assert [len(page) for page in pages] == [40, 40, 19]
    assert [hit.seq for page in pages for hit in page] == [n for n in range(1, 101) if n != 33]


def test_without_an_index_everything_is_read(tmp_path: Path) -> None:
    place = tmp_path / "store.db"
    with Store(place) as store:
        session = filled(store)
        expected = store.search("hay"), store.get_traces(session, search_text="needle")
        with store._connection.transaction() as connection:
            connection.execute("DROP TABLE texts")
    with Store(place) as store:
        assert not store.stats().searchable
        assert (store.search("hay"), store.get_traces(session, search_text="needle")) == expected
        store.save_trace(event(101, text="still"), session)
        assert len(store.search("still")) == 1
        assert store.check() == []


# Retention.


def aged(store: Store, name: str, days: int, **changes: Any) -> None:
    time = (NOON - timedelta(days=days)).isoformat()
    origin = Origin(kind=changes.pop("kind", "recorder"), started_at=time, finished_at=time)
    events = [event(1, text=f"word{name}")]
    store.add(minimal_trace(trace_id=name, origin=origin, events=events, **changes))


def test_old_sessions_go_and_nothing_else(store: Store) -> None:
    aged(store, "old", 31)
    aged(store, "young", 29)
    aged(store, "running", 99, status="running")
    aged(store, "trial", 99, kind="harness")
    store.add(minimal_trace(trace_id="timeless", origin=Origin(kind="recorder")))
    assert store.cleanup_old_traces(dry_run=True) == 1
    assert [session.id for session in store.expired()] == ["old"]
    assert store.get_session("old") is not None
    assert store.cleanup_old_traces() == 1
    assert store.cleanup_old_traces() == 0
    left = {session.id for session in store.get_sessions()}
    assert left == {"young", "running", "trial", "timeless"}
    assert store.search("wordold") == []
    assert store.check() == []
    assert store.cleanup_old_traces(benchmark=True) == 1
    assert store.cleanup_old_traces(0) == 1


def test_the_setting_counts_unless_days_are_given(store: Store) -> None:
    aged(store, "old", 10)
    assert store.get_retention_days() == 30
    store.set_retention_days(7)
    assert store.get_retention_days() == 7
    assert store.cleanup_old_traces(20) == 0
    assert store.cleanup_old_traces(10**9) == 0
    assert store.cleanup_old_traces() == 1
    with pytest.raises(ValueError, match="0 days"):
        store.set_retention_days(-1)


def test_space_is_given_back(tmp_path: Path, clock: Clock) -> None:
    place = tmp_path / "store.db"
    with Store(place, clock=clock) as store:
        aged(store, "kept", 0)
        for number in range(40):
            aged(store, str(number), 99, code_changes="x" * 50_000)
    full = place.stat().st_size
    with Store(place, clock=clock) as store:
        assert store.cleanup_old_traces() == 40
    assert place.stat().st_size < full / 5


def test_a_store_in_memory_is_closed_for_good() -> None:
    with Store(":memory:") as store:
        store.add(minimal_trace())
    with pytest.raises(StoreFailure, match="closed"):
        store.get_sessions()
