"""`evaltrace aggregate`: job directories in, one file of traces out."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.bundles import bundled
from evaltrace.cli.caching import cache_options
from evaltrace.cli.engines import engine_options
from evaltrace.cli.outputs import SUFFIX, check_archive, find_place
from evaltrace.cli.redacting import redacting_options
from evaltrace.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evaltrace.cli.caching import Caching
    from evaltrace.cli.engines import Engine
    from evaltrace.cli.outputs import Place
    from evaltrace.cli.redacting import Redacting
    from evaltrace.plan import Options, Plan
    from evaltrace.summary import Summary


def _folders(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> Any:
    if "" in given:
        raise click.BadParameter("an empty path; is a variable unset?")
    return given


_reading_options = bundled(
    "reading",
    ("events", "pass_threshold", "prices", "tool_patterns", "task_dirs", "strict"),
    (
        click.option(
            "--events",
            type=click.Choice(["full", "none"]),
            default="full",
            show_default=True,
            help="none leaves out what happened step by step; counts and sums stay.",
        ),
        click.option(
            "--pass-threshold",
            type=float,
            default=1.0,
            show_default=True,
            help="The least reward that is a pass; above 0.",
        ),
        click.option(
            "--prices",
            default="auto",
            show_default=True,
            metavar="TABLE",
            help="Prices for costs that no agent reported: genai-prices (the package), a FILE of "
            "prices, or none. auto: the harness's estimate, else genai-prices if it is installed. "
            "A table that is named also replaces the harness's estimates.",
        ),
        click.option(
            "--tool-pattern",
            "tool_patterns",
            multiple=True,
            metavar="REGEX",
            help="Count the shell calls whose command matches, into tools.mentions. "
            "May be repeated.",
        ),
        click.option(
            "--task-dir",
            "task_dirs",
            multiple=True,
            type=click.Path(exists=True, file_okay=False),
            metavar="DIR",
            help="A folder of tasks, for instruction, category and difficulty of tasks that no "
            "longer lie where the job recorded them. May be repeated.",
        ),
        click.option("--strict", is_flag=True, help="End with exit code 1 at the first problem."),
    ),
    lambda given: {**given, "events": given["events"] == "full"},
)
"""Give the command what trials are read for and held against, as one `reading`."""


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
    help="Where to write, also a URL; - is standard output.  "
    f"[default: artifacts/NAME{SUFFIX}.json, "
    "NAME being the arm or the job]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "jsonl", "parquet"]),
    show_default="jsonl or parquet if FILE ends so, else json",
    help="jsonl writes one trace a line, without inputs and problems around them; parquet adds "
    "to a data set, a folder of tables.",
)
@_reading_options
@click.option(
    "--archive",
    is_flag=True,
    help="Move an existing output to history/runs/YYYY-MM-DD/ when the new one is complete.",
)
@redacting_options
@engine_options
@cache_options
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
def aggregate(
    paths: tuple[str, ...],
    job_dirs: tuple[str, ...],
    tasks: tuple[str, ...],
    arm: str | None,
    output: str | None,
    form: str | None,
    archive: bool,
    quiet: bool,
    reading: dict[str, Any],
    redacting: Redacting,
    engine: Engine,
    caching: Caching,
) -> None:
    """Assemble every trial below PATH... into one validated trace.

    PATH is a trial, a job, a folder of jobs, or any folder above them, also as a URL such as
    s3://BUCKET/jobs. Nothing is ever written into it. Traces go to a file, everything said
    about them to standard error. Secrets are replaced by [redacted:RULE:digest].

    \b
    Example:
      evaltrace aggregate jobs/baseline --arm baseline
      evaltrace aggregate jobs/with-mcp --task sgt-001 -o mcp-traces.json
      evaltrace aggregate jobs -o - --format jsonl | jq .status
    """
    from evaltrace.aggregate import open_plan

    named = [*paths, *job_dirs]
    if not named:
        raise click.UsageError("Name at least one PATH (or --job-dir DIR).")
    if engine.share is not None and output is not None:
        raise click.UsageError("--shard writes parts, not the output: leave out -o.")
    form = form or _form_of(output or "")
    check_archive(archive, output, form)
    options = _options(tasks=tasks, arm=arm, redact=redacting.chosen(), **reading)
    cache = caching.opened(quiet) if engine.is_local else None
    with open_plan(named, options, cache) as plan:
        _tell(plan)
        if engine.share is not None:
            _write_share(plan, engine, quiet)
            return
        summary = _write_to(plan, find_place(plan, named, output, form, archive), engine, quiet)
    if not quiet:
        _report(summary)
    caching.tell(plan.cache, quiet)


def _tell(plan: Plan) -> None:
    for note in plan.notes:
        click.echo(printable(f"{note.code}: {note.message}\n  {note.hint}"), err=True)


def _form_of(output: str) -> str:
    return next((form for form in ("jsonl", "parquet") if output.endswith(f".{form}")), "json")


def _options(**given: Any) -> Options:
    from evaltrace.plan import Options

    try:
        return Options(**given)
    except ValueError as error:
        text = str(error)
        raise click.UsageError(f"{text[:1].upper()}{text[1:]}.") from error


def _write_to(plan: Plan, place: Place, engine: Engine, quiet: bool) -> Summary:
    """Write to where the output belongs, and say what was moved out of its way."""
    from evaltrace.aggregate import commit_success

    # Where the data itself goes to the terminal, a progress bar would stand in it.
    shown = not quiet and not (place.name is None and sys.stdout.isatty())
    with ExitStack() as opened:
        out = opened.enter_context(place.opened())
        sharded = opened.enter_context(engine.opened(plan, place.name))
        watch = opened.enter_context(_progress(len(plan.unread), shown))
        summary = place.write(plan, out, sharded, watch)
    if sharded is not None and engine.parts is not None:
        commit_success(sharded.folder, plan, summary, place.file)
    if place.archive and not quiet:
        click.echo(f"Moved the earlier {place.name} to {place.archive}", err=True)
    return summary


def _write_share(plan: Plan, engine: Engine, quiet: bool) -> None:
    from evaltrace.aggregate import write_share

    assert engine.share is not None
    with engine.opened(plan, None) as sharded, _progress(len(plan.entries), not quiet) as watch:
        assert sharded is not None
        trials = write_share(plan.entries, plan.options, sharded, engine.share, watch)
    if not quiet:
        share = "/".join(map(str, engine.share))
        click.echo(f"Parts with {trials} trial(s), share {share}, are in {engine.parts}", err=True)


@contextmanager
def _progress(total: int, shown: bool) -> Iterator[Callable[[int], object] | None]:
    if not (shown and sys.stderr.isatty()):
        yield None
        return
    bar = click.progressbar(
        length=total, label="Reading trials", file=sys.stderr, show_pos=True, width=0
    )
    with bar:
        yield bar.update


def _report(summary: Summary) -> None:
    from evaltrace.reports.terminal import render_summary, render_summary_line

    if not sys.stderr.isatty():
        click.echo(render_summary_line(summary), err=True)
        return
    width = shutil.get_terminal_size((80, 24)).columns
    colour = not os.environ.get("NO_COLOR")
    click.echo(render_summary(summary, width=width, colour=colour), err=True, nl=False)
