"""Tasks whose outcome changed, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evaltrace.comparison import Attempt, Comparison, Flip, Metric, PatchSize
from evaltrace.quantities import counted
from evaltrace.reports import wording as say
from evaltrace.reports.sections.arms import labels
from evaltrace.reports.sections.model import (
    Entries,
    Entry,
    Fold,
    Paragraph,
    Part,
    Section,
    Table,
    cut,
    listed,
    shown,
)


def to_flips(comparison: Comparison, limit: int) -> Section:
    """List the tasks that changed, then their dossiers."""
    flips = comparison.flips
    parts: list[Part] = [Paragraph(shown(flips.statement, longest=500))]
    lists = [("gained", flips.gained), ("lost", flips.lost), ("unstable", flips.unstable)]
    for name, rows in lists:
        if rows:
            parts.append(_table(name, rows, labels(comparison), limit))
    parts += _chance(comparison)
    for name, rows in lists:
        parts += [_dossier(name, flip, comparison) for flip in rows[:limit]]
    return Section("flips", "Flips", flip_digest(comparison), parts)


def flip_digest(comparison: Comparison) -> str:
    """Say among how many tasks flips were looked for."""
    return f"among {counted(comparison.pairs.tasks, 'pair')}"


def outcome(flip: Flip) -> str:
    """Give the passes of a task in both arms: `0/3 to 3/3`."""
    before = say.passed(flip.passed_baseline, flip.of_baseline)
    return f"{before} to {say.passed(flip.passed_treatment, flip.of_treatment)}"


def _table(name: str, flips: Sequence[Flip], names: tuple[str, str], limit: int) -> Table:
    rows = [
        [
            shown(flip.task),
            say.passed(flip.passed_baseline, flip.of_baseline),
            say.passed(flip.passed_treatment, flip.of_treatment),
            say.share(flip.chance),
            say.share(flip.likelihood),
        ]
        for flip in flips
    ]
    columns = [
        name,
        *(f"passed in {label}" for label in names),
        "by luck",
        f"{names[1]} truly higher",
    ]
    return Table(columns, cut(rows, 2 * limit, len(columns)))


def _chance(comparison: Comparison) -> Iterator[Part]:
    flips = comparison.flips
    if flips.gained or flips.lost or flips.unstable:
        yield Paragraph(
            "Gained and lost: the pass rate moved by more than one half. By luck: how often "
            "attempts of equal noise would differ this much."
        )


# The evidence for one task.


def _dossier(name: str, flip: Flip, comparison: Comparison) -> Fold:
    both = labels(comparison)
    rows = [
        Entry(
            label, _attempt_words(attempt, comparison.metric), [f"trace {shown(attempt.trace_id)}"]
        )
        for label, attempt in zip(both, (flip.baseline, flip.treatment), strict=True)
    ]
    title = f"{name}: {shown(flip.task)} ({outcome(flip)})"
    return Fold(title, [Entries([*rows, *_evidence(flip, both)])])


def _attempt_words(attempt: Attempt, metric: Metric) -> str:
    """Describe a trial: `pass, reward 1, 17 tool calls (6 of the treatment's), $0.71`."""
    parts = [attempt.status if attempt.error is None else f"{attempt.status}, {attempt.error}"]
    parts.append(f"{metric.name} {say.plain_value(attempt.value)}")
    treated = attempt.treatment_calls
    of_tool = f" ({treated:,} of the treatment's)" if treated is not None else ""
    if attempt.tool_calls is None:
        parts.append(f"tool calls {say.NOT_KNOWN}{of_tool}")
    else:
        parts.append(counted(attempt.tool_calls, "tool call") + of_tool)
    cost = say.amount(attempt.cost_usd, "usd")
    parts.append(f"cost {cost}" if attempt.cost_usd is None else cost)
    return shown(", ".join(parts))


def _evidence(flip: Flip, names: tuple[str, str]) -> Iterator[Entry]:
    tests, patches, parting = flip.tests, flip.patches, flip.divergence
    if tests is not None:
        counts = f"{tests.fixed:,} fixed, {tests.broken:,} broken of {tests.compared:,} compared"
        moved = (("fixed", tests.fixed_tests), ("broken", tests.broken_tests))
        yield Entry("tests", counts, [f"{word}: {listed(case, 5)}" for word, case in moved if case])
    if patches is not None:
        sizes = zip(names, (patches.baseline, patches.treatment), strict=True)
        text = "; ".join(f"{label} {_patch_words(size)}" for label, size in sizes)
        common = f"{counted(len(patches.files_in_both), 'file')} in both"
        overlap = say.share(patches.overlap)
        lines = "" if patches.overlap is None else f", {overlap} of changed lines in both"
        yield Entry("changes", text, [common + lines])
    if parting is not None:
        sides = zip(names, (parting.baseline, parting.treatment), strict=True)
        calls = [f"{label}: {shown(call, 'no further call')}" for label, call in sides]
        yield Entry("parted", f"at tool call {parting.step:,}", calls)


def _patch_words(size: PatchSize | None) -> str:
    if size is None:
        return say.NOT_KNOWN
    return f"{counted(size.files, 'file')} +{size.added:,} -{size.removed:,}"
