"""A comparison in full, the audit alone and the power alone, as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from evaltrace.comparison import Arms, AuditItem, Comparison, Metric, Power
from evaltrace.reports.sections import Section, to_sections
from evaltrace.reports.sections.arms import audit_section, labels
from evaltrace.reports.sections.breakdowns import power_section
from evaltrace.reports.sections.model import shown
from evaltrace.reports.terminal.layout import MIN_WIDTH
from evaltrace.reports.terminal.screen import lay_out_screen
from evaltrace.reports.terminal.sheet import lay_out_section, wrapped
from evaltrace.reports.wording import RATE


def render_comparison(
    comparison: Comparison, width: int = 80, colour: bool = False, full: bool = False
) -> str:
    """Give one screen of at most 45 lines, or with `full` everything there is.

    No line is wider than `width` (at least 40); colour marks findings and grades only.
    """
    room = max(width, MIN_WIDTH)
    lines = _whole(comparison, room, colour) if full else lay_out_screen(comparison, room, colour)
    return "\n".join(lines) + "\n"


def render_audit(
    items: Sequence[AuditItem], arms: Arms, width: int = 80, colour: bool = False
) -> str:
    """List what differs between two arms besides the treatment."""
    names = (shown(arms.baseline.label, longest=40), shown(arms.treatment.label, longest=40))
    section = audit_section(items, names, limit=25)
    return "\n".join(lay_out_section(section, max(width, MIN_WIDTH), colour)) + "\n"


def render_power(power: Power, width: int = 80, colour: bool = False, metric: Metric = RATE) -> str:
    """Say what a design could show, and which one would do; rates unless `metric` says else."""
    section = power_section(power, metric)
    return "\n".join(lay_out_section(section, max(width, MIN_WIDTH), colour)) + "\n"


def _whole(comparison: Comparison, width: int, colour: bool) -> list[str]:
    lines = _title(comparison, width)
    lines += _spaced(to_sections(comparison), width, colour)
    for other in comparison.further:
        lines += ["", "=" * width, *_title(other, width)]
        lines += _spaced(to_sections(other), width, colour)
    return lines


def _title(comparison: Comparison, width: int) -> list[str]:
    baseline, treatment = labels(comparison)
    return [*wrapped(f"{treatment} against {baseline}", width), ""]


def _spaced(sections: Sequence[Section], width: int, colour: bool) -> list[str]:
    blocks = [lay_out_section(section, width, colour) for section in sections]
    return [line for block in blocks for line in ("", *block)][1:]
