"""One screen of a comparison: what a busy reader needs, in at most 45 lines."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.comparison import Comparison, Flip
from evaltrace.quantities import counted
from evaltrace.reports import wording as say
from evaltrace.reports.columns import columns, fill, head, shorten_middle
from evaltrace.reports.sections import Entry, Paragraph, Section, Table, brief
from evaltrace.reports.sections.arms import (
    audit_entry,
    grade_counts,
    labels,
    verdict_sentence,
)
from evaltrace.reports.sections.changes import flip_digest, outcome
from evaltrace.reports.sections.effects import difference_words
from evaltrace.reports.sections.model import shown
from evaltrace.reports.terminal.grid import lay_out_table
from evaltrace.reports.terminal.sheet import heading, lay_out_entries, paragraph, wrapped

LINES = 45
"""Lines of a screen, at widths of 80 and more."""

_NAMED = 3
_FLIP = 40
"""Flips that are named, and the columns that a name gets."""

_LEAST = 5
"""Lines that the audit needs to say something."""

_LABEL = 16
_LONGEST_LABEL = 40
"""Columns that the label of an arm gets, at a width of 80 and at most."""

_NARROW = 80
"""Width below which the trials of an arm stand below each other, and tables are as long as it
takes."""

_FOOTER = "Everything else, and the evidence for each flip: --full"


def lay_out_screen(comparison: Comparison, width: int, colour: bool) -> list[str]:
    """Give the lines of the screen; the audit gets what the other blocks leave.

    Where that is too little, the other blocks say less.
    """
    blocks, room = _blocks(comparison, width, colour, roomy=True)
    if width < _NARROW:
        room = max(room, 2 * _LEAST)
    elif room < _LEAST:
        blocks, room = _blocks(comparison, width, colour, roomy=False)
    blocks.insert(2, _audit(comparison, width, colour, room))
    return [line for block in blocks for line in ("", *block)][1:]


def _blocks(
    comparison: Comparison, width: int, colour: bool, roomy: bool
) -> tuple[list[list[str]], int]:
    """Give all blocks but the audit, and the lines that they leave to it."""
    blocks = [
        _verdict(comparison, width, colour, roomy),
        _trials(comparison, width, roomy),
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


def _named_arms(comparison: Comparison, width: int) -> tuple[str, str]:
    """Name both arms in the columns there are; of `field=value` the values may be enough."""
    room = min(max(_LABEL, (width - 48) // 2), _LONGEST_LABEL)
    baseline, treatment = labels(comparison)
    field, sign, value = baseline.partition("=")
    if (
        sign
        and treatment.startswith(f"{field}=")
        and max(map(columns, (baseline, treatment))) > room
    ):
        baseline, treatment = value, treatment.removeprefix(f"{field}=")
    return shorten_middle(baseline, room), shorten_middle(treatment, room)


def _verdict(comparison: Comparison, width: int, colour: bool, roomy: bool) -> list[str]:
    verdict = comparison.verdict
    room = width - len("VERDICT  ")
    words = " ".join(_short(verdict_sentence(comparison), room, 4))
    top = heading(Section("verdict", "Verdict", words, mark=verdict.finding), width, colour)
    gravest = [Paragraph(f"! {shown(caveat)}") for caveat in verdict.caveats[:1]]
    caveats = [f"! {shown(caveat)}" for caveat in verdict.caveats[1:]]
    others = [_other_arm(other, width) for other in comparison.further]
    return [
        *top,
        *(line for caveat in gravest for line in _cut(paragraph(caveat, width), 2)),
        *_first(caveats, 2 if roomy else 0, "! {} more: --full", width),
        *_short(brief.treatment_sentence(comparison), width, 3 if roomy else 1),
        *_first(others, 3 if roomy else 0, "{} more against the same baseline: --full", width),
    ]


def _first(texts: Sequence[str], most: int, rest: str, width: int) -> list[str]:
    """Give a line to each of the first texts, and one that counts the others."""
    if len(texts) <= most + 1:
        return [_one_line(text, width) for text in texts]
    more = rest.format(f"{len(texts) - most:,}")
    return [*(_one_line(text, width) for text in texts[:most]), _one_line(more, width)]


def _other_arm(other: Comparison, width: int) -> str:
    words = f"{_named_arms(other, width)[1]}: {say.finding_words(other.verdict.finding)}"
    if other.verdict.finding is None:
        return words
    return f"{words}, {say.difference_interval(other.reward.difference, other.metric)}"


# Trials.


def _trials(comparison: Comparison, width: int, roomy: bool) -> list[str]:
    names = _named_arms(comparison, width)
    table = brief.trials_table(comparison, names, "TRIALS")
    return [
        *_rows(table if width >= _NARROW else brief.turned(table), width, 5),
        *_short(brief.pairs_sentence(comparison, names), width, 2),
        *_short(brief.errors_sentence(comparison, names), width, 2 if roomy else 1),
    ]


def _rows(table: Table, width: int, most: int) -> list[str]:
    lines = lay_out_table(table, width, rule=False)
    return lines[:most] if width >= _NARROW else lines


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
        *_rows(brief.effect_table(comparison, _named_arms(comparison, width), title), width, 5),
        *_short(difference_words(comparison), width, 2),
        *_short(brief.method_sentence(comparison), width, 2),
    ]


def _flips(comparison: Comparison, width: int, roomy: bool) -> list[str]:
    flips = comparison.flips
    most = 2 if roomy else 1
    if not comparison.pairs.tasks:
        return heading(Section("flips", "Flips", "not known: no pairs"), width, False)
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
    if not comparison.pairs.tasks:
        return heading(Section("cost", "Cost", "not known: no pairs"), width, False)
    table = brief.cost_table(comparison, _named_arms(comparison, width), "COST of a trial")
    return [*_rows(table, width, 6), _one_line(brief.known_sentence(comparison), width)]
