"""Real trials: ground truth for two arms, and traces checked by hand against the files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from aggregated import CORPUS, aggregate, corpus_document
from evaltrace.agentlogs import read_transcript
from evaltrace.source import Source
from ground_truth import CAUSES, LAB, TRUTH

NAMES = [
    "harbor-states",
    "harbor-2025-11-claude-code",
    "harbor-2026-02-codex-effort",
    "harbor-2026-02-smoke",
    "tool-ab-2026-08",
    "lab-dev",
]
here = pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus is not on this machine")


def read(name: str, events: bool = True) -> dict[str, dict[str, Any]]:
    document = corpus_document(name, events)
    return {trace["task_id"]: trace for trace in document["traces"]}


@pytest.fixture(scope="module")
def traces() -> dict[str, dict[str, Any]]:
    return {task_id: trace for name in NAMES for task_id, trace in read(name).items()}


# Two arms with ground truth by construction.

truth = pytest.mark.parametrize("row", TRUTH, ids=lambda row: str(row["trial_name"]))


@here
@truth
def test_identity_and_reward(traces: dict[str, dict[str, Any]], row: dict[str, Any]) -> None:
    trace = traces[row["trial_name"]]
    org, _, name = row["task_name"].rpartition("/")
    assert (trace["task"]["name"], trace["task"]["org"]) == (name, org or None)
    assert trace["attempt"] == row["attempt"]
    assert (trace["test_reward"], trace["rewards"]) == (row["reward"], row["rewards"] or None)
    assert trace["origin"]["harness_version"] == "0.25.0"
    steps = [event for event in trace["events"] if event["type"] == "step"]
    assert [(e["name"], e["data"]["rewards"]) for e in steps] == [
        (step["step"], step["rewards"]) for step in row["steps"] or ()
    ]


@here
@truth
def test_status_and_error(traces: dict[str, dict[str, Any]], row: dict[str, Any]) -> None:
    trace, outcome = traces[row["trial_name"]], row["outcome"]
    error = trace["error"] or {}
    assert error.get("cause") == CAUSES.get(outcome)
    assert (error.get("reward_valid", True) and row["reward"] is not None) == row["valid"]
    if not row["valid"]:
        assert trace["status"] == "error"
    elif outcome != "timeout":
        assert trace["status"] == outcome
    stages = {"agent": "agent_execution", "environment": "environment_setup"}
    if row["error"]:
        stage = row["error"]["stage"]
        assert error["phase"] == stages.get(stage, stage)
    if row["error"] and row["error"].get("http_status"):
        assert any(place["text"] for place in error["evidence"])


@here
@truth
def test_instruction_of_the_task(traces: dict[str, dict[str, Any]], row: dict[str, Any]) -> None:
    trace, task = traces[row["trial_name"]], LAB / "tasks" / row["task"]
    if row["outcome"] == "env_error":
        assert trace["task_instruction"] is None
        return
    if row["steps"]:
        parts = [(s["step"], task / "steps" / s["step"] / "instruction.md") for s in row["steps"]]
        told = "\n\n".join(f"== step {name} ==\n{_plain(path)}" for name, path in parts)
    else:
        told = _plain(task / "instruction.md")
    assert trace["task_instruction"] == told


def _plain(path: Path) -> str:
    canary, _, text = path.read_text().partition("-->\n")
    assert canary == "<!-- harbor-canary GUID 0000 "
    return text.lstrip("\n")


@here
def test_truth_covers_every_trial() -> None:
    assert len(TRUTH) == 96
    assert set(read("lab-dev")) == {row["trial_name"] for row in TRUTH}


@here
def test_plan_and_retries_of_both_arms() -> None:
    rows = {row["job_name"]: row for row in corpus_document("lab-dev")["inputs"]}
    for name, retries in (("baseline", 0), ("with-sourcegraph", 1)):
        row = rows[name]
        assert (row["planned"], row["found"], row["absent"]) == (48, 48, 0)
        assert row["retries"] == retries
        assert (row["attempts"], row["concurrency"]) == (2, 2)
        assert row["retry"]["include_exceptions"] == ["ApiConnectionClosedError"]


# By hand: states.


@here
def test_old018_before_locks(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["add-flag__5TofuHZ"]
    assert trace["origin"]["harness_version"] == ">=0.1.14,<0.1.29"  # it was 0.1.18
    assert trace["origin"]["clock"] == "naive_local"
    # The harness says 2525 / 2500 / 108 and no cost; the result event has these.
    tokens = trace["metrics"]["tokens"]
    assert [tokens[k] for k in ("input", "cache_creation", "cache_read", "output")] == [
        15,
        1100,
        2000,
        58,
    ]
    assert trace["metrics"]["cost"] == {"usd": 0.0123, "source": "reported", "price_table": None}
    assert trace["agent_config"]["agent"]["version"] == "2.1.0"  # "unknown" in the result
    # 43:15.491973 to 43:16.601742; the agent 43:15.641543 to 43:16.212602
    assert trace["metrics"]["durations"]["total_s"] == 1.109769
    assert trace["metrics"]["durations"]["agent_execution_s"] == 0.571059
    assert trace["test_output"] == "1 passed\n\n== standard error ==\nwarn on stderr\n"
    instruction = "Add a --verbose flag to /app/main.py so that it prints DEBUG.\n"
    assert trace["task_instruction"] == instruction
    sent = "<!-- harbor-canary GUID 1234 -->\n\n" + instruction
    assert trace["agent_request"]["prompt"] == sent
    assert trace["agent_request"]["argv"][:6] == [
        "claude",
        "--verbose",
        "--output-format",
        "stream-json",
        "-p",
        "{prompt}",
    ]
    assert trace["task"]["checksum"].startswith("4468edcb36ff")


@here
def test_mcp_timeout_counts_and_api_error_does_not(traces: dict[str, dict[str, Any]]) -> None:
    timeout, api = traces["slow-task__6iPUMBH"], traces["slow-task__ZQeSwkK"]
    assert (timeout["status"], timeout["test_reward"]) == ("fail", 0.0)
    assert timeout["error"]["type"] == "AgentTimeoutError"
    assert timeout["error"]["message"] == "Agent execution timed out after 6.0 seconds"
    assert timeout["error"]["reward_valid"] is True
    assert (api["status"], api["test_reward"]) == ("error", 1.0)
    assert (api["error"]["type"], api["error"]["reward_valid"]) == ("ApiInternalServerError", False)
    assert api["error"]["cause"] == "model_provider_failed"
    # No result event in the first: one message of 10, 1000, 500, 50, priced by the harness.
    assert timeout["metrics"]["tokens"]["total_with_cache"] == 1560
    assert (timeout["metrics"]["cost"]["usd"], timeout["metrics"]["cost"]["source"]) == (
        0.00468,
        "computed",
    )
    assert timeout["tools"]["mcp_servers"] == [
        {
            "name": "sg",
            "status": "connected",
            "configured_in": [
                "agent/claude-code.txt: init",
                "agent/sessions/.claude.json",
                "result.json: config.agent.mcp_servers",
            ],
        }
    ]
    assert timeout["agent_config"]["agent"]["kwargs"]["allowed_tools"] == "Bash,Edit"


@here
def test_mcp_job_pools_two_configurations() -> None:
    document = aggregate(CORPUS / "harbor-states" / "mcp")
    [row] = document["inputs"]
    assert (row["planned"], row["found"], row["absent"], row["retries"]) == (2, 2, 0, 1)
    assert [trace["attempt"] for trace in document["traces"]] == [1, 1]


@here
def test_sigint2_was_cancelled() -> None:
    document = aggregate(CORPUS / "harbor-states" / "sigint2")
    [trace], [row] = document["traces"], document["inputs"]
    assert (trace["status"], trace["test_reward"]) == ("cancelled", None)
    assert (trace["error"]["type"], trace["error"]["phase"]) == (
        "CancelledError",
        "agent_execution",
    )
    assert trace["metrics"]["durations"]["agent_execution_s"] == 1.483261  # 43.443597 to 44.926858
    assert trace["metrics"]["tokens"]["total_with_cache"] == 1560
    assert (row["planned"], row["found"], row["absent"]) == (2, 1, 1)


@here
def test_killed_looks_like_running() -> None:
    document = aggregate(CORPUS / "harbor-states" / "killed")
    [trace], [row] = document["traces"], document["inputs"]
    assert (trace["status"], trace["error"], trace["agent_response"]) == ("running", None, None)
    assert trace["agent_config"]["model"] == "anthropic/claude-sonnet-4-5"
    assert trace["agent_config"]["environment"]["import_path"] == "localenv:LocalEnv"
    assert trace["sources"]["agent_config"] == "lock.json"
    assert trace["task"]["digest"].startswith("sha256:9360756145283f72")
    assert trace["agent_request"]["argv"][0] == "claude"
    assert (row["planned"], row["found"], row["absent"]) == (2, 1, 1)


@here
def test_multi_adds_up_its_steps(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["two-step__G4E4zGY"]
    assert (trace["task"]["org"], trace["task"]["name"]) == ("acme", "two-step")
    assert trace["task"]["digest"].startswith("sha256:a7885118cf63")
    # Each step: 15, 1100, 2000, 58 tokens, 0.0123 dollars, 2 responses, 1 call.
    assert trace["metrics"]["tokens"]["total_with_cache"] == 2 * 3173
    assert trace["metrics"]["cost"]["usd"] == 2 * 0.0123
    assert (trace["metrics"]["turns"], trace["metrics"]["tool_calls"]) == (4, 2)
    # (44.503498 - 44.051389) + (46.642429 - 46.187683)
    assert trace["metrics"]["durations"]["agent_execution_s"] == 0.906855
    # (45.664035 - 44.807709) + (47.805830 - 46.991228)
    assert trace["metrics"]["durations"]["verifier_s"] == 1.670928
    assert [s["name"] for s in trace["tools"]["mcp_servers"]] == ["docs", "sg"]
    assert trace["task_instruction"] == (
        "== step first ==\nDo step one\n\n\n== step second ==\nDo step two\n"
    )
    assert trace["status"] == "pass"


@here
def test_oracle_has_no_model(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["add-flag__caZjhMw"]
    assert (trace["status"], trace["error"], trace["problems"]) == ("pass", None, [])
    assert (trace["agent_config"]["agent"]["name"], trace["agent_config"]["model"]) == (
        "oracle",
        None,
    )
    assert trace["metrics"]["tokens"]["total"] is trace["metrics"]["turns"] is None


@here
def test_sigint_killed_the_environment_under_the_agent(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["slow-task__r7Ar38i"]
    error = trace["error"]
    assert (trace["status"], error["type"]) == ("error", "NonZeroAgentExitCodeError")
    assert (error["cause"], error["phase"]) == ("unclassified", "agent_execution")


# By hand: the first weeks of Harbor.


@here
def test_2025_success_with_subagent(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["draft_dp_96443054__fSr5gkt"]
    tokens = trace["metrics"]["tokens"]
    # modelUsage of the result: haiku, the subagent's sonnet, the main loop's sonnet.
    assert tokens["input"] == 18903 + 612 + 35
    assert tokens["output"] == 3316 + 63 + 9074
    assert tokens["cache_read"] == 41209 + 0 + 1012864
    assert tokens["cache_creation"] == 7519 + 0 + 27767
    assert trace["metrics"]["cost"]["usd"] == pytest.approx(0.5959841)
    # 34 message ids of the main loop; the agent itself says 35 turns.
    assert (trace["metrics"]["turns"], trace["agent_response"]["num_turns"]) == (34, 35)
    assert {call["name"]: call["count"] for call in trace["tools"]["calls"]} == {
        "Bash": 14,
        "Read": 9,
        "TodoWrite": 6,
        "Edit": 6,
        "Glob": 3,
        "Grep": 2,
        "Write": 2,
        "Task": 1,
    }
    assert sum(call["errors"] for call in trace["tools"]["calls"]) == 2
    # 14:11:20.631326 to 14:15:28.567449
    assert trace["metrics"]["durations"]["agent_execution_s"] == 247.936123
    assert (trace["status"], trace["origin"]["clock"]) == ("pass", "naive_local")


@here
def test_2025_run_whose_log_breaks_off(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["fix-async-worker-queue__gPApBGF"]
    tokens = trace["metrics"]["tokens"]
    # No result event: the last usage of each of 23 message ids, stream and sessions joined.
    assert [tokens[k] for k in ("input", "cache_creation", "cache_read", "output")] == [
        3002,
        16100,
        483620,
        6447,
    ]
    assert trace["metrics"]["cost"]["usd"] is None
    assert trace["tests"]["summary"] == {
        "total": 11,
        "passed": 10,
        "failed": 1,
        "skipped": 0,
        "other": 0,
    }
    # pytest wrote seconds: 0.007046208993415348
    assert trace["tests"]["cases"][0]["duration_ms"] == 7.046


@here
def test_2025_bare_trial(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["etl_checkpoint_resume_bug__cdwMJ5R"]
    assert trace["origin"]["job_name"] == "2025-11-19__14-39-23"  # from trials_dir
    assert trace["origin"]["job_id"] == "92b6f4b3-ef01-4771-8e98-36036d4a706d"
    # command.txt has it with '"'"', the session file as it was meant.
    assert "but it's starting over from users phase" in trace["task_instruction"]
    assert trace["agent_request"]["prompt"] == trace["task_instruction"]
    assert trace["agent_request"]["argv"][5:8] == ["{prompt}", "--allowedTools", "Bash"]


# By hand: codex and gemini, 2026.


@here
def test_2026_codex(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["harbor-task-homepage-implementat__t3YqhP7"]
    assert trace["task"]["name"] == "harbor-task-homepage-implementation-fb085f1c"
    tokens = trace["metrics"]["tokens"]
    # turn.completed: 360015 input, 329088 of them cached, 3386 output
    assert (tokens["input"], tokens["cache_read"]) == (360015 - 329088, 329088)
    assert (tokens["output"], tokens["cache_creation"]) == (3386, None)
    assert trace["metrics"]["cost"]["usd"] is None
    # Four reconnects because of a rate limit, all of them got over.
    assert (trace["status"], trace["error"]) == ("fail", None)
    # 29 agent steps; exec_command 20, write_stdin 7, view_image 1
    assert (trace["metrics"]["turns"], trace["metrics"]["tool_calls"]) == (29, 28)
    assert trace["origin"]["harness_version"] == ">=0.1.36,<0.1.45"
    assert trace["agent_config"]["agent"]["kwargs"] == {"reasoning_effort": "low"}
    assert trace["task_instruction"].startswith("Implement a homepage for a SaaS product landing")
    assert trace["agent_request"]["argv"][:2] == ["codex", "exec"]


@here
def test_2026_codex_timeout_counts(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["harbor-task-homepage-implementat__eYu4NSu"]
    assert trace["error"]["cause"] == "agent_exhausted_budget"
    assert (trace["status"], trace["test_reward"]) == ("fail", 0.0)


@here
def test_2026_jobs_without_a_trial() -> None:
    rows = corpus_document("harbor-2026-02-codex-effort")["inputs"]
    empty = [row for row in rows if not row["found"]]
    assert len(rows) == 15
    assert [(row["planned"], row["absent"]) for row in empty] == [(1, 1)] * 2


@here
def test_2026_gemini_without_a_log(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["harbor-task-hello-world-smoke-a4__WBPf8XX"]
    tokens = trace["metrics"]["tokens"]
    # agent_result: 55715 input, 0 cached, 1264 output
    assert (tokens["input"], tokens["cache_read"], tokens["output"]) == (55715, 0, 1264)
    assert trace["sources"]["usage"] == "result.json: agent_result"
    where = "agent/commands/command-0/command.txt"
    assert trace["sources"]["task_instruction"] == where
    assert trace["task_instruction"].startswith("Perform a minimal smoke-task implementation")
    assert trace["status"] == "pass"


@here
def test_2026_gemini_that_could_not_log_in(traces: dict[str, dict[str, Any]]) -> None:
    # Graded 0.0 without an exception, after 2.4 seconds.
    trace = traces["harbor-task-homepage-implementat__5nSqqqB"]
    error = trace["error"]
    assert (trace["test_reward"], trace["status"]) == (0.0, "error")
    assert (error["type"], error["cause"]) == ("authentication", "model_provider_failed")
    [evidence] = error["evidence"]
    assert evidence["path"] == "agent/commands/command-0/stdout.txt"
    assert evidence["text"].startswith("Please set an Auth method")


@here
def test_2026_docker_that_failed(traces: dict[str, dict[str, Any]]) -> None:
    error = traces["harbor-task-hello-world-smoke-a6__MdFP4R3"]["error"]
    assert (error["type"], error["cause"]) == ("RuntimeError", "sandbox_failed")
    assert (error["phase"], error["reward_valid"]) == ("environment_setup", False)


# By hand: a fork of Harbor.


@here
def test_tool_ab_codex(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["arktype-json-schema-refs-depende__6JABgs6"]
    assert (trace["task"]["org"], trace["task"]["name"]) == (
        "datacurve",
        "arktype-json-schema-refs-dependencies",
    )
    agent = trace["agent_config"]["agent"]
    assert (agent["name"], agent["import_path"]) == (
        "codex",
        "symnav_bench.agents.codex:SymnavCodex",
    )
    assert trace["origin"]["harness_version_from"].startswith("contradictory, perhaps a fork")
    assert (len(trace["rewards"]), trace["test_reward"], trace["status"]) == (8, 0.0, "fail")
    assert trace["rewards"]["partial"] == 0.9988262910798122
    tokens = trace["metrics"]["tokens"]
    # 2020559 input, 1836416 of them cached
    assert (tokens["input"], tokens["output"]) == (2020559 - 1836416, 15592)
    assert (trace["metrics"]["cost"]["usd"], trace["metrics"]["cost"]["source"]) == (
        1.1533415,
        "computed",
    )
    summary = trace["tests"]["summary"]
    assert (summary["total"], summary["passed"], summary["failed"]) == (1704, 1702, 2)
    # trial.log quotes it with '"'"' around 'if'.
    assert "if 'if' matches, data must also validate" in trace["agent_request"]["prompt"]


@here
def test_tool_ab_claude(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["eicrud-keyset-pagination-cursor__AmLVEvh"]
    tokens = trace["metrics"]["tokens"]
    # final_metrics: 3621446 prompt, 3561380 cached, 59655 written to the cache
    assert tokens["input"] == 3621446 - 3561380 - 59655
    assert (tokens["cache_creation"], tokens["output"]) == (59655, 21531)
    assert (trace["metrics"]["turns"], trace["metrics"]["tool_calls"]) == (75, 44 + 18 + 10 + 2)
    assert trace["metrics"]["cost"]["usd"] == pytest.approx(1.750542)
    assert trace["sources"]["events"].startswith("agent/trajectory.json")
    assert trace["attempt"] in (1, 2, 3, 4)


@here
def test_2026_claude_in_spite_of_the_harness(traces: dict[str, dict[str, Any]]) -> None:
    trace = traces["harbor-task-hello-world-smoke-86__Rkjzifn"]
    tokens = trace["metrics"]["tokens"]
    # The harness: 297084 in, 296945 of them cached, 48 out, no cost. There is no
    # claude-code.txt, but the command's output is the stream. Its modelUsage: the main loop,
    # and a helper of the program's own (2924 in, 77 out, no cache).
    assert tokens["input"] == 70 + 2924
    assert tokens["output"] == 845 + 77
    assert (tokens["cache_creation"], tokens["cache_read"]) == (7689, 152198)
    assert trace["metrics"]["cost"]["usd"] == pytest.approx(0.02912605 + 0.003309)
    assert trace["metrics"]["manifest"]["n_input_tokens"] == 297084
    mismatch = [row for row in trace["problems"] if row["code"] == "usage_mismatch"]
    assert len(mismatch) == 1
    other = traces["harbor-task-hello-world-smoke-9e__i6ZDNhE"]["metrics"]
    # 59 + 2072 in, 754 + 44 out, 1826 written, 94545 read
    assert other["tokens"]["total_with_cache"] == 59 + 2072 + 754 + 44 + 1826 + 94545
    assert other["cost"]["usd"] == pytest.approx(0.015566 + 0.002292)


@here
def test_2026_a_trajectory_alone_repeats_usage(tmp_path: Path) -> None:
    # The same run without its stream: each message counts once, as in the stream.
    [trial] = (CORPUS / "harbor-2026-02-smoke").glob("*864bc78a*/harbor-task*")
    copy = tmp_path / trial.name
    shutil.copytree(trial, copy, ignore=shutil.ignore_patterns("commands", "*.tar.gz"))
    [trace] = aggregate(copy)["traces"]
    tokens = trace["metrics"]["tokens"]
    # 2 + 45 + 4 + 5 + 4 + 3 + 4 + 3 beside the cache
    assert (tokens["input"], tokens["cache_creation"], tokens["cache_read"]) == (70, 7689, 152198)
    assert "usage_repeated" in {row["code"] for row in trace["problems"]}


@here
def test_2026_codex_tokens_are_those_of_the_last_turn(traces: dict[str, dict[str, Any]]) -> None:
    compared = 0
    for log in sorted((CORPUS / "harbor-2026-02-codex-effort").rglob("codex.txt")):
        lines = [line for line in log.read_text().splitlines() if '"turn.completed"' in line]
        if not lines:
            continue  # the run that timed out
        usage = json.loads(lines[-1])["usage"]
        trial = json.loads((log.parents[1] / "result.json").read_text())["trial_name"]
        tokens = traces[trial]["metrics"]["tokens"]
        assert tokens["input"] == usage["input_tokens"] - usage["cached_input_tokens"]
        assert tokens["cache_read"] == usage["cached_input_tokens"]
        assert tokens["output"] == usage["output_tokens"]
        compared += 1
    assert compared == 12


@here
def test_tool_ab_has_all_of_four_arms(traces: dict[str, dict[str, Any]]) -> None:
    arms = {"codex-stock": 6, "codex-tool": 6, "claude-stock": 8, "claude-tool": 8}
    for arm, trials in arms.items():
        names = [
            json.loads(path.read_text())["trial_name"]
            for path in (CORPUS / "tool-ab-2026-08" / arm).glob("*/result.json")
        ]
        assert len(names) == trials
        for trace in map(traces.__getitem__, names):
            metrics = trace["metrics"]
            assert None not in (metrics["tokens"]["total"], metrics["tokens"]["cache_read"])
            assert metrics["cost"]["usd"] > 0
            assert sum(call["count"] for call in trace["tools"]["calls"]) == metrics["tool_calls"]
            assert metrics["tool_calls"] > 10
            assert len(trace["rewards"]) == 8
            assert {"reward", "f2p", "p2p", "partial"} <= trace["rewards"].keys()


@here
@pytest.mark.parametrize(
    ("arm", "calls", "trials"),
    [
        ("codex-stock", 0, 0),
        ("codex-tool", 40, 6),
        ("claude-stock", 0, 0),
        ("claude-tool", 78, 8),
    ],
)
def test_tool_ab_use_of_the_added_program(arm: str, calls: int, trials: int) -> None:
    document = aggregate(CORPUS / "tool-ab-2026-08" / arm, tool_patterns=("symnav",))
    counts = [trace["tools"]["mentions"][0]["count"] for trace in document["traces"]]
    assert (sum(counts), sum(count > 0 for count in counts)) == (calls, trials)


# Trajectories with their authors' own counts. All but one were trimmed by these: steps are
# missing, and large ones were cut in a way that leaves no tool call.

SIGNALS = sorted((CORPUS / "trajectories-2026").glob("*/signals.json"))


@here
@pytest.mark.parametrize("path", SIGNALS, ids=lambda path: str(path.parent.name))
def test_trajectory_calls_are_the_authors_without_what_was_trimmed(path: Path) -> None:
    signals, root = json.loads(path.read_text()), path.parent
    transcript = read_transcript(Source(root), "", signals["agent_name"])
    assert transcript is not None
    told = signals["tool_call_sequence"] or []
    found = [call.name for call in transcript.calls.values()]
    if signals["agent_name"] == "cursor-cli":
        assert told == []  # their program could not read this format
        assert len(found) == 6
        return
    rest = iter(told)
    assert all(name in rest for name in found), "in the same order"
    steps = json.loads((root / "trajectory.json").read_text())
    missing = len(told) - len(found)
    if not steps.get("_corpus_trim_applied"):
        cut = [step for step in steps["steps"] if isinstance(step.get("tool_calls"), dict)]
        assert missing == len(cut)
    mcp = [name for name in told if name.startswith("mcp__") or name in SEARCH]
    ours = [call.name for call in transcript.calls.values() if call.kind == "mcp"]
    assert len(mcp) - missing <= len(ours) <= len(mcp)
    assert ours == [name for name in found if name in set(mcp)]


SEARCH = {"keyword_search", "nls_search", "find_references", "read_file"}
"""The MCP tools of OpenHands' run, which puts no mark on them."""


# Without events, everywhere.


@here
@pytest.mark.parametrize("name", NAMES)
def test_leaving_out_events_changes_no_number(traces: dict[str, dict[str, Any]], name: str) -> None:
    for task_id, lean in read(name, events=False).items():
        full = traces[task_id]
        assert lean["events"] is None
        for key in ("metrics", "tools", "error", "status", "test_reward", "agent_response"):
            assert lean[key] == full[key], (task_id, key)
        assert lean["task_instruction"] == full["task_instruction"], task_id
