"""What the commands of a store have in common, and those that take traces in and out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from evaltrace.cli.redacting import OFF, redacting_options
from evaltrace.cli.streams import json_output
from evaltrace.errors import NotATraceFile, UnknownName
from evaltrace.untrusted import printable

if TYPE_CHECKING:
    from evaltrace.cli.redacting import Redacting
    from evaltrace.errors import Problem
    from evaltrace.plan import Options
    from evaltrace.redact import Redactor
    from evaltrace.store import Session, Store
    from evaltrace.trace import Trace

_AGO = re.compile(r"(\d{1,6})([mhdw])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Moment(click.ParamType):  # type: ignore[type-arg]
    """A time: ISO 8601 (without a zone in UTC), a day, or how long ago."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read 2026-02-03, 2026-02-03T12:00:00Z, or 90m, 24h, 7d, 2w ago."""
        if isinstance(value, datetime):
            return value
        ago = _AGO.fullmatch(str(value).strip())
        try:
            if ago:
                return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            return datetime.fromisoformat(str(value).strip())
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time: write 2026-02-03, 24h or 7d.", param, ctx)


store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, readable=False),
    envvar="EVALTRACE_STORE",
    metavar="PATH",
    show_default="$EVALTRACE_STORE, else in the user's data folder",
    help="The file of the store.",
)

lines_option = click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="json gives everything that is known, one object a line.",
)


@contextmanager
def opened(path: Path | None, *, read_only: bool = True) -> Iterator[Store]:
    """Open the store that was named, or the user's own."""
    from evaltrace.store import Store

    with Store(path, read_only=read_only) as store:
        yield store


def find_session(store: Store, name: str) -> Session:
    """Find a session by the beginning of its id; raises UnknownName with near ones."""
    session = store.get_session(name)
    if session is not None:
        return session
    near = store.near_sessions(name)
    several = [found for found in near if found.startswith(name)]
    if len(several) > 1:
        hint = f"Write more of it; so begin {', '.join(several)}."
        raise UnknownName("several sessions begin so", where=name, hint=hint)
    hint = f"Nearest: {', '.join(near)}" if near else "evaltrace store sessions lists them."
    raise UnknownName("no such session", where=name, hint=hint)


@click.command("add")
@click.argument(
    "paths",
    metavar="FILE|JOB...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, readable=False),
)
@click.option("--arm", metavar="LABEL", help="Label the traces of this call as an arm.")
@click.option(
    "--prices",
    default="auto",
    show_default=True,
    metavar="TABLE",
    help="Prices for the costs of job directories, as for `evaltrace aggregate`.",
)
@click.option(
    "--no-redact", is_flag=True, help="Leave the secrets of job directories in; each trace says so."
)
@click.option("-q", "--quiet", is_flag=True, help="Nothing on standard error but errors.")
@store_option
def add(
    paths: tuple[Path, ...],
    arm: str | None,
    prices: str,
    no_redact: bool,
    quiet: bool,
    store: Path | None,
) -> None:
    """Put traces into the store; a trace that is there already is replaced.

    FILE is a file of traces in any form that evaltrace reads, or another store; - is standard
    input. JOB is a trial, a job, or a folder of jobs, which is read and left as it is. Secrets of
    jobs are replaced; those of files stay as they are.

    \b
    Example:
      evaltrace store add jobs/baseline --arm baseline
      evaltrace store add traces.json artifacts/recordings/*.json
    """
    from evaltrace.quantities import counted, grouped

    problems: list[Problem] = []
    options = _options(prices, no_redact)
    with opened(store, read_only=False) as target:
        counts = target.add_all(
            trace for path in paths for trace in _traces(path, arm, options, problems)
        )
    if quiet:
        return
    for problem in problems:
        click.echo(printable(f"{problem.code}: {problem.path}: {problem.message}"), err=True)
    new = f"{counted(counts.added, 'new trace')}, {grouped(counts.replaced)} replaced"
    more = f", {counted(len(problems), 'problem')}" if problems else ""
    click.echo(printable(f"{new}{more} in {target.path}"), err=True)


def _options(prices: str, no_redact: bool) -> Options:
    from evaltrace.plan import Options

    if no_redact:
        click.echo(OFF, err=True)
    return Options(prices=prices, redact=not no_redact)


def _traces(
    path: Path, arm: str | None, options: Options, problems: list[Problem]
) -> Iterator[Trace]:
    from evaltrace.files import STANDARD_INPUT, holds_traces, read_traces

    is_file = path == STANDARD_INPUT or not path.is_dir() or holds_traces(path)
    for trace in read_traces(path) if is_file else _of_jobs(path, options, problems):
        if arm is not None:
            trace.arm = arm
        yield trace


def _of_jobs(path: Path, options: Options, problems: list[Problem]) -> Iterator[Trace]:
    from evaltrace.aggregate import read_records
    from evaltrace.plan import plan_aggregation

    plan = plan_aggregation([path], options)
    problems += [*plan.notes, *plan.problems]
    for record in read_records(plan):
        if record.trace is None:
            problems += record.problems
        else:
            yield record.trace


@click.command("export")
@click.argument("sessions", metavar="[SESSION]...", nargs=-1)
@click.option("-o", "--output", required=True, metavar="FILE", help="The file; - is the output.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "jsonl"]),
    show_default="jsonl if FILE ends so, else json",
    help="jsonl writes one trace a line.",
)
@click.option("--status", metavar="STATUS", help="Only sessions with this status.")
@click.option("--kind", metavar="KIND", help="Only sessions of this kind, such as harness.")
@click.option("--since", type=Moment(), help="Only those that started then or later.")
@click.option("--until", type=Moment(), help="Only those that started then or earlier.")
@redacting_options
@store_option
def export(
    sessions: tuple[str, ...],
    output: str,
    form: str | None,
    store: Path | None,
    redacting: Redacting,
    **chosen: Any,
) -> None:
    """Write traces of the store into a file, as `evaltrace aggregate` writes them.

    All of them, those of the SESSIONs (by their ids or the beginnings of them), or those that
    the options choose; those that started last come first. Secrets are replaced.

    \b
    Example:
      evaltrace store export -o runs.json
      evaltrace store export --status fail --since 7d -o - --format jsonl | jq .error
    """
    from evaltrace.quantities import counted

    if sessions and any(chosen.values()):
        raise click.UsageError("Name SESSIONs, or choose by options, not both.")
    form = form or ("jsonl" if output.endswith(".jsonl") else "json")
    redactor = redacting.opened()
    with opened(store) as source, _output(output) as out:
        number = _write(out, form, _chosen(source, sessions, chosen), redactor)
    click.echo(printable(f"{counted(number, 'trace')} in {output}"), err=True)


def _chosen(store: Store, sessions: tuple[str, ...], chosen: dict[str, Any]) -> Iterator[Trace]:
    if not sessions:
        yield from store.read_all(**chosen)
        return
    for session in [find_session(store, name) for name in sessions]:
        trace = store.read(session.id)
        if trace is not None:
            yield trace


def _write(out: BinaryIO, form: str, traces: Iterator[Trace], redactor: Redactor | None) -> int:
    from evaltrace.files import write_jsonl, write_traces
    from evaltrace.redact import to_redacted
    from evaltrace.store import to_json
    from evaltrace.trace import Tool
    from evaltrace.version import __version__

    encoded = (to_redacted(redactor, trace, to_json)[1] for trace in traces)
    if form == "jsonl":
        return write_jsonl(out, encoded)
    tool = Tool(name="evaltrace", version=__version__)
    return write_traces(out, tool=tool, inputs=[], traces=encoded, problems=[])


@contextmanager
def _output(name: str) -> Iterator[BinaryIO]:
    from evaltrace.files import whole_file

    if name == "-":
        with json_output() as out:
            yield out
        return
    from evaltrace.store import is_store

    if is_store(name):
        raise NotATraceFile("The output is a store", where=name, hint="Name another file with -o.")
    with whole_file(Path(name)) as out:
        yield out
