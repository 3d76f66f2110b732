from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest

from comparisons import (
    copied,
    hostile_comparison,
    nothing_known,
    poor_comparison,
    sample_comparison,
    three_arms,
)
from evaltrace.comparison import Comparison
from evaltrace.reports.sections import Table
from evaltrace.reports.sections.arms import verdict_sentence
from evaltrace.reports.terminal import render_audit, render_comparison, render_power
from evaltrace.reports.terminal.grid import lay_out_table
from test_terminal import widest

SAMPLES = {
    "sample": sample_comparison,
    "poor": poor_comparison,
    "three_arms": three_arms,
    "nothing_known": nothing_known,
}
COLOURED = re.compile(r"\x1b\[1;\d\dm(.*?)\x1b\[0m")


@cache
def text_of(make: Callable[[], Comparison], width: int, full: bool) -> str:
    return render_comparison(make(), width, full=full)


@cache
def spoiled(shift: int = 0) -> Comparison:
    return hostile_comparison(shift)


@cache
def crowded() -> Comparison:
    """More of everything than a screen takes, in the longest words."""
    whole = spoiled()
    long = "a sentence of many words that goes on " * 12
    flips = copied(
        whole.flips, gained=whole.flips.gained * 30, lost=whole.flips.lost * 30, statement=long
    )
    verdict = copied(whole.verdict, sentence=long, caveats=[long] * 9, robust=False)
    causes = {f"{long} {number}": number for number in range(20)}
    side = copied(whole.denominators.baseline, errored_by_cause=causes, running=3)
    denominators = copied(whole.denominators, baseline=side)
    return copied(
        whole,
        verdict=verdict,
        flips=flips,
        denominators=denominators,
        audit=whole.audit * 40,
        treatment=copied(whole.treatment, statement=long),
        further=whole.further * 5,
    )


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["sample", "poor", "three_arms"])
def test_the_screen_reads_as_before(
    golden: Callable[[str, str], None], name: str, width: int
) -> None:
    golden(f"comparison_{name}_{width}.txt", render_comparison(SAMPLES[name](), width))


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["sample", "poor"])
def test_the_full_report_reads_as_before(
    golden: Callable[[str, str], None], name: str, width: int
) -> None:
    text = render_comparison(SAMPLES[name](), width, full=True)
    golden(f"comparison_{name}_full_{width}.txt", text)


HOSTILE: list[Callable[[], Comparison]] = [partial(spoiled, shift) for shift in range(10)]


def all_samples() -> list[Any]:
    made = [pytest.param(make, id=name) for name, make in SAMPLES.items()]
    hostile = [pytest.param(make, id=f"hostile-{shift}") for shift, make in enumerate(HOSTILE)]
    return [*made, *hostile, pytest.param(crowded, id="crowded")]


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("make", all_samples())
def test_the_short_report_is_one_screen(make: Callable[[], Comparison], width: int) -> None:
    text = text_of(make, width, False)
    assert len(text.splitlines()) <= 45
    assert widest(text) <= width


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("make", all_samples())
def test_no_line_of_the_full_report_is_too_wide(make: Callable[[], Comparison], width: int) -> None:
    assert widest(text_of(make, width, True)) <= width


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("make", HOSTILE)
def test_no_control_sequence_of_a_trace_survives(
    make: Callable[[], Comparison], full: bool
) -> None:
    text = text_of(make, 80, full)
    assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\u2066]", text) == []


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_not_known_is_said_in_words(name: str, full: bool) -> None:
    text = render_comparison(SAMPLES[name](), full=full)
    assert re.findall(r"\b(None|nan|NaN|null|inf|True|False)\b", text) == []


def test_what_is_not_known_is_never_zero() -> None:
    text = render_comparison(nothing_known())
    for label in ("cost", "tokens + cache", "agent time", "cost per solved"):
        assert re.search(rf"^{re.escape(label)} +not known +not known +not known$", text, re.M)
    assert "$0" not in text


def test_sections_stand_in_the_order_of_the_questions() -> None:
    text = render_comparison(sample_comparison(), full=True)
    titles = [line.split("  ")[0] for line in text.splitlines() if re.match(r"[A-Z@^,]{2}", line)]
    assert titles == [
        "VERDICT", "DENOMINATORS", "AUDIT", "COMPLIANCE", "EFFECT", "SENSITIVITY", "FLIPS",
        "COST, TOKENS, TIME", "TOOL USE", "GROUPS", "PASS@K AND PASS^K", "POWER", "METHOD NOTES",
        "INPUTS", "PROBLEMS",
    ]  # fmt: skip


def test_more_arms_follow_with_a_matrix_of_all() -> None:
    text = render_comparison(three_arms(), 120, full=True)
    assert "ALL ARMS  3 arms" in text
    assert re.search(r"^codesearch-lite against codesearch +~ ", text, re.M)
    assert re.search(r"^codesearch-lite against baseline +leaning codesearch-lite ", text, re.M)
    assert text.count("\nVERDICT") == 2


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("make", [sample_comparison, three_arms, spoiled, crowded])
def test_colour_marks_findings_and_grades_and_changes_nothing_else(
    make: Callable[[], Comparison], full: bool
) -> None:
    plain = text_of(make, 80, full)
    coloured = render_comparison(make(), full=full, colour=True)
    assert "\x1b" not in plain
    assert COLOURED.sub(r"\1", coloured) == plain
    marked = set(COLOURED.findall(coloured))
    grades = {"blocker", "warning", "note"}
    arms = [make(), *make().further]
    verdicts = [" ".join(verdict_sentence(arm).split()) for arm in arms]
    lines = {text.removesuffix("...") for text in marked - grades}
    assert lines
    assert all(any(text in words for words in verdicts) for text in lines)


def test_blockers_are_shown_before_warnings_when_there_is_no_room() -> None:
    whole = sample_comparison()
    blocker, *rest = whole.audit
    text = render_comparison(sample_comparison(audit=[blocker] * 20 + rest * 20))
    assert re.search(r"^blocker  ", text, re.M)
    assert re.search(r"^\.\.\. [\d,]+ more differences: --full$", text, re.M)
    assert not re.search(r"^warning  ", text, re.M)


def test_a_narrow_screen_leaves_no_row_out() -> None:
    text = render_comparison(sample_comparison(), 60)
    assert re.search(r"^in pairs +72 +72$", text, re.M)
    assert re.search(r"^cost per solved +\$0\.86 +\$0\.86 +1\.00x", text, re.M)
    assert widest(text) <= 60


def named(baseline: str, treatment: str) -> Comparison:
    whole = sample_comparison()
    sides = (
        copied(side, label=label)
        for side, label in zip(
            (whole.arms.baseline, whole.arms.treatment), (baseline, treatment), strict=True
        )
    )
    before, after = sides
    return copied(whole, arms=copied(whole.arms, baseline=before, treatment=after))


def test_long_labels_of_one_field_are_told_apart_by_its_values() -> None:
    text = render_comparison(named("reasoning_effort=low", "reasoning_effort=high"))
    assert re.search(r"^low +78", text, re.M)
    assert re.search(r"^high +78", text, re.M)
    assert re.search(
        r"^effort=low +78", render_comparison(named("effort=low", "effort=high")), re.M
    )


def test_without_pairs_the_screen_says_so_and_shows_no_empty_tables() -> None:
    whole = nothing_known()
    text = render_comparison(copied(whole, pairs=copied(whole.pairs, tasks=0)))
    assert "\nFLIPS  not known: no pairs\n\nCOST  not known: no pairs\n" in text
    assert "p not known" not in text


def test_errors_are_counted_in_both_arms_and_running_trials_apart() -> None:
    whole = sample_comparison()
    running = copied(whole.denominators.treatment, running=2)
    text = render_comparison(
        copied(whole, denominators=copied(whole.denominators, treatment=running)), 160
    )
    assert (
        "Errors: model provider 1 in baseline and 0 in codesearch, sandbox 1 and 2. "
        "Still running: 0 in baseline and 2 in codesearch."
    ) in text


def test_the_verdict_is_said_once() -> None:
    for make in (sample_comparison, poor_comparison):
        text = " ".join(render_comparison(make(), 1000).split())
        assert text.count(make().verdict.sentence) == 1
        assert text.lower().count("no difference shown") == ("~" in make().verdict.sentence)


def test_long_lists_of_flips_are_counted() -> None:
    whole = sample_comparison()
    flips = copied(whole.flips, gained=whole.flips.gained * 10)
    assert "+37 more" in render_comparison(sample_comparison(flips=flips))
    full = render_comparison(
        sample_comparison(flips=copied(flips, gained=whole.flips.gained * 20)), full=True
    )
    assert "... 30 more rows" in full
    assert full.count("\ngained: ") == 25


def test_the_audit_stands_alone() -> None:
    whole = sample_comparison()
    text = render_audit(whole.audit, whole.arms)
    assert text.startswith("AUDIT  1 blocker, 2 warnings, 2 notes\nblocker  The instruction")
    assert "job.concurrency: baseline 4; codesearch 8" in text
    assert "\x1b[1;31mblocker\x1b[0m" in render_audit(whole.audit, whole.arms, colour=True)
    nothing = render_audit([], whole.arms)
    assert nothing.splitlines()[1].startswith("Nothing differs besides the treatment")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_audit_and_the_power_alone_keep_to_the_width(width: int) -> None:
    whole = spoiled()
    assert widest(render_audit(whole.audit, whole.arms, width)) <= width
    assert widest(render_power(whole.power, width)) <= width


def test_the_power_stands_alone() -> None:
    text = render_power(sample_comparison().power)
    assert text.startswith("POWER  21.0 points or more would be seen\nWith 25 tasks")
    assert re.search(r"^5\.0 points +more tasks +418 tasks x 3 attempts +80 %$", text, re.M)
    assert re.search(r"^5\.0 points +more attempts +more than 100 attempts +21 %$", text, re.M)
    assert "not known" in render_power(poor_comparison().power)


def test_a_metric_that_is_no_reward_has_its_own_unit() -> None:
    whole = sample_comparison()
    metric = copied(whole.metric, name="metrics.cost.usd", kind="number", unit="usd")
    text = render_comparison(copied(whole, metric=metric))
    assert "+$0.21 (+$0.04 to +$0.35)" in text
    assert "$0.54 ($0.39 to $0.68)" in text


def test_a_table_gives_way_in_headings_then_in_cells_then_in_names() -> None:
    table = Table(
        ["a task of this name", "a long heading", "cell"],
        [["x" * 30, "1", "1.00x (0.90 to 1.10)"]],
        frozenset({0, 2}),
    )
    assert max(map(len, lay_out_table(table, 80))) == 30 + 2 + 14 + 2 + 20
    narrow = lay_out_table(table, 56)
    assert narrow[0].split() == ["a", "task", "of", "this", "name", "a", "long", "cell"]
    assert narrow[-2].split()[0] == "x" * 30
    narrowest = lay_out_table(table, 42)
    assert "…" in narrowest[-2]
    assert narrowest[-1].strip() == "(0.90 to 1.10)"
    assert lay_out_table(table, 20)[0].startswith("a task of this name")
