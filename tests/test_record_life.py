"""The life cycles that our user describes, recorded as written there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import UUID

import pytest

from evaltrace import (
    Trigger,
    end_execution_trace,
    log_trace_event,
    read_traces,
    recording,
    start_execution_trace,
)
from evaltrace.record import RecordingWarning
from recorders import DAY, METRICS, SetClock, as_json, record_day, written


def test_a_day_of_an_agent_becomes_a_trace(tmp_path: Path) -> None:
    record_day(tmp_path, METRICS)
    path = tmp_path / "trace_code_developer_implement_priority_2025-10-18T10-30-00.json"
    trace = json.loads(path.read_bytes())
    assert written(tmp_path) == [trace]
    assert (trace["origin"]["started_at"], trace["origin"]["finished_at"]) == (
        "2025-10-18T10:30:00Z",
        "2025-10-18T11:57:03Z",
    )
    assert trace["agent_config"]["agent"]["name"] == "code_developer"
    assert trace["context"] == {"priority": "PRIORITY 10", "priority_name": "User Authentication"}
    assert (trace["status"], trace["test_reward"]) == ("pass", 1.0)
    manifest = trace["metrics"]["manifest"]
    assert (manifest["duration_seconds"], manifest["duration_human"]) == (5223, "1h 27m 03s")
    assert {key: manifest[key] for key in METRICS} == METRICS
    assert trace["metrics"]["cost"] == {"usd": 0.23, "source": "reported", "price_table": None}
    assert trace["metrics"]["tokens"]["total"] == 45000
    assert trace["metrics"]["turns"] == 12


def test_events_keep_their_types_data_times_and_order(tmp_path: Path) -> None:
    trace = as_json(record_day(tmp_path, None))
    assert [(event["type"], event["data"]) for event in trace["events"]] == [
        (event_type, data) for _, event_type, data in DAY
    ]
    assert [event["started_at"] for event in trace["events"]] == [
        f"2025-10-18T{hours:02}:{minutes:02}:{seconds:02}Z"
        for (hours, minutes, seconds), _, _ in DAY
    ]
    assert [event["id"] for event in trace["events"]] == [str(n + 1) for n in range(len(DAY))]


def test_metrics_follow_from_the_events_where_none_are_given(tmp_path: Path) -> None:
    manifest = as_json(record_day(tmp_path, None))["metrics"]["manifest"]
    found = {key: value for key, value in manifest.items() if key.startswith(("total", "tests"))}
    assert found == {
        "total_files_read": 2,
        "total_files_modified": 2,
        "total_tokens_consumed": 10143,
        "total_llm_calls": None,
        "total_cost_usd": None,
        "total_lines_added": 230,
        "total_test_runs": 2,
        "total_tests": 23,
        "tests_passing": 23,
        "tests_failing": 0,
        "total_commits": 1,
        "total_skills_invoked": 1,
    }


def test_bottlenecks_have_their_share_of_the_day(tmp_path: Path) -> None:
    trace = as_json(record_day(tmp_path, None))
    assert trace["bottlenecks"] == [
        {"stage": "code_discovery", "time_spent_s": 162.0, "percentage_of_total": 3.1}
    ]


def test_same_events_same_trace(tmp_path: Path) -> None:
    first, second = (as_json(record_day(tmp_path / name, None)) for name in ("first", "second"))
    for trace in (first, second):
        UUID(trace.pop("trace_id"))
        assert re.fullmatch(r"implement_priority__[0-9a-f]{8}", trace.pop("task_id"))
    assert first == second


def test_two_runs_of_one_second_have_two_files(tmp_path: Path) -> None:
    clock = SetClock()
    ids = [start_execution_trace("a", "t", folder=tmp_path, clock=clock) for _ in range(3)]
    for trace_id in reversed(ids):
        end_execution_trace(trace_id, "success")
    stem = "trace_a_t_2025-10-18T10-30-00"
    names = [f"{stem}.json", f"{stem}-2.json", f"{stem}-3.json"]
    assert sorted(path.name for path in tmp_path.glob("trace_*")) == sorted(names)
    assert [json.loads((tmp_path / name).read_bytes())["trace_id"] for name in names] == ids


def test_names_that_are_no_file_names_are_recorded_as_they_are(tmp_path: Path) -> None:
    run = recording("../../etc/passwd\0", "a b/c\n" * 100, folder=tmp_path)
    trace = as_json(run.end("success"))
    assert trace["agent_config"]["agent"]["name"] == "../../etc/passwd\0"
    assert [path.parent for path in tmp_path.rglob("trace_*.json")] == [tmp_path]


def test_folder_is_that_of_the_environment_else_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALTRACE_RECORDINGS", raising=False)
    recording("a", "usual").end()
    monkeypatch.setenv("EVALTRACE_RECORDINGS", str(tmp_path / "named"))
    recording("a", "named").end()
    assert [t["task"]["name"] for t in written(tmp_path / "artifacts" / "recordings")] == ["usual"]
    assert [t["task"]["name"] for t in written(tmp_path / "named")] == ["named"]


def test_the_file_is_read_like_any_other_traces(tmp_path: Path) -> None:
    trace = record_day(tmp_path, METRICS)
    (path,) = tmp_path.glob("*.json")
    assert list(read_traces(path)) == [trace]


# The orchestrator's pipeline.


def test_a_pipeline_of_two_agents(tmp_path: Path) -> None:
    trigger = Trigger(source="jira_webhook", issue_key="PROJ-123", intent_type="review_code")
    with recording("orchestrator", "development_flow", trigger=trigger, folder=tmp_path) as run:
        with run.step("development_agent", "Write the code") as step:
            step.summary("3 files")
        with run.step("code_review_agent", "Review code and generate feedback") as step:
            step.summary("Decision: APPROVE")
    trace = as_json(run.trace)
    assert (trace["status"], trace["test_reward"], trace["error"]) == ("pass", 1.0, None)
    assert trace["metrics"]["manifest"]["pipeline_status"] == "success"
    plan = trace["metrics"]["manifest"]["execution_plan_summary"]
    assert plan == "development_agent -> code_review_agent"
    assert trace["trigger"].pop("timestamp") == trace["origin"]["started_at"]
    assert trace["trigger"] == {
        "source": "jira_webhook",
        "issue_key": "PROJ-123",
        "issue_status": None,
        "intent_type": "review_code",
    }
    last = trace["events"][1]
    assert (last["type"], last["name"], last["status"]) == ("step", "code_review_agent", "success")
    assert last["output"] == "Decision: APPROVE"
    task = "Review code and generate feedback"
    assert last["data"] == {"step_number": 2, "agent_task": task}


def test_a_blocked_review_makes_the_pipeline_partial(tmp_path: Path) -> None:
    with recording("orchestrator", "development_flow", folder=tmp_path) as run:
        with run.step("development_agent", "Write the code"):
            pass
        with run.step("code_review_agent", "Review the code") as step:
            step.block("Code review blocked")
        run.end(error="Pipeline stopped at code review")
    trace = as_json(run.trace)
    assert [event["status"] for event in trace["events"]] == ["success", "blocked"]
    assert trace["events"][1]["error"] == "Code review blocked"
    assert (trace["status"], trace["test_reward"]) == ("partial", 0.5)
    assert trace["metrics"]["manifest"]["pipeline_status"] == "partial"
    assert trace["error"] == {
        "type": "failed",
        "message": "Pipeline stopped at code review",
        "cause": "agent_failed",
        "phase": None,
        "reward_valid": True,
        "evidence": [],
    }


@pytest.mark.parametrize(
    ("steps", "pipeline", "status", "reward"),
    [
        ([], "success", "pass", 1.0),
        ([True, True], "success", "pass", 1.0),
        ([True, True, False], "partial", "partial", 0.666667),
        ([False], "failed", "fail", 0.0),
        ([False, True], "failed", "fail", 0.0),
    ],
)
def test_state_of_the_pipeline_follows_from_its_steps(
    tmp_path: Path, steps: list[bool], pipeline: str, status: str, reward: float
) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        for number, good in enumerate(steps):
            with run.step(f"agent {number}") as step:
                if not good:
                    step.fail("no")
    trace = as_json(run.trace)
    assert trace["metrics"]["manifest"]["pipeline_status"] == pipeline
    assert (trace["status"], trace["test_reward"]) == (status, reward)


@pytest.mark.parametrize(
    ("outcome", "status", "reward"),
    [
        ("success", "pass", 1.0),
        ("failure", "fail", 0.0),
        ("partial", "partial", 0.5),
        ("cancelled", "cancelled", None),
        ("FAILED ", "fail", 0.0),
    ],
)
def test_every_outcome_has_its_status_and_reward(
    tmp_path: Path, outcome: str, status: str, reward: float | None
) -> None:
    trace_id = start_execution_trace("a", "t", folder=tmp_path)
    trace = as_json(end_execution_trace(trace_id, outcome))
    assert (trace["status"], trace["test_reward"]) == (status, reward)
    assert trace["rewards"] == (None if reward is None else {"outcome": reward})
    assert (trace["error"] is not None) == (outcome == "cancelled")


def test_an_outcome_of_no_meaning_is_a_problem(tmp_path: Path) -> None:
    trace = as_json(recording("a", "t", folder=tmp_path).end("splendid"))
    assert trace["status"] == "pass"
    assert [problem["code"] for problem in trace["problems"]] == ["outcome_unknown"]


def test_a_reward_that_is_given_comes_before_that_of_the_outcome(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        run.reward(0.25)
        run.reward(3, "lines")
    trace = as_json(run.trace)
    assert (trace["test_reward"], trace["rewards"]) == (0.25, {"outcome": 0.25, "lines": 3.0})


def test_a_failure_after_the_steps_is_one_step_more_and_not_a_missing_reward(
    tmp_path: Path,
) -> None:
    run = recording("a", "t", folder=tmp_path)
    with run.step("first"):
        pass
    run.end(error=ValueError("no"))
    trace = as_json(run.trace)
    assert (trace["status"], trace["test_reward"]) == ("partial", 0.5)


def test_an_exception_fails_the_step_and_the_run_and_goes_on(tmp_path: Path) -> None:
    failure = ValueError("no such file")
    with pytest.raises(ValueError, match="no such file") as caught:  # noqa: PT012, SIM117
        with recording("a", "t", folder=tmp_path) as run:
            with run.step("outer"), run.step("inner"):
                raise failure
    assert caught.value is failure
    trace = as_json(run.trace)
    assert [(e["name"], e["status"], e["error"]) for e in trace["events"]] == [
        ("outer", "fail", "no such file"),
        ("inner", "fail", "no such file"),
    ]
    assert (trace["error"]["type"], trace["error"]["message"]) == ("ValueError", "no such file")
    assert (trace["status"], trace["test_reward"]) == ("fail", 0.0)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_what_stops_the_program_cancels_the_run(tmp_path: Path, kind: type[BaseException]) -> None:
    with pytest.raises(kind), recording("a", "t", folder=tmp_path) as run, run.step("s"):
        raise kind(3)
    trace = as_json(run.trace)
    assert (trace["status"], trace["test_reward"]) == ("cancelled", None)
    assert trace["error"]["cause"] == "cancelled"
    assert trace["events"][0]["status"] == "cancelled"


def test_a_program_that_exits_with_0_has_succeeded(tmp_path: Path) -> None:
    with pytest.raises(SystemExit), recording("a", "t", folder=tmp_path) as run, run.step("s"):
        raise SystemExit(0)
    assert as_json(run.trace)["status"] == "pass"


def test_events_belong_to_the_innermost_step(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        run.event("before")
        with run.step("outer") as outer:
            log_trace_event(run.trace_id, "in_outer")
            with run.step("inner"):
                run.event("in_inner")
                run.event("placed", parent_id=outer.id)
        run.event("after")
    events = as_json(run.trace)["events"]
    names = {event["id"]: event.get("name", event["type"]) for event in events}
    assert [(names[e["id"]], names.get(e.get("parent_id"))) for e in events] == [
        ("before", None),
        ("outer", None),
        ("in_outer", "outer"),
        ("inner", "outer"),
        ("in_inner", "inner"),
        ("placed", "outer"),
        ("after", None),
    ]


def test_calls_of_a_model_give_tokens_cost_and_turns(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        run.event(
            "llm_call",
            {"model": "m-1", "prompt_tokens": 5000, "completion_tokens": 1200, "cost_usd": 0.018},
        )
        run.event("llm_call", model="m-2", provider="p", input_tokens=10, output_tokens=5)
        run.event("model_switched", {"from_model": "m-1", "to_model": "m-2"})
        run.event("tool_called", {"tool": "grep"}, status="error")
        run.event("tool_called", {"tool": "grep"})
    trace = as_json(run.trace)
    tokens = trace["metrics"]["tokens"]
    assert (tokens["input"], tokens["output"], tokens["total"]) == (5010, 1205, 6215)
    assert trace["metrics"]["cost"]["usd"] == 0.018
    assert (trace["metrics"]["turns"], trace["metrics"]["tool_calls"]) == (2, 2)
    assert trace["tools"]["calls"] == [
        {"name": "grep", "server": None, "kind": "other", "count": 2, "errors": 1}
    ]
    assert trace["agent_config"]["model"] == "m-1"
    assert sorted(trace["agent_response"]["model_usage"]) == ["m-1", "m-2"]


def test_an_event_with_a_duration_ends_when_it_is_recorded(tmp_path: Path) -> None:
    clock = SetClock()
    run = recording("a", "t", folder=tmp_path, clock=clock)
    clock.at(10, 31, 0)
    run.event("tool_called", {"tool": "make"}, duration_ms=20_000)
    run.event("tool_called", {"tool": "cc"}, duration_ms=1, started_at="2025-10-18T10:30:01Z")
    events = as_json(run.end())["events"]
    assert [(event["name"], event["started_at"]) for event in events] == [
        ("cc", "2025-10-18T10:30:01Z"),
        ("make", "2025-10-18T10:30:40Z"),
    ]


def test_raw_texts_are_cut_and_the_cut_is_told(tmp_path: Path) -> None:
    with recording("a", "t", folder=tmp_path) as run:
        run.event("first")
        run.event("llm_call", raw_input="x" * 5000, output="y" * 4096)
    trace = as_json(run.trace)
    event = trace["events"][1]
    assert 3500 < len(event["input"]) <= 4096  # less by what may be half a token
    assert event["output"] == "y" * 4096
    (cut,) = trace["truncated"]
    assert (cut["field"], cut["original_length"], cut["unit"]) == (
        "events[2].input",
        5000,
        "characters",
    )
    with recording("a", "t", folder=tmp_path, raw_limit=10_000) as run:
        run.event("llm_call", raw_input="x" * 5000)
    assert as_json(run.trace)["truncated"] == []


def test_a_clock_that_is_put_back_gives_no_negative_time(tmp_path: Path) -> None:
    clock = SetClock()
    run = recording("a", "t", folder=tmp_path, clock=clock)
    clock.at(9, 0, 0)
    with run.step("s"):
        clock.at(8, 0, 0)
    trace = as_json(run.end())
    assert trace["events"][0]["duration_ms"] == 0
    assert trace["metrics"]["durations"]["total_s"] == 0


def test_a_run_that_is_ended_twice_stays_as_it_was(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path)
    run.end("success")
    with pytest.warns(RecordingWarning, match="ended twice"):
        assert run.end("failure") is None
    assert [trace["status"] for trace in written(tmp_path)] == ["pass"]


def test_what_comes_after_the_end_is_warned_of_once(tmp_path: Path) -> None:
    run = recording("a", "t", folder=tmp_path)
    run.end()
    with pytest.warns(RecordingWarning, match="after its end"):
        run.event("late")
    run.event("later")  # a second warning would be an error
    assert [trace["events"] for trace in written(tmp_path)] == [[]]


@pytest.mark.parametrize("name", ["9b2d1c9e-0000-4000-8000-000000000000", "../x", "", "a" * 300])
def test_a_trace_that_nobody_records_is_warned_of(tmp_path: Path, name: str) -> None:
    with pytest.warns(RecordingWarning, match="is not being recorded"):
        log_trace_event(name, "x", folder=tmp_path / "empty")
    assert end_execution_trace(name, "success", folder=tmp_path / "empty") is None


def test_the_mirror_gets_each_event(tmp_path: Path) -> None:
    told: list[dict[str, object]] = []
    with recording("a", "t", folder=tmp_path, mirror=told.append) as run, run.step("s", "work"):
        run.event("file_read", {"file": "a.py"})
    assert [event["event_type"] for event in told] == [
        "trace_started", "step_started", "file_read", "step_completed", "trace_ended",
    ]  # fmt: skip
    assert {event["trace_id"] for event in told} == {run.trace_id}
    assert told[2]["data"] == {"file": "a.py"}
    assert told[3]["status"] == "success"
