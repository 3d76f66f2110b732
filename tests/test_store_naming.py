from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace import trace as tr
from evaltrace.store import Store
from evaltrace.trace import Event
from traces import minimal_trace

NAMES = st.text(st.sampled_from("ab/"), min_size=1, max_size=4)


@given(
    st.lists(st.tuples(NAMES, NAMES, st.none() | NAMES), min_size=1, max_size=4),
    st.text(st.sampled_from("ab/*?"), min_size=1, max_size=5),
)
def test_a_name_stands_for_the_same_in_a_store_as_elsewhere(
    given: list[tuple[str, str, str | None]], name: str
) -> None:
    expected = set()
    with Store(":memory:") as store:
        for number, (task_id, task, org) in enumerate(given):
            traced = minimal_trace(
                trace_id=f"id-{number}", task_id=task_id, task=tr.Task(name=task, org=org)
            )
            store.add(traced)
            names = [f"id-{number}", task_id, task, task.rpartition("/")[2]]
            # The organisation is asked for with a slash.
            names += [f"{org}/{task}"] if org and "/" in name else []
            if any(fnmatchcase(known, name) for known in names):
                expected.add(f"id-{number}")
        assert {session.id for session in store.sessions_named(name)} == expected


def session(events: list[Event]) -> Store:
    store = Store(":memory:")
    store.save_traces(events, "s")
    return store


@pytest.mark.parametrize("thorough", [True, False])
def test_parents_that_no_event_is_are_listed(thorough: bool) -> None:
    parents = ("b", None, "gone", "a", "gone", "", "b", "c")
    events = [
        Event(id=name, type="x", parent_id=p) for name, p in zip("abcdefgh", parents, strict=True)
    ]
    with session(events) as store:
        assert store.missing_parents("s", thorough=thorough) == (["", "gone"], True)
        assert store.missing_parents("s", 1, thorough=thorough) == ([""], False)
        assert store.missing_parents("nobody") == ([], True)


def test_of_very_many_parents_only_the_first_are_looked_for_unless_asked() -> None:
    events = (Event(id=f"{n:05}", type="x", parent_id=f"{n:05}") for n in range(20_000))
    with session([*events, Event(id="z", type="x", parent_id="zz")]) as store:
        assert store.missing_parents("s") == ([], False)
        assert store.missing_parents("s", thorough=True) == (["zz"], True)


def test_ids_of_events_are_found_by_their_beginning() -> None:
    names = ("e1", "e10", "e2", "f", "e1", "e\U0010fffe", "%")
    with session([Event(id=name, type="x") for name in names]) as store:
        assert store.event_ids("s", "e1") == ["e1", "e10"]
        assert store.event_ids("s", "e", 3) == ["e1", "e10", "e2"]
        assert store.event_ids("s", "e\U0010fffe") == ["e\U0010fffe"]
        assert store.event_ids("s", "%") == ["%"]
        assert store.event_ids("nobody", "e") == []


def test_a_trace_is_read_without_its_events() -> None:
    trace = minimal_trace(events=[Event(id="1", type="x")])
    with Store(":memory:") as store:
        store.add(trace)
        bare = store.read(trace.trace_id, events=False)
        trace.events = None
        assert bare == trace
        assert store.read("nobody", events=False) is None
