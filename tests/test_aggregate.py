"""Finding, choosing, ordering, numbering and writing: what `aggregate` promises."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path

import pytest

from aggregated import aggregate, aggregate_bytes, by_task, codes
from evaltrace.aggregate import aggregate_jobs, check_output, output_name
from evaltrace.errors import NothingFound, OutputFailure, StrictFailure, UnknownTask, UnreadablePath
from evaltrace.plan import Entry, Options, plan_aggregation
from evaltrace.schema import violations
from job_dirs import CODESEARCH, write_job


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    """Two arms: the same three tasks, twice each, the treatment with an MCP server."""
    folder = tmp_path / "bench" / "jobs"
    tasks = ["acme/add-flag", "fix-bug", {"task": "slow", "reward": 0.0}] * 2
    write_job(folder, "baseline", tasks)
    write_job(folder, "with-mcp", tasks, mcp_servers=[CODESEARCH])
    return folder


def ids(document: dict) -> list[str]:
    return [trace["task_id"] for trace in document["traces"]]


def test_path_may_be_a_trial_a_job_a_folder_of_jobs_or_a_tree(jobs: Path) -> None:
    trial = next((jobs / "baseline").glob("fix-bug__*"))
    assert ids(aggregate(trial)) == [trial.name]
    assert len(ids(aggregate(jobs / "baseline"))) == 6
    assert len(ids(aggregate(jobs))) == 12
    assert ids(aggregate(jobs.parents[1])) == ids(aggregate(jobs))


def test_a_trial_named_alone_keeps_its_identity(jobs: Path) -> None:
    trial = next((jobs / "baseline").glob("slow__*"))
    alone = aggregate(trial)["traces"][0]
    within = next(t for t in aggregate(jobs)["traces"] if t["task_id"] == trial.name)
    assert alone["trace_id"] == within["trace_id"]
    assert alone["origin"] == within["origin"]


def test_kinds_are_recognised_by_content_not_by_name(jobs: Path) -> None:
    job = jobs / "baseline"
    for number, trial in enumerate(sorted(job.glob("*__*"))):
        trial.rename(job / f"renamed-{number}")
    assert len(ids(aggregate(jobs.rename(jobs.parent / "anything")))) == 12


def test_json_files_inside_a_trial_are_not_taken_for_trials(jobs: Path) -> None:
    before = ids(aggregate(jobs))
    trial = next((jobs / "baseline").glob("slow__*"))
    inner = trial / "artifacts" / "app" / "nested"
    inner.mkdir(parents=True)
    for name in ("config.json", "result.json"):
        shutil.copy(trial / name, inner / name)
    assert ids(aggregate(jobs)) == before


def test_a_foreign_config_json_is_no_job(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "config.json").write_text('{"tasks": [{"label": "build"}]}')
    with pytest.raises(NothingFound) as failure:
        plan_aggregation([tmp_path])
    assert "job(s)" not in str(failure.value)


def test_hidden_folders_are_left_out(jobs: Path) -> None:
    sources = jobs / "baseline" / ".sources" / "1234"
    sources.mkdir(parents=True)
    shutil.copytree(next((jobs / "with-mcp").glob("slow__*")), sources / "slow__copy")
    assert len(ids(aggregate(jobs))) == 12


def test_same_bytes_in_any_order_of_arguments_and_any_place(jobs: Path, tmp_path: Path) -> None:
    arms = [jobs / "baseline", jobs / "with-mcp"]
    whole = aggregate_bytes(*arms)
    assert aggregate_bytes(*reversed(arms)) == whole
    assert aggregate_bytes(arms[1], arms[0], arms[1]) == whole
    assert aggregate_bytes(jobs) == whole
    moved = tmp_path / "elsewhere" / "deep"
    shutil.copytree(jobs, moved)
    assert aggregate_bytes(moved) == whole
    assert str(tmp_path).encode() not in whole


def test_same_bytes_whatever_the_engine_does_first(jobs: Path, tmp_path: Path) -> None:
    def backwards(work, shards):
        return [work(shard) for shard in reversed(shards)]

    out = tmp_path / "out.json"
    aggregate_jobs([jobs], out, map=backwards, options=Options(prices="none"))
    assert out.read_bytes() == aggregate_bytes(jobs)


def test_entries_can_be_sent_to_another_process(jobs: Path) -> None:
    import pickle

    plan = plan_aggregation([jobs])
    assert pickle.loads(pickle.dumps(plan.entries)) == plan.entries


def test_order_is_task_then_job_then_attempt(jobs: Path) -> None:
    rows = [
        (trace["task"]["name"], trace["origin"]["job_name"], trace["attempt"])
        for trace in aggregate(jobs)["traces"]
    ]
    assert rows == sorted(rows)
    assert [row[2] for row in rows if row[0] == "slow"] == [1, 2, 1, 2]


def test_attempts_follow_start_time_within_task_and_configuration(tmp_path: Path) -> None:
    early, late = datetime(2026, 1, 5, 9), datetime(2026, 1, 5, 11)  # noqa: DTZ001
    specs = [
        {"task": "t", "started": late, "suffix": "AAAAAAA"},
        {"task": "t", "started": early, "suffix": "BBBBBBB"},
        {"task": "t", "started": late, "suffix": "CCCCCCC", "mcp_servers": [CODESEARCH]},
    ]
    job = write_job(tmp_path, "job", specs)
    rows = {trace["task_id"][-7:]: trace["attempt"] for trace in aggregate(job)["traces"]}
    assert rows == {"BBBBBBB": 1, "AAAAAAA": 2, "CCCCCCC": 1}


@pytest.mark.parametrize("pattern", ["add-flag", "acme/add-flag", "add-*", "acme/*"])
def test_task_by_short_name_full_name_or_glob(jobs: Path, pattern: str) -> None:
    document = aggregate(jobs, tasks=(pattern,))
    assert {trace["task"]["name"] for trace in document["traces"]} == {"add-flag"}
    assert len(document["traces"]) == 4
    assert [row["selected"] for row in document["inputs"]] == [2, 2]
    assert [row["found"] for row in document["inputs"]] == [6, 6]


def test_task_by_trial_name(jobs: Path) -> None:
    name = next((jobs / "baseline").glob("slow__*")).name
    assert ids(aggregate(jobs, tasks=(name,))) == [name]


def test_choosing_an_attempt_does_not_make_it_the_first(jobs: Path) -> None:
    whole = {t["task_id"]: t["attempt"] for t in aggregate(jobs / "baseline")["traces"]}
    for name, attempt in whole.items():
        by_name = aggregate(jobs, tasks=(name,))["traces"]
        by_path = aggregate(jobs / "baseline" / name)["traces"]
        assert [t["attempt"] for t in [*by_name, *by_path]] == [attempt, attempt]
    assert set(whole.values()) == {1, 2}


def test_trials_named_one_by_one_are_those_of_the_job(jobs: Path) -> None:
    trials = sorted((jobs / "baseline").glob("*__*"))
    document = aggregate(*trials)
    assert document["traces"] == aggregate(jobs / "baseline")["traces"]
    assert [row["found"] for row in document["inputs"]] == [6]
    two = aggregate(trials[0], trials[3])
    assert [(row["found"], row["selected"]) for row in two["inputs"]] == [(6, 2)]


def test_a_job_reached_through_a_link_counts_once(jobs: Path) -> None:
    whole = aggregate_bytes(jobs)
    (jobs / "latest").symlink_to("baseline")
    (jobs / "baseline" / "again").symlink_to(next((jobs / "baseline").glob("slow__*")).name)
    assert aggregate_bytes(jobs) == whole
    assert aggregate_bytes(jobs, jobs / "latest") == whole


def test_selection_does_not_renumber(jobs: Path) -> None:
    chosen = aggregate(jobs, tasks=("slow",))["traces"]
    whole = [t for t in aggregate(jobs)["traces"] if t["task"]["name"] == "slow"]
    assert chosen == whole


def test_unknown_task_names_the_nearest_or_what_there_is(jobs: Path) -> None:
    with pytest.raises(UnknownTask, match=r"Did you mean add-flag\?"):
        aggregate(jobs, tasks=("add-flagg",))
    with pytest.raises(UnknownTask, match=r"Tasks here: add-flag, fix-bug, slow\."):
        aggregate(jobs, tasks=("quite-different",))


def test_nothing_found_says_what_was_there(tmp_path: Path) -> None:
    write_job(tmp_path, "empty", [], plan=["one", "two"])
    with pytest.raises(NothingFound, match=r"planned 2 trial"):
        aggregate(tmp_path)


def test_nothing_found_names_the_problem_that_stood_in_the_way(jobs: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "job").symlink_to(jobs / "baseline")
    with pytest.raises(NothingFound, match=r"links/job: symbolic link out of the job"):
        aggregate(tmp_path / "links")


def test_output_may_not_lie_in_any_job(jobs: Path, tmp_path: Path) -> None:
    plan = plan_aggregation([jobs / "baseline"])
    trial = next((jobs / "with-mcp").glob("slow__*"))
    for place in (jobs / "baseline/x.json", jobs / "with-mcp/new/x.json", trial / "agent/x.json"):
        with pytest.raises(OutputFailure, match="inside the job"):
            check_output(plan, place)
    check_output(plan, tmp_path / "x.json")
    check_output(plan, jobs / "x.json")


def test_a_run_that_loses_every_trial_leaves_the_earlier_output(
    jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaltrace.readers import harbor

    out = tmp_path / "out.json"
    out.write_text("earlier")

    def failing(files, **options):
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(harbor, "read_trace", failing)
    with pytest.raises(NothingFound, match="unforeseen"):
        aggregate_jobs([jobs], out)
    assert out.read_text() == "earlier"


@pytest.mark.parametrize("name", ["missing", "file.txt", "nul\0byte"])
def test_unreadable_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(UnreadablePath) as failure:
        aggregate(tmp_path / name)
    assert failure.value.hint


def test_a_copy_of_a_trial_counts_once_and_is_reported(jobs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "backup" / "baseline"
    shutil.copytree(jobs / "baseline", copy)
    document = aggregate(jobs, copy)
    assert len(ids(document)) == 12
    assert codes(document) == {"duplicate_trial"}


def test_arm_and_threshold(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", [{"task": "half", "reward": 0.5}, {"task": "no", "reward": 0}])
    document = aggregate(job, arm="baseline", pass_threshold=0.5)
    assert {trace["arm"] for trace in document["traces"]} == {"baseline"}
    assert [trace["status"] for trace in document["traces"]] == ["pass", "fail"]
    assert by_task(aggregate(job))["half"]["status"] == "partial"


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan"), float("inf")])
def test_a_threshold_that_would_pass_failures_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Options(pass_threshold=threshold)


@pytest.mark.parametrize("arm", ["", " ", "two\nlines", "a\x1b[31mb"])
def test_an_arm_is_a_printable_label(arm: str) -> None:
    with pytest.raises(ValueError, match="label"):
        Options(arm=arm)


def test_without_events_all_else_is_the_same(jobs: Path) -> None:
    full, lean = aggregate(jobs), aggregate(jobs, events=False)
    assert all(trace["events"] for trace in full["traces"])
    for one, other in zip(full["traces"], lean["traces"], strict=True):
        assert other["events"] is None
        same = {"events", "sources", "truncated"}
        assert {k: v for k, v in one.items() if k not in same} == {
            k: v for k, v in other.items() if k not in same
        }


def test_planned_but_absent_trials_are_counted(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["one", "two"], plan=["three", "four", "five"], finished=False)
    row = aggregate(job)["inputs"][0]
    assert (row["planned"], row["found"], row["absent"]) == (5, 2, 3)


def test_jsonl_has_the_traces_of_the_json(jobs: Path) -> None:
    lines = aggregate_bytes(jobs, form="jsonl").splitlines()
    assert [json.loads(line) for line in lines] == aggregate(jobs)["traces"]


def test_output_validates_and_is_one_trace_a_line(jobs: Path) -> None:
    data = aggregate_bytes(jobs)
    assert violations(json.loads(data), "traces") == []
    lines = data.splitlines()
    assert len(lines) == 1 + 12 + 1
    assert all(json.loads(line.rstrip(b",")) for line in lines[1:-1])


def test_strict_ends_at_the_first_problem(jobs: Path) -> None:
    (next((jobs / "baseline").glob("slow__*")) / "result.json").write_text("")
    with pytest.raises(StrictFailure, match="empty_json"):
        aggregate(jobs, strict=True)


def test_a_trace_that_does_not_validate_is_reported_and_kept_out(
    jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No input makes an invalid trace, so a reader that does is put in for one.
    from evaltrace.readers import harbor

    real = harbor.read_trace

    def wrong(files, **options):
        trace = real(files, **options)
        if files.task_name == "slow":
            trace.status = "unheard-of"
        return trace

    monkeypatch.setattr(harbor, "read_trace", wrong)
    document = aggregate(jobs)
    assert set(by_task(document)) == {"add-flag", "fix-bug"}
    problems = [row for row in document["problems"] if row["code"] == "invalid_trace"]
    assert len(problems) == 4
    assert "status" in problems[0]["message"]


def test_a_lone_surrogate_that_a_reader_lets_through_is_replaced(
    jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaltrace.readers import harbor

    real = harbor.read_trace

    def careless(files, **options):
        trace = real(files, **options)
        trace.sources["odd"] = "a\ud83d"
        trace.events = trace.events * 500
        return trace

    monkeypatch.setattr(harbor, "read_trace", careless)
    document = aggregate(jobs / "baseline", tasks=("slow",))
    assert [trace["sources"]["odd"] for trace in document["traces"]] == ["a?", "a?"]
    assert min(len(trace["events"]) for trace in document["traces"]) > 2000


def test_a_reader_that_fails_costs_its_own_trial_only(
    jobs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from evaltrace.readers import harbor

    real = harbor.read_trace

    def failing(files, **options):
        if files.task_name == "slow":
            raise ZeroDivisionError("unforeseen")
        return real(files, **options)

    monkeypatch.setattr(harbor, "read_trace", failing)
    document = aggregate(jobs)
    assert len(document["traces"]) == 8
    assert codes(document) == {"reader_failed"}
    assert all("unforeseen" in row["message"] for row in document["problems"])


def test_aggregate_jobs_writes_the_file_and_sums_up(jobs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    summary = aggregate_jobs([jobs], out)
    assert summary.statuses == {"pass": 8, "fail": 4}
    assert (summary.planned, summary.found, summary.traces) == (12, 12, 12)
    assert summary.mean_reward == pytest.approx(8 / 12)
    assert out.read_bytes() == aggregate_bytes(jobs)


def test_default_name_is_the_arm_else_the_job_else_the_paths(jobs: Path) -> None:
    both = plan_aggregation([jobs])
    one = plan_aggregation([jobs / "baseline"])
    named = plan_aggregation([jobs], Options(arm="my arm"))
    hostile = plan_aggregation([jobs], Options(arm="../../etc/passwd"))
    assert output_name(named, [jobs]) == "my-arm"
    assert output_name(one, [jobs / "baseline"]) == "baseline"
    assert output_name(both, [jobs]) == "jobs"
    assert output_name(both, [jobs / "baseline", jobs / "with-mcp"]) == "baseline+with-mcp"
    assert output_name(hostile, [jobs]) == "etc-passwd"


def test_options_reach_the_engine(jobs: Path, tmp_path: Path) -> None:
    seen: list[Entry] = []

    def engine(work, shards):
        for shard in shards:
            seen.extend(shard.entries)
            yield work(shard)

    out = tmp_path / "out.json"
    aggregate_jobs([jobs], out, map=engine, options=Options(events=False))
    traces = json.loads(out.read_text())["traces"]
    assert [trace["events"] for trace in traces] == [None] * len(seen) == [None] * 12
