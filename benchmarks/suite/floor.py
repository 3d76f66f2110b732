"""What compiled libraries alone take of a cold aggregation: what no code of ours could do without.

The same folders are listed and the same files read as evaltrace reads, the same logs decoded, and
finished traces encoded, held against the schema, searched for secrets and written, each in one
call of a compiled library for each trial, or for each line of a log that is not sound. Nothing is
found out, put together or compared: the traces were made before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from suite.cold import parse, plain_files
from suite.plain_script import LOG
from suite.rows import Row
from suite.setting import Setting
from suite.timing import in_fork, interleaved, ratio

if TYPE_CHECKING:
    from evaltrace.redact import Redactor
    from evaltrace.trace import Trace

_COUNT = 200


@dataclass(frozen=True, slots=True)
class _Made:
    """A trial that was read: what was listed and opened for it, and what came of it."""

    folders: list[Path]
    files: list[str]
    trace: Trace
    document: Any
    line: bytes


def measure(setting: Setting) -> list[Row]:
    """Measure trials of 1 MB, with and without events."""
    folder, out = setting.jobs_of("full", _COUNT), setting.out("floor.json")
    plain = plain_files(folder)
    rows = []
    for events, limit in (("none", 0.25), ("full", 0.80)):
        made = list(_made(folder, events=events == "full"))
        works: dict[str, Callable[[], object]] = {
            "read": partial(_read, made),
            "decode": partial(_decode, _logs_of(made)),
            "encode": partial(_encode, made),
            "validate": partial(_validate, made),
            "search": partial(_search, made, _redactor()),
            "write": partial(_write, made, out),
        }
        cases = {name: in_fork(work) for name, work in works.items()}
        found = interleaved({"R": in_fork(partial(parse, plain)), **cases}, setting.rounds)
        parts = {name: ratio(found, name, "R") for name in works}
        rows.append(
            Row(
                f"trials of 1 MB: what compiled libraries take of it alone, events {events}",
                sum(parts.values()),
                unit="R",
                note=", ".join(f"{name} {part:.2f}" for name, part in parts.items())
                + f"; the limit for all is {limit}",
            )
        )
    return rows


def _made(folder: Path, *, events: bool) -> Iterator[_Made]:
    import msgspec

    from evaltrace import Options
    from evaltrace.aggregate import open_plan, read_records

    options = Options(events=events, stamped=True, redact=_redactor())
    with open_plan([folder], options) as plan:
        for entry, record in zip(plan.entries, read_records(plan), strict=True):
            if record.line is None or record.trace is None or not record.looked_at:
                continue
            places = [entry.path / name for name in record.looked_at]
            yield _Made(
                folders=[place for place in places if place.is_dir()],
                files=[str(place) for place in places if place.is_file()],
                trace=record.trace,
                document=msgspec.to_builtins(record.trace),
                line=record.line,
            )


def _redactor() -> Redactor:
    from evaltrace.redact import Redactor

    return Redactor(key=b"a key of the benchmark alone")


def _logs_of(made: list[_Made]) -> list[bytes]:
    paths = (path for row in made for path in row.files)
    return [Path(path).read_bytes() for path in paths if path.endswith(LOG)]


def _read(made: list[_Made]) -> None:
    for row in made:
        for folder in row.folders:
            list(folder.iterdir())
        for path in row.files:
            with open(path, "rb", buffering=0) as file:
                file.read()


def _decode(logs: list[bytes]) -> None:
    import msgspec

    from evaltrace.agentlogs.claude_code.shapes import Turn

    decoder = msgspec.json.Decoder(Turn, strict=False)
    for log in logs:
        try:
            decoder.decode_lines(log)
        except ValueError:
            for line in log.splitlines():
                with suppress(ValueError):
                    decoder.decode(line)


def _encode(made: list[_Made]) -> None:
    import msgspec

    for row in made:
        msgspec.json.encode(row.trace)


def _validate(made: list[_Made]) -> None:
    from evaltrace.schema import fits

    for row in made:
        assert fits(row.document)


def _search(made: list[_Made], redactor: Redactor) -> None:
    from evaltrace.redact import redact_encoded

    for row in made:
        redact_encoded(redactor, row.trace, row.line)


def _write(made: list[_Made], out: Path) -> None:
    with out.open("wb") as file:
        for row in made:
            file.write(row.line)
