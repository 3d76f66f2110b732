from __future__ import annotations

import re
from collections.abc import Callable

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
from evaltrace.errors import Problem
from evaltrace.reports.markdown import escape, render_markdown
from evaltrace.reports.terminal import render_comparison

SAMPLES = {
    "sample": sample_comparison,
    "poor": poor_comparison,
    "three_arms": three_arms,
    "nothing_known": nothing_known,
}
OWN_TAGS = re.compile(r"^<details><summary>|</summary>$|^</details>$", re.M)
ESCAPED = re.compile(r"\\.")


def enormous() -> Comparison:
    """Long lists of long texts: far more than a comment takes."""
    whole = hostile_comparison(5)
    name = "a|very|long|name|" * 40
    flips = [
        copied(flip, task=f"{name}{number}")
        for number in range(500)
        for flip in whole.flips.gained[:1]
    ]
    return copied(
        whole,
        flips=copied(whole.flips, gained=flips, lost=flips, unstable=flips),
        audit=[copied(item, message=name * 9, tasks=[name] * 500) for item in whole.audit * 40],
        problems=[Problem(code="x", path=name, message=name) for _ in range(500)],
        tools=whole.tools * 200,
        verdict=copied(whole.verdict, caveats=[name] * 90),
        further=whole.further * 3,
    )


@pytest.mark.parametrize("name", ["sample", "poor", "three_arms"])
def test_the_report_reads_as_before(golden: Callable[[str, str], None], name: str) -> None:
    golden(f"comparison_{name}.md", render_markdown(SAMPLES[name]()))


def test_the_verdict_comes_first() -> None:
    lines = render_markdown(sample_comparison()).splitlines()
    assert lines[0] == "## codesearch against baseline"
    assert lines[2].startswith(
        "**Better, but 1 blocker in the audit: codesearch solved 20.7 points more"
    )


def texts() -> list[str]:
    hostile = [render_markdown(hostile_comparison(shift)) for shift in range(10)]
    return [*hostile, *(render_markdown(make()) for make in SAMPLES.values())]


@pytest.fixture(scope="module")
def reports() -> list[str]:
    return texts()


def test_a_trace_can_write_no_html(reports: list[str]) -> None:
    for text in reports:
        assert re.findall(r"[<>]", OWN_TAGS.sub("", text)) == []


def test_every_fold_is_closed_and_its_title_stands_on_one_line(reports: list[str]) -> None:
    for text in reports:
        depth = 0
        for line in text.splitlines():
            depth += line.startswith("<details><summary>") - (line == "</details>")
            assert depth >= 0
            assert not line.startswith("<details>") or line.endswith("</summary>")
        assert depth == 0


def test_every_row_of_a_table_has_as_many_cells_as_its_head(reports: list[str]) -> None:
    for text in reports:
        blocks = re.findall(r"(?:^\|.*\n)+", text, re.M)
        assert len(blocks) >= 7
        for block in blocks:
            rows = block.splitlines()
            assert re.fullmatch(r"\|( (:--|--:) \|)+", rows[1])
            assert len({ESCAPED.sub("", row).count("|") for row in rows}) == 1


def test_no_text_of_a_trace_is_markup_a_link_or_a_mention(reports: list[str]) -> None:
    for text in reports:
        bare = ESCAPED.sub("", text)
        assert "`" not in bare
        assert "[" not in bare
        assert re.findall(r"@\w|(?<!&)#\d|\w://|www\.", bare) == []
        assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text) == []
        headings = [line for line in bare.splitlines() if line.startswith("#")]
        assert all(re.match(r"##+ \w", line) for line in headings)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`code` *bold*", r"\`code\` \*bold\*"),
        ("task_name__x1", "task_name__x1"),
        ("__init__ _a_", r"\_\_init\_\_ \_a\_"),
        ("two\n\nlines", "two lines"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("$0.47 or $1.20", "$0.47 or $1.20"),
        ("$x$ and $1x$", r"\$x\$ and $1x\$"),
        ("@team #12 GH-3", "@\u2060team #\u206012 GH-\u20603"),
        ("https://x.example www.x.example", "https\u2060://x.example www\u2060.x.example"),
        ("at 09:12:00", "at 09:12:00"),
        (":tada: done", ":\u2060tada: done"),
        ("C:\\dir [a](b) ~gone~", r"C:\\dir \[a\](b) \~gone\~"),
    ],
)
def test_text_shows_as_it_is(text: str, shown: str) -> None:
    # GH-3 is kept apart after the letters, where the reference begins.
    assert escape(text) == shown.replace("GH-\u2060", "GH\u2060-")


def test_a_paragraph_cannot_become_a_heading_or_a_list() -> None:
    for text, begin in (("# big", r"\# big"), ("- a", r"\- a"), ("12. a", r"12\. a")):
        whole = sample_comparison()
        flips = copied(whole.flips, statement=text)
        assert f"\n\n{begin}\n\n" in render_markdown(copied(whole, flips=flips))


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_not_known_is_said_in_words(name: str) -> None:
    text = render_markdown(SAMPLES[name]())
    assert re.findall(r"\b(None|nan|NaN|null|inf|True|False)\b", text) == []


def test_a_comment_takes_any_report() -> None:
    text = render_markdown(enormous())
    assert len(text) <= 60_000
    assert text.count("<details>") == text.count("</details>")
    assert "more row" in text
    assert "left out: too long for a comment." in text
    assert all(len(render_markdown(make())) <= 60_000 for make in SAMPLES.values())


def test_long_lists_are_cut_with_a_count_before_anything_is_left_out() -> None:
    whole = sample_comparison()
    flips = copied(whole.flips, gained=whole.flips.gained * 60)
    text = render_markdown(copied(whole, flips=flips))
    assert "... 190 more rows" in text
    assert "left out" not in text
    assert "235 more" in text


NUMBER = re.compile(r"[+-]?\$?\d[\d,]*(?:\.\d+)?(?:x|k|M)?")


@pytest.mark.parametrize("name", ["sample", "poor"])
def test_markdown_and_terminal_show_the_same_numbers(name: str) -> None:
    comparison = SAMPLES[name]()
    markdown = set(NUMBER.findall(render_markdown(comparison).replace("\\", "")))
    screen = set(NUMBER.findall(re.sub(r"\+\d+ more", "", render_comparison(comparison, 1000))))
    full = set(NUMBER.findall(render_comparison(comparison, 1000, full=True)))
    assert len(full) > 15
    assert screen - markdown == set()
    assert full - markdown == set()
    assert markdown - full - screen == set()
