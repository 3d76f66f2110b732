"""How trials end: states, exceptions, and when a reward counts in spite of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent_logs import Run
from aggregated import aggregate, codes, the_trace, the_trial
from evaltrace.agentlogs.transcript import Breakdown
from evaltrace.readers.harbor.outcome import Place, find_error
from evaltrace.readers.harbor.records import ExceptionInfo, StepResult, Timing, TrialResult
from job_dirs import Step, write_job


def failing(root: Path, exception: str, **fields: Any) -> dict[str, Any]:
    spec = {"task": "add-flag", "exception": exception, "message": "it broke", **fields}
    return the_trace(write_job(root, "job", [spec]))


# Exceptions, and the reward beside them.


@pytest.mark.parametrize(
    ("exception", "cause", "phase", "valid"),
    [
        ("AgentTimeoutError", "agent_exhausted_budget", "agent_execution", True),
        ("ContextWindowExceededError", "agent_exhausted_budget", "agent_execution", True),
        ("OutputTokenExceededError", "agent_exhausted_budget", "agent_execution", True),
        ("AgentSafetyRefusalError", "agent_refused_task", "agent_execution", True),
        ("ApiRateLimitError", "model_provider_failed", "agent_execution", False),
        ("AgentAuthenticationError", "model_provider_failed", "agent_execution", False),
        ("UnknownApiError", "model_provider_failed", "agent_execution", False),
        ("litellm.exceptions.RateLimitError", "model_provider_failed", "agent_execution", False),
        ("SandboxLikelyOutOfMemoryError", "sandbox_failed", "verifier", False),
        ("MissingExtraError", "harness_failed", "verifier", False),
        ("VerifierTimeoutError", "verifier_failed", "verifier", False),
        ("NonZeroAgentExitCodeError", "unclassified", "agent_execution", False),
        ("SomeNewError", "unclassified", "verifier", False),
    ],
)
def test_cause_decides_whether_the_reward_counts(
    tmp_path: Path, exception: str, cause: str, phase: str, valid: bool
) -> None:
    trace = failing(tmp_path, exception, reward=1.0)
    error = trace["error"]
    assert (error["type"], error["cause"], error["phase"]) == (exception, cause, phase)
    assert (error["reward_valid"], error["message"]) == (valid, "it broke")
    assert trace["test_reward"] == 1.0
    assert trace["status"] == ("pass" if valid else "error")
    paths = [evidence["path"] for evidence in error["evidence"]]
    assert paths == ["result.json", "exception.txt"]


@pytest.mark.parametrize(("reward", "status"), [(1.0, "pass"), (0.4, "partial"), (0.0, "fail")])
def test_a_timeout_is_measured_by_its_reward(tmp_path: Path, reward: float, status: str) -> None:
    assert failing(tmp_path, "AgentTimeoutError", reward=reward)["status"] == status


def test_a_timeout_without_a_reward_counts_for_nothing(tmp_path: Path) -> None:
    trace = failing(tmp_path, "AgentTimeoutError", reward=None)
    assert (trace["status"], trace["error"]["reward_valid"]) == ("error", False)


def test_the_log_names_what_a_vague_exception_does_not(tmp_path: Path) -> None:
    run = Run(failure="API Error: 429 rate_limit_error: slow down")
    trace = failing(tmp_path, "NonZeroAgentExitCodeError", run=run)
    error = trace["error"]
    assert (error["type"], error["cause"]) == (
        "NonZeroAgentExitCodeError",
        "model_provider_failed",
    )
    assert error["phase"] == "agent_execution"
    assert "agent/claude-code.txt" in [evidence["path"] for evidence in error["evidence"]]


def test_an_api_error_that_the_harness_missed_is_found_in_the_log(tmp_path: Path) -> None:
    # Up to 0.1.45 a failed agent left a clean reward of 0.
    spec = {"task": "add-flag", "reward": 0.0, "run": Run(failure="API Error: 429 rate_limit")}
    trace = the_trace(write_job(tmp_path, "job", [spec], version="0.1.18"))
    error = trace["error"]
    assert (trace["test_reward"], trace["status"]) == (0.0, "error")
    assert (error["type"], error["cause"]) == ("rate_limit", "model_provider_failed")
    assert error["reward_valid"] is False


AUTH = "YOLO mode is enabled.\nPlease set an Auth method in your settings.json\n"


@pytest.mark.parametrize(
    ("printed", "type_"),
    [
        (AUTH, "authentication"),
        ("Error: Invalid API key provided\n", "authentication"),
        ("Your credit balance is too low to run this.\n", "out_of_credit"),
        ("All done: the login page checks the API key now.\n", None),
        (AUTH + "x" * 9000, None),
    ],
)
def test_an_agent_that_could_not_log_in_and_left_no_log(
    tmp_path: Path, printed: str, type_: str | None
) -> None:
    spec = {"task": "add-flag", "agent": "gemini-cli", "log": None, "reward": 0.0}
    job = write_job(tmp_path, "job", [spec], version="0.1.40")
    folder = the_trial(job) / "agent" / "command-0"
    folder.mkdir()
    (folder / "stdout.txt").write_text(printed)
    trace = the_trace(job)
    assert trace["status"] == ("error" if type_ else "fail")
    assert (trace["error"] and trace["error"]["type"]) == type_
    if type_:
        assert trace["error"]["cause"] == "model_provider_failed"
        [evidence] = trace["error"]["evidence"]
        assert evidence["path"] == "agent/command-0/stdout.txt"
        assert evidence["text"] in printed


def test_words_of_an_agent_that_worked_are_no_failure(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "agent": "gemini-cli", "log": "atif", "reward": 0.0}
    job = write_job(tmp_path, "job", [spec])
    (the_trial(job) / "agent" / "gemini-cli.txt").write_text(AUTH)
    assert the_trace(job)["error"] is None


@pytest.mark.parametrize("agent", ["oracle", "nop"])
def test_agents_without_a_model_pass_without_complaint(tmp_path: Path, agent: str) -> None:
    spec = {"task": "add-flag", "agent": agent, "model": None, "log": None}
    job = write_job(tmp_path, "job", [spec])
    (the_trial(job) / "agent" / f"{agent}.txt").write_text(AUTH)
    document = aggregate(job)
    [trace] = document["traces"]
    assert (trace["status"], trace["error"]) == ("pass", None)
    assert trace["agent_config"]["model"] is None
    assert trace["metrics"]["tokens"]["total"] is trace["metrics"]["cost"]["usd"] is None
    assert trace["metrics"]["tool_calls"] is trace["metrics"]["turns"] is None
    assert document["problems"] == []


# What was under way says what a vague exception does not.


@pytest.mark.parametrize(
    ("reached", "cause"),
    [
        (["environment_setup"], "sandbox_failed"),
        (["environment_setup", "agent_setup"], "sandbox_failed"),
        (["environment_setup", "agent_setup", "agent_execution"], "unclassified"),
        (["agent_execution", "verifier"], "verifier_failed"),
        ([], "unclassified"),
    ],
)
def test_vague_exceptions_are_blamed_on_what_was_under_way(reached: list[str], cause: str) -> None:
    phases: dict[str, Any] = {name: Timing() for name in reached}
    result = TrialResult(exception_info=ExceptionInfo("RuntimeError", "no"), **phases)
    error = find_error([Place(result)], reward=None, has_traceback=False)
    assert error is not None
    assert (error.cause, error.phase) == (cause, reached[-1] if reached else None)


def test_setup_is_not_blamed_once_steps_ran() -> None:
    # The agent's runs are on the steps: the trial itself never has one.
    failed = ExceptionInfo("RuntimeError")
    result = TrialResult(
        exception_info=failed, agent_setup=Timing(), step_results=[StepResult("a")]
    )
    error = find_error([Place(result)], reward=None, has_traceback=False)
    assert error is not None
    assert error.cause == "unclassified"


# Several failures.


def trial(exception: str | None) -> TrialResult:
    return TrialResult(exception_info=ExceptionInfo(exception) if exception else None)


@pytest.mark.parametrize(
    ("exceptions", "type_", "valid"),
    [
        (["AgentTimeoutError", "ApiRateLimitError"], "ApiRateLimitError", False),
        (["ApiRateLimitError", "AgentTimeoutError"], "ApiRateLimitError", False),
        (["AgentTimeoutError", "AgentSafetyRefusalError"], "AgentTimeoutError", True),
        (["ApiRateLimitError", "CancelledError"], "CancelledError", False),
        ([None, "VerifierTimeoutError"], "VerifierTimeoutError", False),
    ],
)
def test_the_error_names_the_failure_that_costs_the_reward(
    exceptions: list[str | None], type_: str, valid: bool
) -> None:
    places = [Place(trial(name), name=f"step {n}") for n, name in enumerate(exceptions)]
    error = find_error(places, reward=1.0, has_traceback=False)
    assert error is not None
    assert (error.type, error.reward_valid) == (type_, valid)
    assert len(error.evidence) == sum(name is not None for name in exceptions)


def test_a_budget_that_ran_out_beside_an_api_error_in_one_run_stays_what_it_is() -> None:
    # The harness stopped the agent; that its last call had failed too is no second failure.
    seen = Breakdown("overloaded", "API Error: 529", 529, "agent/claude-code.txt", 3)
    error = find_error([Place(trial("AgentTimeoutError"), seen)], reward=0.0, has_traceback=False)
    assert error is not None
    assert (error.cause, error.reward_valid) == ("agent_exhausted_budget", True)


def test_an_api_error_in_another_step_than_the_timeout_does_count() -> None:
    seen = Breakdown("overloaded", "API Error: 529", 529, "steps/b/agent/claude-code.txt", 3)
    places = [Place(trial("AgentTimeoutError")), Place(trial(None), seen)]
    error = find_error(places, reward=0.0, has_traceback=False)
    assert error is not None
    assert (error.cause, error.reward_valid) == ("model_provider_failed", False)
    assert error.phase == "agent_execution"


def test_no_failure_is_no_error() -> None:
    assert find_error([Place(None), Place(trial(None))], reward=1.0, has_traceback=True) is None


# Exceptions of steps.


def test_exception_of_a_step_stays_on_the_step(tmp_path: Path) -> None:
    steps = [
        Step(name="a", exception="AgentTimeoutError"),
        Step(name="b", exception="ApiRateLimitError"),
    ]
    job = write_job(tmp_path, "job", [{"task": "add-flag", "steps": steps}])
    trace = the_trace(job)
    assert not (the_trial(job) / "exception.txt").exists()
    error = trace["error"]
    assert (error["type"], error["cause"]) == ("ApiRateLimitError", "model_provider_failed")
    assert (trace["test_reward"], trace["status"]) == (1.0, "error")
    assert [evidence["path"] for evidence in error["evidence"]] == [
        "result.json: step_results[0]",
        "result.json: step_results[1]",
    ]
    marks = [event["status"] for event in trace["events"] if event["type"] == "step"]
    assert marks == ["error", "error"]


def test_timeouts_of_steps_leave_the_reward_valid(tmp_path: Path) -> None:
    steps = [Step(name="a", exception="AgentTimeoutError"), Step(name="b", reward=0.0)]
    trace = the_trace(write_job(tmp_path, "job", [{"task": "add-flag", "steps": steps}]))
    assert (trace["test_reward"], trace["status"]) == (0.5, "partial")
    assert trace["error"]["reward_valid"] is True
    assert trace["error"]["phase"] == "agent_execution"


def test_api_error_of_a_step_that_only_its_log_knows(tmp_path: Path) -> None:
    steps = [Step(name="a"), Step(name="b", run=Run(failure="API Error: 500 server error"))]
    trace = the_trace(write_job(tmp_path, "job", [{"task": "add-flag", "steps": steps}]))
    assert (trace["error"]["cause"], trace["status"]) == ("model_provider_failed", "error")
    assert trace["error"]["evidence"][0]["path"].startswith("steps/b/agent/")
    marks = [event["status"] for event in trace["events"] if event["type"] == "step"]
    assert marks == ["ok", "error"]


# States.

STATES = ["0.1.0", "0.1.18", "0.2.0", "0.6.2", "0.17.0", "0.25.0"]


@pytest.mark.parametrize("version", STATES)
def test_running_while_the_job_runs(tmp_path: Path, version: str) -> None:
    spec = {"task": "add-flag", "state": "running"}
    job = write_job(tmp_path, "job", [spec], version=version, finished=False)
    document = aggregate(job)
    [trace] = document["traces"]
    assert (trace["status"], trace["error"], trace["test_reward"]) == ("running", None, None)
    assert trace["metrics"]["durations"]["total_s"] is None
    assert document["problems"] == []


@pytest.mark.parametrize("version", STATES)
def test_never_finished_though_the_job_did(tmp_path: Path, version: str) -> None:
    specs = [{"task": "add-flag", "state": "running"}, {"task": "other"}]
    document = aggregate(write_job(tmp_path, "job", specs, version=version))
    trace, other = document["traces"]
    assert (trace["status"], other["status"]) == ("error", "pass")
    error = trace["error"]
    assert (error["type"], error["cause"]) == ("TrialNeverFinished", "harness_failed")
    assert error["reward_valid"] is False


def test_logs_of_a_run_without_a_result_are_read_all_the_same(tmp_path: Path) -> None:
    spec = {"task": "add-flag", "result": False, "run": Run(ended=False)}
    trace = the_trace(write_job(tmp_path, "job", [spec], finished=False))
    assert (trace["status"], trace["metrics"]["turns"]) == ("running", 1)
    assert trace["metrics"]["tokens"]["output"] == 50
    assert trace["agent_config"]["agent"]["name"] == "claude-code"


@pytest.mark.parametrize("version", STATES)
def test_cancelled(tmp_path: Path, version: str) -> None:
    spec = {"task": "add-flag", "state": "cancelled"}
    job = write_job(tmp_path, "job", [spec], plan=["b"], version=version, finished=False)
    trace = the_trace(job)
    assert (trace["status"], trace["test_reward"]) == ("cancelled", None)
    error = trace["error"]
    assert (error["type"], error["cause"], error["message"]) == (
        "CancelledError",
        "cancelled",
        None,
    )
    assert error["phase"] == "agent_execution"
    assert trace["metrics"]["tokens"]["output"] == 50


@pytest.mark.parametrize("version", STATES)
def test_setup_failure(tmp_path: Path, version: str) -> None:
    spec = {"task": "add-flag", "state": "setup_failed"}
    trace = the_trace(write_job(tmp_path, "job", [spec], version=version))
    assert (trace["status"], trace["agent_response"]) == ("error", None)
    error = trace["error"]
    assert (error["type"], error["cause"], error["phase"]) == (
        "AgentSetupTimeoutError",
        "sandbox_failed",
        "agent_setup",
    )
    assert trace["agent_config"]["agent"]["version"] is None


@pytest.mark.parametrize("version", STATES)
def test_verifier_failure(tmp_path: Path, version: str) -> None:
    spec = {"task": "add-flag", "state": "verifier_failed"}
    trace = the_trace(write_job(tmp_path, "job", [spec], version=version))
    assert (trace["status"], trace["test_reward"]) == ("error", None)
    error = trace["error"]
    assert (error["type"], error["cause"], error["phase"]) == (
        "RewardFileNotFoundError",
        "verifier_failed",
        "verifier",
    )
    assert trace["metrics"]["tokens"]["output"] == 58


@pytest.mark.parametrize("content", ["", '{"id": "1", "task_name": "add', "\n"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_result_that_cannot_be_read(tmp_path: Path, content: str, finished: bool) -> None:
    job = write_job(tmp_path, "job", ["add-flag"], finished=finished)
    (the_trial(job) / "result.json").write_text(content)
    document = aggregate(job)
    [trace] = document["traces"]
    # The verifier's file is there, and nothing to say that it may be counted.
    assert (trace["test_reward"], trace["sources"]["rewards"]) == (1.0, "verifier/reward.txt")
    assert trace["status"] == ("error" if finished else "running")
    assert (trace["error"] and trace["error"]["type"]) == ("ResultUnreadable" if finished else None)
    assert codes(document) == {"malformed_json" if content.strip() else "empty_json"}
    assert trace["task"]["name"] == "add-flag"


def test_a_job_whose_result_cannot_be_read_is_not_called_finished(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", [{"task": "add-flag", "state": "running"}])
    (job / "result.json").write_text('{"id": "1", "n_total_trials": 1, "fini')
    assert the_trace(job)["status"] == "running"


def test_a_trial_on_its_own_without_a_result_is_running(tmp_path: Path) -> None:
    job = write_job(tmp_path, "job", [{"task": "add-flag", "state": "running"}])
    assert the_trace(the_trial(job).rename(tmp_path / "alone"))["status"] == "running"


def test_steps_without_a_result_are_read_from_their_folders(tmp_path: Path) -> None:
    steps = [Step(name="a"), Step(name="b", reward=0.0)]
    spec = {"task": "add-flag", "steps": steps, "result": False}
    trace = the_trace(write_job(tmp_path, "job", [spec], finished=False))
    assert (trace["status"], trace["rewards"]) == ("running", None)
    assert trace["metrics"]["turns"] == 4
    assert [event["name"] for event in trace["events"] if event["type"] == "step"] == ["a", "b"]
    assert trace["tests"]["summary"]["total"] == 2
