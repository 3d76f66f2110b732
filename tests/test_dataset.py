from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from evaltrace.cli import main
from evaltrace.errors import (
    MissingPackage,
    NotATraceFile,
    OutputFailure,
    Problem,
    UnreadablePath,
)
from evaltrace.files import (
    SEPARATOR,
    Frame,
    Span,
    is_dataset,
    read_items,
    read_traces,
    write_traces,
)
from evaltrace.files.dataset import partitions, read_manifest, table_files, write_dataset
from evaltrace.tables import TABLES
from evaltrace.trace import Event, Input, Origin, Task, Tool, Trace
from traces import distinct_trace, minimal_trace

pytest.importorskip("pyarrow")

TOOL = Tool(name="evaltrace", version="1")


def trace_of(job: str | None, number: int = 0, arm: str | None = None, **changes: Any) -> Trace:
    fields: dict[str, Any] = {
        "trace_id": f"{job}-{number}",
        "arm": arm,
        "origin": Origin(kind="harness", job_name=job, job_id=f"id of {job}"),
        "task": Task(name=f"task-{number}"),
        "events": [Event(id="1", type="message", text="hello")],
    }
    return minimal_trace(**{**fields, **changes})


def write(folder: Path, *traces: Trace, **options: Any) -> int:
    return write_dataset(folder, traces, tool=TOOL, **options)


def ids(folder: Path) -> list[str]:
    return [trace.trace_id for trace in read_traces(folder)]


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# What is written is read back.

MAYBE_TEXT = st.none() | st.just("") | st.text(st.characters(exclude_categories=["Cs"]))
MAYBE_NUMBER = st.none() | st.just(0.0) | st.floats(allow_nan=False, allow_infinity=False)
TRACES = st.builds(
    minimal_trace,
    arm=MAYBE_TEXT,
    attempt=st.none() | st.integers(-(2**63), 2**64 - 1),
    task_instruction=MAYBE_TEXT,
    code_changes=MAYBE_TEXT,
    test_reward=MAYBE_NUMBER,
    rewards=st.none() | st.dictionaries(st.text("ab"), st.floats(0, 1)),
    origin=st.builds(Origin, kind=st.just("harness"), job_name=MAYBE_TEXT, job_id=MAYBE_TEXT),
    events=st.none() | st.just([]) | st.just([Event(id="", type="", input={"a": [0, None, ""]})]),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(TRACES, max_size=5))
def test_every_trace_is_read_back_as_it_was(traces: list[Trace]) -> None:
    with TemporaryDirectory() as folder:
        assert write(Path(folder), *traces) == len(traces)
        back = list(read_traces(folder))
    assert sorted(map(msgspec.json.encode, back)) == sorted(map(msgspec.json.encode, traces))


def test_a_trace_with_everything_is_read_back(tmp_path: Path) -> None:
    write(tmp_path, distinct_trace())
    assert list(read_traces(tmp_path)) == [distinct_trace()]
    assert list(read_traces(table_files(tmp_path, "trials")[0])) == [distinct_trace()]


def test_json_is_taken_as_it_is(tmp_path: Path) -> None:
    text = json.dumps(msgspec.to_builtins(trace_of("a")), indent=1).encode()
    write_dataset(tmp_path, [text], tool=TOOL)
    assert list(read_traces(tmp_path)) == [trace_of("a")]


def test_a_stretch_of_a_file_is_a_trace_too(tmp_path: Path) -> None:
    text = msgspec.json.encode(trace_of("a"))
    (tmp_path / "part").write_bytes(b"before" + text + SEPARATOR)
    span = Span(str(tmp_path / "part"), len(b"before"), len(text) + len(SEPARATOR))
    write_dataset(tmp_path / "set", [span], tool=TOOL)
    assert list(read_traces(tmp_path / "set")) == [trace_of("a")]


def test_a_lone_surrogate_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a", task_instruction="a\ud800b"))
    (trace,) = read_traces(tmp_path)
    assert trace.task_instruction == "a\ufffdb"


def test_inputs_and_problems_are_kept_by_job(tmp_path: Path) -> None:
    inputs = [Input(job_name=name, job_id=f"id of {name}", harness="h") for name in "ab"]
    problems = [Problem(code="c", path=path, message="m") for path in ("a/x", "elsewhere", "b")]
    write(tmp_path, trace_of("a"), inputs=inputs, problems=problems)
    frame = list(read_items(tmp_path))[-1]
    assert isinstance(frame, Frame)
    assert frame.inputs == inputs
    assert sorted(problem.path for problem in frame.problems) == ["a/x", "b", "elsewhere"]
    kept = {job.job_name: [p.path for p in job.problems] for job in read_manifest(tmp_path).jobs}
    assert kept == {"a": ["a/x"], "b": ["b"]}


def test_problems_may_grow_until_the_traces_end(tmp_path: Path) -> None:
    problems: list[Problem] = []

    def traces() -> Iterator[Trace]:
        yield trace_of("a")
        problems.append(Problem(code="late", path="a", message="m"))

    write_dataset(tmp_path, traces(), tool=TOOL, problems=problems)
    assert [p.code for p in read_manifest(tmp_path).all_problems()] == ["late"]


# The layout.


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "a/b", "a\\b", "/etc", "%2F", "a=b", "ä" * 200, "x" * 300, "nul\0", "__HIVE_x"],
)
def test_no_name_of_an_arm_or_a_job_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "set"
    write(folder, trace_of(name, arm=name))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]
    assert [(t.arm, t.origin.job_name) for t in read_traces(folder)] == [(name, name)]
    (path,) = (Path(file).relative_to(folder) for file in table_files(folder, "trials"))
    assert len(path.parts) == 4
    arm = unquote(path.parts[1].removeprefix("arm="))
    assert arm == name or len(name) > 100


def test_names_that_look_alike_do_not_meet(tmp_path: Path) -> None:
    names = [None, "", "__HIVE_DEFAULT_PARTITION__", "a/b", "a%2Fb", "y" * 200, "y" * 201]
    write(tmp_path, *(trace_of("j", number, arm=arm) for number, arm in enumerate(names)))
    folders = {Path(file).parent for file in table_files(tmp_path, "trials")}
    assert len(folders) == len(names)


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    traces = [trace_of(job, number, arm="x") for number in range(3) for job in ("a", "b", None)]
    write(tmp_path / "1", *traces)
    write(tmp_path / "2", *traces)
    assert files_below(tmp_path / "1") == files_below(tmp_path / "2")
    assert len(files_below(tmp_path / "1")) == 7  # trials and events of three jobs


def test_few_files_are_open_and_little_waits_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_MAX_OPEN", 2)
    monkeypatch.setattr(partitions, "_GROUP_BYTES", 4000)
    monkeypatch.setattr(partitions, "_ALL_BYTES", 8000)
    traces = [trace_of(f"job {n % 5}", n, test_output="x" * 900) for n in range(40)]
    write(tmp_path, *traces)
    assert sorted(ids(tmp_path)) == sorted(trace.trace_id for trace in traces)
    per_job = [trace.trace_id for trace in traces if trace.origin.job_name == "job 3"]
    assert [one for one in ids(tmp_path) if one.startswith("job 3")] == per_job
    assert len(table_files(tmp_path, "trials")) > 5


def test_no_file_has_an_end_that_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(partitions, "_GROUP_BYTES", 1)  # as if each trace were large
    traces = [trace_of("job", number) for number in range(120)]
    write(tmp_path, *traces)
    assert ids(tmp_path) == [trace.trace_id for trace in traces]
    files = [pq.ParquetFile(path) for path in table_files(tmp_path, "trials")]
    assert [file.num_row_groups for file in files] == [100, 20]


def test_what_a_file_says_of_its_row_groups_goes_once_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, trace_of("job"))
    gc.collect()
    gc.disable()  # what waits for the collector would add up, file after file
    try:
        ids(tmp_path)
        kept = {type(each).__name__ for each in gc.get_objects()}
    finally:
        gc.enable()
    assert "FileMetaData" not in kept


# Jobs are added and replaced.


def test_another_job_adds_files(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"))
    before = files_below(tmp_path)
    write(tmp_path, trace_of("b"))
    after = files_below(tmp_path)
    assert ids(tmp_path) == ["a-0", "b-0"]
    assert {name for name in before if after[name] != before[name]} == {"_manifest.json"}


def test_a_job_written_again_replaces_its_own_files_only(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a", arm="x"), trace_of("b", arm="x"))
    kept = [path for path in files_below(tmp_path) if "job=b" in path]
    places = [(tmp_path / path).stat().st_ino for path in kept]
    write(tmp_path, trace_of("a", 7, arm="y"))
    assert ids(tmp_path) == ["a-7", "b-0"]
    assert not list(tmp_path.glob("*/arm=x/job=a"))
    assert [(tmp_path / path).stat().st_ino for path in kept] == places


def test_writing_the_same_again_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"), trace_of("b"))
    before = files_below(tmp_path)
    write(tmp_path, trace_of("a"))
    assert files_below(tmp_path) == before


def test_jobs_of_one_name_and_two_ids_stay_apart(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"))
    origin = Origin(kind="harness", job_name="a", job_id="another")
    write(tmp_path, trace_of("a", 1, origin=origin))
    assert sorted(ids(tmp_path)) == ["a-0", "a-1"]


def test_a_job_without_any_trace_any_more_has_no_files(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"), trace_of("b"))
    write(tmp_path, inputs=[Input(job_name="a", job_id="id of a", harness="h")])
    assert ids(tmp_path) == ["b-0"]


# What goes wrong leaves everything as it was.


def failing(*traces: Trace) -> Iterator[Trace]:
    yield from traces
    raise ZeroDivisionError


def test_a_failure_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_dataset(tmp_path / "new", failing(trace_of("a")), tool=TOOL)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_leaves_a_data_set_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"))
    before = files_below(tmp_path)
    with pytest.raises(ZeroDivisionError):
        write_dataset(tmp_path, failing(trace_of("a", 1), trace_of("b")), tool=TOOL)
    assert files_below(tmp_path) == before


CRASHES = """
import os, sys
from pathlib import Path
import msgspec
from evaltrace.files import read_traces
from evaltrace.files.dataset import write_dataset
from evaltrace.trace import Tool, Trace

folder, old, new = Path(sys.argv[1]), *(
    [msgspec.json.decode(Path(name).read_bytes(), type=Trace)] for name in sys.argv[2:]
)
tool = Tool(name="evaltrace", version="1")
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}

def crash_at(number):
    left = [number]
    def hook(event, arguments):
        if event in CHANGES or (event == "open" and str(arguments[1]).startswith(("w", "x"))):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
    sys.addaudithook(hook)
    write_dataset(folder, new, tool=tool)
    os._exit(0)

for number in range(1, 200):
    if not folder.exists() or found != ["a-1"]:
        write_dataset(folder, old, tool=tool)
    child = os.fork() or crash_at(number)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = [trace.trace_id for trace in read_traces(folder)]
    print(code, *found)
    if code == 0:
        break
"""


def test_a_crash_at_any_point_leaves_the_old_or_the_new_state(tmp_path: Path) -> None:
    for name, number in (("old", 1), ("new", 2)):
        (tmp_path / name).write_bytes(msgspec.json.encode(trace_of("a", number)))
    folder = tmp_path / "set"
    arguments = [str(folder), str(tmp_path / "old"), str(tmp_path / "new")]
    command = [sys.executable, "-c", CRASHES, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    states = [line.split()[1] for line in lines]
    assert lines[-1] == "0 a-2"
    assert all(line.startswith("9 ") for line in lines[:-1])
    assert states == sorted(states)
    assert set(states) == {"a-1", "a-2"}
    assert states.count("a-1") > 5
    # What the crashes left behind is gone.
    assert {path.name for path in folder.iterdir()} == {"_manifest.json", "trials", "events"}
    assert len(files_below(folder)) == 3


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: write(tmp_path, trace_of(f"job {n}", n)), range(12)))
    assert sorted(ids(tmp_path)) == sorted(f"job {n}-{n}" for n in range(12))
    assert {path.name for path in tmp_path.iterdir()} == {"_manifest.json", "trials", "events"}


def test_of_two_writers_of_one_job_one_wins_whole(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        numbers = range(0, 40, 10)
        list(pool.map(lambda n: write(tmp_path, *(trace_of("a", n + k) for k in (1, 2))), numbers))
    found = ids(tmp_path)
    assert found in [[f"a-{n + 1}", f"a-{n + 2}"] for n in numbers]


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}")
    os.utime(tmp_path, (1, 1))
    with pytest.raises(OutputFailure, match="holds other files"):
        write(tmp_path, trace_of("a"))
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert tmp_path.stat().st_mtime == 1


def test_a_file_in_the_way_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputFailure, match=r"Cannot write the data set .a file"):
        write(tmp_path / "file", trace_of("a"))


# Damaged and hostile data sets.


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names are always Unicode")
def test_names_that_are_no_utf8_are_our_error(tmp_path: Path) -> None:
    write(tmp_path / "data", trace_of("a"))
    bad = (tmp_path / "data").rename(tmp_path / os.fsdecode(b"\xff"))
    with pytest.raises(UnreadablePath, match="UTF-8"):
        write(bad, trace_of("b"))
    for command in (["show", bad], ["query", "FROM trials", bad]):
        done = CliRunner().invoke(main, list(map(str, command)))
        assert (done.exit_code, "UTF-8" in done.output) == (1, True)


def test_writing_to_a_damaged_data_set_says_what_helps(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"))
    (tmp_path / "_manifest.json").write_text("")
    with pytest.raises(NotATraceFile, match="Remove it, or name another folder"):
        write(tmp_path, trace_of("a"))


def changed_manifest(folder: Path, old: str, new: str) -> Path:
    write(folder, trace_of("a"))
    path = folder / "_manifest.json"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return folder


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"trials/arm', '"../trials/arm', "strange file"),
        ('"trials/arm', '"/trials/arm', "strange file"),
        ('"table":"trials"', '"table":"events"', "strange file"),
        ('"schema_version":"1.0"', '"schema_version":"2.0"', "schema version is '2.0'"),
        ('"jobs":[', '"jobs":[7,', "Expected `object`"),
        ('"jobs":[', '"jobs":', "Expected `array`"),
        ('"problems":[]}', "", "truncated"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    folder = changed_manifest(tmp_path, old, new)
    assert is_dataset(folder)
    with pytest.raises(NotATraceFile, match=message):
        list(read_traces(folder))
    before = files_below(folder)
    with pytest.raises(NotATraceFile, match=message):
        write(folder, trace_of("b"))
    assert files_below(folder) == before


def test_a_missing_file_is_our_error(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"))
    Path(table_files(tmp_path, "trials")[0]).unlink()
    with pytest.raises(UnreadablePath, match="try once more"):
        list(read_traces(tmp_path))


@pytest.mark.parametrize("keep", [4, 100, 5000])
def test_a_file_that_was_cut_is_our_error(tmp_path: Path, keep: int) -> None:
    write(tmp_path, trace_of("a"))
    path = Path(table_files(tmp_path, "trials")[0])
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(NotATraceFile):
        list(read_traces(path))
    done = run("validate", path)
    assert done.exit_code == 1
    assert "1 error in" in done.output


def test_parquet_of_others_is_no_file_of_traces(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"))
    with pytest.raises(NotATraceFile, match="no column named trace"):
        list(read_traces(table_files(tmp_path, "events")[0]))


def test_without_pyarrow_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "set", trace_of("a"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingPackage, match=r"evaltrace\[parquet\]"):
        list(read_traces(tmp_path / "set"))
    with pytest.raises(MissingPackage, match=r"evaltrace\[parquet\]"):
        write(tmp_path / "new", trace_of("a"))
    assert not (tmp_path / "new").exists()


# The commands read it.


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    """The same traces as JSON and as a data set."""
    traces = [trace_of("a", n, arm="x", test_reward=n / 4, attempt=1) for n in range(4)]
    inputs = [Input(job_name="a", job_id="id of a", harness="harbor", planned=4, found=4)]
    with (tmp_path / "same").open("wb") as file:
        lines = map(msgspec.json.encode, traces)
        write_traces(file, tool=TOOL, inputs=inputs, traces=lines, problems=[])
    write(tmp_path / "set", *traces, inputs=inputs)
    return tmp_path / "same", tmp_path / "set"


def test_show_gives_the_same(both: tuple[Path, Path]) -> None:
    for arguments in ([], ["task-2"], ["task-*", "--format", "json"]):
        from_json, from_parquet = (run("show", path, *arguments) for path in both)
        assert from_json.exit_code == 0
        assert from_parquet.output == from_json.output


def test_compare_gives_the_same(both: tuple[Path, Path]) -> None:
    reports = []
    for path in both:
        # A comparison names its inputs: both have the same name in turn.
        place = path.parent / "traces"
        path.rename(place)
        reports.append(run("compare", place, place, "--format", "json"))
        shutil.move(place, path)
    assert reports[0].exit_code == 0
    assert reports[1].exit_code == 0
    first, second = (json.loads(report.stdout) for report in reports)
    assert len(digests(first)) >= 2
    assert without_digests(second) == without_digests(first)


def digests(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [digest for item in value.values() for digest in digests(item)]
    if isinstance(value, list):
        return [digest for item in value for digest in digests(item)]
    return [value] if isinstance(value, str) and value.startswith("sha256:") else []


def without_digests(report: Any) -> str:
    text = json.dumps(report)
    for digest in digests(report):
        text = text.replace(digest, "")
    return text


def test_validate_finds_nothing_wrong(both: tuple[Path, Path]) -> None:
    for path in both:
        done = run("validate", path)
        assert done.exit_code == 0, done.output
        assert "0 errors in 4 traces of 1 file" in done.output


def test_validate_says_where_a_trace_is_wrong(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"), trace_of("a", 1, attempt=0))
    done = run("validate", tmp_path)
    assert done.exit_code == 1
    assert "part-" in done.output
    assert ".parquet row 2: $.attempt: 0 is below 1" in done.output


def test_validate_notices_a_file_that_was_changed(tmp_path: Path) -> None:
    write(tmp_path, trace_of("a"))
    for table in ("events", "trials"):
        with Path(table_files(tmp_path, table)[0]).open("r+b") as file:
            file.seek(60)
            file.write(b"\xff")
    done = run("validate", tmp_path)
    assert done.exit_code == 1
    assert done.output.count("its digest is another") == 2


# Whoever else reads Parquet.

PAGE = Path(__file__).parents[1] / "docs" / "parquet.md"


@pytest.mark.parametrize("package", ["pandas", "polars"])
def test_the_two_lines_of_the_documentation_read_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    pytest.importorskip(package)
    write(tmp_path / "traces", trace_of("a", arm="x/y"), trace_of("2026", 1))
    monkeypatch.chdir(tmp_path)
    snippets = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.S | re.M)
    names: dict[str, Any] = {}
    exec(next(snippet for snippet in snippets if package in snippet), names)
    trials = names["trials"].collect().to_pandas() if package == "polars" else names["trials"]
    assert sorted(trials["job"]) == ["2026", "a"]
    assert set(trials["arm"].dropna()) == {"x/y"}


def test_the_folders_of_a_table_are_one_table(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write(tmp_path, trace_of("a", arm="x/y"), trace_of("2026", 1))
    table = pq.read_table(tmp_path / "trials", partitioning=None)
    assert sorted(table.column("job").to_pylist()) == ["2026", "a"]
    assert table.column_names == [column.name for column in TABLES["trials"].columns]
