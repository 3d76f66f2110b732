from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace.tables import KEYS, TABLES, TEXT_LIMIT, fitted, rows_of
from evaltrace.trace import Event, Evidence, Trace, TraceError
from traces import distinct_trace, minimal_trace

DOCS = Path(__file__).parents[1] / "docs" / "parquet.md"


def tables_of(trace: Trace) -> dict[str, list[dict[str, Any]]]:
    found = {}
    for rows in rows_of(trace, msgspec.json.encode(trace)):
        names = [column.name for column in TABLES[rows.table].columns]
        found[rows.table] = [
            dict(zip(names, row, strict=True)) for row in zip(*rows.columns, strict=True)
        ]
    return found


def values_below(document: Any) -> list[Any]:
    if isinstance(document, dict):
        return [value for item in document.values() for value in values_below(item)]
    if isinstance(document, list):
        return [value for item in document for value in values_below(item)]
    return [document]


def test_every_column_takes_a_value_of_its_own_from_the_trace() -> None:
    trace = distinct_trace()
    known = values_below(msgspec.to_builtins(trace))
    counted = {"position", "text_length", "reasoning_length", "output_length", "problems", "events"}
    for name, rows in tables_of(trace).items():
        kept = {
            column.name: rows[0][column.name]
            for column in TABLES[name].columns
            if column.type not in ("json", "boolean") and column.name not in {*counted, "kind"}
        }
        assert [key for key, value in kept.items() if value not in known] == []
        assert len(set(kept.values())) == len(kept)


def test_no_column_is_empty_where_the_trace_has_everything() -> None:
    trace = distinct_trace()
    assert trace.events is not None
    trace.events[0].data = {"kind": "shell"}
    for name, rows in tables_of(trace).items():
        assert [key for key, value in rows[0].items() if value is None] == [], name


def test_what_is_absent_stays_absent() -> None:
    tables = tables_of(minimal_trace())
    assert set(tables) == {"trials"}
    (row,) = tables["trials"]
    assert {key for key, value in row.items() if value is not None} == {
        *("trace_id", "job", "task", "task_id", "status", "reward", "reward_valid", "passed"),
        *("rewards", "kind", "harness", "problems", "schema_version", "trace"),
    }


def test_all_tables_begin_with_the_same_columns() -> None:
    names = [column.name for column in KEYS]
    assert names == ["trace_id", "arm", "job", "task", "attempt"]
    for table in TABLES.values():
        columns = [column.name for column in table.columns]
        assert columns[:5] == names
        assert len(set(columns)) == len(columns)


def test_a_reward_that_does_not_count_is_neither_passed_nor_failed() -> None:
    error = TraceError(type="E", reward_valid=False)
    (broken,) = tables_of(minimal_trace(status="error", error=error))["trials"]
    assert (broken["reward"], broken["reward_valid"], broken["passed"]) == (1.0, False, None)
    (failed,) = tables_of(minimal_trace(status="fail", test_reward=0.0))["trials"]
    assert (failed["reward"], failed["reward_valid"], failed["passed"]) == (0.0, True, False)
    (missing,) = tables_of(minimal_trace(status="error", test_reward=None))["trials"]
    assert (missing["reward"], missing["reward_valid"], missing["passed"]) == (None, None, None)


def test_no_events_and_no_log_are_told_apart() -> None:
    assert tables_of(minimal_trace(events=[]))["trials"][0]["events"] == 0
    assert tables_of(minimal_trace())["trials"][0]["events"] is None


def test_long_texts_are_cut_but_their_length_is_kept() -> None:
    event = Event(id="1", type="message", text="ä" * 9000, output="")
    (row,) = tables_of(minimal_trace(events=[event]))["events"]
    assert (row["text"], row["text_length"]) == ("ä" * TEXT_LIMIT, 9000)
    assert (row["output"], row["output_length"]) == ("", 0)
    assert (row["reasoning"], row["reasoning_length"]) == (None, None)


def test_the_size_of_rows_counts_their_long_texts() -> None:
    small, large = (
        next(rows_of(minimal_trace(task_instruction=text), text.encode())).size
        for text in ("", "x" * 5000)
    )
    assert large - small == 5000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3000),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_what_a_tool_was_given_is_json_of_bounded_length(given: Any) -> None:
    event = Event(id="1", type="tool_call", input=msgspec.json.decode(json.dumps(given)))
    (row,) = tables_of(minimal_trace(events=[event]))["events"]
    if given is None:
        assert row["input"] is None
    else:
        json.loads(row["input"])
        assert len(row["input"]) <= TEXT_LIMIT * 4


def test_a_wide_value_is_cut_too() -> None:
    wide = {f"key {number}": number for number in range(5000)}
    (row,) = tables_of(minimal_trace(events=[Event(id="1", type="x", data=wide)]))["events"]
    assert "characters cut" in json.loads(row["data"])


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", 2**63, None),
        ("integer", -(2**63) - 1, None),
        ("integer", 0, 0),
        ("number", 10**400, None),
        ("number", float("nan"), None),
        ("number", float("-inf"), None),
        ("number", 0, 0.0),
        ("text", "", ""),
    ],
)
def test_what_a_column_cannot_hold_is_absent(kind: Any, value: Any, kept: Any) -> None:
    assert list(fitted(kind, [value, None])) == [kept, None]


def test_an_error_message_is_a_column_and_its_evidence_is_not() -> None:
    error = TraceError(type="E", message="m" * 3000, evidence=[Evidence(path="p")])
    (row,) = tables_of(minimal_trace(error=error))["trials"]
    assert row["error_message"] == "m" * TEXT_LIMIT


def test_the_documentation_lists_the_columns() -> None:
    sections = re.split(r"^### `(\w+)`", DOCS.read_text("utf-8"), flags=re.M)
    shown = dict(zip(sections[1::2], sections[2::2], strict=True))
    every = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", sections[0], re.M)
    assert every == [(column.name, column.type, column.meaning) for column in KEYS]
    for name, table in TABLES.items():
        assert table.meaning in shown[name].split("\n")[0]
        rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", shown[name], re.M)
        assert rows == [(column.name, column.type, column.meaning) for column in table.own]
