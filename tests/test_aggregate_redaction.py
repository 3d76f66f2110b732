"""Secrets of job directories do not get into what is written; everything else is as before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from unidiff import PatchSet

from aggregated import CORPUS, EXAMPLES, the_trial, through
from evaltrace import (
    Cache,
    Options,
    aggregate_jobs,
    compare_paths,
    processes,
    read_traces,
    render_json,
    render_webpage,
)
from evaltrace.aggregate import read_record, read_records, write_aggregation
from evaltrace.aggregate.spooled import open_plan
from evaltrace.cli import main
from evaltrace.errors import EvaltraceError
from evaltrace.plan import plan_aggregation, reading_key, redaction_key
from evaltrace.redact import Place, Redactor, SecretsLeft, find_in_trace
from evaltrace.store import Store
from evaltrace.trace import Event, Trace
from job_dirs import write_job
from planted_secrets import ALNUM, planted, some
from s3_server import put, s3_server, upload
from traces import minimal_trace

REDACTOR = Redactor(key=b"a key for the tests")
TOKEN = "gh" + "p_" + some(Random(5), ALNUM, 36)
OPAQUE = some(Random(6), ALNUM, 32)
"""A value that only the trial's own settings tell to be secret."""
MARKER = REDACTOR.places(TOKEN)[0].marker
PLANTED = planted()[::9]
FIGURES = ("metrics", "code_stats", "status", "test_reward", "rewards", "attempt", "trace_id")


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def to_document(content: bytes) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(content)
    return document


def aggregated(job: Path, **options: Any) -> bytes:
    out = BytesIO()
    write_aggregation(plan_aggregation([job], Options(prices="none", **options)), out)
    return out.getvalue()


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job of which each trial printed secrets, and one got a header with a secret."""
    made = write_job(tmp_path / "jobs", "arm", ["add-flag", "fix-bug"])
    for number, trial in enumerate(sorted(path for path in made.iterdir() if path.is_dir())):
        texts = [one.text for one in PLANTED[number::2]]
        append(trial / "verifier" / "test-stdout.txt", "\n\n".join(["", *texts, TOKEN, OPAQUE]))
        settings = {"mcpServers": {"x": {"headers": {"Authorization": f"Bearer {OPAQUE}"}}}}
        (trial / "agent" / ".claude.json").write_text(json.dumps(settings))
    return made


def assert_gone(text: str) -> None:
    assert TOKEN not in text
    assert OPAQUE not in text
    assert [one.rule for one in PLANTED for part in one.gone if part in text] == []


def content_below(folder: Path) -> str:
    found = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    assert found
    return b"\n".join(found).decode("utf-8", "replace")


def test_planted_secrets_are_in_none_of_the_outputs(job: Path, tmp_path: Path) -> None:
    assert_gone_from(tmp_path / "kept", job)
    for form in ("json", "jsonl", "parquet"):
        out, parts = tmp_path / f"out.{form}", tmp_path / f"parts-{form}"
        aggregate_jobs([job], out, form=form, parts=parts)  # type: ignore[arg-type]
        texts = [msgspec.json.encode(trace).decode() for trace in read_traces(out)]
        assert len(texts) == 2
        assert_gone("\n".join(texts))
        assert_gone(content_below(parts))
    assert_gone((tmp_path / "out.json").read_text())


def assert_gone_from(folder: Path, job: Path) -> None:
    """Look into what a cache keeps."""
    aggregate_jobs([job], folder.with_suffix(".json"), cache=Cache(folder, clock=lambda: 2**62))
    assert_gone(content_below(folder))
    assert b'"redaction":{"state":"on"' in folder.with_suffix(".json").read_bytes()


def test_nor_in_reports_and_stores(job: Path, tmp_path: Path) -> None:
    other = write_job(tmp_path / "jobs", "other", ["add-flag", "fix-bug"], agent="codex")
    append(the_first(other) / "verifier" / "test-stdout.txt", TOKEN)
    comparison = compare_paths([("baseline", job), ("treatment", other)])
    assert_gone(render_json(comparison))
    assert_gone(render_webpage(comparison))
    with Store(tmp_path / "runs.db") as store:
        store.add_all(
            record.trace for record in read_records(plan_aggregation([job])) if record.trace
        )
        assert all(trace.redaction is not None for trace in store.read_all())
    assert_gone(content_below_file(tmp_path / "runs.db"))


def the_first(job: Path) -> Path:
    return min(path for path in job.iterdir() if path.is_dir())


def content_below_file(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def test_a_trace_says_how_many_secrets_of_each_rule_there_were(tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["add-flag"])
    [before] = to_document(aggregated(job))["traces"]
    append(the_trial(job) / "verifier" / "test-stdout.txt", f"\n{TOKEN}\n{TOKEN}\n")
    [after] = to_document(aggregated(job))["traces"]
    assert before["redaction"] == {"state": "on", "rules": REDACTOR.rules_digest, "counts": {}}
    assert after["redaction"]["counts"] == {"github-token": 2}


def test_equal_secrets_have_equal_markers_in_all_trials(job: Path) -> None:
    texts = [trace["test_output"] for trace in to_document(aggregated(job))["traces"]]
    place = Redactor(key=b"a key for the tests").places(TOKEN)[0]
    known = Redactor(key=b"a key for the tests", known=[OPAQUE]).places(OPAQUE)[0]
    assert all(place.marker in text and known.marker in text for text in texts)
    assert known.rule == "known-value"


def test_figures_and_texts_without_secrets_are_the_same(job: Path) -> None:
    for place in (job, EXAMPLES):
        plain, redacted = (to_document(aggregated(place, redact=on)) for on in (False, True))
        for before, after in zip(plain["traces"], redacted["traces"], strict=True):
            assert [before[name] for name in FIGURES] == [after[name] for name in FIGURES]
            for name in ("test_output", "code_changes", "task_instruction"):
                assert (before[name] or "").count("\n") == (after[name] or "").count("\n")
            if not after["redaction"]["counts"]:
                assert before | {"redaction": after["redaction"]} == after
        assert plain["inputs"] == redacted["inputs"]


def test_a_diff_with_secrets_has_the_same_lines(tmp_path: Path) -> None:
    lines = [f'-key = "{TOKEN}"', '+key = "none"', f"+# was {TOKEN}", " same"]
    diff = "\n".join(["--- a/x.py", "+++ b/x.py", "@@ -1,2 +1,3 @@", *lines, ""])
    job = write_job(tmp_path, "arm", ["add-flag"], artifacts={"/tmp/agent.patch": diff})
    before, after = (to_document(aggregated(job, redact=on))["traces"][0] for on in (False, True))
    assert TOKEN in before["code_changes"]
    assert TOKEN not in after["code_changes"]
    assert before["code_stats"] == after["code_stats"]
    counts = [
        [(file.path, file.added, file.removed) for file in PatchSet(trace["code_changes"])]
        for trace in (before, after)
    ]
    assert counts[0] == counts[1] == [("x.py", 2, 1)]


def test_problems_and_jobs_are_redacted_too(tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["add-flag", "fix-bug"])
    link = the_first(job) / "agent" / f"{TOKEN}.json"
    link.symlink_to("nowhere")
    document = to_document(aggregated(job))
    assert "broken_link" in {problem["code"] for problem in document["problems"]}
    assert TOKEN not in json.dumps(document)


def test_what_a_file_says_of_its_jobs_is_redacted(tmp_path: Path) -> None:
    job = write_job(tmp_path, f"arm-{TOKEN}", ["add-flag"])
    [row] = to_document(aggregated(job))["inputs"]
    assert row["job_name"] == f"arm-{MARKER}"


def test_what_a_file_says_is_wrong_in_a_job_is_redacted(tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["add-flag"])
    settings = {"mcpServers": {"x": {"headers": {"Authorization": f"Bearer {OPAQUE}"}}}}
    (the_trial(job) / "agent" / ".mcp.json").write_text(json.dumps(settings))
    for name in (TOKEN, OPAQUE):
        (job / name).symlink_to("nowhere")
    problems = plan_aggregation([job]).problems
    known = REDACTOR.knowing([OPAQUE]).places(OPAQUE)[0].marker
    assert [problem.path for problem in problems] == [f"arm/{known}", f"arm/{MARKER}"]


def test_what_is_said_of_a_trial_without_a_trace_is_redacted(tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["add-flag"])
    plan = plan_aggregation([job])
    [entry] = plan.entries
    settings = {"headers": {"x-api-key": entry.name}}
    (the_trial(job) / "agent" / ".mcp.json").write_text(json.dumps(settings))
    odd = replace(entry, attempt=f"no number: {TOKEN}")  # type: ignore[arg-type]
    record = read_record(odd, plan.options)
    assert record.trace is None
    told = [(problem.code, problem.path) for problem in record.problems]
    assert told == [("invalid_trace", entry.label)]
    assert TOKEN not in str(record.problems)
    assert MARKER in str(record.problems)


def test_what_is_wrong_with_a_remote_job_is_redacted(tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["add-flag"])
    with s3_server():
        url = upload(job, "arm")
        put("evals", {f"arm/{TOKEN}\\odd": b""})
        with open_plan([url]) as plan:
            [problem] = plan.problems
    assert problem.code == "unusable_name"
    assert TOKEN not in str(problem)
    assert MARKER in problem.path


def test_settings_that_cannot_be_read_are_a_problem(tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["add-flag"])
    with (the_trial(job) / "agent" / "auth.json").open("wb") as file:
        file.truncate(5 * 2**20)
    [trace] = to_document(aggregated(job))["traces"]
    assert [problem["code"] for problem in trace["problems"]] == ["too_large"]


def test_all_settings_of_a_trial_together_are_bounded(tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["add-flag"])
    for number in range(6):
        folder = the_trial(job) / "agent" / f"part-{number}"
        folder.mkdir()
        (folder / ".env").write_bytes(b"#" * (3 * 2**20))
    [trace] = to_document(aggregated(job))["traces"]
    assert [problem["path"][-len("part-5/.env") :] for problem in trace["problems"]] == [
        "part-5/.env"
    ]


# Engines, caches, keys.


def test_engines_and_caches_give_the_same_bytes(job: Path, tmp_path: Path) -> None:
    serial = aggregated(job)
    plan = plan_aggregation([job], Options(prices="none"))
    with processes(2) as map:
        assert through(tmp_path / "parts", plan, map) == serial
    for _ in range(2):
        cache = Cache(tmp_path / "cache", clock=lambda: 2**62)
        out = tmp_path / "out.json"
        aggregate_jobs([job], out, options=Options(prices="none"), cache=cache)
        assert out.read_bytes() == serial


def test_other_rules_another_key_and_none_are_read_anew(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unread(redact: bool | Redactor) -> int:
        cache = Cache(tmp_path / "cache", clock=lambda: 2**62)
        plan = plan_aggregation([job], Options(prices="none", redact=redact), cache)
        number = len(plan.unread)
        write_aggregation(plan, BytesIO())
        return number

    assert [unread(True), unread(True)] == [2, 0]
    assert [unread(False), unread(False)] == [2, 0]
    assert unread(Redactor(key=b"a key for the tests", personal=True)) == 2
    assert unread(Redactor(key=b"a key for the tests", known=["another-value-1"])) == 2
    monkeypatch.setenv("EVALTRACE_REDACTION_KEY", "another key for the tests")
    assert unread(True) == 2


def test_names_of_what_is_kept_depend_on_the_key_and_do_not_tell_it() -> None:
    first, second = (Options(redact=Redactor(key=key)) for key in (b"first", b"second"))
    assert redaction_key(first) != redaction_key(second)
    assert reading_key(first) != reading_key(second)
    assert redaction_key(first) == redaction_key(Options(redact=Redactor(key=b"first")))
    assert redaction_key(Options(redact=False)) == "off"


def test_a_key_that_cannot_be_kept_is_told_and_nothing_is_cached(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVALTRACE_REDACTION_KEY")
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    plan = plan_aggregation([job], cache=Cache(tmp_path / "cache"))
    assert [note.code for note in plan.notes] == ["redaction_key_not_kept"]
    assert plan.cache is None
    assert_gone(msgspec.json.encode([record.trace for record in read_records(plan)]).decode())


# A secret that outlives redaction.


class Careless(Redactor):
    """Takes one secret at a time out of a text, and so does not get to the end of many."""

    def places(self, text: str) -> list[Place]:
        return super().places(text)[:1]

    def __reduce__(self) -> tuple[object, ...]:
        return _careless, (self.key,)


def _careless(key: bytes) -> Careless:
    return Careless(key=key)


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    job = write_job(tmp_path / "jobs", "arm", ["add-flag", "fix-bug"])
    append(the_first(job) / "verifier" / "test-stdout.txt", f"\n{TOKEN} x" * 30)
    return job


@pytest.mark.parametrize("form", ["json", "jsonl", "parquet"])
def test_a_secret_that_is_left_ends_the_run_without_a_file(
    spoiled: Path, tmp_path: Path, form: Any
) -> None:
    out = tmp_path / "out" / f"out.{form}"
    options = Options(redact=Careless(key=b"a key for the tests"))
    with pytest.raises(SecretsLeft, match=r"github-token.*add-flag.*: test_output") as raised:
        aggregate_jobs([spoiled], out, options=options, form=form)
    assert TOKEN not in str(raised.value)
    assert not out.exists()
    assert TOKEN not in "".join(content(tmp_path / "out"))


def content(folder: Path) -> Iterator[str]:
    yield from (path.read_text("utf-8", "replace") for path in folder.rglob("*") if path.is_file())


def test_a_secret_that_is_left_in_a_worker_ends_the_run_too(spoiled: Path, tmp_path: Path) -> None:
    options = Options(redact=Careless(key=b"a key for the tests"))
    out, parts = tmp_path / "out.json", tmp_path / "parts"
    with processes(2) as map, pytest.raises(EvaltraceError, match="github-token"):
        aggregate_jobs([spoiled], out, options=options, map=map, parts=parts)
    assert not out.exists()
    assert TOKEN not in "".join(content(parts))


# The commands.


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_no_redact_says_so_loudly(job: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = run("aggregate", job, "-o", out, "--no-redact", "-q")
    assert done.exit_code == 0
    assert "redaction: off" in done.stderr
    document = to_document(out.read_bytes())
    off = {"state": "off", "rules": None, "counts": None}
    assert [trace["redaction"] for trace in document["traces"]] == [off, off]
    assert TOKEN in out.read_text()


def test_rules_and_settings_of_ones_own_count(job: Path, tmp_path: Path) -> None:
    rule, settings = tmp_path / "rules.toml", tmp_path / "config.toml"
    rule.write_text('[[rules]]\nname = "acme-key"\npattern = "acme_[a-z0-9]{8,20}"\n')
    settings.write_text('api_key = "q9w8e7r6t5z4"\n')
    append(
        the_first(job) / "verifier" / "test-stdout.txt", "\nacme_q1w2e3r4t5 q9w8e7r6t5z4 a@b.com\n"
    )
    out = tmp_path / "out.json"
    chosen = ["--rule", rule, "--config", settings, "--personal", "--workers", "2"]
    assert run("aggregate", job, "-o", out, *chosen, "-q").exit_code == 0
    counts = to_document(out.read_bytes())["traces"][0]["redaction"]["counts"]
    assert counts["acme-key"] == counts["email"] == 1
    assert "q9w8e7r6t5z4" not in out.read_text()
    assert run("aggregate", job, "--no-redact", "--personal").exit_code == 2


def a_stored_trace(place: Path) -> Trace:
    events = [Event(id="1", type="message", text=f"use {TOKEN}")]
    trace = minimal_trace(events=events)
    with Store(place) as store:
        store.add(trace)
    return trace


def test_exports_of_a_store_are_redacted(tmp_path: Path) -> None:
    place = tmp_path / "runs.db"
    trace = a_stored_trace(place)
    export = ["store", "export", "--store", place, "-o"]
    assert run(*export, tmp_path / "on.json").exit_code == 0
    [after] = read_traces(tmp_path / "on.json")
    assert after.redaction is not None
    assert after.redaction.counts == {"github-token": 1}
    done = run(*export, tmp_path / "off.json", "--no-redact")
    assert "redaction: off" in done.stderr
    [plain] = read_traces(tmp_path / "off.json")
    assert plain.events == trace.events


def test_exports_with_content_are_redacted(tmp_path: Path) -> None:
    place = tmp_path / "runs.db"
    a_stored_trace(place)
    export = ["export", "otlp", place, "--content", "-o"]
    assert run(*export, tmp_path / "on.jsonl").exit_code == 0
    assert run(*export, tmp_path / "off.jsonl", "--no-redact").exit_code == 0
    assert TOKEN not in (tmp_path / "on.jsonl").read_text()
    assert "[redacted:github-token:" in (tmp_path / "on.jsonl").read_text()
    assert TOKEN in (tmp_path / "off.jsonl").read_text()


def test_what_is_redacted_already_stays_as_it_is(job: Path, tmp_path: Path) -> None:
    assert run("aggregate", job, "-o", tmp_path / "one.json", "-q").exit_code == 0
    assert run("redact", tmp_path / "one.json", "-o", tmp_path / "two.json").exit_code == 0
    one, two = (to_document((tmp_path / name).read_bytes()) for name in ("one.json", "two.json"))
    assert one == two


# Real jobs.


def test_nothing_that_looks_like_a_secret_is_left_of_real_jobs() -> None:
    if not CORPUS.is_dir():
        pytest.skip("there are no real jobs")
    job = CORPUS / "tool-ab-2026-08"
    with closing(read_records(plan_aggregation([job]))) as records:  # type: ignore[type-var]
        traces = [record.trace for record in records if record.trace]
    assert sum(sum((trace.redaction.counts or {}).values()) for trace in traces if trace.redaction)
    assert [finding for trace in traces for finding in find_in_trace(REDACTOR, trace)] == []
