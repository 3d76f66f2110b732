"""Rows of the table: what was measured, against which limit, and how it went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. Without a limit it is shown and not judged; without a figure, `note` says why."""

    name: str
    figure: float | None
    limit: float | None = None
    unit: str = ""
    sense: Literal["at most", "at least"] = "at most"
    note: str = ""

    @property
    def verdict(self) -> str:
        """Give one word or two."""
        if self.figure is None:
            return "not measured"
        if self.limit is None:
            return "not judged"
        good = self.figure <= self.limit if self.sense == "at most" else self.figure >= self.limit
        return "met" if good else "**missed**"


def unmeasured(name: str, reason: str) -> Row:
    """Make the row of something that could not be measured."""
    return Row(name, None, note=reason)


def render_rows(rows: list[Row]) -> str:
    """Lay the rows out as a Markdown table."""
    lines = ["| measure | limit | measured | | |", "|---|---|---|---|---|"]
    for row in rows:
        limit = "" if row.limit is None else f"{row.sense} {_number(row.limit, row.unit)}"
        figure = "—" if row.figure is None else _number(row.figure, row.unit)
        note = " ".join(row.note.replace("|", "\\|").split())
        lines.append(f"| {row.name} | {limit} | {figure} | {row.verdict} | {note} |")
    return "\n".join(lines)


def _number(value: float, unit: str) -> str:
    shown = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{shown} {unit}".strip()
