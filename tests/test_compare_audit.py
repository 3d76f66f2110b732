"""The audit: what differs besides the treatment, how grave it is, and what must not be shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregated import CORPUS, EXAMPLES
from evaltrace import trace as tr
from evaltrace.compare.audit.arms import audit_arms
from evaltrace.compare.audit.values import HIDDEN, shown, shown_pair
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.pairing import name_tasks, pair_tasks
from evaltrace.compare.reading.metric import find_metric
from evaltrace.compare.reading.paths import read_path
from evaltrace.compare.reading.splitting import to_sides
from evaltrace.compare.sides import Side, Trial
from evaltrace.compare.treatment.treated import find_treatment
from evaltrace.comparison import AuditItem
from sides import metric, paired, side, trial

LAB = CORPUS / "lab-dev" / "jobs"
here = pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus beside the project")

CODESEARCH = {"name": "codesearch", "url": "https://codesearch.example.com/mcp"}
AGENT = {"name": "claude-code", "version": "2.1.0", "kwargs": {}, "env": {}, "mcp_servers": []}
MODEL = "anthropic/claude-sonnet-4-5"

Change = Callable[[Trial], object]


def arm(
    label: str,
    values: Sequence[tuple[str, float | None]] = (("a", 1.0), ("b", 0.0)),
    *,
    change: Change | None = None,
    inputs: dict[str, Any] | None = None,
    **config: Any,
) -> Side:
    """An arm whose trials share a configuration: fields of it, or of its agent."""
    members = [trial(value, task=task) for task, value in values]
    for member in members:
        member.trace.agent_config = to_config(config)
        if change is not None:
            change(member)
    made = side(label, members)
    if inputs is not None:
        made.inputs = [tr.Input(job_name=label, harness="harbor", **inputs)]
    return made


def to_config(config: dict[str, Any]) -> tr.AgentConfig:
    outer = {key: config[key] for key in config if key in tr.AgentConfig.__struct_fields__}
    inner = {key: config[key] for key in config if key not in outer}
    return tr.AgentConfig(agent=tr.Agent(**{**AGENT, **inner}), **{"model": MODEL, **outer})


def audit(baseline: Side, treatment: Side, wanted: str | None = None) -> list[AuditItem]:
    pairing = paired(baseline.trials, treatment.trials)
    return audit_arms(baseline, treatment, pairing, find_treatment(baseline, treatment, wanted))


def only(items: list[AuditItem]) -> AuditItem:
    [item] = items
    return item


def codes(items: list[AuditItem]) -> list[tuple[str, str]]:
    return [(item.grade, item.code) for item in items]


def with_server(label: str = "mcp", **config: Any) -> Side:
    return arm(label, mcp_servers=[CODESEARCH], **config)


# The treatment is no difference; everything else is one.


def test_identical_arms_have_nothing_to_report() -> None:
    assert audit(arm("one"), arm("two")) == []


def test_trials_that_are_in_both_arms_are_pointed_out() -> None:
    first = arm("one")
    item = only(audit(first, side("two", first.trials)))
    assert (item.grade, item.code) == ("warning", "same_trials")
    assert item.message.startswith("2 trials of two are in one too")


def test_no_arm_of_no_trials_is_audited() -> None:
    assert (
        audit_arms(
            side("one", []), arm("two"), paired([], []), find_treatment(arm("x"), arm("y"), None)
        )
        == []
    )


def test_the_treated_server_is_not_reported_with_the_tools_it_brings() -> None:
    baseline = arm("base", kwargs={"allowed_tools": "Bash,Edit"})
    tools = "Bash,Edit,mcp__codesearch__find,mcp__codesearch"
    assert audit(baseline, with_server(kwargs={"allowed_tools": tools})) == []
    listed = with_server(kwargs={"allowed_tools": ["Bash", "Edit", "mcp__codesearch__find"]})
    before = arm("base", kwargs={"allowed_tools": ["Bash", "Edit"]})
    assert audit(before, listed) == []


def test_other_tools_allowed_are_a_difference() -> None:
    tools = {"allowed_tools": "Bash,Edit,Web,mcp__codesearch__find"}
    item = only(
        audit(arm("base", kwargs={"allowed_tools": "Bash,Edit"}), with_server(kwargs=tools))
    )
    assert (item.grade, item.code) == ("note", "kwargs")  # it names the server
    assert item.field == "agent_config.agent.kwargs.allowed_tools"
    other = {"allowed_tools": "Bash,Web"}
    item = only(audit(arm("base", kwargs={"allowed_tools": "Bash"}), with_server(kwargs=other)))
    assert (item.grade, item.baseline, item.treatment) == ("warning", "Bash", "Bash,Web")


@pytest.mark.parametrize(
    ("wanted", "config"),
    [
        ("model", {"model": "openai/gpt-5"}),
        ("agent", {"name": "codex", "version": "0.50.0"}),
        ("agent", {"import_path": "lab.agents:Mine"}),
    ],
)
def test_what_is_meant_to_differ_is_not_reported(wanted: str, config: dict[str, Any]) -> None:
    assert audit(arm("one"), arm("two", **config), wanted) == []


Row = tuple[dict[str, Any], dict[str, Any], str, str, str, str, str]

DIFFERENCES: list[Row] = [
    ({}, {"model": "openai/gpt-5"}, "blocker", "model", "agent_config.model", MODEL,
     "openai/gpt-5"),
    ({}, {"model": "claude-sonnet-4-5"}, "note", "model", "agent_config.model", MODEL,
     "claude-sonnet-4-5"),
    ({}, {"name": "codex"}, "blocker", "agent", "agent_config.agent.name", "claude-code", "codex"),
    ({}, {"import_path": "lab:Mine"}, "blocker", "import_path", "agent_config.agent.import_path",
     "not set", "lab:Mine"),
    ({}, {"import_path": "lab:McpAgent"}, "note", "import_path", "agent_config.agent.import_path",
     "not set", "lab:McpAgent"),
    ({}, {"version": "2.2.0"}, "warning", "agent_version", "agent_config.agent.version", "2.1.0",
     "2.2.0"),
    ({"kwargs": {"reasoning_effort": "low"}}, {"kwargs": {"reasoning_effort": "high"}}, "blocker",
     "kwargs", "agent_config.agent.kwargs.reasoning_effort", "low", "high"),
    ({"kwargs": {"max_turns": 40}}, {}, "warning", "kwargs", "agent_config.agent.kwargs.max_turns",
     "40", "not set"),
    ({"env": {"MODE": "a"}}, {"env": {"MODE": "b"}}, "warning", "env",
     "agent_config.agent.env.MODE", "set (***)", "set (***) (another value)"),
    ({}, {"env": {"API_KEY": "${API_KEY}"}}, "note", "env", "agent_config.agent.env.API_KEY",
     "not set", "${API_KEY}"),
    ({}, {"skills": ["navigate"]}, "warning", "skills", "agent_config.agent.skills", "not set",
     '["navigate"]'),
    ({"timeouts": tr.Timeouts(multiplier=1.0)}, {"timeouts": tr.Timeouts(multiplier=2.0)},
     "warning", "time_limits", "agent_config.timeouts.multiplier", "not set", "2.0"),
    ({}, {"environment": {"override_cpus": 8}}, "warning", "environment",
     "agent_config.environment.override_cpus", "not set", "8"),
    ({}, {"environment": {"force_build": True}}, "note", "environment",
     "agent_config.environment.force_build", "not set", "true"),
    ({}, {"verifier": {"disable": True}}, "warning", "verifier", "agent_config.verifier.disable",
     "not set", "true"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "grade", "code", "field", "one", "other"), DIFFERENCES)
def test_each_difference_shows_once_with_both_values(
    before: dict[str, Any], after: dict[str, Any],
    grade: str, code: str, field: str, one: str, other: str,
) -> None:  # fmt: skip
    item = only(audit(arm("base", **before), with_server(**after), "mcp:codesearch"))
    assert (item.grade, item.code, item.field) == (grade, code, field)
    assert (item.baseline, item.treatment) == (one, other)
    assert "base" in item.message
    assert "mcp" in item.message
    assert item.message.endswith(".")


def test_another_server_than_the_treated_one_is_a_warning() -> None:
    servers = [CODESEARCH, {"name": "browser", "command": "browse", "args": ["--token", "s3cr3t"]}]
    item = only(audit(arm("base"), arm("mcp", mcp_servers=servers), "mcp:codesearch"))
    assert (item.grade, item.field) == ("warning", "agent_config.agent.mcp_servers.browser")
    assert item.treatment == '{"args":["--token","***"],"command":"browse","name":"browser"}'


def test_options_are_notes_when_the_configuration_is_the_treatment() -> None:
    after = arm("two", kwargs={"reasoning_effort": "high"}, model="openai/gpt-5")
    before = arm("one", kwargs={"reasoning_effort": "low"})
    assert codes(audit(before, after, "config")) == [("warning", "model"), ("note", "kwargs")]


def test_what_names_the_treated_tool_may_be_part_of_it() -> None:
    def calling(member: Trial) -> None:
        member.trace.tools = tr.Tools(calls=[tr.ToolCalls(name="nav_find", count=1)])

    own = {"kwargs": {"nav_sha": "abc123"}, "skills": ["nav"], "import_path": "lab:NavAgent"}
    after = arm("two", change=calling, **own)
    items = audit(arm("one"), after, "tool:(?i)nav")
    assert {item.grade for item in items} == {"note"}
    assert [item.code for item in items] == ["import_path", "kwargs", "skills"]
    assert all("part of the treatment" in item.message for item in items)


def test_defaults_written_out_and_unknown_versions_are_no_difference() -> None:
    written = {"type": "docker", "delete": True, "cpu_enforcement_policy": "auto", "mounts": None}
    before = arm("one", environment=written, version=None, timeouts=tr.Timeouts(multiplier=1.0))
    assert audit(before, arm("two", environment={}, timeouts=tr.Timeouts())) == []


def test_a_trial_without_a_configuration_tells_nothing() -> None:
    def forget(member: Trial) -> None:
        if member.task == "a":
            member.trace.agent_config = tr.AgentConfig(agent=tr.Agent())

    same = {"kwargs": {"max_turns": 9}, "environment": {"override_cpus": 2}}
    assert audit(arm("one", change=forget, **same), arm("two", **same)) == []


def test_an_arm_of_two_configurations_is_pointed_out() -> None:
    def other_model(member: Trial) -> None:
        if member.task == "b":
            member.trace.agent_config.model = "openai/gpt-5"

    item = only(audit(arm("one"), arm("two", change=other_model), "config"))
    assert (item.grade, item.code) == ("warning", "not_one_configuration")
    assert item.baseline == "anthropic/claude-so… (2)"
    assert item.treatment == "anthropic/claude-so… (1), openai/gpt-5 (1)"


# A treatment that is none.


def seen(status: str | None = "connected") -> Change:
    def change(member: Trial) -> None:
        servers = [tr.McpServer(name="codesearch", status=status)] if status else []
        member.trace.tools = tr.Tools(mcp_servers=servers)

    return change


def test_a_treatment_in_both_arms_or_in_none_blocks() -> None:
    both = audit(arm("one", change=seen()), arm("two", change=seen()), "mcp:codesearch")
    assert codes(both) == [("blocker", "treatment_in_both_arms")]
    none = audit(arm("one", change=seen()), arm("two", change=seen(None)), "mcp:codesearch")
    assert codes(none) == [("blocker", "treatment_absent")]
    fine = audit(arm("one", change=seen(None)), arm("two", change=seen()), "mcp:codesearch")
    assert fine == []


def test_one_clean_trial_of_the_baseline_hides_no_treatment_in_both_arms() -> None:
    values = [(name, 1.0) for name in "abcde"]
    before = arm("one", values, change=seen())
    seen(None)(before.trials[0])
    both = audit(before, arm("two", values, change=seen()), "mcp:codesearch")
    assert codes(both) == [("blocker", "treatment_in_both_arms")]


def test_a_treatment_of_which_nothing_tells_is_a_warning() -> None:
    items = audit(arm("one"), arm("two"), "mcp:codesearch")
    assert codes(items) == [("warning", "treatment_unseen")]


def test_a_model_meant_to_differ_that_does_not_blocks() -> None:
    assert codes(audit(arm("one"), arm("two"), "model")) == [("blocker", "treatment_in_both_arms")]


def test_a_server_that_nobody_configured_is_pointed_out() -> None:
    item = only(audit(arm("one", change=seen(None)), arm("two", change=seen()), "config"))
    assert (item.code, item.baseline, item.treatment) == (
        "seen_servers",
        "not configured and seen in 0 of 2 trials",
        "not configured and seen in 2 of 2 trials",
    )


def test_a_server_configured_in_one_arm_is_not_said_to_be_missing_there() -> None:
    stray = arm("base", change=seen())
    items = audit(stray, with_server(change=seen()), "model")
    [item] = [row for row in items if row.code == "seen_servers"]
    assert "without being configured in 2 of 2 trials of base and 0 of 2 trials of mcp" in (
        item.message
    )


# One trial that strays.

THIRTY = [(f"t{number:02}", float(number % 2)) for number in range(30)]


def straying(number: int, **stray: Any) -> Change:
    """Give the first trials of an arm another configuration."""
    left = [number]

    def change(member: Trial) -> None:
        if left[0]:
            left[0] -= 1
            member.trace.agent_config = to_config(stray)

    return change


@pytest.mark.parametrize(
    ("usual", "code"),
    [
        ({"model": "anthropic/claude-opus-4-5"}, "model"),
        ({"name": "codex"}, "agent"),
        ({"import_path": "lab:Mine"}, "import_path"),
        ({"kwargs": {"reasoning_effort": "high"}}, "kwargs"),
    ],
)
def test_a_stray_trial_hides_no_blocker(usual: dict[str, Any], code: str) -> None:
    after = arm("two", THIRTY, change=straying(1), mcp_servers=[CODESEARCH], **usual)
    items = audit(arm("one", THIRTY), after, "mcp:codesearch")
    found = [(item.grade, item.code) for item in items if "mcp_servers" not in item.field]
    assert found == [("blocker", code), ("warning", "not_one_configuration")]
    assert "(29)" in (items[0].treatment or "")
    assert "(1)" in (items[0].treatment or "")


def test_arms_that_mix_two_models_alike_are_no_blocker() -> None:
    gpt = {"model": "openai/gpt-5"}
    before = arm("one", THIRTY, change=straying(16, **gpt))
    after = arm("two", THIRTY, change=straying(14, **gpt))
    assert codes(audit(before, after, "config")) == [("warning", "not_one_configuration")]


def test_a_stray_trial_makes_no_other_model_of_the_treatment() -> None:
    after = arm("two", THIRTY, change=straying(1, model="openai/gpt-5"))
    assert ("blocker", "treatment_in_both_arms") in codes(audit(arm("one", THIRTY), after, "model"))


def test_a_stray_answer_hides_no_other_model() -> None:
    def answers(first: str, rest: str) -> Change:
        return lambda member: answered(first if member.task == "t00" else rest)(member)

    before = arm("one", THIRTY, change=answers("sonnet", "sonnet"))
    for stray in ("sonnet", "opus"):
        first = arm("one", THIRTY, change=answers("opus", "sonnet")) if stray == "opus" else before
        items = audit(first, arm("two", THIRTY, change=answers("sonnet", "opus")))
        assert codes(items) == [("blocker", "answered_model")]


# Names of settings and servers.


def test_a_setting_is_judged_by_its_whole_name() -> None:
    dotted = "secret.value"
    items = audit(arm("one", kwargs={dotted: "hunter2pw"}), arm("two", kwargs={dotted: "other"}),
                  "config")  # fmt: skip
    assert (only(items).baseline, only(items).treatment) == ("***", "*** (another value)")
    assert "hunter2pw" not in str(items)


def test_a_password_that_begins_like_a_variable_is_hidden() -> None:
    items = audit(arm("one", env={"PW": "$hunter2pw"}), arm("two", env={"PW": "$OTHER"}), "config")
    assert (only(items).baseline, only(items).treatment) == ("set (***)", "$OTHER")


ADDRESS = "https://u:hunter2pw@mcp.example.com/sse?api_key=abc123xyz"


@pytest.mark.parametrize("given", [ADDRESS, {"name": ADDRESS, "url": ADDRESS}])
@pytest.mark.parametrize("wanted", [None, f"mcp:{ADDRESS}", "model", "mcp:codesearch"])
def test_a_server_named_by_an_address_shows_no_password(given: Any, wanted: str | None) -> None:
    def noticed(member: Trial) -> None:
        member.trace.tools = tr.Tools(mcp_servers=[tr.McpServer(name=ADDRESS, status="connected")])

    def plain(member: Trial) -> None:
        member.trace.tools = tr.Tools(mcp_servers=[])

    baseline = arm("one", change=plain)
    half = straying(1, mcp_servers=[CODESEARCH])
    for treatment in (
        arm("two", change=plain, mcp_servers=[given, CODESEARCH]),
        arm("two", change=noticed),
        arm("two", change=half, mcp_servers=[given]),
    ):
        for first, second in ((baseline, treatment), (treatment, baseline)):
            said = told_of(first, second, wanted)
            assert "hunter2pw" not in said
            assert "abc123xyz" not in said


def told_of(baseline: Side, treatment: Side, wanted: str | None) -> str:
    """Give all that is said of the treatment and by the audit, or why it is refused."""
    try:
        treated = find_treatment(baseline, treatment, wanted)
    except ValueError as error:
        return str(error)
    pairing = paired(baseline.trials, treatment.trials)
    return f"{treated.record} {audit_arms(baseline, treatment, pairing, treated)}"


def test_two_servers_of_one_name_are_still_one_configuration() -> None:
    twice = [CODESEARCH, {"name": "x", "url": "https://a/"}, {"name": "x", "url": "https://b/"}]
    item = only(audit(arm("base"), arm("mcp", mcp_servers=twice), "mcp:codesearch"))
    assert (item.code, item.field) == ("mcp_servers", "agent_config.agent.mcp_servers.x")
    assert item.treatment == '[{"name":"x","url":"https://a/"},{"name":"x","url":"https://b/"}]'
    assert audit(arm("one", mcp_servers=twice), arm("two", mcp_servers=twice[::-1]), "config") == []


# Models that answered.


def answered(*models: str) -> Change:
    def change(member: Trial) -> None:
        usage = {
            name: tr.ModelUsage(input_tokens=1000 // place)
            for place, name in enumerate(models, start=1)
        }
        member.trace.agent_response = tr.AgentResponse(model_usage=usage)

    return change


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (["sonnet-4-5"], ["opus-4-5"], [("blocker", "answered_model")]),
        (["sonnet-4-5"], ["sonnet-4-5-20250929"], [("warning", "answered_model")]),
        (["anthropic/sonnet-4-5"], ["sonnet-4-5@20250929"], [("warning", "answered_model")]),
        (["gpt-4o"], ["gpt-4o-2024-08-06"], [("warning", "answered_model")]),
        (["mistral-large-latest"], ["mistral-large-2411"], [("warning", "answered_model")]),
        (["qwen3:free"], ["qwen3"], [("warning", "answered_model")]),
        (["gpt-5"], ["gpt-5-mini"], [("blocker", "answered_model")]),
        (["claude-opus-4"], ["claude-opus-4-1"], [("blocker", "answered_model")]),
        (["gpt-4o-2024-05-13"], ["gpt-4o-2024-11-20"], [("blocker", "answered_model")]),
        (["llama-3"], ["llama-3-405b"], [("blocker", "answered_model")]),
        (["sonnet-4-5"], ["sonnet-4-5", "haiku"], [("note", "subagent_models")]),
        (["sonnet-4-5", "haiku"], ["sonnet-4-5", "haiku"], []),
    ],
)
def test_the_model_that_took_most_tokens_is_the_one_that_answered(
    before: list[str], after: list[str], expected: list[tuple[str, str]]
) -> None:
    items = audit(arm("one", change=answered(*before)), arm("two", change=answered(*after)))
    assert codes(items) == expected


# Tasks.


def test_another_instruction_blocks_and_names_the_tasks() -> None:
    def told(word: str) -> Change:
        def change(member: Trial) -> None:
            member.instruction = word if member.task == "a" else "same"
            member.trace.sources = {"task_instruction": "agent/sessions: as sent"}
            member.trace.task.digest = f"sha256:{member.task}"

        return change

    before = arm("one", change=told("x"))
    item = only(audit(before, with_server(change=told("y")), "mcp:codesearch"))
    assert (item.grade, item.code, item.tasks) == ("blocker", "instruction", ["a"])
    assert "1 of 2 tasks" in item.message
    around = audit(before, arm("two", change=told("y")), "config")
    assert codes(around) == [("warning", "instruction")]  # the tasks are the same by digest


def test_instructions_are_compared_only_where_both_arms_have_one() -> None:
    def told(word: str | None) -> Change:
        return lambda member: setattr(member, "instruction", word)

    assert audit(arm("one", change=told("x")), arm("two", change=told(None))) == []


def test_instructions_from_different_files_are_a_note() -> None:
    def told(place: str) -> Change:
        def change(member: Trial) -> None:
            member.instruction = place
            member.trace.sources = {"task_instruction": place}

        return change

    items = audit(arm("one", change=told("a log")), arm("two", change=told("the task")))
    assert codes(items) == [("note", "instruction")]


def test_a_digest_decides_before_a_checksum() -> None:
    def task(**fields: str) -> Change:
        def change(member: Trial) -> None:
            if member.task == "a":
                member.trace.task = tr.Task(name="a", **fields)

        return change

    def items(one: dict[str, str], other: dict[str, str]) -> list[AuditItem]:
        return audit(arm("one", change=task(**one)), arm("two", change=task(**other)))

    assert items({"digest": "x", "checksum": "1"}, {"digest": "x", "checksum": "2"}) == []
    item = only(items({"checksum": "1"}, {"checksum": "2"}))
    assert (item.grade, item.field, item.tasks) == ("blocker", "task.checksum", ["a"])
    assert (item.baseline, item.treatment) == ("1", "2")
    item = only(items({"digest": "x", "checksum": "1"}, {"digest": "y", "checksum": "1"}))
    assert (item.grade, item.field) == ("blocker", "task.digest")
    source = only(items({"source": "v1"}, {"source": "v2"}))
    assert (source.grade, source.code) == ("warning", "dataset")
    same = only(items({"source": "v1", "digest": "x"}, {"source": "v2", "digest": "x"}))
    assert same.grade == "note"


def test_missing_tasks_are_named_and_block_when_they_are_most() -> None:
    three = [("a", 1.0), ("b", 1.0), ("c", 1.0)]
    item = only(audit(arm("one", three), arm("two", three[:2])))
    assert (item.grade, item.code, item.tasks) == ("warning", "missing_tasks", ["c"])
    assert (item.baseline, item.treatment) == ("3 tasks", "2 tasks")
    items = audit(arm("one", three), arm("two", three[:1]))
    assert codes(items) == [("blocker", "few_pairs"), ("warning", "missing_tasks")]
    assert items[0].message.startswith("Only 1 of 3 tasks can be compared: the others lack")
    items = audit(arm("one", three), arm("two", [("d", 1.0)]))
    assert items[0].message.startswith("None of 4 tasks can be compared: they lack")


def test_a_task_without_an_attempt_that_counts_is_named() -> None:
    item = only(audit(arm("one", [("a", 1.0), ("b", 1.0)]), arm("two", [("a", 1.0), ("b", None)])))
    assert (item.code, item.tasks) == ("no_valid_attempt", ["b"])


def test_attempts_differ_by_plan_or_by_what_was_started() -> None:
    item = only(audit(arm("one", inputs={"attempts": 3}), arm("two", inputs={"attempts": 5})))
    assert (item.grade, item.code) == ("warning", "attempts")
    assert (item.baseline, item.treatment) == ("3 planned", "5 planned")
    twice = [("a", 1.0), ("a", 1.0), ("b", 0.0), ("b", 0.0)]
    item = only(audit(arm("one"), arm("two", twice)))
    assert (item.grade, item.baseline, item.treatment) == ("warning", "1 started", "2 started")
    item = only(audit(arm("one", twice), arm("two", twice[1:])))
    assert (item.grade, item.treatment) == ("note", "1 to 2 started")


def test_trials_set_aside_are_counted() -> None:
    after = arm("two")
    after.set_aside = [trial(1.0, task="a")]
    item = only(audit(arm("one"), after))
    assert (item.code, item.baseline, item.treatment) == ("set_aside", "0", "1")


# Runs.


RETRY = {"max_retries": 1, "include_exceptions": ["A"], "exclude_exceptions": ["B"]}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"concurrency": 4}, {"concurrency": 5}, [("note", "inputs.concurrency")]),
        ({"concurrency": 4}, {"concurrency": 8}, [("warning", "inputs.concurrency")]),
        ({"concurrency": 4}, {"concurrency": None}, []),
        ({"retry": RETRY}, {"retry": {**RETRY}}, []),
        ({"retry": RETRY}, {"retry": {**RETRY, "max_retries": 3}},
         [("warning", "inputs.retry.max_retries")]),
        ({"retry": RETRY}, {"retry": {**RETRY, "include_exceptions": None}},
         [("note", "inputs.retry.include_exceptions")]),
        ({"retries": 0}, {"retries": 2}, [("note", "inputs.retries")]),
    ],
)  # fmt: skip
def test_how_the_jobs_were_run_is_compared(
    before: dict[str, Any], after: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    items = audit(arm("one", inputs=before), arm("two", inputs=after))
    assert [(item.grade, item.field) for item in items] == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("0.25.0", "0.24.0", [("warning", "harness_version")]),
        ("0.25.0", ">=0.8.0", [("note", "harness_version")]),
        ("0.25.0", "0.25.0", []),
    ],
)
def test_the_harness_is_compared(one: str, other: str, expected: list[tuple[str, str]]) -> None:
    def version(label: str) -> Change:
        return lambda member: setattr(member.trace.origin, "harness_version", label)

    assert codes(audit(arm("a", change=version(one)), arm("b", change=version(other)))) == expected


def ran(start: str, end: str) -> Change:
    def change(member: Trial) -> None:
        member.trace.origin.started_at, member.trace.origin.finished_at = start, end

    return change


@pytest.mark.parametrize(
    ("start", "grades", "apart"),
    [
        ("2026-03-01T10:30:00Z", [], ""),
        ("2026-03-01T14:00:00Z", ["note"], "3 hours apart"),
        ("2026-03-04T11:00:00Z", ["warning"], "3 days apart"),
        ("2026-03-04T11:00:00", [], ""),  # a local time without its zone
    ],
)
def test_arms_that_ran_at_other_times_are_told_apart(
    start: str, grades: list[str], apart: str
) -> None:
    first = arm("one", change=ran("2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z"))
    items = audit(first, arm("two", change=ran(start, start)))
    assert [item.grade for item in items] == grades
    assert all(apart in item.message and "baseline first" in item.message for item in items)


def test_a_provider_that_failed_more_often_in_one_arm_is_named() -> None:
    def failing(member: Trial) -> None:
        if member.value is None:
            member.trace.error = tr.TraceError(type="Api", cause="model_provider_failed")

    tasks = [f"t{number}" for number in range(10)]
    many = arm("two", [(task, None if task < "t6" else 1.0) for task in tasks], change=failing)
    items = audit(arm("one", [(task, 1.0) for task in tasks]), many)
    [item] = [item for item in items if item.code == "provider_errors"]
    assert (item.baseline, item.treatment) == ("0 of 10 trials", "6 of 10 trials")
    few = arm("two", [(task, None if task < "t1" else 1.0) for task in tasks], change=failing)
    items = audit(arm("one", [(task, 1.0) for task in tasks]), few)
    assert "provider_errors" not in [item.code for item in items]


# How the numbers came about.


def test_costs_and_tokens_from_different_sources_are_told() -> None:
    def cost(**fields: Any) -> Change:
        return lambda member: setattr(member.trace.metrics, "cost", tr.Cost(usd=1.0, **fields))

    reported = arm("one", change=cost(source="reported"))
    table = arm("two", change=cost(source="computed", price_table="table 7"))
    item = only(audit(reported, table))
    assert (item.grade, item.code) == ("warning", "cost_source")
    assert (item.baseline, item.treatment) == ("reported (2)", "computed by table 7 (2)")

    def usage(source: str) -> Change:
        return lambda member: setattr(member.trace, "sources", {"usage": source})

    one, other = arm("one", change=usage("x.txt: last")), arm("two", change=usage("y.json"))
    assert codes(audit(one, other)) == [("note", "log_source")]
    steps = arm("two", change=usage("steps/one/x.txt: all; steps/two/x.txt: all"))
    assert audit(one, steps) == []


def test_statuses_show_that_pass_thresholds_differ() -> None:
    def graded(status: str) -> Change:
        def change(member: Trial) -> None:
            member.trace.test_reward, member.trace.status = 0.5, status  # type: ignore[assignment]

        return change

    halves = [("a", 0.5), ("b", 0.5)]
    strict = arm("strict", halves, change=graded("partial"))
    item = only(audit(strict, arm("lax", halves, change=graded("pass"))))
    assert (item.grade, item.code) == ("warning", "pass_threshold")


# Likely broken set-ups.


def attempts(task: str, *values: float, **fields: Any) -> list[Trial]:
    members = [trial(value, task=task, tool_calls=20, seconds=300.0) for value in values]
    for member in members:
        for name, value in fields.items():
            if name == "cases":
                member.cases = value
            elif name == "error":
                member.trace.error = tr.TraceError(type=value, reward_valid=True)
            elif name == "seconds":
                member.trace.metrics.durations.agent_execution_s = value
            else:
                setattr(member.trace.metrics, name, value)
    return members


def steady() -> list[Trial]:
    """Six tasks that pass in every attempt, as trials of their own."""
    return [member for n in range(6) for member in attempts(f"steady-{n}", 1.0, 1.0)]


ALL_FAIL = {"test_a": "failed", "test_b": "failed"}
SOME_FAIL = {"test_a": "failed", "test_b": "passed"}


def setups(broken: list[Trial], solved: list[Trial]) -> list[AuditItem]:
    return audit(side("one", [*steady(), *broken]), side("two", [*steady(), *solved]))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tool_calls": 1}, "at most 1 tool call each"),
        ({"seconds": 4.0}, "under a tenth of the usual time"),
        ({"error": "AgentTimeoutError"}, "AgentTimeoutError in each attempt"),
        ({"cases": ALL_FAIL}, "no test of the verifier passes"),
    ],
)
def test_a_task_at_zero_in_one_arm_that_fails_alike_is_likely_broken(
    fields: dict[str, Any], said: str
) -> None:
    item = only(setups(attempts("x", 0.0, 0.0, **fields), attempts("x", 1.0, 1.0)))
    assert (item.code, item.tasks) == ("zero_in_one_arm", ["x"])
    assert said in item.message
    # One of seven tasks is all of the difference: +14.3 points become 0.
    assert "+14.3 points of the difference of +14.3 points, which is 0" in item.message
    # Nothing is shown with it or without it, so no finding hangs on it.
    assert item.grade == "warning"


def test_a_broken_task_that_changes_no_finding_is_a_warning() -> None:
    gained = [m for n in range(12) for m in attempts(f"gained-{n}", 1.0, 1.0)]
    lost = [
        m for n in range(12)
        for m in attempts(f"gained-{n}", 0.0, 0.0, cases={f"test_{n}": "failed", "t": "passed"})
    ]  # fmt: skip
    items = audit(
        side("one", [*steady(), *lost, *attempts("x", 0.0, 0.0, tool_calls=0)]),
        side("two", [*steady(), *gained, *attempts("x", 1.0, 1.0)]),
    )
    assert codes(items) == [("warning", "zero_in_one_arm"), ("note", "zero_in_one_arm")]
    assert items[0].tasks == ["x"]
    assert len(items[1].tasks) == 12  # the same test each time, while others pass: hard, or broken


@pytest.mark.parametrize(
    ("broken", "solved"),
    [
        (attempts("x", 0.0, 0.0), attempts("x", 1.0, 1.0)),  # nothing says that it fails alike
        (attempts("x", 0.0, cases=ALL_FAIL), attempts("x", 1.0)),  # one attempt is like nothing
        (attempts("x", 0.0, 1.0, tool_calls=0), attempts("x", 1.0, 1.0)),  # it can be solved
        (
            [*attempts("x", 0.0, cases=ALL_FAIL), *attempts("x", 0.0, cases=SOME_FAIL)],
            attempts("x", 1.0, 1.0),
        ),
    ],
)
def test_an_ordinary_failure_is_no_broken_set_up(broken: list[Trial], solved: list[Trial]) -> None:
    assert setups(broken, solved) == []


def test_a_task_that_fails_alike_in_both_arms_can_show_nothing() -> None:
    everywhere = setups(attempts("x", 0.0, cases=ALL_FAIL), attempts("x", 0.0, cases=ALL_FAIL))
    assert codes(everywhere) == [("warning", "same_failure_everywhere")]
    hard = setups(attempts("x", 0.0, cases=SOME_FAIL), attempts("x", 0.0, cases=SOME_FAIL))
    assert codes(hard) == [("note", "same_failure_everywhere")]


def test_zero_is_no_failure_of_what_passed_or_of_what_is_no_reward() -> None:
    def audited(passed: bool, **more: Any) -> list[AuditItem]:
        free = attempts("x", 0.0, 0.0, tool_calls=0)
        for member in free:
            member.passed = passed
        arms = side("one", [*steady(), *free]), side("two", [*steady(), *attempts("x", 1.0, 1.0)])
        pairing = paired(arms[0].trials, arms[1].trials)
        return audit_arms(*arms, pairing, find_treatment(*arms, None), **more)

    cost = metric("number", name="metrics.cost.usd", field="metrics.cost.usd", better="lower")
    failures = metric("number", name="n_failed", field="rewards.n_failed", better="lower")
    assert audited(True) == []  # three trials of $0 that passed
    assert audited(False, metric=cost) == []
    assert audited(False, metric=failures) == []
    assert codes(audited(False, metric=metric())) == [("warning", "zero_in_one_arm")]


def gained(number: int) -> tuple[list[Trial], list[Trial]]:
    """Tasks lost in one arm, each in its own way, and won in the other; `x` looks broken."""
    names = [f"gained-{n}" for n in range(number)]
    lost = [
        m for name in names
        for m in attempts(name, 0.0, 0.0, cases={f"test_{name}": "failed", "t": "passed"})
    ]  # fmt: skip
    won = [m for name in names for m in attempts(name, 1.0, 1.0)]
    return [*lost, *attempts("x", 0.0, 0.0, tool_calls=0)], [*won, *attempts("x", 1.0, 1.0)]


@pytest.mark.parametrize(
    ("number", "groups", "alpha", "grade"),
    [
        # Seven gained: mid-p 1/128, and 1/64 without the broken one.
        (6, None, 0.05, "warning"),
        (6, None, 0.01, "blocker"),
        # Eleven, and ten; but only six groups (1/64), and five (1/32).
        (10, None, 0.03, "warning"),
        (10, 5, 0.03, "blocker"),
    ],
)
def test_a_broken_task_is_graded_by_what_the_headline_would_say(
    number: int, groups: int | None, alpha: float, grade: str
) -> None:
    before, after = gained(number)
    arms = side("one", before), side("two", after)
    clusters = {f"gained-{n}": f"group-{n % groups}" for n in range(number)} if groups else None
    options = CompareOptions(alpha=alpha, cluster_by="task.category" if groups else None)
    pairs = paired(before, after, clusters=clusters)
    treated = find_treatment(*arms, None)
    items = audit_arms(*arms, pairs, treated, metric=metric(), options=options)
    assert [item.grade for item in items if item.tasks == ["x"]] == [grade]


# Secrets.


@pytest.mark.parametrize(
    ("value", "key", "expected"),
    [
        ("hunter2", "DB_PASSWORD", HIDDEN),
        ("abc", "api_key", HIDDEN),
        ("${API_KEY}", "api_key", "${API_KEY}"),
        (8000, "max_output_tokens", "8000"),
        (1234, "password", HIDDEN),
        ("npx server --token abc123 -v", "command", "npx server --token *** -v"),
        ("npx server --api-key=abc123", "command", "npx server --api-key=***"),
        ("npx server --token ${TOKEN}", "command", "npx server --token ${TOKEN}"),
        ("https://ada:pw@example.com/mcp", "url", "https://***@example.com/mcp"),
        ("https://example.com/mcp?access_token=x&v=2", "url",
         "https://example.com/mcp?access_token=***&v=2"),
        ("Authorization: Bearer abc.def-ghi", "header", "Authorization: ***"),
        ("use sk-ant-api03-abcdef now", "note", "use *** now"),
        ("ghp_abcdefghijkl", "x", HIDDEN),
        ("AKIAIOSFODNN7EXAMPLE", "x", HIDDEN),
        ("xoxb-123456-abcdef", "x", HIDDEN),
        ("0f3a9c77b1e24d5586aa0b1c2d3e4f50", "x", HIDDEN),
        ("05dda73f38034bb6a3f0aa60caecef1da728639f", "nav_sha",
         "05dda73f38034bb6a3f0aa60caecef1da728639f"),
        ("claude-sonnet-4-5-20250929", "model", "claude-sonnet-4-5-20250929"),
        ("/home/ada/bench/lab/tasks/archive-duplicate-rows", "path",
         "/home/ada/bench/lab/tasks/archive-duplicate-rows"),
        ({"headers": {"X-Me": "abc"}}, "server", '{"headers":{"X-Me":"***"}}'),
        (["--token", "abc", "--depth", "3"], "args", '["--token","***","--depth","3"]'),
        ({"a": {"secret": "x"}}, "x", '{"a":{"secret":"***"}}'),
        (None, "api_key", "not set"),
        ("\x1b[31mred\nline", "x", "red line"),
    ],
)  # fmt: skip
def test_secrets_are_masked_and_the_rest_is_shown(value: Any, key: str, expected: str) -> None:
    assert shown(value, key) == expected


def test_values_that_look_alike_when_masked_are_told_apart() -> None:
    assert shown_pair("abc", "def", "api_key") == ("***", "*** (another value)")
    first, second = shown_pair("x" * 200 + "1", "x" * 200 + "2")
    assert first != second
    assert len(second) == 80


@given(st.text(alphabet="abcdef0123456789", min_size=32, max_size=64), st.sampled_from("=: "))
def test_a_token_flag_never_shows_its_value(secret: str, mark: str) -> None:
    assert secret not in shown(f"server --access-token{mark}{secret} --verbose", "command")
    assert len(shown({"command": ["x"] * 50, "token": secret}, "server")) <= 80


# Real jobs.


def audit_of(*paths: Path, treatment: str | None = None) -> list[AuditItem]:
    options = CompareOptions(treatment=treatment)
    metric = find_metric(options.metric)
    readings = [(None, read_path(path, metric, options)) for path in paths]
    sides = to_sides(readings, None, [])
    name_tasks(sides, options)
    baseline, after = sides
    treated = find_treatment(baseline, after, treatment)
    return audit_arms(baseline, after, pair_tasks(baseline, after, options), treated)


def test_the_examples_differ_by_retries_and_their_time_only() -> None:
    items = audit_of(EXAMPLES / "baseline", EXAMPLES / "with-codesearch")
    assert codes(items) == [("note", "retries"), ("note", "run_window")]


@here
def test_lab_dev_differs_by_nothing_but_its_server() -> None:
    items = audit_of(LAB / "baseline", LAB / "with-sourcegraph")
    assert [(item.grade, item.code, item.tasks) for item in items] == [
        # Both its attempts lack a reward that counts: a provider error, a failed sandbox.
        ("warning", "no_valid_attempt", ["validator-stale-index"]),
        # 0 of 4 tests pass in both attempts, all 4 in both of the other arm.
        ("warning", "zero_in_one_arm", ["inventory-flag-parsing"]),
        ("note", "retries", []),
        ("note", "run_window", []),
    ]
    assert (items[2].baseline, items[2].treatment) == ("0", "1")
    assert "token" not in str(items).lower().replace("tokens", "")


@here
def test_one_job_of_two_configurations_names_what_differs() -> None:
    items = audit_of(CORPUS / "harbor-states" / "mcp")
    values = {item.field: (item.grade, item.baseline, item.treatment) for item in items}
    agent = "agent_config.agent"
    assert values[f"{agent}.kwargs.allowed_tools"] == ("warning", "not set", "Bash,Edit")
    assert values[f"{agent}.env.FAKE_SLEEP"] == ("warning", "not set", "set (***)")
    assert values[f"{agent}.env.FAKE_FAIL"] == ("warning", "set (***)", "not set")
    assert values[f"{agent}.env.ANTHROPIC_API_KEY"][0] == "note"
    assert not [field for field in values if "mcp_servers" in field]


@here
def test_a_tool_that_comes_with_a_class_of_its_own_is_noted() -> None:
    jobs = CORPUS / "tool-ab-2026-08"
    items = audit_of(jobs / "codex-stock", jobs / "codex-tool", treatment="tool:symnav")
    assert {item.grade for item in items} == {"note"}
    assert [item.field.rpartition(".")[2] for item in items] == [
        "import_path",
        "symnav_sha",
        "reward",
    ]
