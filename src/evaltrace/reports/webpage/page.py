"""The page: sections rendered by templates, style and script inlined under a strict policy."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from evaltrace.comparison import Comparison
from evaltrace.reports.webpage.markup import Markup
from evaltrace.reports.webpage.sections import page_values

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of long lists is shown: rows of a table, dossiers of a kind, cut texts whole."""

    rows: int
    dossiers: int
    titles: bool


_LIMITS = (
    Limits(500, 30, True),
    Limits(500, 10, False),
    Limits(100, 5, False),
    Limits(20, 2, False),
)

MOST_BYTES = 1_500_000
"""Size above which the page is written again with less of its long lists."""


def render_webpage(comparison: Comparison) -> str:
    """Render a comparison as one HTML file that fetches nothing.

    The page shows every number of the comparison as the other reports write it. Its content
    security policy allows the two inline blocks by their digests and nothing else.
    """
    style, script = _inlined("page.css"), _inlined("page.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template("page.html.jinja")
    values = page_values(comparison)
    page = ""
    for limits in _LIMITS:
        page = template.render(
            policy=policy, style=Markup(style), script=Markup(script), limits=limits, **values
        )
        # Templates leave empty lines where a condition does not hold.
        page = re.sub(r"\n\s*\n+", "\n", page).strip() + "\n"
        if len(page.encode()) <= MOST_BYTES:
            break
    return page


def _inlined(name: str) -> str:
    """Read a file of this package as it will stand between its tags."""
    return re.sub(r"\n\s*\n+", "\n", "\n" + (_HERE / name).read_text("utf-8"))


def _digest(block: str) -> str:
    return "sha256-" + b64encode(sha256(block.encode()).digest()).decode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
