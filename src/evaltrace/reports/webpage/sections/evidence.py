"""The tasks one by one: flips, their dossiers, and every task in both arms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evaltrace.comparison import Comparison, Flip, PatchSize, TaskRow, ToolRow
from evaltrace.quantities import counted
from evaltrace.reports.webpage.sections.counts import arm_columns
from evaltrace.reports.webpage.tables import (
    Cell,
    Column,
    Row,
    Shown,
    Table,
    columns,
    number,
    shown,
    table,
    text,
)
from evaltrace.reports.wording import amount, count, level, passed, share, signed

MOST_DOSSIERS = 30
"""Dossiers of each kind of flip; the table names the rest."""

MOST_NAMES = 12
"""Tests or files named in a list of a dossier."""

KINDS = ("gained", "lost", "unstable")


@dataclass(frozen=True, slots=True)
class Dossier:
    """A flip with the texts of its evidence, cut to be shown."""

    name: str
    task: Shown
    flip: Flip
    outcome: tuple[str, str]
    trials: Table
    fixed: list[Shown]
    broken: list[Shown]
    files: list[Shown]


def flips(comparison: Comparison) -> Iterator[tuple[str, Flip]]:
    """Give every flip with its kind, in the order of the report."""
    found = comparison.flips
    for kind, each in zip(KINDS, (found.gained, found.lost, found.unstable), strict=True):
        for flip in each:
            yield kind, flip


def flips_table(comparison: Comparison) -> Table | None:
    """List the flips; None without any."""
    rows = [
        [
            text(flip.task),
            text(kind, mark=f"flip {kind}"),
            number(_rate(flip.passed_baseline, flip.of_baseline),
                   passed(flip.passed_baseline, flip.of_baseline)),
            number(_rate(flip.passed_treatment, flip.of_treatment),
                   passed(flip.passed_treatment, flip.of_treatment)),
            number(flip.chance, share(flip.chance)),
            number(flip.likelihood, share(flip.likelihood)),
        ]
        for kind, flip in flips(comparison)
    ]  # fmt: skip
    heading = columns(
        "task:name", "kind:text", *arm_columns(comparison), "by luck alone", "truly higher"
    )
    caption = (
        f"Tasks whose outcome differs or wavers; {count(comparison.flips.unchanged)} unchanged"
    )
    return table(caption, heading, rows) if rows else None


def _rate(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def dossiers(comparison: Comparison) -> list[tuple[str, list[Dossier], int]]:
    """Give the dossiers by kind, and how many flips of a kind have none on the page."""
    grouped: list[tuple[str, list[Dossier], int]] = []
    for kind in KINDS:
        each = [flip for name, flip in flips(comparison) if name == kind]
        made = [
            _dossier(f"{kind}-{place}", flip, comparison)
            for place, flip in enumerate(each[:MOST_DOSSIERS], 1)
        ]
        grouped.append((kind, made, len(each) - len(made)))
    return grouped


def _dossier(name: str, flip: Flip, comparison: Comparison) -> Dossier:
    tests, patches = flip.tests, flip.patches
    return Dossier(
        name=name,
        task=shown(flip.task, 120),
        flip=flip,
        outcome=(
            passed(flip.passed_baseline, flip.of_baseline),
            passed(flip.passed_treatment, flip.of_treatment),
        ),
        trials=_trials_table(flip, comparison),
        fixed=_some(tests.fixed_tests if tests else []),
        broken=_some(tests.broken_tests if tests else []),
        files=_some(patches.files_in_both if patches else []),
    )


def _some(names: Sequence[str]) -> list[Shown]:
    return [shown(name, 120) for name in names[:MOST_NAMES]]


def _trials_table(flip: Flip, comparison: Comparison) -> Table:
    """Set one trial of each arm side by side."""
    metric, trials = comparison.metric, (flip.baseline, flip.treatment)
    rows = [
        [text("trace id"), *(text(trial.trace_id, 300, "trace-id") for trial in trials)],
        [text("status"), *(text(trial.status) for trial in trials)],
        [text(metric.name, 40), *(text(level(trial.value, metric)) for trial in trials)],
        [text("error"), *(text(trial.error, 200, absent="none") for trial in trials)],
        [text("cost"), *(text(amount(trial.cost_usd, "usd")) for trial in trials)],
        [text("tool calls"), *(text(count(trial.tool_calls)) for trial in trials)],
        [text("treatment's calls"), *(text(count(trial.treatment_calls)) for trial in trials)],
    ]
    if flip.patches is not None:
        sizes = (flip.patches.baseline, flip.patches.treatment)
        rows.append([text("code changed"), *map(_patch, sizes)])
    if flip.divergence is not None:
        steps = (flip.divergence.baseline, flip.divergence.treatment)
        name = text(f"paths part at call {count(flip.divergence.step)}")
        rows.append([name, *(text(step, 160, "code", "no further call") for step in steps)])
    heading = columns("what:name", *arm_columns(comparison, kind="text"))
    return table("One trial of each arm", heading, rows)


def _patch(size: PatchSize | None) -> Cell:
    if size is None:
        return text(None)
    lines = f"+{count(size.added)} -{count(size.removed)} lines"
    return text(f"{counted(size.files, 'file')}, {lines}")


def tasks_table(comparison: Comparison) -> Table | None:
    """List every task in both arms; None without any."""
    fields = sorted({field for task in comparison.tasks for field in task.groups})[:4]
    rows = [_task_row(task, fields, comparison) for task in comparison.tasks]
    heading = columns(
        "task:name", *arm_columns(comparison), "difference", *arm_columns(comparison, "cost"),
        *(Column(shown(field, 28).text, "text") for field in fields),
    )  # fmt: skip
    caption = "Means over valid attempts; cost of an attempt"
    return table(caption, heading, rows) if rows else None


def _task_row(task: TaskRow, fields: list[str], comparison: Comparison) -> Row:
    metric = comparison.metric
    return Row([
        text(task.task, 60),
        number(task.baseline_mean, level(task.baseline_mean, metric)),
        number(task.treatment_mean, level(task.treatment_mean, metric)),
        number(task.difference, signed(task.difference, metric)),
        number(task.baseline_cost, amount(task.baseline_cost, "usd")),
        number(task.treatment_cost, amount(task.treatment_cost, "usd")),
        *(text(task.groups.get(field), 28, absent="-") for field in fields),
    ])  # fmt: skip


def tools_table(comparison: Comparison) -> Table | None:
    """List the tools by server with calls, errors, and the outcome where they were called."""

    def row(tool: ToolRow) -> Row:
        cells = [text(tool.tool), text(tool.server, absent="built in"), text(tool.kind)]
        for use in (tool.baseline, tool.treatment):
            cells += [
                number(use.calls, count(use.calls)),
                number(use.errors, count(use.errors)),
                number(use.trials, count(use.trials)),
                number(_rate(use.passed, use.valid), passed(use.passed, use.valid)),
            ]
        return Row(cells, tool.treated)

    parts = arm_columns(comparison, "calls", "errors", "trials", "passed")
    heading = columns("tool:name", "server:text", "kind:text", *parts)
    caption = "Calls by tool; passed: of the valid trials that called it"
    rows = [row(tool) for tool in comparison.tools]
    return table(caption, heading, rows) if rows else None
