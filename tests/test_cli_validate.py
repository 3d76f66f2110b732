from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from comparisons import sample_comparison
from evaltrace.cli import main
from evaltrace.files import write_traces
from evaltrace.reports.machine import render_json
from evaltrace.trace import Input, Tool, Trace
from traces import distinct_trace, minimal_trace


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def saved(folder: Path, content: bytes, name: str = "traces.json") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def file_of_traces(*traces: Trace) -> bytes:
    out = BytesIO()
    write_traces(
        out,
        tool=Tool(name="evaltrace", version="1.0"),
        inputs=[Input(job_name="tidy", harness="harbor")],
        traces=map(msgspec.json.encode, traces),
        problems=[],
    )
    return out.getvalue()


def test_what_evaltrace_writes_is_valid(tmp_path: Path) -> None:
    one = saved(tmp_path, file_of_traces(minimal_trace(), distinct_trace()))
    lines = msgspec.json.encode(minimal_trace()) + b"\n" + msgspec.json.encode(distinct_trace())
    two = saved(tmp_path, lines, "traces.jsonl")
    three = saved(tmp_path, msgspec.json.encode(minimal_trace()), "trace.json")
    result = run("validate", one, two, three)
    assert result.stdout == ""
    assert result.stderr == "0 errors in 5 traces of 3 files\n"
    assert result.exit_code == 0


def test_an_error_names_file_place_and_path(tmp_path: Path) -> None:
    content = file_of_traces(minimal_trace(), distinct_trace())
    file = saved(tmp_path, content.replace(b'"status":"cancelled"', b'"status":"won"'))
    result = run("validate", file)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{file}: $.traces[1].status: ")
    assert result.stdout.count("\n") == 1
    assert result.stderr == "1 error in 2 traces of 1 file\n"


def test_what_surrounds_the_traces_is_checked_too(tmp_path: Path) -> None:
    content = file_of_traces(minimal_trace()).replace(b'"version":"1.0"', b'"version":1')
    file = saved(tmp_path, content)
    assert run("validate", file).stdout.startswith(f"{file}: $.tool.version: ")


def test_a_trace_id_that_is_there_twice_is_an_error(tmp_path: Path) -> None:
    file = saved(tmp_path, file_of_traces(minimal_trace(), distinct_trace(), minimal_trace()))
    result = run("validate", file)
    assert result.stdout == (f"{file}: $.traces[2].trace_id: the same id as $.traces[0]: t-1\n")
    assert result.exit_code == 1


def test_the_same_trace_in_two_files_is_no_error(tmp_path: Path) -> None:
    content = msgspec.json.encode(minimal_trace())
    files = [saved(tmp_path, content, name) for name in ("a.json", "b.json")]
    assert run("validate", *files).exit_code == 0


def test_a_line_that_is_no_json_leaves_the_others(tmp_path: Path) -> None:
    bad = msgspec.json.encode(minimal_trace()).replace(b'"pass"', b"7")
    content = msgspec.json.encode(minimal_trace()) + b"\n{oops\n" + bad
    lines = run("validate", saved(tmp_path, content)).stdout.splitlines()
    assert "line 2: not JSON" in lines[0]
    assert any("line 3: $.status" in line for line in lines)


def test_an_item_of_an_array_on_a_line_has_a_path_below_the_line(tmp_path: Path) -> None:
    good = msgspec.json.encode(minimal_trace())
    bad = msgspec.json.encode(distinct_trace()).replace(b'"cancelled"', b"7")
    file = saved(tmp_path, good + b"\n[" + bad + b"]\n")
    line = run("validate", file).stdout.splitlines()[0]
    assert line.startswith(f"{file}: line 2: $[0].")
    found = json.loads(run("validate", file, "--format", "json").stdout)["errors"][0]
    assert found["place"] == "line 2"
    assert found["path"].startswith("$[0].")


def test_files_joined_by_cat_are_checked_each(tmp_path: Path) -> None:
    bad = file_of_traces(minimal_trace(trace_id="t-2")).replace(b'"version":"1.0"', b'"version":1')
    file = saved(tmp_path, file_of_traces(minimal_trace()) + bad)
    result = run("validate", file)
    assert result.stdout.startswith(f"{file}: line 4: $.tool.version: ")
    assert result.stderr == "1 error in 2 traces of 1 file\n"


def test_a_dash_is_standard_input(tmp_path: Path) -> None:
    content = file_of_traces(minimal_trace())
    result = CliRunner().invoke(main, ["validate", "-"], input=content)
    assert (result.exit_code, result.stderr) == (0, "0 errors in 1 trace of 1 file\n")
    result = CliRunner().invoke(main, ["validate", "-"], input=content.replace(b'"pass"', b"7"))
    assert (result.exit_code, result.stdout[:23]) == (1, "-: $.traces[0].status: ")


@pytest.mark.parametrize(("errors", "more"), [(100, 0), (101, 1), (1500, 1400)])
def test_the_text_is_capped_for_each_file_and_json_later(
    tmp_path: Path, errors: int, more: int
) -> None:
    good = msgspec.json.encode(minimal_trace())
    files = [saved(tmp_path, good + b"\n" + b"{oops\n" * errors, name) for name in "ab"]
    lines = run("validate", *files).stdout.splitlines()
    assert sum(line.startswith(f"{files[1]}: line ") for line in lines) == 100
    word = "error" if more == 1 else "errors"
    said = [f"... {more:,} more {word} in {file}" for file in files] if more else []
    assert [line for line in lines if line.startswith("...")] == said
    found = json.loads(run("validate", *files, "--format", "json").stdout)
    assert found["error_count"] == 2 * errors
    assert len(found["errors"]) == 2 * min(errors, 1000)


@pytest.mark.parametrize("content", [b"", b"oops", b"[1]", b"{}", b'"text"', b"null"])
def test_a_file_of_something_else_is_invalid(tmp_path: Path, content: bytes) -> None:
    result = run("validate", saved(tmp_path, content))
    assert result.exit_code == 1
    assert result.stdout


def test_an_unreadable_file_is_an_error_and_the_others_are_checked(tmp_path: Path) -> None:
    good = saved(tmp_path, file_of_traces(minimal_trace()))
    result = run("validate", tmp_path / "none.json", tmp_path, good)
    assert result.exit_code == 1
    assert result.stdout == (
        f"{tmp_path / 'none.json'}: Cannot read (No such file or directory)\n"
        f"{tmp_path}: Cannot read (Is a directory)\n"
    )
    assert result.stderr == "2 errors in 1 trace of 3 files\n"


def test_json_has_every_error_as_an_object(tmp_path: Path) -> None:
    bad = saved(tmp_path, file_of_traces(minimal_trace()).replace(b'"pass"', b'"won"'))
    missing = tmp_path / "none.json"
    result = run("validate", bad, missing, "--format", "json")
    found = json.loads(result.stdout)
    message = found["errors"][0].pop("message")
    assert "won" in message
    assert found == {
        "valid": False,
        "files": 2,
        "traces": 1,
        "comparisons": 0,
        "error_count": 2,
        "errors": [
            {"file": str(bad), "place": None, "path": "$.traces[0].status"},
            {
                "file": str(missing),
                "place": None,
                "path": None,
                "message": "Cannot read (No such file or directory)",
            },
        ],
    }
    assert result.exit_code == 1


def test_json_of_valid_files_has_no_errors(tmp_path: Path) -> None:
    file = saved(tmp_path, file_of_traces(minimal_trace()))
    found = json.loads(run("validate", file, "--format", "json").stdout)
    assert (found["valid"], found["errors"], found["traces"]) == (True, [], 1)


def test_hostile_text_in_a_message_cannot_drive_the_terminal(tmp_path: Path) -> None:
    content = file_of_traces(minimal_trace()).replace(b'"pass"', b'"\\u001b[31m\\n$ ok"')
    output = run("validate", saved(tmp_path, content)).stdout
    assert "\x1b" not in output
    assert output.count("\n") == 1


def test_a_comparison_is_recognised_and_checked(tmp_path: Path) -> None:
    text = render_json(sample_comparison())
    file = saved(tmp_path, text.encode(), "comparison.json")
    result = run("validate", file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "0 errors in 1 comparison of 1 file\n"
    broken = saved(tmp_path, text.replace('"grade": "note"', '"grade": "hint"').encode(), "b.json")
    both = run("validate", broken, saved(tmp_path, file_of_traces(minimal_trace())))
    assert both.exit_code == 1
    assert both.stdout.startswith(f"{broken}: $.audit[3].grade: found 'hint', expected ")
    assert both.stderr == "2 errors in 1 trace and 1 comparison of 2 files\n"


def test_validate_needs_a_file() -> None:
    assert run("validate").exit_code == 2


# --- schema


def test_schemas_are_listed_with_name_and_title() -> None:
    lines = run("schema", "list").stdout.splitlines()
    assert {line.split()[0] for line in lines} >= {"trace", "traces"}
    assert all(len(line.split()) >= 2 for line in lines)


def test_a_schema_is_printed_as_it_is_written() -> None:
    schema = json.loads(run("schema", "show", "trace").stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert "task_id" in schema["properties"]


def test_an_unknown_schema_is_an_error_that_names_the_nearest() -> None:
    result = run("schema", "show", "trac")
    assert result.exit_code == 1
    assert "trace" in result.stderr
    assert result.stdout == ""
