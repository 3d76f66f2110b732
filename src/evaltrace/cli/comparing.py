"""What `compare`, `audit` and `power` have in common: arms, options, what is told of them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evaltrace.cli.widths import terminal_width, width_option
from evaltrace.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evaltrace.compare.options import CompareOptions
    from evaltrace.errors import Problem

F = TypeVar("F", bound="Callable[..., Any]")
Arm = tuple[str | None, Path]

NARROWEST = 60
"""Columns below which the tables of a comparison cannot be read."""


def _to_arms(_context: click.Context, _argument: click.Parameter, given: tuple[str, ...]) -> Any:
    arms = [_to_arm(text) for text in given]
    if sum(str(path) == "-" for _, path in arms) > 1:
        raise click.BadParameter("standard input (-) can be one arm only")
    labels = Counter(label for label, _ in arms if label is not None)
    twice = sorted(label for label, number in labels.items() if number > 1)
    if twice:
        raise click.BadParameter(f"two arms are labelled {twice[0]}")
    return arms


def _to_arm(text: str) -> Arm:
    label, sign, path = text.partition("=")
    if text and (not sign or os.path.lexists(text) or "/" in label):
        return None, Path(text)
    if not text or (sign and not path):
        raise click.BadParameter("an empty path; is a variable unset?")
    if not (label.strip() and label.isprintable()):
        raise click.BadParameter(f"{printable(text)}: the label must be printable, on one line")
    return label.strip(), Path(path)


def _to_patterns(
    _context: click.Context, _option: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    from evaltrace.mentions import check_pattern

    for pattern in given:
        try:
            check_pattern(pattern)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error
    return given


def arms_argument(metavar: str) -> Callable[[F], F]:
    """Make the argument that names the arms."""
    return click.argument(
        "arms",
        nargs=-1,
        required=True,
        type=click.Path(readable=False, allow_dash=True),
        callback=_to_arms,
        metavar=metavar,
    )


_READING = (
    click.option(
        "--metric",
        default="reward",
        show_default=True,
        metavar="NAME",
        help="What is compared: a key of the rewards, or a number of the trace such as "
        "metrics.cost.usd.",
    ),
    click.option(
        "--pass-threshold",
        type=float,
        default=1.0,
        show_default=True,
        help="The least value that is a pass; above 0.",
    ),
    click.option(
        "--pair-by",
        type=click.Choice(["name", "full-name", "checksum", "digest"]),
        default="name",
        show_default=True,
        help="What makes two tasks the same one; full-name is with the organisation.",
    ),
    click.option(
        "--task-map",
        metavar="FILE|REGEX",
        help="Make the names of tasks alike: a file with two names a line (or a JSON object), or "
        "a pattern whose match is cut out of the name, or whose group is the name.",
    ),
    click.option(
        "--arm-by",
        metavar="FIELD[=VALUE]",
        help="Split one path into arms by a field of its traces (model, agent, job, arm, or a "
        "path such as agent_config.agent.version); VALUE is the baseline's.",
    ),
    click.option(
        "--on-duplicate",
        type=click.Choice(["all", "latest", "first", "error"]),
        default="all",
        show_default=True,
        help="Which attempts at a task count; error refuses several.",
    ),
    click.option(
        "--prices",
        default="auto",
        show_default=True,
        metavar="TABLE",
        help="Prices for the costs of job directories, as for `evaltrace aggregate`.",
    ),
    click.option(
        "--tool-pattern",
        "tool_patterns",
        multiple=True,
        metavar="REGEX",
        callback=_to_patterns,
        help="Count the shell calls whose command matches as a tool. May be repeated.",
    ),
    click.option(
        "--task-dir",
        "task_dirs",
        multiple=True,
        type=click.Path(exists=True, file_okay=False),
        metavar="DIR",
        help="A folder of tasks, for categories of tasks that no longer lie where a job recorded "
        "them. May be repeated.",
    ),
)

_PRINTING = (
    click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="json gives all that is known as data.",
    ),
    width_option("table", NARROWEST),
    click.option("-q", "--quiet", is_flag=True, help="Nothing on standard error but errors."),
)

_TREATMENT = (
    click.option(
        "--treatment",
        metavar="KIND[:NAME]",
        help="What is meant to differ: mcp:NAME, tool:REGEX, model, agent or config.  "
        "[default: guessed from what differs, and said]",
    ),
)

_STATISTICS = (
    click.option(
        "--alpha",
        type=float,
        default=0.05,
        show_default=True,
        help="The error of intervals, both sides together; 0.05 gives 95 %.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=1,
        show_default=True,
        help="The seed of what is simulated or drawn.",
    ),
    click.option(
        "--cluster-by",
        metavar="FIELD",
        help="Treat tasks that share a value of this field as one cluster: repository, "
        "category, ...",
    ),
)


def reading_options(command: F) -> F:
    """Add the options that say what is read and how tasks pair."""
    return _with(command, _READING)


def treatment_option(command: F) -> F:
    """Add the option that says what is meant to differ."""
    return _with(command, _TREATMENT)


def statistics_options(command: F) -> F:
    """Add the options of intervals and simulations."""
    return _with(command, _STATISTICS)


def printing_options(command: F) -> F:
    """Add the options that say how a part of the report is printed."""
    return _with(command, _PRINTING)


def _with(command: F, options: Sequence[Callable[[F], F]]) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def to_options(**chosen: Any) -> CompareOptions:
    """Make the options of a comparison; a value that cannot be is wrong usage."""
    from evaltrace.compare.options import CompareOptions
    from evaltrace.stats import compiled

    compiled.in_parts = True  # the program is ours: nobody else asks for these packages
    try:
        return CompareOptions(**chosen)
    except ValueError as error:
        text = str(error)
        raise click.UsageError(f"{text[:1].upper()}{text[1:]}.") from error


def width_of_terminal() -> int:
    """Give the columns of the terminal, 80 when standard output is none."""
    return max(terminal_width(), NARROWEST)


def tell_problems(problems: Sequence[Problem]) -> None:
    """Say on standard error how many problems of which kind were met."""
    from evaltrace.quantities import counted

    if problems:
        codes = Counter(problem.code for problem in problems)
        kinds = ", ".join(f"{code} {number}" for code, number in sorted(codes.items()))
        click.echo(f"{counted(len(problems), 'problem')}: {printable(kinds)}", err=True)
