"""How wide text is printed: as asked for, else as wide as the terminal, 80 when piped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

NARROWEST = 40
"""Columns that a table or a view needs at least."""


def width_option(what: str = "text", narrowest: int = NARROWEST) -> Callable[[F], F]:
    """Add `--width`, of which a command gets None where it was not given."""
    return click.option(
        "--width",
        type=click.IntRange(min=narrowest),
        show_default="those of the terminal, 80 when piped",
        help=f"Columns of the {what}.",
    )


def terminal_width() -> int:
    """Give the columns of the terminal, 80 when standard output is none."""
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
