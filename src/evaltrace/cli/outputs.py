"""Where an aggregation is written: a file, an object, a data set, standard output."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from evaltrace.cli.streams import json_output
from evaltrace.errors import EvaltraceError, OutputFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from evaltrace.aggregate import Sharded
    from evaltrace.plan import Plan
    from evaltrace.summary import Summary

SUFFIX = "-execution-traces-full"
"""What the default name of an output ends with, before its suffix."""


@dataclass(frozen=True, slots=True)
class Place:
    """An output: its name (None: standard output), its form, where an earlier one goes to."""

    name: str | None
    form: str
    archive: Path | None = None

    @property
    def file(self) -> Path | None:
        """The output as a path, None where it is none."""
        return None if self.name is None or _is_url(self.name) else Path(self.name)

    def opened(self) -> AbstractContextManager[BinaryIO | Path]:
        """Open the output, which appears when all is written; a data set is its folder."""
        from evaltrace.aggregate import open_output

        if self.name is None:
            return json_output()
        if self.form == "parquet":
            return nullcontext(Path(self.name))
        return open_output(self.name, self.archive)

    def write(
        self,
        plan: Plan,
        out: BinaryIO | Path,
        sharded: Sharded | None,
        watch: Callable[[int], object] | None,
    ) -> Summary:
        """Write the planned trials into the output."""
        from evaltrace.aggregate import write_aggregation

        form: Any = self.form
        return write_aggregation(plan, out, form=form, sharded=sharded, name=self.name, watch=watch)


def _is_url(output: str | None) -> bool:
    from evaltrace.remote import is_url

    return is_url(output)


def check_archive(archive: bool, output: str | None, form: str) -> None:
    """Refuse what cannot be: a data set on standard output, an archive of what is no file."""
    if form == "parquet" and (output == "-" or _is_url(output)):
        raise click.UsageError("--format parquet writes a folder on this machine: name it with -o.")
    if archive and (output == "-" or _is_url(output) or form == "parquet"):
        raise click.UsageError(
            "--archive needs a file to archive, not standard output, a URL or a data set."
        )


def find_place(
    plan: Plan, paths: Sequence[str], output: str | None, form: str, archive: bool
) -> Place:
    """Find where to write: the output that was named, or the default name in a folder."""
    from evaltrace.aggregate import check_output, output_name

    if output == "-":
        return Place(None, form)
    folder = output is None or output.endswith("/")
    if form != "parquet":
        folder = folder or Path(output or "").is_dir()
    name = output or "artifacts"
    if folder:
        name = f"{name.rstrip('/')}/{output_name(plan, paths)}{SUFFIX}.{form}"
    check_output(plan, name)
    if not archive:
        if folder and plan.options.tasks and form != "parquet" and not _is_url(name):
            _keep_fuller(plan, Path(name))
        return Place(name, form)
    check_output(plan, _archive_folder() / Path(name).name)
    return Place(name, form, _archive_folder() if Path(name).is_file() else None)


def _keep_fuller(plan: Plan, place: Path) -> None:
    """Refuse to let a few tasks take the default file that holds the others as well."""
    from evaltrace.files import read_traces

    if not place.is_file():
        return
    chosen = {entry.trace_id for entry in plan.entries}
    try:
        others = sum(trace.trace_id not in chosen for trace in read_traces(place))
    except EvaltraceError:  # no file of traces that could be lost
        return
    if others:
        raise OutputFailure(
            f"the file holds {others} trace(s) that --task leaves out",
            where=str(place),
            hint="Name another file with -o, or keep the old one with --archive.",
        )


def _archive_folder() -> Path:
    from datetime import date

    from evaltrace.files import ARCHIVE

    return ARCHIVE / date.today().isoformat()  # noqa: DTZ011 - the user's own day
