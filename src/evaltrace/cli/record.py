"""`evaltrace record`: what live recordings left, and how abandoned ones are finished."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaltrace.untrusted import printable

if TYPE_CHECKING:
    from evaltrace.record.recovery import Recorded
    from evaltrace.trace import Trace

_folder = click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))


@click.group()
def record() -> None:
    """List the live recordings of a folder, and finish those whose program is gone.

    \b
    Example:
      evaltrace record list artifacts/recordings
      evaltrace record recover artifacts/recordings
    """


@record.command("list")
@_folder
def list_recordings(folder: Path | None) -> None:
    """List the recordings in DIR: running, abandoned and finished, by their start.

    DIR is $EVALTRACE_RECORDINGS if left out, else artifacts/recordings.

    \b
    Example:
      evaltrace record list artifacts/recordings
    """
    from evaltrace.record.places import recordings_folder
    from evaltrace.record.recovery import recordings

    rows = recordings(recordings_folder(folder))
    for row in rows:
        click.echo(printable(_line(row)))
    counts = [
        f"{sum(row.state == state for row in rows)} {state}"
        for state in ("running", "abandoned", "finished")
    ]
    click.echo(", ".join(counts), err=True)
    if any(row.state == "abandoned" for row in rows):
        command = "evaltrace record recover" + (f" {folder}" if folder is not None else "")
        click.echo(printable(f"Finish those that are abandoned: {command}"), err=True)


@record.command("recover")
@_folder
@click.option("--dry-run", is_flag=True, help="Say what would be finished, and write nothing.")
@click.option(
    "--store",
    envvar="EVALTRACE_STORE",
    metavar="PATH",
    help="A store that gets the traces too.",
)
def recover_recordings(folder: Path | None, dry_run: bool, store: str | None) -> None:
    """Finish the recordings in DIR whose programs ended without ending them.

    Each becomes a trace with the status cancelled and all events up to the program's end. What
    is still being recorded is left alone. Exit code 1 if one could not be finished.

    \b
    Example:
      evaltrace record recover artifacts/recordings --dry-run
      evaltrace record recover artifacts/recordings
    """
    from evaltrace.errors import Problem
    from evaltrace.record.places import recordings_folder
    from evaltrace.record.recovery import recover

    results = recover(recordings_folder(folder), dry_run=dry_run, store=store or None)
    problems = [result for result in results if isinstance(result, Problem)]
    for problem in problems:
        text = f"{problem.code}: {problem.path}: {problem.message}"
        click.echo(printable(text), err=True)
    traces = [result for result in results if not isinstance(result, Problem)]
    for trace in traces:
        click.echo(printable(_recovered(trace)))
    done = "Would finish" if dry_run else "Finished"
    click.echo(f"{done} {len(traces)} of {len(traces) + len(problems)} abandoned", err=True)
    if problems:
        click.get_current_context().exit(1)


def _line(row: Recorded) -> str:
    from evaltrace.quantities import counted

    # The time of the start is in the name of the file.
    state = row.status if row.state == "finished" else row.state
    return f"{row.trace_id[:8]}  {state:<9}  {counted(row.events, 'event'):>14}  {row.file}"


def _recovered(trace: Trace) -> str:
    from evaltrace.quantities import counted

    number = counted(len(trace.events or ()), "event")
    torn = "".join(f"  {problem.message}" for problem in trace.problems)
    return f"{trace.trace_id}  {trace.status}  {number}{torn}"
