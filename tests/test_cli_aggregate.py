"""`evaltrace aggregate` as a user runs it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aggregated import aggregate_bytes
from evaltrace.cli import main
from job_dirs import write_job

EVALTRACE = [sys.executable, "-m", "evaltrace"]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_job(tmp_path / "jobs", "sample", ["add-flag", {"task": "slow", "reward": 0.0}])


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["aggregate", *map(str, arguments)])


def test_default_output_is_named_after_the_job(job: Path) -> None:
    result = run(job)
    assert result.exit_code == 0, result.output
    assert Path("artifacts/sample-execution-traces-full.json").read_bytes() == aggregate_bytes(job)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "2 traces" in result.stderr


def test_default_output_is_named_after_the_arm(job: Path) -> None:
    run("--job-dir", job, "--arm", "baseline", "--format", "jsonl")
    assert [p.name for p in Path("artifacts").iterdir()] == ["baseline-execution-traces-full.jsonl"]


def test_dash_writes_to_standard_output_only(job: Path) -> None:
    result = run(job, "-o", "-")
    assert result.stdout_bytes == aggregate_bytes(job)
    assert "2 traces" in result.stderr
    assert not Path("artifacts").exists()


def test_quiet_says_nothing(job: Path) -> None:
    result = run(job, "--quiet", "-o", "out.json")
    assert (result.stdout, result.stderr) == ("", "")


def test_path_and_job_dir_are_the_same(job: Path) -> None:
    assert run(job, "-o", "-").stdout == run("--job-dir", job, "-o", "-").stdout
    both = run(job, "--job-dir", job, "-o", "-")
    assert both.stdout == run(job, "-o", "-").stdout


def test_tasks_events_and_threshold(job: Path) -> None:
    result = run(job, "--task", "add-flag", "--events", "none", "--pass-threshold", 2, "-o", "-")
    traces = json.loads(result.stdout)["traces"]
    assert [(trace["status"], trace["events"]) for trace in traces] == [("partial", None)]


def test_no_path_is_wrong_usage(job: Path) -> None:
    result = run()
    assert result.exit_code == 2
    assert "at least one PATH" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing"], ["no such directory", "missing", "spelling"]),
        (["jobs/sample/result.json"], ["not a directory", "result.json"]),
        (["jobs", "--task", "add-flg"], ["no trial of this task", "add-flg", "add-flag"]),
        (["empty"], ["no trial found", "empty"]),
    ],
)
def test_failures_say_what_where_and_what_to_try(
    job: Path, arguments: list[str], words: list[str]
) -> None:
    Path("empty").mkdir()
    result = run(*arguments, "-o", "out.json")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert all(word in result.stderr for word in words), result.stderr
    assert not Path("out.json").exists()


@pytest.mark.parametrize("output", ["jobs/sample/out.json", "jobs/sample/new/deep/out.json"])
def test_output_inside_a_job_is_refused(job: Path, output: str) -> None:
    before = sorted(Path().rglob("*"))
    result = run(job, "-o", output)
    assert result.exit_code == 1
    assert "inside the job sample" in result.stderr
    assert sorted(Path().rglob("*")) == before


def test_default_output_inside_a_job_is_refused(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(job)
    result = run(".")
    assert result.exit_code == 1
    assert "-o" in result.stderr
    assert not Path("artifacts").exists()


def test_strict_leaves_no_file(job: Path) -> None:
    next(job.glob("slow__*/result.json")).write_text("")
    result = run(job, "--strict", "-o", "out.json")
    assert result.exit_code == 1
    assert "empty_json" in result.stderr
    assert not Path("out.json").exists()
    assert run(job, "-o", "out.json").exit_code == 0
    assert "1 problem" in run(job, "-o", "out.json").stderr


def test_archive_moves_the_earlier_output(job: Path) -> None:
    run(job, "-o", "out.json")
    first = Path("out.json").read_bytes()
    result = run(job, "--task", "slow", "--archive", "-o", "out.json")
    moved = list(Path("history/runs").glob("*/out.json"))
    assert len(moved) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", moved[0].parent.name)
    assert moved[0].read_bytes() == first
    assert str(moved[0].parent) in result.stderr
    assert len(json.loads(Path("out.json").read_text())["traces"]) == 1


def test_a_failed_run_leaves_the_earlier_output_where_it_is(job: Path) -> None:
    run(job, "-o", "out.json")
    before = Path("out.json").read_bytes()
    next(job.glob("slow__*/result.json")).write_text("")
    assert run(job, "--strict", "--archive", "-o", "out.json").exit_code == 1
    assert Path("out.json").read_bytes() == before
    assert not Path("history").exists()


def test_archive_needs_a_file(job: Path) -> None:
    assert run(job, "--archive", "-o", "-").exit_code == 2


def test_a_few_tasks_do_not_take_the_file_of_all(job: Path) -> None:
    run(job)
    file = Path("artifacts/sample-execution-traces-full.json")
    before = file.read_bytes()
    result = run(job, "--task", "slow")
    assert result.exit_code == 1
    assert "1 trace(s) that --task leaves out" in result.stderr
    assert "-o" in result.stderr
    assert file.read_bytes() == before
    assert run(job, "--task", "slow", "--archive").exit_code == 0
    assert run(job, "--task", "slow").exit_code == 0  # the same tasks again


def test_an_empty_path_is_not_this_folder(job: Path) -> None:
    result = run("", "-o", "-")
    assert result.exit_code == 2
    assert "empty path" in result.stderr


@pytest.mark.parametrize("options", [("--pass-threshold", "0"), ("--arm", ""), ("--arm", "a\nb")])
def test_unusable_options_are_wrong_usage(job: Path, options: tuple[str, str]) -> None:
    assert run(job, *options, "-o", "-").exit_code == 2


def test_format_follows_the_name_of_the_file(job: Path) -> None:
    run(job, "-o", "out.jsonl")
    assert Path("out.jsonl").read_bytes() == aggregate_bytes(job, form="jsonl")
    run(job, "-o", "odd.jsonl", "--format", "json")
    assert Path("odd.jsonl").read_bytes() == aggregate_bytes(job)


@pytest.mark.parametrize("folder", ["new/", "old"])
def test_a_folder_gets_the_default_name(job: Path, folder: str) -> None:
    Path("old").mkdir()
    assert run(job, "-o", folder).exit_code == 0
    assert Path(folder, "sample-execution-traces-full.json").is_file()


def test_sigterm_leaves_nothing_behind(tmp_path: Path) -> None:
    process, out = started(tmp_path)
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 143, said
    assert "Traceback" not in said
    assert not list(out.parent.glob("*")) if out.parent.exists() else True


def started(tmp_path: Path) -> tuple[subprocess.Popen[str], Path]:
    """Start an aggregation that takes seconds, and wait until its writing has begun."""
    job = write_job(tmp_path, "long", [f"task-{n}" for n in range(3)])
    log = next(job.glob("task-1__*/agent/claude-code.txt"))
    line = '{"type":"assistant","message":{"id":"m%d","content":[{"type":"text","text":"x"}]}}'
    log.write_text("\n".join(line % number for number in range(200_000)))
    out = tmp_path / "out" / "traces.json"
    process = subprocess.Popen(
        [*EVALTRACE, "aggregate", str(job), "-o", str(out)], stderr=subprocess.PIPE, text=True
    )
    # The temporary file shows that the writing has begun.
    deadline = time.monotonic() + 30
    while not (out.parent.exists() and any(out.parent.iterdir())):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return process, out


def test_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    process, out = started(tmp_path)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    # CPython ends by the signal itself where it met one while it ran code from a text, as
    # dataclasses do; a shell says 130 for both.
    assert process.returncode in (130, -signal.SIGINT), said
    assert "Traceback" not in said
    assert not list(out.parent.glob("*")) if out.parent.exists() else True


def test_closed_pipe_is_no_error_message(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", [f"task-{n}" for n in range(40)])
    assert len(aggregate_bytes(job)) > 2**17  # more than a pipe holds
    command = [*EVALTRACE, "aggregate", str(job), "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.read(10)) == 10
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 141
    assert b"Traceback" not in said


def on_terminal(command: list[str], **environment: str) -> str:
    """Run a command with a pseudo-terminal as its standard error; give what it shows there."""
    control, terminal = pty.openpty()
    env = {**os.environ, "COLUMNS": "80", "TERM": "xterm", **environment}
    if "NO_COLOR" not in environment:
        env.pop("NO_COLOR", None)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, env=env) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                chunk = os.read(control, 65536)
            except OSError:  # the other end was closed
                break
            if not chunk:
                break
            shown += chunk
    os.close(control)
    assert process.returncode == 0
    return shown.decode()


def test_terminal_gets_a_progress_bar_and_a_summary(job: Path) -> None:
    shown = on_terminal([*EVALTRACE, "aggregate", str(job), "-o", "out.json"])
    assert "Reading trials" in shown
    assert "2/2" in shown
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
    summary = plain.replace("\r\n", "\n").split("\n", 1)[1] if "\n" in plain else plain
    for word in ("1 pass", "1 fail", "planned 2", "mean reward", "tokens", "cost", "out.json"):
        assert word in plain, plain
    assert all(len(line) <= 80 for line in summary.split("\n"))


def test_colours_only_without_no_color(job: Path) -> None:
    command = [*EVALTRACE, "aggregate", str(job), "-o", "out.json"]
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9]m")
    assert coloured.search(on_terminal(command))
    assert not coloured.search(on_terminal(command, NO_COLOR="1"))


def test_problems_are_summed_up_by_code_with_the_first_path(job: Path) -> None:
    next(job.glob("slow__*/result.json")).write_text("")
    shown = on_terminal([*EVALTRACE, "aggregate", str(job), "-o", "out.json"])
    assert "empty_json 1" in shown
    assert "sample/slow__" in shown


def test_help_has_an_example_and_every_option() -> None:
    text = run("--help").output
    assert "Example:" in text
    options = ["--job-dir", "--task", "--arm", "--output", "--format", "--events"]
    for option in [*options, "--pass-threshold", "--strict", "--archive", "--quiet"]:
        assert option in text


def test_completion_script_is_offered() -> None:
    env = {**os.environ, "_EVALTRACE_COMPLETE": "bash_source"}
    program = Path(sys.executable).with_name("evaltrace")
    done = subprocess.run([program], env=env, capture_output=True, text=True, check=True)
    assert "_EVALTRACE_COMPLETE=bash_complete" in done.stdout


def test_completion_completes_commands() -> None:
    env = {
        **os.environ,
        "_EVALTRACE_COMPLETE": "bash_complete",
        "COMP_WORDS": "evaltrace agg",
        "COMP_CWORD": "1",
    }
    program = Path(sys.executable).with_name("evaltrace")
    done = subprocess.run([program], env=env, capture_output=True, text=True, check=True)
    assert "aggregate" in done.stdout
