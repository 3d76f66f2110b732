"""Terminal, Markdown, web page and JSON show the same numbers.

What each report shows is read back from its text, and held against the JSON: nothing of the
reports' own wording is used, so a number that is rounded, scaled or taken wrongly is seen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from comparisons import poor_comparison, sample_comparison
from evaltrace.compare import compare_paths
from evaltrace.comparison import Comparison
from evaltrace.reports.machine import render_json
from evaltrace.reports.markdown import render_markdown
from evaltrace.reports.terminal import render_comparison
from evaltrace.reports.webpage import render_webpage

JOBS = Path(__file__).parents[1] / "examples" / "jobs"
Facts = dict[str, str]
Rows = list[list[str]]

COUNTS = {
    "planned": "planned",
    "started": "started",
    "finished": "finished",
    "errored": "errored",
    "cancelled": "cancelled",
    "unscored": "unscored",
    "running": "running",
    "valid": "valid",
    "counted, in pairs": "in_pairs",
    "set aside as duplicates": "set_aside",
    "tasks": "tasks",
    "tasks with a valid reward": "valid_tasks",
}
ANALYSES = ("valid_only", "as_run", "missing_as_fail", "worst_case", "best_case")
QUANTITIES = (
    "cost", "tokens.input", "tokens.output", "tokens.cache_creation", "tokens.cache_read",
    "tokens.total", "tokens.total_with_cache", "time.agent", "time.total", "turns", "tool_calls",
)  # fmt: skip
DIFFERENCE = re.compile(
    r"Difference ([+-]?\$?\d.*?|not known), (p .*?), (?:over )?(\d+) paired task"
)


@cache
def real_comparison() -> Comparison:
    return compare_paths([(None, JOBS / "baseline"), (None, JOBS / "with-codesearch")])


COMPARISONS: dict[str, Callable[[], Comparison]] = {
    "sample": sample_comparison,
    "poor": poor_comparison,
    "examples": real_comparison,
}


# Reading the tables of a report back: a name (or its first heading) and rows of cells.


def terminal_tables(text: str) -> Iterator[tuple[str, Rows]]:
    lines = text.split("\n")
    for at, line in enumerate(lines):
        if not re.fullmatch(r"-+(  -+)+", line):
            continue
        spans = [found.span() for found in re.finditer("-+", line)]
        end = lines.index("", at)
        rows = [[row[slice(*span)].strip() for span in spans] for row in lines[at + 1 : end]]
        yield lines[at - 1][slice(*spans[0])].strip(), rows


def markdown_tables(text: str) -> Iterator[tuple[str, Rows]]:
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        plain = [re.sub(r"\\(.)", r"\1", row).strip("| \n") for row in block.splitlines()]
        head, _, *rows = [[cell.strip() for cell in re.split(r" \| ?", row)] for row in plain]
        yield head[0], rows


class Tables(HTMLParser):
    """The tables of a page by their captions, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, Rows]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, _attributes: Any) -> None:
        self._inside.append(tag)
        if tag == "table":
            self.found.append(("", []))
        elif tag == "tr":
            self.found[-1][1].append([])
        elif tag in ("td", "th"):
            self.found[-1][1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, words: str) -> None:
        if "caption" in self._inside:
            caption, rows = self.found[-1]
            self.found[-1] = (caption + words, rows)
        elif {"td", "th"} & set(self._inside):
            self.found[-1][1][-1][-1] += words
        elif "style" not in self._inside and "script" not in self._inside:
            self.text += words


def first(tables: Sequence[tuple[str, Rows]], name: str) -> Rows:
    return next((rows for title, rows in tables if title.startswith(name)), [])


# What a report shows, by the same names for every report.


def shared_facts(text: str, tables: Sequence[tuple[str, Rows]]) -> Facts:
    """Read a report in the wording of terminal and Markdown."""
    facts = outer_facts(
        text,
        first(tables, "trials"),
        first(tables, "arm"),
        first(tables, "treatment to baseline"),
        first(tables, "analysis"),
    )
    for kind in ("gained", "lost", "unstable"):
        for task, before, after, *_ in first(tables, kind):
            facts[f"{kind} {task}"] = f"{before} {after}"
    return facts


def outer_facts(text: str, trials: Rows, arms: Rows, ratios: Rows, analyses: Rows) -> Facts:
    found = DIFFERENCE.search(text)
    assert found, "no difference is shown"
    facts = dict(zip(("difference", "difference p", "pairs"), found.groups(), strict=True))
    for words, before, after in trials:
        if words in COUNTS:
            facts[f"trials {COUNTS[words]}"] = f"{before} {after}"
    for side, (_, mean, tasks, valid, paired, *_) in zip(
        ("baseline", "treatment"), arms, strict=True
    ):
        facts |= {
            f"{side} mean": mean,
            f"{side} counts": f"{tasks} {valid}",
            f"{side} paired": paired,
        }
    for name, (_, whole, typical, solved, known, *_) in zip(QUANTITIES, ratios, strict=True):
        facts |= {f"{name} ratio": whole, f"{name} typical": typical, f"{name} solved": solved}
        facts[f"{name} known"] = known.partition(" pair")[0]
    for name, (_, _, difference, p, tasks, finding) in zip(ANALYSES, analyses, strict=False):
        facts |= {f"{name} difference": difference, f"{name} p": p, f"{name} tasks": tasks}
        facts[f"{name} finding"] = finding
    return facts


def terminal_facts(comparison: Comparison) -> Facts:
    text = render_comparison(comparison, 1000, full=True)
    return {**shared_facts(text, [*terminal_tables(text)]), "text": text}


def markdown_facts(comparison: Comparison) -> Facts:
    text = render_markdown(comparison)
    plain = re.sub(r"\\(.)", r"\1", text)
    return {**shared_facts(plain, [*markdown_tables(text)]), "text": plain}


def page_facts(comparison: Comparison) -> Facts:
    page = Tables(render_webpage(comparison))
    each = (
        "Trials of each arm, and their tasks",
        "Each arm alone",
        "Ratios, treatment",
        "Other ways to count missing",
    )
    facts = outer_facts(page.text, *(first(page.found, name)[1:] for name in each))
    for task, kind, before, after, *_ in first(page.found, "Tasks whose outcome")[1:]:
        facts[f"{kind} {task}"] = f"{before} {after}"
    return {**facts, "text": page.text}


REPORTS = {"terminal": terminal_facts, "markdown": markdown_facts, "page": page_facts}


# What they must show, from the JSON.


def wanted(comparison: Comparison) -> tuple[dict[str, list[float | None]], dict[str, str]]:
    """Give every figure in the unit in which it is shown, and every text."""
    whole = json.loads(render_json(comparison))
    kind = whole["metric"]["kind"]
    points, level = (1 if kind == "number" else 100), (100 if kind == "binary" else 1)
    effect, both = whole["reward"], whole["denominators"]
    sides = ("baseline", "treatment")
    figures: dict[str, list[float | None]] = {
        "difference": ends(effect["difference"], points),
        "difference p": [effect["difference"]["p"]],
        "pairs": [whole["pairs"]["tasks"]],
    }
    for name in COUNTS.values():
        figures[f"trials {name}"] = [both[side][name] for side in sides]
    for side in sides:
        arm = effect[side]
        figures[f"{side} mean"] = ends({**arm, "estimate": arm["mean"]}, level)
        figures[f"{side} counts"] = [arm["n_tasks"], arm["n_trials"]]
        figures[f"{side} paired"] = scaled([arm["paired_mean"]], level)
    for name in QUANTITIES:
        row = whole
        for part in name.split("."):
            row = row[part]
        figures[f"{name} ratio"] = ends(row["ratio"])
        figures[f"{name} typical"] = ends(row["typical"])
        figures[f"{name} solved"] = ends(row["solved_by_both"])
        figures[f"{name} known"] = [row["known_pairs"], row["pairs"]]
    texts = {}
    for row in whole["sensitivity"]["analyses"]:
        name, found = row["name"], row["difference"]
        figures[f"{name} difference"] = ends(found, points)
        figures[f"{name} p"] = [found["p"]]
        figures[f"{name} tasks"] = [found["n"]]
        texts[f"{name} finding"] = (row["finding"] or "cannot be told").replace("_", " ")
    for kind in ("gained", "lost", "unstable"):
        for flip in whole["flips"][kind]:
            parts = [flip[f"{part}_{side}"] for side in sides for part in ("passed", "of")]
            figures[f"{kind} {flip['task']}"] = parts
    texts["text"] = whole["verdict"]["sentence"]
    return figures, texts


def ends(found: dict[str, Any] | None, scale: float = 1) -> list[float | None]:
    if found is None or found["estimate"] is None:
        return [None]
    return scaled([found["estimate"], found["low"], found["high"]], scale)


def scaled(values: list[float | None], scale: float) -> list[float | None]:
    return [None if value is None else scale * value for value in values]


NUMBER = re.compile(r"[+-]?\$?\d[\d,]*(?:\.\d+)?")


def shows(cell: str, values: Sequence[float | None], is_p: bool = False) -> bool:
    """Tell whether a cell shows these values, each rounded to the digits it is shown with."""
    known = [value for value in values if value is not None]
    written = NUMBER.findall(cell)
    if is_p and "<" in cell:
        return known[0] < float(written[0])
    if len(written) != len(known):
        return False
    for text, value in zip(written, known, strict=True):
        decimals = 3 if is_p else len(text.partition(".")[2])
        number = float(text.replace("$", "").replace(",", ""))
        if abs(number - value) > 0.5000001 * 10**-decimals:
            return False
    return True


def differing(shown: Facts, comparison: Comparison) -> list[str]:
    """Name the facts of a report that are not those of the JSON."""
    figures, texts = wanted(comparison)
    wrong = [
        name
        for name, values in figures.items()
        if not shows(shown.get(name, "missing 0 0 0 0"), values, name.endswith(" p"))
    ]
    wrong += [name for name, words in texts.items() if words not in " ".join(shown[name].split())]
    known = {*figures, *texts}
    return wrong + [name for name in shown if name not in known]


@pytest.mark.parametrize("name", COMPARISONS)
@pytest.mark.parametrize("report", REPORTS)
def test_a_report_shows_the_numbers_of_the_json(report: str, name: str) -> None:
    comparison = COMPARISONS[name]()
    shown = REPORTS[report](comparison)
    assert differing(shown, comparison) == []
    assert len(shown) > 60


# The test can fail: a report of a comparison that differs in one number is told from it.


def changed(comparison: Comparison, path: str, change: Callable[[Any], Any]) -> Comparison:
    first_name, _, rest = path.partition(".")
    if not rest:
        return replace(comparison, **{first_name: change(getattr(comparison, first_name))})
    inner = changed(getattr(comparison, first_name), rest, change)
    return replace(comparison, **{first_name: inner})


def _more(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else value + 0.01


def _first_row(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda rows: [change(rows[0]), *rows[1:]]


CHANGES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "verdict.sentence": ("text", lambda words: words.replace("20.7", "20.8")),
    "denominators.baseline.errored": ("trials errored", _more),
    "denominators.treatment.valid": ("trials valid", _more),
    "reward.difference.estimate": ("difference", _more),
    "reward.difference.low": ("difference", _more),
    "reward.difference.p": ("difference p", _more),
    "reward.treatment.high": ("treatment mean", _more),
    "reward.baseline.paired_mean": ("baseline paired", _more),
    "cost.ratio.high": ("cost ratio", _more),
    "tokens.total.typical.estimate": ("tokens.total typical", _more),
    "time.agent.known_pairs": ("time.agent known", _more),
    "sensitivity.analyses": (
        "valid_only difference",
        _first_row(lambda row: changed(row, "difference.high", _more)),
    ),
    "flips.lost": (
        "lost cache-eviction-race",
        _first_row(lambda flip: changed(flip, "passed_treatment", _more)),
    ),
}


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize("report", REPORTS)
def test_another_number_in_one_report_is_seen(report: str, path: str) -> None:
    name, change = CHANGES[path]
    shown = REPORTS[report](changed(sample_comparison(), path, change))
    assert name in differing(shown, sample_comparison())
