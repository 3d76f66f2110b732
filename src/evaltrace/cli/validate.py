"""`evaltrace validate`: files of traces, and comparisons, against the schemas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import click

from evaltrace.errors import UnreadablePath
from evaltrace.untrusted import printable_json

if TYPE_CHECKING:
    from collections.abc import Iterator


_IN_TEXT = 100
_IN_JSON = 1000
"""Errors that are told of one file; all of them are counted."""


class Fault(TypedDict):
    """What is wrong: in which file, at which line or session, at which path of the document."""

    file: str
    place: str | None
    path: str | None
    message: str


@click.command()
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    # Not readable for click: an unreadable file is one of the errors that are found.
    type=click.Path(path_type=Path, readable=False),
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help=f"text gives {_IN_TEXT} errors for each file, json one object with {_IN_JSON:,} for each.",
)
def validate(files: tuple[Path, ...], form: str) -> None:
    """Check each FILE against the schemas; exit 1 when one has an error.

    FILE is a file of traces, JSONL of traces, an array of traces, one trace, a Parquet
    data set (its folder; its files are held against their digests), a store (looked
    through for damage as well), or a comparison as `evaltrace compare` writes it; - is
    standard input. Each error is a line `FILE: PATH: message`, with `line N` before PATH
    in JSONL and `session ID` in a store; at most 100 are looked for in one trace or
    comparison.

    \b
    Example:
      evaltrace validate traces.json
      evaltrace validate runs/*.jsonl --format json | jq '.errors[].path'
    """
    import sys

    checked = Check()
    faults: list[Fault] = []
    for file in files:
        before = checked.errors
        for number, fault in enumerate(checked.faults(file)):
            if form == "json" and number < _IN_JSON:
                faults.append(fault)
            elif form == "text" and number < _IN_TEXT:
                click.echo(_line(fault))
        if form == "text":
            _say_more(checked.errors - before - _IN_TEXT, file)
    counts = {
        "files": len(files),
        "traces": checked.traces,
        "comparisons": checked.comparisons,
        "error_count": checked.errors,
    }
    if form == "json":
        _print_json({"valid": checked.errors == 0, **counts, "errors": faults})
    click.echo(_counts(**counts), err=True)
    sys.exit(1 if checked.errors else 0)


def _say_more(number: int, file: Path) -> None:
    from evaltrace.quantities import counted
    from evaltrace.reports.columns import line_of

    if number > 0:
        click.echo(f"... {counted(number, 'more error')} in {line_of(str(file))}")


def _counts(files: int, traces: int, comparisons: int, error_count: int) -> str:
    from evaltrace.quantities import counted

    seen = [counted(traces, "trace")] if traces or not comparisons else []
    seen += [counted(comparisons, "comparison")] if comparisons else []
    return f"{counted(error_count, 'error')} in {' and '.join(seen)} of {counted(files, 'file')}"


class Check:
    """Checks files one after the other and counts what it saw."""

    def __init__(self) -> None:
        self.traces = 0
        self.comparisons = 0
        self.errors = 0

    def faults(self, file: Path) -> Iterator[Fault]:
        """Give what is wrong with a file, as it is read."""
        for place, path, message in self._faults(file):
            self.errors += 1
            line, whole = _located(place, path)
            yield Fault(file=str(file), place=line, path=whole, message=message)

    def _faults(self, file: Path) -> Iterator[tuple[str | None, str | None, str]]:
        from evaltrace.files import read_documents

        places: dict[str, str] = {}
        try:
            for place, form, document in read_documents(file):
                kind = "comparison" if _is_comparison(document) else form
                if kind == "malformed":
                    yield place, None, document
                    continue
                self.traces += kind == "trace"
                self.comparisons += kind == "comparison"
                yield from ((place, path, text) for path, text in _violations(document, kind))
                if kind == "trace":
                    yield from _twice(document, place, places)
        except UnreadablePath as error:
            yield None, None, error.what


def _is_comparison(document: Any) -> bool:
    return isinstance(document, dict) and document.keys() >= {"verdict", "denominators", "pairs"}


def _located(place: str | None, path: str | None) -> tuple[str | None, str | None]:
    """Give the line and the path: below a line of JSONL, else from the top of the document."""
    if place is None:
        return None, path
    line, _, top = place.rpartition(": ")
    if not top.startswith("$"):
        return place, path
    return line or None, top + (path or "$")[1:]


def _violations(document: Any, kind: str) -> Iterator[tuple[str, str]]:
    from evaltrace.schema import is_valid, violations

    if not is_valid(document, kind):
        for violation in violations(document, kind):
            yield violation.path, violation.message


def _twice(document: Any, place: str, places: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    trace_id = document.get("trace_id") if isinstance(document, dict) else None
    if not isinstance(trace_id, str):
        return
    first = places.setdefault(trace_id, place)
    if first != place:
        yield place, "$.trace_id", f"the same id as {first}: {trace_id}"


def _line(fault: Fault) -> str:
    from evaltrace.reports.columns import line_of

    parts = (fault["file"], fault["place"], fault["path"], fault["message"])
    return line_of(": ".join(filter(None, parts)))


def _print_json(result: dict[str, Any]) -> None:
    import json

    click.echo(printable_json(json.dumps(result, indent=2)))
