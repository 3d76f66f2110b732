"""The packed trials of a plan: whatever they hold, they come out as they went in."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from evaltrace.plan import Entries, Entry
from evaltrace.summary import Facts, Tally
from evaltrace.trace import Tokens

# Names of folders may have bytes that are no UTF-8: these come as lone surrogates.
NAMES = st.text(st.characters(exclude_characters="/\0"), min_size=1) | st.just("odd\udcff")
JOBS = (None, SimpleNamespace(name="job"), SimpleNamespace(name="job"))
TEXTS = st.text(max_size=9)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    name = draw(NAMES)
    return Entry(
        reader=draw(st.sampled_from(["harbor", "other"])),
        folder=Path(draw(st.sampled_from(["/jobs/a", "/jobs/b"]))),
        job=draw(st.sampled_from(JOBS)),
        name=name,
        task=draw(TEXTS),
        trial=draw(TEXTS | st.just(name)),
        trace_id=draw(TEXTS | TEXTS.map(lambda rest: name + rest)),
        configuration=draw(TEXTS),
        started=draw(st.none() | TEXTS),
        finished=draw(st.booleans()),
        attempt=draw(st.integers(0, 2**40)),
        kept=draw(st.none() | st.integers(0, 9)),
    )


SEVERAL = st.lists(entries(), max_size=6)


@given(SEVERAL)
def test_entries_come_out_as_they_went_in(rows: list[Entry]) -> None:
    packed = Entries(rows)
    assert list(packed) == rows
    assert [packed[index] for index in range(-len(rows), len(rows))] == rows + rows
    # The very job, not an equal one: it is not copied for each trial.
    assert all(entry.job is row.job for entry, row in zip(packed, rows, strict=True))


@given(SEVERAL, st.slices(6), st.slices(6))
def test_slices_and_what_is_unread_are_those_of_a_list(
    rows: list[Entry], first: slice, second: slice
) -> None:
    packed = Entries(rows)[first]
    assert packed == rows[first]
    assert packed[second] == rows[first][second]
    assert packed.unread == [row for row in rows[first] if row.kept is None]
    assert packed.unread[second] == [row for row in rows[first] if row.kept is None][second]


@given(SEVERAL)
def test_pickled_they_are_a_tuple_of_their_own(rows: list[Entry]) -> None:
    sent = pickle.loads(pickle.dumps(Entries(rows)[1:3]))
    assert type(sent) is tuple
    assert sent == tuple(rows[1:3])


def test_entries_differ_where_one_does() -> None:
    row = numbered(1)
    assert Entries([row]) == Entries([numbered(1)])
    assert Entries([row]) != Entries([numbered(2)])
    assert Entries([row]) != Entries([row, row])
    assert Entries([row]) != row


def numbered(number: int) -> Entry:
    name = f"task-{number % 100:05}__{number:07x}"
    started = f"2026-01-05T10:00:00.{number:06}Z"
    ids = (name, f"{name}-{number:012x}", "configuration")
    return Entry("harbor", Path("/jobs/a"), None, name, name[:10], *ids, started, True)


def test_a_planned_trial_takes_little_memory() -> None:
    # 280 bytes each would be 5 % of what a run over 10,000 trials needs besides.
    assert memory_of(lambda: Entries(map(numbered, range(2000)))) / 2000 < 160


def test_a_counted_trial_takes_little_memory() -> None:
    def counted() -> Tally:
        tally = Tally()
        for number in range(2000):
            counts = range(number + 10_000, number + 10_006)
            tokens = Tokens(**dict(zip(Tokens.__struct_fields__, counts, strict=True)))
            tally.add_facts(Facts(status="pass", tokens=tokens, cost_usd=0.1, reward=1.0))
        return tally

    assert memory_of(counted) / 2000 < 40


def memory_of(make: object) -> int:
    tracemalloc.start()
    try:
        made = make()  # type: ignore[operator]
        assert made is not None
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
