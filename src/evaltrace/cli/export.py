"""`evaltrace export`: traces for other programs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.redacting import redacting_options
from evaltrace.cli.streams import json_output
from evaltrace.errors import EvaltraceError, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from evaltrace.cli.redacting import Redacting
    from evaltrace.redact import Redactor
    from evaltrace.trace import Trace

_HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
"""Where programs of OpenTelemetry look for headers."""


@click.group()
def export() -> None:
    """Give traces to other programs."""


@export.command()
@click.argument(
    "files", metavar="[FILE]...", nargs=-1, type=click.Path(path_type=Path, readable=False)
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to write to: .json, .jsonl or .pb; - is standard output (JSONL).",
)
@click.option(
    "--endpoint", metavar="URL", help="A receiver to send to, such as http://localhost:4318."
)
@click.option(
    "--header",
    "headers",
    metavar="KEY=VALUE",
    multiple=True,
    help=f"A header for the receiver, such as credentials; also from {_HEADERS}.",
)
@click.option("--content", is_flag=True, help="Add prompts, answers, arguments, results and diffs.")
@click.option(
    "--limit",
    type=click.IntRange(min=100),
    default=65_536,
    show_default=True,
    help="Characters kept of a text.",
)
@click.option(
    "--resource",
    "resources",
    metavar="KEY=VALUE",
    multiple=True,
    help="What names the source, such as service.name=nightly.",
)
@click.option(
    "--encoding",
    type=click.Choice(["auto", "json", "protobuf"]),
    default="auto",
    show_default=True,
    help="What is sent; auto is JSON until the receiver refuses it.",
)
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    show_default="EVALTRACE_STORE, or that of the user",
    help="The store to take sessions from.",
)
@click.option(
    "--session",
    "sessions",
    metavar="ID",
    multiple=True,
    help="Of the store this session only, by its id or the start of it; may be repeated.",
)
@redacting_options
def otlp(
    files: tuple[Path, ...],
    output: str | None,
    endpoint: str | None,
    headers: tuple[str, ...],
    content: bool,
    limit: int,
    resources: tuple[str, ...],
    encoding: str,
    store: Path | None,
    sessions: tuple[str, ...],
    redacting: Redacting,
) -> None:
    """Write traces as OTLP, the protocol of OpenTelemetry, or send them to a receiver.

    FILE is a file of traces or a store; without one, the sessions of the store are taken.
    Each trace is a tree of spans by the conventions for generative AI. What people, models
    and tools said is left out unless --content is given. Secrets are replaced.

    \b
    Example:
      evaltrace export otlp traces.json -o spans.jsonl
      evaltrace export otlp traces.json --endpoint http://localhost:4318
      evaltrace export otlp --session 4f0c --content -o run.json
    """
    from evaltrace.otlp import to_otlp

    if (output is None) == (endpoint is None):
        raise click.UsageError("Give either -o FILE or --endpoint URL.")
    if files and (sessions or store):
        raise click.UsageError("Give FILEs, or the sessions of a store: not both.")
    found = _of_files(files) if files else _of_store(store, sessions)
    traces = _without_secrets(found, redacting.opened())
    resource = _pairs(resources, "--resource")
    requests = (to_otlp(trace, content=content, limit=limit, resource=resource) for trace in traces)
    if output is not None:
        _write(requests, output)
    else:
        assert endpoint is not None
        _send(requests, endpoint, _all_headers(headers), encoding)


def _of_files(files: Sequence[Path]) -> Iterator[Trace]:
    from evaltrace.files import read_traces
    from evaltrace.store import Store, is_store

    for file in files:
        if is_store(file):
            with Store(file, read_only=True) as store:
                yield from store.read_all()
        else:
            yield from read_traces(file)


def _of_store(path: Path | None, sessions: Sequence[str]) -> Iterator[Trace]:
    from evaltrace.store import Store

    with Store(path, read_only=True) as store:
        if not sessions:
            yield from store.read_all()
        for name in sessions:
            session = store.get_session(name)
            trace = store.read(session.id) if session else None
            if trace is None:
                hint = "evaltrace store sessions lists them."
                raise UnknownName(f'No session "{name}"', hint=hint)
            yield trace


def _without_secrets(traces: Iterator[Trace], redactor: Redactor | None) -> Iterator[Trace]:
    from evaltrace.redact import to_redacted
    from evaltrace.store import to_json

    return (to_redacted(redactor, trace, to_json)[0] for trace in traces)


def _write(requests: Iterable[dict[str, Any]], output: str) -> None:
    from evaltrace.files import whole_file
    from evaltrace.otlp.requests import write_requests
    from evaltrace.quantities import counted

    if output == "-":
        with json_output() as out:
            write_requests(out, requests, "jsonl")
        return
    forms = {".json": "json", ".jsonl": "jsonl", ".pb": "protobuf"}
    form = forms.get(Path(output).suffix)
    if form is None:
        raise click.UsageError("The output is a .json, .jsonl or .pb file, or - for JSONL.")
    with whole_file(Path(output)) as out:
        spans = write_requests(out, requests, form)
    click.echo(f"{counted(spans, 'span')} in {output}", err=True)


def _send(
    requests: Iterable[dict[str, Any]], endpoint: str, headers: dict[str, str], encoding: str
) -> None:
    from evaltrace.otlp import Receiver
    from evaltrace.quantities import counted
    from evaltrace.untrusted import printable

    receiver = Receiver(endpoint, headers=headers, encoding=encoding)
    sent = receiver.send(requests)
    for message in sent.messages:
        click.echo(printable(f"The receiver says: {message}"), err=True)
    if sent.rejected:
        raise EvaltraceError(
            f"the receiver left out {sent.rejected:,} of {sent.spans:,} spans",
            where=receiver.url,
            hint="See what it says above; the others are there.",
        )
    click.echo(f"{counted(sent.spans, 'span')} sent to {receiver.url}", err=True)


def _all_headers(given: Sequence[str]) -> dict[str, str]:
    from urllib.parse import unquote

    pairs = [part for part in os.environ.get(_HEADERS, "").split(",") if part.strip()]
    found = {key: unquote(value) for key, value in _pairs(pairs, _HEADERS).items()}
    return {**found, **_pairs(given, "--header")}


def _pairs(given: Iterable[str], name: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    # The value is not shown: it may be a credential.
    if any(not key.strip() or not equals or "\n" in value for key, equals, value in pairs):
        raise click.UsageError(f"{name} takes KEY=VALUE, each on one line.")
    return {key.strip(): value.strip() for key, _, value in pairs}
