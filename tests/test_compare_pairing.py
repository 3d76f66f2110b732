"""Names made comparable, attempts numbered and chosen, tasks paired, trials counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaltrace import trace as tr
from evaltrace.compare.counting import count_trials, to_pairs
from evaltrace.compare.options import CompareOptions
from evaltrace.compare.pairing import name_tasks, pair_tasks, read_task_map
from evaltrace.compare.reading.fields import number_at, number_fields, text_at, value_at
from evaltrace.compare.reading.metric import find_metric, to_metric
from evaltrace.compare.reading.paths import to_reading
from evaltrace.compare.reading.splitting import to_sides
from evaltrace.compare.sides import Pairing, Side
from evaltrace.errors import ArmsUnclear, EvaltraceError, Problem, UnknownName, UnreadablePath
from traces import minimal_trace

_DAY = "2026-03-01T10:00:{:02}Z"


def _trace(title: str, number: int = 1, reward: float | None = 1.0, **changes: Any) -> tr.Trace:
    org, _, name = title.rpartition("/")
    fields: dict[str, Any] = {
        "trace_id": f"{title}-{number}-{changes.get('arm')}",
        "task_id": f"{name}__{number}",
        "task": tr.Task(name=name, org=org or None),
        "test_reward": reward,
        "rewards": None if reward is None else {"reward": reward},
        "attempt": number,
    }
    return minimal_trace(**{**fields, **changes})


def _error(cause: str, *, valid: bool = False) -> tr.TraceError:
    return tr.TraceError(type="Error", cause=cause, reward_valid=valid)


def _sides(*arms: list[tr.Trace], options: CompareOptions | None = None) -> list[Side]:
    options = options or CompareOptions()
    metric = find_metric(options.metric)
    readings = [
        (None, to_reading(f"arm{number}", traces, metric, options))
        for number, traces in enumerate(arms)
    ]
    sides = to_sides(readings, options.arm_by, [])
    name_tasks(sides, options)
    return sides


def _paired(
    baseline: list[tr.Trace], treatment: list[tr.Trace], **options: Any
) -> tuple[Side, Side, Pairing]:
    chosen = CompareOptions(**options)
    first, second = _sides(baseline, treatment, options=chosen)
    return first, second, pair_tasks(first, second, chosen)


def _names(pairing: Pairing) -> list[str]:
    return [pair.task for pair in pairing.pairs]


# Names.


def test_tasks_pair_by_their_short_titlewhatever_their_organisation() -> None:
    *_, pairing = _paired([_trace("acme/sort")], [_trace("sort")])
    assert _names(pairing) == ["sort"]


def test_a_short_titleof_two_organisations_pairs_by_the_full_one() -> None:
    both = [_trace("acme/sort"), _trace("beta/sort", 2)]
    *_, pairing = _paired(both, [_trace("beta/sort")])
    assert [(pair.task, len(pair.baseline), len(pair.treatment)) for pair in pairing.tasks] == [
        ("acme/sort", 1, 0),
        ("beta/sort", 1, 1),
    ]


def test_full_names_keep_organisations_apart() -> None:
    *_, pairing = _paired([_trace("acme/sort")], [_trace("beta/sort")], pair_by="full-name")
    assert _names(pairing) == []


def test_checksums_pair_only_what_is_the_same_task() -> None:
    def task(checksum: str | None) -> tr.Task:
        return tr.Task(name="sort", checksum=checksum)

    baseline = [_trace("sort", task=task("aaaa")), _trace("sort", 2, task=task("bbbb"))]
    *_, pairing = _paired(baseline, [_trace("sort", task=task("bbbb"))], pair_by="checksum")
    assert _names(pairing) == ["sort (bbbb)"]


def test_a_missing_checksum_is_a_problem_and_pairs_by_name() -> None:
    options = CompareOptions(pair_by="checksum")
    metric = find_metric("reward")
    side = to_sides(
        [(name, to_reading("x", [_trace("sort", arm=name)], metric, options)) for name in "ab"],
        None,
        [],
    )
    problems = name_tasks(side, options)
    assert {problem.code for problem in problems} == {"no_task_digest"}
    assert _names(pair_tasks(*side, options)) == ["sort"]


_LONG = "a-task-with-a-name-that-is-longer-than-thirty-two"


def test_a_titlecut_at_32_characters_finds_its_whole_one() -> None:
    *_, pairing = _paired([_trace(_LONG[:32])], [_trace(_LONG)])
    assert _names(pairing) == [_LONG]
    assert pairing.renamed == {_LONG[:32]: _LONG}


def test_a_cut_titlethat_two_tasks_begin_with_is_left_alone() -> None:
    *_, pairing = _paired([_trace(_LONG[:32])], [_trace(_LONG), _trace(_LONG + "-more")])
    assert (_names(pairing), pairing.renamed) == ([], {})


def test_a_shorter_titleis_no_cut_one() -> None:
    *_, pairing = _paired([_trace("a-task")], [_trace("a-task-of-its-own")])
    assert _names(pairing) == []


@pytest.mark.parametrize(
    ("task_map", "name", "mapped"),
    [
        (r"-v\d+$", "sort-v2", "sort"),
        (r"^lab-", "lab-sort", "sort"),
        (r"^\w+\.(.+)$", "suite.sort", "sort"),
        (r"^\w+\.(.+)$", "sort", "sort"),
        (r".*", "sort", "sort"),
    ],
)
def test_a_pattern_maps_names(task_map: str, name: str, mapped: str) -> None:
    assert read_task_map(task_map)(name) == mapped


@pytest.mark.parametrize(
    "text", ['{"old": "new"}', "# names\nold new\n\n", "old\tnew\n", "old,new\n", "old = new\n"]
)
def test_a_file_maps_names(tmp_path: Path, text: str) -> None:
    path = tmp_path / "map"
    path.write_text(text)
    rename = read_task_map(str(path))
    assert (rename("old"), rename("other")) == ("new", "other")


@pytest.mark.parametrize("text", ['{"old": 3}', "old\n", "{", b"\xff\xfe"])
def test_a_broken_map_says_what_a_map_looks_like(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "map"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UnreadablePath, match="Two names a line"):
        read_task_map(str(path))


def test_a_map_that_is_neither_file_nor_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="no file that exists, and"):
        CompareOptions(task_map="no/such(file")


@pytest.mark.parametrize("treatment", ["foo", "mcp:", "tool:", "tool:(", "model:x"])
def test_a_treatment_that_is_none_is_refused(treatment: str) -> None:
    with pytest.raises(ValueError, match=r"is none of mcp:NAME|the tool pattern"):
        CompareOptions(treatment=treatment)


# Attempts.


def test_attempts_of_several_jobs_are_numbered_by_start() -> None:
    late, early = (
        _trace("sort", trace_id=name, origin=tr.Origin(kind="harness", started_at=_DAY.format(at)))
        for name, at in (("late", 30), ("early", 10))
    )
    side, *_ = _paired([late, early], [_trace("sort")])
    assert [(t.trace.trace_id, t.number) for t in side.trials] == [("early", 1), ("late", 2)]


@pytest.mark.parametrize(
    ("choice", "kept", "left"),
    [("all", [1, 2, 3], []), ("first", [1], [2, 3]), ("latest", [3], [1, 2])],
)
def test_several_trials_of_a_task_are_attempts_unless_one_is_asked_for(
    choice: str, kept: list[int], left: list[int]
) -> None:
    traces = [_trace("sort", number) for number in (1, 2, 3)]
    side, *_ = _paired(traces, [_trace("sort")], on_duplicate=choice)
    assert [trial.trace.attempt for trial in side.trials] == kept
    assert [trial.trace.attempt for trial in side.set_aside] == left


def test_several_trials_of_a_task_can_be_refused() -> None:
    with pytest.raises(ArmsUnclear, match="2 trials of one task"):
        _paired([_trace("sort"), _trace("sort", 2)], [_trace("sort")], on_duplicate="error")


# Arms.


def test_a_trial_that_stands_twice_counts_once_and_is_a_problem() -> None:
    problems: list[Problem] = []
    options = CompareOptions()
    reading = to_reading("x", [_trace("sort")] * 2, find_metric("reward"), options)
    other = to_reading("y", [_trace("sort")], find_metric("reward"), options)
    sides = to_sides([(None, reading), ("b", other)], None, problems)
    assert [len(side.trials) for side in sides] == [1, 1]
    assert [problem.code for problem in problems] == ["duplicate_trial"]


def test_arms_with_one_label_get_unlike_ones() -> None:
    metric = find_metric("reward")
    readings = [
        (None, to_reading("same.json", [_trace("sort", arm="run")], metric, CompareOptions()))
        for _ in range(2)
    ]
    sides = to_sides(readings, None, [])
    assert [side.label for side in sides] == ["same", "same-2"]
    assert [side.sources[0].arm for side in sides] == ["same", "same-2"]


def test_a_file_of_labelled_traces_is_split_by_label_the_baseline_first() -> None:
    sides = _sides([_trace("sort", arm="added"), _trace("sort", arm="baseline")])
    assert [side.label for side in sides] == ["baseline", "added"]


def _with_servers(*names: str, model: str = "m") -> tr.AgentConfig:
    agent = tr.Agent(name="claude-code", mcp_servers=[{"name": name} for name in names])
    return tr.AgentConfig(agent=agent, model=model)


def test_one_job_with_two_configurations_is_split_what_is_plain_first() -> None:
    sides = _sides(
        [
            _trace("sort", 1, agent_config=_with_servers("graph")),
            _trace("sort", 2, agent_config=_with_servers()),
        ]
    )
    assert [side.label for side in sides] == ["without MCP servers", "with graph"]


def test_arms_can_be_split_by_a_field_and_the_baseline_named() -> None:
    traces = [
        _trace("sort", number, agent_config=_with_servers(model=model))
        for number, model in enumerate(("large", "small"), 1)
    ]
    labels = [
        [side.label for side in _sides(traces, options=CompareOptions(arm_by=arm_by))]
        for arm_by in ("model", "model=small", "agent_config.model=large")
    ]
    assert labels == [["large", "small"], ["small", "large"], ["large", "small"]]


@pytest.mark.parametrize(
    ("arm_by", "error"),
    [
        ("model", "one value only"),
        (None, "one configuration"),
        ("agent_confg.model", "agent_config"),
        ("task.nam", "no such field"),
        ("model=other", "no trial has this value"),
    ],
)
def test_one_arm_alone_cannot_be_compared(arm_by: str | None, error: str) -> None:
    with pytest.raises(EvaltraceError, match=error):
        _sides([_trace("sort")], options=CompareOptions(arm_by=arm_by))


def test_arms_of_files_with_one_job_are_named_after_their_files() -> None:
    readings = [
        (
            None,
            to_reading(name, [_trace("sort", arm=None)], find_metric("reward"), CompareOptions()),
        )
        for name in ("before.json", "after.json")
    ]
    assert [side.label for side in to_sides(readings, None, [])] == ["before", "after"]


@pytest.mark.parametrize(
    ("choice", "hint"),
    [({"group_by": ("categry",)}, "category"), ({"cluster_by": "task.repo"}, "no such field")],
)
def test_a_field_that_traces_do_not_have_is_refused(choice: dict[str, Any], hint: str) -> None:
    with pytest.raises(UnknownName, match=hint):
        _paired([_trace("sort")], [_trace("sort")], **choice)


def test_a_split_needs_a_single_path() -> None:
    with pytest.raises(ArmsUnclear, match="splits one path"):
        _sides([_trace("a")], [_trace("b")], options=CompareOptions(arm_by="model"))


_ADDRESS = "https://u:hunter2pw@h/sse?api_key=abc123xyz"


def _labels(*agents: dict[str, Any], arm_by: str | None = None) -> list[str]:
    configs = [tr.AgentConfig(agent=tr.Agent(**agent), model="m") for agent in agents]
    traces = [_trace("sort", i, agent_config=config) for i, config in enumerate(configs, 1)]
    return [side.label for side in _sides(traces, options=CompareOptions(arm_by=arm_by))]


@pytest.mark.parametrize("server", [_ADDRESS, {"name": _ADDRESS}])
def test_no_label_shows_the_password_in_the_address_of_a_server(server: Any) -> None:
    added = {"mcp_servers": [server]}
    assert _labels(added, {}) == ["without MCP servers", "with https://***@h/sse?api_key=***"]
    for label in _labels(added, {}, arm_by="agent_config.agent.mcp_servers"):
        assert "hunter2pw" not in label
        assert "abc123xyz" not in label


def test_labels_made_of_settings_show_no_secret() -> None:
    one, other = {"api_key": "hunter2pw", "depth": 1}, {"api_key": "hunter2pw", "depth": 2}
    assert _labels({"kwargs": one}, {"kwargs": other}) == [
        "api_key=***, depth=1",
        "api_key=***, depth=2",
    ]
    secrets = [{"kwargs": {"api_key": key}} for key in ("hunter2pw", "hunter3pw")]
    assert _labels(*secrets) == ["configuration 1", "configuration 2"]
    by_field = _labels(*secrets, arm_by="agent_config.agent.kwargs.api_key")
    assert by_field == ["***", "***-2"]
    whole = _labels(
        {"env": {"A": "hunter2pw"}}, {"env": {"A": "x"}}, arm_by="agent_config.agent.env"
    )
    assert whole == ['{"A":"***"}', '{"A":"***"}-2']


def test_a_value_that_no_trial_has_is_refused_without_a_secret() -> None:
    agents = [{"kwargs": {"api_key": key}} for key in ("hunter2pw", "hunter3pw")]
    with pytest.raises(UnknownName) as caught:
        _labels(*agents, arm_by="agent_config.agent.kwargs.api_key=x")
    assert "hunter" not in f"{caught.value} {caught.value.hint}"


# Denominators.


def test_every_started_trial_has_one_place_in_the_denominators() -> None:
    baseline = [
        _trace("a"),
        _trace("a", 2, status="error", error=_error("sandbox_failed")),
        _trace("a", 3, status="error", error=_error("verifier_failed"), reward=None),
        _trace("b", 1, status="cancelled", error=_error("cancelled")),
        _trace("b", 2, status="running", reward=None),
        _trace("b", 3, status="error", reward=None),
        _trace("b", 4, reward=0.0, error=_error("agent_exhausted_budget", valid=True)),
    ]
    first, second, pairing = _paired(baseline, [_trace("a", reward=0.0)])
    counted = count_trials(first, second, pairing).baseline
    assert (counted.started, counted.finished, counted.valid) == (7, 6, 2)
    assert counted.errored_by_cause == {"sandbox_failed": 1, "verifier_failed": 1}
    assert (counted.errored, counted.cancelled, counted.unscored, counted.running) == (2, 1, 1, 1)
    assert (counted.tasks, counted.valid_tasks, counted.in_pairs) == (2, 2, 1)
    assert counted.planned is None


def _input(**changes: Any) -> tr.Input:
    fields = {"job_name": "tidy", "harness": "harbor", "found": 2, "selected": 2, "absent": 0}
    return tr.Input(**{**fields, "planned": 2, **changes})


@pytest.mark.parametrize(
    ("row", "whole", "planned"),
    [
        (_input(), True, 2),
        (_input(planned=5, absent=3), True, 5),
        (_input(planned=5, absent=3), False, None),
        (_input(planned=6, found=6, selected=6), False, 2),
        (_input(planned=6, found=6), True, 2),
        (_input(planned=None, absent=None), True, None),
    ],
)
def test_planned_is_what_the_arm_was_meant_to_have(
    row: tr.Input, whole: bool, planned: int | None
) -> None:
    first, second, pairing = _paired([_trace("a"), _trace("b")], [_trace("a")])
    first.inputs, first.whole = [row], whole
    assert count_trials(first, second, pairing).baseline.planned == planned


def test_pairs_say_who_won_and_what_has_no_partner() -> None:
    baseline = [_trace(name) for name in ("b", "c", "only")]
    baseline += [_trace("a", reward=0.0), _trace("d", reward=None)]
    treatment = [_trace("a"), _trace("b"), _trace("c", reward=0.5), _trace("new"), _trace("d")]
    pairs = to_pairs(_paired(baseline, treatment)[2])
    assert (pairs.tasks, pairs.wins, pairs.ties, pairs.losses) == (3, 1, 1, 1)
    assert (pairs.only_baseline_tasks, pairs.only_treatment_tasks) == (["only"], ["d", "new"])
    table = pairs.outcomes.by_attempt
    assert (table.n, table.both, table.only_baseline, table.only_treatment) == (3, 1, 1, 1)


def test_attempts_are_matched_by_number_and_tasks_by_any_and_all() -> None:
    rewards = {"baseline": (1.0, 0.0, None), "treatment": (0.0, 1.0, 1.0)}
    baseline, treatment = (
        [_trace("a", number, reward) for number, reward in enumerate(values, 1)]
        for values in rewards.values()
    )
    outcomes = to_pairs(_paired(baseline, treatment)[2]).outcomes
    by_attempt = outcomes.by_attempt
    assert (by_attempt.n, by_attempt.only_baseline, by_attempt.only_treatment) == (2, 1, 1)
    assert (outcomes.by_task_any.both, outcomes.by_task_all.neither) == (1, 1)


# The metric.


def _kind(name: str, *traces: tr.Trace) -> str:
    side = _sides(list(traces), [_trace("z", trace_id="z")], options=CompareOptions(metric=name))[0]
    return to_metric(find_metric(name), [side], 1.0).kind


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((0.0, 1.0), "binary"),
        ((0.25, 1.0), "fraction"),
        ((0.0, 14.0), "number"),
        ((-1.0,), "number"),
    ],
)
def test_the_kind_of_a_reward_is_seen_from_its_values(values: tuple[float, ...], kind: str) -> None:
    traces = [_trace(f"t{i}", rewards={"f2p": value}) for i, value in enumerate(values)]
    assert _kind("f2p", *traces) == kind
    assert _kind("rewards.f2p", *traces) == kind


def test_a_field_is_a_number_even_where_its_values_look_like_rewards() -> None:
    metrics = tr.Metrics(
        tokens=tr.Tokens(), cost=tr.Cost(usd=0.5, source="reported"), durations=tr.Durations()
    )
    options = CompareOptions(metric="metrics.cost.usd")
    sides = _sides([_trace("a", metrics=metrics)], [_trace("b")], options=options)
    metric = to_metric(find_metric("metrics.cost.usd"), sides, 1.0)
    assert (metric.kind, metric.better, metric.unit) == ("number", "lower", "usd")


@pytest.mark.parametrize(("name", "better"), [("n_failed", "lower"), ("f2p_passed", "higher")])
def test_rewards_that_count_failures_are_better_when_lower(name: str, better: str) -> None:
    options = CompareOptions(metric=name)
    sides = _sides([_trace("a", rewards={name: 2.0})], [_trace("b")], options=options)
    assert to_metric(find_metric(name), sides, 1.0).better == better


@pytest.mark.parametrize(
    ("name", "hint"), [("f2q", "f2p"), ("metrics.cost.used", "metrics.cost.usd"), ("zzz", "f2p")]
)
def test_a_metric_that_no_trial_has_is_refused_with_near_names(name: str, hint: str) -> None:
    options = CompareOptions(metric=name)
    sides = _sides([_trace("a", rewards={"f2p": 1.0})], [_trace("b")], options=options)
    with pytest.raises(UnknownName, match=hint.replace(".", r"\.")):
        to_metric(find_metric(name), sides, 1.0)


def test_rewards_that_are_missing_everywhere_are_data_and_no_wrong_name() -> None:
    sides = _sides([_trace("a", reward=None)], [_trace("a", reward=None)])
    assert to_metric(find_metric("reward"), sides, 1.0).kind == "binary"


def test_missing_values_can_count_as_failures_without_becoming_valid() -> None:
    broken = _trace("a", reward=None, status="error", error=_error("sandbox_failed"))
    first, second, pairing = _paired([broken], [_trace("a")], on_missing="as-fail")
    assert pairing.pairs[0].difference == 1.0
    assert count_trials(first, second, pairing).baseline.valid == 0


# Fields.


def test_fields_are_followed_through_records_and_dicts() -> None:
    trace = _trace("django__django-12345", context={"a": {"b": 3}})
    assert value_at(trace, "context.a.b") == 3
    assert value_at(trace, "context.a.b.c") is None
    assert number_at(trace, "context.a") is None
    assert text_at(trace, "context.a") == '{"b":3}'


@pytest.mark.parametrize(
    ("task", "field", "text"),
    [
        (tr.Task(name="django__django-12345"), "repository", "django/django"),
        (tr.Task(name="sort"), "repository", None),
        (tr.Task(name="sort", tags=["easy", "Python"]), "language", "python"),
        (tr.Task(name="sort", category="bug-fix"), "category", "bug-fix"),
        (tr.Task(name="sort"), "category", None),
        (tr.Task(name="sort"), "status", "pass"),
    ],
)
def test_tasks_have_texts_to_group_by(task: tr.Task, field: str, text: str | None) -> None:
    assert text_at(_trace("sort", task=task), field) == text


def test_the_numbers_of_a_trace_are_known_by_name() -> None:
    assert {"test_reward", "metrics.cost.usd", "metrics.tokens.cache_read"} <= set(number_fields())


def test_options_refuse_values_outside_their_range() -> None:
    wrong: list[dict[str, Any]] = [
        {"alpha": 0.0}, {"alpha": 0.7}, {"pass_threshold": 0}, {"seed": -1},
        {"pair_by": "x"}, {"on_missing": "x"}, {"on_duplicate": "x"},
    ]  # fmt: skip
    for choice in wrong:
        with pytest.raises(ValueError, match=r".+"):
            CompareOptions(**choice)
    assert json.dumps(CompareOptions().alpha) == "0.05"
