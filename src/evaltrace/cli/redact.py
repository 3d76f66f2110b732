"""`evaltrace redact`: traces and job directories without their secrets; the rules."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evaltrace.cli.redacting import secrets_options
from evaltrace.untrusted import one_line, printable, printable_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evaltrace.cli.redacting import Redacting
    from evaltrace.redact import Redactor
    from evaltrace.trace import Trace

_RULES = "rules"


@click.command()
@click.argument("paths", metavar="rules | FILE... | JOB", nargs=-1, required=True)
@click.option("-o", "--output", metavar="DEST", help="Where to write: a file, or a folder.")
@secrets_options
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Of `evaltrace redact rules`.",
)
def redact(
    paths: tuple[str, ...],
    output: str | None,
    redacting: Redacting,
    form: str,
) -> None:
    """Write traces or a job directory again, without their secrets.

    FILE is a file of traces in any form that evaltrace reads; DEST is JSONL where it ends in
    .jsonl, else a file of traces. JOB is a job directory or any folder; DEST is its copy, without
    the secrets that its configuration files hold either. Nothing is changed in place. What was
    written is looked into again; where a secret is left, nothing is kept and the exit code is 1.
    Ids of traces and names of files stay as they are; of files named by a secret you are told.

    A secret becomes [redacted:RULE:digest]. The digest is keyed: equal secrets have equal ones,
    and without the key (EVALTRACE_REDACTION_KEY, else a file of your own) it tells nothing.

    \b
    Example:
      evaltrace redact traces.json -o shared.json
      evaltrace redact jobs/2026-02-03__12-00-00 -o shared-job
      evaltrace redact rules
    """
    if paths == (_RULES,) and output is None:
        _list_rules(redacting.rules, form)
        return
    if output is None:
        raise click.UsageError("Name with -o where to write.")
    redactor = redacting.redactor()
    folders = [path for path in paths if Path(path).is_dir() and not _is_dataset(path)]
    if folders and len(paths) > 1:
        raise click.UsageError("Name one folder at a time, or files of traces.")
    if folders:
        _copy_folder(Path(paths[0]), Path(output), redactor)
    else:
        _rewrite_files([Path(path) for path in paths], Path(output), redactor)


def _is_dataset(path: str) -> bool:
    from evaltrace.files import is_dataset

    return is_dataset(Path(path))


def _copy_folder(source: Path, target: Path, redactor: Redactor) -> None:
    from evaltrace.redact import copy_redacted

    copied = copy_redacted(source, target, redactor)
    for problem in copied.problems:
        click.echo(one_line(f"{problem.path}: {problem.message}. {problem.hint}", 300), err=True)
    _say(copied.counts, f"{copied.files:,} files")


def _rewrite_files(paths: list[Path], target: Path, redactor: Redactor) -> None:
    from evaltrace.files import whole_file

    _refuse_in_place(paths, target)
    counts: Counter[str] = Counter()
    with whole_file(target) as out:
        number = _write(out, paths, target.suffix == ".jsonl", redactor, counts)
        out.flush()
        _check_written(Path(out.name), redactor)
    _say(counts, f"{number:,} traces")


def _refuse_in_place(paths: list[Path], target: Path) -> None:
    for path in paths:
        if target.exists() and path.exists() and target.samefile(path):
            raise click.UsageError("Name another file with -o: nothing is changed in place.")


def _check_written(path: Path, redactor: Redactor) -> None:
    """Look into what was written once more. Raises SecretsLeft."""
    from evaltrace.files import read_items
    from evaltrace.redact import check_records, check_trace
    from evaltrace.trace import Trace

    if not path.is_file() or not path.stat().st_size:  # what was written to a pipe is gone
        return
    for item in read_items(path):
        if isinstance(item, Trace):
            check_trace(redactor, item)
        else:
            check_records(redactor, [*item.inputs, *item.problems])


def _write(
    out: Any, paths: list[Path], lines: bool, redactor: Redactor, counts: Counter[str]
) -> int:
    from evaltrace.files import Frame, write_jsonl, write_traces
    from evaltrace.trace import Tool
    from evaltrace.version import __version__

    frame = Frame()
    if lines:
        return write_jsonl(out, _redacted(paths, frame, redactor, counts))
    # The head of the file comes before its traces: the jobs are read first.
    for _ in _redacted(paths, frame, redactor, Counter(), only_frame=True):
        pass
    tool = Tool(name="evaltrace", version=__version__)
    return write_traces(
        out,
        tool=tool,
        inputs=frame.inputs,
        traces=_redacted(paths, Frame(), redactor, counts),
        problems=frame.problems,
    )


def _redacted(
    paths: list[Path],
    frame: Any,
    redactor: Redactor,
    counts: Counter[str],
    *,
    only_frame: bool = False,
) -> Iterator[bytes]:
    from evaltrace.files import read_items
    from evaltrace.redact import to_redacted
    from evaltrace.redact.traces import redact_value
    from evaltrace.trace import Trace

    for path in paths:
        for item in read_items(path):
            if not isinstance(item, Trace):
                frame.inputs += redact_value(redactor, item.inputs, counts)
                frame.problems += redact_value(redactor, item.problems, counts)
            elif not only_frame:
                before = _replaced(item)
                trace, line = to_redacted(redactor, item)
                counts += _replaced(trace) - before
                yield line


def _replaced(trace: Trace) -> Counter[str]:
    return Counter((trace.redaction.counts if trace.redaction else None) or {})


def _say(counts: Counter[str], what: str) -> None:
    for rule, number in sorted(counts.items()):
        click.echo(f"{number:>7}  {rule}")
    click.echo(f"{sum(counts.values()):,} secrets replaced in {what}", err=True)


def _list_rules(paths: tuple[Path, ...], form: str) -> None:
    import msgspec

    from evaltrace.redact import RULES, read_rules
    from evaltrace.redact.contexts import PERSONAL

    rows = [*RULES, *PERSONAL, *(rule for path in paths for rule in read_rules(path))]
    if form == "json":
        encoded = msgspec.json.format(msgspec.json.encode(rows), indent=2)
        click.echo(printable_json(encoded))
        return
    for rule in rows:
        kind = "option" if rule.kind == "personal" else rule.kind
        click.echo(printable(f"{rule.name:<22} {kind:<8} {rule.title}").rstrip())
