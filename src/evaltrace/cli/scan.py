"""`evaltrace scan`: where secrets are, without what they are."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evaltrace.cli.redacting import secrets_options
from evaltrace.errors import UnreadablePath
from evaltrace.untrusted import one_line, printable_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evaltrace.cli.redacting import Redacting
    from evaltrace.errors import Problem
    from evaltrace.redact import Finding, Redactor

_FOUND = 3
_OPENING = b'{"schema_version"'
_WIDTH = 160


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@secrets_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="table gives a line for each secret, json one object with all of them.",
)
def scan(
    paths: tuple[str, ...],
    redacting: Redacting,
    form: str,
) -> None:
    """Find secrets in files of traces, job directories and any other files.

    Says where each is (file and line, or trace and field), by which rule it was found, and its
    keyed digest, by which equal secrets are told. Never prints a secret. In a folder, what its
    files of settings hold is looked for everywhere; links, pipes and devices are left out, and
    said. Exit code 0: none found, 3: some found, 1: a path could not be read.

    \b
    Example:
      evaltrace scan traces.json
      evaltrace scan jobs --format json | jq '.rules'
    """
    redactor = redacting.redactor()
    counts: dict[str, int] = {}
    rows: list[dict[str, object]] = []
    unread = 0
    for item in _findings(paths, redactor):
        if not isinstance(item, tuple):
            unread += item.code == "not_scanned"
            click.echo(one_line(f"{item.path}: {item.message}", _WIDTH), err=True)
            continue
        counts[item.rule] = counts.get(item.rule, 0) + 1
        if form == "json":
            rows.append(item._asdict())
        else:
            click.echo(_line(item))
    if form == "json":
        _print_json({"found": sum(counts.values()), "rules": counts, "findings": rows})
    click.echo(f"{sum(counts.values()):,} secrets found, {unread:,} files left out", err=True)
    sys.exit(_FOUND if counts else 0)


def _line(finding: Finding) -> str:
    place = finding.trace_id or str(finding.line)
    parts = (finding.file, place, finding.field)
    where = one_line(": ".join(part for part in parts if part), _WIDTH)
    return f"{where}  {finding.rule}:{finding.digest}"


def _findings(paths: tuple[str, ...], redactor: Redactor) -> Iterator[Finding | Problem]:
    from evaltrace.redact import files_below, known_in

    for given in paths:
        path = Path(given)
        if path.is_dir():
            known, problems = known_in(path)
            yield from problems
            knowing = redactor.knowing(known)
            for item in files_below(path):
                if isinstance(item, tuple):
                    yield from _of_file(item[0], str(path / item[1]), knowing)
                else:
                    yield replace(item, path=knowing.text(item.path)[0])
        elif path.exists():
            yield from _of_file(path, given, redactor)
        else:
            raise UnreadablePath("no such file or folder", where=given)


def _of_file(path: Path, name: str, redactor: Redactor) -> Iterator[Finding | Problem]:
    from evaltrace.errors import NotATraceFile
    from evaltrace.redact import scan_file

    if _holds_traces(path):
        try:
            yield from _of_traces(path, name, redactor)
            return
        except NotATraceFile:  # looks like one: read like any other text
            pass
    yield from scan_file(path, name, redactor)


def _of_traces(path: Path, name: str, redactor: Redactor) -> Iterator[Finding]:
    from evaltrace.files import read_traces
    from evaltrace.redact import Finding, find_in_trace

    said, _ = redactor.text(name)
    for trace in read_traces(path):
        trace_id, _ = redactor.text(trace.trace_id)
        for hit in find_in_trace(redactor, trace):
            yield Finding(said, None, hit.field, hit.rule, hit.digest, trace_id)


def _holds_traces(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(_OPENING)) == _OPENING
    except OSError:
        return False


def _print_json(result: dict[str, object]) -> None:
    import json

    click.echo(printable_json(json.dumps(result, indent=2)))
