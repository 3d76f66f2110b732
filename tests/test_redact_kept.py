"""What an agent's own settings cannot change: whether its trial counts, and in which pair."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evaltrace import Options
from evaltrace import trace as tr
from evaltrace.aggregate import write_aggregation
from evaltrace.errors import Problem
from evaltrace.plan import plan_aggregation
from evaltrace.redact import (
    Redactor,
    copy_redacted,
    find_in_trace,
    known_values,
    redact_trace,
    to_redacted,
)
from evaltrace.redact.kept import is_left, is_name
from evaltrace.schema import violations
from job_dirs import write_job
from planted_secrets import ALNUM, some
from traces import distinct_trace, minimal_trace

STARTED = "2026-02-03T12:00:00Z"


def a_trace() -> tr.Trace:
    """A failed trial with texts that repeat what names it."""
    origin = tr.Origin(
        kind="harness",
        harness="harbor",
        job_name="2026-02-03__12-00-00",
        path="2026-02-03__12-00-00/slow-task__Ab12Cd3",
        started_at=STARTED,
        finished_at="2026-02-03T12:05:00.123456Z",
        clock="utc",
    )
    agent = tr.Agent(name="claude-code", version="2.1.0")
    calls = [tr.ToolCalls(name="mcp__search__find_all_references", kind="mcp", count=2)]
    text = f"slow-task of claude-code passed at {STARTED}: model_provider_failed, reward 0.25"
    return minimal_trace(
        trace_id="slow-task__Ab12Cd3",
        task_id="slow-task__Ab12Cd3",
        status="error",
        test_reward=0.25,
        rewards={"reward": 0.25, "steps_1": 1.0},
        origin=origin,
        task=tr.Task(name="slow-task", org="acme-bench", checksum="a" * 64),
        arm="with-search",
        attempt=2,
        agent_config=tr.AgentConfig(agent=agent, model="claude-sonnet-4-5", timestamp=STARTED),
        error=tr.TraceError(type="ApiError", message=text, cause="model_provider_failed"),
        tools=tr.Tools(calls=calls),
        events=[tr.Event(id="1", type="message", started_at=STARTED, text=text)],
        test_output=text,
        sources={"code_changes": "agent/x.patch"},
        problems=[Problem(code="too_large", path="slow-task__Ab12Cd3/agent/x", message=text)],
    )


TRACE = a_trace()


def words_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value, *value.split(), *value.split("_")]
    if isinstance(value, dict):
        return [word for pair in value.items() for item in pair for word in words_of(item)]
    return [word for item in value for word in words_of(item)] if isinstance(value, list) else []


WORDS = sorted({word for word in words_of(msgspec.to_builtins(TRACE)) if word})
KNOWN = st.lists(st.one_of(st.sampled_from(WORDS), st.text(min_size=1, max_size=30)), max_size=6)


def standing(trace: tr.Trace) -> dict[str, object]:
    """Give what decides how a trial counts."""
    error, agent, took = trace.error, trace.agent_config, trace.metrics
    return {
        "ids": (trace.trace_id, trace.task_id, trace.arm, trace.attempt, trace.status),
        "task": trace.task,
        "origin": trace.origin,
        "reward": (trace.test_reward, trace.rewards),
        "took": (took.tokens, took.cost, took.durations, took.turns, took.tool_calls),
        "error": error and (error.type, error.cause, error.phase, error.reward_valid),
        "agent": (agent.agent.name, agent.agent.version, agent.model, agent.timestamp),
        "tools": trace.tools,
        "times": [event.started_at for event in trace.events or []],
        "codes": [problem.code for problem in trace.problems],
        "sources": trace.sources,
    }


@given(KNOWN)
@example(["pass", "claude-code", "slow-task", STARTED, "model_provider_failed", "error"])
@example(["2026-02-03__12-00-00", "mcp__search__find_all_references", "code_changes", "reward"])
@settings(max_examples=40, deadline=None)
def test_no_known_value_changes_how_a_trial_counts(known: list[str]) -> None:
    redactor = Redactor(key=b"test", known=known)
    after, encoded = to_redacted(redactor, TRACE)
    assert violations(msgspec.json.decode(encoded), "trace") == []
    assert standing(after) == standing(TRACE)
    assert standing(msgspec.json.decode(encoded, type=tr.Trace)) == standing(TRACE)


def with_times(value: Any) -> Any:
    """Put a time into each field that is named as one."""
    if isinstance(value, dict):
        return {
            name: STARTED if name.endswith("_at") or name == "timestamp" else with_times(item)
            for name, item in value.items()
        }
    return [with_times(item) for item in value] if isinstance(value, list) else value


FULL = msgspec.convert(with_times(msgspec.to_builtins(distinct_trace())), tr.Trace)
FULL_WORDS = sorted({word for word in words_of(msgspec.to_builtins(FULL)) if word})


@given(st.lists(st.sampled_from(FULL_WORDS), min_size=1, max_size=8))
@settings(max_examples=12, deadline=None)
def test_any_trace_fits_its_schema_whatever_is_known(known: list[str]) -> None:
    after, _ = redact_trace(Redactor(key=b"test", known=known), FULL)
    assert violations(msgspec.to_builtins(after), "trace") == []
    assert standing(after) == standing(FULL)


@pytest.mark.parametrize("known", ["slow-task", "slow-task__Ab12Cd3", "2026-02-03__12-00-00"])
def test_what_is_part_of_a_name_is_no_secret(known: str) -> None:
    redactor = Redactor(key=b"test", known=[known])
    assert redact_trace(redactor, TRACE) == (TRACE, {})
    assert redact_trace(redactor, minimal_trace(test_output=known))[1] == {"known-value": 1}


def test_no_trial_leaves_the_copy_of_its_job(tmp_path: Path) -> None:
    job = write_job(tmp_path, "arm", ["add-flag", "a-task-of-many-words"])
    for trial in (path for path in job.iterdir() if path.is_dir()):
        text = json.dumps({"headers": {"x-api-key": trial.name, "authorization": "fine-8Zq4Lk2"}})
        (trial / "agent" / ".mcp.json").write_text(text)
    copy_redacted(job, tmp_path / "copy" / "arm", Redactor(key=b"test"))
    documents = []
    for folder in (job, tmp_path / "copy" / "arm"):
        out = BytesIO()
        write_aggregation(plan_aggregation([folder], Options(prices="none")), out)
        documents.append(json.loads(out.getvalue()))
    before, after = (
        [standing(msgspec.convert(trace, tr.Trace)) for trace in document["traces"]]
        for document in documents
    )
    assert before == after
    assert not any(
        b"fine-8Zq4Lk2" in path.read_bytes()
        for path in (tmp_path / "copy").rglob("*")
        if path.is_file()
    )


@pytest.mark.parametrize("known", ["]q9w8e7r6t5", "q9w8e7r6t5[", "value:q9w8", "q9w8e7r6t5", "[]"])
def test_no_known_value_is_found_in_what_it_was_replaced_by(known: str) -> None:
    text = f"{known[0]}{known.strip('[]') * 30}{known[-1]}"
    events = [tr.Event(id=str(n), type="m", text=part) for n, part in enumerate((text, text[1:]))]
    trace = minimal_trace(test_output=text, events=events)
    redactor = Redactor(key=b"test", known=[known])
    after, _ = to_redacted(redactor, trace)
    assert redact_trace(redactor, after)[1] == {}


@pytest.mark.parametrize("number", [2, 8, 9, 40])
def test_many_tokens_without_a_space_are_all_replaced(number: int) -> None:
    tokens = ["h" + "f_" + some(Random(n), ALNUM, 60) for n in range(number)]
    trace = minimal_trace(test_output=f"see {''.join(tokens)} there")
    after, _ = to_redacted(Redactor(key=b"test"), trace)
    assert not any(token[:20] in str(after.test_output) for token in tokens)
    assert str(after.test_output).endswith(" there")


HALVES = ("sk-" + "ant-api03-" + some(Random(2), ALNUM, 8), some(Random(3), ALNUM, 20))


@pytest.mark.parametrize(
    "line", ["\n".join(HALVES), f"it is {HALVES[0]}\n{HALVES[1]} here", "sk-" + "ant-api03-"]
)
def test_many_tokens_that_lines_cut_end_no_run(line: str) -> None:
    text = f"{line}\n" * 40
    after, _ = to_redacted(Redactor(key=b"test"), minimal_trace(test_output=text))
    assert str(after.test_output).count("\n") == text.count("\n")
    assert HALVES[1] not in str(after.test_output)


def test_a_name_with_a_secret_in_it_says_the_same_afterwards() -> None:
    token = "gh" + "p_" + some(Random(4), ALNUM, 36)
    trace = minimal_trace(context={f"use {token}": 'run --token "k1j2h3g4f5z6'})
    after, _ = to_redacted(Redactor(key=b"test"), trace)
    assert token not in str(after.context)


def test_a_token_that_another_hid_ends_no_run() -> None:
    known, rest = "a9W8e7R6t5Z4u3", some(Random(5), ALNUM, 40)
    events = [
        tr.Event(id=str(n), type="m", text=text) for n, text in enumerate((f"{known}hf_", rest))
    ]
    after, _ = to_redacted(Redactor(key=b"test", known=[known]), minimal_trace(events=events))
    assert rest not in str(after.events)


def test_what_is_known_and_names_nothing_is_replaced_all_the_same() -> None:
    known = "q9W8e7R6t5Z4u3"
    problem = Problem(code="broken_link", path=f"a/{known}", message=f"leads to {known}")
    server = {"name": "x", "env": {"A": known}}
    agent = tr.Agent(name="claude-code", mcp_servers=[server])
    trace = minimal_trace(
        agent_config=tr.AgentConfig(agent=agent),
        problems=[problem],
        context={known: [known]},
        error=tr.TraceError(type="E", message=known, evidence=[tr.Evidence(path="a", text=known)]),
    )
    redactor = Redactor(key=b"test", known=[known])
    after, counts = redact_trace(redactor, trace)
    assert known not in msgspec.json.encode(after).decode()
    assert counts == {"known-value": 7}
    assert list(find_in_trace(redactor, after)) == []


def test_a_token_in_a_name_is_replaced_by_its_rule() -> None:
    token = "gh" + "p_" + "aB3dE6gH9j" * 4
    trace = minimal_trace(arm=token, task=tr.Task(name=f"task {token}", tags=[token]))
    after, counts = redact_trace(Redactor(key=b"test", known=[token]), trace)
    assert counts == {"github-token": 3}
    assert token not in msgspec.json.encode(after).decode()


@pytest.mark.parametrize("value", ["yesterday", "2026-02-03T12:00:00Z and more", "2026"])
def test_only_times_are_left_as_times(value: str) -> None:
    assert is_left(tr.Origin, "started_at", STARTED)
    assert not is_left(tr.Origin, "started_at", value)


def test_enumerations_are_told_by_their_types() -> None:
    assert is_left(tr.TraceError, "cause", "verifier_failed")
    assert is_left(tr.Origin, "clock", "utc")
    assert not is_left(tr.TraceError, "cause", "no cause of ours")
    assert not is_left(tr.TraceError, "message", "verifier_failed")
    assert not is_name(tr.TraceError, "message")


def with_settings(folder: Path, name: str, headers: dict[str, str]) -> dict[str, Any]:
    """Aggregate a job of two trials, of which one has settings with these headers."""
    job = write_job(folder / name, "arm", ["add-flag", "fix-bug"])
    trial = min(path for path in job.iterdir() if path.is_dir())
    text = json.dumps({"mcpServers": {"x": {"headers": headers}}})
    (trial / "agent" / ".mcp.json").write_text(text)
    out = BytesIO()
    write_aggregation(plan_aggregation([job], Options(prices="none")), out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def test_no_trial_leaves_by_what_its_settings_say(tmp_path: Path) -> None:
    plain = with_settings(tmp_path, "plain", {})
    trace = msgspec.convert(plain["traces"][0], tr.Trace)
    words = sorted({word for word in words_of(msgspec.to_builtins(trace)) if len(word) >= 8})
    headers = {f"x-{number}-key": word for number, word in enumerate(words)}
    headed = with_settings(tmp_path, "headed", headers)
    assert len(headed["traces"]) == 2
    assert standing(msgspec.convert(headed["traces"][0], tr.Trace)) == standing(trace)
    assert headed["problems"] == plain["problems"]


@pytest.mark.parametrize("word", ["slow-task", "finished", "claude-code"])
def test_a_word_in_a_header_is_no_secret(word: str) -> None:
    files = [(".mcp.json", json.dumps({"x-api-key": word, "url": f"http://a:{word}@b"}).encode())]
    assert known_values(files) == ()
    random = [(".mcp.json", json.dumps({"x-api-key": "k3y9Zq7w"}).encode())]
    assert known_values(random) == ("k3y9Zq7w",)
