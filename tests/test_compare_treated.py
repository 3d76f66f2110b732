"""What the treatment is, as asked for or guessed, and what became of it in a trial."""

from __future__ import annotations

from typing import Any

import pytest

from corpus_arms import lab, needs_corpus, with_symnav
from evaltrace import trace as tr
from evaltrace.compare.sides import Side, Trial
from evaltrace.compare.treatment.treated import find_treatment
from sides import side, trial


def _trial(*, model: str | None = "m", tools: tr.Tools | None = None, **agent: Any) -> Trial:
    made = trial()
    made.trace.agent_config = tr.AgentConfig(agent=tr.Agent(**agent), model=model)
    made.trace.tools = tools or tr.Tools()
    return made


def _with(*names: str, count: int = 1) -> Side:
    """Trials that are configured with MCP servers."""
    servers = [{"name": name} for name in names]
    return side("with", [_trial(mcp_servers=servers) for _ in range(count)])


def _calls(*rows: tuple[str, str | None, int, int]) -> list[tr.ToolCalls]:
    return [
        tr.ToolCalls(name=name, server=server, kind="mcp" if server else "shell", count=n, errors=e)
        for name, server, n, e in rows
    ]


def _seen(name: str, status: str | None, place: str = "log: init") -> list[tr.McpServer]:
    return [tr.McpServer(name=name, status=status, configured_in=[place])]


PLAIN = side("plain", [_trial(), _trial()])


def _guess(baseline: Side, treatment: Side) -> tuple[str, str | None]:
    record = find_treatment(baseline, treatment, None).record
    assert record.guessed
    return record.kind, record.name


# The guess.


def test_a_server_that_only_the_treatment_is_configured_with_is_guessed() -> None:
    found = find_treatment(PLAIN, _with("docs", count=2), None)
    assert (found.record.kind, found.record.name) == ("mcp", "docs")
    assert '"docs": in 2 of 2 treatment trials, in 0 of 2 baseline trials' in found.record.statement


def test_a_server_of_both_arms_is_not_the_treatment() -> None:
    assert _guess(_with("docs"), _with("docs", "code")) == ("mcp", "code")


def test_several_added_servers_count_as_one_tool_without_a_name() -> None:
    found = find_treatment(PLAIN, _with("docs", "code"), None)
    assert found.record.name is None
    assert '"code", "docs"' in found.record.statement
    for server in ("docs", "code"):
        assert found.calls(_trial(tools=tr.Tools(calls=_calls(("x", server, 2, 1))))) == (2, 1)


def test_a_server_of_a_few_trials_is_not_the_treatment() -> None:
    mixed = side("mixed", [*_with("docs").trials, *(_trial() for _ in range(2))])
    assert _guess(PLAIN, mixed)[0] == "config"


def test_a_stray_trial_on_another_model_is_no_treatment() -> None:
    kwargs = [{"effort": "low"}, {"effort": "high"}]
    first = side("a", [_trial(kwargs=kwargs[0]) for _ in range(5)])
    strayed = [*(_trial(kwargs=kwargs[1]) for _ in range(4)), _trial(model="other")]
    assert _guess(first, side("b", strayed)) == ("config", None)


def test_a_server_seen_in_one_baseline_trial_in_five_is_still_guessed() -> None:
    stray = _trial(tools=tr.Tools(mcp_servers=_seen("docs", "connected")))
    assert _guess(side("b", [stray, *(_trial() for _ in range(4))]), _with("docs")) == (
        "mcp", "docs",
    )  # fmt: skip


def test_a_baseline_that_had_the_server_throughout_does_not_hide_what_was_configured() -> None:
    leaking = side("b", [_trial(tools=tr.Tools(mcp_servers=_seen("docs", "connected")))])
    assert _guess(leaking, _with("docs")) == ("mcp", "docs")


def test_a_server_that_was_merely_seen_is_guessed_where_nothing_is_configured() -> None:
    seen = side("t", [_trial(tools=tr.Tools(mcp_servers=_seen("docs", "connected")))])
    assert _guess(PLAIN, seen) == ("mcp", "docs")


def test_servers_come_before_models_models_before_agents_agents_before_the_rest() -> None:
    everything: dict[str, Any] = {"model": "n", "version": "2", "kwargs": {"effort": "high"}}
    before = side("b", [_trial(version="1", kwargs={"effort": "low"})])
    served = side("t", [_trial(mcp_servers=["docs"], **everything)])
    assert _guess(before, served) == ("mcp", "docs")
    assert _guess(before, side("t", [_trial(**everything)])) == ("model", "n")
    del everything["model"]
    assert _guess(before, side("t", [_trial(**everything)])) == ("agent", "2")
    del everything["version"]
    assert _guess(before, side("t", [_trial(version="1", **everything)])) == ("config", None)


def test_an_import_path_of_its_own_makes_another_agent() -> None:
    record = find_treatment(PLAIN, side("t", [_trial(import_path="own:Agent")]), None).record
    assert (record.kind, record.name) == ("agent", "(own:Agent)")


def test_a_version_that_one_arm_does_not_know_is_no_difference() -> None:
    assert _guess(side("b", [_trial()]), side("t", [_trial(version="2")]))[0] == "config"


def test_the_configuration_is_named_by_its_fields_and_never_by_its_values() -> None:
    before = side("b", [_trial(env={"KEY": "old-secret"})])
    after = side("t", [_trial(env={"KEY": "new-secret"}, skills=["a"])])
    statement = find_treatment(before, after, None).record.statement
    assert "env.KEY, skills" in statement
    assert "secret" not in statement


def test_arms_of_one_configuration_are_said_to_be_alike() -> None:
    record = find_treatment(PLAIN, PLAIN, None).record
    assert (record.kind, record.statement[:39]) == (
        "config",
        "Nothing: the arms have the same configu",
    )


def test_arms_the_wrong_way_round_are_pointed_out() -> None:
    record = find_treatment(_with("docs"), PLAIN, None).record
    assert record.kind == "config"
    assert 'Only the baseline has the MCP server "docs"' in record.statement


# What is asked for.


@pytest.mark.parametrize("wanted", ["mcp:", "mcp", "tool:", "skill", "", "Model", "mcp docs"])
def test_another_treatment_is_refused_with_what_is_allowed(wanted: str) -> None:
    with pytest.raises(ValueError, match="mcp:NAME, tool:REGEX, model, agent or config"):
        find_treatment(PLAIN, PLAIN, wanted)


@pytest.mark.parametrize("pattern", ["(", "(a+)+b"])
def test_a_pattern_that_cannot_be_used_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="the tool pattern"):
        find_treatment(PLAIN, PLAIN, f"tool:{pattern}")


@pytest.mark.parametrize("wanted", ["model", "agent", "config"])
def test_what_is_no_tool_has_no_calls(wanted: str) -> None:
    found = find_treatment(PLAIN, PLAIN, wanted)
    called = _trial(tools=tr.Tools(calls=_calls(("x", "docs", 1, 0)), mcp_servers=[]))
    assert (found.is_tool, found.record.kind, found.record.guessed) == (False, wanted, False)
    assert (found.calls(called), found.status(called)) == (None, None)


def test_where_nothing_tells_of_servers_any_name_may_be_right() -> None:
    record = find_treatment(PLAIN, PLAIN, "mcp:docs").record
    assert "in 0 of 2 treatment trials" in record.statement


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("dosc", 'no trial has an MCP server "dosc"; did you mean "docs"?'),
        ("zzz", 'no trial has an MCP server "zzz"; there are "code search", "docs"'),
    ],
)
def test_a_mistyped_server_is_refused_with_near_names(wanted: str, said: str) -> None:
    for arms in ((PLAIN, _with("docs", "code search")), (_with("docs", "code search"), PLAIN)):
        with pytest.raises(ValueError, match="no trial has an MCP server") as caught:
            find_treatment(*arms, f"mcp:{wanted}")
        assert str(caught.value) == said


def test_a_server_that_is_known_to_be_in_no_trial_is_refused() -> None:
    told = side("t", [_trial(tools=tr.Tools(mcp_servers=[]))])
    with pytest.raises(ValueError, match='no trial has an MCP server "docs"; none has any'):
        find_treatment(PLAIN, told, "mcp:docs")


@pytest.mark.parametrize(
    "member",
    [
        _trial(mcp_servers=["my docs"]),
        _trial(tools=tr.Tools(mcp_servers=_seen("my docs", "disabled"))),
        _trial(tools=tr.Tools(calls=_calls(("look", "my_docs", 1, 0)))),
    ],
)
def test_a_server_that_is_configured_seen_or_called_is_known(member: Trial) -> None:
    assert find_treatment(side("b", [member]), PLAIN, "mcp:my docs").record.name == "my docs"


def test_a_server_of_a_third_arm_is_known() -> None:
    arms = PLAIN, _with("code"), _with("docs")
    assert find_treatment(*arms[:2], "mcp:docs", arms=arms).record.name == "docs"


def test_a_pattern_that_matches_nothing_says_so() -> None:
    said = "nothing recorded in either arm matches it"
    mentioned = _trial(tools=tr.Tools(mentions=[tr.Mentions(pattern="symnav", count=1)]))
    for member in (mentioned, _trial(mcp_servers=["symnav"])):
        statement = find_treatment(PLAIN, side("t", [member]), "tool:symnav").record.statement
        assert said not in statement
    looked = _trial(tools=tr.Tools(mentions=[tr.Mentions(pattern="symnav", count=0)]))
    assert said in find_treatment(PLAIN, side("t", [looked]), "tool:symnav").record.statement


# Calls and status.


def test_calls_of_other_servers_and_tools_do_not_count() -> None:
    docs = find_treatment(PLAIN, PLAIN, "mcp:docs")
    rows = _calls(
        ("a", "docs", 2, 1), ("b", "docs", 1, 0), ("a", "code", 5, 0), ("docs", None, 7, 0)
    )
    assert docs.calls(_trial(tools=tr.Tools(calls=rows))) == (3, 1)
    assert docs.calls(_trial(tools=tr.Tools(calls=[]))) == (0, 0)
    assert docs.calls(_trial()) is None


def test_a_server_is_found_by_the_spelling_in_the_names_of_its_tools() -> None:
    docs = find_treatment(PLAIN, PLAIN, "mcp:my docs.v2")
    assert docs.calls(_trial(tools=tr.Tools(calls=_calls(("x", "my_docs_v2", 1, 0))))) == (1, 0)


@pytest.mark.parametrize(
    ("servers", "calls", "expected"),
    [
        (_seen("docs", "connected"), [], "connected"),
        (_seen("docs", "failed"), [], "not_connected"),
        (_seen("docs", "needs-auth"), [("x", "docs", 2, 2)], "not_connected"),
        (_seen("docs", "disabled"), [], "absent"),
        (_seen("docs", None), [], None),
        (_seen("docs", None), [("x", "docs", 2, 1)], "connected"),
        (_seen("code", "connected"), [], "absent"),
        (None, [], None),
        (None, [("x", "docs", 1, 0)], "connected"),
    ],
)
def test_the_status_of_a_server(servers: Any, calls: Any, expected: str | None) -> None:
    docs = find_treatment(PLAIN, PLAIN, "mcp:docs")
    tools = tr.Tools(mcp_servers=servers, calls=_calls(*calls))
    assert docs.status(_trial(tools=tools)) == expected


def test_a_trial_is_looked_at_as_it_is_now() -> None:
    docs = find_treatment(PLAIN, PLAIN, "mcp:docs")
    member = _trial(tools=tr.Tools(calls=[], mcp_servers=[]))
    assert (docs.calls(member), docs.status(member)) == ((0, 0), "absent")
    member.trace.tools.calls = _calls(("x", "docs", 2, 1))
    member.trace.agent_config.agent.mcp_servers = ["docs"]
    assert (docs.calls(member), docs.status(member)) == ((2, 1), "connected")
    assert docs.find_in(member) == ((2, 1), "connected", True)


def test_one_of_several_servers_is_enough() -> None:
    both = find_treatment(PLAIN, _with("docs", "code"), None)
    servers = [*_seen("docs", "failed"), *_seen("code", "connected")]
    assert both.status(_trial(tools=tr.Tools(mcp_servers=servers))) == "connected"


def test_configured_is_not_what_was_merely_seen() -> None:
    docs = find_treatment(PLAIN, PLAIN, "mcp:docs")
    assert not docs.configured(_trial(tools=tr.Tools(mcp_servers=_seen("docs", "connected"))))
    written = _seen("docs", None, "agent/.mcp.json")
    assert docs.configured(_trial(tools=tr.Tools(mcp_servers=written)))
    assert docs.configured(_trial(mcp_servers=["docs"]))


def test_a_pattern_finds_tools_servers_and_shell_commands() -> None:
    rows = _calls(("find_symbols", "x", 1, 0), ("a", "symbols", 2, 1), ("Bash", None, 9, 0))
    mentions = [tr.Mentions(pattern="symbol", count=3, errors=1), tr.Mentions(pattern="b", count=9)]
    used = _trial(tools=tr.Tools(calls=rows, mentions=mentions))
    assert find_treatment(PLAIN, side("t", [used]), "tool:symbol").calls(used) == (6, 2)


def test_a_pattern_that_nobody_looked_for_in_commands_is_unknown_not_unused() -> None:
    shell = _trial(tools=tr.Tools(calls=_calls(("Bash", None, 4, 0))))
    assert find_treatment(PLAIN, side("t", [shell]), "tool:symnav").calls(shell) is None


def test_the_shell_itself_as_the_tool_is_counted_once() -> None:
    mentions = [tr.Mentions(pattern="Bash", count=2)]
    shell = _trial(tools=tr.Tools(calls=_calls(("Bash", None, 4, 1)), mentions=mentions))
    assert find_treatment(PLAIN, side("t", [shell]), "tool:Bash").calls(shell) == (4, 1)


def test_a_named_tool_is_there_where_it_is_listed() -> None:
    listed = _trial(tools=tr.Tools(available=["Read", "Symbols"], calls=[]))
    without = _trial(tools=tr.Tools(available=["Read"], calls=[]))
    found = find_treatment(side("b", [without]), side("t", [listed]), "tool:Symbols")
    assert [found.status(listed), found.status(without)] == ["connected", "absent"]
    assert [found.calls(listed), found.calls(without)] == [(0, 0), (0, 0)]


# Real jobs.


@needs_corpus
def test_the_laboratory_is_guessed_although_its_baseline_is_contaminated() -> None:
    baseline, treatment, _ = lab()
    assert _guess(baseline, treatment) == ("mcp", "sourcegraph")


@needs_corpus
@pytest.mark.parametrize("agent", ["codex", "claude"])
def test_an_agent_with_a_program_is_guessed_as_another_agent(agent: str) -> None:
    baseline, treatment, _ = with_symnav(agent)
    kind, name = _guess(baseline, treatment)
    assert kind == "agent"
    assert "Symnav" in (name or "")


@needs_corpus
def test_a_program_is_counted_by_the_commands_that_name_it() -> None:
    baseline, treatment, _ = with_symnav("codex")
    found = find_treatment(baseline, treatment, "tool:symnav")
    assert [found.calls(member) for member in baseline.trials] == [(0, 0)] * 6
    assert [found.calls(member) for member in treatment.trials] == [
        (7, 0), (10, 0), (1, 0), (7, 0), (8, 0), (7, 0),
    ]  # fmt: skip
