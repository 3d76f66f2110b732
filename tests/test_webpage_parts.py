"""Parts of the web page: tables, axes, figures, and the markup they are made of."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from comparisons import difference, interval, sample_comparison
from evaltrace.reports.columns import columns as display_width
from evaltrace.reports.webpage import render_webpage
from evaltrace.reports.webpage.distribution import Ratios, draw_ratios
from evaltrace.reports.webpage.forest import ForestAxis, ForestRow, draw_forest
from evaltrace.reports.webpage.markup import (
    Markup,
    across,
    cut_middle,
    element,
    unbroken,
)
from evaltrace.reports.webpage.paired import MOST, PairedTasks, draw_paired
from evaltrace.reports.webpage.scales import Scale, linear, logarithmic
from evaltrace.reports.webpage.tables import columns, number, table, text
from webpages import many_tasks

# Tables.


def test_unknown_cells_have_no_value_to_sort_by() -> None:
    raw = render_webpage(sample_comparison())
    assert number(None, "not known").value is None
    assert number(float("nan"), "not known").value is None
    assert number(0, "0").value == 0
    assert 'data-value="0"' in raw
    assert '<td class="number">not known</td>' in raw


def test_a_column_of_empty_notes_is_left_out() -> None:
    made = table(
        "caption", columns("task:name", "p", "note:text"), [[text("a"), number(1, "1"), text("")]]
    )
    assert [column.name for column in made.columns] == ["task", "p"]
    assert [[cell.text for cell in row.cells] for row in made.rows] == [["a", "1"]]


def test_rows_left_out_are_counted() -> None:
    made = table("caption", columns("task:name"), [[text(str(n))] for n in range(7)], most=3)
    assert (len(made.rows), made.more) == (3, 4)


# Figures.


def test_places_on_an_axis() -> None:
    assert [Scale(-1, 1).fraction(v) for v in (-1, 0, 0.5, 9)] == [0, 0.5, 0.75, 1]
    assert Scale(0.25, 4, log=True).fraction(1) == pytest.approx(0.5)
    assert (across(0), across(0.5), across(1)) == ("4.00%", "50.00%", "96.00%")


def test_marks_on_an_axis_are_round() -> None:
    assert Scale(-0.26, 0.41).ticks() == [-0.2, 0, 0.2, 0.4]
    assert Scale(0, 1).ticks(5) == [0, 0.2, 0.4, 0.6, 0.8, 1][:5] or Scale(0, 1).ticks(5) == [
        0,
        0.5,
        1,
    ]
    assert Scale(0.4, 5, log=True).ticks() == [0.5, 1, 2, 4]


FINITE = st.floats(-1e100, 1e100)


@given(st.lists(FINITE, min_size=1), st.integers(3, 8))
def test_linear_axes_hold_their_values(values: list[float], most: int) -> None:
    scale = linear(values, least=1e-6)
    assert all(0 <= scale.fraction(value) <= 1 for value in values)
    assert scale.low <= min(values) <= max(values) <= scale.high
    ticks = scale.ticks(most)
    assert len(ticks) <= most
    assert ticks == sorted(set(ticks))


@given(st.lists(st.floats(1e-9, 1e9), min_size=1), st.integers(3, 8))
def test_logarithmic_axes_hold_their_values(values: list[float], most: int) -> None:
    scale = logarithmic(values)
    assert scale.high / scale.low > 4
    assert scale.low <= min(values) <= max(values) <= scale.high
    assert 1 <= len(scale.ticks(most)) <= most


def _axis(band: float | None = None) -> ForestAxis:
    return ForestAxis(title="points", tick=lambda value: f"{value:g}", band=band)


def test_an_effect_is_drawn_where_its_numbers_are() -> None:
    rows = [ForestRow(name="all", text="+0.5", interval=difference(0.5, -0.5, 1, 0.1))]
    picture = draw_forest("f", rows, _axis(band=0.25))
    assert picture is not None
    scale = linear([-0.5, 1])
    assert 'class="zero"' in picture
    assert f'x1="{scale.across(0)}" y1="0" x2="{scale.across(0)}"' in picture
    assert f'<line x1="{scale.across(-0.5)}" y1="35" x2="{scale.across(1)}" y2="35"' in picture
    assert f'<rect x="{scale.across(-0.25)}"' in picture


def test_an_interval_without_an_end_is_drawn_as_an_arrow() -> None:
    rows = [ForestRow(name="all", text="", interval=interval(0.5, 0.2, None))]
    picture = draw_forest("f", rows, _axis())
    assert picture is not None
    assert f'<svg x="{across(1)}"' in picture


def test_no_effect_is_no_figure() -> None:
    assert (
        draw_forest("f", [ForestRow(name="all", interval=interval(0, 0, 0))], _axis()) is not None
    )
    nothing = replace(interval(0, 0, 0), estimate=None)
    assert draw_forest("f", [ForestRow(name="all", interval=nothing)], _axis()) is None


def test_changed_tasks_are_drawn_and_the_rest_counted() -> None:
    many = many_tasks(200)
    kinds = {flip.task: "gained" for flip in many.flips.gained}
    paired = PairedTasks(tasks=many.tasks, kinds=kinds, axis="reward", tick=str)
    drawn = draw_paired("p", paired)
    assert drawn is not None
    changed = [
        t for t in many.tasks if t.difference is not None and (t.difference or t.task in kinds)
    ]
    assert (drawn.shown, drawn.changed) == (MOST, len(changed))


def test_kinds_of_flips_differ_in_shape() -> None:
    sample = sample_comparison()
    picture = render_webpage(sample)
    figure = picture[picture.index("flips-figure") :]
    outlines = {kind: re.search(rf'd="([^"]+)" class="mark {kind}"', figure) for kind in
                ("gained", "lost", "unstable")}  # fmt: skip
    assert len({found.group(1) for found in outlines.values() if found}) == 3


def test_every_ratio_is_a_dot_or_in_a_bar() -> None:
    few = Ratios(values=[1.1, 1.2, 1.3], typical=None, axis="cost", text="", ratio=str)
    picture = draw_ratios("r", few)
    assert picture is not None
    assert picture.count("<circle") == 3
    values = [1.1] * 40 + [1.3] * 7
    many = draw_ratios("r", Ratios(values=values, typical=None, axis="cost", text="", ratio=str))
    assert many is not None
    assert re.findall(r"<title>(\d+) tasks</title>", many) == ["40", "7"]
    assert draw_ratios("r", Ratios(values=[], typical=None, axis="", text="", ratio=str)) is None


# Markup.


def test_only_markup_is_not_escaped() -> None:
    inner = element("b", "<i>")
    assert inner == "<b>&lt;i&gt;</b>"
    assert element("a", inner, class_="x", stroke_width=1.5, title=None) == (
        '<a class="x" stroke-width="1.5"><b>&lt;i&gt;</b></a>'
    )
    assert isinstance(inner, Markup)
    assert element("a", title='"') == '<a title="&quot;"/>'


def test_a_percent_sign_stays_with_its_number_and_the_rest_is_escaped() -> None:
    assert unbroken("<b> at 95 % or") == ('&lt;b&gt; at <span class="unbroken">95 %</span> or')


def test_long_names_keep_their_ends() -> None:
    assert cut_middle("django__django-12345", 12) == "djang…-12345"
    assert cut_middle("short", 12) == "short"
    assert cut_middle("整理整頓", 6) == "整…頓"


@given(st.text(max_size=60), st.integers(5, 40))
def test_cut_names_fit(name: str, width: int) -> None:
    assert display_width(cut_middle(name, width)) <= width
