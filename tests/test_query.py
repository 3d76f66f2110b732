from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
import tempfile
import tracemalloc
from collections import defaultdict
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from evaltrace import trace as tr
from evaltrace.cli import main
from evaltrace.errors import EvaltraceError, MissingPackage, NotATraceFile, QueryFailure
from evaltrace.files import write_jsonl
from evaltrace.files.dataset import table_files, write_dataset
from evaltrace.query import answer
from evaltrace.reports.answers import (
    render_csv,
    render_grid,
    render_json_array,
    render_json_lines,
)
from evaltrace.reports.columns import columns
from evaltrace.tables import TABLES
from evaltrace.trace import (
    Cost,
    Durations,
    Event,
    Metrics,
    Origin,
    Task,
    Tokens,
    Tool,
    ToolCalls,
    Tools,
    Trace,
    TraceError,
)
from traces import minimal_trace

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

TOOL = Tool(name="evaltrace", version="1")
_BROKEN = TraceError(type="Boom", cause="sandbox_failed", phase="environment_setup")


def trace_of(number: int, reward: float | None = None, **changes: Any) -> Trace:
    fields: dict[str, Any] = {
        "trace_id": f"id-{number}",
        "task_id": f"task-{number}",
        "task": Task(name=f"task-{number % 2}"),
        "arm": "ab"[number % 2],
        "origin": Origin(kind="harness", job_name="j"),
        "test_reward": reward,
        "status": "error" if reward is None else "pass" if reward >= 1 else "fail",
        "error": _BROKEN if reward is None else None,
        "metrics": Metrics(
            tokens=Tokens(total=100 * number),
            cost=Cost(usd=number / 4, source="reported"),
            durations=Durations(total_s=float(number)),
        ),
        "tools": Tools(calls=[ToolCalls(name="Read", kind="read", count=number)]),
        "events": [Event(id="1", type="message", text="hello")],
        "tests": tr.Tests(
            summary=tr.TestSummary(total=1),
            cases=[tr.TestCase(name="t", status="failed")],
            source="junit",
        ),
    }
    return minimal_trace(**{**fields, **changes})


TRACES = [trace_of(1, 1.0), trace_of(2, 0.0), trace_of(3), trace_of(4, 1.0)]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same traces in all forms."""
    folder = tmp_path_factory.mktemp("places")
    write_dataset(folder / "set", TRACES, tool=TOOL)
    with (folder / "traces.jsonl").open("wb") as file:
        write_jsonl(file, map(msgspec.json.encode, TRACES))
    document = {"traces": msgspec.to_builtins(TRACES)}
    (folder / "traces.json").write_text(json.dumps(document, indent=2))
    return {"parquet": folder / "set", **{k: folder / f"traces.{k}" for k in ("json", "jsonl")}}


@pytest.fixture(scope="module")
def data_set(places: dict[str, Path]) -> Path:
    return places["parquet"]


def ask(sql: str, *paths: Path, **options: Any) -> list[tuple[Any, ...]]:
    with answer(sql, paths, **options) as found:
        return list(found.rows)


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# The answers.


@pytest.mark.parametrize("form", ["parquet", "json", "jsonl"])
def test_every_form_gives_the_same_answers(places: dict[str, Path], form: str) -> None:
    path = places[form]
    assert ask(
        "SELECT arm, avg(passed::INT), count(*) FROM trials GROUP BY 1 ORDER BY 1", path
    ) == [
        ("a", 0.5, 2),
        ("b", 1.0, 2),
    ]
    assert ask("SELECT name, sum(count) FROM tool_calls GROUP BY 1", path) == [("Read", 10)]
    assert ask("SELECT count(*) FROM tests JOIN trials USING (trace_id)", path) == [(4,)]
    assert ask("SELECT any_value(text) FROM events", path) == [("hello",)]
    assert ask("SELECT DISTINCT source_file FROM trials", path) == [(str(path),)]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_the_columns_are_those_of_the_tables(places: dict[str, Path], form: str) -> None:
    for name, table in TABLES.items():
        with answer(f"FROM {name}", [places[form]]) as found:
            names = [column.name for column in table.columns]
            assert found.columns == [*names, "source_file"]
    described = ask("DESCRIBE tool_calls", places[form])
    assert ("count", "BIGINT") in [row[:2] for row in described]


def test_a_table_without_rows_is_there_all_the_same(tmp_path: Path) -> None:
    write_dataset(tmp_path, [minimal_trace()], tool=TOOL)
    assert ask("SELECT count(*), sum(duration_ms) FROM tests", tmp_path) == [(0, None)]


def test_the_whole_trace_is_there(data_set: Path) -> None:
    rows = ask("SELECT trace FROM trials", data_set)
    back = {
        trace.trace_id: trace for trace in (msgspec.json.decode(r[0], type=Trace) for r in rows)
    }
    assert back == {trace.trace_id: trace for trace in TRACES}


def test_a_rewritten_parquet_file_of_trials_has_all_tables(data_set: Path) -> None:
    files = [Path(file) for file in table_files(data_set, "trials")]
    assert len(files) == 2
    assert ask("SELECT count(*) FROM events", *files) == [(4,)]


def test_several_paths_are_taken_together(places: dict[str, Path]) -> None:
    rows = ask("SELECT source_file, count(*) FROM trials GROUP BY ALL", *places.values())
    assert sorted(rows) == sorted((str(path), 4) for path in places.values())


def test_columns_of_one_name_are_told_apart(data_set: Path) -> None:
    with answer("SELECT 1 AS a, 2 AS a, 3 AS a_2", [data_set]) as found:
        assert found.columns == ["a", "a_2", "a_2_2"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always Unicode")
def test_a_file_whose_name_is_no_utf8_is_read(places: dict[str, Path], tmp_path: Path) -> None:
    path = shutil.copy(places["jsonl"], tmp_path / os.fsdecode(b"\xff.jsonl"))
    [(name,)] = ask("SELECT DISTINCT source_file FROM trials", path)
    assert name == f"{tmp_path}/\\xff.jsonl"


def test_names_with_wildcards_are_names(tmp_path: Path) -> None:
    write_dataset(tmp_path / "[s]*'?", [TRACES[0]], tool=TOOL)
    write_dataset(tmp_path / "s", [TRACES[1]], tool=TOOL)
    assert ask("SELECT trace_id FROM trials", tmp_path / "[s]*'?") == [("id-1",)]


def test_nothing_is_left_behind(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert ask("SELECT count(*) FROM trials", places["json"]) == [(4,)]
    with pytest.raises(QueryFailure):
        ask("SELECT reward::BOOLEAN, task_id::INT FROM trials", places["json"])
    assert os.listdir(tmp_path) == []


def test_more_threads_find_the_same(data_set: Path) -> None:
    assert ask("SELECT sum(reward) FROM trials", data_set, threads=3) == [(2.0,)]


# The five ready questions, against what plain Python finds.


def ready_questions() -> list[str]:
    page = (Path(__file__).parents[1] / "docs" / "query.md").read_text("utf-8")
    section = page.split("## Five ready questions")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("$ evaltrace query ")]
    return [line[len("$ evaltrace query '") :].rpartition(line[18])[0] for line in lines]


def test_the_ready_questions_give_what_python_finds(data_set: Path) -> None:
    questions = ready_questions()
    assert len(questions) == 5
    rate, tokens, cost, phases, errors = (ask(sql, data_set) for sql in questions)
    valid = [trace for trace in TRACES if trace.error is None]
    solved = sum(trace.status == "pass" for trace in valid)
    assert rate == [("j", round(solved / len(valid), 2), len(valid), 4)]
    assert tokens == []
    total = sum(trace.metrics.cost.usd or 0 for trace in TRACES)
    assert cost == [("j", solved, total, total / solved, 0)]
    assert phases == []
    causes: defaultdict[str, int] = defaultdict(int)
    for trace in TRACES:
        if trace.error:
            causes[trace.error.cause] += 1
    assert errors == [(cause, None, number, "Boom") for cause, number in causes.items()]


def test_tokens_by_tool_and_slowest_phases(tmp_path: Path) -> None:
    calls = [
        Event(id=str(n), type="tool_call", name=name, output="x" * size)
        for n, (name, size) in enumerate([("Read", 400), ("Grep", 40), ("Read", 4000)])
    ]
    slow = Metrics(
        tokens=Tokens(), cost=Cost(), durations=Durations(verifier_s=9.0, agent_execution_s=2.0)
    )
    traces = [trace_of(1, 1.0, events=calls), trace_of(2, 1.0, metrics=slow)]
    write_dataset(tmp_path, traces, tool=TOOL)
    _, tokens, _, phases, _ = (ask(sql, tmp_path) for sql in ready_questions())
    assert tokens == [("Read", 2, 4400, 1100), ("Grep", 1, 40, 10)]
    assert phases == [("verifier_s", 9.0, 9.0, "task-2"), ("agent_execution_s", 2.0, 2.0, "task-2")]


# A query only reads.

FORBIDDEN = [
    "COPY trials TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT parquet)",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW trials AS SELECT 1",
    "DROP VIEW trials",
    "INSERT INTO trials SELECT 1",
    "ATTACH '{out}' AS other",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET enable_external_access = true",
    "PRAGMA database_list",
    "CALL enable_logging()",
    "EXPORT DATABASE '{out}'",
    "EXPLAIN ANALYZE COPY trials TO '{out}'",
    "SELECT 1; COPY trials TO '{out}'",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM read_blob('{here}')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM '{here}'",
    "SELECT * FROM read_parquet('{here}')",
    "SELECT * FROM read_json('https://localhost/x.json')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM sniff_csv('/etc/passwd')",
    "SELECT * FROM query('COPY trials TO ''{out}''')",
    "SELECT * FROM paths",
    "SELECT getenv('HOME')",
    "WITH x AS (SELECT * FROM read_csv('/etc/passwd')) SELECT * FROM x",
    "",
    ";",
    "-- nothing",
]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_what_is_more_than_a_question_is_refused(data_set: Path, tmp_path: Path, sql: str) -> None:
    other = tmp_path / "other.parquet"
    other.write_bytes(Path(table_files(data_set, "trials")[0]).read_bytes())
    with pytest.raises(QueryFailure):
        ask(sql.format(out=tmp_path / "out", here=other), data_set)
    assert os.listdir(tmp_path) == ["other.parquet"]


def test_the_files_of_the_data_set_cannot_be_written_to(data_set: Path) -> None:
    file = Path(table_files(data_set, "trials")[0])
    before = file.read_bytes()
    with pytest.raises(QueryFailure, match="COPY is not allowed"):
        ask(f"COPY (SELECT 1 AS x) TO '{file}' (FORMAT parquet)", data_set)
    assert file.read_bytes() == before


def test_more_than_the_memory_is_our_error(data_set: Path) -> None:
    with pytest.raises(QueryFailure, match="Out of Memory"):
        ask("SELECT len(list(i)) FROM range(9000000) t(i)", data_set, memory="20MB")


# What is wrong with a query, and where.


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT rewrd FROM trials", "line 1, at 'rewrd FROM trials'"),
        ("SELECT rewrd FROM trials", '"reward"'),
        ("SELECT\n  1,\n  oops FROM trials", "line 3, at 'oops FROM trials'"),
        ("SELEC 1", "line 1, at 'SELEC 1'"),
        ("FROM trils", "There are trials, events, tool_calls and tests"),
        ("SELECT task_id::INT FROM trials", "Could not convert string 'task-"),
        ("SELECT now()", "::text"),
        ("DROP TABLE x", "DROP is not allowed: a query only reads"),
        ("SELECT 1; SELECT 2", "More than one statement"),
        ("SELECT '\x1b[31m'::INT", "Conversion Error"),
        ("SELECT '\ud800'", "no valid Unicode"),
    ],
)
def test_errors_say_what_and_where(data_set: Path, sql: str, message: str) -> None:
    with pytest.raises(QueryFailure) as caught:
        ask(sql, data_set)
    assert message in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_damaged_file_is_named_not_a_line_of_the_question(data_set: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(data_set, tmp_path / "copy")
    Path(table_files(copy, "trials")[0]).write_bytes(b"PAR1")
    with pytest.raises(NotATraceFile, match=r"part-.*\n.*evaltrace validate") as failure:
        ask("SELECT count(*) FROM trials", copy)
    assert "line" not in str(failure.value)


def test_a_wrong_question_is_refused_before_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(QueryFailure):
        ask("SELECT oops FROM trials", tmp_path / "broken.json")
    with pytest.raises(NotATraceFile):
        ask("SELECT reward FROM trials", tmp_path / "broken.json")


def test_a_job_directory_is_answered_with_what_to_do(tmp_path: Path) -> None:
    done = run("query", "FROM trials", tmp_path)
    assert done.exit_code == 1
    assert "evaltrace aggregate JOB -o traces.json" in done.output


@pytest.mark.parametrize("package", ["duckdb", "pyarrow"])
def test_without_the_packages_the_extra_is_named(
    places: dict[str, Path], monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage, match=r"evaltrace\[sql\]"):
        ask("FROM trials", places["json"])


def test_wrong_memory_is_our_error(data_set: Path) -> None:
    with pytest.raises(EvaltraceError):
        ask("SELECT 1", data_set, memory="much")


# The forms.

ODD = [
    (None, 0, ""),
    ("=1+1", -1, "a,b"),
    ('say "x"', 2.5, "l1\nl2"),
    ("\x1b[31mred\x1b[0m", True, "@x"),
]
NAMES = ["a", "b", "c"]


def test_csv_tells_null_from_empty_and_defuses_formulas() -> None:
    text = "".join(render_csv(NAMES, ODD))
    assert text.split("\r\n")[1] == ',0,""'
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert rows[0] == NAMES
    assert rows[2:] == [
        ["'=1+1", "-1", "a,b"],
        ['say "x"', "2.5", "l1\nl2"],
        ["red", "true", "'@x"],
    ]


@pytest.mark.parametrize("start", list("=+-@\t\r＝＋－＠"))
def test_every_start_of_a_formula_is_defused(start: str) -> None:
    (_, line) = render_csv(["a"], [[f"{start}x"]])
    (row,) = csv.reader(io.StringIO(line, newline=""))
    assert not row[0].startswith(start)


def test_json_changes_nothing_and_prints_safely() -> None:
    hostile = "\x1b[31m \x9b0m \u202e \u2028 é"
    rows = [(hostile, 10**30, [1, {"k": None}])]
    (line,) = render_json_lines(NAMES, rows)
    assert json.loads(line) == {"a": hostile, "b": 10**30, "c": [1, {"k": None}]}
    assert not set(line) & {"\x1b", "\x9b", "\u202e", "\u2028"}
    assert "é" in line


def test_json_is_an_array_of_what_the_lines_are() -> None:
    lines = [json.loads(line) for line in render_json_lines(NAMES, ODD)]
    assert json.loads("".join(render_json_array(NAMES, ODD))) == lines
    assert "".join(render_json_array(NAMES, [])) == "[]\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("3"), 3),
        (Decimal("2.5"), 2.5),
        (float("nan"), None),
        (float("-inf"), None),
        (date(2026, 1, 2), "2026-01-02"),
        (b"\xff\x00", "ff00"),
        ({1: "x"}, {"1": "x"}),
        ((1, 2), [1, 2]),
    ],
)
def test_values_of_a_database_become_json(value: Any, shown: Any) -> None:
    (line,) = render_json_lines(["a"], [[value]])
    assert json.loads(line) == {"a": shown}


def test_a_table_shows_null_and_no_control_sequences() -> None:
    shown = render_grid(NAMES, ODD)
    assert shown.splitlines() == [
        "a        b     c",
        "-------  ----  -----",
        "NULL     0",
        "=1+1     -1    a,b",
        'say "x"  2.5   l1 l2',
        "red      true  @x",
    ]


def test_numbers_are_aligned_at_the_right() -> None:
    shown = render_grid(["n", "x"], [(1, "a"), (1000.5, "b"), (None, "c")])
    assert shown.splitlines()[2:] == ["     1  a", "1000.5  b", "  NULL  c"]


@pytest.mark.parametrize("number", [1, 3, 6, 30])
@pytest.mark.parametrize("text", ["x" * 300, "汉字" * 90])
def test_a_table_is_never_wider_than_asked(number: int, text: str) -> None:
    names = [f"column {n}" for n in range(number)]
    shown = render_grid(names, [[text] * number, [None] * number], 60)
    assert max(map(columns, shown.splitlines())) <= 60
    assert shown.count("NULL") == number


def test_no_rows_are_a_table_too() -> None:
    assert render_grid(["a", "b"], []).splitlines() == ["a  b", "-  -"]
    assert render_grid(["a" * 30] * 9, []) == "no rows\n"


# The command.


def test_the_command_prints_a_table(data_set: Path) -> None:
    done = run("query", "SELECT task, reward FROM trials ORDER BY trace_id", data_set)
    assert done.exit_code == 0
    assert done.output == (
        "task    reward\n------  ------\ntask-1       1\ntask-0       0\n"
        "task-1    NULL\ntask-0       1\n"
    )


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ("csv", "n\r\n1\r\n2\r\n"),
        ("json", '[\n{"n": 1},\n{"n": 2}\n]\n'),
        ("jsonl", '{"n": 1}\n{"n": 2}\n'),
    ],
)
def test_the_command_prints_every_form(data_set: Path, form: str, printed: str) -> None:
    done = run("query", "SELECT * FROM range(1, 3) t(n)", data_set, "--format", form)
    assert done.stdout_bytes.decode() == printed


def test_a_long_table_says_that_there_is_more(data_set: Path) -> None:
    done = run("query", "SELECT * FROM range(1001)", data_set)
    assert len(done.stdout.splitlines()) == 1002
    assert "More than 1,000 rows" in done.stderr
    assert len(run("query", "FROM range(1001)", data_set, "--format", "csv").stdout.split()) == 1002


def test_a_table_of_long_texts_is_not_held_whole(data_set: Path) -> None:
    tracemalloc.start()
    try:
        result = run("query", "SELECT repeat('x', 1000000) AS text FROM range(60)", data_set)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(result.stdout.splitlines()) == 62
    assert peak < 30_000_000


def test_standard_input_is_a_path_too(places: dict[str, Path]) -> None:
    done = CliRunner().invoke(
        main,
        ["query", "SELECT count(*) AS n FROM trials", "-", "--format", "jsonl"],
        input=places["jsonl"].read_bytes(),
    )
    assert done.output == '{"n": 4}\n'


def test_no_progress_is_shown_within_the_answer(data_set: Path) -> None:
    with answer("SELECT current_setting('enable_progress_bar') FROM trials", [data_set]) as found:
        assert {row[0] for row in found.rows} == {False}
