"""When what happened: phases, durations, clocks, bottlenecks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aggregated import edit_result, the_trace
from job_dirs import Step, write_job

PHASES = ["environment_setup", "agent_setup", "agent_execution", "verifier"]


def phases_of(trace: dict[str, Any]) -> list[dict[str, Any]]:
    return [event for event in trace["events"] if event["type"] == "phase"]


@pytest.mark.parametrize("version", ["0.1.0", "0.1.35", "0.1.36", "0.25.0"])
def test_durations_of_the_phases(tmp_path: Path, version: str) -> None:
    trace = the_trace(write_job(tmp_path, "job", ["add-flag"], version=version, seconds=60.0))
    # The builder's timetable: 0, environment 0.5-2, setup 2-5, agent 5-65, verifier 66-74, 75.
    assert trace["metrics"]["durations"] == {
        "total_s": 75.0,
        "environment_setup_s": 1.5,
        "agent_setup_s": 3.0,
        "agent_execution_s": 60.0,
        "verifier_s": 8.0,
    }
    assert [event["name"] for event in phases_of(trace)] == PHASES
    assert [event["duration_ms"] for event in phases_of(trace)] == [1500, 3000, 60000, 8000]


def test_bottlenecks_are_shares_of_the_whole(tmp_path: Path) -> None:
    trace = the_trace(write_job(tmp_path, "job", ["add-flag"], seconds=60.0))
    # What no phase covers: 75 - (1.5 + 3 + 60 + 8) = 2.5 s
    assert [(row["stage"], row["time_spent_s"]) for row in trace["bottlenecks"]] == [
        ("agent_execution", 60.0),
        ("verifier", 8.0),
        ("agent_setup", 3.0),
        ("other", 2.5),
        ("environment_setup", 1.5),
    ]
    shares = [row["percentage_of_total"] for row in trace["bottlenecks"]]
    assert shares == [80.0, 10.67, 4.0, 3.33, 2.0]


@pytest.mark.parametrize("version", ["0.1.36", "0.25.0"])
def test_times_in_utc(tmp_path: Path, version: str) -> None:
    trace = the_trace(write_job(tmp_path, "job", ["add-flag"], version=version))
    assert trace["origin"]["clock"] == "utc"
    assert trace["origin"]["started_at"] == "2026-01-05T10:00:00.250000Z"
    times = [event["started_at"] for event in trace["events"] if "started_at" in event]
    assert len(times) > len(PHASES)
    assert all(time.endswith("Z") for time in times)


@pytest.mark.parametrize("version", ["0.1.0", "0.1.35"])
def test_local_times_are_marked_and_stand_among_no_others(tmp_path: Path, version: str) -> None:
    trace = the_trace(write_job(tmp_path, "job", ["add-flag"], version=version))
    assert trace["origin"]["clock"] == "naive_local"
    assert trace["origin"]["started_at"] == "2026-01-05T10:00:00.250000"
    assert all(e["started_at"].endswith("Z") for e in trace["events"] if "started_at" in e)
    first = phases_of(trace)[0]
    assert first["data"] == {"started_at_local": "2026-01-05T10:00:00.750000"}


def test_a_phase_that_was_not_reached_is_null(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "state": "setup_failed"}
    trace = the_trace(write_job(tmp_path, "job", [spec]))
    durations = trace["metrics"]["durations"]
    assert durations["agent_setup_s"] == 3.0
    assert (durations["agent_execution_s"], durations["verifier_s"]) == (None, None)
    assert [event["name"] for event in phases_of(trace)] == PHASES[:2]


def test_a_phase_without_an_end_has_no_duration(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    edit_result(job, lambda result: result["verifier"].update(finished_at=None))
    trace = the_trace(job)
    assert trace["metrics"]["durations"]["verifier_s"] is None
    assert "duration_ms" not in phases_of(trace)[-1]


def test_a_clock_that_was_put_back_gives_no_duration(tmp_path: Path) -> None:
    # Naive local time at the end of summer time.
    job = write_job(tmp_path, "job", ["add-flag"], version="0.1.18")
    edit_result(job, lambda result: result.update(finished_at="2026-01-05T09:59:00"))
    trace = the_trace(job)
    assert trace["metrics"]["durations"]["total_s"] is None
    assert trace["metrics"]["durations"]["agent_execution_s"] == 60.0
    assert trace["bottlenecks"] is None


def test_clocks_are_never_mixed(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    edit_result(job, lambda result: result.update(finished_at="2026-01-05T10:05:00"))
    trace = the_trace(job)
    assert trace["metrics"]["durations"]["total_s"] is None
    assert trace["origin"]["clock"] == "utc"


def test_other_zones_become_utc(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    edit_result(job, lambda result: result.update(started_at="2026-01-05T12:00:00+02:00"))
    trace = the_trace(job)
    assert trace["origin"]["started_at"] == "2026-01-05T10:00:00Z"
    assert trace["agent_config"]["timestamp"] == "2026-01-05T10:00:00Z"


def test_what_is_no_time_is_null(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", ["add-flag"])
    edit_result(job, lambda result: result.update(started_at="yesterday"))
    trace = the_trace(job)
    assert (trace["origin"]["started_at"], trace["origin"]["clock"]) == (None, None)
    assert trace["metrics"]["durations"]["total_s"] is None


def test_durations_of_steps_add_up(tmp_path: Path) -> None:
    steps = [Step(name="a"), Step(name="b")]
    spec = {"task": "add-flag", "steps": steps, "seconds": 100.0}
    trace = the_trace(write_job(tmp_path, "job", [spec]))
    # Each step has 50 s: the agent 0.8 of them, the verifier 0.1.
    assert trace["metrics"]["durations"]["agent_execution_s"] == 80.0
    assert trace["metrics"]["durations"]["verifier_s"] == 10.0
    found = [event for event in trace["events"] if event["type"] == "step"]
    assert [(e["id"], e["name"], e["duration_ms"]) for e in found] == [
        ("s1", "a", 50_000.0),
        ("s2", "b", 50_000.0),
    ]


def test_agents_events_hang_below_their_phase(tmp_path: Path) -> None:
    trace = the_trace(write_job(tmp_path, "job", ["add-flag"]))
    parents = {event["parent_id"] for event in trace["events"] if event["type"] == "message"}
    assert parents == {"phase.agent_execution"}
    assert trace["events"][-1]["name"] == "verifier"
