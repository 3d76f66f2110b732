from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

import evaltrace.cli.search
from evaltrace.cli import main
from evaltrace.store import Store
from evaltrace.trace import Event, Trace
from test_terminal import HOSTILE, WIDE, widest
from traces import minimal_trace


def call(number: int, output: str) -> Event:
    started_at = f"2026-01-26T18:00:{number:02}Z"
    return Event(id=f"e{number}", type="tool_call", output=output, started_at=started_at)


TRACES = [
    minimal_trace(
        trace_id="id-1",
        task_id="tidy-up__1",
        status="fail",
        events=[
            call(1, "all is well"),
            call(2, f"{'before ' * 30}Permission denied: 'notes.txt'{' after' * 30}"),
            call(3, "permission DENIED again, permission denied twice"),
        ],
    ),
    minimal_trace(trace_id="id-2", task_id="bake__1", events=[call(5, "denied the permission")]),
]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["search", *map(str, arguments)])


def saved(folder: Path, traces: list[Trace], name: str = "traces.jsonl") -> Path:
    path = folder / name
    path.write_bytes(b"".join(msgspec.json.encode(trace) + b"\n" for trace in traces))
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return saved(tmp_path, TRACES)


def stored(folder: Path) -> Path:
    path = folder / "store.db"
    with Store(path) as store:
        store.add_all(TRACES)
    return path


def test_hits_stand_below_their_run_and_are_marked(file: Path) -> None:
    result = run("denied", file)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "FAIL  tidy-up__1",
        "+0:00:01.0  e2  output  …efore Permission «denied»: 'notes.txt' after after aft…",
        "+0:00:02.0  e3  output  permission «DENIED» again, permission «denied» twice",
        "",
        "PASS  bake__1",
        "+0:00:00.0  e5  output  «denied» the permission",
    ]


def test_a_phrase_is_found_as_it_stands(file: Path) -> None:
    found = [
        json.loads(line) for line in lines(run('"permission denied"', file, "--format", "json"))
    ]
    assert [hit["event_id"] for hit in found] == ["e2", "e3"]
    for hit in found:
        texts = [hit["text"][start:end].lower() for start, end in hit["marks"]]
        assert texts
        assert set(texts) == {"permission denied"}


def lines(result: Result) -> list[str]:
    return result.stdout.splitlines()


def test_a_store_gives_the_same_hits_as_the_file(tmp_path: Path, file: Path) -> None:
    def hits(*where: str | Path) -> list[str]:
        return sorted(lines(run("denied", "--format", "json", *where)))

    store = stored(tmp_path)
    assert hits("--store", store) == hits(store) == hits(file) != []


def test_without_a_place_the_users_store_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALTRACE_STORE", str(stored(tmp_path)))
    assert "«twice»" in run("twice").stdout


def test_several_places_are_searched_one_after_the_other(tmp_path: Path, file: Path) -> None:
    other = saved(tmp_path, [minimal_trace(task_id="other__1", task_instruction="deny twice")], "b")
    text = run("twice", file, other).stdout
    assert text.index("tidy-up__1") < text.index("other__1")
    assert f"{' ' * 12}-   task_instruction  deny «twice»" in text


def test_a_regular_expression_minds_case_only_if_it_has_capitals(file: Path) -> None:
    def ids(*arguments: str) -> list[str]:
        found = run("--regex", "--format", "json", *arguments, file)
        return [json.loads(line)["event_id"] for line in lines(found)]

    assert ids(r"permission\s+denied") == ["e2", "e3"]
    assert ids(r"DENIED") == ["e3"]
    assert ids(r"DENIED", "-i") == ["e2", "e3", "e5"]


@pytest.mark.parametrize("pattern", ["(", "a{99999999999}", "[z-a]"])
def test_what_is_no_regular_expression_is_said_so(file: Path, pattern: str) -> None:
    result = run("--regex", pattern, file)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: Not a regular expression")


def test_a_regular_expression_that_never_ends_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaltrace.cli.search, "_PATIENCE_S", 0.1)
    file = saved(tmp_path, [minimal_trace(task_id="slow__1", events=[call(1, "a" * 60)])])
    result = run("--regex", "(a|a)+$b", file)
    assert result.exit_code == 1
    assert "takes more than" in result.stderr
    assert "slow__1" in result.stderr


def test_a_store_takes_no_regular_expression(tmp_path: Path) -> None:
    result = run("--regex", "x", stored(tmp_path))
    assert result.exit_code == 2
    assert "a store finds words" in result.stderr


def test_only_traces_of_a_name_are_searched(tmp_path: Path, file: Path) -> None:
    def hits(*arguments: str | Path) -> list[str]:
        found = lines(run("denied", "--format", "json", *arguments))
        return sorted(json.loads(line)["event_id"] for line in found)

    store = stored(tmp_path)
    for place in (file, store):
        assert hits(place, "--task", "bake__1") == ["e5"]
        assert hits(place, "--task", "tidy-up__*") == ["e2", "e3"]
        assert run("denied", place, "--task", "zebra").exit_code == 1
    assert hits(file, store, "--task", "bake__1") == ["e5", "e5"]
    # One place that does not know it is no fault of the others.
    other = saved(tmp_path, [minimal_trace(task_id="other__1")], "other.jsonl")
    assert hits(other, file, "--task", "bake__1") == ["e5"]


def test_the_search_of_a_store_is_this_search(tmp_path: Path) -> None:
    store = stored(tmp_path)
    for arguments in (("denied",), ("denied", "--limit", "1"), ("denied", "--format", "json")):
        searched = run(*arguments, "--store", store)
        same = CliRunner().invoke(main, ["store", "search", *arguments, "--store", str(store)])
        assert same.stdout == searched.stdout != ""
        assert same.stderr == searched.stderr


@pytest.mark.parametrize("option", ["--limit", "--offset"])
def test_numbers_may_be_as_large_as_people_write_them(tmp_path: Path, option: str) -> None:
    for place in (saved(tmp_path, TRACES), stored(tmp_path)):
        assert run("denied", place, option, "9" * 40).exit_code == 0


def test_no_hit_is_said_and_is_no_error(file: Path) -> None:
    result = run("zebra", file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == 'No hit for "zebra".\n'


def test_more_hits_than_asked_for_are_announced_and_come_next(file: Path) -> None:
    first = run("denied", file, "--limit", "2", "--format", "json")
    assert len(lines(first)) == 2
    assert first.stderr == "More than 2 hits: --offset 2 shows the next.\n"
    rest = run("denied", file, "--offset", "2", "--format", "json")
    assert [json.loads(line)["event_id"] for line in lines(rest)] == ["e5"]
    assert rest.stderr == ""


@pytest.mark.parametrize("text", [HOSTILE, WIDE, "x" * 300])
@pytest.mark.parametrize("width", ["40", "80"])
def test_lines_are_no_wider_than_asked_for_and_drive_no_terminal(
    tmp_path: Path, text: str, width: str
) -> None:
    event = call(1, f"{text} needle {text}")
    event.id = text
    file = saved(tmp_path, [minimal_trace(task_id=text, events=[event])])
    for arguments in (("needle",), ("--regex", "needle")):
        shown = run(*arguments, file, "--width", width).stdout
        assert "«needle»" in shown
        assert widest(shown) <= int(width)
        assert "\x1b" not in shown


def test_the_mark_is_bold_on_a_terminal(file: Path) -> None:
    result = CliRunner().invoke(main, ["search", "twice", str(file)], color=True)
    assert "\x1b[1m«twice»\x1b[0m" in result.stdout
