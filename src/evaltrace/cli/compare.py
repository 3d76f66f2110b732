"""`evaltrace compare`: a baseline against a treatment, as a report for people or programs."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from evaltrace.cli.comparing import (
    NARROWEST,
    Arm,
    arms_argument,
    reading_options,
    statistics_options,
    tell_problems,
    to_options,
    treatment_option,
    width_of_terminal,
)
from evaltrace.cli.widths import width_option
from evaltrace.errors import OutputFailure
from evaltrace.untrusted import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaltrace.comparison import Comparison
    from evaltrace.gate import Condition, Outcome

FORMS = ("table", "markdown", "json", "html", "junit", "github")
_FORM_OF_SUFFIX = {
    ".txt": "table",
    ".md": "markdown",
    ".markdown": "markdown",
    ".json": "json",
    ".html": "html",
    ".htm": "html",
    ".xml": "junit",
}
_EXIT_CODES = {"holds": 0, "fails": 3, "undecided": 4}
_STANDARD_OUTPUT = "-"


class Output(NamedTuple):
    """Where a report goes, and in which form."""

    place: str
    form: str


def _to_conditions(
    _context: click.Context, _option: click.Parameter, given: tuple[str, ...]
) -> list[Condition]:
    from evaltrace.gate import WrongCondition, parse_condition

    try:
        return [parse_condition(text) for text in given]
    except WrongCondition as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@arms_argument("BASELINE TREATMENT [MORE...]")
@reading_options
@treatment_option
@click.option(
    "--on-missing",
    type=click.Choice(["valid", "as-fail", "bounds"]),
    default="valid",
    show_default=True,
    help="What a trial without a valid value counts in the verdict: nothing, a fail, or both "
    "extremes. The other ways are shown beside it.",
)
@click.option(
    "--group-by",
    multiple=True,
    metavar="FIELD",
    help="Show the effect by this field of the tasks; may be repeated.  [default: category, "
    "difficulty, repository, language, as far as known]",
)
@statistics_options
@click.option(
    "--fail-on",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    callback=_to_conditions,
    help="End with exit code 3 when this is true of the comparison, with 4 when it cannot be "
    "told; such as 'reward.difference.low < -0.05'. May be repeated.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMS),
    show_default="by the name of FILE, else table",
    help="junit and github are for pipelines.",
)
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="FILE",
    help="Where to write: .md, .json, .html, .xml (JUnit) or .txt; - is standard output. May be "
    "repeated.  [default: -]",
)
@click.option("--full", is_flag=True, help="The whole report as a table, not one screen of it.")
@width_option("table", NARROWEST)
@click.option("-q", "--quiet", is_flag=True, help="Nothing on standard error but errors.")
def compare(
    arms: list[Arm],
    conditions: list[Condition],
    form: str | None,
    outputs: tuple[str, ...],
    full: bool,
    width: int | None,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Compare a BASELINE with a TREATMENT: did it help, and by how much may we say so?

    Each is a job directory, a folder of jobs, or a file of traces (- is standard input);
    label=path names it. Further treatments may follow, each held against BASELINE. A
    single path that holds several arms is split.

    \b
    Exit code: 0 compared, and no --fail-on is true; 3 one is true; 4 one cannot
    be decided, and none is true.

    \b
    Example:
      evaltrace compare jobs/baseline jobs/with-mcp
      evaltrace compare baseline=a.json mcp=b.json -o report.html -o report.md
      evaltrace compare a.json b.json --fail-on 'reward.difference.low < -0.05'
      evaltrace compare a.json b.json --format json | jq .verdict
    """
    from evaltrace.compare import compare_paths
    from evaltrace.gate import evaluate_all, worst

    chosen["group_by"] = tuple(chosen["group_by"])
    options = to_options(**chosen)
    planned = _plan_outputs(outputs, form)
    _check_places(planned, arms)
    comparison = compare_paths(arms, options)
    outcomes = evaluate_all(conditions, comparison)
    layout = _Layout(width or width_of_terminal(), full)
    _write(planned, comparison, outcomes, layout)
    if not quiet:
        _tell(planned, comparison, outcomes)
    sys.exit(_EXIT_CODES[worst(outcomes)])


class _Layout(NamedTuple):
    width: int
    full: bool


def _plan_outputs(outputs: tuple[str, ...], form: str | None) -> list[Output]:
    """Pair each place with a form; what does not go together is wrong usage."""
    planned = []
    for place in outputs or (_STANDARD_OUTPUT,):
        named = _FORM_OF_SUFFIX.get(Path(place).suffix.lower())
        if place != _STANDARD_OUTPUT and not (named or form):
            known = ", ".join(_FORM_OF_SUFFIX)
            shown = one_line(place, 200)
            raise click.UsageError(f"{shown}: name the form with --format, or end it with {known}.")
        planned.append(Output(place, named or form or "table"))
    if form and form not in {output.form for output in planned}:
        hint = "add -o - to print it" if _STANDARD_OUTPUT not in outputs else "leave it out"
        raise click.UsageError(f"No output is of the --format {form} by its name; {hint}.")
    places = [os.path.realpath(output.place) for output in planned]
    if len(set(places)) < len(places):
        raise click.UsageError("Two outputs have the same place.")
    return planned


def _check_places(planned: Sequence[Output], arms: Sequence[Arm]) -> None:
    """Refuse to write into a job directory, or over what is compared."""
    inputs = {os.path.realpath(path) for _, path in arms}
    for place, _ in planned:
        if place == _STANDARD_OUTPUT:
            continue
        if os.path.realpath(place) in inputs:
            hint = "Name another file with -o."
            raise OutputFailure("the output would replace an input", where=place, hint=hint)
        # The readers of all agents' logs: what is printed needs none of them.
        from evaltrace.readers.walk import job_around

        job = job_around(Path(place))
        if job is not None:
            hint = "Nothing is written into job directories; name another place with -o."
            what = f"the output would lie inside the job {job.name}"
            raise OutputFailure(what, where=place, hint=hint)


def _write(
    planned: Sequence[Output],
    comparison: Comparison,
    outcomes: Sequence[Outcome],
    layout: _Layout,
) -> None:
    """Write all files, each whole or none of them, and then to standard output."""
    from evaltrace.files import whole_file

    texts = [_rendered(output, comparison, outcomes, layout) for output in planned]
    with ExitStack() as files:
        for (place, _), text in zip(planned, texts, strict=True):
            if place != _STANDARD_OUTPUT:
                files.enter_context(whole_file(Path(place))).write(text.encode())
    for (place, form), text in zip(planned, texts, strict=True):
        if place != _STANDARD_OUTPUT:
            continue
        if form == "table":
            click.echo(text, nl=False)  # which takes the colour out where it is no terminal
        else:
            sys.stdout.buffer.write(text.encode())
            sys.stdout.buffer.flush()


def _rendered(
    output: Output, comparison: Comparison, outcomes: Sequence[Outcome], layout: _Layout
) -> str:
    from evaltrace.reports import machine

    match output.form:
        case "json":
            return machine.render_json(comparison)
        case "junit":
            return machine.render_junit(comparison, outcomes)
        case "github":
            return machine.render_github(comparison, outcomes)
        case "markdown":
            from evaltrace.reports.markdown import render_markdown

            return render_markdown(comparison)
        case "html":
            from evaltrace.reports.webpage import render_webpage

            return render_webpage(comparison)
    from evaltrace.reports.terminal import render_comparison

    colour = output.place == _STANDARD_OUTPUT
    return render_comparison(comparison, layout.width, colour=colour, full=layout.full)


def _tell(planned: Sequence[Output], comparison: Comparison, outcomes: Sequence[Outcome]) -> None:
    tell_problems(comparison.problems)
    for outcome in outcomes:
        click.echo(f"gate: {outcome.sentence}", err=True)
    places = [one_line(place, 500) for place, _ in planned if place != _STANDARD_OUTPUT]
    if places:
        click.echo(f"written to {', '.join(places)}", err=True)
