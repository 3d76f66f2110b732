"""Cost, tokens, time, turns and calls, and which tools were used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evaltrace.comparison import Amount, Comparison, PerSolved, Quantity, ToolRow, UseOfTool
from evaltrace.quantities import counted
from evaltrace.reports import wording as say
from evaltrace.reports.sections.arms import labels
from evaltrace.reports.sections.model import (
    Entries,
    Entry,
    Paragraph,
    Part,
    Section,
    Table,
    cut,
    facts,
    listed,
    shown,
)


def quantities(comparison: Comparison) -> list[Quantity]:
    """Give everything that was spent, in the order of the reports."""
    tokens, time = comparison.tokens, comparison.time
    return [
        comparison.cost,
        tokens.input,
        tokens.output,
        tokens.cache_creation,
        tokens.cache_read,
        tokens.total,
        tokens.total_with_cache,
        time.agent,
        time.total,
        comparison.turns,
        comparison.tool_calls,
    ]


def to_spending(comparison: Comparison, _limit: int) -> Section:
    """Set what both arms spent side by side, and say where the difference comes from."""
    spent, names = quantities(comparison), labels(comparison)
    notes = [("note", text) for text in quantity_notes(spent)]
    ratios = ["treatment to baseline", "in all", "typical task", "solved by both", "pairs known"]
    amounts = [
        "a trial",
        *(f"{what} {name}" for what in ("mean", "p90") for name in names),
    ]
    parts: list[Part] = [
        Table(amounts, [_amount_row(row) for row in spent], named=frozenset()),
        Entries([Entry("trials known", text) for text in _known(spent, names)]),
        Table(ratios, [_ratio_row(row) for row in spent], frozenset({0, 1, 2, 3}), frozenset()),
        Paragraph(
            "With intervals, over trials of pairs that count. In all: ratio of the sums of task "
            "means. Typical task: geometric mean of the tasks' own ratios."
        ),
        facts([_bill(comparison), *notes, *_per_solved(comparison.per_solved, names)]),
        *_origins(comparison),
    ]
    return Section("spending", "Cost, tokens, time", cost_digest(comparison), parts)


def cost_digest(comparison: Comparison) -> str:
    """Give the ratio of costs in a few words."""
    return f"cost {say.ratio_interval(comparison.cost.ratio)}"


def _bill(comparison: Comparison) -> tuple[str, str]:
    cost = comparison.cost
    sides = zip(labels(comparison), (cost.baseline, cost.treatment), strict=True)
    return "bill", "; ".join(f"{name} {bill_of(side, cost.unit)}" for name, side in sides)


def _do(number: int) -> str:
    return "does" if number == 1 else "do"


def bill_of(side: Amount, unit: str) -> str:
    """Say what the trials that count took in all, and what the others did."""
    if side.total is None:
        return say.NOT_KNOWN
    text = f"{say.amount(side.total, unit)} in {counted(side.known, 'trial')}"
    if side.lost is None:
        others = counted(side.uncounted, "trial")
        return f"{text}, and not known in {others} that {_do(side.uncounted)} not count"
    if not side.uncounted:
        return text
    others = counted(side.uncounted, "trial")
    known = "" if side.lost_known == side.uncounted else f", known of {side.lost_known}"
    lost = say.amount(side.lost, unit)
    return f"{text}, and {lost} in {others} that {_do(side.uncounted)} not count{known}"


def _amount_row(row: Quantity) -> list[str]:
    both = (row.baseline, row.treatment)
    values = [*(side.mean for side in both), *(side.p90 for side in both)]
    return [shown(row.name), *(say.amount(value, row.unit) for value in values)]


def _ratio_row(row: Quantity) -> list[str]:
    found = (row.ratio, row.typical, row.solved_by_both)
    pairs = say.count_of(row.known_pairs, row.pairs)
    return [shown(row.name), *map(say.ratio_interval, found), pairs]


def _known(spent: Sequence[Quantity], names: tuple[str, str]) -> Iterator[str]:
    """Say in how many trials the quantities are known, those known alike together."""
    alike: dict[str, list[str]] = {}
    for row in spent:
        sides = zip(names, (row.baseline, row.treatment), strict=True)
        counts = [f"{name} {say.count_of(side.known, side.trials)}" for name, side in sides]
        alike.setdefault(", ".join(counts), []).append(shown(row.name))
    for counted_trials, quantity_names in alike.items():
        whole = len(quantity_names) == len(spent)
        yield f"{counted_trials}: {'all' if whole else ', '.join(quantity_names)}"


def quantity_notes(spent: Sequence[Quantity]) -> list[str]:
    """Give the notes of quantities and of their ratios, those alike together."""
    alike: dict[str, list[str]] = {}
    for row in spent:
        found = (row.ratio, row.typical, row.solved_by_both)
        for note in [row.note, *(interval.note for interval in found if interval)]:
            if note and row.name not in alike.setdefault(note, []):
                alike[note].append(row.name)
    return [
        shown(note)
        if len(names) == len(spent) or note.startswith(names[0])
        else f"{listed(names, len(names))}: {shown(note)}"
        for note, names in alike.items()
    ]


def _per_solved(found: PerSolved, names: tuple[str, str]) -> Iterator[tuple[str, str]]:
    amounts = [say.amount(value, "usd") for value in (found.baseline, found.treatment)]
    sides = ", ".join(f"{name} {usd}" for name, usd in zip(names, amounts, strict=True))
    ratio = say.ratio_interval(found.ratio)
    yield "cost per solved", f"{sides}, ratio {ratio}; failures included"
    if found.per_extra_solved is not None:
        yield "cost of one more", f"{say.amount(found.per_extra_solved, 'usd')} a solved task"
    notes = [found.note, found.ratio.note if found.ratio else None]
    yield "note", "; ".join(shown(note) for note in notes if note)


def _origins(comparison: Comparison) -> list[Part]:
    found = comparison.cost_origins
    rows = [
        [
            shown(part.name),
            say.amount(part.baseline, part.unit),
            say.amount(part.treatment, part.unit),
            say.signed_amount(part.difference, part.unit),
            part.unit,
        ]
        for part in found.parts
    ]
    columns = ["where it comes from", *labels(comparison), "difference", "a trial"]
    table = [Table(columns, rows, frozenset({0, 4}))] if rows else []
    return [*table, Paragraph(shown(found.statement, longest=500))]


# Tools.


def to_tools(comparison: Comparison, limit: int) -> Section:
    """Count the calls of each tool, and what became of the trials that called it."""
    names = labels(comparison)
    rows = [
        [_tool_name(row) if first else "", name, *_use(use)]
        for row in comparison.tools
        for first, name, use in (
            (True, names[0], row.baseline),
            (False, names[1], row.treatment),
        )
    ]
    columns = ["tool", "arm", "calls", "failed", "trials", "passed of valid"]
    parts: list[Part] = [
        Table(columns, cut(rows, 4 * limit, len(columns)), frozenset({0, 1})),
        Paragraph(
            "Trials that called the tool, and the passed of those that are valid. * belongs to "
            "the treatment. Agents call a tool in other tasks than they do not: no effect of it."
        ),
    ]
    if not rows:
        parts = [Paragraph("No tool calls are known.")]
    number = len(comparison.tools)
    return Section("tools", "Tool use", counted(number, "tool") if number else "", parts)


def _tool_name(row: ToolRow) -> str:
    server = f"{row.server}/" if row.server and row.server not in row.tool else ""
    return shown(server + row.tool, longest=120) + (" *" if row.treated else "")


def _use(use: UseOfTool) -> list[str]:
    passed = say.count_of(use.passed, use.valid) if use.valid else "-"
    return [say.count(use.calls), say.count(use.errors), say.count(use.trials), passed]
