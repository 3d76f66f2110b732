from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from evaltrace.cli import main
from evaltrace.cli.viewing import Duration
from evaltrace.files import write_jsonl
from evaltrace.reports.terminal import render_table, render_trace
from evaltrace.store import Store
from evaltrace.trace import Event, Task, Trace
from evaltrace.viewer import format_summary, format_timeline, format_tree
from traces import minimal_trace

TRACES = [
    minimal_trace(
        trace_id=f"id-{number}",
        task_id=f"tidy-up__{number}",
        task=Task(name="tidy-up", org="acme"),
        attempt=number,
    )
    for number in (1, 2, 3)
] + [minimal_trace(trace_id="id-9", task_id="bake__9", task=Task(name="bake"))]


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return saved(tmp_path, TRACES)


def saved(folder: Path, traces: list[Trace]) -> Path:
    out = BytesIO()
    write_jsonl(out, map(msgspec.json.encode, traces))
    path = folder / "traces.jsonl"
    path.write_bytes(out.getvalue())
    return path


def test_a_file_is_shown_as_a_table_of_80_columns_when_piped(file: Path) -> None:
    result = run("show", file)
    assert result.exit_code == 0
    assert result.stdout == render_table(TRACES, 80)


@pytest.mark.parametrize("name", ["bake__9", "id-9", "bake", "b*"])
def test_a_task_is_found_by_any_of_its_names(file: Path, name: str) -> None:
    assert run("show", file, name).stdout == render_trace(TRACES[3], 80)


@pytest.mark.parametrize("name", ["tidy-up", "acme/tidy-up", "acme/*", "tidy-up__?"])
def test_a_few_matches_are_shown_one_after_the_other(file: Path, name: str) -> None:
    assert run("show", file, name).stdout == "\n".join(render_trace(t, 80) for t in TRACES[:3])


@pytest.mark.parametrize(
    "name",
    [
        *("bake__9", "id-9", "bake", "b*", "tidy-up", "acme/tidy-up", "acme/*", "tidy-up__?"),
        *("*/tidy-up", "tidy-up__[!12]", "tidy…__2", "*"),
    ],
)
def test_a_store_knows_a_task_by_the_names_that_a_file_does(
    tmp_path: Path, file: Path, name: str
) -> None:
    with Store(tmp_path / "store.db") as store:
        store.add_all(TRACES)
    stored = ids_of(run("show", tmp_path / "store.db", name, "--format", "json"))
    assert stored == ids_of(run("show", file, name, "--format", "json")) != set()


def test_a_name_is_understood_as_the_table_cuts_it(tmp_path: Path) -> None:
    ids = [f"a-task-with-a-rather-long-name-of-its-own__{end}" for end in "abcde"]
    file = saved(tmp_path, [minimal_trace(task_id=task_id, trace_id=task_id) for task_id in ids])
    cuts = [line.split()[0] for line in run("show", file, "--width", "60").stdout.splitlines()[2:]]
    for cut, task_id in zip(cuts, ids, strict=True):
        assert "…" in cut
        assert ids_of(run("show", file, cut, "--format", "json")) == {task_id}


def test_many_matches_are_a_table_and_advice(file: Path) -> None:
    output = run("show", file, "*").stdout
    assert output.startswith(render_table(TRACES, 80) + "\n")
    assert output.endswith("name one, as the table does, to see it in full.\n")


def test_a_task_whose_name_is_a_pattern_is_found_by_it(tmp_path: Path) -> None:
    odd = minimal_trace(task_id="solve[1]__a")
    assert run("show", saved(tmp_path, [odd]), "solve[1]__a").stdout == render_trace(odd)


@pytest.mark.parametrize(
    ("task", "nearest"), [("tidy-pu", "tidy-up,"), ("BAK", "bake, bake__9"), ("e__9*8", "bake__9")]
)
def test_an_unknown_task_names_the_nearest(file: Path, task: str, nearest: str) -> None:
    result = run("show", file, task)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f'Error: No trace matches "{task}": ')
    assert f"Nearest: {nearest}" in result.stderr


def test_an_unknown_task_like_no_other_still_gets_advice(file: Path) -> None:
    assert "all traces of the file are listed" in run("show", file, "zzzzzz").stderr


@pytest.mark.parametrize(("task", "shown"), [((), TRACES), (("tidy-up",), TRACES[:3])])
def test_json_is_whole_traces_one_a_line(
    file: Path, task: tuple[str, ...], shown: list[Trace]
) -> None:
    lines = run("show", file, *task, "--format", "json").stdout.splitlines()
    assert [json.loads(line) for line in lines] == [msgspec.to_builtins(t) for t in shown]


def test_the_width_can_be_chosen(tmp_path: Path) -> None:
    long = minimal_trace(task_instruction="word " * 60, task_id="a-long-name" * 9)
    file = saved(tmp_path, [long])
    assert run("show", file, "--width", "120").stdout == render_table([long], 120)
    assert run("show", file, "tidy-up", "--width", "50").stdout == render_trace(long, 50)
    assert run("show", file, "--width", "10").exit_code == 2


def test_colour_is_for_terminals_unless_it_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shown(terminal: bool) -> str:
        arguments = ["show", str(file), "bake"]
        return CliRunner().invoke(main, arguments, color=terminal).stdout

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shown(True) == render_trace(TRACES[3], colour=True)
    assert shown(False) == render_trace(TRACES[3])
    monkeypatch.setenv("NO_COLOR", "")
    assert "\x1b" in shown(True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert shown(True) == render_trace(TRACES[3])


@pytest.mark.parametrize(
    ("content", "message"), [(None, "Cannot read"), (b"{}", "Not a file of traces")]
)
def test_a_file_of_nothing_useful_is_one_line_of_error_and_advice(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "odd.json"
    if content is not None:
        path.write_bytes(content)
    result = run("show", path)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {message}")
    assert "Traceback" not in result.stderr


def test_a_dash_shows_standard_input(file: Path) -> None:
    result = CliRunner().invoke(main, ["show", "-", "bake"], input=file.read_bytes())
    assert result.stdout == render_trace(TRACES[3], 80)


def test_a_file_that_is_not_there_comes_with_advice(tmp_path: Path) -> None:
    result = run("show", tmp_path / "none.json")
    assert result.exit_code == 1
    assert "No such file" in result.stderr
    assert "Check the name. Make one from a job directory: " in result.stderr


@pytest.mark.parametrize("command", ["show", "validate"])
def test_click_leaves_unreadable_files_to_us(command: str) -> None:
    loaded = main.get_command(None, command)  # type: ignore[arg-type]
    assert loaded is not None
    kind = loaded.params[0].type
    assert isinstance(kind, click.Path)
    assert kind.readable is False


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_an_error_with_advice(file: Path) -> None:
    file.chmod(0)
    result = run("show", file)
    assert result.exit_code == 1
    assert "Permission denied" in result.stderr
    assert "Check that you may read it" in result.stderr


def test_an_error_cannot_drive_the_terminal(tmp_path: Path) -> None:
    shown = run("show", tmp_path / "\x1b]0;title\x07name").stderr
    assert "\x1b" not in shown
    assert "name" in shown


# --- the group


@pytest.mark.parametrize("command", [(), ("show",), ("validate",), ("schema",)])
def test_help_has_an_example(command: tuple[str, ...]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Example:\n    evaltrace " in result.stdout


COMMANDS = [
    *("aggregate", "show", "search", "query", "compare", "audit", "power", "validate"),
    *("store", "metrics", "record", "failures", "export", "import", "redact", "scan"),
    *("cache", "schema"),
]


def test_help_lists_every_command() -> None:
    listed = run("--help").stdout.partition("Commands:\n")[2]
    names = [line.split()[0] for line in listed.splitlines()]
    assert names == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_the_listed_help_is_that_of_the_command(name: str) -> None:
    assert main.get_command(None, name).name == name  # type: ignore[arg-type, union-attr]


def test_an_unknown_command_is_wrong_usage() -> None:
    result = run("compile")
    assert result.exit_code == 2
    assert "No such command 'compile'" in result.stderr


# Unbuffered, output fails at another moment than for users.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRONMENT["PYTHONPATH"] = os.pathsep.join(sys.path)


def evaltrace(*arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "evaltrace", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT | environment,
    )


def test_help_loads_no_command() -> None:
    script = (
        "import sys; from evaltrace.cli import main; main(['--help'], standalone_mode=False);"
        "print(sorted(m for m in sys.modules if m.startswith('evaltrace.')"
        " or m in ('msgspec', 'tabulate', 'jsonschema', 'importlib.metadata')))"
    )
    output = subprocess.check_output([sys.executable, "-c", script], env=ENVIRONMENT, text=True)
    loaded = output.splitlines()[-1]
    units = ["evaltrace.cli", "evaltrace.errors", "evaltrace.untrusted", "evaltrace.version"]
    assert loaded == str(units)


def test_a_shell_gets_its_completion() -> None:
    script, _ = evaltrace(_EVALTRACE_COMPLETE="bash_source").communicate()
    assert b"complete -o nosort -F _evaltrace_completion evaltrace" in script
    words = {"COMP_WORDS": "evaltrace sh", "COMP_CWORD": "1"}
    names, _ = evaltrace(_EVALTRACE_COMPLETE="bash_complete", **words).communicate()
    assert names.split() == [b"plain,show"]


def test_a_shell_completes_the_names_of_schemas() -> None:
    words = {"COMP_WORDS": "evaltrace schema show tr", "COMP_CWORD": "3"}
    names, _ = evaltrace(_EVALTRACE_COMPLETE="bash_complete", **words).communicate()
    assert b"plain,trace" in names.split()
    words = {"COMP_WORDS": "evaltrace schema show zz", "COMP_CWORD": "3"}
    names, _ = evaltrace(_EVALTRACE_COMPLETE="bash_complete", **words).communicate()
    assert names.split() == []


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    file = saved(tmp_path, [minimal_trace(test_output="x" * 100_000)] * 20)
    program = evaltrace("show", str(file), "--format", "json")
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.read(10)
    program.stdout.close()
    assert program.stderr.read() == b""
    program.stderr.close()
    assert program.wait() == 141


@pytest.mark.parametrize("asked", ["show", "--help", "--version", "completion"])
def test_a_reader_that_is_gone_is_no_error(file: Path, asked: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    completion = {"_EVALTRACE_COMPLETE": "zsh_source"} if asked == "completion" else {}
    ended = subprocess.run(
        [sys.executable, "-m", "evaltrace", asked, *([str(file)] if asked == "show" else [])],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**ENVIRONMENT, **completion},
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_an_interrupt_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = evaltrace("show", str(pipe))
    with pipe.open("wb"):  # returns when the program reads
        time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        output, errors = program.communicate(timeout=20)
    assert (output, errors) == (b"", b"Interrupted.\n")
    assert program.returncode == 130


def test_an_interrupt_that_nobody_is_told_of_has_its_exit_code(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with evaltrace("show", str(pipe)) as program, pipe.open("wb"):
        assert program.stderr is not None
        program.stderr.close()  # as in `2>&1 | tee log`, which the same key ends
        time.sleep(0.1)
        program.send_signal(signal.SIGINT)
        assert program.wait() == 130


def test_a_failure_that_nobody_is_told_of_has_its_exit_code() -> None:
    with evaltrace("nope") as program:
        assert program.stderr is not None
        program.stderr.close()
        assert program.wait() == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_a_line_and_no_traceback(file: Path) -> None:
    command = [sys.executable, "-m", "evaltrace", "show", str(file)]
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=ENVIRONMENT, check=False
        )
    assert ended.returncode == 1
    told = b"Error: Cannot write to standard output (No space left on device)\n"
    assert ended.stderr == told + b"  Is its disk full, or was it closed?\n"


def test_a_terminal_of_another_encoding_gets_what_it_can_show(tmp_path: Path) -> None:
    file = saved(tmp_path, [minimal_trace(task_id="整理")])
    program = evaltrace("show", str(file), "*", PYTHONIOENCODING="latin-1")
    output, errors = program.communicate()
    assert errors == b""
    assert output.startswith(b"PASS  ??\n")


# --- views


def event(number: int, **fields: Any) -> Event:
    known = {
        "id": f"e{number}",
        "type": "tool_call",
        "started_at": f"2026-01-26T18:00:{number:02}Z",
    }
    return Event(**{**known, **fields})


VIEWED = minimal_trace(
    trace_id="id-7",
    task_id="mend__7",
    task=Task(name="mend"),
    status="fail",
    events=[
        event(1, type="message", text="I look around."),
        event(2, parent_id="e1", name="Bash", duration_ms=1500.0, output="whole output"),
        event(3, parent_id="e1", name="Bash", status="error", error="denied", duration_ms=90.0),
        event(4, name="Read", status="ok"),
    ],
)
RESTED = minimal_trace(trace_id="id-8", task_id="rest__8", task=Task(name="rest"), events=[])


@pytest.fixture(params=["file", "store"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "file":
        return saved(tmp_path, [*TRACES, VIEWED, RESTED])
    with Store(tmp_path / "store.db") as store:
        store.add_all([*TRACES, VIEWED, RESTED])
    return tmp_path / "store.db"


def ids(result: Result) -> list[str]:
    return [json.loads(line)["id"] for line in result.stdout.splitlines()]


def test_a_view_stands_below_the_name_of_its_run(place: Path) -> None:
    assert run("show", place, "mend", "--timeline").stdout.startswith(
        "FAIL  mend__7\n  4 events · 1 error\n      offset "
    )


def test_a_view_is_what_the_library_gives(place: Path) -> None:
    for view, text in (
        ("--timeline", format_timeline(VIEWED)),
        ("--tree", format_tree(VIEWED)),
        ("--summary", format_summary(VIEWED, totals=True, width=80)),
    ):
        assert run("show", place, "id-7", view).stdout.endswith(text)


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ((), ["e1", "e2", "e3", "e4"]),
        (("--errors",), ["e3"]),
        (("--type", "message", "--type", "note"), ["e1"]),
        (("--min-duration", "1.5s"), ["e2"]),
        (("--min-duration", "90ms"), ["e2", "e3"]),
        (("--min-duration", "0.01m"), ["e2"]),
        (("--limit", "2", "--offset", "1"), ["e2", "e3"]),
        (("--limit", "0"), ["e1", "e2", "e3", "e4"]),
    ],
)
def test_events_are_chosen_by_type_failure_duration_and_page(
    place: Path, asked: tuple[str, ...], shown: list[str]
) -> None:
    assert ids(run("show", place, "mend", "--timeline", "--format", "json", *asked)) == shown


def test_a_filter_without_a_view_is_a_timeline(place: Path) -> None:
    filtered = run("show", place, "mend", "--errors").stdout
    assert filtered == run("show", place, "mend", "--timeline", "--errors").stdout
    assert "✗ +0:00:02.0" in filtered


def test_more_events_than_shown_are_announced(place: Path) -> None:
    shown = run("show", place, "mend", "--timeline", "--limit", "2").stdout
    assert shown.endswith("Events 1 to 2; --offset 2 shows the next.\n")
    assert "shows the next" not in run("show", place, "mend", "--timeline", "--offset", "2").stdout


def test_events_of_unknown_duration_are_counted(place: Path) -> None:
    for view in ("--timeline", "--tree"):
        result = run("show", place, "mend", view, "--min-duration", "1s", "--format", "json")
        assert "nobody knows how long they took: 2." in result.stderr


@pytest.mark.parametrize("duration", ["5", "2 days", "-1s", "", "1e3s"])
def test_a_duration_needs_its_unit(place: Path, duration: str) -> None:
    result = run("show", place, "mend", "--min-duration", duration)
    assert result.exit_code == 2
    assert "write 500ms, 2s, 1.5m or 1h." in result.stderr


@pytest.mark.parametrize("duration", ["1m 35s", "1.5m5s", "95000 ms", "0h 1m 35s"])
def test_a_duration_may_have_parts_as_views_write_it(duration: str) -> None:
    assert Duration().convert(duration, None, None) == 95_000


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--timeline", "--tree"), "One view at a time: --timeline or --tree."),
        (("--summary", "--errors"), "--errors is for a timeline or a tree."),
        (("--summary", "--min-duration", "0ms"), "--min-duration is for"),
        (("--event", "e2", "--type", "note"), "--type is for"),
        (("--event", "e2", "--timeline"), "--event shows one event; with --tree,"),
    ],
)
def test_views_that_do_not_go_together_are_wrong_usage(
    place: Path, asked: tuple[str, ...], told: str
) -> None:
    result = run("show", place, "mend", *asked)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr


@pytest.mark.parametrize("asked", [("--limit", "0"), ("--min-duration", "0s"), ("--offset", "0")])
def test_a_filter_of_zero_is_a_timeline_too(place: Path, asked: tuple[str, ...]) -> None:
    assert "offset " in run("show", place, "mend", *asked).stdout


def test_numbers_may_be_as_large_as_people_write_them(place: Path) -> None:
    many = "9" * 40
    assert len(ids(run("show", place, "mend", "--limit", many, "--format", "json"))) == 4
    for view in ("--timeline", "--tree"):
        result = run("show", place, "mend", view, "--offset", many)
        assert result.exit_code == 0, result.exception


def test_a_type_that_is_not_there_comes_with_those_that_are(place: Path) -> None:
    shown = run("show", place, "mend", "--type", "massage", "--type", "zebra").stdout
    assert 'No event has the type "massage". There are: message.' in shown
    assert 'No event has the type "zebra". There are: ' in shown
    assert "tool_call" in shown.splitlines()[-1]


def test_the_beginning_of_an_event_id_is_enough(tmp_path: Path) -> None:
    events = [Event(id=name, type="x", text=name) for name in ("e1", "e10", "phase.setup", "s1.E9")]
    file = saved(tmp_path, [minimal_trace(events=events)])

    def told(name: str) -> str:
        result = run("show", file, "--event", name)
        return result.stdout or result.stderr

    assert told("e1").startswith("e1  ")
    assert told("ph").startswith("phase.setup  ") == told("phase.s…").startswith("phase.setup  ")
    assert told("e").startswith('Error: Several events begin with "e"')
    assert "Nearest: e1, e10" in told("e")
    assert "Nearest: s1.E9" in told("e9")
    tree = run("show", file, "--tree", "--event", "phase.s")
    assert tree.stdout.endswith("No events below it.\n")


def test_one_event_is_shown_with_all_it_has(place: Path) -> None:
    assert "\noutput\n  whole output\n" in run("show", place, "mend", "--event", "e2").stdout
    detail = json.loads(run("show", place, "mend", "--event", "e2", "--format", "json").stdout)
    assert (detail["output"], detail["parent"]["id"], detail["seq"]) == ("whole output", "e1", 2)


def test_a_tree_can_begin_at_an_event(place: Path) -> None:
    whole = json.loads(run("show", place, "mend", "--tree", "--format", "json").stdout)
    assert [(row["id"], row["depth"]) for row in whole["tree"]] == [
        *(("e1", 0), ("e2", 1), ("e3", 1), ("e4", 0)),
    ]
    below = run("show", place, "mend", "--tree", "--event", "e1", "--format", "json")
    assert [row["id"] for row in json.loads(below.stdout)["tree"]] == ["e2", "e3"]


def test_an_event_that_is_not_there_is_an_error_with_advice(place: Path) -> None:
    for view in ((), ("--tree",)):
        result = run("show", place, "mend", "--event", "e9", *view)
        assert result.exit_code == 1
        assert 'No event "e9"' in result.stderr
        assert "--timeline lists the events" in result.stderr


def test_a_view_of_several_traces_asks_for_one(place: Path) -> None:
    result = run("show", place, "tidy-up", "--timeline")
    assert result.exit_code == 1
    assert "A view shows one trace, and 3 match" in result.stderr
    assert "Name one: " in result.stderr


def test_a_view_of_the_only_trace_needs_no_name(tmp_path: Path) -> None:
    only = saved(tmp_path, [VIEWED])
    assert run("show", only, "--tree").stdout == run("show", only, "mend", "--tree").stdout


@pytest.mark.parametrize("view", ["--timeline", "--tree", "--errors"])
def test_a_view_of_a_trace_without_its_events_says_so(tmp_path: Path, view: str) -> None:
    bare = saved(tmp_path, [minimal_trace(events=None)])
    assert "were left out when it was written" in run("show", bare, view).stdout
    data = run("show", bare, view, "--format", "json")
    assert (data.exit_code, data.stdout) == (0, "")
    assert "were left out" in data.stderr


def test_nothing_to_show_is_said(place: Path) -> None:
    for view in ("--timeline", "--tree"):
        assert "No event like this." in run("show", place, "mend", view, "--type", "zebra").stdout
        assert "No events." in run("show", place, "rest", view).stdout
    late = run("show", place, "mend", "--timeline", "--offset", "9").stdout
    assert late.endswith("No events after the first 9.\n")


def test_several_sessions_are_named_as_short_as_can_be(tmp_path: Path) -> None:
    names = [f"a-long-beginning-{letter}-and-the-rest" for letter in "xy"]
    with Store(tmp_path / "store.db") as store:
        store.add_all(minimal_trace(trace_id=name) for name in names)
    told = run("show", tmp_path / "store.db", "--timeline").stderr
    assert "Name one: a-long-beginning-y, a-long-beginning-x\n" in told
    assert run("show", tmp_path / "store.db", "a-long-beginning-x", "--timeline").exit_code == 0


def test_a_store_is_shown_as_its_latest_sessions_and_in_full(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with Store(path) as store:
        store.add_all(TRACES)
    listed = run("show", path).stdout
    assert listed == run("store", "sessions", "--store", path).stdout
    assert len(listed.splitlines()) == 2 + len(TRACES)
    assert run("show", "--store", path, "bake").stdout == render_trace(TRACES[3], 80)
    assert ids_of(run("show", path, "tidy-up", "--format", "json")) == {"id-1", "id-2", "id-3"}
    assert "No session matches" in run("show", path, "cake").stderr
    assert run("show", path, "a", "--store", path).exit_code == 2


def ids_of(result: Result) -> set[str]:
    return {json.loads(line)["trace_id"] for line in result.stdout.splitlines()}
