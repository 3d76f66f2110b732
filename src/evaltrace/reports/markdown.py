"""A comparison as Markdown that fits a comment on a pull request.

The short form stands open, everything else is folded. Text from traces is escaped: it makes
no markup, no links and no mentions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from evaltrace.comparison import Comparison
from evaltrace.quantities import counted
from evaltrace.reports import wording as say
from evaltrace.reports.sections import (
    Entries,
    Entry,
    Paragraph,
    Part,
    Section,
    Table,
    brief,
    to_sections,
)
from evaltrace.reports.sections.arms import (
    audit_entry,
    grade_counts,
    labels,
    verdict_sentence,
)
from evaltrace.reports.sections.changes import flip_digest, outcome
from evaltrace.reports.sections.effects import difference_words
from evaltrace.reports.sections.model import listed, shown

LONGEST = 60_000
"""Characters of a report; GitHub takes 65,536 in a comment."""

_LIMITS = (25, 10, 4, 2, 1)
"""Lengths of lists that are tried, until the report fits."""

_PUNCTUATION = re.compile(r"[\\`*\[\]|~]|\$(?!\d)|(?<=[^\s(+-])\$")
_UNDERSCORES = re.compile(r"(?<!\w)_+|_++(?![^\W_])")
"""Underscores within a word mean nothing, and names are easier to copy without backslashes."""
_OPENING = re.compile(r"^(?:[#+=-]|\d+(?=[.)]))")
_REFERENCE = re.compile(r"@|#(?=\d)|\bwww(?=\.)|\bgh(?=-\d)|:(?=[a-z+-][\w+-]*:)", re.IGNORECASE)
_ADDRESS = re.compile(r"(?=://)")
_JOINER = "\u2060"
"""A mark that cannot be seen; it keeps `@name`, `#12` and addresses from becoming links."""


def render_markdown(comparison: Comparison) -> str:
    """Give the report in at most 60,000 characters; long lists are cut with a count."""
    for limit in _LIMITS:
        blocks = _within(_blocks(comparison, limit))
        if blocks is not None:
            return "\n\n".join(blocks) + "\n"
    return "\n\n".join(_fitting(_blocks(comparison, _LIMITS[-1]))) + "\n"


def _within(blocks: Iterable[str]) -> list[str] | None:
    """Keep all blocks; None as soon as they are too long."""
    kept, length = [], 0
    for block in blocks:
        kept.append(block)
        length += len(block) + 2
        if length > LONGEST:
            return None
    return kept


def _fitting(blocks: Iterable[str]) -> Iterator[str]:
    """Leave out whole blocks that do not fit, and say so."""
    left = LONGEST - 200
    out = 0
    for block in blocks:
        if len(block) + 2 <= left:
            left -= len(block) + 2
            yield block
        else:
            out += 1
    yield f"{counted(out, 'block')} left out: too long for a comment."


def escape(text: str) -> str:
    """Make text that shows as it is, within a line of a list or a table."""
    line = _PUNCTUATION.sub(r"\\\g<0>", text)
    return _plain(_UNDERSCORES.sub(lambda found: r"\_" * len(found[0]), line))


def _plain(text: str) -> str:
    """Keep text from becoming HTML or a reference."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ADDRESS.sub(_JOINER, _REFERENCE.sub(rf"\g<0>{_JOINER}", line))


def _paragraph(text: str) -> str:
    """Escape a text that begins a line: it must not begin a list or a heading."""
    return _OPENING.sub(_literal, escape(text))


def _literal(found: re.Match[str]) -> str:
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


# The short form.


def _blocks(comparison: Comparison, limit: int) -> Iterator[str]:
    """Give blocks that can each be left out without harm to the others."""
    yield from _verdict(comparison)
    sections = to_sections(comparison, limit)
    yield from (_opened(section) for section in sections if section.name == "matrix")
    names = labels(comparison)
    trials = _table(brief.trials_table(comparison, names, "Trials"))
    lines = [brief.pairs_sentence(comparison, names), brief.errors_sentence(comparison, names)]
    yield f"{trials}\n\n{_paragraph(' '.join(filter(None, lines)))}"
    yield _audit(comparison, limit)
    title = f"Effect on {shown(comparison.metric.name, longest=40)}"
    effect = _table(brief.effect_table(comparison, names, title))
    lines = [difference_words(comparison), brief.method_sentence(comparison)]
    yield "\n".join([effect, "", *map(_paragraph, filter(None, lines))])
    if comparison.pairs.tasks:
        yield _flips(comparison)
        cost = _table(brief.cost_table(comparison, names, "Cost of a trial"))
        yield f"{cost}\n\n{_paragraph(brief.known_sentence(comparison))}"
    yield from map(_folded, _remaining(sections))
    for other in comparison.further:
        yield from _further(other, limit)


def _verdict(comparison: Comparison) -> Iterator[str]:
    verdict, (baseline, treatment) = comparison.verdict, labels(comparison)
    yield f"## {escape(f'{treatment} against {baseline}')}"
    yield f"**{escape(verdict_sentence(comparison))}**"
    if verdict.caveats:
        yield "\n".join(f"- {escape(shown(caveat))}" for caveat in verdict.caveats[:5])
    yield _paragraph(brief.treatment_sentence(comparison))


def _audit(comparison: Comparison, limit: int) -> str:
    counts = say.graded_counts(grade_counts(comparison.audit))
    items = [item for item in comparison.audit if item.grade != "note"]
    rows = [audit_entry(item, labels(comparison), 3) for item in items[: min(limit, 10)]]
    if len(items) > len(rows):
        rows.append(Entry("...", counted(len(items) - len(rows), "more difference")))
    entries = _entries(rows)
    return f"**Audit:** {counts}" + (f"\n\n{entries}" if entries else "")


def _flips(comparison: Comparison) -> str:
    flips = comparison.flips
    lines = [f"**Flips** {flip_digest(comparison)}: {escape(shown(flips.statement))}"]
    for word, found in (("gained", flips.gained), ("lost", flips.lost)):
        if found:
            names = [f"{flip.task} ({outcome(flip)})" for flip in found]
            lines.append(f"- {word}: {escape(listed(names, 5))}")
    return "\n".join(lines)


# Everything else.


def _further(other: Comparison, limit: int) -> Iterator[str]:
    yield from _verdict(other)
    yield from map(_folded, _remaining(to_sections(other, limit)))


def _remaining(sections: Sequence[Section]) -> Iterator[Section]:
    """Give what is folded: of the verdict only what was compared."""
    for section in sections:
        if section.name == "verdict":
            yield Section("compared", "What was compared", parts=section.parts[-2:])
        elif section.name != "matrix":
            yield section


def _opened(section: Section) -> str:
    title = f"### {escape(section.title)}"
    return "\n\n".join([title, *map(_part, section.parts)])


def _folded(section: Section) -> str:
    digest = f": {section.digest}" if section.digest else ""
    return _details(section.title + digest, section.parts)


def _details(title: str, parts: Sequence[Part]) -> str:
    head = f"<details><summary>{_summary(title)}</summary>"
    inside = [text for text in map(_part, parts) if text]
    return "\n\n".join([head, *inside, "</details>"])


def _summary(text: str) -> str:
    """Escape a text between HTML tags, where a backslash would be seen."""
    return _PUNCTUATION.sub(lambda found: f"&#{ord(found[0])};", _plain(text))


def _part(part: Part) -> str:
    if isinstance(part, Paragraph):
        return _paragraph(part.text)
    if isinstance(part, Table):
        return _table(part)
    if isinstance(part, Entries):
        return _entries(part.rows)
    return _details(part.title, part.parts)


def _entries(rows: Sequence[Entry]) -> str:
    lines = []
    for row in rows:
        label = f"**{escape(row.label)}**" if row.mark else escape(row.label) + ":"
        lines.append(f"- {label} {escape(row.text)}")
        lines += [f"  - {escape(text)}" for text in row.details]
    return "\n".join(lines)


def _table(table: Table) -> str:
    indices = range(len(table.columns))
    align = [":--" if index in table.left else "--:" for index in indices]
    rows = [table.columns, *table.rows]
    head, *body = (f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows)
    title = [f"{_paragraph(table.title)}\n"] if table.title else []
    return "\n".join([*title, head, f"| {' | '.join(align)} |", *body])
