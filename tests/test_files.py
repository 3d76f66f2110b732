from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tracemalloc
from collections.abc import Iterator
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaltrace.errors import NotATraceFile, OutputFailure, Problem, UnreadablePath
from evaltrace.files import (
    Frame,
    read_documents,
    read_items,
    read_traces,
    whole_file,
    write_jsonl,
    write_traces,
)
from evaltrace.files.replacement import _archived
from evaltrace.trace import Input, Tool, Trace
from traces import distinct_trace, minimal_trace

TOOL = Tool(name="evaltrace", version="1.2.3")
INPUT = Input(job_name="tidy", harness="harbor", planned=3, found=2, selected=2)
PROBLEM = Problem(code="empty_json", path="job/a/result.json", message="the file is empty")


def encoded(*traces: Trace) -> list[bytes]:
    return [msgspec.json.encode(trace) for trace in traces]


def file_of_traces(*traces: Trace, problems: tuple[Problem, ...] = ()) -> bytes:
    out = BytesIO()
    write_traces(out, tool=TOOL, inputs=[INPUT], traces=encoded(*traces), problems=list(problems))
    return out.getvalue()


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "traces.json"
    path.write_bytes(content)
    return path


TWO = (minimal_trace(), distinct_trace())


# --- whole files


def test_a_file_appears_with_its_content_and_its_folders(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "out.json"
    with whole_file(path) as file:
        file.write(b"all of it")
        assert not path.exists()
    assert path.read_bytes() == b"all of it"
    assert os.listdir(path.parent) == ["out.json"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = saved(tmp_path, b"old")
    with pytest.raises(error), whole_file(path) as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["traces.json"]


def test_a_full_disk_is_an_output_failure_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    with pytest.raises(OutputFailure, match=r"No space left.*out\.json"), whole_file(path):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        with whole_file(tmp_path / "out.json") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out.json").stat().st_mode) == mode


def test_a_replaced_file_keeps_its_permissions(tmp_path: Path) -> None:
    path = saved(tmp_path, b"private")
    path.chmod(0o600)
    with whole_file(path) as file:
        file.write(b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_killed_writer_left_goes_and_what_is_written_stays(tmp_path: Path) -> None:
    dead, young = tmp_path / ".evaltrace-1-1.tmp", tmp_path / ".evaltrace-1-2.tmp"
    for path in (dead, young):
        path.touch()
    with whole_file(tmp_path / "a") as file:
        [alive] = set(tmp_path.iterdir()) - {dead, young}
        for path in (dead, alive):
            os.utime(path, (1, 1))
        with whole_file(tmp_path / "b") as other:
            other.write(b"b")
        file.write(b"a")
    assert set(tmp_path.iterdir()) == {young, tmp_path / "a", tmp_path / "b"}


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputFailure, match="it is a directory"), whole_file(tmp_path):
        pass
    assert os.listdir(tmp_path) == []


def test_a_file_where_a_folder_is_needed_is_an_output_failure(tmp_path: Path) -> None:
    blocked = saved(tmp_path, b"old") / "out.json"
    with pytest.raises(OutputFailure), whole_file(blocked):
        pass


def test_a_link_is_written_through(tmp_path: Path) -> None:
    target = saved(tmp_path, b"old")
    link = tmp_path / "latest.json"
    link.symlink_to("traces.json")
    with whole_file(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with whole_file(pipe) as file:
        file.write(b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert pipe.is_fifo()


def test_a_pipe_without_a_name_is_written_to(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as end:
        with whole_file(Path(f"/dev/fd/{writing}")) as file:
            file.write(b"text")
        os.close(writing)
        assert end.read() == b"text"


@pytest.mark.parametrize("here", ["", "kept"])
def test_folders_made_for_a_file_that_fails_are_taken_back(tmp_path: Path, here: str) -> None:
    (tmp_path / here).mkdir(exist_ok=True)
    before = list(tmp_path.rglob("*"))
    with pytest.raises(ValueError), whole_file(tmp_path / here / "new/deep/out.json"):  # noqa: PT011
        raise ValueError
    assert list(tmp_path.rglob("*")) == before


def test_a_folder_that_somebody_else_uses_by_then_stays(tmp_path: Path) -> None:
    with pytest.raises(ValueError), whole_file(tmp_path / "new/deep/out.json"):  # noqa: PT011, PT012
        (tmp_path / "new" / "other").touch()
        raise ValueError
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["other"]


# --- archive


def replaced(path: Path, content: bytes, folder: Path) -> None:
    with whole_file(path, archive_to=folder) as file:
        file.write(content)


def test_an_old_output_moves_to_the_archive(tmp_path: Path) -> None:
    path, folder = tmp_path / "traces.json", tmp_path / "history" / "2026-02-03"
    for content in (b"one", b"two", b"three", b"four"):
        replaced(path, content, folder)
    found = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert found == {"traces.json": b"one", "traces-2.json": b"two", "traces-3.json": b"three"}
    assert path.read_bytes() == b"four"
    assert path.stat().st_nlink == 1


def test_nothing_to_archive_makes_no_folder(tmp_path: Path) -> None:
    replaced(tmp_path / "traces.json", b"first", tmp_path / "history")
    assert os.listdir(tmp_path) == ["traces.json"]


def test_of_a_link_the_file_it_points_to_is_archived(tmp_path: Path) -> None:
    target = saved(tmp_path, b"old")
    link = tmp_path / "latest.json"
    link.symlink_to("traces.json")
    replaced(link, b"new", tmp_path / "history")
    kept = tmp_path / "history" / "latest.json"
    assert (kept.read_bytes(), kept.is_symlink()) == (b"old", False)
    assert (target.read_bytes(), link.is_symlink()) == (b"new", True)


def test_a_failed_run_archives_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path, b"old")
    with pytest.raises(KeyboardInterrupt), whole_file(path, tmp_path / "history" / "day"):
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["traces.json"]


def test_the_old_output_stands_in_its_place_until_the_new_one_does(tmp_path: Path) -> None:
    path = saved(tmp_path, b"old")
    with pytest.raises(OutputFailure), whole_file(path, tmp_path / "history"):
        next(tmp_path.glob(".evaltrace-*")).unlink()  # so that nothing can take its place
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["traces.json"]


def test_what_was_replaced_in_spite_of_a_failure_stays_in_the_archive(tmp_path: Path) -> None:
    path, other = saved(tmp_path, b"old"), tmp_path / "other"
    other.write_bytes(b"new")
    with pytest.raises(KeyboardInterrupt), _archived(path, tmp_path / "history"):  # noqa: PT012
        other.replace(path)
        raise KeyboardInterrupt
    assert path.read_bytes() == b"new"
    assert (tmp_path / "history" / "traces.json").read_bytes() == b"old"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
def test_an_archive_on_another_file_system_is_a_copy(tmp_path: Path) -> None:
    path = saved(tmp_path, b"old")
    path.chmod(0o640)
    folder = Path("/dev/shm") / f"evaltrace-{os.getpid()}"
    try:
        replaced(path, b"new", folder)
        kept = folder / "traces.json"
        assert kept.read_bytes() == b"old"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_an_archive_that_cannot_be_made_is_an_output_failure(tmp_path: Path) -> None:
    path = saved(tmp_path, b"old")
    with pytest.raises(OutputFailure, match="Cannot move"):
        replaced(path, b"new", path / "day")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["traces.json"]


# --- writing


def test_the_layout_is_a_head_line_a_line_per_trace_and_a_tail() -> None:
    lines = file_of_traces(*TWO, problems=(PROBLEM, PROBLEM)).split(b"\n")
    head = b'{"schema_version":"1.0","tool":{"name":"evaltrace","version":"1.2.3"},"inputs":['
    assert lines[0].startswith(head)
    assert lines[0].endswith(b'],"traces":[')
    assert lines[1:3] == [encoded(TWO[0])[0] + b",", encoded(TWO[1])[0]]
    assert lines[3] == b'],"problems":['
    assert lines[6:] == [b"]}", b""]


@pytest.mark.parametrize("traces", [(), TWO[:1], TWO])
@pytest.mark.parametrize("problems", [(), (PROBLEM,), (PROBLEM, PROBLEM)])
def test_the_layout_is_one_json_document(
    traces: tuple[Trace, ...], problems: tuple[Problem, ...]
) -> None:
    document = json.loads(file_of_traces(*traces, problems=problems))
    assert list(document) == ["schema_version", "tool", "inputs", "traces", "problems"]
    assert [trace["trace_id"] for trace in document["traces"]] == [t.trace_id for t in traces]
    assert document["problems"] == [msgspec.to_builtins(problem) for problem in problems]


def test_problems_met_while_traces_pass_are_written() -> None:
    problems: list[Problem] = []

    def traces() -> Iterator[bytes]:
        yield from encoded(*TWO)
        problems.append(PROBLEM)

    out = BytesIO()
    assert write_traces(out, tool=TOOL, inputs=[], traces=traces(), problems=problems) == 2
    assert json.loads(out.getvalue())["problems"][0]["code"] == "empty_json"


def test_jsonl_has_one_trace_a_line() -> None:
    out = BytesIO()
    assert write_jsonl(out, iter(encoded(*TWO))) == 2
    assert out.getvalue().splitlines() == encoded(*TWO)


# --- reading


def spellings() -> dict[str, bytes]:
    ours = file_of_traces(*TWO, problems=(PROBLEM,))
    document = json.loads(ours)
    one, two = encoded(*TWO)
    pretty = [json.dumps(json.loads(trace), indent=2).encode() for trace in (one, two)]
    return {
        "ours": ours,
        "ours with CRLF": ours.replace(b"\n", b"\r\n"),
        "ours with a byte order mark": b"\xef\xbb\xbf" + ours,
        "compact": json.dumps(document, separators=(",", ":")).encode(),
        "indented": json.dumps(document, indent=4).encode(),
        "indented by nothing": json.dumps(document, indent=0).encode(),
        "sorted by key": json.dumps(document, sort_keys=True, indent=1).encode(),
        "array": b"[" + one + b",\n" + two + b"]",
        "indented array": json.dumps(document["traces"], indent=2).encode(),
        "JSONL": one + b"\n" + two + b"\n",
        "JSONL without a last line feed": one + b"\n\n" + two,
        "JSONL with a byte order mark": b"\xef\xbb\xbf" + one + b"\n" + two,
        "indented traces after each other": b"\n".join(pretty) + b"\n",
        "one file of our layout after the other": file_of_traces(TWO[0])
        + file_of_traces(TWO[1], problems=(PROBLEM, PROBLEM)),
        "three files, one empty": file_of_traces(TWO[0], problems=(PROBLEM,))
        + file_of_traces()
        + b"\n"
        + file_of_traces(TWO[1]),
        "our layout before JSONL": file_of_traces(TWO[0]) + two + b"\n",
        "our layout before an indented file": file_of_traces(TWO[0])
        + json.dumps(json.loads(file_of_traces(TWO[1])), indent=2).encode(),
        "one file after the other": file_of_one_line(TWO[0]) + b"\n" + file_of_one_line(TWO[1]),
    }


def file_of_one_line(trace: Trace) -> bytes:
    return json.dumps(json.loads(file_of_traces(trace))).encode()


@pytest.mark.parametrize("spelling", list(spellings()))
def test_traces_are_read_in_every_spelling(tmp_path: Path, spelling: str) -> None:
    path = saved(tmp_path, spellings()[spelling])
    assert list(read_traces(path)) == list(TWO)


@pytest.mark.parametrize("spelling", ["ours", "compact", "indented", "our layout before JSONL"])
def test_what_surrounds_the_traces_is_read_after_them(tmp_path: Path, spelling: str) -> None:
    items = list(read_items(saved(tmp_path, spellings()[spelling])))
    frames = [item for item in items if isinstance(item, Frame)]
    assert [item for item in items if isinstance(item, Trace)] == list(TWO)
    assert [frame.inputs for frame in frames] == [[INPUT]]
    assert frames[0].problems == ([] if spelling.endswith("JSONL") else [PROBLEM])


@pytest.mark.parametrize("spelling", ["JSONL", "array"])
def test_traces_alone_have_nothing_around_them(tmp_path: Path, spelling: str) -> None:
    assert list(read_items(saved(tmp_path, spellings()[spelling]))) == list(TWO)


def test_rows_around_the_traces_that_are_none_of_ours_are_left_out(tmp_path: Path) -> None:
    content = b'{"inputs": [{"job_name": 3}, 7], "traces": [], "problems": {"code": "x"}}'
    assert list(read_items(saved(tmp_path, content))) == [Frame()]


@pytest.mark.parametrize("indent", [None, 2])
def test_a_single_trace_is_a_file_of_traces(tmp_path: Path, indent: int | None) -> None:
    content = json.dumps(json.loads(encoded(TWO[1])[0]), indent=indent).encode()
    assert list(read_traces(saved(tmp_path, content))) == [TWO[1]]


@pytest.mark.parametrize("content", [file_of_traces(), b"[]", b'{"traces": []}'])
def test_a_file_of_no_traces_has_none(tmp_path: Path, content: bytes) -> None:
    assert list(read_traces(saved(tmp_path, content))) == []


@given(names=st.lists(st.text(min_size=1), max_size=4), text=st.text())
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], text: str
) -> None:
    traces = [minimal_trace(task_id=name, task_instruction=text) for name in names]
    folder = tmp_path_factory.mktemp("round")
    assert list(read_traces(saved(folder, file_of_traces(*traces)))) == traces


def test_nan_in_a_trace_is_read_as_absent(tmp_path: Path) -> None:
    trace = encoded(minimal_trace())[0].replace(b'"test_reward":1.0', b'"test_reward":NaN')
    for content in (trace, trace + b"\n" + trace):
        assert {t.test_reward for t in read_traces(saved(tmp_path, content))} == {None}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n\x00", "not JSON"),
        (b"# A readme\n\nwith text\n", "not JSON"),
        (b'{"trial_name": "a"}', r"\$: .*missing required field"),
        (b"42", r"\$: Expected `object`"),
        (b'[{"a": 1}]', r"\$\[0\]: .*missing required field"),
        (encoded(TWO[0])[0] + b"\n{}\n", "line 2: .*missing required field"),
        (encoded(TWO[0])[0] + b"\n{oops\n", "line 2: not JSON"),
        (encoded(TWO[0])[0].replace(b'"pass"', b'"won"'), "Invalid enum value 'won'"),
        (b"[" * 100_000, "nested too deeply"),
        (file_of_traces(*TWO)[:-200], "not JSON|cut off"),
        (b"\n".join(file_of_traces(*TWO).split(b"\n")[:2]), "cut off"),
        (file_of_traces(*TWO)[:-3], "not JSON"),
    ],
)
def test_what_is_no_trace_is_refused_with_place_and_advice(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = saved(tmp_path, content)
    with pytest.raises(NotATraceFile, match=reason) as caught:
        list(read_traces(path))
    assert str(path) in str(caught.value)
    assert "evaltrace aggregate" in str(caught.value)


def test_many_files_after_each_other_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, file_of_traces(TWO[0]) * 2000)
    assert sum(1 for _ in read_traces(path)) == 2000


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (file_of_traces(*TWO) + file_of_traces(TWO[0]).replace(b'"pass"', b'"won"'),
         r"at line 5: \$\.traces\[0\]: Invalid enum"),
        (file_of_traces(*TWO) + b"\n" + file_of_traces(TWO[0]).replace(b'"t-1"', b'"t-1'),
         r"at line 6: \$\.traces\[0\]: not JSON: .* line 7 column \d+$"),
        (file_of_traces(*TWO)[:-3], r"at \$: not JSON: .* line 4 column 15$"),
        (encoded(TWO[0])[0] + b"\n\n\n{oops\n", r"at line 4: not JSON: .* line 4 column 2$"),
        (b"{\n\n\n oops: 1\n}", r"at \$: not JSON: .* line 4 column 2$"),
        (b"[]\n" + encoded(TWO[0])[0] + b"\n[{}]", r"at line 3: \$\[0\]: .*missing required"),
        (file_of_traces(*TWO) + b"# a note\n", r"at line 5: \$: not JSON: .* line 5 column 1$"),
    ],
)  # fmt: skip
def test_a_place_is_one_of_the_file(tmp_path: Path, content: bytes, place: str) -> None:
    with pytest.raises(NotATraceFile) as caught:
        list(read_traces(saved(tmp_path, content)))
    where = caught.value.where or ""
    assert re.search(place, where), where


def test_documents_of_two_files_are_told_apart(tmp_path: Path) -> None:
    content = file_of_traces(TWO[0], problems=(PROBLEM,)) + file_of_traces(TWO[1])
    found = [(place, kind) for place, kind, _ in documents(tmp_path, content)]
    assert found == [
        ("$.traces[0]", "trace"),
        ("$", "traces"),
        ("line 6: $.traces[0]", "trace"),
        ("line 6: $", "traces"),
    ]


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def piped(content: bytes) -> None:
        monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(content)))

    piped(file_of_traces(*TWO))
    assert list(read_traces("-")) == list(TWO)
    piped(b"oops")
    with pytest.raises(NotATraceFile, match="standard input at"):
        list(read_traces("-"))
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UnreadablePath, match="standard input"):
        list(read_traces("-"))


def test_a_missing_file_and_a_folder_are_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadablePath, match=r"No such file(.|\n)*Check the name"):
        list(read_traces(tmp_path / "none.json"))
    with pytest.raises(UnreadablePath, match="evaltrace aggregate"):
        list(read_traces(tmp_path))


@pytest.mark.parametrize("layout", ["ours", "JSONL"])
def test_memory_stays_that_of_one_trace(tmp_path: Path, layout: str) -> None:
    long = minimal_trace(test_output="x" * 200_000)
    lines = b"\n".join(encoded(*[long] * 50))
    path = saved(tmp_path, file_of_traces(*[long] * 50) if layout == "ours" else lines)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_traces(path)) == 50
        assert sum(kind == "trace" for _, kind, _ in read_documents(path)) == 50
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3_000_000 < path.stat().st_size


# --- documents to validate


def documents(folder: Path, content: bytes) -> list[tuple[str, str, Any]]:
    return list(read_documents(saved(folder, content)))


def test_documents_of_our_layout_are_the_traces_and_the_frame(tmp_path: Path) -> None:
    one, two, frame = documents(tmp_path, file_of_traces(*TWO, problems=(PROBLEM,)))
    assert one == ("$.traces[0]", "trace", msgspec.to_builtins(TWO[0]))
    assert two == ("$.traces[1]", "trace", msgspec.to_builtins(TWO[1]))
    assert frame[:2] == ("$", "traces")
    assert frame[2]["traces"] == []
    assert frame[2]["problems"] == [msgspec.to_builtins(PROBLEM)]


def test_documents_of_an_indented_file_are_the_same(tmp_path: Path) -> None:
    ours = file_of_traces(*TWO, problems=(PROBLEM,))
    indented = json.dumps(json.loads(ours), indent=2).encode()
    assert documents(tmp_path, indented) == documents(tmp_path, ours)


def test_documents_of_jsonl_are_named_by_line_and_survive_a_bad_one(tmp_path: Path) -> None:
    one, two = encoded(*TWO)
    for lines in ([one, b"{oops", two], [b"{oops", one, two], [one, b"", b"{oops", two]):
        kinds = [kind for _, kind, _ in documents(tmp_path, b"\n".join(lines))]
        assert sorted(kinds) == ["malformed", "trace", "trace"]
    places = [place for place, _, _ in documents(tmp_path, b"\n".join([one, b"", b"{oops", two]))]
    assert places == ["line 1", "line 3", "line 4"]


def test_a_bad_trace_in_our_layout_leaves_the_others(tmp_path: Path) -> None:
    lines = file_of_traces(*[TWO[0]] * 3).split(b"\n")
    lines[2] = lines[2].replace(b'"t-1"', b'"t-1')
    content = b"\n".join(lines)
    found = [(place, kind) for place, kind, _ in documents(tmp_path, content)]
    assert ("$.traces[1]", "malformed") in found
    assert ("$.traces[2]", "trace") in found
    assert ("$", "traces") in found


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"},\n", b"}\n", "no comma before this"),
        (b"}\n]", b"},\n]", "a comma too many before this"),
    ],
)
def test_a_wrong_comma_between_traces_is_malformed(
    tmp_path: Path, old: bytes, new: bytes, message: str
) -> None:
    content = file_of_traces(TWO[0], TWO[0]).replace(old, new)
    found = [
        (place, text) for place, kind, text in documents(tmp_path, content) if kind == "malformed"
    ]
    assert [text for _, text in found] == [message]


def test_a_lost_end_is_malformed(tmp_path: Path) -> None:
    content = b"\n".join(file_of_traces(*TWO).split(b"\n")[:3])
    assert documents(tmp_path, content)[-1][:2] == ("$", "malformed")


def test_json_that_only_we_can_read_is_reported_and_read(tmp_path: Path) -> None:
    content = encoded(TWO[0])[0].replace(b'"test_reward":1.0', b'"test_reward":NaN')
    malformed, trace = documents(tmp_path, content)
    assert malformed == ("$", "malformed", "not strict JSON: NaN")
    assert trace[2]["test_reward"] is None


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    found = documents(tmp_path_factory.mktemp("bytes"), content)
    assert {kind for _, kind, _ in found} <= {"trace", "traces", "malformed"}
