"""Trace -> store -> Trace is the identity, whatever Python can have in a trace."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from aggregated import CORPUS, EXAMPLES
from evaltrace.aggregate import read_records
from evaltrace.errors import StoreFailure
from evaltrace.plan import Options, plan_aggregation
from evaltrace.store import Store
from evaltrace.trace import Event, Trace, Usage
from traces import distinct_trace, minimal_trace

ODD = [
    "\ud800",
    "\udc00\ud83d",
    "\ud83d\ude00",
    "a\x00b",
    "\x00",
    "",
    "\ufeff",
    "é",
    "😀",
    "\x1b[1m",
]
TEXTS = st.text(st.characters(exclude_categories=()), max_size=6) | st.sampled_from(ODD)
NUMBERS = st.floats() | st.sampled_from([float("nan"), -0.0, 1e300, 5e-324])
INTEGERS = st.integers() | st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 2**64, 10**30])
ANYTHING = st.recursive(
    st.none() | st.booleans() | INTEGERS | NUMBERS | TEXTS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(TEXTS, below, max_size=3),
    max_leaves=6,
)


SCALARS: dict[type[inspect.Type], st.SearchStrategy[Any]] = {
    inspect.BoolType: st.booleans(),
    inspect.IntType: INTEGERS,
    inspect.FloatType: NUMBERS,
    inspect.AnyType: ANYTHING,
    inspect.StrType: TEXTS,
}


def values(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of a type; absent ones first, so that examples stay small."""
    match kind:
        case inspect.UnionType(types=types):
            return st.one_of(*(values(t) for t in sorted(types, key=_is_something)))
        case inspect.NoneType():
            return st.none()
        case inspect.StructType(cls=cls) | inspect.DataclassType(cls=cls):
            return st.builds(cls, **{f.name: values(f.type) for f in kind.fields})
        case inspect.ListType(item_type=item):
            return st.lists(values(item), max_size=2)
        case inspect.DictType(value_type=item):
            return st.dictionaries(TEXTS, values(item), max_size=2)
        case inspect.LiteralType(values=words):
            return st.sampled_from(words)
    return SCALARS[type(kind)]


def _is_something(kind: inspect.Type) -> bool:
    return not isinstance(kind, inspect.NoneType)


EVENTS = values(inspect.type_info(Event))
TRACES = values(inspect.type_info(Trace))


def same(one: Trace, other: Trace | None) -> bool:
    """Equal to the last bit: by text, as NaN is not equal to itself."""
    return repr(one) == repr(other)


@pytest.fixture(scope="module")
def store() -> Store:
    return Store(":memory:")


@given(st.lists(EVENTS, max_size=4))
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
def test_events_come_back_as_they_were(store: Store, events: list[Event]) -> None:
    trace = minimal_trace(events=events)
    store.add(trace)
    assert same(trace, store.read("t-1"))


@given(TRACES)
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
def test_traces_come_back_as_they_were(store: Store, trace: Trace) -> None:
    store.add(trace)
    assert same(trace, store.read(trace.trace_id))


@pytest.mark.parametrize("events", [None, [], [Event(id="1", type="step")]])
def test_events_that_are_absent_none_or_some_stay_so(
    store: Store, events: list[Event] | None
) -> None:
    store.add(minimal_trace(events=[Event(id="0", type="step")]))
    store.add(minimal_trace(events=events))
    read = store.read("t-1")
    assert read is not None
    assert read.events == events


@pytest.mark.parametrize(
    "value",
    [None, "", "5", "null", 5, 5.0, True, [], {}, [None], {"a": [{}]}, 10**400, float("-inf")],
)
def test_input_keeps_its_json_type(store: Store, value: Any) -> None:
    store.add(minimal_trace(events=[Event(id="1", type="tool_call", input=value)]))
    read = store.read("t-1")
    assert read is not None
    assert read.events is not None
    assert repr(read.events[0].input) == repr(value)


def test_usage_without_any_number_is_not_absent(store: Store) -> None:
    trace = minimal_trace(events=[Event(id="1", type="llm_call", usage=Usage())])
    store.add(trace)
    assert store.read("t-1") == trace


def test_what_is_no_json_becomes_its_text(store: Store) -> None:
    event = Event(id="1", type="error", data={"error": ValueError("bad"), "seen": {1: (2, 3)}})
    store.add(minimal_trace(events=[event]))
    read = store.read("t-1")
    assert read is not None
    assert read.events is not None
    assert read.events[0].data == {"error": "bad", "seen": {"1": [2, 3]}}


def test_what_cannot_be_read_back_is_refused_and_changes_nothing(store: Store) -> None:
    store.add(minimal_trace())
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for event in (Event(id="1", type="x", input=deep), Event(id=7, type="x")):  # type: ignore[arg-type]
        with pytest.raises(StoreFailure, match="cannot be stored"):
            store.add(minimal_trace(events=[event]))
    assert store.read("t-1") == minimal_trace()


def test_every_field_is_kept(store: Store) -> None:
    trace = distinct_trace()
    assert store.add(trace) is True
    assert store.read(trace.trace_id) == trace


def test_traces_of_the_examples_come_back_as_the_same_bytes(store: Store) -> None:
    plan = plan_aggregation([EXAMPLES], Options(prices="none"))
    traces = [record.trace for record in read_records(plan) if record.trace]
    assert len(traces) > 20
    store.add_all(traces)
    for trace in traces:
        assert msgspec.json.encode(store.read(trace.trace_id)) == msgspec.json.encode(trace)


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus of real job directories")
def test_traces_of_the_corpus_come_back_as_the_same_bytes(store: Store) -> None:
    job = min((path for path in CORPUS.iterdir() if path.is_dir()), key=lambda path: path.name)
    plan = plan_aggregation([job], Options(prices="none"))
    for entry, record in zip(range(10), read_records(plan), strict=False):
        assert entry < 10
        if record.trace is not None:
            store.add(record.trace)
            read = store.read(record.trace.trace_id)
            assert msgspec.json.encode(read) == msgspec.json.encode(record.trace)
