"""Whatever a program records: it becomes JSON of bounded size, and nothing is raised."""

from __future__ import annotations

import itertools
import math
from collections import UserDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace import recording
from evaltrace.record import RecordingWarning
from evaltrace.record.values import Room, to_plain
from evaltrace.untrusted import digest
from recorders import as_json


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: list[int] = field(default_factory=list)


class Hostile:
    """An object of which nothing works."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("no")


class Changing(dict[str, int]):
    """A mapping that fails while it is read."""

    def items(self) -> Any:
        raise RuntimeError("changed")


class Unending(dict[str, int]):
    """A mapping whose items never end."""

    def __len__(self) -> int:
        return 10**9

    def items(self) -> Any:
        return ((str(number), number) for number in itertools.count())


class Nameless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


def endless() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    for number in range(20):
        loop[f"key {number}"] = loop
    return loop


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (PurePosixPath("a/b"), "a/b"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (date(2026, 1, 2), "2026-01-02"),
        (timedelta(minutes=2), "0:02:00"),
        (Decimal("0.10"), "0.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (Point(1, [2]), {"x": 1, "y": [2]}),
        (ValueError("no"), "ValueError: no"),
        (Nameless(), "Nameless: Nameless"),
        ({3, 1, 2}, [1, 2, 3]),
        ((1, "a"), [1, "a"]),
        (b"text", "text"),
        (b"\xff\x00", f"[2 bytes, {digest(bytes([255, 0]))}]"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (2**63, "9223372036854775808"),
        (10**5000, "[16610-bit int]"),
        ("\ud800x", "�x"),
        ({1: "a", "1": "b", None: 0}, {"1": "a", "1'": "b", "None": 0}),
        (np.float64(1.5), 1.5),
        (np.int32(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array(3), 3),
        (np.arange(3), [0, 1, 2]),
        (np.zeros((2000, 2000)), str(repr(np.zeros((2000, 2000))))),
        (np.datetime64("2026-01-02"), "2026-01-02"),
        (deque([1, "a"]), [1, "a"]),
        (range(3), [0, 1, 2]),
        ({"a": 1}.values(), [1]),
        (UserDict(a=1), {"a": 1}),
        (Hostile(), "[Hostile that cannot be shown]"),
        (Changing(a=1), "[Changing that cannot be shown]"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_become_json(value: Any, plain: Any) -> None:
    assert to_plain(value, Room()) == plain


@pytest.mark.parametrize(
    "value",
    [
        endless(),
        ["x" * 100_000] * 100,
        {str(n): n for n in range(10_000)},
        [[[0] * 3000] * 3000],
        Unending(),
        range(10**9),
        set(range(10_000)),
    ],
    ids=["endless", "long", "wide", "deep", "unending", "range", "set"],
)
def test_size_is_bounded(value: Any) -> None:
    assert len(msgspec.json.encode(to_plain(value, Room()))) < 3_000_000


def test_a_huge_text_is_cut_and_the_cut_is_told() -> None:
    text = "x" * 10_000_000
    room = Room()
    kept = to_plain({"log": text}, room)
    assert len(kept["log"]) <= 65_536
    (cut,) = room.cuts
    assert (cut.field, cut.original_length, cut.kept_length, cut.digest) == (
        "data", 10_000_000, len(kept["log"]), digest(text.encode()),
    )  # fmt: skip


def test_an_iterator_is_not_used_up() -> None:
    numbers: Iterator[int] = iter([1, 2])
    assert "list_iterator" in to_plain({"rows": numbers}, Room())["rows"]
    assert list(numbers) == [1, 2]


ODD = st.sampled_from([Hostile, Changing, Nameless, Path, endless, lambda: Colour.RED]).map(
    lambda make: make()
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes()
    | ODD,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner)
    | st.tuples(inner, inner),
    max_leaves=20,
)  # fmt: skip
FIELDS = ("name", "status", "started_at", "duration_ms", "role", "text", "reasoning", "input",
          "output", "error", "usage", "model", "provider", "cost_usd", "parent_id",
          "input_tokens", "raw_output", "anything")  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(VALUES)
def test_plain_values_survive_json(value: Any) -> None:
    plain = to_plain(value, Room())
    assert msgspec.json.decode(msgspec.json.encode(plain)) == plain
    assert to_plain(plain, Room()) == plain


@settings(max_examples=25, deadline=None)
@given(VALUES, VALUES, st.dictionaries(st.sampled_from(FIELDS), VALUES), VALUES)
def test_odd_values_everywhere_give_a_valid_trace(
    tmp_path_factory: pytest.TempPathFactory, kind: Any, data: Any, fields: Any, metrics: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "odd"
    with recording(kind, kind, data, folder=folder, strict=True, task=kind) as run:
        run.event(kind, data, **fields)
        with run.step(kind, data) as step:
            step.summary(data)
        run.end(metrics=metrics)
    trace = as_json(run.trace)
    assert len(trace["events"]) == 2


class Liar(int):
    """A number that is none when it is used."""

    def __float__(self) -> float:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [Hostile(), Liar(3), 10**5000, [1], math.nan, -1, "1", None],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_reward_is_warned_of(tmp_path: Path, value: Any) -> None:
    run = recording("a", "t", folder=tmp_path)
    with pytest.warns(RecordingWarning, match="a reward is a number of 0 or more"):
        run.reward(value)
    run.reward(np.float32(0.5), value)
    assert list(as_json(run.end())["rewards"].values()) == [0.5]


def test_what_is_no_value_for_a_field_is_kept_with_the_data(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        run.event("x", parent_id=Hostile(), duration_ms=Liar(3), cost_usd="free", usage=[1])
    (event,) = as_json(run.trace)["events"]
    assert event["data"] == {
        "parent_id": "[Hostile that cannot be shown]",
        "duration_ms": 3,
        "cost_usd": "free",
        "usage": [1],
    }


TEXTS = st.text(st.characters(codec="ascii"), max_size=50)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        TEXTS,
        st.integers(-(2**62), 2**62) | TEXTS | st.booleans() | st.none() | st.lists(TEXTS),
    )
)
def test_ordinary_data_is_kept_untouched(data: dict[str, Any]) -> None:
    assert to_plain(data, Room()) == data
