from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from evaltrace import trace as tr
from evaltrace.errors import Problem
from evaltrace.quantities import compact, dollars, span
from evaltrace.reports.terminal import (
    render_summary,
    render_summary_line,
    render_table,
    render_trace,
)
from evaltrace.summary import Tally
from traces import distinct_trace, minimal_trace

HOSTILE = "\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J\u202egnp\x00\x08"
WIDE = "整理整頓された家👩‍💻 ❤️ e\u0301"  # fmt: skip


def metrics(**parts: Any) -> tr.Metrics:
    return tr.Metrics(
        **{"tokens": tr.Tokens(), "cost": tr.Cost(), "durations": tr.Durations(), **parts}
    )


def widest(text: str) -> int:
    """Columns of the widest line; joined emoji counted apart, as plain terminals do."""

    def measure(character: str) -> int:
        # As wcwidth has it: marks that combine take no column, whatever their class.
        if unicodedata.category(character) in ("Mn", "Me") or character in "\u200d\ufe0f":
            return 0
        return 2 if unicodedata.east_asian_width(character) in "WF" else 1

    return max(sum(map(measure, line)) for line in text.split("\n"))


def filled_with(text: str) -> tr.Trace:
    return minimal_trace(
        task_id=text,
        task=tr.Task(name=text, org=text),
        arm=text,
        task_instruction=text,
        agent_response=tr.AgentResponse(result=text),
        rewards={text: 1.0, "other": 0.5},
        tools=tr.Tools(
            calls=[tr.ToolCalls(name=text, server=text, count=1)],
            mcp_servers=[tr.McpServer(name=text, status=text)],
        ),
        code_stats=tr.CodeStats(
            source="artifact",
            complete=True,
            files=[tr.FileChange(path=text, change="added")],
            files_changed=1,
            lines_added=1,
            lines_removed=0,
        ),
        tests=tr.Tests(
            summary=tr.TestSummary(), cases=[tr.TestCase(name=text, status="failed")], source="ctrf"
        ),
        error=tr.TraceError(type=text, message=text, phase=text),
        problems=[Problem(code=text, path=text, message=text)],
    )


# --- one trace


@pytest.mark.parametrize("width", [80, 120])
def test_a_trace_with_everything_reads_as_before(
    golden: Callable[[str, str], None], width: int
) -> None:
    golden(f"distinct_trace_{width}.txt", render_trace(distinct_trace(), width))


def test_a_trace_of_which_nothing_is_known_says_so_and_never_zero() -> None:
    text = render_trace(minimal_trace(test_reward=None, rewards=None, status="error"))
    values = {line[:13].strip(): line[13:] for line in text.splitlines()[1:]}
    assert values.pop("task") == "tidy-up"
    assert values.pop("reward") == "none"
    assert set(values.values()) == {"unknown"}
    assert "0" not in text


def test_unknown_parts_stand_beside_known_ones() -> None:
    known = metrics(
        tokens=tr.Tokens(input=1234567, cache_read=0),
        durations=tr.Durations(agent_execution_s=5223.0),
    )
    text = render_trace(minimal_trace(metrics=known), width=120)
    assert "input 1,234,567 · output unknown · cache write unknown · cache read 0" in text
    assert "total unknown · environment - · agent setup - · agent 1h 27m 03s" in text


@pytest.mark.parametrize("status", ["pass", "partial", "fail", "error", "cancelled", "running"])
def test_colour_is_added_to_the_status_only(status: str) -> None:
    trace = minimal_trace(status=status)
    plain, coloured = render_trace(trace), render_trace(trace, colour=True)
    assert "\x1b" not in plain
    assert re.fullmatch(
        rf"\x1b\[1;\d\dm{status.upper()}\x1b\[0m  tidy-up__a1", coloured.split("\n")[0]
    )
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_an_error_says_whether_the_reward_counts() -> None:
    lost = tr.TraceError(type="ApiError", message="overloaded", cause="model_provider_failed")
    kept = tr.TraceError(
        type="AgentTimeoutError", cause="agent_exhausted_budget", reward_valid=True
    )
    assert "ApiError · model_provider_failed · reward does not count" in render_trace(
        minimal_trace(error=lost)
    )
    assert "reward       1 · not counted" in render_trace(minimal_trace(error=lost))
    assert "AgentTimeoutError · agent_exhausted_budget · reward counts" in render_trace(
        minimal_trace(error=kept)
    )
    assert "not counted" not in render_trace(minimal_trace(error=kept))


@pytest.mark.parametrize(
    ("rewards", "text"),
    [
        (None, "0.5"),
        ({"reward": 0.5}, "0.5"),
        ({"score": 0.5}, "0.5"),
        ({"reward": 0.5, "style": 0}, "0.5 · style 0"),
        ({"tests": 1, "style": 0}, "0.5 · tests 1 · style 0"),
    ],
)
def test_all_rewards_are_shown_and_none_twice(rewards: dict[str, float], text: str) -> None:
    shown = render_trace(minimal_trace(test_reward=0.5, rewards=rewards))
    assert f"reward       {text}\n" in shown


def test_tools_are_ordered_by_calls_and_show_their_errors() -> None:
    calls = [
        tr.ToolCalls(name="Read", count=2),
        tr.ToolCalls(name="Bash", count=1200, errors=3),
        tr.ToolCalls(name="search", server="code", count=2),
        tr.ToolCalls(name="mcp__code__open", server="code", count=1),
    ]
    text = render_trace(minimal_trace(tools=tr.Tools(calls=calls, mcp_servers=[])))
    assert "1,205 calls · 3 errors" in text
    assert "Bash 1,200 (3 errors) · Read 2 · code/search 2 · mcp__code__open 1\n" in text
    assert "MCP servers  none" in text


def test_long_texts_and_lists_say_how_much_more_there_is() -> None:
    cases = [tr.TestCase(name=f"test_{n}", status="failed") for n in range(13)]
    files = [tr.FileChange(path=f"src/{n}.py", change="modified", added=1) for n in range(11)]
    text = render_trace(
        minimal_trace(
            agent_response=tr.AgentResponse(result="\n".join(f"line {n}" for n in range(30))),
            task_instruction="a\nb\nc\nd\ne",
            tests=tr.Tests(
                summary=tr.TestSummary(total=13, passed=0, failed=13), cases=cases, source="junit"
            ),
            code_stats=tr.CodeStats(
                source="reconstructed",
                complete=False,
                files=files,
                files_changed=11,
                lines_added=11,
                lines_removed=0,
            ),
            problems=[Problem(code="too_large", path=f"a/{n}", message="big") for n in range(5)],
        )
    )
    assert "line 11\n             ... 18 more lines\n" in text
    assert "d\n             ... 1 more line\n" in text
    assert "0 of 13 passed · 13 failed · from junit" in text
    assert "failed: test_9\n             ... 3 more failed tests" in text
    assert "11 changed · +11 -0 · rebuilt from edits, may be incomplete" in text
    assert "src/9.py modified +1 -?\n             ... 1 more file\n" in text
    assert "too_large in a/2\n             big\n             ... 2 more problems" in text


def test_an_indented_answer_keeps_its_indentation() -> None:
    answer = "def f():\n\n    return 1\n\n"
    text = render_trace(minimal_trace(agent_response=tr.AgentResponse(result=answer)))
    assert text.endswith("answer       def f():\n\n                 return 1\n")


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("text", [HOSTILE, WIDE * 20, "x" * 300, "two words " * 60, "\t\tx\r\ny"])
def test_no_line_is_too_wide_and_no_control_sequence_survives(text: str, width: int) -> None:
    trace = filled_with(text)
    for shown in (render_trace(trace, width), render_table([trace], width)):
        assert widest(shown) <= width
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)


@given(st.text(max_size=120), st.integers(40, 100))
@example("00000000000\u0941", 40)
def test_any_text_fits_any_width(text: str, width: int) -> None:
    trace = filled_with(text)
    for shown in (render_trace(trace, width), render_table([trace], width)):
        assert widest(shown) <= width
        assert "\x1b" not in shown


# --- the table

BUSY = metrics(
    tokens=tr.Tokens(total=1_234_567),
    cost=tr.Cost(usd=12.345, source="reported"),
    durations=tr.Durations(total_s=5223.4),
    tool_calls=1042,
)


def test_a_table_has_a_row_a_trace() -> None:
    known = minimal_trace(metrics=BUSY, attempt=2, test_reward=1 / 3)
    table = render_table([known, minimal_trace(task_id="other__b2", status="error")])
    assert table == (
        "task         att  status  reward  tokens    cost        time  calls\n"
        "-----------  ---  ------  ------  ------  ------  ----------  -----\n"
        "tidy-up__a1    2  pass    0.3333    1.2M  $12.35  1h 27m 03s  1,042\n"
        "other__b2      -  error        1       -       -           -      -\n"
    )


@pytest.mark.parametrize(
    ("source", "cell"), [("computed", " ~$0.24 "), ("reported", "  $0.24 "), (None, "  $0.24 ")]
)
def test_a_table_marks_costs_that_were_computed(source: Any, cell: str) -> None:
    cost = tr.Cost(usd=0.24, source=source)
    rows = [minimal_trace(metrics=BUSY), minimal_trace(metrics=metrics(cost=cost))]
    assert cell in render_table(rows).split("\n")[3]
    assert "~" not in render_table([minimal_trace()])


def test_the_arm_is_shown_where_one_is_known() -> None:
    traces = [minimal_trace(arm="baseline"), minimal_trace()]
    header, _, first, second = render_table(traces).splitlines()
    assert header.split()[:3] == ["task", "arm", "att"]
    assert first.split()[:2] == ["tidy-up__a1", "baseline"]
    assert second.split()[:2] == ["tidy-up__a1", "-"]


def test_jobs_are_shown_where_there_are_several() -> None:
    jobs = [tr.Origin(kind="harness", job_name=name) for name in ("one", "two", None)]
    shown = render_table([minimal_trace(origin=job, arm="baseline") for job in jobs])
    header, _, *rows = shown.splitlines()
    assert header.split()[:3] == ["task", "job", "att"]
    assert [row.split()[1] for row in rows] == ["one", "two", "-"]
    assert "tidy" not in render_table([minimal_trace(task_id="x"), minimal_trace(task_id="y")])


def test_arms_tell_rows_apart_without_their_jobs() -> None:
    traces = [
        minimal_trace(arm=name, origin=tr.Origin(kind="harness", job_name=f"job-{name}"))
        for name in ("a", "b")
    ]
    assert render_table(traces).split()[:3] == ["task", "arm", "att"]
    assert "job" not in render_table(traces)


def test_jobs_named_after_their_time_stay_different() -> None:
    names = ["2026-02-03__12-00-00", "2026-02-04__12-00-00"]
    traces = [
        minimal_trace(metrics=BUSY, origin=tr.Origin(kind="harness", job_name=name))
        for name in names
    ]
    assert [line.split()[1] for line in render_table(traces, 80).splitlines()[2:]] == names


def test_a_reward_that_does_not_count_stands_in_parentheses() -> None:
    errors = [
        None,
        tr.TraceError(type="Timeout", reward_valid=True),
        tr.TraceError(type="ApiError", reward_valid=False),
    ]
    rows = render_table([minimal_trace(error=error) for error in errors]).splitlines()[2:]
    assert [row.split()[3] for row in rows] == ["1", "1", "(1)"]
    lost = minimal_trace(error=errors[2], test_reward=None)
    assert render_table([lost]).splitlines()[2].split()[3] == "-"


def test_a_wider_terminal_shows_more_of_the_task() -> None:
    name = "refactor-the-whole-of-the-payment-service-and-its-tests__7A5Hxy2"
    trace = minimal_trace(task_id=name, metrics=BUSY, attempt=1, arm="with-tools")
    shown = {width: render_table([trace], width) for width in (80, 120)}
    shorter, longer = (shown[width].splitlines()[2].split()[0] for width in (80, 120))
    assert shorter.startswith("refact")
    assert shorter.endswith("5Hxy2")
    assert "…" in shorter
    assert len(shorter) < len(longer)
    assert [len(text.splitlines()[0]) for text in shown.values()] == [80, 120]


def test_wide_characters_keep_the_columns_aligned() -> None:
    traces = [minimal_trace(task_id="整理整頓"), minimal_trace(task_id="tidy-up")]
    lines = render_table(traces).splitlines()
    assert {widest(line) for line in lines[1:]} == {widest(lines[0])}
    assert "整理整頓" in lines[2]


@pytest.mark.parametrize(
    ("name", "shown"), [("cafe\u0301 整", "café 整"), ("\ue000\ue001整x", "整x")]
)
def test_odd_characters_come_through_a_table(name: str, shown: str) -> None:
    assert f"\n{shown} " in render_table([minimal_trace(task_id=name)])


def test_narrow_terminals_keep_task_status_and_reward() -> None:
    trace = minimal_trace(arm="treatment", attempt=1, metrics=BUSY)
    assert render_table([trace], 40).split()[:4] == ["task", "status", "reward", "tokens"]


def test_no_traces_are_no_table() -> None:
    assert render_table([]) == "no traces\n"


# --- the summary


def summed_up(output: str | None = None) -> Tally:
    tally = Tally()
    tally.add(minimal_trace(metrics=BUSY))
    tally.add(minimal_trace(test_reward=0.0, status="fail"))
    tally.add(minimal_trace(status="error", error=tr.TraceError(type="ApiError")))
    tally.add_problem(Problem(code="too_large", path="job/a/log.txt", message="big"))
    return tally


INPUT = tr.Input(job_name="tidy", harness="harbor", planned=5, found=4, absent=1, selected=3)


def test_a_summary_gives_every_number_its_denominator() -> None:
    summary = summed_up().summary([INPUT], "traces.json")
    assert render_summary(summary) == (
        "traces       3\n"
        "status       1 pass · 1 fail · 1 error\n"
        "trials       planned 5 · found 4 · selected 3 · absent 1\n"
        "mean reward  0.50 over 2 valid of 3\n"
        "tokens       1.2M known in 1 of 3 traces\n"
        "cost         $12.35 reported in 1 of 3 traces\n"
        "problems     1\n"
        "             too_large 1 · first in job/a/log.txt\n"
        "output       traces.json\n"
    )


def test_a_summary_in_colour_is_the_same_text() -> None:
    summary = summed_up().summary()
    coloured = render_summary(summary, colour=True)
    assert "\x1b[1;31m1 fail\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == render_summary(summary)


def test_a_summary_line_gives_every_number_its_denominator() -> None:
    assert render_summary_line(summed_up().summary([INPUT], "traces.json")) == (
        "3 traces of 3 selected, 5 planned (1 pass, 1 fail, 1 error), "
        "mean reward 0.50 over 2 valid of 3, tokens 1.2M known in 1 of 3 traces, "
        "cost $12.35 reported in 1 of 3 traces, 1 problem, written to traces.json"
    )


def test_a_summary_keeps_computed_costs_apart() -> None:
    tally = summed_up()
    assert "computed" not in render_summary(tally.summary())
    cost = tr.Cost(usd=22.46, source="computed", price_table="ours 7")
    tally.add(minimal_trace(metrics=metrics(cost=cost)))
    text = "$12.35 reported in 1, $22.46 computed in 1 of 4 traces"
    assert f"cost         {text}\n" in render_summary(tally.summary())
    assert f", cost {text}, " in render_summary_line(tally.summary())


@pytest.mark.parametrize(
    ("trials", "text"),
    [
        ({"planned": 5, "found": 4, "selected": 4}, "3 traces of 5 planned ("),
        ({"planned": 5, "found": 4, "selected": 2}, "3 traces of 2 selected, 5 planned ("),
        ({"found": 4, "selected": 2}, "3 traces of 2 selected ("),
        ({"found": 4, "selected": 4}, "3 traces ("),
    ],
)
def test_traces_are_of_the_trials_that_were_asked_for(trials: dict[str, int], text: str) -> None:
    row = tr.Input(job_name="tidy", harness="harbor", **trials)  # type: ignore[arg-type]
    assert render_summary_line(summed_up().summary([row])).startswith(text)


def test_the_parts_of_the_tokens_have_the_names_they_have_in_a_trace() -> None:
    tally = Tally()
    tokens = tr.Tokens(input=1, output=20, cache_creation=300, cache_read=4000, total=21)
    tally.add(minimal_trace(metrics=metrics(tokens=tokens)))
    shown = render_summary(tally.summary(), 120)
    assert (
        "21 known in 1 of 1 trace\n             input 1 known in 1 · output 20 known in 1 · "
        "cache write 300 known in 1 · cache read 4.0k known in 1\n"
    ) in shown


def from_jobs(*names: str | None) -> Tally:
    tally = Tally()
    for number, name in enumerate(names):
        origin = tr.Origin(kind="harness", job_name=name)
        tally.add(minimal_trace(origin=origin, test_reward=number / 2))
    return tally


def test_several_jobs_have_a_mean_each() -> None:
    summary = from_jobs("with", "base", None, "base").summary()
    assert (
        "mean reward  base 1.00 over 2 valid of 2\n"
        "             with 0.00 over 1 valid of 1\n"
        "             no job 1.00 over 1 valid of 1\n"
    ) in render_summary(summary)
    assert ", mean reward by job: base 1.00, with 0.00, no job 1.00, " in render_summary_line(
        summary
    )


def test_many_jobs_are_counted() -> None:
    five, ten = (from_jobs(*map(str, range(number))).summary() for number in (5, 10))
    assert "mean reward of 5 jobs: see `evaltrace show`, tokens" in render_summary_line(five)
    assert "7 3.50 over 1 valid of 1\n             ... 2 more jobs\n" in render_summary(ten)
    assert "more job" not in render_summary(five)


def test_a_job_of_no_valid_reward_has_no_mean() -> None:
    tally = from_jobs("a")
    tally.add(minimal_trace(test_reward=None))
    assert "by job: a 0.00, tidy unknown," in render_summary_line(tally.summary())


def test_a_hostile_job_name_is_made_harmless() -> None:
    summary = from_jobs(HOSTILE, "b").summary()
    assert "\x1b" not in render_summary(summary) + render_summary_line(summary)
    traces = [minimal_trace(origin=tr.Origin(kind="harness", job_name=HOSTILE)), minimal_trace()]
    assert "\x1b" not in render_table(traces)


def test_a_summary_of_nothing_knows_nothing() -> None:
    summary = Tally().summary()
    assert "mean reward  unknown over 0 valid of 0" in render_summary(summary)
    assert "tokens       unknown\n" in render_summary(summary)
    assert "0 traces, mean reward unknown over 0 valid of 0" in render_summary_line(summary)


def test_a_hostile_output_name_is_made_harmless() -> None:
    summary = Tally().summary(output=HOSTILE)
    assert "\x1b" not in render_summary(summary) + render_summary_line(summary)


# --- quantities


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "unknown"),
        (0, "0.0 s"),
        (0.34, "340 ms"),
        (0.9996, "1.0 s"),
        (12.34, "12.3 s"),
        (59.94, "59.9 s"),
        (59.96, "1m 00s"),
        (3599.6, "1h 00m 00s"),
        (5223, "1h 27m 03s"),
        (180_000, "50h 00m 00s"),
        (-3, "-3.0 s"),
    ],
)
def test_durations_in_words(seconds: float | None, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "-"),
        (0, "0"),
        (999, "999"),
        (1000, "1.0k"),
        (12_449, "12.4k"),
        (999_949, "999.9k"),
        (999_950, "1.0M"),
        (1_234_567, "1.2M"),
        (5_000_000_000_000, "5000.0B"),
    ],
)
def test_compact_counts(number: float | None, text: str) -> None:
    assert compact(number) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [(None, "unknown"), (0, "$0.00"), (0.0042, "$0.0042"), (1234.5, "$1,234.50"), (-1, "-$1.00")],
)
def test_dollars(usd: float | None, text: str) -> None:
    assert dollars(usd) == text
