"""Functions whose calls are recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from evaltrace import recording, traced
from evaltrace.record import RecordingWarning
from recorders import as_json


def calls(trace: Any) -> list[tuple[str, str | None]]:
    return [(event["name"], event.get("status")) for event in as_json(trace)["events"]]


@traced
def double(number: int) -> int:
    """Give twice a number."""
    return 2 * number


@traced(name="fails", arguments=True, result=True)
def fail(secret: str) -> None:
    raise ValueError(secret)


@traced(arguments=True, result=True)
def shown(number: int, *, unit: str) -> str:
    return f"{double(number)} {unit}"


def test_outside_of_a_recording_nothing_changes() -> None:
    assert double(2) == 4
    assert (double.__name__, double.__doc__) == ("double", "Give twice a number.")


def test_calls_nest_and_hide_their_values_unless_asked(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        shown(2, unit="m")
        with pytest.raises(ValueError, match="why"):
            fail("why")
    outer, inner, failed = as_json(run.trace)["events"]
    assert (outer["type"], outer["name"], outer["status"]) == ("call", "shown", "success")
    assert (outer["input"], outer["output"]) == ({"args": [2], "kwargs": {"unit": "m"}}, "4 m")
    assert inner["parent_id"] == outer["id"]
    assert inner.keys().isdisjoint({"input", "output"})
    assert (failed["name"], failed["status"], failed["error"]) == ("fails", "fail", "why")


def test_coroutines_and_generators_last_as_long_as_they_run(tmp_path: Path) -> None:
    @traced
    async def child(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @traced
    async def stream() -> AsyncIterator[int]:
        for number in range(3):
            yield await child(number)

    @traced
    def rows() -> Iterator[int]:
        yield 1
        double(1)
        yield 2

    async def program() -> list[int]:
        return [number async for number in stream()] + list(
            await asyncio.gather(child(3), child(4))
        )

    with recording("a", "t", folder=tmp_path) as run:
        assert asyncio.run(program()) == [0, 1, 2, 3, 4]
        assert list(rows()) == [1, 2]
        left = rows()
        next(left)
        left.close()
    found = [name.rpartition(".")[2] for name, status in calls(run.trace) if status == "success"]
    assert found == ["stream", *["child"] * 5, "rows", "double", "rows"]


def test_methods_and_their_kinds_work(tmp_path: Path) -> None:
    class Tool:
        @traced
        def use(self) -> str:
            return "used"

        @classmethod
        @traced
        def make(cls) -> Tool:
            return cls()

        @staticmethod
        @traced
        def plain() -> int:
            return 1

    with recording("a", "t", folder=tmp_path) as run:
        assert (Tool.make().use(), Tool.plain()) == ("used", 1)
    assert [name.rpartition(".")[2] for name, _ in calls(run.trace)] == ["make", "use", "plain"]


def test_decorators_may_stand_in_any_order(tmp_path: Path) -> None:
    class Tool:
        @traced
        @classmethod
        def make(cls) -> str:
            return cls.__name__

        @traced
        @staticmethod
        def plain() -> int:
            return 1

    with recording("a", "t", folder=tmp_path) as run:
        assert (Tool.make(), Tool().make(), Tool.plain()) == ("Tool", "Tool", 1)
    assert [name.rpartition(".")[2] for name, _ in calls(run.trace)] == ["make", "make", "plain"]


def test_what_is_no_function_stays_as_it_is_and_is_warned_of() -> None:
    class Tool:
        pass

    with pytest.warns(RecordingWarning, match="Only functions can be traced"):
        assert traced(Tool) is Tool


@pytest.mark.parametrize("recorded", [True, False])
def test_an_async_generator_gets_what_is_sent_thrown_and_closed(
    tmp_path: Path, recorded: bool
) -> None:
    told: list[object] = []

    @traced
    async def stream() -> AsyncGenerator[int, str]:
        try:
            told.append((yield 1))
            yield 2
        except ValueError as error:
            told.append(str(error))
            yield 3
        finally:
            told.append("closed")

    async def program() -> None:
        rows = stream()
        assert [await rows.__anext__(), await rows.asend("sent")] == [1, 2]
        assert await rows.athrow(ValueError("thrown")) == 3
        await rows.aclose()
        told.append("after")

    if recorded:
        with recording("a", "t", folder=tmp_path) as run:
            asyncio.run(program())
        assert [status for _, status in calls(run.trace)] == ["success"]
    else:
        asyncio.run(program())
    assert told == ["sent", "thrown", "closed", "after"]
