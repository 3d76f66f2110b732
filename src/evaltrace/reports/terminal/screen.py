"""One screen of a comparison: what a busy reader needs, in at most 45 lines."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.comparison import Comparison, Flip
from evaltrace.reports import wording as say
from evaltrace.reports.columns import columns, fill, head, shorten_middle
from evaltrace.reports.quantities import counted
from evaltrace.reports.sections import Entry, Section, Table, brief
from evaltrace.reports.sections.arms import (
    audit_entry,
    grade_counts,
    labels,
    treatment_words,
)
from evaltrace.reports.sections.changes import flip_digest, outcome
from evaltrace.reports.sections.effects import difference_words
from evaltrace.reports.sections.model import shown
from evaltrace.reports.terminal.grid import lay_out_table
from evaltrace.reports.terminal.sheet import heading, lay_out_entries, wrapped

LINES = 45
"""Lines of a screen, at widths of 80 and more."""

_NAMED = 3
_FLIP = 40
"""Flips that are named, and the columns that a name gets."""

_LEAST = 5
"""Lines that the audit needs to say something."""

_LABEL = 16
"""Columns that the label of an arm gets."""

_FOOTER = "Everything else, and the evidence for each flip: --full"


def lay_out_screen(comparison: Comparison, width: int, colour: bool) -> list[str]:
    """Give the lines of the screen; the audit gets what the other blocks leave.

    Where that is too little, the other blocks say less.
    """
    blocks, room = _blocks(comparison, width, colour, roomy=True)
    if room < _LEAST:
        blocks, room = _blocks(comparison, width, colour, roomy=False)
    blocks.insert(2, _audit(comparison, width, colour, room))
    return [line for block in blocks for line in ("", *block)][1:]


def _blocks(
    comparison: Comparison, width: int, colour: bool, roomy: bool
) -> tuple[list[list[str]], int]:
    """Give all blocks but the audit, and the lines that they leave to it."""
    blocks = [
        _verdict(comparison, width, colour, roomy),
        _trials(comparison, width),
        _effect(comparison, width),
        _flips(comparison, width, roomy),
        _spending(comparison, width),
        wrapped(_FOOTER, width),
    ]
    return blocks, LINES - sum(len(block) + 1 for block in blocks)


def _short(text: str, width: int, most: int) -> list[str]:
    """Wrap a text into a few lines at most."""
    return _cut(wrapped(text, width), most)


def _cut(lines: list[str], most: int) -> list[str]:
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    return [*lines[: most - 1], head(last, columns(last) - 3).rstrip() + "..."]


def _one_line(text: str, width: int) -> str:
    return "".join(_short(text, width, 1))


def _named_arms(comparison: Comparison) -> tuple[str, str]:
    baseline, treatment = labels(comparison)
    return shorten_middle(baseline, _LABEL), shorten_middle(treatment, _LABEL)


def _verdict(comparison: Comparison, width: int, colour: bool, roomy: bool) -> list[str]:
    verdict = comparison.verdict
    words = say.verdict_words(verdict)
    top = heading(Section("verdict", "Verdict", words, mark=verdict.finding), width, colour)
    caveats = [f"! {shown(caveat)}" for caveat in verdict.caveats]
    others = [_other_arm(other) for other in comparison.further]
    return [
        *top[:2],
        *_short(shown(verdict.sentence, longest=600), width, 3),
        *_first(caveats, 2 if roomy else 0, "! {} more: --full", width),
        *_short(treatment_words(comparison), width, 2 if roomy else 1),
        *_first(others, 3 if roomy else 0, "{} more against the same baseline: --full", width),
    ]


def _first(texts: Sequence[str], most: int, rest: str, width: int) -> list[str]:
    """Give a line to each of the first texts, and one that counts the others."""
    if len(texts) <= most + 1:
        return [_one_line(text, width) for text in texts]
    more = rest.format(f"{len(texts) - most:,}")
    return [*(_one_line(text, width) for text in texts[:most]), _one_line(more, width)]


def _other_arm(other: Comparison) -> str:
    found = say.difference_interval(other.reward.difference, other.metric)
    return f"{_named_arms(other)[1]}: {say.finding_words(other.verdict.finding)}, {found}"


# Trials.


def _trials(comparison: Comparison, width: int) -> list[str]:
    names = _named_arms(comparison)
    return [
        *_rows(brief.trials_table(comparison, names, "TRIALS"), width)[:5],
        *_short(brief.pairs_sentence(comparison, names), width, 2),
        *_short(brief.errors_sentence(comparison, names), width, 1),
    ]


def _rows(table: Table, width: int) -> list[str]:
    return lay_out_table(table, width, rule=False)


# Audit.


def _audit(comparison: Comparison, width: int, colour: bool, room: int) -> list[str]:
    """Show blockers and warnings in the lines there are, and count the rest."""
    items = [item for item in comparison.audit if item.grade != "note"]
    counts = say.graded_counts(grade_counts(comparison.audit))
    lines = heading(Section("audit", "Audit", counts), width, colour)[:2]
    entries = [audit_entry(item, labels(comparison), 1) for item in items[:room]]
    whole = list(lay_out_entries(entries, width, colour))
    if len(entries) == len(items) and len(lines) + len(whole) <= room:
        return [*lines, *whole]
    for index, entry in enumerate(entries):
        block = _cut(
            list(lay_out_entries([Entry(entry.label, entry.text, mark=entry.mark)], width, colour)),
            3,
        )
        more = len(items) - index
        if len(lines) + len(block) + (more > 1) > room:
            return [*lines, f"... {counted(more, 'more difference')}: --full"]
        lines += block
    return lines


# Effect, flips, cost.


def _effect(comparison: Comparison, width: int) -> list[str]:
    title = f"EFFECT ON {shown(comparison.metric.name, longest=20)}"
    return [
        *_rows(brief.effect_table(comparison, _named_arms(comparison), title), width)[:5],
        *_short(difference_words(comparison), width, 2),
        *_short(brief.method_sentence(comparison), width, 2),
    ]


def _flips(comparison: Comparison, width: int, roomy: bool) -> list[str]:
    flips = comparison.flips
    most = 2 if roomy else 1
    return [
        *heading(Section("flips", "Flips", flip_digest(comparison)), width, False),
        *_named("gained", flips.gained, width, most),
        *_named("lost", flips.lost, width, most),
        *_short(shown(flips.statement), width, most),
    ]


def _named(word: str, flips: Sequence[Flip], width: int, most: int) -> list[str]:
    if not flips:
        return []
    items = [f"{shorten_middle(shown(flip.task), _FLIP)} ({outcome(flip)})" for flip in flips]
    more = len(items) - _NAMED
    items = [*items[:_NAMED], f"+{more:,} more"] if more > 0 else items
    ended = [f"{item}," for item in items[:-1]] + items[-1:]
    label = f"{word:<8}"
    lines = _cut(fill(ended, width - len(label), " "), most)
    return [label + lines[0], *(" " * len(label) + line for line in lines[1:])]


def _spending(comparison: Comparison, width: int) -> list[str]:
    table = brief.cost_table(comparison, _named_arms(comparison), "COST of a trial")
    return [*_rows(table, width)[:6], _one_line(brief.known_sentence(comparison), width)]
