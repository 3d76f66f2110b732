"""`evaltrace aggregate`: job directories in, one file of traces out."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from evaltrace.errors import EvaltraceError, OutputFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evaltrace.aggregate import Record
    from evaltrace.plan import Options, Plan
    from evaltrace.summary import Summary

SUFFIX = "-execution-traces-full"


def _folders(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Any:
    if "" in given:
        raise click.BadParameter("an empty path; is a variable unset?")
    return tuple(Path(path) for path in given)


@click.command()
@click.argument(
    "paths", nargs=-1, type=click.Path(readable=False), callback=_folders, metavar="PATH..."
)
@click.option(
    "--job-dir",
    "job_dirs",
    multiple=True,
    type=click.Path(readable=False),
    callback=_folders,
    metavar="DIR",
    help="The same as PATH; may be repeated.",
)
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="NAME",
    help="Only this task: short name, org/name, trial name, or a pattern with * and ?. "
    "May be repeated.",
)
@click.option("--arm", metavar="LABEL", help="Label the traces as one side of a comparison.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help=f"Where to write; - is standard output.  [default: artifacts/NAME{SUFFIX}.json, "
    "NAME being the arm or the job]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "jsonl"]),
    show_default="jsonl if FILE ends so, else json",
    help="jsonl writes one trace a line, without inputs and problems around them.",
)
@click.option(
    "--events",
    type=click.Choice(["full", "none"]),
    default="full",
    show_default=True,
    help="none leaves out what happened step by step; counts and sums stay.",
)
@click.option(
    "--pass-threshold",
    type=float,
    default=1.0,
    show_default=True,
    help="The least reward that is a pass; above 0.",
)
@click.option(
    "--prices",
    default="auto",
    show_default=True,
    metavar="TABLE",
    help="Prices for costs that no agent reported: genai-prices (the package), a FILE of prices, "
    "or none. auto: the harness's estimate, else genai-prices if it is installed. A table that "
    "is named also replaces the harness's estimates.",
)
@click.option(
    "--tool-pattern",
    "tool_patterns",
    multiple=True,
    metavar="REGEX",
    help="Count the shell calls whose command matches, into tools.mentions. May be repeated.",
)
@click.option(
    "--task-dir",
    "task_dirs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="A folder of tasks, for instruction, category and difficulty of tasks that no longer lie "
    "where the job recorded them. May be repeated.",
)
@click.option("--strict", is_flag=True, help="End with exit code 1 at the first problem.")
@click.option(
    "--archive",
    is_flag=True,
    help="Move an existing output to history/runs/YYYY-MM-DD/ when the new one is complete.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def aggregate(
    paths: tuple[Path, ...],
    job_dirs: tuple[Path, ...],
    tasks: tuple[str, ...],
    arm: str | None,
    output: str | None,
    form: str | None,
    events: str,
    pass_threshold: float,
    prices: str,
    tool_patterns: tuple[str, ...],
    task_dirs: tuple[str, ...],
    strict: bool,
    archive: bool,
    quiet: bool,
) -> None:
    """Assemble every trial below PATH... into one validated trace.

    PATH is a trial, a job, a folder of jobs, or any folder above them. Nothing is ever
    written into it. Traces go to a file, everything said about them to standard error.

    \b
    Example:
      evaltrace aggregate jobs/baseline --arm baseline
      evaltrace aggregate jobs/with-mcp --task sgt-001 -o mcp-traces.json
      evaltrace aggregate jobs -o - --format jsonl | jq .status
    """
    from evaltrace.plan import plan_aggregation

    named = [*paths, *job_dirs]
    if not named:
        raise click.UsageError("Name at least one PATH (or --job-dir DIR).")
    if archive and output == "-":
        raise click.UsageError("--archive needs a file to archive, not standard output.")
    options = _options(
        tasks=tasks,
        arm=arm,
        events=events == "full",
        pass_threshold=pass_threshold,
        strict=strict,
        prices=prices,
        tool_patterns=tool_patterns,
        task_dirs=task_dirs,
    )
    plan = plan_aggregation(named, options)
    form = form or ("jsonl" if (output or "").endswith(".jsonl") else "json")
    if output == "-":
        summary = _write(plan, sys.stdout.buffer, form, None, quiet)
        sys.stdout.buffer.flush()
    else:
        place = _place(plan, named, output, form, archive)
        summary = _write_file(plan, place, form, archive, quiet)
    if not quiet:
        _report(summary)


def _options(**given: Any) -> Options:
    from evaltrace.plan import Options

    try:
        return Options(**given)
    except ValueError as error:
        text = str(error)
        raise click.UsageError(f"{text[:1].upper()}{text[1:]}.") from error


def _place(plan: Plan, paths: list[Path], output: str | None, form: str, archive: bool) -> Path:
    """Find where to write: the file that was named, or the default name in a folder."""
    from evaltrace.aggregate import check_output, output_name

    folder = output is None or output.endswith("/") or Path(output).is_dir()
    place = Path(output or "artifacts")
    if folder:
        place /= f"{output_name(plan, paths)}{SUFFIX}.{form}"
    check_output(plan, place)
    if archive:
        check_output(plan, _archive_folder() / place.name)
    elif folder and plan.options.tasks:
        _keep_fuller(plan, place)
    return place


def _keep_fuller(plan: Plan, place: Path) -> None:
    """Refuse to let a few tasks take the default file that holds the others as well."""
    from evaltrace.files import read_traces

    if not place.is_file():
        return
    chosen = {entry.trace_id for entry in plan.entries}
    try:
        others = sum(trace.trace_id not in chosen for trace in read_traces(place))
    except EvaltraceError:  # no file of traces that could be lost
        return
    if others:
        raise OutputFailure(
            f"the file holds {others} trace(s) that --task leaves out",
            where=str(place),
            hint="Name another file with -o, or keep the old one with --archive.",
        )


def _archive_folder() -> Path:
    from datetime import date

    from evaltrace.files import ARCHIVE

    return ARCHIVE / date.today().isoformat()  # noqa: DTZ011 - the user's own day


def _write_file(plan: Plan, place: Path, form: str, archive: bool, quiet: bool) -> Summary:
    from evaltrace.files import whole_file

    folder = _archive_folder() if archive and place.is_file() else None
    with whole_file(place, archive_to=folder) as file:
        summary = _write(plan, file, form, str(place), quiet)
    if folder and not quiet:
        click.echo(f"Moved the earlier {place} to {folder}", err=True)
    return summary


def _write(plan: Plan, out: BinaryIO, form: Any, name: str | None, quiet: bool) -> Summary:
    from evaltrace.aggregate import write_aggregation

    # Where the data itself goes to the terminal, a progress bar would stand in it.
    shown = not quiet and not (name is None and sys.stdout.isatty())
    with _progress(len(plan.entries), shown) as watch:
        return write_aggregation(plan, out, form=form, name=name, watch=watch)


@contextmanager
def _progress(total: int, shown: bool) -> Iterator[Callable[[Record], None] | None]:
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    bar = click.progressbar(
        length=total, label="Reading trials", file=sys.stderr, show_pos=True, width=0
    )
    with bar:
        yield lambda _record: bar.update(1)


def _report(summary: Summary) -> None:
    from evaltrace.reports.terminal import render_summary, render_summary_line

    if not sys.stderr.isatty():
        click.echo(render_summary_line(summary), err=True)
        return
    width = shutil.get_terminal_size((80, 24)).columns
    colour = not os.environ.get("NO_COLOR")
    click.echo(render_summary(summary, width=width, colour=colour), err=True, nl=False)
