"""The web page of a comparison, as text: structure, policy, escapes, bounds, figures."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from comparisons import (
    HOSTILE,
    hostile_comparison,
    interval,
    poor_comparison,
    sample_comparison,
    three_arms,
)
from evaltrace.comparison import Comparison, Metric
from evaltrace.reports import webpage
from evaltrace.reports.webpage import render_webpage
from evaltrace.reports.wording import difference_interval, level_interval, ratio_interval
from webpages import Page, many_tasks

KINDS = {
    "sample": sample_comparison,
    "poor": poor_comparison,
    "three": three_arms,
    "hostile": hostile_comparison,
}


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: render_webpage(make()) for name, make in KINDS.items()}


# The page as a whole.


def test_sections_come_in_the_order_of_the_report(pages: dict[str, str]) -> None:
    ids = [str(found.get("id")) for found in Page(pages["three"]).tagged("section")]
    assert [name for name in ids if not name.startswith("further-")] == [
        "verdict", "denominators", "audit", "compliance", "effect", "sensitivity", "flips",
        "spending", "tools", "groups", "pass-at-k", "power", "further", "method", "inputs",
        "problems",
    ]  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_elements_are_balanced_and_references_meet(name: str, pages: dict[str, str]) -> None:
    page = Page(pages[name])
    assert page.wrong == []
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    named = {each for value in page.values("aria-labelledby") for each in value.split()}
    linked = {value.removeprefix("#") for value in page.values("href")}
    assert named | linked <= set(ids)


@pytest.mark.parametrize("name", KINDS)
def test_headings_skip_no_level(name: str, pages: dict[str, str]) -> None:
    levels = [int(tag[1]) for tag, _ in Page(pages[name]).elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert all(later - level <= 1 for level, later in pairwise(levels))


def test_the_policy_allows_the_two_blocks_and_nothing_else(pages: dict[str, str]) -> None:
    page = Page(pages["sample"])
    [policy] = [m["content"] for m in page.tagged("meta") if "http-equiv" in m]
    blocks = {tag: "".join(t for at, t in page.texts if at == tag) for tag in ("style", "script")}
    allowed = {
        tag: "sha256-" + b64encode(sha256(block.encode()).digest()).decode()
        for tag, block in blocks.items()
    }
    assert policy.split("; ") == [
        "default-src 'none'",
        f"style-src '{allowed['style']}'",
        f"script-src '{allowed['script']}'",
        "base-uri 'none'",
        "form-action 'none'",
    ]


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_fetched_and_nothing_needs_another_policy(
    name: str, pages: dict[str, str]
) -> None:
    page = Page(pages[name])
    assert {tag for tag, _ in page.elements} & {"img", "link", "iframe", "object", "base"} == set()
    assert not [v for a in ("src", "action", "style", "srcset") for v in page.values(a)]
    assert all(value.startswith("#") for value in page.values("href"))
    assert not [key for _, found in page.elements for key in found if key.startswith("on")]
    style = "".join(text for tag, text in page.texts if tag == "style")
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_same_comparison_gives_the_same_bytes(pages: dict[str, str]) -> None:
    assert render_webpage(sample_comparison()) == pages["sample"]


def test_numbers_stand_as_in_the_other_reports(pages: dict[str, str]) -> None:
    sample, shown = sample_comparison(), Page(pages["sample"]).shown()
    metric = sample.metric
    assert sample.verdict.sentence in shown
    assert level_interval(sample.reward.baseline, metric) == "53.8 % (38.9 to 68.2)"
    for words in (
        level_interval(sample.reward.baseline, metric),
        difference_interval(sample.reward.difference, metric),
        *(difference_interval(a.difference, metric) for a in sample.sensitivity.analyses),
        *(difference_interval(r.difference, metric) for g in sample.groups for r in g.rows),
        ratio_interval(sample.cost.ratio),
        ratio_interval(sample.cost.typical),
        ratio_interval(sample.per_solved.ratio),
        "p = 0.008",
    ):
        assert words in shown


def test_what_is_absent_is_said_in_words(pages: dict[str, str]) -> None:
    shown = Page(pages["poor"]).shown()
    assert not re.search(r"\b(None|nan|null|inf)\b", shown)
    for words in (
        "Nothing differs between the arms besides the treatment.",
        "No figure of changed tasks",
        "No figure of cost:",
        "No figure of cost ratios",
        "No call of a tool is known.",
        "Everything could be read.",
    ):
        assert words in shown


def test_each_dossier_has_both_trace_ids(pages: dict[str, str]) -> None:
    shown, flip = Page(pages["sample"]).shown(), sample_comparison().flips.gained[0]
    assert flip.baseline.trace_id in shown
    assert flip.treatment.trace_id in shown


def test_further_arms_have_a_section_and_the_matrix(pages: dict[str, str]) -> None:
    other = three_arms()
    shown = Page(pages["three"]).shown()
    assert other.further[0].verdict.sentence in shown
    assert all(difference_interval(c.difference, other.metric) in shown for c in other.matrix)
    assert 'id="further"' not in pages["sample"]


# Hostile input.


@pytest.mark.parametrize("shift", range(len(HOSTILE)))
def test_texts_of_traces_cannot_become_markup(shift: int) -> None:
    page = Page(render_webpage(hostile_comparison(shift)))
    assert page.wrong == []
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == 1
    assert "img" not in tags
    assert not [key for _, found in page.elements for key in found if key.startswith("on")]


def test_texts_of_traces_are_shown_and_cleaned() -> None:
    raw = render_webpage(hostile_comparison())
    assert "<script>alert(" in Page(raw).shown()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", raw)


# Bounds.


def test_five_hundred_tasks_stay_small_and_all_are_listed() -> None:
    raw = render_webpage(many_tasks())
    assert len(raw.encode()) <= 1_500_000
    assert raw.count("repository__issue-0499") >= 1
    assert "137 more tasks without a dossier on this page" in raw


def test_a_page_of_long_names_is_cut_until_it_is_small() -> None:
    wide = many_tasks(name="<&\"'>" * 60)
    raw = render_webpage(replace(wide, further=[wide] * 5))
    assert len(raw.encode()) <= webpage.page.MOST_BYTES
    assert "more rows are not shown" in raw


# Other metrics.


def test_a_metric_in_dollars_keeps_its_unit() -> None:
    cost = Metric(
        name="cost", field="metrics.cost.usd", kind="number", better="lower", pass_threshold=1,
        unit="usd",
    )  # fmt: skip
    raw = render_webpage(sample_comparison(metric=cost))
    assert "+$0.21 (+$0.04 to +$0.35)" in Page(raw).shown()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e300, None])
def test_no_number_breaks_the_page(value: float | None) -> None:
    sample: Comparison = sample_comparison()
    effect = replace(sample.reward, difference=interval(value, value, value))
    raw = render_webpage(replace(sample, reward=effect))
    assert "nan" not in raw.replace("nano", "")
    assert "inf%" not in raw


# Style.


def _variables(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("place", [0, 1, 2])
def test_text_has_contrast_on_screen_in_both_schemes_and_on_paper(place: int) -> None:
    style = (Path(webpage.__file__).parent / "page.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = _variables(blocks[0]) | _variables(blocks[place])
    pairs = [(ink, "paper") for ink in ("ink", "muted", "accent", "loss", "stop", "warn")]
    pairs += [
        ("accent", "accent-soft"),
        ("loss", "warn-soft"),
        ("stop", "stop-soft"),
        ("ink", "band"),
    ]
    for ink, ground in pairs:
        light, dark = sorted((_luminance(colours[ink]), _luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, ground)
