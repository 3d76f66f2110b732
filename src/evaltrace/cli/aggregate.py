"""`evaltrace aggregate`: job directories in, one file of traces out."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evaltrace.aggregate import Options, Plan, Record
    from evaltrace.summary import Summary

SUFFIX = "-execution-traces-full"


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--job-dir",
    "job_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
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
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"Where to write; - is standard output.  [default: artifacts/NAME{SUFFIX}.json, "
    "NAME being the arm or the job]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "jsonl"]),
    default="json",
    show_default=True,
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
    help="The least reward that is a pass.",
)
@click.option("--strict", is_flag=True, help="End with exit code 1 at the first problem.")
@click.option(
    "--archive",
    is_flag=True,
    help="First move an existing output to history/runs/YYYY-MM-DD/.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def aggregate(
    paths: tuple[Path, ...],
    job_dirs: tuple[Path, ...],
    tasks: tuple[str, ...],
    arm: str | None,
    output: Path | None,
    form: str,
    events: str,
    pass_threshold: float,
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
      evaltrace aggregate jobs/with-mcp --task sgt-001 -o artifacts/mcp-traces.json
      evaltrace aggregate jobs -o - --format jsonl --events none | jq .status
    """
    from evaltrace.aggregate import Options, check_output, plan_aggregation

    named = [*paths, *job_dirs]
    if not named:
        raise click.UsageError("Name at least one PATH (or --job-dir DIR).")
    options = Options(
        tasks=tasks,
        arm=arm,
        events=events == "full",
        pass_threshold=pass_threshold,
        strict=strict,
    )
    plan = plan_aggregation(named, options)
    output = output or _default_output(plan, named, arm, form)
    if str(output) != "-":
        check_output(plan, output)
        if archive:
            check_output(plan, "history")
            _archive(output, quiet)
    summary = _write(plan, output, options, form, quiet)
    if not quiet:
        _report(summary)


def _default_output(plan: Plan, paths: list[Path], arm: str | None, form: str) -> Path:
    from evaltrace.aggregate import output_name

    return Path("artifacts", f"{output_name(plan, paths, arm)}{SUFFIX}.{form}")


def _archive(output: Path, quiet: bool) -> None:
    from datetime import date

    from evaltrace.files import archive

    moved = archive(output, date.today())  # noqa: DTZ011 - the user's own day names the folder
    if moved and not quiet:
        click.echo(f"Moved the earlier {output} to {moved}", err=True)


def _write(plan: Plan, output: Path, options: Options, form: Any, quiet: bool) -> Summary:
    from evaltrace.aggregate import write_aggregation
    from evaltrace.files import whole_file

    def write(out: BinaryIO, name: str | None) -> Summary:
        with _progress(len(plan.entries), quiet) as watch:
            return write_aggregation(plan, out, options=options, form=form, name=name, watch=watch)

    if str(output) == "-":
        summary = write(sys.stdout.buffer, None)
        sys.stdout.buffer.flush()
        return summary
    with whole_file(output) as file:
        return write(file, str(output))


@contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[Record], None] | None]:
    if quiet or not sys.stderr.isatty():
        yield None
        return
    bar = click.progressbar(length=total, label="Reading trials", file=sys.stderr, show_pos=True)
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
