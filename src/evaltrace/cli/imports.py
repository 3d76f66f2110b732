"""`evaltrace import`: what other programs recorded, as traces."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaltrace.cli.redacting import redacting_options
from evaltrace.cli.streams import json_output
from evaltrace.errors import NothingFound, StrictFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evaltrace.cli.redacting import Redacting
    from evaltrace.errors import Problem
    from evaltrace.trace import Trace

_SHOWN = 5
"""Problems that are printed; a file of traces holds all."""


@click.group("import")
def imports() -> None:
    """Turn what other programs recorded into traces."""


@imports.command()
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, readable=False),
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="A file of traces to write: .json or .jsonl; - is standard output (JSONL).",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    show_default="EVALTRACE_STORE, or that of the user",
    help="The store to add them to, where there is no -o or beside it.",
)
@click.option("--arm", help="The label of the arm that all traces belong to.")
@click.option(
    "--prices",
    default="auto",
    show_default=True,
    metavar="TABLE",
    help="Prices for costs that no span reports, as for `evaltrace aggregate`.",
)
@click.option("--strict", is_flag=True, help="End with exit code 1 if there is any problem.")
@redacting_options
def otlp(
    files: tuple[Path, ...],
    output: str | None,
    store: Path | None,
    arm: str | None,
    prices: str,
    strict: bool,
    redacting: Redacting,
) -> None:
    """Turn spans of OpenTelemetry into traces: a file of them, or sessions of the store.

    FILE is OTLP/JSON (one request, or one a line as the collector writes them) or protobuf,
    also with gzip. Spans by the conventions for generative AI are read, by older ones, and
    those of OpenInference. The spans of a trace may be in several FILEs. Secrets are replaced.

    \b
    Example:
      evaltrace import otlp spans.jsonl -o traces.json
      evaltrace import otlp collector/*.json
    """
    from evaltrace.otlp.redacting import without_secrets
    from evaltrace.redact import redact_records

    redactor = redacting.opened()
    traces, others = _read(files, arm, prices)
    problems = [*others, *(problem for trace in traces for problem in trace.problems)]
    _tell(problems)
    if strict and problems:
        raise StrictFailure(f"{len(problems)} problem(s), and --strict was given")
    if not traces:
        hint = "FILE is OTLP/JSON or protobuf: see docs/otlp.md."
        raise NothingFound("no spans of a trace", where=str(files[0]), hint=hint)
    traces = [without_secrets(trace, redactor) for trace in traces]
    others = others if redactor is None else redact_records(redactor, others)
    if output is not None:
        _write(traces, others, output)
    if output is None or store is not None:
        _add(traces, store)


def _read(files: Sequence[Path], arm: str | None, prices: str) -> tuple[list[Trace], list[Problem]]:
    """Give the traces of the files, and the problems that belong to none of them."""
    from evaltrace.errors import Problem
    from evaltrace.otlp import read_otlp
    from evaltrace.pricing import check_prices, price_trace
    from evaltrace.trace import Trace

    check_prices(prices)
    found = read_otlp(files)
    traces = [item for item in found if isinstance(item, Trace)]
    for trace in traces:
        trace.arm = arm or trace.arm
        price_trace(trace, prices, trace.task_id)
    return traces, [item for item in found if isinstance(item, Problem)]


def _tell(problems: list[Problem]) -> None:
    from evaltrace.quantities import counted
    from evaltrace.untrusted import printable

    for problem in problems[:_SHOWN]:
        click.echo(printable(f"{problem.code}: {problem.path}: {problem.message}"), err=True)
    if len(problems) > _SHOWN:
        click.echo(f"and {counted(len(problems) - _SHOWN, 'more problem')}", err=True)


def _write(traces: list[Trace], problems: list[Problem], output: str) -> None:
    import msgspec

    from evaltrace.files import whole_file, write_jsonl, write_traces
    from evaltrace.quantities import counted
    from evaltrace.trace import Tool
    from evaltrace.version import __version__

    encoded = map(msgspec.json.encode, traces)
    if output == "-":
        with json_output() as out:
            write_jsonl(out, encoded)
        return
    tool = Tool(name="evaltrace", version=__version__)
    with whole_file(Path(output)) as out:
        if output.endswith(".jsonl"):
            write_jsonl(out, encoded)
        else:
            write_traces(out, tool=tool, inputs=[], traces=encoded, problems=problems)
    click.echo(f"{counted(len(traces), 'trace')} in {output}", err=True)


def _add(traces: list[Trace], place: Path | None) -> None:
    from evaltrace.quantities import counted
    from evaltrace.store import Store

    with Store(place) as store:
        store.add_all(traces)
    click.echo(f"{counted(len(traces), 'trace')} in the store", err=True)
