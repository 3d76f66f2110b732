"""What bad input gets: a problem with code, path, message and hint; the rest comes out whole."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aggregated import aggregate, by_task
from job_dirs import write_job

LOG = "agent/claude-code.txt"


@pytest.fixture
def job(tmp_path: Path) -> Path:
    return write_job(tmp_path / "jobs", "sample", ["good", "bad"])


@pytest.fixture
def clean(job: Path) -> dict[str, Any]:
    """The file of traces before anything was broken."""
    return aggregate(job)


def trial(job: Path, task: str = "bad") -> Path:
    return next(job.glob(f"{task}__*"))


def problem(document: dict[str, Any], code: str) -> dict[str, str]:
    found = [row for row in document["problems"] if row["code"] == code]
    assert found, [row["code"] for row in document["problems"]]
    for row in found:
        assert row["path"].startswith("sample/")
        assert row["message"]
        assert row["hint"]
    return found[0]


def edit_log(job: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    path = trial(job) / LOG
    path.write_bytes(b"\n".join(change(path.read_bytes().split(b"\n"))))
    # The sessions hold the same calls; without them the stream alone must tell.
    for session in trial(job).glob("agent/sessions/projects/*/*.jsonl"):
        session.unlink()


def counts(trace: dict[str, Any]) -> tuple[Any, ...]:
    metrics = trace["metrics"]
    return (
        trace["status"],
        trace["test_reward"],
        metrics["tokens"],
        metrics["cost"],
        metrics["turns"],
        metrics["tool_calls"],
        trace["tools"]["calls"],
    )


def assert_good_is_whole(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert by_task(after)["good"] == by_task(before)["good"]


def test_sample_is_clean(clean: dict[str, Any]) -> None:
    assert clean["problems"] == []
    assert [trace["status"] for trace in clean["traces"]] == ["pass", "pass"]
    assert all(trace["metrics"]["tool_calls"] for trace in clean["traces"])


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "empty_json"), (b'{"task_name": "bad", "trial_na', "malformed_json")],
)
def test_broken_result(job: Path, clean: dict[str, Any], content: bytes, code: str) -> None:
    (trial(job) / "result.json").write_bytes(content)
    after = aggregate(job)
    assert problem(after, code)["path"].endswith("/result.json")
    assert_good_is_whole(clean, after)
    broken = by_task(after)["bad"]
    assert broken["status"] == "error"
    assert broken["error"]["type"] == "ResultUnreadable"
    assert broken["error"]["reward_valid"] is False
    assert broken["metrics"]["tokens"] == by_task(clean)["bad"]["metrics"]["tokens"]


def test_truncated_result_of_a_running_job(tmp_path: Path) -> None:
    job = write_job(tmp_path, "sample", ["good", "bad"], finished=False)
    path = trial(job) / "result.json"
    path.write_bytes(path.read_bytes()[:200])
    assert by_task(aggregate(job))["bad"]["status"] == "running"


@pytest.mark.parametrize("name", ["config.json", "lock.json", "agent/trajectory.json"])
def test_other_truncated_json_costs_nothing_else(
    job: Path, clean: dict[str, Any], name: str
) -> None:
    path = trial(job) / name
    path.write_bytes(path.read_bytes()[:40])
    after = aggregate(job)
    assert_good_is_whole(clean, after)
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])


def test_broken_ctrf(job: Path, clean: dict[str, Any]) -> None:
    (trial(job) / "verifier/ctrf.json").write_text('{"results": {"tests": [{"na')
    after = aggregate(job)
    assert problem(after, "malformed_json")["path"].endswith("verifier/ctrf.json")
    assert by_task(after)["bad"]["tests"] is None
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])


JOB_FILES = ("config.json", "lock.json", "result.json")


@pytest.mark.parametrize(
    ("content", "code"),
    [("{", "malformed_json"), ("null", "wrong_shape"), ("", "empty_json"), (None, "not_a_file")],
)
@pytest.mark.parametrize("broken", [*((name,) for name in JOB_FILES), JOB_FILES])
def test_broken_job_files(
    job: Path, clean: dict[str, Any], content: str | None, code: str, broken: tuple[str, ...]
) -> None:
    for name in broken:
        (job / name).unlink()
        if content is None:
            (job / name).mkdir()
        else:
            (job / name).write_text(content)
    after = aggregate(job)
    problem(after, code)
    assert [(row["code"], row["path"]) for row in after["problems"]] == [
        (code, f"sample/{name}") for name in broken
    ]
    assert [counts(trace) for trace in after["traces"]] == [
        counts(trace) for trace in clean["traces"]
    ]


def test_other_programs_files_around_trials_are_no_broken_job_files(job: Path) -> None:
    for name in JOB_FILES:
        (job / name).unlink()
    (job / "result.json").write_text('{"id": "app"}')
    after = aggregate(job)
    assert after["problems"] == []
    assert len(after["traces"]) == 2
    assert after["inputs"][0]["job_id"] != "app"


@pytest.mark.parametrize("name", ["result.json", "lock.json", LOG, "verifier/ctrf.json"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_something_else_in_the_place_of_a_file(
    job: Path, clean: dict[str, Any], name: str, make: Callable[[Path], None]
) -> None:
    (trial(job) / name).unlink()
    make(trial(job) / name)
    after = aggregate(job)
    found = problem(after, "not_a_file")
    assert found["path"].endswith(f"/{name}")
    assert found["message"].startswith("a directory" if make is os.mkdir else "a named pipe")
    assert_good_is_whole(clean, after)
    if name == "result.json":
        assert by_task(after)["bad"]["error"]["type"] == "ResultUnreadable"


@pytest.mark.parametrize("name", [LOG, "agent/codex.txt", "agent/trajectory.json"])
def test_something_else_in_the_place_of_the_only_log(job: Path, name: str) -> None:
    shutil.rmtree(trial(job) / "agent")
    (trial(job) / name).mkdir(parents=True)
    result = trial(job) / "result.json"
    document = json.loads(result.read_text())
    document["agent_info"]["name"] = document["config"]["agent"]["name"] = Path(name).stem
    result.write_text(json.dumps(document))
    assert problem(aggregate(job), "not_a_file")["path"].endswith(f"/{name}")


def test_something_else_in_the_place_of_the_only_reward(job: Path) -> None:
    result = trial(job) / "result.json"
    document = json.loads(result.read_text())
    document["verifier_result"] = None
    result.write_text(json.dumps(document))
    for path in trial(job).glob("verifier/reward.*"):
        path.unlink()
    (trial(job) / "verifier/reward.txt").mkdir()
    assert problem(aggregate(job), "not_a_file")["path"].endswith("verifier/reward.txt")


def test_invalid_utf8_in_the_harnesss_own_numbers(job: Path, clean: dict[str, Any]) -> None:
    result = trial(job) / "result.json"
    document = json.loads(result.read_text())
    document["agent_result"].update(metadata={"note": "STRAY"}, cost_usd="STRAY")
    result.write_bytes(json.dumps(document).encode().replace(b"STRAY", b"st\xffray"))
    after = aggregate(job)
    broken = by_task(after)["bad"]
    assert broken["metrics"]["manifest"]["metadata"] == {"note": "st\ufffdray"}
    assert broken["test_reward"] == by_task(clean)["bad"]["test_reward"]
    assert_good_is_whole(clean, after)
    # Without a log these numbers are all there is.
    shutil.rmtree(trial(job) / "agent")
    broken = by_task(aggregate(job))["bad"]
    assert broken["metrics"]["cost"]["usd"] is None
    assert broken["metrics"]["tokens"]["output"] == document["agent_result"]["n_output_tokens"]


# Names.


def named(folder: Path, name: bytes) -> Path:
    return Path(os.fsdecode(os.fsencode(folder) + b"/" + name))


def make_anonymous(job: Path, task: str) -> None:
    """Take away what names a trial and its job, but for their folders."""
    result = trial(job, task) / "result.json"
    document = json.loads(result.read_text())
    document["trial_name"] = document["config"]["trial_name"] = None
    document["config"]["job_id"] = None
    result.write_text(json.dumps(document))


def write_stray_jobs(root: Path) -> None:
    """Write two jobs, of two trials each, that differ in one byte that is no UTF-8."""
    for byte in (b"\xff", b"\xfe"):
        job = write_job(root, "sample", ["one", "two"])
        for name in JOB_FILES:
            (job / name).write_text("{")
        for task, stray in (("one", b"\xff"), ("two", b"\xfe")):
            make_anonymous(job, task)
            (trial(job, task) / "verifier/ctrf.json").write_text("{")
            trial(job, task).rename(named(job, b"t" + stray))
        job.rename(named(root, b"job" + byte))


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    write_stray_jobs(tmp_path / "jobs")
    document = aggregate(tmp_path / "jobs")
    places = {(t["origin"]["job_name"], t["origin"]["path"]) for t in document["traces"]}
    jobs, trials = ("job\\xfe", "job\\xff"), ("t\\xfe", "t\\xff")
    assert places == {(job, name) for job in jobs for name in trials}
    assert len({trace["trace_id"] for trace in document["traces"]}) == 4
    assert [row["job_name"] for row in document["inputs"]] == list(jobs)
    assert {row["path"] for row in document["problems"]} == {
        *(f"{job}/{name}" for job in jobs for name in JOB_FILES),
        *(f"{job}/{name}/verifier/ctrf.json" for job in jobs for name in trials),
    }


def test_copies_of_trials_whose_names_are_no_utf8(tmp_path: Path) -> None:
    write_stray_jobs(tmp_path / "jobs")
    folder = named(tmp_path, b"copy\xff")
    shutil.copytree(named(tmp_path / "jobs", b"job\xff"), named(folder, b"job\xff"))
    document = aggregate(tmp_path)
    assert len(document["traces"]) == 4
    copies = [row["path"] for row in document["problems"] if row["code"] == "duplicate_trial"]
    assert copies == ["job\\xff/t\\xfe", "job\\xff/t\\xff"]


def test_a_problem_of_a_job_starts_at_the_job_whatever_lies_above(tmp_path: Path) -> None:
    job = write_job(named(tmp_path, b"above\xff"), "sample", ["one"])
    (job / "link").symlink_to("nothing")
    assert {row["path"] for row in aggregate(tmp_path)["problems"]} == {"sample/link"}


def _without_override() -> None:  # pragma: no cover - runs in the child
    # Root reads everything; these two capabilities are what lets it.
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (1, 2):
        libc.prctl(24, capability, 0, 0, 0)


@pytest.mark.parametrize("name", ["", "agent", "verifier", "result.json", LOG])
def test_no_permission(job: Path, clean: dict[str, Any], name: str, tmp_path: Path) -> None:
    locked = trial(job) / name
    mode = locked.stat().st_mode
    locked.chmod(0)
    out = tmp_path / "out.json"
    command = [sys.executable, "-m", "evaltrace", "aggregate", str(job), "-o", str(out), "-q"]
    try:
        subprocess.run(command, check=True, preexec_fn=_without_override)
    finally:
        locked.chmod(mode)
    after = json.loads(out.read_text())
    assert "ermission" in problem(after, "unreadable")["message"]
    assert_good_is_whole(clean, after)
    assert len(after["traces"]) == (1 if name == "" else 2)


def test_broken_link(job: Path, clean: dict[str, Any]) -> None:
    (trial(job) / LOG).unlink()
    (trial(job) / LOG).symlink_to("gone.txt")
    after = aggregate(job)
    assert problem(after, "broken_link")["path"].endswith(LOG)
    assert_good_is_whole(clean, after)
    assert by_task(after)["bad"]["metrics"]["tool_calls"]  # from the sessions


def test_link_out_of_the_job_is_not_followed(
    job: Path, clean: dict[str, Any], tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("do not read me")
    (trial(job) / "verifier/test-stdout.txt").unlink()
    (trial(job) / "verifier/test-stdout.txt").symlink_to(secret)
    after = aggregate(job)
    assert problem(after, "link_outside")["path"].endswith("verifier/test-stdout.txt")
    assert "do not read me" not in json.dumps(after)
    assert_good_is_whole(clean, after)


def test_folder_linked_out_of_the_job_is_not_followed(job: Path, tmp_path: Path) -> None:
    outside = write_job(tmp_path / "elsewhere", "other", ["stranger"])
    (job / "stranger__AAAAAAA").symlink_to(trial(outside, "stranger"))
    after = aggregate(job)
    assert problem(after, "link_outside")["path"] == "sample/stranger__AAAAAAA"
    assert set(by_task(after)) == {"good", "bad"}


def stray(value: Any) -> Any:
    """Mark every text, tool input and tool result of a line."""
    if isinstance(value, list):
        return [stray(item) for item in value]
    if not isinstance(value, dict):
        return value
    marked = {key: stray(item) for key, item in value.items()}
    for key in ("text", "content", "result"):
        if isinstance(marked.get(key), str):
            marked[key] += "STRAY"
    if isinstance(marked.get("input"), dict):
        marked["input"]["note"] = "STRAY"
    return marked


def with_stray_bytes(line: bytes) -> bytes:
    if not line:
        return line
    marked = json.dumps({**stray(json.loads(line)), "unknown": "STRAY"}).encode()
    return marked.replace(b"STRAY", b"\xff\xfe")


def test_invalid_utf8_changes_no_count(job: Path, clean: dict[str, Any]) -> None:
    edit_log(job, lambda lines: [with_stray_bytes(line) for line in lines])
    rows = [row for row in (trial(job) / LOG).read_bytes().split(b"\n") if row]
    # Where nothing but the unknown field is odd, nothing had to be mended.
    mended = sum(row.count(b"\xff\xfe") > 1 for row in rows)
    assert mended >= 4
    after = aggregate(job)
    message = problem(after, "mended_lines")["message"]
    assert message.startswith(f"{mended} of {len(rows)} lines were mended")
    assert "UTF-8" in message
    events = by_task(after)["bad"]["events"]
    mark = "\ufffd\ufffd"
    assert {row["type"] for row in events if mark in (row.get("text") or "")} >= {"message"}
    calls = [row for row in events if row["type"] == "tool_call"]
    assert {row["input"]["note"] for row in calls} == {mark}
    assert any((row["output"] or "").endswith(mark) for row in calls)
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])
    assert_good_is_whole(clean, after)


def test_terminal_escapes_around_a_line(job: Path, clean: dict[str, Any]) -> None:
    edit_log(job, lambda lines: [b"\x1b[0m\x1b]0;title\x07" + line for line in lines])
    after = aggregate(job)
    assert "terminal" in problem(after, "mended_lines")["message"]
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])


def test_terminal_escapes_in_test_output_do_not_reach_a_terminal(job: Path, tmp_path: Path) -> None:
    from evaltrace.files import read_traces
    from evaltrace.reports.terminal import render_trace

    result = trial(job) / "result.json"
    document = json.loads(result.read_text())
    document["exception_info"] = {
        "exception_type": "\x1b[2JAgentTimeoutError",
        "exception_message": "\x1b]52;c;bWFsaWNl\x07stopped",
    }
    result.write_text(json.dumps(document))
    out = tmp_path / "out.json"
    out.write_text(json.dumps(aggregate(job)))
    texts = [render_trace(trace) for trace in read_traces(out)]
    assert any("stopped" in text for text in texts)
    assert not any("\x1b" in text or "\x07" in text for text in texts)


def test_lines_that_are_no_json(job: Path, clean: dict[str, Any]) -> None:
    noise = [b"npm warn deprecated", b"Error: spawn ps ENOENT", b"}", b"null", b"[1]", b"42"]
    edit_log(job, lambda lines: [item for line in lines for item in (*noise, line)])
    after = aggregate(job)
    message = problem(after, "not_json_lines")["message"]
    assert '(first: line 1, "npm warn deprecated")' in message
    # One kind of fault, whatever the noise looks like.
    assert {row["code"] for row in after["problems"]} == {"not_json_lines"}
    rows = [row for row in (trial(job) / LOG).read_bytes().split(b"\n") if row]
    assert message.startswith(f"{sum(row in noise for row in rows)} of {len(rows)} lines")
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"x" * 1_000_000, "\u2026"),  # half a word may be half a secret
        (b"words " * 100_000, "words " * 9 + "\u2026"),
        (b"\x1b[31mError:\x1b[0m\tno\x07 \xff", "Error: no \ufffd"),
        (b'{"type": "user", "mess', '{"type": "user", "mess'),
    ],
)
def test_the_first_line_that_is_no_json_is_shown(job: Path, line: bytes, shown: str) -> None:
    edit_log(job, lambda lines: [line, *lines])
    assert f'(first: line 1, "{shown}")' in problem(aggregate(job), "not_json_lines")["message"]


def test_line_of_50_megabytes(job: Path, clean: dict[str, Any]) -> None:
    huge = b'{"type":"user","message":{"content":"' + b"x" * 50_000_000 + b'"}}'
    edit_log(job, lambda lines: [lines[0], huge, *lines[1:]])
    after = aggregate(job)
    found = problem(after, "line_too_long")
    assert found["path"].endswith(LOG)
    assert "line 2" in found["message"]
    assert "50000" in found["message"]
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])
    assert_good_is_whole(clean, after)


def test_nan_reward(job: Path, clean: dict[str, Any]) -> None:
    result = trial(job) / "result.json"
    document = json.loads(result.read_text())
    document["verifier_result"] = {"rewards": {"reward": float("nan"), "partial": 0.5}}
    result.write_text(json.dumps(document))
    after = aggregate(job)
    problem(after, "reward_not_a_number")
    broken = by_task(after)["bad"]
    assert broken["rewards"] == {"partial": 0.5}
    assert_good_is_whole(clean, after)


ODD = {
    "lone surrogate": b'"odd":"\\ud83d",',
    "30-digit integer": b'"odd":123456789012345678901234567890,',
    "NaN": b'"odd":NaN,',
    "out of range": b'"odd":1e999,',
    "5,000-digit integer": b'"odd":' + b"9" * 5000 + b",",
}


@pytest.mark.parametrize("name", [*ODD, "byte order mark"])
def test_odd_but_good_lines_change_no_count(job: Path, clean: dict[str, Any], name: str) -> None:
    def odd(line: bytes) -> bytes:
        if name == "byte order mark":
            return b"\xef\xbb\xbf" + line if line else line
        return line.replace(b"{", b"{" + ODD[name], 1)

    edit_log(job, lambda lines: [odd(line) for line in lines])
    after = aggregate(job)
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])
    assert_good_is_whole(clean, after)
    if name in ("lone surrogate", "NaN", "byte order mark"):  # what the fast parser refuses
        problem(after, "mended_lines")


def test_lone_surrogate_in_a_kept_text_becomes_a_replacement_character(job: Path) -> None:
    edit_log(
        job, lambda lines: [line.replace(b'"text": "', b'"text": "\\ud83d ', 1) for line in lines]
    )
    document = aggregate(job)
    assert "\ufffd" in json.dumps(by_task(document)["bad"], ensure_ascii=False)


def test_30_digit_integer_in_a_tool_call_is_kept_exactly(job: Path) -> None:
    number = 123456789012345678901234567890
    edit_log(
        job,
        lambda lines: [
            line.replace(b'"input": {', b'"input": {"n":%d,' % number, 1) for line in lines
        ],
    )
    events = by_task(aggregate(job))["bad"]["events"]
    assert number in [(row.get("input") or {}).get("n") for row in events]


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_nesting_of_10000(job: Path, clean: dict[str, Any], opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    bomb = b'{"type":"user","x":' + opening * 10_000 + b"1" + closing * 10_000 + b"}"
    edit_log(job, lambda lines: [lines[0], bomb, *lines[1:]])
    (trial(job) / "verifier/ctrf.json").write_bytes(opening * 10_000 + b"1" + closing * 10_000)
    after = aggregate(job)
    assert "1 of" in problem(after, "too_deep_lines")["message"]
    assert problem(after, "too_deep")["path"].endswith("ctrf.json")
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])
    assert_good_is_whole(clean, after)


def test_deep_but_readable_tool_input_stays_within_bounds(job: Path) -> None:
    deep = b'{"a":' * 300 + b"1" + b"}" * 300
    edit_log(
        job,
        lambda lines: [
            line.replace(b'"input": {', b'"input": {"n":%s,' % deep, 1) for line in lines
        ],
    )
    document = aggregate(job)
    kept = json.dumps(by_task(document)["bad"]["events"])
    assert "nested too deeply" in kept
    assert len(document["traces"]) == 2


def test_file_that_changes_while_it_is_read(
    job: Path, clean: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another process appends between two reads; here the file system does it for us: the
    # reader's own look at it before and after must disagree.
    path = trial(job) / LOG
    grown = path.read_bytes() + b"late line\n"
    real = os.fstat
    seen: list[int] = []

    def fstat(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if status.st_ino == path.stat().st_ino:
            seen.append(descriptor)
            if len(seen) == 1:
                path.write_bytes(grown)
        return status

    monkeypatch.setattr(os, "fstat", fstat)
    after = aggregate(job)
    assert problem(after, "changed_while_read")["path"].endswith(LOG)
    assert counts(by_task(after)["bad"]) == counts(by_task(clean)["bad"])


def test_names_and_values_of_an_unexpected_type(job: Path, clean: dict[str, Any]) -> None:
    result = trial(job) / "result.json"
    document = json.loads(result.read_text())
    document["agent_info"]["version"] = 17
    document["agent_result"]["n_input_tokens"] = "many"
    document["config"]["agent"]["kwargs"] = ["not", "an", "object"]
    document["step_results"] = {"not": "a list"}
    result.write_text(json.dumps(document))
    after = aggregate(job)
    assert "agent_info.version" in problem(after, "mended_json")["message"]
    assert by_task(after)["bad"]["test_reward"] == 1.0
    assert counts(by_task(after)["bad"])[2:] == counts(by_task(clean)["bad"])[2:]


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


def test_job_directory_is_never_written_to(job: Path) -> None:
    before = snapshot(job)
    command = [sys.executable, "-m", "evaltrace", "aggregate", ".", "-o", "-", "-q"]
    run = subprocess.run(command, cwd=job, check=True, capture_output=True)
    assert len(json.loads(run.stdout)["traces"]) == 2
    assert snapshot(job) == before
